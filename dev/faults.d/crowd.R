# crowd.R WHAT ROUNDS LEDGER ACKED: R processes that log, killed and interrupted.
# Says `column text` for each fault. What was acknowledged stands in ACKED.
library(fitledger)
library(parallel)

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

# What a process of its own gave; NULL where it died.
result <- function(job, seconds = 30) {
  value <- suppressWarnings(mccollect(job, wait = FALSE, timeout = seconds))
  tools::pskill(job$pid, tools::SIGKILL)
  suppressWarnings(mccollect(job))
  value[[1]]
}

# The next healthy process goes on, at once.
go_on <- function(round) {
  took <- system.time(log_one(round = round))[["elapsed"]]
  if (took > 5) say("hangs round", round, "the next append takes", took, "s")
  status <- verify_ledger(ledger)$status
  if (status != "ok") say("wrong round", round, "verification says", status)
}

killed <- function() {
  for (round in seq_len(rounds)) {
    jobs <- lapply(1:8, function(i) apart(repeat log_one(round = round, writer = i)))
    for (job in sample(jobs)) {
      Sys.sleep(stats::rexp(1, 1 / 0.02))
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

# An interactive R goes on with its next line after an interrupt, so each line is a loop.
interrupts <- function() {
  seen <- 0
  for (round in seq_len(rounds)) {
    busy <- tempfile()
    out <- tempfile()
    script <- tempfile(fileext = ".R")
    # Whatever is loaded lazily is loaded first: where R 4.2 is interrupted at that, the function may stay
    # "under evaluation" for good.
    dump(c("ledger", "acked", "round", "busy", "log_one"), script, envir = environment())
    cat(
      "library(fitledger)", "stopped <- -1",
      "for (name in loadedNamespaces()) for (f in ls(asNamespace(name), all.names = TRUE)) get(f, asNamespace(name))",
      "writeLines(as.character(Sys.getpid()), busy)",
      rep("stopped <- stopped + file.exists(busy); while (file.exists(busy)) log_one(round = round)", 5000),
      "cat('done', stopped, '\\n')",
      "log_one(round = round, last = TRUE); cat('works\\n')",
      file = script, sep = "\n", append = TRUE
    )
    system2("sh", c("-c", shQuote(paste(
      shQuote(file.path(R.home("bin"), "R")), "--vanilla --no-echo --interactive --no-readline <", script, "2> /dev/null; echo ended $?"
    ))), stdout = out, wait = FALSE)
    wait_for(function() length(lines_of(busy)) == 1)
    process <- as.integer(lines_of(busy))
    until <- Sys.time() + 3
    while (Sys.time() < until) {
      tools::pskill(process, tools::SIGINT)
      Sys.sleep(0.001)
    }
    unlink(busy)
    if (!wait_for(function() any(grepl("^ended", lines_of(out))))) {
      say("hangs round", round, "R goes on")
      tools::pskill(process, tools::SIGKILL)
    }
    said <- lines_of(out)
    done <- grep("^done", said, value = TRUE)
    if (!length(done) || !"ended 0" %in% said) say("crashes round", round, "R says", utils::tail(said, 3))
    if (!"works" %in% said) say("other round", round, "R can't log any more")
    seen <- seen + sum(as.numeric(sub("done", "", done)))
    go_on(round)
  }
  say("measured", seen, "calls ended by an interrupt")
}

lines_of <- function(path) {
  if (file.exists(path)) readLines(path, warn = FALSE) else character()
}

wait_for <- function(done, seconds = 30) {
  until <- Sys.time() + seconds
  while (!done() && Sys.time() < until) Sys.sleep(0.01)
  done()
}

waiting <- function() {
  log_one(round = 0)
  took <- vapply(seq_len(rounds), function(round) {
    holder <- apart(system2("flock", c(shQuote(ledger), "sleep", "1.5")))
    Sys.sleep(0.3)
    job <- mcparallel(tryCatch(
      log_one(round = round),
      interrupt = function(condition) as.numeric(Sys.time())
    ), silent = TRUE)
    Sys.sleep(0.5)
    at <- as.numeric(Sys.time())
    tools::pskill(job$pid, tools::SIGINT)
    returned <- result(job)
    held <- result(holder)
    if (!is.numeric(returned)) {
      say("other round", round, "not interrupted but", format(returned))
      return(Inf)
    }
    1000 * (returned - at)
  }, numeric(1))
  # On a busy machine one may come late; most of them must not.
  if (stats::median(took) > 250) say("hangs an interrupt takes", stats::median(took), "ms")
  say("measured it returns after", round(stats::median(took)), "ms in the median,", round(max(took)), "ms at most")
}

say("cases", rounds)
switch(args[[1]], killed = killed(), forks = forks(), interrupts = interrupts(), waiting = waiting())
