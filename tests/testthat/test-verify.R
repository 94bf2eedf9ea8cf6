good <- bytes(golden())

# The golden ledger, or what is made of it, as "ledger.csv" in the working directory.
local_golden <- function(damage = identity, env = parent.frame()) {
  file <- local_copy(damage(good), env)
  withr::local_dir(dirname(file), .local_envir = env)
  basename(file)
}

changed <- function(bytes) replaced(bytes, "1.96141953679432", "1.06141953679432")
cut_within <- function(bytes) utils::head(bytes, -100)
cut_between <- function(bytes) joined(lines_of(bytes)[1:20])

without_random <- function(lines) sub("(torn-[0-9]+)-[0-9a-z]{12}", "\\1-*", lines)

# Of row 22, the last one.
checkpoint <- c(
  "fitledger/1 0123456789abcdef0123456789abcdef", "22",
  "3f2d8f4660f27d27e367d3eaf2d41e37b2c0c7fc9655ae53520037f76b11ec61"
)
# Of row 12.
earlier <- c(
  "fitledger/1 0123456789abcdef0123456789abcdef", "12",
  "f633407256bdc6be5f7712962dd8d94ba23f19287352a304ac76d9ff29c81f37"
)

# Holds the lock in a process of its own, as a writer does, until the test is over.
local_lock <- function(file, env = parent.frame()) {
  flock <- Sys.which("flock")
  skip_if(!nzchar(flock), "no flock")
  hold <- withr::local_tempfile(lines = "", .local_envir = env)
  wait <- sprintf("while [ -e '%s' ]; do sleep 0.05; done", hold)
  system2(flock, c(shQuote(file), "sh", "-c", shQuote(wait)), wait = FALSE)
  wait_until(system2(flock, c("--nonblock", shQuote(file), "true")) != 0, "the lock to be taken")
}

test_that("beside a ledger with a long name there is room for a damaged tail, and for a repaired copy", {
  skip_unless_file()
  skip_on_os("windows")
  for (letter in c("a", "\u00fc")) {
    name <- strrep(letter, 240 %/% nchar(letter, "bytes"))
    file <- file.path(withr::local_tempdir(), paste0(name, ".csv"))
    log_run(file, list(), list(m = 1))
    log_run(file, list(), list(m = 2))
    writeBin(utils::head(bytes(file), -5), file)
    expect_message(log_run(file, list(), list(m = 3)), "torn-")
    expect_identical(read_runs(file)$m, c(1, 3))
    lines <- readLines(file)
    writeLines(c(lines[1:2], "damaged", lines[-(1:2)]), file)
    expect_false(verify_ledger(file)$status == "ok")
    suppressMessages(repair_ledger(file))
    expect_identical(verify_ledger(file)$status, "ok")
    expect_true(all(nchar(list.files(dirname(file)), "bytes") <= 255))
  }
})

test_that("a ledger that holds is ok, and no more than that without a checkpoint", {
  file <- local_golden()
  expect_snapshot({
    verify_ledger(file)
    verify_ledger(file, checkpoint)
    verify_ledger(file, earlier)
  })
  result <- verify_ledger(file, checkpoint)
  expect_s3_class(result, "fitledger_verification")
  expect_identical(result$status, "ok")
  expect_true(result$anchored)
  expect_false(verify_ledger(file)$anchored)
  expect_identical(result[c("rows", "row", "byte")], list(rows = 22, row = NA_real_, byte = NA_real_))
  expect_null(result$why)
  expect_identical(result$problems$row, c(19, 21))
  expect_identical(result$problems$kind, rep("without effect", 2))
})

test_that("what one logs holds", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  log_runs(file, data.frame(a = 1:300, m = 1), "a", "m")
  kept <- checkpoint_ledger(file)
  log_run(file, list(a = 2), list(m = 2))
  result <- verify_ledger(file, kept)
  expect_true(result$anchored)
  expect_equal(result$rows, 304)
  expect_equal(nrow(result$problems), 0)
})

test_that("a changed byte is named by row and byte", {
  file <- local_golden(changed)
  expect_snapshot({
    verify_ledger(file)
    verify_ledger(file, checkpoint)
  })
  result <- verify_ledger(file)
  expect_identical(result$status, "corrupt")
  expect_identical(result$rows, 4)
  expect_identical(result$row, 5)
  expect_identical(result$byte, as.numeric(row_start(good, 5)))
  expect_match(result$why, "hash")
  expect_false(result$anchored)
})

