test_that("a fit is one finished run, with the model", {
  file <- local_ledger()
  fit <- lm(dist ~ speed, cars)
  same <- withVisible(log_fit(
    file, fit,
    data = cars, seed = 3, tags = list(by = "ann"), name = "first", experiment = "cars",
    parent = log_run(file, list(), list())
  ))
  expect_false(same$visible)
  expect_identical(same$value, fit)
  run <- read_run(file, last_run_id(file))
  about <- list(name = "first", experiment = "cars", status = "finished", seed = 3L)
  expect_identical(unclass(run)[names(about)], about)
  expect_identical(run$tags, list(by = "ann"))
  expect_identical(run$data[[1]]$hash, hash_data(cars))
  expect_identical(run$params$learner, "stats::lm")
  expect_identical(unclass(run$params$formula), "dist ~ speed")
  expect_identical(run$call$code, "lm(formula = dist ~ speed, data = cars)")
  expect_identical(lapply(run$metrics, as.numeric), lapply(describe_fit(fit)$metrics, as.numeric))
  expect_equal(run$metrics$train.AIC, AIC(fit))
  model <- read_artifact(file, run$run_id, "model")
  expect_identical(coef(model), coef(fit))
  register_model(file, "stopping", run$run_id, signature = head(cars))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a fit with series is a finished run that has them", {
  file <- local_ledger()
  series <- data.frame(
    metric = rep(c("train.loss", "cv.loss"), each = 3), step = c(1:3, 2, 4, 6), value = c(3, 2, 1, 6, 4, 5)
  )
  registerS3method("describe_fit", "fl_net", function(x, ...) x$says, envir = asNamespace("fitledger"))
  net <- function(...) structure(list(says = fit_description(...)), class = "fl_net")
  log_fit(
    file, net(
      params = list(rate = 0.1), metrics = list(cv.loss = 4), series = series, sealed = list(test = 7), seconds = 2.5,
      notes = c("one", "two", "one"), seed = 11L, packages = c(flnet = "1.2")
    )
  )
  run <- read_run(file, last_run_id(file))
  expect_identical(run$status, "finished")
  expect_identical(run$series[c("metric", "step", "value")], series, ignore_attr = TRUE)
  # What the fit says of a metric at last is what counts.
  expect_identical(run$metrics, list(train.loss = 1, cv.loss = 4, seconds = 2.5))
  expect_identical(best_run(file, "cv.loss", over = "min")$cv.loss, 4)
  expect_identical(run$params, list(learner = "fl_net", rate = 0.1))
  expect_identical(run$sealed, "test")
  expect_identical(run$seed, 11L)
  expect_identical(run$notes$text, c("one", "two"))
  expect_identical(run$call$figures, list(flnet = "1.2"))
  expect_identical(run$artifacts$artifact, "model")
  log_fit(file, net(seed = 11L), seed = 12, artifact = NULL)
  expect_identical(read_run(file, last_run_id(file))$seed, 12L)
  expect_identical(nrow(read_artifacts(file)), 1L)

  # More points than a row has room for.
  n <- 250000
  long <- data.frame(metric = "loss", step = seq_len(n), value = stats::runif(n))
  log_fit(file, net(series = long), artifact = NULL)
  points <- read_metrics(file, last_run_id(file))
  expect_identical(points$value, long$value)
  expect_identical(as.numeric(points$step), as.numeric(long$step))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("the learner is named as log_call() names it, as far as the call says", {
  file <- local_ledger()
  learner_of <- function(fit) {
    log_fit(file, fit, artifact = NULL)
    utils::tail(read_runs(file)$learner, 1)
  }
  expect_identical(learner_of(stats::loess(dist ~ speed, cars)), "stats::loess")
  expect_identical(learner_of(kmeans(cars, 2)), "kmeans")
  mine <- function(x) structure(list(call = match.call()), class = "fl_mine")
  expect_identical(learner_of(mine(1)), "mine")
  away <- function() {
    hidden <- function(x) structure(list(call = sys.call()), class = "fl_mine")
    hidden(1)
  }
  expect_identical(learner_of(away()), "hidden")
  odd <- list(
    structure(list(call = "text"), class = "fl_mine"), structure(list(call = quote(f(1)(2))), class = "fl_mine"),
    structure(list(call = str2lang("nopackage::f(x)")), class = "fl_mine"),
    structure(list(call = quote(`if`(a, b))), class = "fl_mine")
  )
  expect_identical(vapply(odd, learner_of, ""), c("fl_mine", "fl_mine", "f", "if"))
})

test_that("wrong arguments are errors before anything is written, and before the fit is made", {
  made <- FALSE
  make <- function() {
    made <<- TRUE
    lm(dist ~ speed, cars)
  }
  file <- local_file()
  refused <- function(expr) {
    expect_error(expr, class = "fitledger_error_argument")
    expect_false(file.exists(file))
    expect_false(made)
  }
  refused(log_fit(1, make()))
  refused(log_fit(file))
  refused(log_fit(file, make(), artefact = "x"))
  refused(log_fit(file, make(), "model"))
  for (artifact in list(1, "", NA_character_, c("a", "b"), lm)) refused(log_fit(file, make(), artifact = artifact))
  for (tags in list(1, list(1), list(a = 1, a = 2), lm, list(a = mtcars))) refused(log_fit(file, make(), tags = tags))
  for (seed in list("x", 1.5, c(1, 2))) refused(log_fit(file, make(), seed = seed))
  refused(log_fit(file, make(), data = NA))
  expect_error(log_fit(file, make(), data = "no-such-file.csv"), class = "fitledger_error_not_found")
  refused(log_fit(file, make(), name = 1))
  writeLines("something else", file)
  expect_error(log_fit(file, make()), class = "fitledger_error_not_a_ledger")
  expect_false(made)
  expect_error(log_fit(tempfile(), stop("mine")), "mine")
})

test_that("what can't be recorded doesn't cost the fit", {
  file <- local_ledger()
  registerS3method("describe_fit", "fl_wild", function(x, ...) x$says, envir = asNamespace("fitledger"))
  says <- fit_description(params = list(a = 1, b = globalenv(), run_id = 2), metrics = list(timestamp = 1, c = 2))
  fit <- structure(list(says = says), class = "fl_wild")
  withr::local_options(warn = 2)
  not_recorded <- "fitledger_warning_not_recorded"
  expected <- "params\\$b.*params\\$run_id.*timestamp"
  expect_warning(same <- log_fit(file, fit, artifact = NULL), expected, class = not_recorded)
  expect_identical(same, fit)
  run <- read_run(file, last_run_id(file))
  expect_identical(run$params, list(learner = "fl_wild", a = 1))
  expect_identical(run$metrics, list(c = 2))

  # A row that is too long, a disk that refuses.
  says$params <- list(a = strrep("x", 17e6))
  fit$says <- says
  expect_warning(log_fit(file, fit, artifact = NULL), "16 MiB", class = not_recorded)
  skip_unless_file()
  skip_on_os("windows")
  skip_if(Sys.info()[["effective_user"]] == "root", "root may write anywhere")
  Sys.chmod(file, "444")
  withr::defer(Sys.chmod(file, "644"))
  expect_warning(same <- log_fit(file, fit), class = not_recorded)
  expect_identical(same, fit)
})

test_that("log_call() has the figures of the fit with nothing written for it", {
  skip_if_not_installed("ranger")
  file <- local_ledger()
  fit <- log_call(file, ranger::ranger(mpg ~ ., data = mtcars, num.trees = 10))
  run <- read_run(file, last_run_id(file))
  expect_identical(run$metrics$oob.mse, fit$prediction.error)
  expect_identical(run$call$figures, list(fitledger = as.character(utils::packageVersion("fitledger"))))
  expect_identical(run$call$code, "ranger::ranger(mpg ~ ., data = mtcars, num.trees = 10)")
  expect_identical(best_run(file, "oob.mse")$run_id, run$run_id)
})

test_that("log_call() takes figures, series and notes of a description, and of none nothing", {
  file <- local_ledger()
  net <- function(k = 1) structure(list(loss = c(3, 2, 1)), class = "fl_curve")
  registerS3method("describe_fit", "fl_curve", function(x, ...) {
    fit_description(
      metrics = list(best = min(x$loss)), series = data.frame(metric = "loss", step = 1:3, value = x$loss),
      notes = "a remark", seconds = 1.5, sealed = list(test = 9)
    )
  }, envir = asNamespace("fitledger"))
  expect_silent(log_call(file, net(k = 2)))
  run <- read_run(file, last_run_id(file))
  expect_identical(run$metrics, list(loss = 1, best = 1, seconds = 1.5))
  expect_identical(run$series$value, c(3, 2, 1))
  expect_identical(run$notes$text, "a remark")
  expect_identical(run$sealed, "test")
  expect_identical(run$params, list(learner = "net", k = 2))
  log_call(file, net(), metrics = NULL)
  expect_length(read_run(file, last_run_id(file))$metrics, 0)
  log_call(file, net(), metrics = function(fit) {
    described <- describe_fit(fit)
    described$metrics$more <- 5
    described
  }, redact = "k")
  run <- read_run(file, last_run_id(file))
  expect_identical(run$metrics[c("best", "more")], list(best = 1, more = 5))
  expect_identical(nrow(run$series), 3L)
  for (value in list(3, cars, NULL, "text", list(a = 1), mean)) {
    made <- log_call(file, identity(value))
    expect_identical(made, value)
    expect_length(read_run(file, last_run_id(file))$metrics, 0)
    expect_null(read_run(file, last_run_id(file))$call$figures)
  }
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("with something redacted no note of a description is on record", {
  file <- local_ledger()
  secret <- function(key) structure(list(key = key), class = "fl_secret")
  fails <- function(x, ...) stop("hunter2: ", x$key)
  registerS3method("describe_fit", "fl_secret", fails, envir = asNamespace("fitledger"))
  log_call(file, secret("hunter2"), redact = "key")
  expect_false(any(grepl("hunter2", unlist(read_ledger(file)), fixed = TRUE)))
  log_call(file, secret("open"))
  expect_match(read_notes(file)$text, "hunter2: open")
})

test_that("a search of anybody's class is a run with a run for each candidate", {
  file <- local_ledger()
  registerS3method("describe_fit", "fl_search", function(x, ...) x$says(), envir = asNamespace("fitledger"))
  search <- function(...) {
    force(list(...))
    structure(list(says = function() fit_description(...)), class = "fl_search")
  }
  runs <- data.frame(
    params = I(lapply(1:3, function(k) list(k = k, workflow = "a workflow"))), metrics = I(list(list(rmse = 2), c(rmse = 1), NULL)),
    status = c("finished", "finished", "failed")
  )
  runs$series <- list(data.frame(metric = "rmse", step = 1:2, value = c(3, 2)), NULL, NULL)
  runs$tags <- list(list(by = "ann"), NULL, NULL)
  log_fit(file, search(params = list(folds = 2L), runs = runs, notes = "a remark", metrics = list(tried = 3)), name = "the search")
  logged <- read_runs(file, details = TRUE)
  id <- logged$run_id[[1]]
  expect_identical(logged$parent, c(NA, id, id, id))
  expect_identical(logged$status, c("finished", runs$status))
  expect_identical(logged$k, c(NA, 1:3))
  expect_identical(logged$rmse, c(NA, 2, 1, NA))
  expect_identical(logged$tags.by, c(NA, "ann", NA, NA))
  expect_identical(logged$folds, c(2L, NA, NA, NA))
  expect_identical(logged$tried, c(3, NA, NA, NA))
  expect_identical(read_metrics(file)$value, c(3, 2))
  expect_identical(read_notes(file)$text, "a remark")
  expect_identical(read_artifacts(file)$artifact, "results")
  expect_identical(best_run(file, "rmse", maximize = FALSE)$k, 2L)

  # What can't be recorded of one candidate costs no other.
  odd <- runs[c("params", "metrics")]
  odd$params[[1]]$env <- globalenv()
  odd$params[[2]][c("long", "longer")] <- strrep("x", c(9e6, 10e6))
  expect_warning(
    log_fit(file, search(params = list(env = globalenv()), runs = odd), name = "odd"), "params\\$env.*The candidate 2: .*16 MiB",
    class = "fitledger_warning_not_recorded"
  )
  logged <- read_runs(file, columns = c("k", "status"))[-(1:4), ]
  expect_identical(logged$k, c(NA, 1L, 3L))
  expect_identical(logged$status, rep("finished", 3))

  # One without candidates is one run, and so is one that can't be read.
  log_fit(file, search(runs = runs[0, ]))
  log_fit(file, search(runs = cars), artifact = NULL)
  expect_match(utils::tail(read_notes(file)$text, 1), "runs$params", fixed = TRUE)
  expect_identical(nrow(read_runs(file)), 9L)
  expect_identical(verify_ledger(file)$status, "ok")
})
