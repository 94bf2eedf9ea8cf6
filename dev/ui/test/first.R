# Two ledgers as somebody new makes them: Rscript first.R FOLDER
# Leaves page.html, of a search with the columns that log_search() records, in whose ledger the metrics stand in another
# order than the search named them, and small.html, of a few calls beside runs of an older logger.
library(fitledger)
folder <- commandArgs(TRUE)[[1]]
dir.create(folder, showWarnings = FALSE)
setwd(folder)
for (file in c("cells.csv", "small.csv")) unlink(c(file, paste0(file, ".objects")), recursive = TRUE)

set.seed(2)
model <- list(preprocessor = "formula", formula = quote(class ~ .), model = "decision_tree", mode = "classification", engine = "rpart")
given <- list(
  grid = 12, metrics = c("roc_auc", "accuracy", "brier_class"), maximize = c("roc_auc", "accuracy"),
  resamples = paste0("Fold", 1:3)
)
search <- start_run("cells.csv", c(list(learner = "tune::tune_grid"), model, given), name = "cells")
for (i in 1:12) {
  tuned <- list(cost_complexity = 10^-runif(1, 1, 10), tree_depth = sample(15, 1), min_n = sample(2:40, 1))
  candidate <- start_run("cells.csv", c(model, tuned), parent = search$run_id)
  # Which is best differs between the metrics.
  means <- list(accuracy = 0.6 + i / 1234, brier_class = 0.25 - i / 2345, roc_auc = 0.7 - i / 987)
  for (fold in 1:3) log_metrics(candidate, lapply(means, `+`, rnorm(1, sd = 0.01)), step = fold)
  end_run(candidate, c(means, list(accuracy.std_err = 0.0123, brier_class.std_err = 0.0123, roc_auc.std_err = 0.0123)))
}
end_run(search)
mistaken <- log_run("cells.csv", utils::modifyList(model, list(engine = "C5.0")), list(brier_class = 0))
void_run("cells.csv", mistaken, "another engine")
view_runs("cells.csv", "page.html", open = FALSE)

old <- "old.csv"
writeLines(c(
  '"run_id","timestamp","learner","maxdepth","rmse"',
  '"20240301-091502-2986","2024-03-01 09:15:02","rpart",9,0.42456789',
  '"20240301-091502-0417","2024-03-01 09:15:02","rpart",8,0.52456789',
  '"experiment_of_the_year_before-with_all_data","2024-03-01 09:15:03","rpart",7,0.62456789'
), old)
import_runs(old, "small.csv", metrics = "rmse")
tree <- function(maxdepth, method = "anova") maxdepth
for (maxdepth in 1:4) {
  log_call("small.csv", tree(maxdepth, method = "anova"), metrics = function(fit) list(rmse = 4.2345678 - fit / 10))
}
view_runs("small.csv", "small.html", open = FALSE)
