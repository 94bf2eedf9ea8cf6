expect_described <- function(x) {
  expect_s3_class(x, "fitledger_description")
  expect_named(
    x, c("params", "metrics", "series", "runs", "sealed", "notes", "seconds", "seed", "packages", "prototype")
  )
  invisible(x)
}

points_of <- function(described, metric) {
  points <- described$series[described$series$metric == metric, ]
  points$value[order(points$step)]
}

numbers_in <- function(x) {
  as.list(vapply(Filter(function(x) is.numeric(x) && length(x) == 1, as.list(x)), as.numeric, 0))
}

# The candidates of a search as somebody would write them, with further columns.
two_candidates <- function(...) {
  data.frame(params = I(list(list(k = 1), c(k = "a"))), metrics = I(list(c(rmse = 2), NULL)), ...)
}

test_that("a description has every element, and each is checked", {
  empty <- expect_described(fit_description())
  expect_identical(empty$params, list())
  expect_identical(empty$series, data.frame(metric = character(), step = numeric(), value = numeric()))
  for (name in c("runs", "seconds", "seed", "prototype")) expect_null(empty[[name]])
  full <- fit_description(
    params = c(k = 1), metrics = data.frame(rmse = 2L), runs = two_candidates(), sealed = list(test = 3),
    series = data.frame(value = 1:2, metric = factor("loss"), step = 3:4, other = "x"),
    notes = "slow", seconds = as.difftime(2, units = "mins"), seed = 7, packages = c(stats = "4.2"), prototype = cars
  )
  expect_described(full)
  expect_identical(full$params, list(k = 1))
  expect_identical(full$series, data.frame(metric = "loss", step = c(3, 4), value = c(1, 2)))
  expect_identical(full$seconds, 120)
  expect_identical(full$seed, 7L)
  expect_identical(full$prototype, cars[0, ])
  # Of candidates there is all that a run has.
  expect_named(full$runs, c("params", "metrics", "series", "tags", "status"))
  expect_identical(full$runs$params, list(list(k = 1), list(k = "a")))
  expect_identical(full$runs$metrics, list(list(rmse = 2), list()))
  expect_identical(full$runs$series, rep(list(empty$series), 2))
  expect_identical(full$runs$tags, list(list(), list()))
  expect_identical(full$runs$status, c("finished", "finished"))
  expect_identical(fit_description(runs = full$runs), fit_description(runs = full$runs[c(5, 3, 4, 1, 2)]))
  expect_identical(fit_description(runs = full$runs)$runs, full$runs)
  expect_identical(nrow(fit_description(runs = full$runs[0, ])$runs), 0L)
  said <- two_candidates(
    status = factor(c("failed", "interrupted")), tags = I(list(list(by = "ann"), NULL)), other = 1:2,
    series = I(list(data.frame(metric = "rmse", step = 1:2, value = c(1, 3)), NULL))
  )
  said <- fit_description(runs = said)$runs
  expect_named(said, names(full$runs))
  expect_identical(said$status, c("failed", "interrupted"))
  expect_identical(said$tags, list(list(by = "ann"), list()))
  expect_identical(said$series[[1]]$step, c(1, 2))
  wrong <- list(
    params = list(list(1), lm, list(a = 1, a = 2), quote(x)),
    metrics = list(list(1), list(a = "x"), list(a = 1:2), list(a = NULL), c(a = TRUE)),
    sealed = list(list(a = "x")),
    series = list(
      1, data.frame(metric = "a", step = 1), data.frame(metric = 1, step = 1, value = 1),
      data.frame(metric = NA_character_, step = 1, value = 1), data.frame(metric = "a", step = 1.5, value = 1),
      data.frame(metric = "a", step = NA, value = 1), data.frame(metric = "a", step = 1, value = "x")
    ),
    runs = list(
      1, list(a = 1), cars, two_candidates()["params"], two_candidates()["metrics"], data.frame(),
      data.frame(params = 1:2, metrics = 1:2), two_candidates(status = "done"), two_candidates(status = NA_character_),
      two_candidates(status = 1), two_candidates(tags = 1), two_candidates(tags = I(list(1, 2))),
      two_candidates(series = 1), two_candidates(series = I(list(1, NULL))), replace(two_candidates(), "series", list(cars[1:2, ])),
      data.frame(params = I(list(lm)), metrics = I(list(list(a = 1)))),
      data.frame(params = I(list(list(a = 1, a = 2))), metrics = I(list(list(a = 1)))),
      data.frame(params = I(list(list(a = 1))), metrics = I(list(list(a = "x")))),
      data.frame(params = I(list(list(a = 1))), metrics = I(list(1)))
    ),
    notes = list(1, NA_character_), seconds = list("x", 1:2), seed = list(1.5, "x"),
    packages = list("4.2", c(a = NA), 1), prototype = list("speed", list(speed = 1))
  )
  for (arg in names(wrong)) {
    for (value in wrong[[arg]]) {
      given <- rlang::set_names(list(value), arg)
      made <- quote(do.call(fit_description, given, quote = TRUE))
      expect_error(eval(made), class = "fitledger_error_argument", label = paste(arg, deparse(value)[[1]]))
    }
  }
})

