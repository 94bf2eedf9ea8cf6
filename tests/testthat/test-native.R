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
  for (name in native_functions()) {
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
  panic <- native_log_runs(request, list(), list(), list(), 1L, NULL, NULL, NULL, 5)
  expect_s3_class(panic, "fitledger_failure")
  expect_identical(panic$class, "internal")
  expect_error(signal_failure(panic), "compiled code stopped", class = "fitledger_error_internal")
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  expect_equal(nrow(read_runs(file)), 1)
})
