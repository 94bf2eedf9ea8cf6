# Every value of the format's table comes back as its third column says.

comes_back <- function(values) {
  file <- local_ledger()
  log_run(file, rlang::set_names(values, paste0("p", seq_along(values))), list())
  unname(lapply(as.list(read_runs(file))[-(1:2)], function(x) if (is.list(x)) x[[1]] else x))
}

test_that("typed missing and empty values come back", {
  values <- list(
    NA, NA_integer_, NA_real_, NA_character_, as.Date(NA), as.difftime(NA_real_, units = "secs"),
    logical(), integer(), double(), character(), as.Date(character()), list()
  )
  expect_identical(comes_back(values), values)
  expect_identical(comes_back(list(factor())), list(character()))
})

test_that("each other value comes back as the table says", {
  f <- y ~ x + log(z)
  expect_identical(comes_back(list(f)), list("y ~ x + log(z)"))
  expect_identical(comes_back(list(quote(a), quote(g(1)), sum)), list("a", "g(1)", ".Primitive(\"sum\")"))
  code <- comes_back(list(function(x) x + 1))[[1]]
  expect_identical(eval(str2lang(code))(1), 2)
  expect_identical(comes_back(list(factor("b", levels = c("a", "b")))), list("b"))
  expect_identical(comes_back(list(factor(c("b", NA, "a")))), list(c("b", NA, "a")))
  expect_identical(comes_back(list(NULL)), list(NA))
  expect_identical(comes_back(list(as.difftime(5, units = "mins"))), list(as.difftime(300, units = "secs")))
  at <- as.POSIXct("2026-11-23 04:20:47", tz = "Asia/Tokyo")
  back <- comes_back(list(at))[[1]]
  expect_identical(as.numeric(back), as.numeric(at))
  expect_identical(attr(back, "tzone"), "UTC")
  expect_identical(comes_back(list(as.POSIXct(NA)))[[1]], as.POSIXct(NA_real_, origin = "1970-01-01", tz = "UTC"))
  expect_identical(comes_back(list(c(a = 1))), list(c(a = 1)))
})

test_that("64-bit integers come back where bit64 is there", {
  skip_if_not_installed("bit64")
  big <- bit64::as.integer64("9007199254740993")
  expect_identical(comes_back(list(big, c(big, NA))), list(big, c(big, NA)))
})

test_that("instants finer than can be kept are refused", {
  file <- local_ledger()
  fine <- as.POSIXct(1 / 3, origin = "1970-01-01")
  expect_error(log_run(file, list(a = fine), list()), class = "fitledger_error_value")
  expect_error(log_run(file, list(a = as.Date(1e9, origin = "1970-01-01")), list()), class = "fitledger_error_value")
})

test_that("ten thousand random values come back bit for bit, with the same bytes everywhere", {
  skip_on_cran()
  skip_on_os("windows")
  code <- c(
    "options(OutDec = Sys.getenv('TEST_OUTDEC'), digits = 3, scipen = -5, fitledger.context = character())",
    "library(fitledger)",
    sprintf("source(%s, encoding = 'UTF-8')", deparse(normalizePath(test_path("helper-values.R")))),
    "set.seed(20261123)",
    "values <- random_values(10000)",
    "file <- tempfile()",
    "log_run(file, setNames(values, paste0('p', seq_along(values))), c(m = 2 / 3))",
    "back <- lapply(as.list(read_runs(file))[-(1:2)], function(x) if (is.list(x)) x[[1]] else x)",
    "back <- unname(back[seq_along(values)])",
    "cat('values that differ:', sum(!mapply(same_bits, back, values)), '\\n')",
    "row <- readBin(file, 'raw', file.size(file))",
    "row <- row[(which(row == 10)[[3]] + 1):length(row)]",
    "# What differs by nature: the time, the ids, the hash.",
    "cells <- regmatches(rawToChar(row), regexpr('\"[{].*[}]\",,', rawToChar(row), useBytes = TRUE))",
    "writeBin(charToRaw(cells), Sys.getenv('TEST_OUT'))",
    "cat('done\\n')"
  )
  settings <- list(
    c(TEST_OUTDEC = ".", LC_ALL = "C.UTF-8", TZ = "UTC"),
    c(TEST_OUTDEC = ",", LC_ALL = "C", TZ = "Pacific/Auckland"),
    c(TEST_OUTDEC = ",", LC_ALL = "C.UTF-8", TZ = "America/Los_Angeles")
  )
  rows <- lapply(settings, function(setting) {
    out <- withr::local_tempfile()
    output <- run_apart(code, env = c(setting, TEST_OUT = out))
    expect_identical(output, list(c("values that differ: 0 ", "done")))
    bytes(out)
  })
  expect_gt(length(rows[[1]]), 1e6)
  expect_identical(rows[[2]], rows[[1]])
  expect_identical(rows[[3]], rows[[1]])
})
