# A search by several processes that log to one ledger. Stop it, kill it, start it
# again: it asks the ledger what is finished and does the rest.
#
#   Rscript search.R ledger.csv [workers]

library(fitledger)

arguments <- commandArgs(trailingOnly = TRUE)
file <- if (length(arguments)) arguments[[1]] else "search.csv"
workers <- if (length(arguments) > 1) as.integer(arguments[[2]]) else 2

grid <- expand.grid(span = seq(0.2, 0.9, by = 0.1), degree = 0:2)

# The candidates that no finished run has tried. Runs that were lost or failed are
# tried again; what they logged stays.
remaining <- function(grid, file) {
  if (!file.exists(file)) {
    return(grid)
  }
  runs <- read_runs(file, where = status == "finished")
  key <- function(x) paste(x$span, x$degree)
  grid[!key(grid) %in% key(runs), ]
}

# Cross-validated error of a local regression: how long an eruption of Old
# Faithful lasts, by the wait before it.
evaluate <- function(i, todo, file, folds = 10) {
  candidate <- as.list(todo[i, ])
  fitledger::with_run(file, candidate, seed = 1, fun = function(run) {
    fold <- sample(rep_len(seq_len(folds), nrow(faithful)))
    errors <- numeric(folds)
    for (k in seq_len(folds)) {
      fit <- loess(
        eruptions ~ waiting, faithful[fold != k, ],
        span = candidate$span, degree = candidate$degree,
        control = loess.control(surface = "direct")
      )
      test <- faithful[fold == k, ]
      errors[[k]] <- sqrt(mean((test$eruptions - predict(fit, test))^2))
      fitledger::log_metrics(run, fold_rmse = errors[[k]], step = k)
    }
    fitledger::log_metrics(run, cv_rmse = mean(errors))
  })
}

todo <- remaining(grid, file)
cat(nrow(grid) - nrow(todo), "of", nrow(grid), "are finished already\n")
if (nrow(todo) > 0) {
  cluster <- parallel::makeCluster(workers)
  invisible(parallel::clusterApplyLB(cluster, seq_len(nrow(todo)), evaluate, todo, file))
  parallel::stopCluster(cluster)
}
print(best_run(file, "cv_rmse", n = 3), row.names = FALSE)