test_that("a description prints for a person", {
  described <- fit_description(
    params = list(k = 1L), metrics = list(oob.mse = 0.25),
    series = data.frame(metric = "loss", step = 1:2, value = c(0.9, 0.5)),
    sealed = list(test = 3), notes = "a\nnote\033[2J", seconds = 1.5, packages = c(broom = "1.0.0"), prototype = cars
  )
  expect_snapshot(print(described))
  expect_snapshot(fit_description())
})

test_that("what is no fit has an empty description", {
  loaded <- loadedNamespaces()
  values <- list(
    NULL, 1, "a", TRUE, 1:3, cars, Sys.Date(), factor("a"), mean, quote(x), y ~ x, list(1, 2), new.env(), table(1),
    matrix(1:4, 2), list(), as.raw(1), as.difftime(1, units = "secs")
  )
  for (value in values) expect_identical(describe_fit(value), fit_description())
  expect_identical(loadedNamespaces(), loaded)
  for (value in list(list(a = 1), structure(list(), class = "nobody_knows"), structure(function() 1, class = "f"))) {
    expect_identical(describe_fit(value), fit_description())
  }
})

# A copy of a fit, but for its environments, in which R goes on compiling functions.
copy_of <- function(fit) {
  bytes <- serialize(fit, NULL, refhook = function(x) if (is.environment(x)) "an environment")
  unserialize(bytes, refhook = function(text) globalenv())
}

# By the functions themselves, with a method for one of these classes.
figures_expected <- function(fit) {
  has <- function(generic, classes, package) {
    any(vapply(classes, function(class) !is.null(utils::getS3method(generic, class, TRUE, asNamespace(package))), NA))
  }
  if (requireNamespace("broom", quietly = TRUE) && has("glance", .class2(fit), "generics")) {
    glanced <- tryCatch(suppressWarnings(generics::glance(fit)), error = function(e) NULL)
    if (is.data.frame(glanced) && nrow(glanced) == 1) {
      return(numbers_in(glanced))
    }
  }
  home <- if (isS4(fit)) "stats4" else "stats"
  is_known <- function(name) {
    if (isS4(fit)) existsMethod(name, class(fit), where = asNamespace(home)) else has(name, class(fit), "stats")
  }
  figures <- list()
  for (name in c("nobs", "logLik", "AIC", "BIC", "deviance", "sigma")) {
    rests_on <- switch(name, AIC = , BIC = "logLik", sigma = c("deviance", "nobs"), "none")
    if (is_known(name) || all(rests_on %in% names(numbers_in(figures)))) {
      figures[[name]] <- tryCatch(getExportedValue(home, name)(fit), error = function(e) NULL)
    }
  }
  numbers_in(figures)
}

