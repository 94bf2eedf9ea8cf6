# The compiled code is called with what R's side would never let through.

native_functions <- function() {
  namespace <- asNamespace("fitledger")
  names <- grep("^native_", names(namespace), value = TRUE)
  Filter(function(name) all(names(formals(namespace[[name]])) != ""), sort(names))
}

test_that("no argument crashes R: each call gives a value or a failure", {
  skip_on_cran()
  rubbish <- list(
    NULL, NA, 1, -1L, "%s%n", character(), c("a", NA), list(), list(1), list(a = list()),
    as.raw(1), 1i, quote(x), mean, globalenv(), iris, structure(list(), class = "fitledger_failure")
  )
  withr::local_dir(withr::local_tempdir())
  # Asks whether something is of a kind.
  takes_all <- "native_is_plain_path"
  for (name in setdiff(native_functions(), takes_all)) {
    call <- get(name, asNamespace("fitledger"))
    count <- length(formals(call))
    outcomes <- list()
    for (value in rubbish) {
      result <- do.call(call, rep(list(value), count), quote = TRUE)
      outcomes <- c(outcomes, inherits(result, "fitledger_failure"))
    }
    expect_true(count == 0 || any(unlist(outcomes)), info = name)
  }
})

test_that("a panic is a failure like any other, and R goes on", {
  request <- append_request(local_ledger())
  panic <- native_log_runs(request, list(), list(), list(), 1L, NULL, NULL, 5, NULL)
  expect_s3_class(panic, "fitledger_failure")
  expect_identical(panic$class, "internal")
  expect_error(signal_failure(panic), "compiled code stopped", class = "fitledger_error_internal")
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  expect_equal(nrow(read_runs(file)), 1)
})

test_that("a long wait for the lock says once what it waits for", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  free <- local_lock(file)
  said <- character()
  withCallingHandlers(
    log_run(file, list(a = 2), list(m = 2)),
    fitledger_message_waiting = function(m) {
      said <<- c(said, conditionMessage(m))
      file.create(free)
      invokeRestart("muffleMessage")
    }
  )
  expect_match(said, basename(file), fixed = TRUE)
  expect_length(said, 1)
  expect_identical(read_runs(file)$a, c(1, 2))

  answers <- list("busy", "busy", "busy", "done")
  native <- function(x) {
    answer <- answers[[1]]
    answers <<- answers[-1]
    if (answer == "busy") structure(list(class = "busy", path = x), class = "fitledger_failure") else answer
  }
  expect_message(result <- call_native(native, "%s {x}"), "'%s {x}'", fixed = TRUE, class = "fitledger_message")
  expect_identical(result, "done")
  expect_length(answers, 0)
})

# Does something once the wait for the lock has begun.
while_waiting <- function(call, now) {
  withCallingHandlers(call, fitledger_message_waiting = function(m) {
    now()
    invokeRestart("muffleMessage")
  })
}

test_that("a time limit that ends a wait is an error to catch", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  run <- start_run(file)
  log_metrics(run, loss = 1, step = 1)
  before <- bytes(file)
  free <- local_lock(file)
  withr::defer(setTimeLimit())
  limited <- function() setTimeLimit(elapsed = 1, transient = TRUE)
  calls <- list(
    quote(log_run(file, list(a = 2), list(m = 2))), quote(end_run(run)), quote(log_note(file, run$run_id, "x")),
    quote(checkpoint_ledger(file)), quote(repair_ledger(file)), quote(with_run(file, list(), function(run) NULL)),
    # What waits to be written is written before the rest is read.
    quote(read_runs(file))
  )
  for (call in calls) {
    e <- tryCatch(while_waiting(eval(call), limited), error = identity)
    expect_s3_class(e, "fitledger_error_interrupted")
    expect_s3_class(e, "fitledger_error")
    # R's own words, by which others know it.
    expect_identical(conditionMessage(e), gettext("reached elapsed time limit", domain = "R"))
  }
  expect_identical(bytes(file), before)
  file.create(free)
  end_run(run)
  expect_identical(read_metrics(file)$value, 1)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("an interrupt ends a wait as an interrupt", {
  skip_without_interrupts()
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  before <- bytes(file)
  local_lock(file)
  interrupted <- tryCatch(
    while_waiting(log_run(file, list(a = 2), list(m = 2)), function() tools::pskill(Sys.getpid(), tools::SIGINT)),
    interrupt = function(i) "interrupted"
  )
  expect_identical(interrupted, "interrupted")
  expect_identical(bytes(file), before)
})

test_that("an error has the one that caused it as its parent", {
  folder <- withr::local_tempdir()
  e <- expect_error(log_run(file.path(folder, "none", "a.csv"), list(), list()), class = "fitledger_error_io")
  expect_match(e$message, "^Can't open '.*a\\.csv'\\.\n")
  expect_match(conditionMessage(e$parent), "os error")
  file <- local_ledger()
  log_run(file, list(), list())
  e <- expect_error(export_runs(file, file.path(folder, "none", "a.csv")), class = "fitledger_error_io")
  expect_match(conditionMessage(e$parent), "os error")
  e <- expect_error(read_runs(file, where = stop("why")), class = "fitledger_error_where")
  expect_identical(conditionMessage(e$parent), "why")
  e <- expect_error(best_run(file, no_such), class = "fitledger_error_argument")
  expect_match(conditionMessage(e$parent), "no_such")
  # A row that is damaged has no cause but itself.
  e <- expect_error(read_runs(folder), class = "fitledger_error_not_a_ledger")
  expect_null(e$parent)
})
