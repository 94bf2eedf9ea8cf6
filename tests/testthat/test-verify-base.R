# What both say of a file: the verdict, how many rows hold, and where the first fault is.
expect_agreement <- function(bytes, status, checkpoint = NULL, env = parent.frame()) {
  file <- local_copy(bytes)
  kept <- if (!is.null(checkpoint)) withr::local_tempfile(lines = checkpoint)
  plain <- base_verifier()$verify(file, kept)
  ours <- verify_ledger(file, checkpoint)
  expect_identical(plain$status, status)
  expect_equal(plain, unclass(ours)[names(plain)])
}

logged <- function(runs = 30) {
  file <- local_ledger()
  log_runs(file, data.frame(a = seq_len(runs), m = seq_len(runs) / 7), "a", "m")
  bytes(file)
}

checkpoint_of <- function(bytes) {
  strsplit(checkpoint_ledger(local_copy(bytes)), "\n")[[1]]
}

test_that("it is short", {
  expect_lt(length(readLines(base_verifier_file())), 150)
})

test_that("good ledgers are ok", {
  skip_on_cran()
  skip_without_sha256()
  expect_agreement(bytes(golden()), "ok")
  expect_agreement(logged(1), "ok")
  # More than one batch.
  expect_agreement(logged(1100), "ok")
})

test_that("a changed byte is found, wherever it is", {
  skip_on_cran()
  skip_without_sha256()
  good <- bytes(golden())
  # Not the last line feed: without it the end is torn.
  places <- withr::with_seed(1, sample(seq(61, length(good) - 1), 25))
  for (at in c(61, which(good == as.raw(10))[c(2, 21)], places)) {
    bad <- good
    bad[at] <- xor(bad[at], as.raw(1))
    expect_agreement(bad, "corrupt")
  }
})

test_that("rows that are taken out, moved, doubled or put in are found", {
  skip_on_cran()
  skip_without_sha256()
  lines <- lines_of(bytes(golden()))
  expect_agreement(joined(lines[-2]), "corrupt")
  expect_agreement(joined(lines[-9]), "corrupt")
  expect_agreement(joined(replace(lines, c(8, 12), lines[c(12, 8)])), "corrupt")
  expect_agreement(joined(append(lines, lines[8], 8)), "corrupt")
  expect_agreement(joined(append(lines, lines[23], 23)), "corrupt")
  expect_agreement(joined(append(lines, lines_of(logged())[9], 8)), "corrupt")
  # A chain over a gap is sealed well, and its numbers show it.
  expect_agreement(resealed(joined(lines[-9])), "corrupt")
  many <- lines_of(logged(1100))
  for (row in c(500, 501, 502, 1000, 1001)) {
    expect_agreement(joined(many[-(row + 1)]), "corrupt")
  }
})

test_that("a cut shows within a row, and between rows with a checkpoint", {
  skip_on_cran()
  skip_without_sha256()
  good <- bytes(golden())
  expect_agreement(utils::head(good, -1), "ok")
  for (bytes in c(2, 66, 100, 700)) {
    expect_agreement(utils::head(good, -bytes), "torn")
  }
  expect_agreement(c(good, charToRaw("23,2026-11-23T04")), "torn")
  expect_agreement(c(good, raw(2000)), "torn")
  cut <- joined(utils::head(lines_of(good), -1))
  expect_agreement(cut, "ok")
  expect_agreement(cut, "truncated", checkpoint_of(good))
  expect_agreement(utils::head(good, -100), "truncated", checkpoint_of(good))
  expect_agreement(joined(lines_of(good)[1]), "ok")
  expect_agreement(joined(lines_of(good)[1]), "truncated", checkpoint_of(good))
})

