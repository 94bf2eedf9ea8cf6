# The process of a live view: `Rscript serve.R FOLDER`, as `view_runs(live = TRUE)` starts it.
folder <- commandArgs(trailingOnly = TRUE)[[1]]
tryCatch(
  {
    .libPaths(readRDS(file.path(folder, "config.rds"))$libraries)
    fitledger:::serve_view(folder)
  },
  error = function(e) {
    state <- file.path(folder, "state.rds")
    saveRDS(list(error = conditionMessage(e)), paste0(state, "-new"))
    file.rename(paste0(state, "-new"), state)
  }
)
