# crowd.R WHAT ROUNDS LEDGER ACKED: R processes that log, killed and interrupted.
# Says `column text` for each fault. What was acknowledged stands in ACKED.
library(fitledger)
library(parallel)

args <- commandArgs(TRUE)
rounds <- as.integer(args[[2]])
ledger <- args[[3]]
acked <- args[[4]]
say <- function(...) cat(gsub("\\s+", " ", paste(...)), "\n", sep = "")

log_one <- function(...) {
  id <- log_run(ledger, list(...), list(rmse = 1))
  # One call of the system, so that a killed process leaves a whole line or none.
  cat(paste0(id, "\n"), file = acked, append = TRUE)
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

interrupts <- function() {
  seen <- 0
  for (round in seq_len(rounds)) {
    # Both are at work until this file is gone: the one logs, the other interrupts it.
    busy <- tempfile()
    file.create(busy)
    job <- mcparallel({
      stopped <- 0
      # An interrupt within a call ends that call; one between two calls is of no interest.
      withCallingHandlers(
        while (file.exists(busy)) {
          tryCatch(log_one(round = round), interrupt = function(condition) stopped <<- stopped + 1)
        },
        interrupt = function(condition) invokeRestart("resume")
      )
      stopped
    }, silent = TRUE)
    Sys.sleep(0.2)
    until <- Sys.time() + 3
    while (Sys.time() < until) {
      tools::pskill(job$pid, tools::SIGINT)
      Sys.sleep(0.001)
    }
    Sys.sleep(0.2)
    unlink(busy)
    stopped <- result(job)
    if (!is.numeric(stopped)) say("crashes round", round, "R gives", format(stopped))
    seen <- seen + sum(as.numeric(stopped))
    go_on(round)
  }
  say("measured", seen, "calls ended by an interrupt")
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
