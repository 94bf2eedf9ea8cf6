status <- function(file) read_runs(file, details = TRUE)$status

test_that("a live run is on record from its first moment to its end", {
  file <- local_ledger()
  run <- start_run(file, list(model = "net"), seed = 3, tags = list(by = "ann"))
  expect_identical(status(file), "running")
  log_params(run, eta = 0.1, layers = c(16L, 4L))
  log_metrics(run, rmse = 2)
  log_metrics(run, list(rmse = 1), mae = 0.5)
  log_tags(run, try = "second")
  expect_identical(end_run(run, metrics = list(r2 = 0.9)), run)
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$status, "finished")
  expect_identical(runs$eta, 0.1)
  expect_identical(runs$layers, list(c(16L, 4L)))
  expect_identical(c(runs$rmse, runs$mae, runs$r2), c(1, 0.5, 0.9))
  expect_identical(runs$tags.by, "ann")
  expect_identical(runs$tags.try, "second")
  expect_identical(runs$seed, 3L)
  expect_gte(runs$duration, 0)
  expect_identical(last_run_id(file), run$run_id)
  expect_identical(verify_ledger(file)$status, "ok")
  expect_equal(nrow(verify_ledger(file)$problems), 0)
})

test_that("a series keeps every step as it was written", {
  file <- local_ledger()
  run <- start_run(file)
  for (step in c(1, 3, 2, 2)) log_metrics(run, loss = step / 10, acc = NA, step = step)
  log_metrics(run, loss = Inf, step = 10L)
  end_run(run)
  points <- read_metrics(file, run$run_id, "loss")
  expect_identical(points$step, c(1, 3, 2, 2, 10))
  expect_identical(points$value, c(0.1, 0.3, 0.2, 0.2, Inf))
  expect_s3_class(points$time, "POSIXct")
  expect_identical(unique(read_metrics(file)$metric), c("loss", "acc"))
  expect_identical(read_runs(file)$loss, Inf)
  expect_equal(nrow(read_metrics(golden())), 3)
  expect_error(read_metrics(file, metrics = "los"), "loss", class = "fitledger_error_unknown")
  expect_error(read_metrics(file, "20261123"), class = "fitledger_error_unknown")
})

test_that("values are buffered for a moment, and written by whatever comes next", {
  file <- local_file()
  run <- start_run(file)
  events <- function() cells(file)$event
  log_metrics(run, loss = 1, step = 1)
  log_params(run, eta = 1)
  expect_identical(utils::tail(events(), 2), c("log", "log"))
  before <- length(events())
  for (step in 1:1000) log_metrics(run, loss = step, step = step)
  expect_lt(length(events()), before + 1000)
  before <- length(events())
  wait_until(
    {
      step <- step + 1
      log_metrics(run, loss = 0, step = step)
      length(events()) > before
    },
    "values to be written"
  )
  end_run(run)
  expect_equal(nrow(read_metrics(file)), 1 + step)
})

test_that("who asks sees what this process has reported", {
  file <- local_ledger()
  run <- start_run(file)
  log_metrics(run, loss = 1, step = 1)
  expect_identical(read_runs(file)$loss, 1)
  log_metrics(run, loss = 0.5, step = 2)
  expect_equal(nrow(read_metrics(file)), 2)
})

test_that("a failed write holds the values back for the next", {
  skip_on_os("windows")
  file <- local_file()
  run <- start_run(file)
  log_metrics(run, loss = 1, step = 1)
  whole <- bytes(file)
  writeLines("something else", file)
  expect_error(log_params(run, eta = 1), class = "fitledger_error_not_a_ledger")
  writeBin(whole, file)
  end_run(run)
  expect_equal(read_metrics(file)$value, 1)
})

test_that("of a step that failed no value follows later, and of the steps before it all do", {
  skip_on_os("windows")
  file <- local_file()
  away <- local_file()
  run <- start_run(file)
  file.rename(file, away)
  kept <- 0
  report <- function(...) tryCatch(log_metrics(run, ...), fitledger_error_not_found = function(e) "failed")
  # Until the thread has seen that it can't write.
  wait_until(
    {
      is_kept <- !identical(report(loss = kept + 1, step = kept + 1), "failed")
      kept <- kept + is_kept
      !is_kept
    },
    "a step to fail"
  )
  expect_identical(report(loss = -1, step = -1), "failed")
  file.rename(away, file)
  log_metrics(run, loss = 0, step = 0)
  # One more than is buffered.
  away_again <- local_file()
  file.rename(file, away_again)
  many <- rlang::set_names(as.list(1:1000), paste0("m", 1:1000))
  is_kept <- !identical(report(many, step = 1), "failed")
  expect_identical(report(loss = -2, step = -2), "failed")
  file.rename(away_again, file)
  end_run(run)
  points <- read_metrics(file)
  expect_identical(points$value[points$metric == "loss"], c(seq_len(kept), 0))
  expect_identical(sum(points$metric != "loss"), if (is_kept) 1000L else 0L)
})

test_that("with_run() ends the run and gives the function's value", {
  file <- local_ledger()
  value <- with_run(file, list(a = 1), function(run) {
    log_metrics(run, m = 2)
    "value"
  })
  expect_identical(value, "value")
  expect_identical(withVisible(with_run(file, list(a = 1), function(run) invisible(1)))$visible, FALSE)
  expect_identical(status(file), c("finished", "finished"))
  expect_identical(with(start_run(file), {
    log_metrics(.run, m = 3)
    5
  }), 5)
  expect_identical(read_runs(file)$m, c(2, NA, 3))
})

test_that("an error is recorded and thrown on unchanged", {
  file <- local_ledger()
  oops <- structure(class = c("oops", "error", "condition"), list(message = "%s%n {x}", call = quote(f(x)), data = 1))
  thrown <- tryCatch(
    with_run(file, list(a = 1), function(run) {
      log_metrics(run, loss = 1, step = 1)
      stop(oops)
    }),
    error = identity
  )
  expect_identical(thrown, oops)
  expect_identical(status(file), "failed")
  expect_identical(read_runs(file)$loss, 1)
  end <- utils::tail(cells(file)$context, 1)
  expect_match(end, "\"class\":[\"oops\",\"error\",\"condition\"],\"message\":\"%s%n {x}\"", fixed = TRUE)
  expect_match(end, "stop(oops)", fixed = TRUE)

  expect_error(with_run(file, list(), function(run) stop("plain")), "plain")
  expect_error(with(start_run(file), stop("within")), "within")
  expect_identical(status(file), rep("failed", 3))
})

