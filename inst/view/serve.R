# The process of a live view: `Rscript serve.R FOLDER`, as `view_runs(live = TRUE)` starts it.
folder <- commandArgs(trailingOnly = TRUE)[[1]]
tryCatch(
  {
    .libPaths(readRDS(file.path(folder, "config.rds"))$libraries)
    fitledger:::serve_view(folder)
  },
  error = function(e) {
    saveRDS(list(error = conditionMessage(e)), file.path(folder, "state.rds"))
  }
)
