test_that("the hash is that of the documented encoding", {
  skip_on_os("windows")
  kinds <- data_kinds()
  for (kind in names(kinds)) {
    expect_identical(hash_data(kinds[[kind]]), hash_by_hand(kinds[[kind]]), label = kind)
  }
  skip_if_not_installed("bit64")
  long <- bit64::as.integer64(c("9007199254740993", NA, "-1", "0"))
  expect_identical(hash_data(long), hash_by_hand(long))
})

test_that("the slots of an S4 class are data", {
  here <- environment()
  methods::setClass("months_and_seconds", contains = "numeric", slots = c(month = "numeric", unit = "list"), where = here)
  methods::setClass("seconds", contains = "numeric", where = here)
  withr::defer(for (class in c("months_and_seconds", "seconds")) methods::removeClass(class, where = here))
  period <- function(seconds, month, unit = list()) methods::new("months_and_seconds", seconds, month = month, unit = unit)
  values <- list(
    period(0, 1), period(0, 2), period(1, 1), period(c(a = 0), 1), period(0, 1, list(period(0, 1))), period(0, 1, list(period(0, 2)))
  )
  values <- c(values, lapply(values, function(value) list(value)))
  hashes <- vapply(values, hash_data, "")
  expect_identical(hashes, vapply(values, hash_by_hand, ""))
  expect_identical(anyDuplicated(hashes), 0L)
  expect_identical(hash_data(methods::new("seconds", c(1, 2))), hash_data(c(1, 2)))
  methods::setClass("with_code", contains = "numeric", slots = c(code = "function", none = "ANY"), where = here)
  withr::defer(methods::removeClass("with_code", where = here))
  expect_identical(hash_data(methods::new("with_code", 1, code = mean, none = quote(x))), hash_data(methods::new("seconds", 1)))
  expect_error(hash_data(list(period(0, 1, list(quote(x))))), 'its part `[[1]][["unit"]][[1]]` is not data', fixed = TRUE)
  nested <- period(0, 1)
  for (i in 1:1000) nested <- period(0, 1, list(nested))
  expect_error(hash_data(nested), "nested too deep", class = "fitledger_error_value")
})

test_that("the hashes never change", {
  fixed <- read.csv(test_path("fixtures", "hashes.csv"))
  found <- vapply(data_kinds(), hash_data, "")
  expect_identical(unname(found[fixed$kind]), fixed$hash)
  expect_identical(names(found), fixed$kind)
})

# `as.complex(NA)` has another imaginary part since R 4.4.
test_that("a missing complex number is one, whatever its parts are", {
  missing <- complex(3, real = c(NA, NA, 1), imaginary = c(NA, 0, NA))
  expect_identical(hash_data(missing), hash_data(rep(NA_complex_, 3)))
  expect_identical(hash_data(as.complex(NA)), hash_data(NA_complex_))
  expect_false(hash_data(complex(1, NaN, 0)) == hash_data(NA_complex_))
})

test_that("random data have the hash of the encoding", {
  skip_on_cran()
  skip_on_os("windows")
  set.seed(1)
  for (i in 1:50) {
    n <- sample(0:20, 1)
    pick <- function(x) sample(c(x, NA), n, TRUE)
    frame <- data.frame(
      d = pick(c(rnorm(5), Inf, NaN, -0)), i = pick(-3:3), l = pick(TRUE),
      s = pick(c("", "x", "\u00e9\u4e2d", strrep("y", 300))), f = factor(pick(letters[1:3]))
    )
    frame <- frame[sample(n), sample(5, sample(0:5, 1)), drop = FALSE]
    expect_identical(hash_data(frame), hash_by_hand(frame))
  }
})

test_that("what holds the data makes no difference", {
  skip_if_not_installed("data.table")
  skip_if_not_installed("tibble")
  frame <- data.frame(x = c(1.5, NA), y = c("a", "b"), z = factor(c("u", "v")), d = as.Date("2026-11-23") + 0:1)
  expected <- hash_data(frame)
  expect_identical(hash_data(tibble::as_tibble(frame)), expected)
  expect_identical(hash_data(data.table::as.data.table(frame)), expected)
  expect_identical(hash_data(as.list(frame)), expected)
  expect_identical(hash_data(frame[2:1, ][2:1, ]), expected)
  latin1 <- iconv("caf\u00e9", "UTF-8", "latin1")
  expect_identical(hash_data(I(latin1)), hash_data(I("caf\u00e9")))
  expect_identical(hash_data(list(-0, NaN)), hash_data(list(0, -NaN)))
})