test_that("an error that is caught inside, and a warning, are no failure", {
  file <- local_ledger()
  with_run(file, list(), function(run) try(stop("caught"), silent = TRUE))
  expect_warning(with_run(file, list(), function(run) warning("careful")), "careful")
  expect_identical(status(file), c("finished", "finished"))
})

test_that("a run that was begun as an interrupt came has come to an end", {
  skip_unless_file()
  # What is said of a torn tail is said once the row is on record, and before the call has heard of it.
  interrupted <- function(call) {
    file <- local_file(environment())
    log_run(file, list(), list(a = 1))
    cat("4,2026-11-23T04", file = file, append = TRUE)
    caught <- tryCatch(
      withCallingHandlers(call(file), fitledger_message = function(m) rlang::interrupt()),
      interrupt = function(e) "interrupt"
    )
    list(caught, read_runs(file, void = TRUE, details = TRUE)$status, nrow(read_runs(file)))
  }
  expected <- list("interrupt", c("finished", "interrupted"), 2L)
  expect_identical(interrupted(function(file) start_run(file, list(b = 1))), expected)
  expect_identical(interrupted(function(file) with_run(file, list(b = 1), function(run) stop("never called"))), expected)
  expect_identical(interrupted(function(file) log_call(file, lm(dist ~ speed, cars))), expected)
})

test_that("an interrupt or a time limit that meets the end of a run leaves none that seems to go on", {
  skip_unless_file()
  failing <- function(lock) {
    lock()
    stop("no")
  }
  of_with <- interrupted_as_it_waits(function(file, lock) with_run(file, list(), function(run) failing(lock)), 1)
  expect_identical(of_with, list(what = "an error", waited = 2, status = "failed"))
  # The first one meets what is recorded of the arguments.
  of_call <- interrupted_as_it_waits(function(file, lock) log_call(file, failing(lock)), 2)
  expect_identical(of_call, list(what = "an error", waited = 3, status = "failed"))
  withr::defer(setTimeLimit())
  limited <- function(run) {
    setTimeLimit(elapsed = 0.2)
    "the fit"
  }
  of_limit <- interrupted_as_it_waits(function(file, lock) with_run(file, list(), function(run) {
    lock()
    limited(run)
  }), 0)
  expect_identical(of_limit, list(what = "the fit", waited = 1, status = "finished"))
})

test_that("what was begun is told from what others begin, and from what was there", {
  file <- local_ledger()
  log_run(file, list(), list(a = 1))
  path <- path_of(file)
  begun <- begun_from_now(path)
  expect_null(begun())
  log_tags(start_run(file), b = "x")
  expect_identical(begun()$run_id, last_run_id(file))
  expect_null(begun_from_now(path)())
})

test_that("an interrupt and a jump out are recorded as such", {
  file <- local_ledger()
  caught <- tryCatch(with_run(file, list(), function(run) rlang::interrupt()), interrupt = function(e) "interrupt")
  expect_identical(caught, "interrupt")
  callCC(function(out) with_run(file, list(), function(run) out(1)))
  expect_identical(status(file), c("interrupted", "interrupted"))
})

test_that("an error counts as failure only if it is what ended the run", {
  file <- local_ledger()
  status_of <- function(fun) {
    tryCatch(
      withRestarts(with_run(file, list(), function(run) fun()), away = function() NULL),
      error = function(e) NULL, other = function(e) NULL
    )
    tail(status(file), 1)
  }
  signal <- function() signalCondition(errorCondition("only signalled"))
  jump <- function() invokeRestart("away")
  other <- function() signalCondition(structure(class = c("other", "condition"), list(message = "", call = NULL)))
  endless <- function() endless()
  expect_identical(status_of(function() stop("thrown")), "failed")
  expect_identical(status_of(function() rlang::abort("thrown")), "failed")
  expect_identical(status_of(function() log("a")), "failed")
  expect_identical(status_of(endless), "failed")
  # What is caught outside has ended it, however it was signalled.
  expect_identical(status_of(signal), "failed")
  expect_identical(status_of(jump), "interrupted")
  expect_identical(status_of(other), "interrupted")
})

test_that("an error that was only signalled is no failure where the code went on", {
  file <- local_ledger()
  # A test would catch the error.
  run_apart(c(
    paste("file <-", code_of(file)),
    "library(fitledger)",
    "signal <- function() signalCondition(errorCondition('only signalled'))",
    "jump <- function() invokeRestart('away')",
    "other <- function() signalCondition(structure(class = c('other', 'condition'), list(message = '', call = NULL)))",
    "away <- function(code) withRestarts(tryCatch(code, other = function(e) NULL), away = function() NULL)",
    "for (then in list(jump, other, function() 1)) {",
    "  both <- function() { signal(); then() }",
    "  away(with_run(file, list(), function(run) both()))",
    "  away(log_call(file, both()))",
    "}",
    "cat('done\\n')"
  ))
  expect_identical(status(file), rep(c("interrupted", "finished"), c(4, 2)))
})

test_that("an error of rlang's that nobody catches is a failure", {
  file <- local_ledger()
  run_apart(sprintf("fitledger::with_run(%s, list(), function(run) rlang::abort(\"uncaught\"))", code_of(file)))
  expect_identical(status(file), "failed")
  expect_match(tail(cells(file)$context, 1), "uncaught", fixed = TRUE)
})

test_that("that an end can't be recorded is a warning, and the error goes on", {
  file <- local_file()
  expect_warning(
    expect_error(with_run(file, list(), function(run) {
      writeLines("something else", file)
      stop("the error")
    }), "the error"),
    "not on record",
    class = "fitledger_warning_end"
  )
})

