# Every value of the format's table comes back as its third column says.

comes_back <- function(values) {
  file <- local_ledger()
  log_run(file, rlang::set_names(values, paste0("p", seq_along(values))), list())
  unname(lapply(as.list(read_runs(file))[-(1:2)], function(x) if (is.list(x)) x[[1]] else x))
}

random_values <- function(n) {
  double <- function() {
    bits <- as.raw(sample(0:255, 8, replace = TRUE))
    readBin(bits, "double")
  }
  text <- function() intToUtf8(sample(c(1:0xd7ff, 0xe000:0xfffd, 0x10000:0x10ffff), sample(0:20, 1)))
  instant <- function() {
    as.POSIXct(round(stats::runif(1, -6e10, 2.5e11), sample(0:6, 1)), origin = "1970-01-01", tz = "UTC")
  }
  kinds <- list(
    logical = function() sample(c(TRUE, FALSE, NA), 1),
    integer = function() sample(c(NA, -.Machine$integer.max, .Machine$integer.max, 0L, sample.int(1e6, 1)), 1),
    double = function() sample(list(double(), 0, -0, NA_real_, NaN, Inf, -Inf, 1e-5, 1e16, 5e-324, stats::runif(1)), 1)[[1]],
    character = function() sample(list(text(), NA_character_, "", "NA"), 1)[[1]],
    date = function() as.Date(sample(c(NA, -719528, 2932896, sample.int(1e5, 1)), 1), origin = "1970-01-01"),
    datetime = instant,
    difftime = function() as.difftime(stats::runif(1, -1e6, 1e6), units = "secs")
  )
  vector_of <- function(kind) {
    n <- sample(2:5, 1)
    x <- do.call(c, replicate(n, kind(), simplify = FALSE))
    if (inherits(x, "POSIXct")) attr(x, "tzone") <- "UTC"
    if (sample(2, 1) == 1) names(x) <- paste0("n", seq_along(x))
    x
  }
  lapply(seq_len(n), function(i) {
    kind <- kinds[[sample(length(kinds), 1)]]
    switch(sample(4, 1),
      kind(),
      vector_of(kind),
      list(a = kind(), `$b` = vector_of(kind), c = NULL, d = list()),
      list(kind(), list(vector_of(kind)))
    )
  })
}

test_that("ten thousand random values come back bit for bit", {
  withr::local_seed(20261123)
  values <- random_values(10000)
  back <- comes_back(values)
  same <- mapply(identical, back, values, MoreArgs = list(single.NA = FALSE, num.eq = FALSE))
  # A NaN may have any bits and is one value; NA stays NA.
  odd <- which(!same)
  expect_true(all(mapply(identical, back[odd], values[odd])))
  expect_lt(length(odd), length(values) / 4)
})

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

test_that("the bytes are the same in every locale and time zone", {
  skip_on_cran()
  skip_on_os("windows")
  code <- c(
    "options(OutDec = Sys.getenv('TEST_OUTDEC'), digits = 3, scipen = -5, fitledger.context = character())",
    "library(fitledger)",
    "set.seed(7)",
    "params <- list(",
    "  x = 1234567.891, tiny = 1e-300, third = 1/3, many = runif(50), name = 'gr\\u00f6\\u00dfe',",
    "  day = as.Date('2026-03-29'), at = as.POSIXct(1774746000.5, origin = '1970-01-01'), f = y ~ x + 0.5",
    ")",
    "file <- tempfile()",
    "log_run(file, params, c(m = 2/3))",
    "row <- read.csv(file, colClasses = 'character', encoding = 'UTF-8')[3, ]",
    "con <- base::file(Sys.getenv('TEST_OUT'), 'wb')",
    "writeLines(enc2utf8(c(row$params, row$metrics)), con, useBytes = TRUE)",
    "close(con)",
    "stopifnot(identical(read_runs(file)$many[[1]], params$many))",
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
    expect_identical(output, list("done"))
    bytes(out)
  })
  expect_identical(rows[[2]], rows[[1]])
  expect_identical(rows[[3]], rows[[1]])
})
