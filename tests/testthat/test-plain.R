# The CSV that the chapter's logger writes, made with the same base functions.
chapter_csv <- function(env = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".csv", .local_envir = env)
  runs <- data.frame(
    run_id = paste0("20261123-04204", 1:3, "-000", 1:3),
    timestamp = c("2026-11-23 04:20:41", "2026-11-23 04:20:42.25", "2026-11-23"),
    model = "ridge", lambda = c(0, 0.1, 1), test_rmse = c(1.95909394844885, NA, 1.96141953679432)
  )
  write.table(runs, file, sep = ",", row.names = FALSE)
  file
}

test_that("the chapter's CSV is read as it stands", {
  file <- chapter_csv()
  before <- bytes(file)
  withr::local_timezone("America/New_York")
  runs <- read_runs(file)
  expect_named(runs, c("run_id", "timestamp", "model", "lambda", "test_rmse"))
  expect_identical(runs$test_rmse, c(1.95909394844885, NA, 1.96141953679432))
  expect_identical(
    runs$timestamp,
    as.POSIXct(c("2026-11-23 09:20:41", "2026-11-23 09:20:42.25", "2026-11-23 05:00:00"), tz = "UTC")
  )
  expect_equal(best_run(file, "test_rmse")$lambda, 0)
  expect_equal(best_run(file, "test_rmse", where = lambda > 0)$lambda, 1)
  expect_named(read_runs(file, columns = "lambda"), c("run_id", "timestamp", "lambda"))
  expect_error(best_run(file, "rmse"), class = "fitledger_error_unknown")
  expect_identical(bytes(file), before)
})

test_that("the chapter's CSV is never written to", {
  file <- chapter_csv()
  before <- bytes(file)
  expect_error(log_run(file, list(a = 1), list(m = 1)), "import_runs", class = "fitledger_error_plain_csv")
  expect_identical(bytes(file), before)
})

test_that("a plain CSV with ragged lines is named, line and all", {
  file <- chapter_csv()
  cat('"20261123-042044-0004","2026-11-23 04:20:44","tree",3,5,1.2\n', file = file, append = TRUE)
  expect_error(read_runs(file), "line 5 has 6 cells", class = "fitledger_error_not_a_ledger")
})

test_that("imported runs keep their ids, times and numbers", {
  from <- chapter_csv()
  file <- local_ledger()
  before <- bytes(from)
  expect_snapshot_conditions(ids <- import_runs(from, file))
  old <- read_runs(from)
  expect_identical(ids, old$run_id)
  expect_equal(read_runs(file), old, tolerance = 0)
  expect_equal(best_run(file, "test_rmse")$lambda, 0)
  origin <- cells(file)$context[[3]]
  expect_match(origin, "\"origin\":{\"file\":", fixed = TRUE)
  expect_match(origin, basename(from), fixed = TRUE)
  expect_identical(bytes(from), before)

  expect_length(import_runs(from, file, metrics = "test_rmse"), 0)
  expect_equal(nrow(read_runs(file)), 3)
})

test_that("a dry run says what would come, and writes nothing", {
  from <- chapter_csv()
  file <- local_ledger()
  expect_message(ids <- import_runs(from, file, metrics = "test_rmse", dry_run = TRUE), "Would import 3 new runs")
  expect_false(file.exists(file))
  expect_identical(import_runs(from, file, metrics = "test_rmse"), ids)
  before <- bytes(file)
  expect_message(ids <- import_runs(from, file, metrics = "test_rmse", dry_run = TRUE), "Would import 0 new runs")
  expect_identical(ids, character())
  expect_identical(bytes(file), before)
})

test_that("what can't be imported is an error", {
  from <- chapter_csv()
  file <- local_ledger()
  expect_error(import_runs(from, file, metrics = "rmse"), class = "fitledger_error_unknown")
  expect_error(import_runs(tempfile(), file), class = "fitledger_error_not_found")
  expect_false(file.exists(file))
  lines <- readLines(from)
  writeLines(c(lines, lines[[2]]), from)
  expect_error(import_runs(from, file, metrics = "test_rmse"), "stands twice", class = "fitledger_error_not_a_ledger")
  expect_false(file.exists(file))
})

test_that("metrics are told from parameters by their names, or are the last column", {
  guess <- function(...) suppressMessages(guess_metrics(data.frame(...)))
  expect_identical(guess(lambda = 1, val_loss = 2, auc = 3, note = "x"), c("val_loss", "auc"))
  expect_identical(guess(a = 1, b = 2), "b")
  expect_identical(guess(a = 1, rmse = "x"), character())
})

test_that("an export reads back, by us and by read.csv", {
  file <- local_ledger()
  to <- withr::local_tempfile(fileext = ".csv")
  log_run(file, list(model = "a,\"b\"\nc", x = 1 / 3, n = 5L, flag = TRUE), list(rmse = 1e-300))
  log_run(file, list(model = "=cmd()", grid = 1:2), list(rmse = 2))
  expect_identical(export_runs(file, to), to)
  runs <- read_runs(to)
  expect_identical(runs$rmse, c(1e-300, 2))
  expect_identical(runs$x, c(1 / 3, NA))
  expect_identical(runs$model, c("a,\"b\"\nc", "=cmd()"))
  expect_identical(runs$grid, c(NA, "[1,2]"))
  expect_identical(runs$timestamp, read_runs(file)$timestamp)
  expect_identical(read.csv(to)$run_id, runs$run_id)
  expect_no_error(export_runs(file, to))
  expect_identical(dir(dirname(to), paste0(basename(to), ".")), character())
})