test_that("within with_run() what can't be recorded is left out and named, and the fit is kept", {
  file <- local_ledger()
  model <- stats::lm(dist ~ speed, cars)
  code <- quote({
    log_metrics(run, good = 1, bad = "x")
    log_metrics(run, list(spread = 2, odd = factor("a")))
    log_metrics(run, 5)
    log_metrics(run, s = 1, t = "x", step = 1)
    log_metrics(run, s = 1, step = 1.5)
    log_metrics(run, run_id = 1)
    log_params(run, p = globalenv(), q = 1)
    log_tags(run, by = "ann", u = globalenv())
    log_artifact(run, "nowhere.rds")
    log_artifact(run, "model", model)
    log_artifact(run, "model", model)
    end_run(run, list(e = 1, z = "z"), sealed = list(hidden = TRUE, shown = 3))
    model
  })
  ways <- list(
    function() with_run(file, list(), function(run) eval(code)),
    function() {
      .run <- start_run(file)
      with(.run, eval(code, list(run = .run)))
    }
  )
  for (way in ways) {
    for (level in 1:2) {
      withr::local_options(warn = level)
      said <- list()
      fit <- withCallingHandlers(way(), warning = function(w) {
        said <<- c(said, list(w))
        invokeRestart("muffleWarning")
      })
      expect_identical(fit, model)
      expect_length(said, 11)
      for (w in said) expect_s3_class(w, "fitledger_warning_not_recorded")
      run <- read_run(file, last_run_id(file))
      expect_identical(run$status, "finished")
      expect_identical(run$metrics, list(good = 1, spread = 2, s = 1, e = 1))
      expect_identical(run$params, list(q = 1))
      expect_identical(run$tags, list(by = "ann"))
      expect_identical(run$sealed, "shown")
      expect_identical(run$artifacts$artifact, "model")
      expect_identical(run$series$value, 1)
    }
  }
})

test_that("within with_run() what is wrong with one value takes no other along", {
  file <- local_ledger()
  unreadable <- "\xff"
  odd <- structure(list(b = 1), class = "odd_elements")
  rlang::local_bindings(as.list.odd_elements = function(x, ...) stop("no elements"), .env = globalenv())
  bad <- list(
    list(5), list(x = 1, x = 2), list(x = 1, y = 2, x = 3), rlang::set_names(list(1), unreadable), list(run_id = 1),
    list(list(1, 2)), list(odd), list(x = "x"), list(NULL, x = globalenv()), list(list(x = 1), x = 2)
  )
  given <- lapply(seq_along(bad), function(i) c(rlang::set_names(list(i), paste0("good", i)), bad[[i]]))
  logs <- list(
    function(run, values) do.call(log_metrics, c(list(run), values)),
    function(run, values) do.call(log_metrics, c(list(run), values, list(step = 1))),
    function(run, values) do.call(log_params, c(list(run), values, list(p = globalenv()))),
    function(run, values) do.call(log_tags, c(list(run), values, list(t = globalenv()))),
    function(run, values) end_run(run, c(values, list(x = "x"))),
    function(run, values) end_run(run, list(), sealed = c(values, list(x = "x")))
  )
  recorded <- list(
    function(run) names(run$metrics), function(run) names(run$metrics), function(run) names(run$params),
    function(run) names(run$tags), function(run) names(run$metrics), function(run) run$sealed
  )
  for (way in seq_along(logs)) {
    for (values in given) {
      expect_warning(
        expect_identical(with_run(file, list(), function(run) {
          logs[[way]](run, values)
          "the fit"
        }), "the fit"),
        class = "fitledger_warning_not_recorded"
      )
      names <- recorded[[way]](read_run(file, last_run_id(file)))
      expect_identical(grep("good", names, value = TRUE), names(values)[[1]])
      expect_false("run_id" %in% names)
    }
  }
  long <- strrep("n", 2e7)
  with_run(file, list(), function(run) {
    refused <- function(code, what) expect_warning(code, what, class = "fitledger_warning_not_recorded")
    refused(log_params(run, good = 1, text = long), "16 MiB")
    refused(log_tags(run, rlang::set_names(list(1, 2), c("good", long))), "20,000,000 bytes")
    refused(end_run(run, rlang::set_names(list(1, 2), c("good", long))), "20,000,000 bytes")
  })
  run <- read_run(file, last_run_id(file))
  expect_identical(run[c("params", "tags", "metrics")], list(params = list(good = 1), tags = list(good = 1), metrics = list(good = 1)))
  # Of a call, too.
  metrics <- function(fit) list(aic = 1, s = 1, s = 2, 3)
  expect_warning(log_call(file, lm(dist ~ speed, cars), metrics = metrics, sealed = metrics, params = metrics), "`metrics$s`", fixed = TRUE)
  run <- read_run(file, last_run_id(file))
  expect_identical(run$metrics, list(aic = 1))
  expect_identical(run$sealed, "aic")
  expect_identical(run$params$aic, 1)
  echo <- function(text, k) list(text, k)
  expect_warning(log_call(file, echo(long, k = 1)), "16 MiB")
  run <- read_run(file, last_run_id(file))
  expect_identical(run$params$k, 1)
})

test_that("what is left out within with_run() is named", {
  file <- local_ledger()
  expect_snapshot_conditions({
    with_run(file, list(), function(run) log_metrics(run, good = 1, bad = "x", worse = 1:2))
    with_run(file, list(), function(run) log_metrics(run, good = 1, 5, list(b = 2, 6), c = 1, c = 2))
    with_run(file, list(), function(run) end_run(run, list(good = 1, 5)))
    with_run(file, list(), function(run) end_run(run, 5))
    with_run(file, list(), function(run) log_artifact(run, "nowhere.rds"))
  })
})

test_that("within with_run() a file that can't be written to costs no fit", {
  file <- local_file()
  said <- conditions_of(quote(fit <- with_run(file, list(), function(run) {
    writeLines("something else", file)
    log_metrics(run, m = 1)
    log_metrics(run, m = 1, step = 1)
    "the fit"
  })), environment())
  classes <- vapply(said, function(condition) class(condition)[[1]], "")
  expect_identical(classes, c("fitledger_warning_not_recorded", "fitledger_warning_end"))
  expect_identical(fit, "the fit")
  expect_identical(readLines(file), "something else")
})

test_that("within with_run() errors of other code, of other runs and of a run that has ended stay errors", {
  file <- local_ledger()
  other <- start_run(file)
  fails <- function(fun, class) expect_error(suppressWarnings(with_run(file, list(), fun)), class = class)
  fails(function(run) log_metrics(run, m = stop("mine")), "simpleError")
  fails(function(run) log_metrics(run, m = read_runs("nowhere.csv")$m), "fitledger_error_not_found")
  fails(function(run) log_artifact(run, "a", read_runs("nowhere.csv")), "fitledger_error_not_found")
  fails(function(run) log_metrics(other, m = "x"), "fitledger_error_value")
  fails(function(run) log_run(file, list(), list(m = "x")), "fitledger_error_value")
  fails(function(run) {
    end_run(run)
    log_metrics(run, m = 1)
  }, "fitledger_error_ended")
  expect_error(log_metrics(other, m = "x"), class = "fitledger_error_value")
})

