# A ledger that is large enough for an index.
large_ledger <- function(env = parent.frame(), file = local_ledger(env)) {
  n <- 60000
  log_runs(
    file, data.frame(
      lambda = seq_len(n) / 7, model = c("ridge", "lasso", NA), epochs = seq_len(n) %% 9L,
      rmse = (seq_len(n) * 7919) %% 10007 / 10007, mae = cos(seq_len(n))
    ),
    params = c("lambda", "model", "epochs"), metrics = c("rmse", "mae")
  )
  void_run(file, best_run(file, "rmse")$run_id, "by mistake")
  run <- start_run(file, list(lambda = 1))
  end_run(run, list(rmse = -1), sealed = list(test = 2))
  log_run(file, list(lambda = 2, formula = quote(y ~ x)), list(rmse = 3), tags = list(by = "ann"))
  file
}

local_cache <- function(env = parent.frame()) {
  folder <- withr::local_tempfile(.local_envir = env)
  withr::local_options(fitledger.cache = folder, .local_envir = env)
  folder
}

# What a fresh session answers, which has kept nothing in memory.
ask_afresh <- function(file, cache = FALSE) {
  answers <- withr::local_tempfile()
  printed <- run_apart(c(
    "library(fitledger)",
    sprintf("options(fitledger.cache = %s)", deparse(cache)),
    paste("file <-", code_of(file)),
    "answers <- list(",
    "  best = best_run(file, 'rmse'),",
    "  several = best_run(file, 'mae', maximize = TRUE, n = 5),",
    "  where = best_run(file, 'rmse', n = 3, where = model == 'lasso'),",
    "  column = read_runs(file, columns = 'mae'),",
    "  all = read_runs(file),",
    "  details = read_runs(file, details = TRUE, void = TRUE)",
    ")",
    sprintf("saveRDS(answers, %s)", deparse(answers)),
    "cat('done\\n')"
  ))[[1]]
  expect_equal(printed, "done")
  readRDS(answers)
}

test_that("with an index and without one the answers are the same", {
  skip_on_cran()
  file <- large_ledger()
  cache <- local_cache()
  without <- ask_afresh(file)
  expect_equal(without$best$rmse, -1)
  expect_false(dir.exists(cache))
  expect_identical(ask_afresh(file, cache), without)
  index <- list.files(cache, full.names = TRUE)
  expect_length(index, 1)
  # The use of an index is known by its time.
  long_ago <- as.POSIXct("2020-01-01", tz = "UTC")
  Sys.setFileTime(index, long_ago)
  expect_identical(ask_afresh(file, cache), without)
  expect_gt(file.mtime(index), long_ago)

  log_run(file, list(lambda = 5, late = TRUE), list(rmse = -2))
  expect_identical(ask_afresh(file, cache), ask_afresh(file))
})

test_that("whatever became of an index, the answers are the same", {
  skip_on_cran()
  file <- large_ledger(file = local_file())
  cache <- local_cache()
  without <- ask_afresh(file)
  ask_afresh(file, cache)
  index <- list.files(cache, full.names = TRUE)
  whole <- bytes(index)
  damage <- list(
    half = utils::head(whole, length(whole) / 2),
    empty = raw(),
    # In the blocks, that is: the directory is as it was.
    bits = replace(whole, seq(1e5, length(whole) - 1e6, by = 5e4), as.raw(0x55)),
    text = charToRaw("run_id,timestamp\n")
  )
  for (bytes in damage) {
    writeBin(bytes, index)
    expect_identical(ask_afresh(file, cache), without)
  }

  other <- local_file()
  file.copy(file, other)
  log_run(other, list(lambda = 1), list(rmse = -7))
  ask_afresh(other, cache)
  of_other <- setdiff(list.files(cache, full.names = TRUE), index)
  file.copy(of_other, index, overwrite = TRUE)
  expect_identical(ask_afresh(file, cache), without)

  unlink(cache, recursive = TRUE)
  writeLines("in the way", cache)
  expect_identical(ask_afresh(file, cache), without)
})

test_that("a folder that others can write to is not used, and that is said once", {
  skip_on_cran()
  skip_on_os("windows")
  file <- large_ledger(file = local_file())
  cache <- local_cache()
  dir.create(cache, mode = "0755")
  Sys.chmod(cache, "0777", use_umask = FALSE)
  withr::local_options(fitledger.cache = FALSE)
  without <- best_run(file, "rmse")
  copies <- replicate(3, local_file(parent.frame(3)))
  file.copy(file, copies)
  withr::local_options(fitledger.cache = cache)
  expect_message(shared <- best_run(copies[[1]], "rmse"), basename(cache), fixed = TRUE, class = "fitledger_message")
  expect_identical(shared, without)
  expect_no_message(expect_identical(best_run(copies[[2]], "rmse"), without))
  expect_identical(dir(cache), character())
  Sys.chmod(cache, "0755", use_umask = FALSE)
  expect_identical(best_run(copies[[3]], "rmse"), without)
  expect_length(dir(cache), 1)
})

test_that("an index is right while eight processes append", {
  skip_on_cran()
  file <- large_ledger()
  cache <- local_cache()
  ask_afresh(file, cache)
  answers <- withr::local_tempfile()
  dir.create(answers)
  run_apart(c(
    "library(fitledger)",
    sprintf("options(fitledger.cache = %s, fitledger.sync = 'none')", deparse(cache)),
    sprintf("file <- %s; answers <- %s", code_of(file), deparse(answers)),
    "i <- commandArgs(TRUE)",
    "for (round in 1:40) {",
    "  log_run(file, list(lambda = round, writer = i), list(rmse = round))",
    "  if (round %% 10 == as.integer(i)) {",
    "    unlink(list.files(options()$fitledger.cache, full.names = TRUE))",
    "  }",
    "  if (round %in% c(1, 20, 40)) {",
    "    saveRDS(read_runs(file), file.path(answers, paste0(i, '-', round)))",
    "  }",
    "}",
    "cat('done\\n')"
  ), times = 8)
  withr::local_options(fitledger.cache = FALSE)
  all <- read_runs(file)
  expect_equal(sum(!is.na(all$writer)), 8 * 40)
  seen <- lapply(list.files(answers, full.names = TRUE), readRDS)
  expect_length(seen, 8 * 3)
  for (runs in seen) {
    expect_identical(runs, all[seq_len(nrow(runs)), names(runs)])
  }
  expect_identical(ask_afresh(file, cache), ask_afresh(file))
})

test_that("small ledgers have no index", {
  file <- local_ledger()
  cache <- local_cache()
  log_run(file, list(lambda = 1), list(rmse = 1))
  best_run(file, "rmse")
  expect_false(dir.exists(cache))
})

test_that("the option is a folder, or a flag", {
  skip_on_cran()
  file <- large_ledger(file = local_file())
  for (odd in list(0, NA, "", c("a", "b"), list(), factor("a"))) {
    # A copy is one that the session has not read.
    copy <- local_file()
    file.copy(file, copy)
    withr::with_options(list(fitledger.cache = odd), {
      expect_error(best_run(copy, "rmse"), "TRUE, FALSE or the path", class = "fitledger_error_argument")
    })
  }
})