test_that("a fit of any class has glance()'s figures, or the plain ones, and nothing else changes", {
  makers <- rep(names(makers_of_fits), if (identical(Sys.getenv("NOT_CRAN"), "true")) 3 else 1)
  tried <- character()
  withr::local_options(warn = 2)
  for (i in seq_along(makers)) {
    fit <- withr::with_options(list(warn = 1), suppressWarnings(random_fit(makers[[i]], i)))
    if (is.null(fit)) next
    tried <- c(tried, makers[[i]])
    set.seed(i)
    before <- list(.Random.seed, options(), search())
    copy <- copy_of(fit)
    expect_silent(described <- describe_fit(fit))
    expect_identical(list(.Random.seed, options(), search()), before, label = makers[[i]])
    expect_identical(copy_of(fit), copy, label = makers[[i]])
    expect_described(described)
    expected <- figures_expected(fit)
    expect_identical(numbers_in(unname(described$metrics)), unname(expected), label = makers[[i]])
    names <- if (length(expected)) paste0("train.", names(expected))
    expect_identical(names(described$metrics), names, label = makers[[i]])
    expect_identical(length(described$packages) > 0, length(expected) > 0, label = makers[[i]])
  }
  expect_gt(length(unique(tried)), 25)
})

test_that("of a fit nothing is lost by what its methods do", {
  file <- local_ledger()
  log_run(file, list(), list())
  for (maker in names(makers_of_fits)) {
    fit <- suppressWarnings(random_fit(maker, 1))
    if (is.null(fit)) next
    copy <- copy_of(fit)
    set.seed(1)
    stream <- .Random.seed
    expect_silent(same <- suppressMessages(log_fit(file, fit, artifact = NULL)))
    expect_identical(.Random.seed, stream)
    expect_identical(copy_of(same), copy, label = maker)
    run <- read_run(file, last_run_id(file))
    described <- describe_fit(fit)
    expect_length(run$metrics, length(described$metrics))
    recorded <- lapply(names(described$metrics), function(name) run$metrics[[name]])
    expect_identical(recorded, unname(described$metrics), label = maker)
    expect_identical(unlist(run$call$figures), if (length(described$packages)) described$packages, label = maker)
    expect_identical(run$status, "finished")
  }
})

run_code <- function(code) {
  script <- withr::local_tempfile(fileext = ".R", lines = code)
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  rscript <- file.path(R.home("bin"), "Rscript")
  run <- function() system2(rscript, c("--vanilla", shQuote(script)), stdout = TRUE, stderr = TRUE)
  paste(withr::with_envvar(c(R_LIBS = libraries), suppressWarnings(run())), collapse = "\n")
}

test_that("the figures don't depend on what is attached, and what we load isn't the session's", {
  skip_if_not_installed("broom")
  code <- c(
    "options(fitledger.context = 'packages')",
    "file <- tempfile(fileext = '.csv')",
    "packages <- function() names(fitledger::read_run(file, fitledger::last_run_id(file))$session$packages)",
    "fit <- lm(dist ~ speed, cars)",
    "fitledger::log_run(file, list(), list())",
    "first <- packages()",
    "fitledger::log_fit(file, fit)",
    "bare <- fitledger::describe_fit(fit)",
    "fitledger::log_run(file, list(), list())",
    "stopifnot('broom' %in% loadedNamespaces(), identical(packages(), first))",
    "stopifnot(sum(fitledger::read_ledger(file)$event == 'session') == 1)",
    "library(broom)",
    "fitledger::log_run(file, list(), list())",
    "stopifnot(all(c('broom', 'dplyr', 'generics') %in% packages()))",
    "stopifnot(identical(fitledger::describe_fit(fit), bare))",
    "glance <- function(...) stop('mine')",
    "stopifnot(identical(fitledger::describe_fit(fit), bare), length(bare$metrics) > 10)",
    "cat('as it should be')"
  )
  expect_match(run_code(code), "as it should be", fixed = TRUE)
})