test_that("with_run(seed =) sets the seed and puts the stream back", {
  file <- local_ledger()
  set.seed(99)
  before <- .Random.seed
  x <- with_run(file, list(), function(run) rnorm(3), seed = 7)
  expect_identical(.Random.seed, before)
  set.seed(7)
  expect_identical(x, rnorm(3))
  expect_identical(read_runs(file, details = TRUE)$seed, 7L)
  expect_error(with_run(file, list(), function(run) stop("x"), seed = 7))
  rm(".Random.seed", envir = globalenv())
  with_run(file, list(), function(run) runif(1), seed = 7)
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
})

test_that("a run goes through saveRDS() and to other processes", {
  skip_on_cran()
  file <- local_ledger()
  run <- start_run(file, list(a = 1))
  path <- withr::local_tempfile()
  saveRDS(run, path)
  expect_identical(readRDS(path), run)
  code <- c(
    "library(fitledger)",
    sprintf("run <- readRDS(%s)", deparse(path)),
    "me <- as.integer(commandArgs(TRUE))",
    "for (i in 1:20) log_metrics(run, loss = i, step = 100 * me + i)",
    "cat('done\\n')"
  )
  run_apart(code, times = 2)
  end_run(run)
  expect_setequal(read_metrics(file)$step, c(100 + 1:20, 200 + 1:20))

  skip_on_os("windows")
  run <- start_run(file, list(a = 2))
  log_metrics(run, loss = 0, step = 0)
  parallel::mclapply(1:4, function(i) log_metrics(run, loss = i, step = i), mc.cores = 2)
  end_run(run)
  points <- read_metrics(file, run$run_id)
  expect_setequal(points$step, 0:4)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("what is buffered is written when R ends, and a killed run is lost until it is resumed", {
  skip_on_cran()
  skip_on_os(c("windows", "mac"))
  file <- local_ledger()
  begin <- c(
    "library(fitledger)",
    sprintf("run <- start_run(%s, list(a = 1))", code_of(file)),
    "log_metrics(run, loss = 1, step = 1)"
  )
  run_apart(c(begin, "cat('done\\n')", "quit('no')"))
  expect_identical(status(file), "lost")
  expect_identical(read_metrics(file)$step, 1)

  killed <- c(begin, "log_params(run, b = 2)", "cat('done\\n')", "tools::pskill(Sys.getpid(), 9)")
  run_apart(killed)
  expect_identical(status(file), c("lost", "lost"))
  run <- start_run(file, resume = last_run_id(file), params = list(c = 3))
  expect_identical(status(file), c("lost", "running"))
  log_metrics(run, loss = 0.5, step = 2)
  end_run(run)
  runs <- read_runs(file)
  expect_identical(unlist(runs[2, c("a", "b", "c", "loss")]), c(a = 1, b = 2, c = 3, loss = 0.5))
  expect_identical(status(file), c("lost", "finished"))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a run whose process is gone isn't lost while a child of it goes on", {
  skip_on_os("windows")
  skip_if(!dir.exists("/proc/self"), "which processes are gone can't be told here")
  file <- local_ledger()
  pid <- withr::local_tempfile()
  stop <- withr::local_tempfile()
  withr::defer(file.create(stop))
  run_apart(c(
    "library(fitledger)",
    sprintf("run <- start_run(%s, list(a = 1))", code_of(file)),
    "child <- parallel::mcparallel({",
    "  log_metrics(run, loss = 1, step = 1)",
    sprintf("  cat(Sys.getpid(), '\\n', file = %s)", deparse(pid)),
    sprintf("  while (!file.exists(%s)) Sys.sleep(0.01)", deparse(stop)),
    "  tools::pskill(Sys.getpid(), 9)",
    "})",
    sprintf("while (!file.exists(%s)) Sys.sleep(0.01)", deparse(pid)),
    "cat('done\\n')",
    "tools::pskill(Sys.getpid(), 9)"
  ))
  expect_identical(read_metrics(file)$step, 1)
  expect_identical(read_runs(file, details = TRUE)$status, "running")
  file.create(stop)
  wait_until(read_runs(file, details = TRUE)$status == "lost", "the child to be gone")
})

test_that("a run that the file no longer knows is told at the next call", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = 1))
  older <- bytes(file)
  run <- start_run(file, list(a = 2))
  log_metrics(run, loss = 1, step = 1)
  read_runs(file)
  newer <- bytes(file)
  for (put_back in list(
    function() writeBin(older, file),
    function() {
      copy <- withr::local_tempfile(tmpdir = dirname(file))
      writeBin(older, copy)
      file.rename(copy, file)
    }
  )) {
    put_back()
    for (report in list(
      function() log_metrics(run, loss = 2), function() log_params(run, b = 1), function() log_tags(run, by = "ann"),
      function() log_artifact(run, "x", 1:3), function() end_run(run)
    )) {
      expect_error(report(), "not in the ledger any more", class = "fitledger_error_rows_gone")
    }
    expect_identical(bytes(file), older)
  }
  # Once the newer copy is back, it goes on.
  writeBin(newer, file)
  end_run(run, list(loss = 3))
  expect_identical(read_runs(file)$loss, c(NA, 3))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a void run is left out until the void is asked for", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 1))
  log_run(file, list(a = 2), list(m = 2))
  log_note(file, id, "looks odd")
  expect_identical(void_run(file, id, "wrong data"), id)
  expect_identical(read_runs(file)$a, 2)
  expect_identical(best_run(file, "m")$a, 2)
  expect_identical(read_runs(file, void = TRUE, details = TRUE)$status, c("void", "finished"))
})

