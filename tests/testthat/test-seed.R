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
