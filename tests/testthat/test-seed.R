test_that("a run from a recorded state of the stream repeats bit for bit", {
  file <- local_ledger()
  set.seed(3)
  runif(5)
  before <- .Random.seed
  first <- with_run(file, list(), function(run) c(rnorm(3), sample(10)), seed = .Random.seed)
  expect_identical(.Random.seed, before)
  set.seed(99)
  state <- read_artifact(file, last_run_id(file), "random_stream")
  again <- with_run(file, list(), function(run) c(rnorm(3), sample(10)), seed = state)
  expect_identical(again, first)
})

test_that("a state also brings back another kind of generator", {
  kinds <- RNGkind()
  withr::defer(suppressWarnings(RNGkind(kinds[1], kinds[2], kinds[3])))
  file <- local_ledger()
  RNGkind("L'Ecuyer-CMRG")
  set.seed(3)
  id <- log_run(file, list(), list(), seed = .Random.seed)
  first <- rnorm(3)
  RNGkind("Mersenne-Twister")
  set.seed(1)
  before <- .Random.seed
  state <- read_artifact(file, id, "random_stream")
  expect_identical(with_run(file, list(), function(run) rnorm(3), seed = state), first)
  expect_identical(.Random.seed, before)
  expect_identical(rnorm(1), {
    set.seed(1)
    rnorm(1)
  })
})

test_that("before the first draw there is no state", {
  file <- local_ledger()
  before <- current_stream()
  withr::defer(restore_stream(before))
  if (!is.null(before)) rm(".Random.seed", envir = globalenv())
  expect_error(log_run(file, list(), list(), seed = .Random.seed), "before the first", class = "fitledger_error_argument")
  with_run(file, list(), function(run) rnorm(1), seed = 1)
  expect_null(current_stream())
  if (is.null(before)) set.seed(1)
})

test_that("log_call() sets its seed and puts the stream back", {
  file <- local_ledger()
  set.seed(1)
  before <- .Random.seed
  fit <- log_call(file, sample(x = 100, size = 3), seed = 5)
  expect_identical(.Random.seed, before)
  expect_identical(fit, withr::with_seed(5, sample(100, 3)))
  expect_identical(read_runs(file, columns = "seed")$seed, 5L)
  expect_error(log_call(file, stop("no"), seed = 5))
  expect_identical(.Random.seed, before)
})

test_that("a call that drew without a seed can be repeated", {
  file <- local_ledger()
  set.seed(8)
  runif(3)
  first <- log_call(file, sample(x = 100, size = 3))
  state <- read_run(file, last_run_id(file))$stream
  expect_identical(log_call(file, sample(x = 100, size = 3), seed = state), first)

  drawn <- with_run(file, list(), function(run) rnorm(2))
  id <- last_run_id(file)
  expect_identical(with_run(file, list(), function(run) rnorm(2), seed = read_run(file, id)$stream), drawn)
  with_run(file, list(), function(run) rnorm(2), seed = 5)
  expect_null(read_run(file, last_run_id(file))$stream)
  log_call(file, sample(x = 100, size = 3), seed = 5)
  expect_null(read_run(file, last_run_id(file))$stream)
  # Also of a run that failed, and not of one that drew nothing.
  try(with_run(file, list(), function(run) stop(runif(1))), silent = TRUE)
  expect_type(read_run(file, last_run_id(file))$stream, "integer")
  with_run(file, list(), function(run) 1)
  expect_null(read_run(file, last_run_id(file))$stream)
  withr::local_options(fitledger.stream = FALSE)
  with_run(file, list(), function(run) rnorm(1))
  expect_null(read_run(file, last_run_id(file))$stream)
})

test_that("a stream that didn't exist yet is begun", {
  file <- local_ledger()
  before <- current_stream()
  withr::defer(restore_stream(before))
  if (!is.null(before)) rm(".Random.seed", envir = globalenv())
  first <- log_call(file, sample(x = 100, size = 3))
  state <- read_run(file, last_run_id(file))$stream
  expect_identical(log_call(file, sample(x = 100, size = 3), seed = state), first)
  if (is.null(before)) set.seed(1)
})

test_that("start_run() says that the stream isn't as its seed leaves it", {
  file <- local_ledger()
  set.seed(4)
  expect_no_message(start_run(file, seed = 4))
  runif(1)
  before <- .Random.seed
  expect_message(start_run(file, seed = 4), "isn't as `set.seed(4)` leaves it", fixed = TRUE, class = "fitledger_message_seed")
  expect_identical(.Random.seed, before)
  expect_no_message(with_run(file, list(), function(run) 1, seed = 4))
})

test_that("what is called .Random.seed and is no state of R's costs no fit", {
  file <- local_ledger()
  withr::local_preserve_seed()
  for (odd in list("text", 10403, integer(), list(1), NULL)) {
    assign(".Random.seed", odd, globalenv())
    expect_length(suppressWarnings(log_call(file, stats::runif(3))), 3)
    assign(".Random.seed", odd, globalenv())
    expect_length(suppressWarnings(with_run(file, list(), function(run) runif(3))), 3)
    assign(".Random.seed", odd, globalenv())
    expect_length(suppressWarnings(with_run(file, list(), function(run) runif(3), seed = 1)), 3)
  }
  expect_identical(unique(read_runs(file, details = TRUE)$status), "finished")
})

test_that("a stream that the fit has removed costs no fit where warnings are errors", {
  file <- local_ledger()
  fit <- function(...) {
    rm(".Random.seed", envir = globalenv())
    "the fit"
  }
  withr::local_preserve_seed()
  withr::local_options(warn = 2)
  for (call in list(function() with_run(file, list(), fit, seed = 1), function() log_call(file, fit(), seed = 1))) {
    if (exists(".Random.seed", globalenv(), inherits = FALSE)) rm(".Random.seed", envir = globalenv())
    expect_identical(call(), "the fit")
  }
})
