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
  expect_false(file.exists(file_of(file)))
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
  expect_false(file.exists(file_of(file)))
  lines <- readLines(from)
  writeLines(c(lines, sub("ridge", "lasso", lines[[2]])), from)
  expect_error(
    import_runs(from, file, metrics = "test_rmse"), "line 5 has a run with the id of that on line 2",
    class = "fitledger_error_not_a_ledger"
  )
  for (id in c("a b", "", "-a", strrep("a", 129))) {
    writeLines(c(lines, sub("20261123-042041-0001", id, lines[[2]])), from)
    expect_error(import_runs(from, file, metrics = "test_rmse"), "line 5 has a run", class = "fitledger_error_not_a_ledger")
  }
  expect_false(file.exists(file_of(file)))
  # A line that stands twice is one run.
  writeLines(c(lines, lines[[2]]), from)
  expect_length(import_runs(from, file, metrics = "test_rmse"), 3)
  expect_equal(nrow(read_runs(file)), 3)
})

test_that("a run whose id another run has is left out and named, and one that is there isn't", {
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  header <- "run_id,timestamp,model,depth,rmse,status"
  writeLines(c(header, "1,2024-03-01T09:15:02Z,ridge,1,2.1,finished", "2,2024-03-01T09:16:02Z,ridge,2,2,failed"), "ann.csv")
  writeLines(c(
    header, "1,2024-05-01T10:00:00Z,forest,1,1.1,finished", "2,2024-03-01T09:16:02Z,ridge,2,2,finished",
    "3,2024-05-01T10:02:00Z,forest,,0.9,finished", "4,2024-05-01T10:02:00Z,forest,,0.9,running"
  ), "bob.csv")
  file <- local_ledger()
  expect_silent(import_runs("ann.csv", file, metrics = "rmse"))
  expect_silent(expect_identical(import_runs("ann.csv", file, metrics = "rmse"), character()))
  expect_snapshot_conditions({
    import_runs("bob.csv", file, metrics = "rmse", dry_run = TRUE)
    import_runs("bob.csv", file, metrics = "rmse")
  })
  expect_identical(read_runs(file)$model, c("ridge", "ridge", "forest"))
  said <- expect_message(import_runs("bob.csv", file, metrics = "rmse"), class = "fitledger_message_imported")
  expect_named(said$left_out, c("row", "event", "run_id", "copied", "why"))
  expect_identical(said$left_out$row, c(2, 3, 5))
  expect_identical(said$left_out$run_id, c("1", "2", "4"))

  # Whatever differs is said; what isn't said is no difference.
  why <- function(lines, ...) {
    writeLines(lines, "other.csv")
    said <- NULL
    withCallingHandlers(import_runs("other.csv", file, ...), message = function(m) {
      said <<- m$left_out$why
      invokeRestart("muffleMessage")
    })
    said
  }
  at <- "1,2024-03-01T09:15:02Z"
  expect_match(why(c("run_id,timestamp,model,rmse", paste0(at, ",lasso,2.1")), metrics = "rmse"), "whose `model` is \"ridge\"")
  expect_match(why(c("run_id,timestamp,model,rmse", paste0(at, ",ridge,2.2")), metrics = "rmse"), "whose `rmse` is \"2.1\"")
  expect_match(why(c("run_id,timestamp,model,mae", paste0(at, ",ridge,2.1")), metrics = "mae"), "has no `mae`")
  expect_match(why(c("run_id,timestamp,depth,rmse", paste0(at, ",1,2.1")), metrics = "depth"), "`rmse` is a metric")
  expect_match(why(c("run_id,timestamp,rmse,status", paste0(at, ",2.1,failed")), metrics = "rmse"), "status is \"finished\"")
  expect_match(why(c("run_id,timestamp,rmse,status", paste0(at, ",2.1,void")), metrics = "rmse"), "isn't void")
  expect_null(why(c("run_id,timestamp,rmse", paste0(at, ",2.1")), metrics = "rmse"))
  expect_null(why(c("run_id,timestamp,depth,model,rmse", paste0(at, ",NA,ridge,2.10")), metrics = "rmse"))
  # A column of another type, since other rows have joined it.
  expect_null(why(c("run_id,timestamp,depth,rmse", paste0(at, ",1,2.1"), "9,2024-03-01,deep,1"), metrics = "rmse"))
  # A run that was declared void since is the same run.
  void_run(file, "1", "no")
  expect_silent(import_runs("ann.csv", file, metrics = "rmse"))
})