test_that("an export follows no link and waits for no pipe", {
  skip_on_os("windows")
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  folder <- withr::local_tempdir()
  earlier <- export_runs(file, file.path(folder, "earlier.csv"))
  before <- bytes(earlier)
  log_run(file, list(a = 2), list(m = 2))
  to <- file.path(folder, "to.csv")
  for (target in c(earlier, file.path(folder, "nothing"), to)) {
    file.symlink(target, to)
    expect_error(export_runs(file, to), "is a symbolic link", class = "fitledger_error_exists")
    expect_identical(Sys.readlink(to), target)
    unlink(to)
  }
  expect_identical(bytes(earlier), before)
  system2("mkfifo", shQuote(to))
  expect_error(export_runs(file, to), "is a pipe", class = "fitledger_error_exists")
  unlink(to)
  dir.create(to)
  expect_error(export_runs(file, to), "is a folder", class = "fitledger_error_exists")
  expect_setequal(dir(folder), c("earlier.csv", "to.csv"))
})

test_that("an export replaces nothing but an export", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  other <- local_ledger()
  writeLines("precious", other)
  expect_error(export_runs(file, other), class = "fitledger_error_exists")
  expect_error(export_runs(file, file), class = "fitledger_error_exists")
  expect_identical(readLines(other), "precious")
  # Tables of other writers, the chapter's own logger first.
  tables <- list(
    c('"run_id","timestamp","model","test_rmse"', '"a1","2026-11-23 04:20:47","ridge",1.96'),
    c("run_id,timestamp,model,test_rmse", "a1,2026-11-23 04:20:47,ridge,1.96"),
    c("run_id,timestamp,model,test_rmse", "a1,2026-11-23T04:20:47.123456Z,ridge,1.96", "my notes"),
    character()
  )
  for (table in tables) {
    writeLines(table, other)
    expect_error(export_runs(file, other), "not an earlier export", class = "fitledger_error_exists")
    expect_identical(readLines(other), table)
  }
  expect_error(export_runs(tempfile(), tempfile()), class = "fitledger_error_not_found")
  expect_error(export_runs(file, file.path(tempfile(), "x.csv")), class = "fitledger_error_io")
})

test_that("a plain CSV that holds what no logger writes is refused, or read without a warning of R's own", {
  withr::local_options(warn = 2)
  file <- withr::local_tempfile(fileext = ".csv")
  header <- charToRaw("run_id,timestamp,k,rmse\n")
  row <- charToRaw("a,2026-11-23,1,2\n")
  refused <- function(...) {
    writeBin(c(...), file)
    for (verb in list(read_runs, view_runs, function(file) import_runs(file, tempfile()))) {
      expect_error(verb(file), class = "fitledger_error_not_a_ledger")
    }
  }
  refused(header, charToRaw("a,2026-11-23,1"), as.raw(0), charToRaw(",2\n"))
  refused(charToRaw("run_id,timestamp,k"), as.raw(0xff), charToRaw(",rmse\n"), row)
  refused(charToRaw("run_id,timestamp,,rmse\n"), row)
  writeBin(utils::head(header, -1), file)
  expect_identical(nrow(read_runs(file)), 0L)
})

test_that("a run between an export's two reads never costs it a column", {
  file <- local_ledger()
  to <- withr::local_tempfile(fileext = ".csv")
  run <- log_run(file, list(a = 1), list(b = 2))
  columns <- names(read_runs(file))[-(1:2)]
  expect_identical(columns, c("a", "b"))
  # `b` is metrics.b from here on.
  log_run(file, list(b = 3), list(b = 4))
  expect_error(
    call_native(native_export_runs, file, to, run, columns),
    "Export again", class = "fitledger_error_conflict"
  )
  expect_false(file.exists(to))
})

