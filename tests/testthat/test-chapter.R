# The chapter's chunk, with `library(fitledger)` in the place of its definitions.

ridge_search <- function(file, lambdas = c(0, 0.1, 1, 5, 10, 25, 50, 100)) {
  set.seed(1)
  n <- 400
  p <- 8
  x <- matrix(rnorm(n * p), n, p)
  beta <- c(3, -2, 1.5, 0, 0, 0.8, 0, -1)
  y <- as.numeric(x %*% beta) + rnorm(n, sd = 2)
  train <- 1:300
  test <- 301:n
  rmse <- vapply(lambdas, function(lambda) {
    a <- crossprod(x[train, ]) + lambda * diag(p)
    b <- solve(a, crossprod(x[train, ], y[train]))
    error <- sqrt(mean((y[test] - x[test, ] %*% b)^2))
    log_run(file, params = list(model = "ridge", lambda = lambda), metrics = list(test_rmse = error))
    error
  }, numeric(1))
  data.frame(model = "ridge", lambda = lambdas, test_rmse = rmse)
}

test_that("the chapter's search comes back to the last bit", {
  file <- local_ledger()
  logged <- ridge_search(file)
  runs <- read_runs(file)
  expect_named(runs, c("run_id", "timestamp", "model", "lambda", "test_rmse"))
  expect_identical(runs[c("model", "lambda", "test_rmse")], logged)
  expect_equal(
    runs$test_rmse,
    c(
      1.95909394844885, 1.95932264513996, 1.96141953679432, 1.971542385794,
      1.98587692691512, 2.037760240052, 2.14264405408982, 2.37209268978755
    ),
    tolerance = 1e-14
  )
})

test_that("the chapter's query gives lambda 0", {
  file <- local_ledger()
  ridge_search(file)
  winner <- best_run(file, metric = "test_rmse", maximize = FALSE)
  expect_equal(nrow(winner), 1)
  expect_equal(winner$lambda, 0)
  expect_equal(best_run(file, "test_rmse", TRUE)$lambda, 100)
})

test_that("the id comes back invisibly and the times are times", {
  file <- local_ledger()
  before <- Sys.time()
  result <- withVisible(log_run(file, list(a = 1), list(b = 2)))
  expect_false(result$visible)
  expect_match(result$value, "^[0-9]{8}-[0-9]{6}-[0-9a-hjkmnp-tv-z]{12}$")
  runs <- read_runs(file)
  expect_identical(runs$run_id, result$value)
  expect_s3_class(runs$timestamp, "POSIXct")
  expect_identical(attr(runs$timestamp, "tzone"), "UTC")
  expect_gte(runs$timestamp, before)
  expect_lte(runs$timestamp, Sys.time())
})

test_that("the random stream is the user's", {
  file <- local_ledger()
  to <- withr::local_tempfile(fileext = ".csv")
  set.seed(42)
  before <- .Random.seed
  log_run(file, list(a = 1), list(b = 2), seed = 42, tags = list(x = 1))
  log_runs(file, data.frame(a = 1:3, b = 4:6), "a", "b")
  read_runs(file, where = a > 1, details = TRUE)
  best_run(file, "b", n = 2)
  export_runs(file, to)
  import_runs(to, local_ledger(), metrics = "b")
  expect_identical(.Random.seed, before)

  rm(".Random.seed", envir = globalenv())
  log_run(file, list(a = 1), list(b = 2))
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
})
