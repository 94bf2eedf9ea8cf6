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
  table <- run_table(file_of(file), NULL, character(), void = FALSE)
  drawn <- read_runs(file, where = !is.na(lambda) & !is.na(rmse))
  expect_identical(drawn$lambda[best_row(file_of(file), table, drawn, "rmse", maximize = FALSE)], 1)
  expect_identical(drawn$lambda[best_row(file_of(file), table, drawn, "rmse", maximize = TRUE)], 10)
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

test_that("whatever was logged and whatever is handed on to plot() is drawn or an error of ours", {
  file <- local_ledger()
  withr::local_pdf(NULL)
  log_run(
    file, list(k = 1, s = "a", v = 1:2, i = Inf, none = NULL),
    list(loss = Inf, ok = 1, nan = NaN, missing = NA, zero = 0)
  )
  run <- start_run(file, list(k = 2, s = "b", v = 3:4, neg = -1))
  for (step in 1:3) log_metrics(run, diverged = NaN, infinite = Inf, good = step, step = step)
  log_metrics(run, point = 1, step = 1)
  end_run(run, list(loss = -Inf, ok = 2))
  fits <- function(code) expect_true(tryCatch({
    suppressWarnings(code)
    TRUE
  }, fitledger_error = function(e) TRUE))
  columns <- c(names(read_runs(file))[-(1:2)], "nobody's")
  for (y in columns) for (x in c(columns, "step", "time", "run_id", "timestamp")) fits(plot_runs(file, x, y))
  fits(plot_runs(file, "k", "ok", where = k > 5))
  expect_equal(nrow(plot_runs(file, "k", "ok")), 2)
  expect_equal(nrow(plot_runs(file, "step", "point")), 1)
  expect_snapshot_conditions({
    plot_runs(file, "k", "loss")
    plot_runs(file, "step", "diverged")
    plot_runs(file, "k", "v")
  })
  refused <- list(log = "q", col = "no colour", xlim = c(NA, 1), ylim = Inf, type = list(1))
  for (name in names(refused)) {
    for (axes in list(list("k", "ok"), list("step", "good"))) {
      call <- as.call(c(list(plot_runs, file), axes, refused[name]))
      expect_error(eval(call), "can't be drawn", class = "fitledger_error_argument")
    }
  }
  expect_error(suppressWarnings(plot_runs(file, "k", "zero", log = "y")), class = "fitledger_error_argument")
})