test_that("a plain CSV's texts stay texts and its numbers numbers, read or imported", {
  from <- withr::local_tempfile(fileext = ".csv")
  file <- local_ledger()
  runs <- data.frame(
    run_id = c("a1", "a2", "a3"), timestamp = "2024-03-01 09:15:02",
    zip = c("007", "010", NA), fold = c("T", "F", "NA"), quote = c("say \"hi\"", "a,b", ""), flag = c(TRUE, NA, FALSE),
    n = c(1L, NA, 3L), big = c(3e9, 1e300, NA), acc = c(0.1, Inf, -Inf)
  )
  for (qmethod in c("double", "escape")) {
    write.table(runs, from, sep = ",", row.names = FALSE, qmethod = qmethod)
    expect_identical(as.list(read_runs(from))[-2], as.list(runs)[-2])
  }
  import_runs(from, file, metrics = "acc")
  expect_identical(as.list(read_runs(file))[-2], as.list(runs)[-2])
  # Versions of R differ in what they write of it.
  writeLines(c("run_id,timestamp,acc", "b1,2024-03-01,NaN", "b2,2024-03-01,NA"), from)
  expect_identical(read_runs(from)$acc, c(NaN, NA))
  # Where all is quoted, quotes say nothing; a metric is a number anyhow.
  writeLines(c("run_id,timestamp,k,acc", "\"b1\",\"2024-03-01\",\"1\",\"0.5\""), from)
  expect_identical(as.list(read_runs(from))[3:4], list(k = 1L, acc = 0.5))
  writeLines(c("run_id,timestamp,k,acc", "b1,2024-03-01,1,\"0.5\""), from)
  expect_identical(read_runs(from)$acc, "0.5")
  file <- local_ledger()
  import_runs(from, file, metrics = "acc")
  expect_identical(read_runs(file)$acc, 0.5)
})

test_that("a plain CSV's times are read with their offsets, or refused by line", {
  withr::local_timezone("Europe/Berlin")
  from <- withr::local_tempfile(fileext = ".csv")
  write <- function(times) writeLines(c("run_id,timestamp,acc", paste0("a", seq_along(times), ",", times, ",1")), from)
  times <- c("2024-03-01T09:15:02", "2024-03-01T09:15:02+02:00", "2024-03-01 09:15:02 +0200", "2024/03/01 09:15:02.5Z", "2024-07-01")
  write(times)
  expect_identical(
    format(read_runs(from)$timestamp, "%Y-%m-%d %H:%M:%OS1"),
    c("2024-03-01 08:15:02.0", "2024-03-01 07:15:02.0", "2024-03-01 07:15:02.0", "2024-03-01 09:15:02.5", "2024-06-30 22:00:00.0")
  )
  for (time in c("", "NA", "01/03/2024 09:15", "yesterday", "2024-02-30", "2024-03-31 02:30:00", "9999-12-31T23:59:59-01:00", "0000-01-01")) {
    write(c(times, time))
    for (verb in list(read_runs, view_runs, function(file) import_runs(file, local_ledger(), metrics = "acc"))) {
      expect_error(verb(from), "line 7 has a time", class = "fitledger_error_not_a_ledger")
    }
  }
})

test_that("a plain CSV in another encoding is read, or refused by line", {
  from <- withr::local_tempfile(fileext = ".csv")
  lines <- c("run_id,timestamp,ort,acc", "a1,2024-03-01,M\u00fcnchen,1")
  utf8 <- charToRaw(enc2utf8(paste0(lines, "\r\n", collapse = "")))
  writeBin(c(as.raw(c(0xef, 0xbb, 0xbf)), utf8), from)
  expect_identical(read_runs(from)$ort, "M\u00fcnchen")
  expect_named(read_runs(from), c("run_id", "timestamp", "ort", "acc"))
  writeBin(iconv(rawToChar(utf8), "UTF-8", "latin1", toRaw = TRUE)[[1]], from)
  expect_error(read_runs(from), "line 2 is not UTF-8", class = "fitledger_error_not_a_ledger")
})

test_that("how a run ended goes with its export", {
  file <- local_ledger()
  log_run(file, list(k = 1), list(loss = 0.5))
  try(with_run(file, list(k = 2), function(run) {
    log_metrics(run, loss = 1e-9)
    stop("diverged")
  }), silent = TRUE)
  run <- start_run(file, list(k = 3))
  log_metrics(run, loss = 1e-10)
  tag_run(file, run, by = "ann")
  end_run(run, status = "interrupted")
  open <- start_run(file, list(k = 4))
  log_metrics(open, loss = 1e-11)

  to <- export_runs(file, withr::local_tempfile(fileext = ".csv"))
  expect_identical(best_run(to, "loss")$k, 1L)
  expect_identical(best_run(to, "loss", where = k > 1)$k, integer())
  statuses <- function(file) read_runs(file, columns = c("k", "status"))[c("k", "status")]
  other <- local_ledger()
  expect_message(import_runs(to, other, metrics = "loss"), "1 run had not ended")
  expect_identical(statuses(other)$status, c("finished", "failed", "interrupted"))
  expect_identical(read_runs(other)$loss, c(0.5, 1e-9, 1e-10))
  expect_identical(best_run(other, "loss")$k, 1L)
  expect_identical(verify_ledger(other)$status, "ok")
  expect_named(read_runs(other), c("run_id", "timestamp", "k", "loss"))

  end_run(open)
  export_runs(file, to)
  expect_length(import_runs(to, other, metrics = "loss"), 1)
  expect_identical(statuses(other)$status, statuses(file)$status)
  # A column of that name which says something else is a parameter.
  file <- local_ledger()
  log_run(file, list(status = "married"), list(loss = 1))
  export_runs(file, to)
  expect_named(read_runs(to), c("run_id", "timestamp", "status", "loss", "details.status"))
  other <- local_ledger()
  import_runs(to, other, metrics = "loss")
  expect_named(read_runs(other), c("run_id", "timestamp", "status", "loss"))
})
