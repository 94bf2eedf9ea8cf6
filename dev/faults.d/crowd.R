# crowd.R WHAT ROUNDS LEDGER ACKED: R processes that log, killed and interrupted.
# Says `column text` for each fault, and `round n` when one is over. What was acknowledged stands in ACKED.
library(fitledger)
library(parallel)
source("tests/testthat/helper-wait.R")

args <- commandArgs(TRUE)
rounds <- as.integer(args[[2]])
ledger <- args[[3]]
acked <- args[[4]]
say <- function(...) cat(gsub("\\s+", " ", paste(c(...), collapse = " ")), "\n", sep = "")

log_one <- function(...) {
  id <- log_run(ledger, list(...), list(rmse = 1))
  # A kill can cut even a short write, where it crosses a page: a cut line counts for nothing, and
  # takes no other with it.
  cat(paste0("\n", id, " acked\n"), file = acked, append = TRUE)
  id
}

apart <- function(expr) {
  eval(substitute(mcparallel({ expr; "done" }, silent = TRUE)), parent.frame())
}

# How many rows were acknowledged after the first so many bytes of ACKED.
acked_after <- function(bytes) {
  said <- file(acked, "rb")
  on.exit(close(said))
  seek(said, bytes)
  sum(grepl(" acked$", readLines(said, warn = FALSE)))
}

lines_of <- function(path) {
  if (file.exists(path)) readLines(path, warn = FALSE) else character()
}

# What a process of its own gave; NULL where it died.
result <- function(job, what) {
  value <- NULL
  wait_until(!is.null(value <- suppressWarnings(mccollect(job, wait = FALSE))), what)
  suppressWarnings(mccollect(job))
  value[[1]]
}

# The next healthy process goes on.
go_on <- function(round) {
  log_one(round = round)
  status <- verify_ledger(ledger)$status
  if (status != "ok") say("wrong round", round, "verification says", status)
  say("round", round)
}

# Each is killed after as many more acknowledged rows as chance has it, none among them.
killed <- function() {
  for (round in seq_len(rounds)) {
    jobs <- lapply(1:8, function(i) apart(repeat log_one(round = round, writer = i)))
    for (job in sample(jobs)) {
      before <- file.size(acked)
      more <- stats::rgeom(1, 0.1)
      wait_until(more == 0 || acked_after(before) >= more, paste(more, "rows more to be acknowledged"))
      tools::pskill(job$pid, tools::SIGKILL)
    }
    suppressWarnings(mccollect(jobs))
    status <- verify_ledger(ledger)$status
    if (!status %in% c("ok", "torn")) say("wrong round", round, "verification says", status)
    go_on(round)
  }
}

forks <- function() {
  for (round in seq_len(rounds)) {
    log_one(round = round)
    ids <- mclapply(1:100, function(i) log_one(round = round, i = i), mc.cores = 8, mc.preschedule = FALSE)
    died <- !vapply(ids, is.character, logical(1)) | vapply(ids, inherits, logical(1), "try-error")
    if (any(died)) say("crashes round", round, sum(died), "of 100 forks died or failed")
    if (anyDuplicated(unlist(ids[!died]))) say("wrong round", round, "two runs have one id")
    go_on(round)
  }
}

