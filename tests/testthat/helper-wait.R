# In seconds: what takes longer hangs, on a busy machine too.
patience <- 900

# Waits until a condition, asked again and again, is TRUE, or fails with what it waited for.
wait_until <- function(condition, what) {
  condition <- substitute(condition)
  caller <- parent.frame()
  deadline <- Sys.time() + patience
  while (!isTRUE(eval(condition, caller))) {
    if (Sys.time() > deadline) {
      message <- paste0("Waited in vain for ", what, ".")
      stop(errorCondition(message, class = "waited_in_vain"))
    }
    Sys.sleep(0.005)
  }
}

# Has another process hold a ledger's lock until the path that this returns exists, or the test ends.
local_lock <- function(file, env = parent.frame()) {
  skip_if(!nzchar(Sys.which("flock")), "flock is not here")
  held <- withr::local_tempfile(.local_envir = env)
  free <- withr::local_tempfile(.local_envir = env)
  withr::defer(file.create(free), envir = env)
  # Both files go at the end of the test, `free` perhaps before it was seen.
  script <- paste("touch", shQuote(held), "; until [ -e", shQuote(free), "] || [ ! -e", shQuote(held), "]; do sleep 0.05; done")
  system2("flock", c(shQuote(file), "sh", "-c", shQuote(script)), wait = FALSE)
  wait_until(file.exists(held), "another process to hold the lock")
  free
}

# What became of a call, and the statuses of the runs of its ledger, where interrupts come as it waits for the lock, so many,
# and the lock is free after that. The call is a function of the ledger, and of a function that has the lock held.
interrupted_as_it_waits <- function(call, interrupts) {
  skip_without_interrupts()
  file <- local_file(environment())
  log_run(file, list(), list(a = 1))
  frame <- environment()
  free <- NULL
  waited <- 0
  # An interrupt within a handler would pass over what is on its way to that.
  interrupt <- paste("sleep 0.1; kill -INT", Sys.getpid())
  said <- function(m) {
    waited <<- waited + 1
    if (waited <= interrupts) system2("sh", c("-c", shQuote(interrupt)), wait = FALSE) else file.create(free)
    invokeRestart("muffleMessage")
  }
  what <- tryCatch(
    suppressWarnings(
      withCallingHandlers(call(file, function() free <<- local_lock(file, frame)), fitledger_message_waiting = said),
      classes = "fitledger_warning_not_recorded"
    ),
    error = function(e) "an error", interrupt = function(e) "an interrupt"
  )
  file.create(free)
  list(what = what, waited = waited, status = read_runs(file, void = TRUE, details = TRUE)$status[-1])
}

# Newer versions of R leave an interrupt ignored that was so when they began, as in the background of a script.
skip_without_interrupts <- function() {
  status <- "/proc/self/status"
  ignored <- if (file.exists(status)) grep("^SigIgn:", readLines(status), value = TRUE)
  of_sigint <- bitwAnd(strtoi(sub(".*(.)$", "\\1", ignored), 16L), 2L)
  skip_if(any(of_sigint > 0), "interrupts are ignored here")
}
