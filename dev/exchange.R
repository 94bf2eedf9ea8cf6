# Rscript dev/exchange.R write FOLDER: this R's ledger of the calls in the tests, in FOLDER.
# Rscript dev/exchange.R read FOLDER: each ledger there is verified, read and traced by this R,
# and says of the calls what the tests expect.
library(fitledger)
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[[2]]
source("tests/testthat/helper-calls.R")
here <- paste0("R-", getRversion())

if (arguments[[1]] == "write") {
  file <- log_calls(file.path(folder, paste0(here, ".csv")))
  saveRDS(read_artifact(file, read_runs(file, where = learner == "stats::lm")$run_id[[1]], "model")$coefficients,
    sub("csv$", "rds", file))
  cat(here, "wrote", basename(file), "\n")
  quit()
}

expected <- readLines("tests/testthat/fixtures/calls.txt", encoding = "UTF-8")
d <- data.frame(y = c(1.5, 2, 4, 4.5, 7, 7.5), x = 1:6, g = factor(rep(c("a", "b"), 3)))
for (file in list.files(folder, "[.]csv$", full.names = TRUE)) {
  stopifnot(
    "verify_ledger() finds nothing" = identical(verify_ledger(file)$status, "ok"),
    "no problems" = nrow(verify_ledger(file)$problems) == 0,
    "the calls are on record as expected" = identical(facts_of_calls(file), expected)
  )
  model <- read_model(file, "line/1")
  stopifnot(
    "the model is the one that was stored" = identical(model$coefficients, readRDS(sub("csv$", "rds", file))),
    "it predicts" = all(is.finite(stats::predict(model, d)))
  )
  edges <- as.data.frame(trace_lineage(file, "line/1"))
  stopifnot("its lineage leads to its data" = any(grepl(hash_data(d), edges$to, fixed = TRUE)))
  cat(here, "read", basename(file), "\n")
}
