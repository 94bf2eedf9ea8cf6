# The vignettes are built on files. What they show of a search and of a registry has to be so on every kind of ledger.

test_that("the vignettes' code runs on a ledger in a database", {
  skip_if(ledger_kind() == "file", "the vignettes are built on files")
  skip_if_not_installed("knitr")
  # Chunks that are to fail say so themselves.
  before <- knitr::opts_chunk$get("error")
  knitr::opts_chunk$set(error = FALSE)
  withr::defer(knitr::opts_chunk$set(error = before))
  folder <- normalizePath(test_path("..", "..", "vignettes"), mustWork = FALSE)
  skip_if(!dir.exists(folder), "the vignettes are not here")
  for (name in c("ames", "view", "registry", "forgotten")) {
    page <- readLines(file.path(folder, paste0(name, ".Rmd")), encoding = "UTF-8")
    at <- grep("^ledger <- tempfile\\(", page)
    expect_length(at, 1)
    page[at] <- paste("ledger <-", code_of(local_ledger()))
    withr::local_dir(withr::local_tempdir())
    expect_no_error(knitr::knit(text = page, quiet = TRUE, envir = new.env(parent = globalenv())))
  }
})
