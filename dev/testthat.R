# Rscript dev/testthat.R FILE [LEDGERS]: tests the installed package; writes the numbers passed and failed to FILE. With LEDGERS,
# `postgres`, files of tests of what all kinds of ledgers do alike are run over those.
arguments <- commandArgs(trailingOnly = TRUE)
options(testthat.progress.max_fails = Inf)
filter <- NULL
if (length(arguments) > 1) {
  Sys.setenv(FITLEDGER_TEST_LEDGERS = arguments[[2]])
  alike <- c("about", "artifact", "call", "chapter", "compare", "data", "environment", "lineage", "object", "query")
  filter <- paste0("^(", paste(alike, collapse = "|"), ")$")
}
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  filter = filter, package = "fitledger", load_package = "installed", reporter = "progress", stop_on_failure = FALSE
))
bad <- results$failed > 0 | results$error
writeLines(paste(sum(!bad & !results$skipped), sum(bad)), arguments[[1]])
quit(status = any(bad))