test_that("the first of several faults is named", {
  expect_first <- function(damage, row) {
    result <- verify_ledger(local_copy(damage(lines_of(good))))
    expect_identical(result$status, "corrupt")
    expect_identical(result$row, row)
    expect_identical(result$rows, row - 1)
  }
  expect_first(function(lines) joined(lines[-9]), 8)
  expect_first(function(lines) joined(replace(lines, c(8, 12), lines[c(12, 8)])), 7)
  expect_first(function(lines) joined(append(lines, lines[8], 8)), 8)
  expect_first(function(lines) changed(joined(lines[-15])), 5)
  expect_first(function(lines) changed(cut_within(joined(lines))), 5)
})

test_that("a damaged header is row 0", {
  file <- local_golden(function(bytes) replaced(bytes, "seq,time", "seq,Time"))
  result <- verify_ledger(file)
  expect_identical(result$status, "corrupt")
  expect_identical(result[c("rows", "row", "byte")], list(rows = 0, row = 0, byte = 4))
})

test_that("a row that breaks a rule of the format and is sealed well has no effect, and is reported", {
  skip_on_cran()
  skip_without_sha256()
  before <- read_runs(local_golden())
  for (value in c("5e0", "5.00", "", "05.0", "[5.0", "5.0,\"\"lambda\"\":6.0", "\"\"\\ud800\"\"")) {
    edit <- function(bytes) resealed(replaced(bytes, ",\"\"lambda\"\":5.0", paste0(",\"\"lambda\"\":", value)))
    file <- local_golden(edit)
    result <- verify_ledger(file)
    expect_identical(result$status, "ok", info = value)
    invalid <- result$problems[result$problems$kind == "invalid", ]
    expect_identical(invalid$row, 6, info = value)
    expect_match(invalid$problem, "params", info = value)
    runs <- read_runs(file)
    expect_identical(runs$run_id, setdiff(before$run_id, read_ledger(file)$run_id[[6]]), info = value)
    log_run(file, list(lambda = 1), list(test_rmse = 1))
    expect_identical(nrow(read_runs(file)), nrow(runs) + 1L, info = value)
  }
})

test_that("the rest of a write that never finished is a torn tail", {
  file <- local_golden(cut_within)
  expect_snapshot({
    verify_ledger(file)
    verify_ledger(file, earlier)
    verify_ledger(file, checkpoint)
  })
  result <- verify_ledger(file)
  expect_identical(result$status, "torn")
  expect_identical(result$rows, 21)
  expect_identical(result$row, 22)
  expect_identical(result$byte, as.numeric(row_start(good, 22)))
  expect_identical(verify_ledger(local_golden(function(bytes) c(bytes, raw(1000))))$row, 23)
})

test_that("an unfinished row is pending while somebody holds the lock", {
  skip_on_cran()
  skip_on_os("windows")
  file <- local_golden(cut_within)
  local_lock(file)
  expect_snapshot(verify_ledger(file))
  expect_identical(verify_ledger(file)$status, "pending")
})

test_that("a lock doesn't keep a whole ledger from being verified", {
  skip_on_cran()
  skip_on_os("windows")
  file <- local_golden()
  local_lock(file)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a cut between rows shows with a checkpoint", {
  file <- local_golden(cut_between)
  expect_snapshot(verify_ledger(file, checkpoint))
  result <- verify_ledger(file, checkpoint)
  expect_identical(result$status, "truncated")
  expect_identical(result$rows, 19)
  expect_identical(result$row, 20)
  expect_identical(result$byte, as.numeric(file.size(file)))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_true(verify_ledger(file, earlier)$anchored)
})

test_that("another ledger's checkpoint is a fork", {
  file <- local_golden()
  other <- local_ledger()
  log_run(other, list(a = 1), list(m = 1))
  expect_snapshot(verify_ledger(file, replace(checkpoint, 3, strrep("0", 64))))
  result <- verify_ledger(file, checkpoint_ledger(other))
  expect_identical(result$status, "forked")
  expect_false(result$anchored)
  expect_identical(result$rows, 22)
  expect_identical(result$row, NA_real_)
})

