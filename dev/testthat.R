# Rscript dev/testthat.R FILE [LEDGERS | TESTS]: tests the installed package; writes the numbers passed and failed to FILE. With
# LEDGERS, `postgres`, the ledgers of the tests are of that kind. With TESTS, a regular expression, only these files are run.
arguments <- commandArgs(trailingOnly = TRUE)
options(testthat.progress.max_fails = Inf)
filter <- NULL
if (length(arguments) > 1 && arguments[[2]] != "postgres") {
  filter <- arguments[[2]]
} else if (length(arguments) > 1) {
  Sys.setenv(FITLEDGER_TEST_LEDGERS = arguments[[2]])
  # Tests that make no ledger of that kind.
  others <- c(
    # What a file says, damaged, by somebody else's hand, or read by others' programs.
    "hostile", "verify-base", "contract",
    # The compiled code and its lock, and how fast it is; an index is of a file, as a mirror is.
    "native", "bench", "cache",
    # Programs and documents that have a path of their own.
    "examples", "quarto",
    # Runs over a database anyhow.
    "postgres",
    # Kinds of fits and searches, which all kinds of ledgers have from the same verbs.
    "describe", "search"
  )
  files <- sub("^test-(.*)[.]R$", "\\1", list.files("tests/testthat", "^test-.*[.]R$"))
  filter <- paste0("^(", paste(setdiff(files, others), collapse = "|"), ")$")
}
results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  filter = filter, package = "fitledger", load_package = "installed", reporter = "progress", stop_on_failure = FALSE
))
# Seconds of the files that take longest.
took <- sort(tapply(results$real, results$file, sum), decreasing = TRUE)
took <- utils::head(took[took > 10], 8)
if (length(took)) cat(paste0(sub("^test-(.*)[.]R$", "\\1", names(took)), " ", round(took), " s", collapse = ", "), "\n", sep = "")
bad <- results$failed > 0 | results$error
cat(sprintf("Failed: %s: %s\n", results$file[bad], results$test[bad]), sep = "")
writeLines(paste(sum(!bad & !results$skipped), sum(bad)), arguments[[1]])
quit(status = any(bad))
