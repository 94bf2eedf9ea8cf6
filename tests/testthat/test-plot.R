search_with_curves <- function(env = parent.frame()) {
  file <- local_ledger(env)
  grid <- data.frame(lambda = c(10, 0.1, 1, NA), model = c("a", "b", "a", "b"), rmse = c(3, 2, 1, 0))
  log_runs(file, grid, c("lambda", "model"), "rmse")
  for (eta in c(0.1, 0.2)) {
    with_run(file, list(eta = eta), function(run) {
      for (step in 3:1) log_metrics(run, loss = eta / step, step = step)
    })
  }
  file
}

test_that("a metric is drawn against a parameter, and what was drawn comes back", {
  file <- search_with_curves()
  withr::local_pdf(NULL)
  drawn <- plot_runs(file, "lambda", "rmse", log = "x", main = "search", ylab = "error")
  expect_identical(drawn$lambda, c(10, 0.1, 1))
  expect_equal(nrow(plot_runs(file, "model", "rmse", maximize = TRUE)), 4)
  expect_equal(nrow(plot_runs(file, "lambda", "rmse", where = lambda < 5)), 2)
})

test_that("the best that is marked is the best finished run", {
  file <- search_with_curves()
  run <- start_run(file, list(lambda = 2))
  log_metrics(run, rmse = -1)
  end_run(run, status = "failed")
  table <- run_table(file, NULL, character(), void = FALSE)
  drawn <- read_runs(file, where = !is.na(lambda) & !is.na(rmse))
  expect_identical(drawn$lambda[best_row(file, table, drawn, "rmse", maximize = FALSE)], 1)
  expect_identical(drawn$lambda[best_row(file, table, drawn, "rmse", maximize = TRUE)], 10)
  withr::local_pdf(NULL)
  expect_equal(nrow(plot_runs(file, "lambda", "rmse", where = lambda == 2)), 1)
})

test_that("curves are drawn by step and by time", {
  file <- search_with_curves()
  withr::local_pdf(NULL)
  points <- plot_runs(file, "step", "loss")
  expect_identical(points$step, c(1, 2, 3, 1, 2, 3))
  expect_equal(nrow(plot_runs(file, "time", "loss", where = eta > 0.1)), 3)
})

test_that("what can't be drawn is said", {
  file <- search_with_curves()
  withr::local_pdf(NULL)
  expect_error(plot_runs(file, "lamda", "rmse"), "lambda", class = "fitledger_error_unknown")
  expect_error(plot_runs(file, "lambda", "rsme"), "rmse", class = "fitledger_error_unknown")
  expect_error(plot_runs(file, "step", "los"), "loss", class = "fitledger_error_unknown")
  expect_error(plot_runs(file, "eta", "rmse"), "No run has both", class = "fitledger_error_unknown")
})
