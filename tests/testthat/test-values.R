# Every value of the format's table comes back as its third column says.

comes_back <- function(values) {
  file <- local_ledger()
  log_run(file, rlang::set_names(values, paste0("p", seq_along(values))), list())
  unname(lapply(as.list(read_runs(file))[-(1:2)], function(x) if (is.list(x)) x[[1]] else x))
}

test_that("what has more elements than a row has room for is refused, before anything is made of it", {
  file <- local_ledger()
  # R has it without having its elements.
  long <- seq_len(1e10)
  run <- start_run(file)
  calls <- list(
    function() log_run(file, list(long = long), list()), function() log_run(file, list(a = list(long)), list()),
    function() log_run(file, long, list()), function() log_run(file, list(), long), function() log_params(run, long = long),
    function() log_tags(run, long = long), function() end_run(run, long)
  )
  for (call in calls) expect_error(call(), "longer than a row may be", class = "fitledger_error_value")
  # A list that R has once, and that stands in many places.
  doubled <- list(1)
  for (i in 1:24) doubled <- list(doubled, doubled)
  expect_error(log_run(file, list(a = doubled), list()), "longer than a row may be", class = "fitledger_error_value")
  # Deeper than is looked.
  deep <- list()
  for (i in 1:1e5) deep <- list(deep)
  expect_error(log_run(file, list(a = deep), list()), "levels deep", class = "fitledger_error_value")
  expect_identical(nrow(read_runs(file)), 1L)
})

test_that("a vector that fails as it is read costs no fit within with_run()", {
  file <- local_ledger()
  # There is no memory for its elements, which hashing asks for.
  long <- seq_len(1e12)
  kept <- suppressWarnings(with_run(file, list(), function(run) {
    log_artifact(run, "table", structure(list(long = long), class = "data.frame", row.names = integer()))
    "the fit"
  }))
  expect_identical(kept, "the fit")
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
  expect_identical(comes_back(list(c(a = 1, b = 2))), list(c(a = 1, b = 2)))
})

test_that("one value with a name is one value", {
  named <- function(x) {
    names(x) <- "n"
    x
  }
  at <- as.POSIXct("2026-11-23 04:20:47", tz = "UTC")
  values <- list(
    c(n = TRUE), c(n = 5L), c(n = 0.5), c(n = "x"), c(n = NA), c(n = NA_character_), named(as.Date("2026-11-23")),
    named(at), named(as.difftime(5, units = "secs")), stats::quantile(1:10, 0.5), which.max(c(a = 1, b = 3)),
    named(factor("u"))
  )
  plain <- list(
    TRUE, 5L, 0.5, "x", NA, NA_character_, as.Date("2026-11-23"), at, as.difftime(5, units = "secs"), 5.5, 2L, "u"
  )
  expect_identical(comes_back(values), plain)
  odd <- stats::setNames(1:3, c(NA, "", "x"))
  expect_identical(comes_back(list(odd[1], odd[2], list(n = 1), list(c(n = 1)))), list(1L, 2L, list(n = 1), list(1)))

  file <- local_ledger()
  log_run(file, list(k = 2L), list(), tags = list(by = "ann"))
  log_run(file, list(k = which.max(c(a = 1, b = 3))), list(), tags = list(by = c(user = "ann")), name = c(n = "second"))
  run <- start_run(file, list(k = c(a = 3L)))
  log_params(run, k = c(b = 2L))
  log_tags(run, by = c(x = "ann"))
  end_run(run)
  grid <- data.frame(k = 1:2)
  grid$k <- c(a = 2L, b = 1L)
  log_runs(file, grid, "k", character(), tags = list(by = "ann"))
  log_call(file, identity(c(a = 1)), params = list(k = c(u = 2L)), tags = list(by = c(z = "ann")))
  found <- read_runs(file, where = k == 2 & tags.by == "ann", details = TRUE)
  expect_identical(found$k, rep(2L, 5))
  expect_identical(found$name[[2]], "second")
})

test_that("64-bit integers with a name are one value too", {
  skip_if_not_installed("bit64")
  long <- bit64::as.integer64("9007199254740993")
  names(long) <- "n"
  expect_identical(comes_back(list(long)), list(bit64::as.integer64("9007199254740993")))
})