test_that("a finished run is finished", {
  file <- local_ledger()
  run <- start_run(file, list(a = 1), tags = list(by = "ann"))
  log_metrics(run, loss = 0.5, step = 1)
  end_run(run, list(rmse = 5))
  single <- log_run(file, list(a = 2), list(rmse = 6))
  before <- read_runs(file, details = TRUE)
  rows <- length(readLines(file_of(file)))
  elsewhere <- readRDS({
    path <- withr::local_tempfile()
    saveRDS(run, path)
    path
  })
  for (run in list(run, elsewhere, structure(list(file = run$file, run_id = single), class = "fitledger_run"))) {
    refused <- function(code) expect_error(code, class = "fitledger_error_ended")
    refused(log_metrics(run, rmse = 0.01))
    refused(log_metrics(run, loss = 0.01, step = 2))
    refused(log_params(run, a = 99))
    refused(log_artifact(run, "late", 1:3))
    refused(end_run(run))
    refused(end_run(run, list(rmse = 1), status = "failed"))
    refused(start_run(file, resume = run))
    refused(start_run(file, resume = run$run_id, take_over = TRUE))
  }
  expect_identical(length(readLines(file_of(file))), rows)
  expect_identical(read_runs(file, details = TRUE), before)

  # What one says of a run is no change of it.
  log_tags(run, checked = TRUE)
  tag_run(file, c(single, run$run_id), by = "ben", seen = 1L)
  tag_run(file, read_runs(file, where = rmse < 6), best = TRUE)
  tag_run(file, read_runs(file, where = rmse < 0), best = FALSE)
  log_note(file, read_runs(file), "both")
  void_run(file, run, "wrong data")
  restore_run(file, run, "the data were right")
  after <- read_runs(file, details = TRUE)
  unchanged <- c("run_id", "a", "rmse", "loss", "status", "duration")
  expect_identical(after[unchanged], before[unchanged])
  tags <- read_runs(file, columns = "tags")$tags
  expect_identical(tags[[1]], list(by = "ann", best = TRUE))
  expect_mapequal(tags[[2]], list(checked = TRUE, by = "ben", seen = 1L))
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("what failed can be resumed, and a running run is taken over only by who says so", {
  file <- local_ledger()
  run <- start_run(file, list(a = 1))
  log_metrics(run, m = 1)
  end_run(run, status = "failed")
  error <- expect_error(log_metrics(run, m = 2), "failed", class = "fitledger_error_ended")
  expect_identical(error$how, "failed")
  run <- start_run(file, resume = run)
  log_metrics(run, m = 3)
  # The same process goes on with its own run.
  run <- start_run(file, resume = run)

  by_another <- function(...) {
    run_apart(c(
      "library(fitledger)",
      sprintf("file <- %s; run_id <- '%s'", code_of(file), run$run_id),
      ..., "cat('done\\n')"
    ))
  }
  out <- by_another("tryCatch(start_run(file, resume = run_id), fitledger_error_running = function(e) cat('refused\n'))")
  expect_true("refused" %in% unlist(out))
  by_another(
    "run <- start_run(file, resume = run_id, take_over = TRUE)", "log_metrics(run, m = 4)",
    "end_run(run)"
  )
  expect_error(log_metrics(run, m = 5), class = "fitledger_error_ended")
  expect_identical(read_runs(file)$m, 4)
  expect_identical(read_runs(file, details = TRUE)$status, "finished")
})

test_that("rows that came after the end of a run have no effect, in every reader", {
  file <- test_path("fixtures", "format-1-finished.csv")
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$status, rep("finished", 3))
  expect_identical(runs$eta, c(0.3, NA, NA))
  expect_identical(runs$rmse, c(5, 4, 6))
  expect_identical(runs$loss, c(0.7, NA, NA))
  expect_identical(runs$tags.by[[1]], "somebody")
  expect_identical(runs$tags.checked[[1]], TRUE)
  expect_identical(best_run(file, "rmse")$rmse, 4)
  expect_identical(read_metrics(file)$value, c(0.9, 0.7))
  verified <- verify_ledger(file)
  expect_identical(verified$status, "ok")
  expect_identical(verified$problems$row, c(6, 7, 9, 10))
  unended <- withr::local_tempfile()
  writeBin(utils::head(bytes(file), -1), unended)
  expect_identical(read_runs(unended, details = TRUE), runs)
})

test_that("a step is a whole number that a double can tell from the next", {
  file <- local_ledger()
  run <- start_run(file)
  odd <- list(NA, NA_real_, Inf, NaN, 1.5, 1e300, 2^53 + 2, -2^53 - 2, "1", TRUE, 1:2, list(1), sum, globalenv(), Sys.Date(), factor("a"))
  if (requireNamespace("bit64", quietly = TRUE)) {
    odd <- c(odd, list(bit64::as.integer64(7)))
  }
  for (step in odd) {
    expect_error(log_metrics(run, loss = 1, step = step), "`step` must be", class = "fitledger_error_argument")
  }
  for (step in list(-1, 0L, 2^53, -2^53)) log_metrics(run, loss = 1, step = step)
  end_run(run)
  expect_identical(read_metrics(file)$step, c(-1, 0, 2^53, -2^53))
})

test_that("what is wrong with a call is said", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 1))
  run <- start_run(file)
  expect_snapshot_conditions(transform = no_ids, {
    log_metrics("x", loss = 1)
    log_metrics(id, loss = 1)
    log_metrics(run, 1)
    log_metrics(run, loss = "x")
    log_metrics(run, loss = 1, step = 1.5)
    log_metrics(run, loss = 1:2, step = 1)
    end_run(run, status = "done")
    void_run(file, "20261123-000000-000000000000", "x")
    void_run(file, id, "")
    void_run(file, 1, "x")
    log_note(file, id)
    with_run(file, list(), 1)
    start_run(file, resume = "nothing")
    start_run(file, seeds = 1)
  })
})

