# What `saveRDS()` doesn't keep of an object, and what it takes along.

pointer <- function() {
  skip_if_not_installed("xml2")
  unclass(getExportedValue("xml2", "read_xml")("<a/>"))$node
}

# The places of the pointers that a copy of `x` doesn't have.
lost <- function(x) {
  path <- withr::local_tempfile()
  saveRDS(x, path)
  lost_pointers(object_parts(x, "x"), path, "x")
}

# What is said of an object that drags something along.
said <- function(x) {
  path <- withr::local_tempfile()
  saveRDS(x, path)
  conditions_of(quote(say_dragged(object_parts(x, "x"), x, file.size(path), "x")), environment())
}

test_that("a pointer is found wherever it is", {
  p <- pointer()
  expect_identical(lost(p), "x")
  expect_identical(lost(list(fit = list(1, handle = p))), "x$fit$handle")
  expect_identical(lost(list(1, p)), "x[[2]]")
  expect_identical(lost(structure(1:3, state = p)), "attr(x, \"state\")")
  expect_identical(lost(list2env(list(handle = p), parent = emptyenv())), "x$handle")
  expect_identical(lost(local(function() p)), "parent.env(environment(x))$p")
  expect_identical(lost(list(predict = local(function() p))), "parent.env(environment(x$predict))$p")
  expect_identical(lost(function(model = p) model), "environment(x)$p")
  expect_identical(lost(list(y ~ p)), "environment(x[[1]])$p")
  helper <- function() p
  expect_identical(lost(function() helper()), "environment(environment(x)$helper)$p")
  expect_identical(lost(as.call(list(quote(predict), p))), "x[[2]]")
  expect_identical(lost(as.pairlist(list(a = p))), "x$a")
  holder <- methods::setClass("fitledger_holder", slots = c(p = "ANY"), where = globalenv())
  withr::defer(methods::removeClass("fitledger_holder", where = globalenv()))
  expect_identical(lost(holder(p = p)), "x@p")
  keeper <- methods::setRefClass("fitledger_keeper", fields = list(p = "ANY"), where = globalenv())
  withr::defer(methods::removeClass("fitledger_keeper", where = globalenv()))
  expect_identical(lost(keeper$new(p = p)), "x@.xData$p")
  circle <- new.env(parent = emptyenv())
  circle$circle <- circle
  circle$p <- p
  expect_identical(lost(circle), "x$p")
  deep <- p
  for (i in 1:3000) deep <- list(deep)
  expect_length(lost(deep), 1)
})

test_that("what comes back, or doesn't matter, isn't called lost", {
  # Beside the models and functions below, none of which names it.
  p <- pointer()
  expect_identical(lost(list(handle = p, raw = as.raw(1))), character())
  expect_identical(lost(structure(cars, .internal.selfref = p, problems = p)), character())
  expect_identical(lost(list(structure(cars, problems = p))), character())
  unharmed <- list(
    NULL, 1, "a", quote(x), quote(f(x, )), expression(a, b), function(a, b = 2) a, sum, globalenv(), asNamespace("stats"),
    as.POSIXlt(Sys.time()), lm(dist ~ speed, cars), ecdf(1:3), methods::getClass("numeric"), methods::getGenerics, factor("a")
  )
  for (x in unharmed) expect_identical(lost(x), character())
  skip_if_not_installed("data.table")
  expect_identical(lost(data.table::data.table(a = 1)), character())
})

test_that("nothing is evaluated to look at an object", {
  env <- new.env(parent = emptyenv())
  delayedAssign("promise", stop("evaluated"), assign.env = env)
  makeActiveBinding("active", function() stop("evaluated"), env)
  expect_identical(object_parts(env, "x")$pointers, list())
  expect_identical(object_parts(list(f = rlang::new_function(NULL, 1, env)), "x")$dragged[[1]]$value, env)
})

test_that("a large nested object is looked at for a moment only", {
  expect_identical(object_parts(lapply(1:1e5, list), "x")$pointers, list())
  expect_identical(object_parts(as.list(1:1e6), "x")$pointers, list())
})

test_that("what an environment drags along is named, and only if it is much", {
  train <- function(n) {
    api_key <- "a key"
    junk <- stats::rnorm(n)
    lm(dist ~ speed, cars)
  }
  environment(train) <- globalenv()
  dragged <- said(train(5e5))
  expect_s3_class(dragged[[1]], "fitledger_message_dragged")
  expect_match(conditionMessage(dragged[[1]]), "drags along `environment(x$terms)`, with `junk` (3.8 MiB), `api_key`", fixed = TRUE)
  expect_length(said(train(1e3)), 0)
  expect_length(said(stats::rnorm(5e5)), 0)
  # What an object or a function is made of isn't dragged along.
  expect_length(said(ecdf(stats::rnorm(5e5))), 0)
  expect_length(said(list2env(list(data = stats::rnorm(5e5)), parent = emptyenv())), 0)
  skip_if_not_installed("R6")
  model <- getExportedValue("R6", "R6Class")("model", list(data = NULL, fit = function() self$data <- stats::rnorm(5e5)), parent_env = globalenv())$new()
  model$fit()
  expect_length(said(model), 0)
})

test_that("a run's artifacts say what is lost and dragged, and log_call() loses nothing by it", {
  file <- local_ledger()
  p <- pointer()
  expect_warning(
    log_run(file, list(), list(), artifacts = list(model = list(handle = p))), "`model$handle` is an external pointer",
    fixed = TRUE, class = "fitledger_warning_pointers"
  )
  withr::local_options(warn = 2)
  make <- function() list(handle = p)
  conditions <- conditions_of(quote(value <- log_call(file, make(), artifact = "model")), environment())
  expect_identical(value, list(handle = p))
  expect_true(any(vapply(conditions, inherits, NA, what = "fitledger_warning")))
})