test_that("a ledger knows its runs in its own exports", {
  file <- local_ledger()
  log_run(file, list(x = 1L, day = as.Date("2024-03-01"), grid = list(1, "a"), note = "007", big = 2^60), list(x = 0.5))
  log_run(file, list(x = 2.5, flag = TRUE, when = as.POSIXct("2024-03-01 12:00:00.25", tz = "UTC"), took = as.difftime(1, units = "mins")), list(m = -Inf))
  try(with_run(file, list(x = "text"), function(run) stop("no")), silent = TRUE)
  start_run(file, list(x = 1))
  to <- export_runs(file, withr::local_tempfile(fileext = ".csv"))
  expect_silent(expect_identical(import_runs(to, file, metrics = c("metrics.x", "m")), character()))
  # As R writes it, without fractions of a second.
  runs <- read_runs(file, where = status != "running", details = FALSE, columns = c("flag", "m"))
  runs$timestamp <- format(runs$timestamp, "%Y-%m-%dT%H:%M:%SZ")
  utils::write.csv(runs, to, row.names = FALSE)
  expect_silent(expect_identical(import_runs(to, file, metrics = "m"), character()))
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
  other <- local_file()
  writeLines("precious", other)
  expect_error(export_runs(file, other), class = "fitledger_error_exists")
  expect_error(export_runs(file, file_of(file)), class = "fitledger_error_exists")
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
    call_native(native_export_runs, file_of(file), to, run, columns),
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
  # A cell without quotes, such as NA, shows that those of the others say something.
  texts <- data.frame(run_id = "a1", timestamp = "2024-03-01", zip = c("123", "1e5"), fold = c("TRUE", ""), acc = NA)
  write.csv(texts, from, row.names = FALSE)
  expect_identical(as.list(read_runs(from))[3:4], as.list(texts)[3:4])
  # Where all is quoted, quotes say nothing; a metric is a number anyhow.
  writeLines(c("run_id,timestamp,k,acc", "\"b1\",\"2024-03-01\",\"0.1\",\"\"", "\"b2\",\"2024-03-01\",\"\",\"0.5\""), from)
  expect_identical(as.list(read_runs(from))[3:4], list(k = c(0.1, NA), acc = c(NA, 0.5)))
  writeLines(c("run_id,timestamp,k,acc", "\"b1\",\"2024-03-01\",\"1\",\"0.5\""), from)
  expect_identical(as.list(read_runs(from))[3:4], list(k = 1L, acc = 0.5))
  writeLines(c("run_id,timestamp,k,acc", "b1,2024-03-01,1,\"0.5\""), from)
  expect_identical(read_runs(from)$acc, "0.5")
  file <- local_ledger()
  import_runs(from, file, metrics = "acc")
  expect_identical(read_runs(file)$acc, 0.5)
})

test_that("a metric that no double is equal to is refused by line, and a parameter stays text", {
  from <- withr::local_tempfile(fileext = ".csv")
  for (text in c("9007199254740993", strrep("1", 30), "1e400", "1e-400", "0x1F", "1.5e", "TRUE", "none")) {
    writeLines(c("run_id,timestamp,m", "b1,2024-03-01,1", paste0("b2,2024-03-01,", text)), from)
    file <- local_ledger()
    error <- expect_error(import_runs(from, file, metrics = "m"), "line 3 has no number", class = "fitledger_error_value")
    expect_match(conditionMessage(error), paste0("metric `m`: \"", text, "\""), fixed = TRUE)
    expect_false(file.exists(file_of(file)))
    import_runs(from, file, metrics = character())
    expect_identical(read_runs(file)$m, c("1", text))
  }
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
  for (time in c("", "NA", "01/03/2024 09:15", "yesterday", "2024-02-30", "2024-03-31 02:30:00", "9999-12-31T23:59:59-01:00", "0000-01-01", "2024-10-27 02:30:00", "2024-03-01T09:15.5Z")) {
    write(c(times, time))
    for (verb in list(read_runs, view_runs, function(file) import_runs(file, local_ledger(), metrics = "acc"))) {
      expect_error(verb(from), "line 7 has a time", class = "fitledger_error_not_a_ledger")
    }
  }
})

