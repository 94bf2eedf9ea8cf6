test_that("a sealed metric is in no query, and best_run() says why", {
  file <- local_ledger()
  for (k in 1:3) {
    log_run(file, list(k = k), list(valid = abs(k - 2)), sealed = list(test = k / 10))
  }
  run <- start_run(file, list(k = 4))
  end_run(run, list(valid = 9), sealed = c(test = 0.4))
  expect_identical(names(read_runs(file)), c("run_id", "timestamp", "k", "valid"))
  expect_false(any(grepl("test", readLines(export_runs(file, withr::local_tempfile(fileext = ".csv"))))))
  expect_false("test" %in% compare_runs(file, read_runs(file)$run_id, only_different = FALSE)$field)
  expect_error(plot_runs(file, "k", "test"), class = "fitledger_error_sealed")
  expect_snapshot_conditions({
    best_run(file, "test")
    read_runs(file, columns = "test")
    read_runs(file, where = test < 1)
  })
})

test_that("a look is on record, shows that run alone, and is counted", {
  file <- local_ledger()
  ids <- vapply(1:3, function(k) log_run(file, list(k = k), list(valid = k), sealed = list(test = k / 10)), "")
  expect_identical(reveal_run(file, ids[[2]], "for the report"), list(test = 0.2))
  runs <- read_runs(file, columns = c("test", "looks"))
  expect_identical(runs$test, c(NA, 0.2, NA))
  expect_identical(runs$looks, c(0L, 1L, 0L))
  expect_error(best_run(file, "test"), class = "fitledger_error_sealed")
  expect_identical(reveal_run(file, ids[[2]], "again"), list(test = 0.2))
  expect_identical(sum(read_runs(file, columns = "looks")$looks), 2L)
  for (id in ids[-2]) reveal_run(file, id, "all of them")
  expect_identical(best_run(file, "test")$k, 1L)
  expect_match(read_ledger(file)$context, "for the report", all = FALSE)
})

test_that("there must be something to reveal, and a reason", {
  file <- local_ledger()
  id <- log_run(file, list(), list(a = 1))
  rows <- nrow(read_ledger(file))
  expect_error(reveal_run(file, id, "why"), "has no sealed metrics", class = "fitledger_error_argument")
  expect_error(reveal_run(file, id, ""), class = "fitledger_error_argument")
  expect_error(reveal_run(file, "x", "why"), class = "fitledger_error_unknown")
  expect_error(log_run(file, list(), list(), sealed = list(1)), class = "fitledger_error_value")
  expect_error(log_run(file, list(), list(), sealed = list(a = "x")), class = "fitledger_error_value")
  expect_identical(nrow(read_ledger(file)), rows)
})