test_that("a file that somebody wrote anew shows with a checkpoint, and only so", {
  skip_on_cran()
  skip_without_sha256()
  file <- local_golden(function(bytes) resealed(changed(bytes)))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_false(verify_ledger(file)$anchored)
  expect_identical(verify_ledger(file, checkpoint)$status, "forked")
  expect_identical(verify_ledger(file, earlier)$status, "forked")
  # Rows that a checkpoint doesn't cover are not vouched for.
  later <- local_golden(function(bytes) resealed(replaced(bytes, "\"\"loss\"\"", "\"\"lost\"\"")))
  expect_identical(verify_ledger(later, earlier)$status, "forked")
  latest <- local_golden(function(bytes) resealed(replaced(bytes, "frozen_rmse\"\":1.97", "frozen_rmse\"\":0.97")))
  expect_identical(verify_ledger(latest, earlier)$status, "ok")
})

test_that("verifying changes nothing", {
  for (damage in c(identity, changed, cut_within, cut_between)) {
    file <- local_golden(damage)
    Sys.chmod(file, "0440")
    Sys.setFileTime(file, as.POSIXct("2026-11-23 04:20:47", tz = "UTC"))
    before <- file.info(file)[c("size", "mode", "mtime")]
    content <- bytes(file)
    verify_ledger(file)
    verify_ledger(file, checkpoint)
    expect_identical(file.info(file)[c("size", "mode", "mtime")], before)
    expect_identical(bytes(file), content)
    expect_identical(list.files(all.files = TRUE, no.. = TRUE), file)
  }
})

test_that("a checkpoint is a string, or its lines", {
  file <- local_golden()
  kept <- checkpoint_ledger(file)
  expect_snapshot(kept)
  expect_identical(strsplit(kept, "\n")[[1]], checkpoint)
  path <- withr::local_tempfile()
  writeLines(kept, path, sep = "")
  expect_identical(readLines(path), checkpoint)
  expect_true(verify_ledger(file, kept)$anchored)
  expect_true(verify_ledger(file, paste(checkpoint, collapse = "\n"))$anchored)
  expect_true(verify_ledger(file, readLines(path))$anchored)
  expect_true(verify_ledger(file, c(checkpoint, "an extension", "", "a signature"))$anchored)
})

test_that("a checkpoint states the last row that holds", {
  expect_identical(strsplit(checkpoint_ledger(local_golden(cut_within)), "\n")[[1]][[2]], "21")
  expect_error(
    checkpoint_ledger(local_golden(function(bytes) replaced(bytes, "reader of format 1", "Reader of format 1"))),
    class = "fitledger_error_corrupt"
  )
})

test_that("a malformed checkpoint is an error that names its line", {
  file <- local_golden()
  writeLines(checkpoint, "checkpoint.txt")
  expect_snapshot_conditions({
    verify_ledger(file, "checkpoint.txt")
    verify_ledger(file, "no-such-file.txt")
    verify_ledger(file, checkpoint[1:2])
    verify_ledger(file, replace(checkpoint, 1, "fitledger/2 0123456789abcdef0123456789abcdef"))
    verify_ledger(file, replace(checkpoint, 2, "022"))
    verify_ledger(file, replace(checkpoint, 3, toupper(checkpoint[[3]])))
    verify_ledger(file, 22)
    verify_ledger(file, c(checkpoint, NA))
    verify_ledger(file, character())
  })
})

test_that("what is no ledger is an error", {
  plain <- withr::local_tempfile(lines = c("run_id,timestamp,lambda,rmse", "1,2026-11-23,0.1,2"))
  text <- withr::local_tempfile(lines = "Dear diary")
  for (call in c(verify_ledger, checkpoint_ledger, repair_ledger)) {
    expect_error(call(tempfile()), class = "fitledger_error_not_found")
    expect_error(call(plain), class = "fitledger_error_plain_csv")
    expect_error(call(text), class = "fitledger_error_not_a_ledger")
    expect_error(call(tempdir()), "folder", class = "fitledger_error_not_a_ledger")
    expect_error(call(), class = "fitledger_error_argument")
    expect_error(call(NA), class = "fitledger_error_argument")
  }
  expect_identical(readLines(plain)[[2]], "1,2026-11-23,0.1,2")
})