test_that("what is other data has another hash", {
  frame <- data.frame(x = 1:3, y = c("a", "b", "c"))
  others <- list(
    frame, frame[3:1, ], frame[2:1], `names<-`(frame, c("x", "z")), transform(frame, x = as.double(x)),
    transform(frame, x = c(1L, NA, 3L)), transform(frame, y = factor(y)), `rownames<-`(frame, frame$y),
    frame[1:2, ], as.matrix(frame), list(frame), 1:6, matrix(1:6, 2), matrix(1:6, 3), factor(c("a", "b")),
    factor(c("a", "b"), levels = c("b", "a")), c(1L, 2L), as.difftime(1, units = "mins"),
    as.difftime(1, units = "secs"), .POSIXct(1, "UTC"), .POSIXct(1, "Asia/Tokyo"), NA, NA_integer_, NA_real_,
    NA_character_, NaN, "NA", "", character(), list(), NULL, list(NULL), c("a", "bc"), c("ab", "c")
  )
  hashes <- vapply(others, function(x) hash_data(if (is.character(x)) I(x) else x), "")
  expect_false(anyDuplicated(hashes) > 0)
})

test_that("a sparse matrix counts as its parts, without what it caches", {
  skip_if_not_installed("Matrix")
  x <- Matrix::Matrix(c(1, 0, 0, 2), 2, sparse = TRUE, dimnames = list(NULL, c("a", "b")))
  parts <- list(class = class(x)[[1]])
  for (slot in sort(setdiff(methods::slotNames(x), "factors"), method = "radix")) {
    parts[[slot]] <- methods::slot(x, slot)
  }
  expect_identical(hash_data(x), hash_data(parts))
})

test_that("what isn't data is refused, and says where", {
  bytes <- "\xff"
  Encoding(bytes) <- "bytes"
  expect_snapshot_conditions({
    hash_data()
    hash_data(mean)
    hash_data(list(a = 1, b = list(2, globalenv())))
    hash_data(lm(dist ~ speed, cars))
    hash_data(as.POSIXlt("2026-11-23", tz = "UTC"))
    hash_data(data.frame(x = I(c("a", bytes))))
    hash_data("no-such-file.csv")
    hash_data(c(quote(x)))
  })
})