test_that("a metric is one number of any class, in every way to log it", {
  setClass("fl_money", contains = "numeric", representation(currency = "character"), where = environment())
  values <- list(
    auc = structure(0.87, partial.auc = FALSE, percent = FALSE, class = c("auc", "numeric")),
    hms = structure(90, class = c("hms", "difftime"), units = "secs"),
    mins = structure(c(t = 2L), class = "difftime", units = "mins"),
    unit = structure(5, units = structure(list(numerator = "m"), class = "symbolic_units"), class = "units"),
    likelihood = stats::logLik(stats::lm(dist ~ speed, cars)), size = utils::object.size(1), series = stats::ts(4),
    as_is = I(3), unquoted = noquote(2), roman = utils::as.roman("X"), money = new("fl_money", 7, currency = "EUR"),
    matrix = matrix(2, dimnames = list("a", "b")), array = array(1, c(1, 1, 1)), table = table("x"),
    named = c(x = 3), labelled = structure(1, label = "one"), missing = structure(NA, class = "odd")
  )
  numbers <- c(
    0.87, 90, 120, 5, as.numeric(values$likelihood), as.numeric(values$size), 4, 3, 2, 10, 7, 2, 1, 1, 3, 1, NA
  )
  if (requireNamespace("bit64", quietly = TRUE)) {
    values$long <- bit64::as.integer64(c(n = 2^53))
    values$absent <- bit64::as.integer64(NA)
    numbers <- c(numbers, 2^53, NA)
  }
  file <- local_ledger()
  log_run(file, list(), values)
  log_run(file, list(), list(), sealed = values)
  reveal_run(file, last_run_id(file), "to see")
  for (step in list(NULL, 1)) {
    run <- start_run(file)
    do.call(log_metrics, c(list(run), values, list(step = step)))
    end_run(run)
  }
  run <- start_run(file)
  end_run(run, values)
  with_run(file, list(), function(run) log_metrics(run, values))
  log_call(file, identity(1), metrics = function(fit) values)
  grid <- as.data.frame(matrix(1, 1, 0))
  for (name in names(values)) grid[[name]] <- list(values[[name]])
  log_runs(file, grid, character(), names(values))
  runs <- read_runs(file)
  expect_equal(nrow(runs), 8)
  for (row in 1:8) expect_identical(as.numeric(runs[row, names(values)]), numbers, label = paste("run", row))

  id <- log_run(file, list(), list(), artifacts = list(model = 1))
  register_model(file, "one", id)
  promote_model(file, "one", 1, gate = function(candidate, current) list(pass = TRUE, figures = values))
  expect_identical(as.numeric(stage_history(file, "one")$figures[[1]]), numbers)
  refused <- tryCatch(
    promote_model(file, "one", 1, "other", gate = function(candidate, current) list(pass = FALSE, figures = values)),
    fitledger_error_refused = identity
  )
  expect_identical(as.numeric(refused$figures), numbers)
})

test_that("columns of any class are metrics of many runs", {
  file <- local_ledger()
  grid <- data.frame(k = 1:3)
  grid$auc <- structure(c(0.1, 0.2, 0.3), class = "auc")
  grid$took <- structure(c(1, 2, NA), class = c("hms", "difftime"), units = "mins")
  grid$scaled <- scale(1:3)
  log_runs(file, grid, "k", c("auc", "took"), sealed = "scaled")
  for (id in read_runs(file)$run_id) reveal_run(file, id, "to see")
  expect_identical(
    as.list(read_runs(file)[-(1:3)]),
    list(auc = c(0.1, 0.2, 0.3), took = c(60, 120, NA), scaled = c(-1, 0, 1))
  )
  many <- data.frame(k = 1:5000)
  many$took <- as.difftime(many$k / 60, units = "mins")
  if (requireNamespace("bit64", quietly = TRUE)) many$long <- bit64::as.integer64(many$k)
  log_runs(file, many, "k", names(many)[-1])
  expect_equal(utils::tail(read_runs(file)$took, 5000), as.numeric(1:5000))
  grid$pair <- matrix(1:6, 3)
  grid$label <- factor(c("1", "2", "b"))
  expect_snapshot_conditions({
    log_runs(file, grid, "k", "pair")
    log_runs(file, grid, "pair", "auc")
    log_runs(file, grid, "k", "label")
  })
})

