# A search for a ridge penalty on simulated data, every fit of which is logged.
library(fitledger)

set.seed(1)
n <- 400
p <- 8
x <- matrix(rnorm(n * p), n, p)
y <- drop(x %*% c(3, -2, 1.5, 0, 0, 0.8, 0, -1)) + rnorm(n, sd = 2)
train <- seq_len(300)

ridge <- function(x, y, lambda) {
  solve(crossprod(x) + lambda * diag(ncol(x)), crossprod(x, y))
}

ledger <- "experiments.csv"
for (lambda in c(0, 0.1, 1, 5, 10, 25, 50, 100)) {
  beta <- ridge(x[train, ], y[train], lambda)
  error <- y[-train] - x[-train, ] %*% beta
  log_run(
    ledger,
    params = list(model = "ridge", lambda = lambda),
    metrics = list(test_rmse = sqrt(mean(error^2)))
  )
}

shown <- c("run_id", "model", "lambda", "test_rmse")
runs <- read_runs(ledger)
best <- best_run(ledger, "test_rmse")
cat("\nThe runs:\n")
print(runs[, shown], row.names = FALSE)
cat("\nThe best run:\n")
print(best[, shown], row.names = FALSE)

png("rmse.png", width = 1200, height = 800, res = 150)
plot(
  runs$lambda, runs$test_rmse,
  type = "b", pch = 19, panel.first = grid(),
  xlab = expression(lambda ~ "(ridge penalty)"), ylab = "Holdout RMSE",
  main = "Tracked runs: RMSE and penalty"
)
points(best$lambda, best$test_rmse, col = "red", pch = 19, cex = 1.8)
text(best$lambda, best$test_rmse, sprintf("best: lambda = %g", best$lambda), pos = 4, offset = 1.2, col = "red")
invisible(dev.off())
cat("\nThe figure:", normalizePath("rmse.png"), "\n")
page <- view_runs(ledger, "runs.html", open = FALSE)
cat("\nThe page of the runs, to open in a browser:", normalizePath(page), "\n")