# An interactive R goes on with its next line after an interrupt, so each line is a loop. A round goes on
# until enough of them were interrupted, and enough rows were logged between the interrupts.
interrupts <- function() {
  seen <- 0
  for (round in seq_len(rounds)) {
    busy <- tempfile()
    begun <- tempfile()
    file.create(begun)
    out <- tempfile()
    errors <- tempfile()
    script <- tempfile(fileext = ".R")
    # Whatever is loaded lazily is loaded first: where R 4.2 is interrupted at that, the function may stay
    # "under evaluation" for good.
    dump(c("ledger", "acked", "round", "busy", "begun", "log_one"), script, envir = environment())
    cat(
      "library(fitledger)",
      "for (name in loadedNamespaces()) for (f in ls(asNamespace(name), all.names = TRUE)) get(f, asNamespace(name))",
      "writeLines(as.character(Sys.getpid()), busy)",
      rep("if (file.exists(busy)) cat('.', file = begun, append = TRUE); while (file.exists(busy)) log_one(round = round)", 5000),
      "cat('done\\n')",
      "log_one(round = round, last = TRUE); cat('works\\n')",
      file = script, sep = "\n", append = TRUE
    )
    system2("sh", c("-c", shQuote(paste(
      shQuote(file.path(R.home("bin"), "R")), "--vanilla --no-echo --interactive --no-readline <", script, "2>", errors, "; echo ended $?"
    ))), stdout = out, wait = FALSE)
    ended <- function() any(grepl("^ended", lines_of(out)))
    wait_until(ended() || length(lines_of(busy)) == 1, "R to begin")
    process <- as.integer(lines_of(busy))
    before <- file.size(acked)
    interrupted <- function() file.size(begun) - 1
    wait_until(
      {
        for (i in 1:20) {
          tools::pskill(process, tools::SIGINT)
          Sys.sleep(0.001)
        }
        # Enough lines have to be left to see whether R still logs without interrupts, also where no call is fast enough
        # to come between two of them.
        ended() || interrupted() >= 4000 || (interrupted() >= 300 && acked_after(before) >= 50)
      },
      "300 calls to be interrupted, and 50 rows to be acknowledged"
    )
    seen <- seen + interrupted()
    unlink(busy)
    tryCatch(wait_until(ended(), "R to end"), waited_in_vain = function(e) {
      say("hangs round", round, "R goes on")
      tools::pskill(process, tools::SIGKILL)
    })
    said <- lines_of(out)
    if (!all(c("done", "ended 0") %in% said)) say("crashes round", round, "R says", utils::tail(said, 3))
    if (!"works" %in% said) say("other round", round, "R can't log any more:", utils::tail(lines_of(errors), 5))
    go_on(round)
  }
  say("measured", seen, "calls ended by an interrupt")
}

# Another process holds the lock until it is released.
take_lock <- function() {
  held <- tempfile()
  hold <- sprintf("touch '%s'; while [ -e '%s' ]; do sleep 0.02; done", held, held)
  holder <- apart(system2("flock", c(shQuote(ledger), "sh", "-c", shQuote(hold))))
  wait_until(file.exists(held), "the lock to be taken")
  list(held = held, holder = holder)
}

release <- function(lock) {
  unlink(lock$held)
  result(lock$holder, "the lock to be released")
}

# A time limit that ends a wait is an error to catch, and nothing was logged; the limit comes before and after the call
# has said what it waits for.
limits <- function() {
  log_one(round = 0)
  said <- 0
  for (round in seq_len(rounds)) {
    before <- file.size(ledger)
    lock <- take_lock()
    setTimeLimit(elapsed = stats::runif(1, 0.1, 4), transient = TRUE)
    outcome <- tryCatch(
      withCallingHandlers(log_one(round = round), fitledger_message_waiting = function(m) {
        said <<- said + 1
        invokeRestart("muffleMessage")
      }),
      error = conditionMessage
    )
    setTimeLimit()
    if (!grepl("time limit", outcome)) say("other round", round, "not a time limit but", outcome)
    if (file.size(ledger) != before) say("other round", round, "something was logged")
    release(lock)
    go_on(round)
  }
  if (rounds >= 10 && !said) say("other no call said what it waits for")
}

# The lock is held until the interrupted call has returned, so that it can't have had it.
waiting <- function() {
  log_one(round = 0)
  is_open <- function(pid) {
    normalizePath(ledger) %in% Sys.readlink(list.files(file.path("/proc", pid, "fd"), full.names = TRUE))
  }
  if (is_open(Sys.getpid())) stop("The ledger is open here, and so in each fork.")
  took <- vapply(seq_len(rounds), function(round) {
    lock <- take_lock()
    job <- mcparallel(tryCatch(
      log_one(round = round),
      interrupt = function(condition) as.numeric(Sys.time())
    ), silent = TRUE)
    wait_until(is_open(job$pid), "a call to come to the lock")
    at <- as.numeric(Sys.time())
    tools::pskill(job$pid, tools::SIGINT)
    returned <- result(job, "an interrupted call to return")
    release(lock)
    if (!is.numeric(returned)) say("other round", round, "not interrupted but", format(returned))
    go_on(round)
    1000 * (as.numeric(returned) - at)
  }, numeric(1))
  say("measured it returns after", round(stats::median(took)), "ms in the median,", round(max(took)), "ms at most")
}

tryCatch(
  switch(args[[1]],
    killed = killed(), forks = forks(), interrupts = interrupts(), waiting = waiting(), limits = limits()
  ),
  waited_in_vain = function(e) say("hangs", conditionMessage(e))
)