test_that("a checkpoint is held against the ledger", {
  skip_on_cran()
  skip_without_sha256()
  good <- bytes(golden())
  earlier <- checkpoint_of(joined(lines_of(good)[1:13]))
  expect_agreement(good, "ok", checkpoint_of(good))
  expect_agreement(good, "ok", earlier)
  expect_agreement(good, "ok", c(earlier, "an extension", "", "a signature"))
  expect_agreement(utils::head(good, -100), "torn", earlier)
  expect_agreement(good, "forked", checkpoint_of(logged()))
  expect_agreement(good, "forked", replace(earlier, 1, paste("fitledger/1", strrep("0", 32))))
  expect_agreement(good, "forked", replace(earlier, 3, strrep("0", 64)))
  expect_agreement(good, "forked", replace(earlier, 2, "11"))
  expect_agreement(good, "truncated", replace(earlier, 2, "23"))

  forged <- resealed(replaced(good, "1.96141953679432", "1.06141953679432"))
  expect_agreement(forged, "ok")
  expect_agreement(forged, "forked", earlier)
  last <- resealed(replaced(good, "reader of format 1 skips", "reader of format 1 reads"))
  expect_agreement(last, "ok", earlier)
  expect_agreement(last, "forked", checkpoint_of(good))
})

test_that("a header that changed is named", {
  skip_on_cran()
  skip_without_sha256()
  good <- bytes(golden())
  expect_agreement(replaced(good, "seq,time,event", "seq,Time,event"), "corrupt")
  expect_agreement(good[-3], "corrupt")
  expect_agreement(append(good, charToRaw(" "), 59), "corrupt")

  # What never was a ledger is an error of ours, and to the verifier a header that isn't one.
  verify <- base_verifier()$verify
  expect_identical(verify(local_copy(charToRaw("a,b\n1,2\n")))$row, 0)
  expect_identical(verify(local_copy(good[-(1:60)]))$status, "corrupt")
  expect_agreement(raw(), "ok")
})

test_that("it runs as a script that a job can ask", {
  skip_on_cran()
  skip_without_sha256()
  run <- function(...) {
    out <- withr::local_tempfile()
    arguments <- c("--vanilla", shQuote(c(base_verifier_file(), ...)))
    status <- system2(file.path(R.home("bin"), "Rscript"), arguments, stdout = out, stderr = out)
    c(readLines(out), paste("exit status", status))
  }
  good <- bytes(golden())
  file <- local_copy(good)
  kept <- withr::local_tempfile(lines = checkpoint_of(good))
  expect_snapshot({
    writeLines(run(file))
    writeLines(run(file, kept))
    writeLines(run(local_copy(replaced(good, "0.1}", "0.2}"))))
    writeLines(run(local_copy(utils::head(good, -100))))
    writeLines(run(local_copy(joined(lines_of(good)[1:20])), kept))
    writeLines(run(local_copy(logged()), kept))
  })
  expect_identical(bytes(file), good)
  expect_match(run(), "exit status 1", all = FALSE)
  expect_match(run(file, file), "is no checkpoint", all = FALSE)
  expect_match(run(tempfile()), "there is no file", all = FALSE)
  expect_match(run(tempdir()), "there is no file", all = FALSE)
})

test_that("any of the tools will do", {
  skip_on_cran()
  skip_on_os("windows")
  verify <- base_verifier()$verify
  good <- local_copy(bytes(golden()))
  bad <- local_copy(replaced(bytes(golden()), "0.1}", "0.2}"))
  tools <- Sys.which(c("sha256sum", "shasum", "openssl"))
  perl <- Sys.which("perl")
  for (tool in tools[nzchar(tools)]) {
    only <- withr::local_tempdir()
    there <- c(tool, perl[nzchar(perl)])
    file.symlink(there, file.path(only, basename(there)))
    withr::local_path(only, action = "replace")
    expect_identical(verify(good)$status, "ok")
    expect_identical(verify(bad)$row, 4)
  }
  withr::local_path(withr::local_tempdir(), action = "replace")
  expect_error(verify(good), "there is no sha256sum, shasum or openssl")
})

test_that("several checkpoints at once are refused, since a later one would be passed by", {
  good <- logged()
  first <- joined(lines_of(good)[1:13])
  file <- local_copy(first)
  both <- c(checkpoint_of(first), checkpoint_of(good))
  expect_error(verify_ledger(file, both), "another checkpoint", class = "fitledger_error_argument")
  texts <- c(checkpoint_ledger(file), checkpoint_ledger(local_copy(good)))
  expect_error(verify_ledger(file, texts), "another checkpoint", class = "fitledger_error_argument")
  kept <- withr::local_tempfile(lines = both)
  expect_error(base_verifier()$verify(file, kept), "several checkpoints")
})