test_that("repair sets aside from the first bad row on", {
  file <- local_golden(changed)
  broken <- bytes(file)
  expect_snapshot_conditions(repaired <- repair_ledger(file), without_random)
  expect_identical(repaired$status, "ok")
  # The run of the row that doesn't hold is gone; those behind it are copies.
  expect_equal(read_runs(file)$lambda, c(0, 0.1, 5, 10, 25, 50, NA))
  expect_identical(repaired$left_out$row, c(5, 19, 21, 22))
  expect_true(all(repaired$copied %in% read_runs(file, void = TRUE)$run_id))

  at <- row_start(broken, 5)
  expect_identical(bytes(file)[seq_len(at)], utils::head(broken, at))
  aside <- basename(repaired$set_aside)
  expect_match(aside, paste0("^ledger\\.csv\\.torn-", at, "-[0-9a-z]{12}$"))
  expect_identical(bytes(aside), utils::tail(broken, -at))
  said <- cells(file)[5, ]
  expect_identical(said$event, "recovered")
  expect_match(said$context, aside, fixed = TRUE)

  log_run(file, list(lambda = 2), list(test_rmse = 1))
  expect_equal(best_run(file, "test_rmse")$lambda, 2)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("repair sets a torn tail aside, as the next writer would", {
  file <- local_golden(cut_within)
  broken <- bytes(file)
  expect_snapshot_conditions(repaired <- repair_ledger(file), without_random)
  expect_identical(repaired$rows, 22)
  aside <- basename(repaired$set_aside)
  expect_identical(setdiff(list.files(), file), aside)
  expect_identical(bytes(aside), utils::tail(broken, -row_start(broken, 22)))
  withr::local_options(fitledger.context = character())

  file <- local_golden(cut_within)
  expect_message(log_run(file, list(lambda = 2), list(test_rmse = 1)), "never finished", class = "fitledger_message")
  aside <- setdiff(list.files(), file)
  expect_identical(bytes(aside), utils::tail(broken, -row_start(broken, 22)))
  expect_identical(utils::tail(cells(file)$event, 3), c("recovered", "session", "run"))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a repair shows with a checkpoint of what was cut off", {
  file <- local_golden(changed)
  suppressMessages(repair_ledger(file))
  expect_identical(verify_ledger(file, checkpoint)$status, "truncated")
  runs <- data.frame(lambda = 1:30, test_rmse = 1)
  log_runs(file, runs, "lambda", "test_rmse")
  expect_identical(verify_ledger(file, checkpoint)$status, "forked")
})

test_that("a good ledger is left as it is", {
  file <- local_golden()
  before <- file.info(file)[c("size", "mtime")]
  expect_snapshot_conditions(repaired <- repair_ledger(file))
  expect_identical(file.info(file)[c("size", "mtime")], before)
  expect_identical(bytes(file), good)
  expect_identical(repaired, verify_ledger(file))
  expect_identical(list.files(), file)
})

test_that("damage stops writers, and readers say where it is", {
  file <- local_golden(function(bytes) replaced(bytes, "reader of format 1", "Reader of format 1"))
  before <- bytes(file)
  error <- expect_error(log_run(file, list(a = 1), list(m = 1)), class = "fitledger_error_corrupt")
  expect_identical(error$row, 22)
  expect_identical(error$byte, as.numeric(row_start(before, 22)))
  expect_identical(bytes(file), before)
})

test_that("a ledger without a row yet can be asked for everything", {
  file <- local_file()
  header <- "seq,time,event,run_id,params,metrics,artifacts,context,hash\n"
  for (start in c("", substr(header, 1, 30), header)) {
    writeBin(charToRaw(start), file)
    expect_error(checkpoint_ledger(file), "no row yet", class = "fitledger_error_not_a_ledger")
    expect_identical(verify_ledger(file)$status, if (nchar(start) == 30) "torn" else "ok")
  }
  writeBin(charToRaw(substr(header, 1, 30)), file)
  expect_identical(suppressMessages(repair_ledger(file))$status, "ok")
  log_run(file, list(a = 1), list(m = 1))
  expect_equal(nrow(read_runs(file)), 1)
})