test_that("what was reported is in the file, without another call", {
  file <- local_ledger()
  run <- start_run(file)
  log_metrics(run, loss = 1, step = 1)
  # What stands in the file, and not what this process knows.
  wait_until(any(grepl("loss", readLines(file_of(file)), fixed = TRUE)), "the value to be written")
  log_metrics(run, loss = 2, step = 2)
  end_run(run)
  expect_identical(read_metrics(file)$value, c(1, 2))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("the last value of a series counts, also where the clock was set back", {
  skip_without_sha256()
  file <- local_file()
  run <- start_run(file)
  log_metrics(run, loss = 9, step = 1)
  end_run(run, status = "failed")
  # As if all had been written an hour from now, by a clock that was put right since.
  text <- readLines(file)
  time <- regmatches(text, regexpr("time\"\":\\[[0-9.]+", text))
  seconds <- floor(as.numeric(sub(".*\\[", "", time)))
  later <- paste0("time\"\":[", format(seconds + 3600, digits = 17), ".5")
  bytes <- replaced(readBin(file, "raw", 1e5), time, later)
  forged <- local_copy(resealed(bytes))
  expect_identical(verify_ledger(forged)$status, "ok")

  run <- start_run(forged, resume = run$run_id)
  log_metrics(run, loss = 1, step = 2)
  expect_identical(read_runs(forged)$loss, 1)
  log_metrics(run, loss = 2, step = 3)
  end_run(run)
  expect_identical(read_runs(forged)$loss, 2)
  expect_identical(read_metrics(forged)$value, c(9, 1, 2))
  expect_false(is.unsorted(read_metrics(forged)$time))
  expect_identical(verify_ledger(forged)$status, "ok")

  # And where another process reports to the run.
  forged <- local_copy(resealed(bytes))
  run <- start_run(forged, resume = run$run_id)
  run_apart(c(
    "library(fitledger)", sprintf("run <- structure(list(file = '%s', run_id = '%s'), class = 'fitledger_run')", forged, run$run_id),
    "log_metrics(run, loss = 1, step = 2)", "cat('done\\n')"
  ))
  expect_identical(read_runs(forged)$loss, 1)
})

test_that("the last value of a series counts, also after another process reported by a clock that is ahead", {
  skip_without_sha256()
  file <- local_file()
  run <- start_run(file)
  log_metrics(run, loss = 9, step = 1)
  expect_identical(read_runs(file)$loss, 9)
  run_apart(c(
    "library(fitledger)", sprintf("run <- structure(list(file = '%s', run_id = '%s'), class = 'fitledger_run')", file, run$run_id),
    "log_metrics(run, loss = 8, acc = 0, step = 2)", "log_metrics(run, top = 1)", "cat('done\\n')"
  ))
  # As if its clock were an hour ahead.
  text <- readLines(file)
  time <- utils::tail(regmatches(text, regexpr("time\"\":\\[[0-9.]+", text)), 1)
  seconds <- as.numeric(sub(".*\\[", "", time))
  bytes <- readBin(file, "raw", 1e5)
  from <- utils::tail(grepRaw("loss", bytes, all = TRUE), 1)
  ahead <- paste0("time\"\":[", format(floor(seconds) + 3600, digits = 17), ".5")
  for (i in 1:2) {
    at <- from - 1 + grepRaw(time, bytes[from:length(bytes)], fixed = TRUE)
    bytes <- c(bytes[seq_len(at - 1)], charToRaw(ahead), bytes[-seq_len(at + nchar(time) - 1)])
  }
  writeBin(resealed(bytes), file)
  expect_identical(read_runs(file)$loss, 8)

  # By way of the buffer, by a call that writes points, and at the end.
  log_metrics(run, loss = 1, step = 3)
  expect_identical(read_runs(file)$loss, 1)
  log_series(file, run$run_id, data.frame(metric = c("loss", "acc"), step = 4, value = c(2, 3)), new_notes())
  expect_identical(read_runs(file, columns = c("loss", "acc"))[c("loss", "acc")], data.frame(loss = 2, acc = 3))
  log_metrics(run, loss = 4, step = 5)
  end_run(run)
  expect_identical(read_runs(file)$loss, 4)
  points <- read_metrics(file, metrics = "loss")
  expect_identical(points$value, c(9, 8, 1, 2, 4))
  expect_false(is.unsorted(points$time))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a value that waits to be written is older than what another process has reported meanwhile", {
  skip_on_os("windows")
  file <- local_file()
  for (i in 1:5) {
    run <- start_run(file)
    log_metrics(run, loss = 0, step = 1)
    parallel::mccollect(parallel::mcparallel(log_metrics(run, loss = 1, step = 2)))
    end_run(run)
  }
  expect_identical(read_runs(file)$loss, rep(1, 5))
})

# Whether a value of a series stands in the file, whatever this process knows.
stands_there <- function(file, name) {
  any(grepl(paste0("\"\"", name, "\"\":"), readLines(file, warn = FALSE), fixed = TRUE))
}

test_that("what one ledger waits for, no other one does", {
  stuck <- replicate(3, local_file())
  file <- local_file()
  runs <- lapply(stuck, start_run)
  run <- start_run(file)
  file.create(stuck[[1]])
  writeLines("something else", stuck[[2]])
  local_lock(stuck[[3]])
  for (of_stuck in runs) log_metrics(of_stuck, loss = 1, step = 1)
  for (name in letters[1:3]) {
    log_metrics(run, list(1) |> rlang::set_names(name), step = 1)
    wait_until(stands_there(file, name), "the value to be written")
  }
  # Nor where R itself waits. It does so for some time before it says so; another try is for a machine that is busy.
  seen <- FALSE
  look <- function(message) {
    seen <<- stands_there(file, name)
    rlang::interrupt()
  }
  for (name in letters[4:8]) {
    log_metrics(run, list(1) |> rlang::set_names(name), step = 1)
    tryCatch(withCallingHandlers(log_params(runs[[3]], a = 1), message = look), interrupt = function(e) NULL)
    if (seen) break
  }
  expect_true(seen)
})

test_that("a ledger that was emptied is told at the next call", {
  skip_unless_file()
  file <- local_file()
  run <- start_run(file)
  file.create(file)
  steps <- 0
  reported <- function() {
    Sys.sleep(0.05)
    steps <<- steps + 1
    log_metrics(run, loss = 1, step = steps)
  }
  rows_gone <- function(code) tryCatch(is.null(code), fitledger_error_rows_gone = function(e) TRUE)
  wait_until(rows_gone(reported()), "the error")
  # And not only since there is no room for more.
  expect_lt(steps, 1000)
  expect_error(reported(), "holds no row", class = "fitledger_error_rows_gone")
  expect_identical(file.size(file), 0)
})

test_that("a killed process has reported what it had", {
  skip_on_os("windows")
  file <- local_file()
  said <- withr::local_tempfile()
  run_apart(c(
    "library(fitledger)", sprintf("run <- start_run('%s')", file), "log_metrics(run, loss = 1, step = 1)",
    sprintf("while (!any(grepl('loss', readLines('%s')))) Sys.sleep(0.01)", file),
    "cat('done\\n')", "tools::pskill(Sys.getpid(), 9)"
  ), wait = FALSE)
  expect_identical(read_metrics(file)$value, 1)
})

test_that("a forked child holds nothing back", {
  skip_on_os("windows")
  file <- local_ledger()
  run <- start_run(file, list(of = "parent"))
  log_metrics(run, loss = 0, step = 0)
  children <- lapply(1:3, function(child) {
    parallel::mcparallel({
      own <- start_run(file, list(of = "child"))
      for (step in 1:20) log_metrics(own, loss = child, step = step)
      log_metrics(run, loss = child, step = child)
      c(own$run_id, last_run_id(file))
    })
  })
  ids <- parallel::mccollect(children)
  for (id in ids) expect_identical(id[[1]], id[[2]])
  expect_identical(last_run_id(file), run$run_id)
  points <- read_metrics(file)
  expect_identical(nrow(points), 64L)
  expect_identical(sort(points$value[points$run_id == run$run_id]), c(0, 1, 2, 3))
  end_run(run)
})

test_that("a child of a process with many live runs has none of their threads", {
  skip_on_os("windows")
  files <- replicate(60, local_file())
  runs <- lapply(files, start_run)
  for (run in runs) log_metrics(run, m = 1, step = 1)
  wait_until(all(vapply(files, stands_there, NA, "m")), "the values to be written")
  child <- parallel::mcparallel({
    run <- start_run(files[[1]])
    log_metrics(run, m = 2, step = 1)
    run$run_id
  })
  id <- parallel::mccollect(child)[[1]]
  expect_identical(read_metrics(files[[1]], id)$value, 2)
})

test_that("forks while the thread writes neither hang nor lose a value", {
  skip_on_os("windows")
  file <- local_ledger()
  run <- start_run(file)
  for (step in 1:40) {
    log_metrics(run, loss = step, step = step)
    Sys.sleep(0.01)
    child <- parallel::mcparallel(log_run(file, list(step = step), list(m = 1)))
    parallel::mccollect(child)
  }
  end_run(run)
  expect_identical(read_metrics(file)$value, as.double(1:40))
  expect_identical(nrow(read_runs(file)), 41L)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("who was taken over is told", {
  file <- local_ledger()
  run <- start_run(file)
  log_metrics(run, m = 1)
  run_apart(c("library(fitledger)", sprintf("run <- start_run(%s, resume = '%s', take_over = TRUE)", code_of(file), run$run_id), "cat('done\n')"))
  error <- expect_error(log_metrics(run, m = 2), "was taken over by another process", class = "fitledger_error_ended")
  expect_identical(error$how, "taken_over")
  expect_error(end_run(run), class = "fitledger_error_ended")
  expect_identical(read_runs(file)$m, 1)
  # Who took it has ended by now: it is lost, as the first is not.
  run <- start_run(file, resume = run)
  log_metrics(run, m = 3)
  end_run(run)
  expect_identical(read_runs(file, details = TRUE)[c("m", "status")], data.frame(m = 3, status = "finished"))
})

test_that("what can't be written any more, since the run was taken over, isn't kept", {
  file <- local_file()
  run <- start_run(file)
  run_apart(c("library(fitledger)", sprintf("run <- start_run(%s, resume = '%s', take_over = TRUE)", code_of(file), run$run_id), "cat('done\n')"))
  log_metrics(run, loss = 1, step = 1)
  expect_error(call_native(native_buffer_write, run$file, run$run_id), class = "fitledger_error_ended")
  expect_false(run$run_id %in% native_buffered(NULL)$run_id)
})

test_that("values that waited to be written while another process ended the run are said to be lost", {
  file <- local_file()
  end_elsewhere <- function(run) {
    take <- sprintf("run <- start_run(%s, resume = '%s', take_over = TRUE)", code_of(file), run$run_id)
    run_apart(c("library(fitledger)", take, "end_run(run)", "cat('done\n')"))
    # In one call: the thread may have seen the end by the next.
    log_metrics(run, loss = 1, acc = 2, step = 1)
  }
  end_elsewhere(start_run(file))
  expect_warning(read_runs(file), "taken over.* 2 values that .* can't be recorded", class = "fitledger_warning_not_recorded")
  expect_no_warning(read_runs(file))
  run <- start_run(file)
  end_elsewhere(run)
  expect_error(log_params(run, a = 1), "2 values", class = "fitledger_error_ended")
})

test_that("an error after the run was ended says nothing of its end, which is on record", {
  file <- local_ledger()
  withr::local_options(warn = 2)
  fails <- function(run) {
    end_run(run, list(m = 1))
    stop("after the end")
  }
  expect_error(with_run(file, list(), fails), "after the end", class = "simpleError")
  run <- start_run(file)
  expect_error(with(run, fails(.run)), "after the end", class = "simpleError")
  expect_error(with_run(file, list(), function(run) {
    end_run(run)
    log_metrics(run, m = 1)
  }), class = "fitledger_error_ended")
  expect_identical(status(file), rep("finished", 3))
})

test_that("a verb that isn't given a run says so", {
  for (verb in expression(
    log_metrics(a = 1), log_metrics(a = 1, step = 1), log_metrics(), log_params(a = 1), log_tags(a = 1), log_artifact(name = "a", x = 1),
    end_run(metrics = list(a = 1))
  )) {
    expect_error(eval(verb), "`.run` must be a live run.*, it is missing", class = "fitledger_error_argument")
  }
})

test_that("of a run that is this process's every verb says where it is, or that it is gone", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = 1))
  older <- bytes(file)
  for (live in c(TRUE, FALSE)) {
    writeBin(older, file)
    run <- start_run(file, list(a = 2))
    if (!live) end_run(run)
    other <- local_file()
    log_run(other, list(a = 1), list(m = 1))
    elsewhere <- other
    verbs <- expression(
      read_run(elsewhere, run), read_metrics(elsewhere, run), tag_run(elsewhere, run, a = 1), log_note(elsewhere, run, "x"),
      void_run(elsewhere, run, "x"), log_run(elsewhere, list(), list(), parent = run), read_artifacts(elsewhere, run),
      compare_runs(elsewhere, run), start_run(elsewhere, resume = run), reveal_run(elsewhere, run, "x"),
      register_model(elsewhere, "a", run), trace_lineage(elsewhere, run$run_id), write_lockfile(elsewhere, run, tempfile()),
      compare_session(elsewhere, run)
    )
    for (verb in verbs) {
      e <- expect_error(eval(verb), class = "fitledger_error_unknown")
      if (live) expect_match(conditionMessage(e), paste0("It is a run of '", file, "'"), fixed = TRUE)
      expect_no_match(conditionMessage(e), "Did you mean")
    }
    writeBin(older, file)
    elsewhere <- file
    for (verb in verbs) expect_error(eval(verb), "is not in the ledger any more", class = "fitledger_error_rows_gone")
    expect_identical(bytes(file), older)
  }
  # Whose it is nobody knows: that of another run is not meant.
  id <- log_run(file, list(), list())
  near <- sub(".$", if (endsWith(id, "0")) "1" else "0", id)
  e <- expect_error(read_run(file, near), "read_runs(file, void = TRUE)", fixed = TRUE, class = "fitledger_error_unknown")
  expect_no_match(conditionMessage(e), "Did you mean")
  expect_error(read_run(file, substr(id, 1, 22)), "Did you mean", class = "fitledger_error_unknown")
})

test_that("a function that ends its run itself keeps its value", {
  file <- local_ledger()
  value <- with_run(file, list(), function(run) {
    end_run(run, list(m = 1))
    "the fit"
  })
  expect_identical(value, "the fit")
  expect_identical(with_run(file, list(), function(run) end_run(run, status = "failed")$run_id), last_run_id(file))
  expect_identical(read_runs(file, details = TRUE)$status, c("finished", "failed"))
})

test_that("a run that stands in two ledgers takes in each what is reported to it there", {
  for (order in list(1:2, 2:1)) {
    files <- c(local_file(), local_file())
    run <- start_run(files[[1]], list(a = 1))
    suppressMessages(import_runs(files[[1]], files[[2]]))
    runs <- list(run, start_run(files[[2]], resume = run$run_id, take_over = TRUE))
    expect_match(utils::tail(read_ledger(files[[2]])$context, 1), "\"takes\":", fixed = TRUE)
    # It is this process's in both.
    expect_no_error(start_run(files[[2]], resume = runs[[2]]))
    log_metrics(runs[[2]], kept = 1, step = 1)
    expect_identical(native_buffered(files[[2]])$run_id, run$run_id)
    expect_identical(native_buffered(files[[1]])$run_id, character())
    for (i in order) log_metrics(runs[[i]], m = i, step = i)
    for (i in rev(order)) end_run(runs[[i]])
    for (i in 1:2) {
      expect_identical(read_metrics(files[[i]], metrics = "m")[c("step", "value")], data.frame(step = as.numeric(i), value = as.numeric(i)))
      expect_identical(read_runs(files[[i]], columns = "status")$status, "finished")
    }
  }
  # By another path it is the same ledger.
  skip_on_os("windows")
  link <- withr::local_tempfile(fileext = ".csv")
  file.symlink(files[[1]], link)
  run <- start_run(files[[1]], list(a = 2))
  again <- run
  again$file <- link
  log_metrics(run, m = 1, step = 1)
  log_metrics(again, m = 2, step = 2)
  expect_identical(read_metrics(link, run$run_id)$value, c(1, 2))
  end_run(again)
  expect_identical(read_metrics(files[[1]], run$run_id)$value, c(1, 2))
})

test_that("a ledger that is renamed brings its live runs along", {
  skip_on_os("windows")
  for (resumed in c(TRUE, FALSE)) {
    file <- local_file()
    renamed <- local_file()
    run <- start_run(file)
    log_metrics(run, m = 1, step = 1)
    file.rename(file, renamed)
    if (resumed) {
      run <- start_run(renamed, resume = run$run_id)
    } else {
      run$file <- renamed
    }
    end_run(run)
    expect_identical(read_metrics(renamed)$value, 1)
    expect_identical(read_runs(renamed, columns = "status")$status, "finished")
  }
})

test_that("a ledger that got the file number of a removed one doesn't get its live runs", {
  skip_on_os("windows")
  removed <- local_file()
  run <- start_run(removed)
  log_metrics(run, m = 1, step = 1)
  # The same number for sure: what is there under it is another ledger by now.
  file <- local_file()
  file.rename(removed, file)
  writeLines(character(), file)
  log_run(file, list(), list())
  expect_identical(native_buffered(file)$run_id, character())
  expect_true(run$run_id %in% native_buffered(NULL)$run_id)
})

test_that("what a process without standard streams prints is in no ledger", {
  skip_on_os("windows")
  file <- local_file()
  script <- withr::local_tempfile(fileext = ".R")
  # While a thread writes what was buffered the script goes on.
  writeLines(c(
    paste0(".libPaths(", deparse1(.libPaths()), ")"),
    "library(fitledger)",
    paste0("run <- start_run(", deparse1(file), ", list())"),
    "began <- Sys.time()",
    "step <- 0",
    "while (Sys.time() - began < 1.5 || step < 1000) {",
    "  step <- step + 1",
    "  log_metrics(run, loss = 1, step = step)",
    "  cat('epoch', step, '\\n')",
    "  Sys.sleep(0.0005)",
    "}",
    "end_run(run)"
  ), script)
  begin <- paste(shQuote(file.path(R.home("bin"), "exec", "R")), "--vanilla --no-echo -f", shQuote(script))
  expect_identical(system2("sh", c("-c", shQuote(paste(begin, "<&- >&- 2>&-")))), 0L)
  expect_identical(verify_ledger(file)$status, "ok")
  expect_identical(read_runs(file, details = TRUE)$status, "finished")
})

test_that("a run of a process that this one can't tell from others is not lost", {
  namespaces <- list(pids = c("--pid", "--fork"), time = c("--time", "--boottime", "100000", "--fork"))
  works <- function(options) {
    nzchar(Sys.which("unshare")) && system2("unshare", c(options, "true"), stdout = FALSE, stderr = FALSE) == 0
  }
  namespaces <- Filter(works, namespaces)
  skip_if(!length(namespaces), "No namespaces can be made here")
  file <- local_file()
  run <- start_run(file, list())
  ask <- paste0(
    ".libPaths(", deparse1(.libPaths()), "); library(fitledger); own <- start_run(", deparse1(file), ", list()); ",
    "stopifnot(read_runs(", deparse1(file), ", details = TRUE)$status == 'running'); end_run(own); void_run(", deparse1(file), ", own$run_id, 'asked')"
  )
  script <- withr::local_tempfile(fileext = ".R", lines = ask)
  for (options in namespaces) {
    # Of /proc it sees what this process does.
    rscript <- c(file.path(R.home("bin"), "Rscript"), "--vanilla", script)
    expect_identical(system2("unshare", c(options, shQuote(rscript)), stdout = FALSE, stderr = FALSE), 0L)
  }
  end_run(run)
})