test_that("a method that fails, warns, prints, draws or asks is a note at most", {
  skip_if_not_installed("generics")
  glance_by <- function(class, fun) registerS3method("glance", class, fun, envir = asNamespace("generics"))
  glance_by("fl_fails", function(x, ...) stop("no luck"))
  glance_by("fl_noisy", function(x, ...) {
    warning("w")
    message("m")
    cat("c")
    data.frame(a = stats::runif(1) < 2, b = 3, c = "x", d = Sys.Date(), e = 4L, f = NA_real_)
  })
  glance_by("fl_two", function(x, ...) data.frame(a = 1:2))
  glance_by("fl_odd", function(x, ...) list(a = 1))
  glance_by("fl_asks", function(x, ...) if (rlang::is_interactive()) stop("asked") else data.frame(a = 1))
  of <- function(class) structure(list(call = quote(f(k = 2))), class = class)
  failed <- describe_fit(of("fl_fails"))
  expect_match(failed$notes, "glance(): no luck", fixed = TRUE)
  expect_identical(failed$metrics, list())
  expect_identical(failed$params, list(k = 2))
  withr::local_options(warn = 2, rlang_interactive = TRUE)
  rm(list = intersect(".Random.seed", ls(globalenv(), all.names = TRUE)), envir = globalenv())
  expect_silent(noisy <- describe_fit(of("fl_noisy")))
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
  expect_identical(noisy$metrics, list(train.b = 3, train.e = 4L, train.f = NA_real_))
  expect_identical(describe_fit(of("fl_two"))$metrics, list())
  expect_identical(describe_fit(of("fl_odd"))$metrics, list())
  expect_identical(describe_fit(of("fl_asks"))$metrics, list(train.a = 1))
  withr::local_options(warn = 0)

  # A class of one's own, whose method does as it likes.
  file <- local_ledger()
  registerS3method("describe_fit", "fl_own", function(x, ...) x$say(), envir = asNamespace("fitledger"))
  says <- function(say) structure(list(say = say), class = "fl_own")
  expect_silent(log_fit(file, says(function() stop("no luck")), artifact = NULL))
  expect_match(read_notes(file)$text, "describe_fit(): no luck", fixed = TRUE)
  expect_silent(log_fit(file, says(function() 1), artifact = NULL))
  more <- fit_description(metrics = list(train.loss = 1))
  more$other <- "new"
  expect_silent(log_fit(file, says(function() more), artifact = NULL))
  expect_identical(read_run(file, last_run_id(file))$metrics, list(train.loss = 1))
  broken <- structure(list(params = 1), class = "fitledger_description")
  expect_silent(log_fit(file, says(function() broken), artifact = NULL))
  expect_length(read_notes(file)$text, 3)
  expect_silent(log_fit(file, says(function() rlang::interrupt()), artifact = NULL))
  expect_identical(nrow(read_runs(file)), 5L)
  expect_identical(unique(read_runs(file, columns = "status")$status), "finished")
})

test_that("classes of S3, S4, S7 and R6 are described by what is registered for them", {
  method <- function(x, ...) fit_description(metrics = list(train.loss = 0.5))
  known <- function(class) registerS3method("describe_fit", class, method, envir = asNamespace("fitledger"))
  known("flS4")
  known("flpkg::S7")
  known("flR6")
  where <- environment()
  setClass("flS4", slots = c(a = "numeric"), where = where)
  setClass("flS4b", contains = "flS4", where = where)
  withr::defer({
    removeClass("flS4b", where = where)
    removeClass("flS4", where = where)
  })
  s7 <- structure(function() 1, class = c("flpkg::S7b", "flpkg::S7", "S7_object"))
  r6 <- structure(new.env(), class = c("flR6b", "flR6", "R6"))
  for (fit in list(new("flS4", a = 1), new("flS4b", a = 1), s7, r6)) {
    expect_identical(describe_fit(fit)$metrics, list(train.loss = 0.5))
  }
  skip_if_not_installed("R6")
  made <- R6::R6Class("flR6", public = list(call = 1), active = list(touched = function() stop("touched")))$new()
  expect_identical(describe_fit(made)$metrics, list(train.loss = 0.5))
  unknown <- R6::R6Class("flUnknown", active = list(call = function() stop("touched")))$new()
  expect_identical(describe_fit(unknown), fit_description())
})

