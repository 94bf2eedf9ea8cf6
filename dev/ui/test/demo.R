# A ledger with something of everything, of real fits: Rscript demo.R FOLDER
# Leaves runs.csv and its page as view_runs() writes it, page.html.
library(fitledger)
folder <- commandArgs(TRUE)[[1]]
dir.create(folder, showWarnings = FALSE)
setwd(folder)
unlink(c("runs.csv", "runs.csv.objects"), recursive = TRUE)
ledger <- "runs.csv"

set.seed(1)
n <- 600
ames <- data.frame(area = rlnorm(n, 5, 0.3), year = round(runif(n, 1900, 2010)), quality = sample(1:10, n, TRUE), noise = rnorm(n))
ames$price <- 4 + 0.7 * log(ames$area) + 0.004 * (ames$year - 1950) + 0.06 * ames$quality + rnorm(n, sd = 0.15)
train <- ames[1:400, ]
test <- ames[401:600, ]
x <- scale(as.matrix(ames[1:4]))
y <- ames$price - mean(train$price)
rmse <- function(error) sqrt(mean(error^2))

ridge <- function(lambda) {
  inner <- crossprod(x[1:400, ]) + diag(lambda, 4)
  solve(inner, crossprod(x[1:400, ], y[1:400]))
}
for (lambda in 10^seq(-2, 4, length.out = 25)) {
  beta <- ridge(lambda)
  log_run(
    ledger, list(learner = "ridge", lambda = lambda, features = 4L),
    list(test_rmse = rmse(y[401:600] - x[401:600, ] %*% beta), train_rmse = rmse(y[1:400] - x[1:400, ] %*% beta)),
    data = list(train = train, test = test), seed = 1, tags = list(by = "ann", round = "first")
  )
}
for (span in c(0.2, 0.35, 0.5, 0.75, 1)) {
  for (degree in 1:2) {
    fit <- loess(price ~ area + year, train, span = span, degree = degree, control = loess.control(surface = "direct"))
    log_run(
      ledger, list(learner = "loess", span = span, degree = degree, features = 2L),
      list(test_rmse = rmse(test$price - predict(fit, test)), train_rmse = rmse(residuals(fit))),
      data = list(train = train, test = test), tags = list(by = "bob", round = "first")
    )
  }
}

# A small network, trained by gradient descent, for curves.
network <- function(eta, hidden, steps = 300) {
  run <- start_run(ledger, list(learner = "network", eta = eta, hidden = hidden), data = list(train = train, test = test), seed = 7)
  set.seed(7)
  w <- matrix(rnorm(4 * hidden, sd = 0.5), 4)
  v <- rnorm(hidden, sd = 0.5)
  for (step in seq_len(steps)) {
    h <- tanh(x[1:400, ] %*% w)
    error <- drop(h %*% v) - y[1:400]
    slope <- (error %o% v) * (1 - h^2)
    v <- v - eta * drop(crossprod(h, error)) / 400
    w <- w - eta * crossprod(x[1:400, ], slope) / 400
    if (step %% 3 == 0) {
      log_metrics(run, loss = mean(error^2), test_loss = mean((drop(tanh(x[401:600, ] %*% w) %*% v) - y[401:600])^2), step = step)
    }
  }
  fitted <- drop(tanh(x[401:600, ] %*% w) %*% v)
  list(w = w, v = v, score = rmse(y[401:600] - fitted), fitted = fitted, run = run)
}
found <- list()
for (eta in c(0.02, 0.08, 0.3)) for (hidden in c(3L, 12L)) {
  fit <- network(eta, hidden)
  id <- last_run_id(ledger)
  log_metrics(fit$run, test_rmse = fit$score)
  png("fit.png", 640, 420, res = 96)
  plot(fit$fitted, y[401:600], xlab = "fitted", ylab = "observed", pch = 19, col = "#3f7fd6aa", main = paste("eta", eta, "hidden", hidden))
  abline(0, 1, col = "#b03a14")
  dev.off()
  write.csv(data.frame(fitted = round(fit$fitted, 4), observed = round(y[401:600], 4)), "holdout.csv", row.names = FALSE)
  writeLines(c(sprintf("%d steps, eta %g, %d hidden units", 300L, eta, hidden), capture.output(summary(fit$fitted))), "report.txt")
  for (path in c("fit.png", "holdout.csv", "report.txt")) log_artifact(fit$run, path, path)
  log_artifact(fit$run, "model", fit[c("w", "v")])
  end_run(fit$run)
  found[[length(found) + 1]] <- list(id = id, score = fit$score)
}
scores <- vapply(found, `[[`, numeric(1), "score")
best <- found[[which.min(scores)]]
worst <- found[[which.max(scores)]]
log_note(ledger, best$id, "Converged after 200 steps; kept for production.")

predicted <- function(model) drop(tanh(x[401:600, ] %*% model$w) %*% model$v)
better <- function(candidate, current) {
  score <- function(model) rmse(y[401:600] - predicted(model))
  figures <- list(candidate_rmse = score(candidate$model), current_rmse = score(current$model))
  list(pass = figures$candidate_rmse < figures$current_rmse, figures = figures)
}
register_model(ledger, "price", worst$id)
promote_model(ledger, "price", 1, "production", why = "the first one")
register_model(ledger, "price", best$id)
promote_model(ledger, "price", 2, "staging")
promote_model(ledger, "price", 2, "production", gate = better, why = "better on the holdout")
register_model(ledger, "price", found[[2]]$id)
try(promote_model(ledger, "price", 3, "production", gate = better), silent = TRUE)
rollback_model(ledger, "price", why = "a drill")
promote_model(ledger, "price", 2, "production", gate = better, why = "after the drill")

log_call(ledger, lm(price ~ area + year, data = train), metrics = function(fit) list(test_rmse = rmse(test$price - predict(fit, test))), tags = list(by = "ann", round = "second"))
beta <- ridge(1)
log_run(
  ledger, list(learner = "ridge", lambda = 1, features = 4L), list(train_rmse = rmse(y[1:400] - x[1:400, ] %*% beta)),
  sealed = list(audit_rmse = rmse(y[401:600] - x[401:600, ] %*% beta)), seed = 3
)
diverging <- function(run) stop("The loss is not a number any more.")
try(
  with_run(
    ledger, list(learner = "network", eta = 30, hidden = 12L), diverging,
    name = "too fast", experiment = "step sizes", parent = best$id
  ),
  silent = TRUE
)
oops <- log_run(ledger, list(learner = "ridge", lambda = -1), list(test_rmse = 0.001))
void_run(ledger, oops, "lambda can't be negative")

view_runs(ledger, "page.html", open = FALSE)
