# Rscript search.R [small]
#
# What log_search() takes of the processor for each candidate of a grid of tune, beside what the search itself takes. Under
# `strace -f -c -e trace=fsync,fdatasync` it shows how often it waits for the disk; that doesn't grow with the grid.

is_small <- "small" %in% commandArgs(trailingOnly = TRUE)
suppressPackageStartupMessages(library(fitledger))
tree <- parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune(), min_n = tune::tune(), cost_complexity = tune::tune())
workflow <- workflows::workflow(mpg ~ ., tree)
grid <- expand.grid(tree_depth = 1:5, min_n = 2:5, cost_complexity = c(0.001, 0.01, 0.1))
if (is_small) grid <- grid[1:4, ]
set.seed(1)
folds <- rsample::vfold_cv(mtcars, if (is_small) 2 else 10)
file <- tempfile(fileext = ".csv")

# The processor time of ours: before the search, where it reports, and when it has ended.
spent <- 0
for (name in c("record_search", "report_of_one", "report_measured", "end_search")) {
  local({
    ours <- get(name, asNamespace("fitledger"))
    timed <- function(...) {
      began <- proc.time()
      on.exit(spent <<- spent + sum((proc.time() - began)[1:2]))
      ours(...)
    }
    utils::assignInNamespace(name, timed, "fitledger")
  })
}
quietly <- function(code) suppressMessages(suppressWarnings(code))
invisible(quietly(log_search(file, tune::tune_grid(workflow, folds, grid = grid[1:2, ]))))
rounds <- vapply(seq_len(if (is_small) 1 else 5), function(round) {
  spent <<- 0
  all <- system.time(quietly(log_search(file, tune::tune_grid(workflow, folds, grid = grid))))
  c(logging = spent, search = sum(all[1:2]) - spent) / nrow(grid) * 1e3
}, c(logging = 0, search = 0))
medians <- apply(rounds, 1, stats::median)
cat(sprintf(
  "%d candidates, %d folds, ms of processor time a candidate: %.1f for the record, %.0f for the search\n",
  nrow(grid), nrow(folds), medians[["logging"]], medians[["search"]]
))