test_that("the parameters are the arguments in the call, of which nothing is evaluated", {
  call <- call(
    "f",
    formula = quote(y ~ x), k = 2L, text = "a", data = cars, code = quote(stop("evaluated")), 5, none = NULL, v = 1:3,
    run_id = "a"
  )
  fit <- structure(list(call = call), class = "fl_called")
  params <- describe_fit(fit)$params
  expect_identical(names(params), c("formula", "k", "text", "code"))
  expect_identical(params[c("k", "text")], list(k = 2L, text = "a"))
  expect_identical(unclass(params$code), "stop(\"evaluated\")")
  file <- local_ledger()
  log_fit(file, fit, artifact = NULL)
  expect_identical(unclass(read_run(file, last_run_id(file))$params$formula), "y ~ x")
})

test_that("glmnet is described by its path", {
  skip_if_not_installed("glmnet")
  x <- as.matrix(mtcars[-1])
  y <- mtcars$mpg
  path <- glmnet::glmnet(x, y)
  described <- expect_described(describe_fit(path))
  expect_identical(described$metrics$train.nulldev, path$nulldev)
  expect_identical(points_of(described, "train.dev.ratio"), path$dev.ratio)
  expect_identical(points_of(described, "path.lambda"), path$lambda)
  expect_identical(points_of(described, "path.nzero"), as.numeric(path$df))
  set.seed(1)
  for (measure in c("mse", "mae")) {
    cv <- glmnet::cv.glmnet(x, y, nfolds = 4, type.measure = measure)
    described <- expect_described(describe_fit(cv))
    name <- paste0("cv.", measure)
    expect_identical(described$metrics[[name]], min(cv$cvm))
    expect_identical(described$metrics[[paste0(name, ".std_err")]], cv$cvsd[which.min(cv$cvm)])
    chosen <- c("lambda.min", "lambda.1se")
    expect_identical(described$metrics[chosen], unclass(cv)[chosen])
    expect_identical(described$metrics$nzero.min, cv$nzero[[which.min(cv$cvm)]])
    expect_identical(points_of(described, name), as.numeric(cv$cvm))
    expect_identical(points_of(described, "path.lambda"), cv$lambda)
  }
  cv <- glmnet::cv.glmnet(x, mtcars$am, family = "binomial", type.measure = "class", nfolds = 4)
  expect_identical(describe_fit(cv)$metrics$cv.class, min(cv$cvm))
  one <- describe_fit(glmnet::glmnet(x, y, lambda = 0.5))
  expect_identical(points_of(one, "path.lambda"), 0.5)
  expect_identical(one$params$lambda, 0.5)
})

test_that("ranger is described by its out-of-bag error, under the name of what that is", {
  skip_if_not_installed("ranger")
  fit <- ranger::ranger(mpg ~ ., mtcars, num.trees = 20, seed = 1)
  described <- expect_described(describe_fit(fit))
  expect_identical(described$metrics$oob.mse, fit$prediction.error)
  expect_identical(described$metrics$oob.r.squared, fit$r.squared)
  known <- c("num.trees", "mtry", "min.node.size")
  expect_identical(described$params[known], unclass(fit)[known])
  expect_identical(names(described$packages), "fitledger")
  d <- transform(iris, Species = factor(Species))
  fit <- ranger::ranger(Species ~ ., d, num.trees = 20)
  expect_identical(describe_fit(fit)$metrics$oob.error, fit$prediction.error)
  fit <- ranger::ranger(Species ~ ., d, num.trees = 20, probability = TRUE)
  expect_identical(describe_fit(fit)$metrics$oob.brier, fit$prediction.error)
  none <- describe_fit(ranger::ranger(mpg ~ ., mtcars, num.trees = 5, oob.error = FALSE))
  expect_false(any(startsWith(names(none$metrics), "oob.")))
  skip_if_not_installed("survival")
  fit <- ranger::ranger(survival::Surv(time, status) ~ age, survival::lung, num.trees = 20)
  expect_identical(describe_fit(fit)$metrics$oob.concordance, 1 - fit$prediction.error)
})