test_that("a run records hash, shape and schema of its data", {
  file <- local_ledger()
  path <- withr::local_tempfile(lines = c("a,b", "1,2"))
  wide <- as.data.frame(matrix(0, 1, 1001))
  odd <- stats::setNames(data.frame(1, 2L, "x"), c("a", "a", ""))
  log_run(
    file, list(), list(),
    data = list(
      cars = cars, x = as.matrix(cars), y = cars$dist, file = path, snapshot = I("2026-11"),
      hash = hash_data(cars), wide = wide, odd = odd, "$a" = 1:3
    )
  )
  data <- jsonlite::fromJSON(tail(cells(file)$context, 1), simplifyVector = FALSE)$data
  expect_identical(data$cars$hash, hash_data(cars))
  expect_identical(data$cars[-1], list(rows = 50L, cols = 2L, columns = list(speed = "double", dist = "double")))
  expect_identical(data$x$type, "double")
  expect_identical(data$y[-1], list(rows = 50L, type = "double"))
  expect_identical(data$file$hash, hash_data(path))
  expect_match(data$file$hash, "^sha256:")
  expect_identical(data$snapshot, list(hash = "2026-11"))
  expect_identical(data$hash, list(hash = hash_data(cars)))
  expect_identical(names(data$wide), c("hash", "rows", "cols"))
  expect_identical(data$odd$columns, list(a = "double", a.1 = "integer", V3 = "character"))
  expect_match(read_runs(file, columns = "data")$data, "$a=fl1:", fixed = TRUE)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("every way to log takes data", {
  file <- local_ledger()
  log_run(file, list(), list(), data = cars)
  run <- start_run(file, data = cars)
  end_run(run)
  with_run(file, list(), function(run) NULL, data = cars)
  expect_identical(read_runs(file, columns = "data")$data, rep(hash_data(cars), 3))
})

test_that("data that can't be recorded leave the ledger as it was", {
  file <- local_ledger()
  expect_snapshot_conditions({
    log_run(file, list(), list(), data = list(cars))
    log_run(file, list(), list(), data = list(a = NULL))
    log_run(file, list(), list(), data = "no-such-file.csv")
    log_run(file, list(), list(), data = mean)
  })
  expect_false(file.exists(file_of(file)))
})

test_that("several files are one version", {
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  paths <- c("a.csv", "b", "c.csv")
  for (path in paths) writeLines(path, path)
  hashes <- vapply(paths, hash_data, "")
  whole <- hash_data(unname(hashes))
  file <- local_ledger()
  recorded <- function(data) {
    log_run(file, list(), list(), data = data)
    jsonlite::fromJSON(tail(read_ledger(file)$context, 1), simplifyVector = FALSE)$data
  }
  expect_identical(
    recorded(paths)$data,
    list(
      hash = whole, size = as.integer(sum(file.size(paths))), file = "a.csv, b, c.csv",
      files = unname(Map(function(file, hash) list(file = file, hash = hash), paths, hashes))
    )
  )
  classed <- structure(stats::setNames(paths, paths), class = c("fs_path", "character"))
  expect_identical(recorded(list(train = classed, test = "b"))$train$hash, whole)
  expect_identical(recorded(unname(hashes))$data$hash, whole)
  expect_identical(recorded(file.path(folder, paths))$data$hash, whole)
  expect_false(recorded(rev(paths))$data$hash == whole)
  writeLines("changed", "b")
  expect_false(recorded(paths)$data$hash == whole)
  writeLines("b", "b")
  if (.Platform$OS.type != "windows") {
    file.symlink("b", "link")
    expect_identical(recorded(c("a.csv", "link", "c.csv"))$data$hash, whole)
  }
  expect_s3_class(trace_lineage(file, data = paths), "fitledger_lineage")
  many <- recorded(rep(paths, 400))$data
  expect_length(many$files, 1000)
  expect_match(many$file, "^a.csv, b, c.csv, a.csv, b and 1195 more$")
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("texts are the data only where they can't be meant as paths", {
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  writeLines("a", "a.csv")
  dir.create("train")
  file <- local_ledger()
  recorded <- function(data) {
    log_run(file, list(), list(), data = data)
    read_runs(file, columns = "data")$data[[nrow(read_runs(file))]]
  }
  texts <- list(
    c("low", "high"), c("train", "low", "train"), c("a.csv", "x", "a.csv"), c("3.5", "2.1"),
    c("2026/01/02", "2026/01/03"),
    c("One sentence.", "And/or another one."), c(NA, "x"), c("", "x"), c(strrep("x", 1e5), "y")
  )
  for (x in texts) expect_identical(recorded(x), hash_data(x))
  paths <- list(c("x.csv", "y.csv"), c("a.csv", "train"), c("a.csv", "y"), c("raw/x", "raw/y"), c("~/x.rds", "~/y.rds"))
  for (x in paths) {
    expect_error(recorded(x), class = "fitledger_error_not_found")
    expect_identical(recorded(I(x)), hash_data(x))
    expect_identical(recorded(list(y = factor(x))), hash_data(factor(x)))
  }
  # An argument is a value.
  fit <- function(x, group) list(x, group)
  log_call(file, fit(data.frame(x = 1:2), c("x.csv", "y.csv")))
  expect_match(utils::tail(read_runs(file, columns = "data")$data, 1), hash_data(c("x.csv", "y.csv")), fixed = TRUE)
  connection <- file("a.csv")
  on.exit(close(connection))
  expect_snapshot_conditions({
    recorded(c("a.csv", "b.csv"))
    recorded(c("a.csv", "train"))
    recorded("train")
    recorded(character())
    recorded(connection)
  })
})

test_that("a link leads to data as its target does", {
  skip_on_os("windows")
  folder <- withr::local_tempdir()
  link <- function(name, to) {
    path <- file.path(folder, name)
    file.symlink(to, path)
    path
  }
  real <- file.path(folder, "real.csv")
  writeLines("1,2", real)
  chain <- link("chain.csv", link("train.csv", "real.csv"))
  expect_identical(hash_data(chain), hash_data(real))
  file <- local_ledger()
  log_run(file, list(), list(), data = list(train = chain))
  recorded <- jsonlite::fromJSON(tail(read_ledger(file)$context, 1))$data$train
  expect_identical(recorded$hash, hash_data(real))
  expect_identical(recorded$file, chain)
  expect_error(hash_data(link("nowhere.csv", "none.csv")), "is not there", class = "fitledger_error_not_found")
  expect_error(hash_data(link("folder", folder)), "is a folder", class = "fitledger_error_not_found")
  pipe <- file.path(folder, "pipe")
  system2("mkfifo", pipe)
  expect_error(hash_data(link("piped.csv", pipe)), "a pipe", class = "fitledger_error_unstorable")
})

test_that("a missing value is neither data nor a path", {
  file <- local_ledger()
  path <- withr::local_tempfile(lines = "x")
  withr::local_dir(dirname(path))
  for (data in list(NA_character_, NA, NA_real_, I(NA_character_), c(NA_character_, NA), c(basename(path), NA))) {
    for (data in list(data, list(train = data))) {
      expect_error(log_run(file, list(), list(), data = data), "must be", class = "fitledger_error_argument")
      expect_error(start_run(file, data = data), "must be", class = "fitledger_error_argument")
    }
  }
  for (keep in c(TRUE, FALSE)) {
    expect_error(
      log_run(file, list(), list(), artifacts = list(a = NA_character_), keep = keep), "`artifacts$a` must be",
      fixed = TRUE, class = "fitledger_error_argument"
    )
  }
  expect_false(file.exists(file_of(file)))
  run <- start_run(file)
  expect_error(log_artifact(run, "a", NA_character_), "must be", class = "fitledger_error_argument")
  expect_warning(
    with_run(file, list(), function(run) log_artifact(run, "a", NA_character_)),
    "must be",
    class = "fitledger_warning_not_recorded"
  )
  expect_error(log_run(file, list(), list(), data = c("gone.csv", NA)), class = "fitledger_error_not_found")
  # Data that are texts may miss some.
  expect_no_error(log_run(file, list(), list(), data = c("yes", NA, "no")))
})