test_that("a local time is one instant whatever stands before it, or none", {
  instants <- function(tz, ...) {
    withr::local_timezone(tz)
    local_instants(as.numeric(as.POSIXct(c(...), tz = "UTC")))
  }
  hours <- function(x) (x$seconds %% 86400) / 3600
  for (before in c("2024-01-15 12:00:00", "2024-07-15 12:00:00", "2024-10-27 01:59:59")) {
    expect_identical(
      instants("Europe/Berlin", before, "2024-10-27 02:00:00", "2024-10-27 02:59:59.5", "2024-10-27 03:00:00")$clocks,
      c(1, 2, 2, 1)
    )
  }
  expect_identical(
    hours(instants("Europe/Berlin", "2024-10-27 01:30:00", "2024-10-27 03:30:00", "2024-03-31 01:30:00", "2024-03-31 03:30:00")),
    c(23.5, 2.5, 0.5, 1.5)
  )
  # By half an hour; without summer time; a day that wasn't.
  expect_identical(instants("Australia/Lord_Howe", "2024-04-07 01:29:59", "2024-04-07 01:45:00", "2024-04-07 02:00:00")$clocks, c(1, 2, 1))
  expect_identical(instants("Europe/Moscow", "2014-10-26 01:30:00", "2014-10-26 02:30:00")$clocks, c(2, 1))
  expect_identical(instants("Pacific/Apia", "2011-12-29 23:30:00", "2011-12-30 12:00:00", "2011-12-31 00:30:00")$clocks, c(1, 0, 1))
  expect_identical(instants("UTC", character()), list(seconds = numeric(), clocks = numeric()))
})

test_that("a condition refuses a fraction of a minute", {
  file <- local_ledger()
  log_run(file, list(), list(m = 1))
  expect_error(read_runs(file, where = timestamp > "2024-03-01T09:15.5Z"), class = "fitledger_error_where")
})