test_that("randomForest is described by its errors, tree by tree", {
  skip_if_not_installed("randomForest")
  fit <- randomForest::randomForest(mpg ~ ., mtcars, ntree = 12)
  described <- expect_described(describe_fit(fit))
  expect_identical(described$metrics, list(oob.mse = fit$mse[[12]], oob.r.squared = fit$rsq[[12]]))
  expect_identical(points_of(described, "oob.mse"), fit$mse)
  expect_identical(described$params[c("ntree", "mtry")], list(ntree = 12, mtry = fit$mtry))
  fit <- randomForest::randomForest(Species ~ ., iris, ntree = 12)
  described <- describe_fit(fit)
  expect_identical(described$metrics$oob.error, fit$err.rate[[12, "OOB"]])
  expect_identical(points_of(described, "oob.error.setosa"), unname(fit$err.rate[, "setosa"]))
  expect_identical(nrow(describe_fit(randomForest::randomForest(iris[1:4], ntree = 5))$series), 0L)
})

test_that("rpart is described by its table of complexities", {
  skip_if_not_installed("rpart")
  fit <- rpart::rpart(mpg ~ ., mtcars, control = rpart::rpart.control(minsplit = 5))
  described <- expect_described(describe_fit(fit))
  table <- as.data.frame(fit$cptable)
  last <- table[nrow(table), ]
  expect_identical(
    described$metrics,
    list(
      train.rel.error = last$`rel error`, cv.rel.error = last$xerror, cv.rel.error.std_err = last$xstd,
      leaves = length(unique(fit$where))
    )
  )
  expect_identical(points_of(described, "cv.rel.error"), table$xerror)
  expect_identical(described$series$step[described$series$metric == "cv.rel.error"], table$nsplit)
  expect_identical(described$params$minsplit, 5)
  root <- describe_fit(rpart::rpart(mpg ~ wt, mtcars, cp = 1, xval = 0))
  expect_identical(root$metrics, list(train.rel.error = 1, leaves = 1L))
})

test_that("a fit of parsnip is that of its engine, with what its specification asked for", {
  for (package in c("parsnip", "ranger", "rpart")) skip_if_not_installed(package)
  trees <- 30
  spec <- parsnip::rand_forest("regression", trees = trees, min_n = 2 + 3)
  spec <- parsnip::set_engine(spec, "ranger", seed = 5, importance = "impurity")
  fit <- parsnip::fit(spec, mpg ~ ., mtcars)
  described <- expect_described(describe_fit(fit))
  expect_identical(described$metrics$oob.mse, fit$fit$prediction.error)
  expect_identical(
    described$params[c("learner", "model", "mode", "engine", "trees", "seed", "importance")],
    list(
      learner = "ranger::ranger", model = "rand_forest", mode = "regression", engine = "ranger", trees = 30, seed = 5,
      importance = "impurity"
    )
  )
  expect_identical(unclass(described$params$min_n), "2 + 3")
  expect_false(any(c("formula", "data", "x") %in% names(described$params)))
  expect_gte(described$seconds, 0)
  spec <- parsnip::set_engine(spec, "ranger", splitrule = "none")
  failed <- suppressWarnings(parsnip::fit(spec, mpg ~ ., mtcars, control = parsnip::control_parsnip(catch = TRUE)))
  expect_match(describe_fit(failed)$notes, "Error")
  fit <- parsnip::fit(parsnip::linear_reg(), mpg ~ wt, mtcars)
  described <- describe_fit(fit)
  expect_identical(numbers_in(unname(described$metrics)), unname(figures_expected(fit$fit)))
})

