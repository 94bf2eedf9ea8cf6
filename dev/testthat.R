# Rscript dev/testthat.R FILE: tests the installed package; writes the numbers passed and failed to FILE.
file <- commandArgs(trailingOnly = TRUE)
options(testthat.progress.max_fails = Inf)
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  package = "fitledger", load_package = "installed", reporter = "progress", stop_on_failure = FALSE
))
bad <- results$failed > 0 | results$error
writeLines(paste(sum(!bad & !results$skipped), sum(bad)), file)
quit(status = any(bad))