test_that("what isn't one number is refused, with what would do", {
  file <- local_file()
  setClass("fl_period", contains = "numeric", representation(hour = "numeric"), where = environment())
  refused <- function(x) log_run(file, list(), list(m = x))
  expect_snapshot_conditions({
    refused(factor("3", levels = c("3", "2", "1")))
    refused(factor("low", levels = c("low", "2")))
    refused(factor(c("1", "2")))
    refused("1.5")
    refused("low")
    refused(c("a", "b"))
    refused(numeric())
    refused(NULL)
    refused(list())
    refused(list(1))
    refused(list(a = 1, b = 2))
    refused(c(a = 1, b = 2))
    refused(structure(1:2, class = "auc"))
    refused(TRUE)
    refused(as.Date("2026-11-23"))
    refused(as.POSIXct("2026-11-23", tz = "UTC"))
    refused(as.POSIXct(1 / 3, origin = "1970-01-01"))
    refused(as.POSIXlt("2026-11-23", tz = "UTC"))
    refused(data.frame(rmse = 1))
    refused(1i)
    refused(as.raw(1))
    refused(mean)
    refused(new.env())
    refused(numeric_version("1.2"))
    refused(structure(1, class = "difftime"))
    refused(new("fl_period", 1, hour = 2))
  })
  expect_false(file.exists(file))
  skip_if_not_installed("bit64")
  expect_error(refused(bit64::as.integer64("9007199254740993")), "no double", class = "fitledger_error_value")
  expect_error(refused(bit64::as.integer64("9007199254740993")), "as.double()", fixed = TRUE)
})

test_that("no code of a value's class can break a call", {
  generics <- c(
    "as.numeric", "as.double", "length", "as.list", "names", "format", "is.na", "[", "[[", "as.vector", "as.character",
    "is.numeric", "c", "dim", "dimnames", "unique", "Ops"
  )
  fails <- function(...) stop("a method that fails")
  for (generic in generics) registerS3method(generic, "fl_broken", fails, envir = asNamespace("base"))
  x <- structure(0.5, class = "fl_broken")
  file <- local_ledger()
  log_run(file, list(), list(m = x), sealed = list(s = x), data = x)
  run <- start_run(file)
  log_metrics(run, m = x)
  log_metrics(run, m = x, step = 1)
  end_run(run, list(n = x))
  expect_warning(
    log_call(file, identity(x), metrics = function(fit) list(m = x)),
    "an object of class <fl_broken>. Its code is",
    fixed = TRUE, class = "fitledger_warning_not_recorded"
  )
  expect_identical(read_runs(file)$m, c(0.5, 0.5, 0.5))
  run <- start_run(file)
  before <- bytes(file)
  calls <- expression(
    log_run(file, list(a = x), list()), log_run(file, x, list()), log_run(file, list(), x),
    log_run(file, list(), list(), tags = x), log_run(file, list(), list(), seed = x),
    log_run(file, list(), list(), parent = x), log_run(file, list(), list(), name = x),
    log_params(run, x), log_params(run, structure(c(a = 1), class = "fl_broken")), log_metrics(run, m = 1, step = x),
    log_metrics(run, structure(list(a = 1), class = "fl_broken")), log_call(file, identity(1), params = x)
  )
  for (call in calls) expect_error(eval(call), class = "fitledger_error", label = deparse1(call))
  expect_identical(bytes(file), before)
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
  skip_unless_file()
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

test_that("columns of what can't be a value are refused, whatever the rows", {
  file <- local_file()
  odd <- list(
    complex = complex(real = 1:3), raw = as.raw(1:3), expression = expression(a, b, c), calls = as.call(list(quote(f), 1, 2)),
    pairs = pairlist(a = 1, b = 2, c = 3)
  )
  for (x in odd) {
    frame <- structure(list(a = 1:3, x = x), class = "data.frame", row.names = 1:3)
    expect_error(log_runs(file, frame, c("a", "x"), NULL), "x", class = "fitledger_error")
    expect_error(log_runs(file, frame, "a", NULL, tags = list(k = I("x"))), class = "fitledger_error")
    expect_error(log_runs(file, frame, "a", "x"), class = "fitledger_error")
  }
  expect_error(log_runs(file, data.frame(x = complex(real = 1:3)), "x", NULL), "complex", class = "fitledger_error_value")
  expect_false(file.exists(file))
})