test_that("a workflow is described by its fit, its preprocessor and what it predicts from", {
  for (package in c("workflows", "parsnip", "recipes", "rpart")) skip_if_not_installed(package)
  spec <- parsnip::set_engine(parsnip::decision_tree("regression", cost_complexity = 0.1), "rpart")
  recipe <- recipes::step_center(recipes::step_log(recipes::recipe(mpg ~ wt + hp, mtcars), hp), wt)
  flow <- workflows::workflow(recipe, spec)
  untrained <- expect_described(describe_fit(flow))
  expect_match(untrained$notes, "isn't trained")
  expect_identical(untrained$params$cost_complexity, 0.1)
  fit <- parsnip::fit(flow, mtcars)
  described <- expect_described(describe_fit(fit))
  expect_identical(described$params$preprocessor, "recipe")
  expect_identical(described$params$steps, "step_log + step_center")
  expect_identical(described$metrics$leaves, length(unique(fit$fit$fit$fit$where)))
  expect_identical(names(described$prototype), c("wt", "hp"))
  expect_identical(nrow(described$prototype), 0L)
  expect_gte(described$seconds, 0)
  expect_length(described$notes, 0)
  file <- local_ledger()
  log_fit(file, fit)
  run <- last_run_id(file)
  expect_identical(read_runs(file)$learner, "rpart::rpart")
  expect_identical(register_model(file, "tree", run, signature = described$prototype), 1L)
  expect_match(utils::tail(read_ledger(file)$context, 1), "\"wt\":{\"type\":\"double\"}", fixed = TRUE)
  # Of a data frame that has it, too, what is predicted is no column to predict from.
  register_model(file, "tree", run, signature = mtcars[c("wt", "hp", "mpg")])
  expect_s3_class(read_model(file, "tree/2"), "workflow")
  expect_false(grepl("\"mpg\"", utils::tail(read_ledger(file)$context, 1), fixed = TRUE))
  by_formula <- parsnip::fit(workflows::workflow(mpg ~ wt, spec), mtcars)
  expect_identical(unclass(describe_fit(by_formula)$params$formula), "mpg ~ wt")
  by_names <- workflows::add_variables(workflows::workflow(), mpg, c(wt, hp))
  by_names <- parsnip::fit(workflows::add_model(by_names, spec), mtcars)
  expect_identical(unclass(describe_fit(by_names)$params$predictors), "c(wt, hp)")
})

test_that("R has its output again, whenever an interrupt comes", {
  skip_on_cran()
  # One that comes as soon as output goes elsewhere; it meets what is evaluated.
  suppressMessages(trace("sink", exit = quote(if (inherits(file, "connection")) rlang::interrupt()), print = FALSE, where = baseenv()))
  withr::defer(suppressMessages(untrace("sink", where = baseenv())))
  before <- sink.number()
  expect_identical(tryCatch(undisturbed(Sys.sleep(10)), interrupt = function(e) "interrupted"), "interrupted")
  expect_identical(sink.number(), before)
})

test_that("an interrupt leaves the session as it was, wherever it comes", {
  skip_on_os("windows")
  busy <- function(n) for (i in seq_len(n)) identity(i)
  set.seed(1)
  before <- list(.Random.seed, getOption("digits"), sink.number(), getwd())
  # R looks for interrupts at each thousandth evaluation or so.
  left <- lapply(seq(0, 700, by = 20), function(n) {
    looked_at <- function() {
      options(digits = 3)
      set.seed(2)
      setwd(tempdir())
      tools::pskill(Sys.getpid(), tools::SIGINT)
      busy(n)
    }
    code <- quote({
      undisturbed(looked_at())
      Sys.sleep(10)
    })
    tryCatch(eval(code), interrupt = function(e) NULL)
    now <- list(.Random.seed, getOption("digits"), sink.number(), getwd())
    options(digits = before[[2]])
    setwd(before[[4]])
    assign(".Random.seed", before[[1]], globalenv())
    now
  })
  expect_identical(unique(left), list(before))
})