test_that("what is nearly a plain CSV is told how to become one", {
  withr::local_dir(withr::local_tempdir())
  file <- local_file()
  runs <- data.frame(run_id = "a-1", timestamp = "2024-03-01 09:15:02", k = 1, loss = 0.5)
  utils::write.csv(runs, "names.csv")
  utils::write.csv2(runs, "semicolons.csv", row.names = FALSE)
  utils::write.table(runs, "tabs.csv", sep = "\t", row.names = FALSE)
  utils::write.table(runs, "table.csv", sep = ",")
  utils::write.csv(runs[c(3, 1, 2, 4)], "order.csv", row.names = FALSE)
  utils::write.csv(runs[-2], "time.csv", row.names = FALSE)
  utils::write.csv(mtcars, "other.csv")
  writeLines("Dear diary", "text.csv")
  utf16 <- iconv("run_id,timestamp,k\na-1,2024-03-01,1\n", "UTF-8", "UTF-16LE", toRaw = TRUE)[[1]]
  writeBin(c(as.raw(c(0xff, 0xfe)), utf16), "utf16.csv")
  writeBin(charToRaw("run_id,timestamp,k\ra-1,2024-03-01,1\r"), "cr.csv")
  ledger <- local_file()
  log_run(ledger, list(a = 1), list(m = 1))
  writeLines(readLines(ledger)[-1], "headless.csv")
  utils::write.csv(utils::read.csv(ledger, colClasses = "character"), "rewritten.csv", row.names = FALSE)
  for (name in list.files()) {
    for (verb in list(read_runs, function(from) import_runs(from, file), function(from) import_runs(from, file, metrics = "loss"))) {
      expect_error(verb(name), class = if (name %in% c("headless.csv", "rewritten.csv")) "fitledger_error_corrupt" else "fitledger_error_not_a_ledger")
    }
  }
  expect_snapshot_conditions({
    read_runs("names.csv")
    read_runs("semicolons.csv")
    read_runs("tabs.csv")
    read_runs("table.csv")
    read_runs("order.csv")
    read_runs("time.csv")
    read_runs("other.csv")
    read_runs("text.csv")
    read_runs("utf16.csv")
    read_runs("cr.csv")
    read_runs("headless.csv")
    read_runs("rewritten.csv")
  })
  expect_error(import_runs(ledger, file, metrics = "m"), "says itself", class = "fitledger_error_argument")
  expect_error(import_runs("gone.csv", file, metrics = "m"), class = "fitledger_error_not_found")
  expect_false(file.exists(file_of(file)))
  # As the errors say.
  writeLines(readLines("cr.csv"), "new.csv")
  expect_equal(nrow(read_runs("new.csv")), 1)
  con <- file("utf16.csv", encoding = "UTF-16")
  writeLines(readLines(con), "new.csv", useBytes = TRUE)
  close(con)
  expect_equal(nrow(read_runs("new.csv")), 1)
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
  expect_message(import_runs(to, other, metrics = "loss"), "had not ended when the file was written")
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

test_that("how a run ended goes with its export whatever columns it has", {
  file <- local_ledger()
  to <- withr::local_tempfile(fileext = ".csv")
  log_run(file, list(k = 1), list(loss = 0.5))
  header <- function(...) {
    export_runs(file, to, ...)
    readLines(to)[[1]]
  }
  expect_identical(header(columns = "loss"), "run_id,timestamp,loss")
  try(with_run(file, list(k = 2), function(run) {
    log_metrics(run, loss = 1e-9)
    stop("diverged")
  }), silent = TRUE)
  expect_identical(header(columns = "loss"), "run_id,timestamp,loss,status")
  expect_identical(header(columns = c("status", "loss")), "run_id,timestamp,status,loss")
  expect_identical(header(columns = "loss", where = k == 1), "run_id,timestamp,loss")
  other <- local_ledger()
  export_runs(file, to, columns = c("loss", "k"))
  import_runs(to, other, metrics = "loss")
  expect_identical(best_run(other, "loss")$k, 1L)

  # A parameter that is called so isn't taken for it, whatever it says.
  file <- local_ledger()
  log_run(file, list(status = "failed"), list(loss = 1))
  log_run(file, list(status = "running"), list(loss = 2))
  for (columns in list(NULL, c("status", "loss"), c("details.status", "status", "loss"))) {
    expect_match(header(columns = columns), "status,.*details.status$")
    other <- local_ledger()
    expect_silent(import_runs(to, other, metrics = "loss"))
    expect_identical(read_runs(other, columns = "status")$status, c("failed", "running"))
    expect_identical(best_run(other, "loss")$status, "failed")
  }
  # Nor one that is called as ours where that name is taken.
  file <- local_ledger()
  log_run(file, list(details.status = "failed"), list(loss = 1))
  for (columns in list(NULL, c("status", "details.status"))) {
    expect_match(header(columns = columns), "details.status.*,status$")
    other <- local_ledger()
    import_runs(to, other, metrics = if (is.null(columns)) "loss" else character())
    expect_identical(read_runs(other)$details.status, "failed")
    expect_identical(read_runs(other, columns = "status")$status, "finished")
  }
})

test_that("what a plain CSV says of how runs ended is taken, or refused by line", {
  from <- withr::local_tempfile(fileext = ".csv")
  write <- function(statuses) {
    rows <- paste0("a-", seq_along(statuses), ",2024-03-01T09:15:02Z,", seq_along(statuses), ",", statuses)
    writeLines(c("run_id,timestamp,loss,status", rows), from)
  }
  write(c("void", "failed", "finished", "interrupted", "lost"))
  file <- local_ledger()
  import_runs(from, file, metrics = "loss")
  expect_identical(
    read_runs(file, columns = "status", void = TRUE)$status,
    c("void", "failed", "finished", "interrupted", "interrupted")
  )
  expect_identical(best_run(file, "loss")$loss, 3L)
  expect_identical(best_run(from, "loss")$loss, 3L)
  expect_identical(nrow(best_run(from, "loss", where = loss < 3)), 0L)
  expect_match(read_runs(file, details = TRUE, void = TRUE)$void_reason[[1]], basename(from), fixed = TRUE)
  expect_silent(import_runs(from, file, metrics = "loss"))
  # How it had ended isn't known, so it doesn't compete when it is restored.
  restore_run(file, "a-1", "it was right")
  expect_identical(best_run(file, "loss")$loss, 3L)
  expect_identical(verify_ledger(file)$status, "ok")

  for (odd in c("", "NA", "killed", "FAILED", "Finished", " failed", "\"\"")) {
    write(c("finished", "failed", odd))
    for (verb in list(function(file) import_runs(file, local_ledger(), metrics = "loss"), view_runs)) {
      expect_error(verb(from), "line 4 has (no|the) status", class = "fitledger_error_not_a_ledger")
    }
    for (where in list(NULL, quote(loss < 2), quote(loss > 2))) {
      expect_error(best_run(from, "loss", where = !!where), "\"a-3\" has (no|the) status", class = "fitledger_error_not_a_ledger")
    }
    expect_equal(nrow(read_runs(from)), 3)
  }
  write(c("FINISHED", "KILLED"))
  expect_error(import_runs(from, local_ledger(), metrics = "loss"), "line 2 has the status", class = "fitledger_error_not_a_ledger")
  # Where none of it is a word for that, it is a parameter.
  write(c("married", ""))
  file <- local_ledger()
  import_runs(from, file, metrics = "loss")
  expect_identical(read_runs(file)$status, c("married", NA))
  expect_identical(best_run(from, "loss")$loss, 1L)
})

test_that("the message of a guess names what there is", {
  expect_snapshot_conditions({
    guess_metrics(data.frame(a = 1, b = "x"))
    guess_metrics(data.frame(rmse = 1))
    guess_metrics(data.frame(a = "x", b = "y"))
  })
  expect_silent(guess_metrics(data.frame()))
})
