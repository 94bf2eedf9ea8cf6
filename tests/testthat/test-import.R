# A ledger and a copy of it that went its own way.
local_copies <- function(env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  file <- file.path(folder, "log.csv")
  copy <- file.path(folder, "log (conflicted copy).csv")
  common <- log_run(file, list(k = 0), list(m = 0))
  stopifnot(file.copy(file, copy))
  list(file = file, copy = copy, common = common)
}

# An import's ids and its message.
imported <- function(...) {
  message <- NULL
  ids <- withCallingHandlers(import_runs(...), fitledger_message_imported = function(m) {
    message <<- m
    rlang::cnd_muffle(m)
  })
  list(ids = ids, left_out = message$left_out, text = conditionMessage(message))
}

# Lines without folders and what is random.
no_chance <- function(lines) {
  no_ids(gsub("'[^']*/([^/']*)'", "'<folder>/\\1'", lines))
}

test_that("what a copy of a ledger has to say of its runs comes whole", {
  both <- local_copies()
  log_run(both$file, list(k = 1), list(m = 1))
  id <- log_run(
    both$copy, list(k = 2, zip = "007", day = as.Date("2024-03-01")), list(m = 2),
    artifacts = list(model = lm(dist ~ speed, cars)), data = cars, seed = 1, tags = list(by = "ann"),
    sealed = list(test = 3), name = "the one", experiment = "e", parent = both$common
  )
  log_note(both$copy, id, "a note")
  tag_run(both$copy, both$common, seen = TRUE)
  live <- start_run(both$copy, list(k = 3))
  for (i in 1:3) log_metrics(live, loss = 1 / i, step = i)
  end_run(live, status = "failed")
  before <- bytes(both$copy)

  came <- imported(both$copy, both$file)
  expect_identical(came$ids, c(id, live$run_id))
  expect_identical(nrow(came$left_out), 0L)
  expect_identical(bytes(both$copy), before)
  # Names come last here.
  columns <- names(read_runs(both$copy, details = TRUE))
  shown <- function(file) {
    runs <- suppressMessages(read_runs(file, details = TRUE, columns = columns[-(1:2)]))
    runs[runs$run_id != read_runs(both$file)$run_id[[2]], ]
  }
  expect_equal(shown(both$file), shown(both$copy), ignore_attr = TRUE)
  expect_identical(read_metrics(both$file, live$run_id), read_metrics(both$copy, live$run_id))
  expect_identical(read_notes(both$file, id), read_notes(both$copy, id))
  record <- function(file) {
    unclass(read_run(file, id))[c("params", "metrics", "data", "tags", "notes", "error", "name", "parent")]
  }
  expect_identical(record(both$file), record(both$copy))
  unlink(paste0(both$copy, ".objects"), recursive = TRUE)
  expect_equal(coef(read_artifact(both$file, id, "model")), coef(lm(dist ~ speed, cars)))
  verified <- verify_ledger(both$file)
  expect_identical(verified$status, "ok")
  expect_identical(nrow(verified$problems), 0L)
  expect_true(chain_holds(both$file))
})

test_that("an import can be repeated, looked at before, and goes back", {
  both <- local_copies()
  log_run(both$file, list(k = 1), list(m = 1))
  log_run(both$copy, list(k = 2), list(m = 2), artifacts = list(x = 1:3))
  before <- bytes(both$file)
  new <- file.path(dirname(both$file), "new.csv")
  expect_snapshot_conditions(
    {
      import_runs(both$copy, both$file, dry_run = TRUE)
      import_runs(both$copy, new, dry_run = TRUE)
      import_runs(both$copy, both$file)
      import_runs(both$copy, both$file)
      import_runs(both$copy, both$file, dry_run = TRUE)
      import_runs(both$file, both$copy)
    },
    no_chance
  )
  expect_false(file.exists(new))
  expect_identical(utils::head(bytes(both$file), length(before)), before)
  expect_setequal(read_runs(both$file)$k, 0:2)
  expect_setequal(read_runs(both$copy)$k, 0:2)
  expect_length(imported(both$file, new)$ids, 3)
  expect_setequal(read_runs(new)$k, 0:2)
})

test_that("what can't come together is left out and named", {
  file <- local_file()
  other <- local_file()
  for (ledger in c(file, other)) {
    log_run(ledger, list(k = 1), list(m = 1), artifacts = list(model = list(ledger)))
    log_run(ledger, list(k = 2), list(m = 2), artifacts = list(model = list(1)))
    register_model(ledger, "price", read_runs(ledger)$run_id[[1]])
    promote_model(ledger, "price", 1)
  }
  sha256 <- read_artifacts(other)$sha256[[1]]
  unlink(file.path(paste0(other, ".objects"), substr(sha256, 1, 2), sha256), force = TRUE)
  expect_snapshot_conditions(
    {
      import_runs(other, file, dry_run = TRUE)
      import_runs(other, file)
      import_runs(other, file)
    },
    function(lines) no_chance(gsub("file[0-9a-f]+", "<file>", lines))
  )
  expect_identical(nrow(read_runs(file)), 4L)
  # What came without its bytes is on record so.
  expect_error(read_artifact(file, read_runs(other)$run_id[[1]], "model"), class = "fitledger_error_artifact")
  came <- imported(other, file)
  expect_named(came$left_out, c("row", "event", "run_id", "copied", "why"))
  expect_identical(came$left_out$event, c("register", "promote"))
  expect_identical(came$left_out$copied, c(FALSE, FALSE))
})

test_that("production never moves by an import", {
  file <- local_models()
  copy <- local_file()
  file.copy(file_of(file), copy)
  file.copy(paste0(file_of(file), ".objects"), dirname(copy), recursive = TRUE)
  promote_model(file, "stopping", 1)
  promote_model(copy, "stopping", 2)
  promote_model(copy, "stopping", 3, "testing")
  came <- imported(copy, file)
  expect_identical(current(file), 1L)
  expect_identical(current(file, "testing"), 3L)
  expect_match(came$left_out$why, "the stage `production` of `stopping` stands at version 1 there", fixed = TRUE)
  promote_model(file, "stopping", 2)
  imported(copy, file)
  expect_identical(current(file), 2L)
})

test_that("an import is refused as other calls are, and says what to do", {
  both <- local_copies()
  damaged <- local_file()
  text <- rawToChar(bytes(both$file))
  writeBin(charToRaw(sub("\"\"k\"\":0", "\"\"k\"\":1", text)), damaged)
  gone <- file.path(dirname(both$file), "gone.csv")
  linked <- file.path(dirname(both$file), "linked.csv")
  if (.Platform$OS.type != "windows") file.symlink(both$file, linked) else file.copy(both$file, linked)
  plain <- withr::local_tempfile(fileext = ".csv", lines = c("run_id,timestamp,k,rmse", "a-1,2026-11-23 04:20:47,1,2"))
  before <- bytes(both$file)
  expect_snapshot_conditions(
    {
      import_runs(both$copy, both$file, metrics = "m")
      import_runs(both$copy, both$file, dry_run = NA)
      import_runs(both$file, both$file)
      import_runs(damaged, both$file)
      import_runs(gone, both$file)
      import_runs(dirname(both$file), both$file)
      import_runs(both$copy, plain)
    },
    function(lines) no_chance(gsub("byte [0-9]+", "byte <n>", gsub("file[0-9a-f]+", "<file>", lines)))
  )
  skip_on_os("windows")
  expect_error(import_runs(both$file, linked), "same file", class = "fitledger_error_argument")
  expect_error(import_runs(linked, both$file), "same file", class = "fitledger_error_argument")
  expect_identical(bytes(both$file), before)
})

test_that("a run of a process that is gone is lost in both, and what runs goes on running", {
  skip_on_os(c("windows", "mac"))
  from <- local_file()
  file <- local_file()
  run_apart(c(
    "library(fitledger)", paste0("start_run(", encodeString(from, quote = "\""), ", list(k = 1))"), "cat('done\\n')"
  ))
  live <- start_run(from, list(k = 2))
  log_metrics(live, loss = 1, step = 1)
  imported(from, file)
  expect_identical(read_runs(file, details = TRUE)$status, c("lost", "running"))
  # What was buffered is there.
  expect_identical(read_metrics(file)$value, 1)
  log_metrics(live, loss = 0.5, step = 2)
  end_run(live)
  expect_length(imported(from, file)$ids, 0)
  expect_identical(read_runs(file, details = TRUE)$status, c("lost", "finished"))
  expect_identical(read_metrics(file)$value, c(1, 0.5))
})

test_that("branches of a repository come together", {
  local_repository()
  withr::local_options(fitledger.context = "user")
  writeLines("log.csv -text -merge", ".gitattributes")
  common <- log_run("log.csv", list(k = 0), list(m = 0))
  commit_all()
  git("switch", "-q", "-c", "ann")
  theirs <- log_run("log.csv", list(k = 1), list(m = 1), artifacts = list(x = list("theirs")))
  commit_all()
  git("switch", "-q", "main")
  # The file is another one than this process wrote to.
  ours <- suppressMessages(log_run("log.csv", list(k = 2), list(m = 2), artifacts = list(x = list("ours"))))
  commit_all()

  expect_true(any(grepl("CONFLICT", suppressWarnings(git("merge", "ann")))))
  # Git left ours as it was.
  expect_identical(read_runs("log.csv")$run_id, c(common, ours))
  # The stored files of both branches are in the one folder.
  path <- withr::local_tempfile(fileext = ".csv")
  system2("git", c("show", "MERGE_HEAD:log.csv"), stdout = path)
  came <- imported(path, "log.csv")
  expect_identical(came$ids, theirs)
  expect_identical(nrow(came$left_out), 0L)
  expect_identical(read_artifact("log.csv", theirs, "x"), list("theirs"))
  expect_identical(read_artifact("log.csv", ours, "x"), list("ours"))
  git("add", "log.csv")
  git("commit", "-q", "-m", "Merge")
  git("switch", "-q", "ann")
  git("merge", "-q", "main")
  suppressMessages(log_note("log.csv", theirs, "merged"))
  expect_identical(read_runs("log.csv")$run_id, c(common, ours, theirs))
})

test_that("others append to both ledgers while one is imported", {
  from <- local_file()
  file <- local_file()
  log_run(from, list(k = 0), list(m = 0))
  log_run(file, list(k = 0), list(m = 0))
  quoted <- encodeString(c(from, file), quote = "\"")
  script <- c(
    "library(fitledger)", "options(fitledger.sync = \"none\")",
    paste0("from <- ", quoted[[1]]), paste0("file <- ", quoted[[2]]),
    "if (commandArgs(TRUE)[[1]] == \"1\") {",
    "  for (i in 1:100) for (ledger in c(from, file)) log_run(ledger, list(k = i), list(m = i))",
    "} else {",
    "  for (i in 1:20) suppressMessages(import_runs(from, file))",
    "}",
    "cat(\"done\\n\")"
  )
  run_apart(script, times = 3)
  imported(from, file)
  runs <- read_runs(file)
  expect_identical(nrow(runs), 202L)
  expect_identical(anyDuplicated(runs$run_id), 0L)
  expect_true(all(read_runs(from)$run_id %in% runs$run_id))
  verified <- verify_ledger(file)
  expect_identical(verified$status, "ok")
  expect_identical(nrow(verified$problems), 0L)
})

test_that("a ledger that says odd things is imported as it is read", {
  from <- local_models(list(dist ~ 1, dist ~ speed))
  promote_model(from, "stopping", 1)
  promote_model(from, "stopping", 2)
  rollback_model(from, "stopping")
  live <- start_run(from, list(k = 1), tags = list(a = "b"), data = cars, parent = read_runs(from)$run_id[[1]])
  log_metrics(live, loss = 1, step = 1)
  end_run(live)
  void_run(from, live, "why")
  rows <- rows_of(from)
  odd <- c("null", "5", "-1", "true", "\"x\"", "[]", "{}", "9007199254740991", "{\"seq\":1}")
  cells <- which(rows[, c("metrics", "artifacts", "context")] != "", arr.ind = TRUE)
  changed <- withr::local_tempfile(fileext = ".csv")
  for (i in seq_len(nrow(cells))[-1]) {
    row <- cells[i, 1]
    cell <- c("metrics", "artifacts", "context")[cells[i, 2]]
    spans <- json_values(rows[row, cell])
    for (k in seq_along(spans)[seq_along(spans) %% 4 == i %% 4]) {
      span <- spans[[k]]
      text <- rows[row, cell]
      altered <- rows
      altered[row, cell] <- paste0(
        substr(text, 1, span[[1]] - 1), odd[[(i + k) %% length(odd) + 1]], substr(text, span[[2]] + 1, nchar(text))
      )
      write_rows(altered, changed)
      file <- local_file()
      log_run(file, list(k = 1), list(m = 1))
      outcome <- tryCatch(imported(changed, file), fitledger_error = identity)
      if (!inherits(outcome, "error")) {
        expect_identical(verify_ledger(file)$status, "ok")
        expect_setequal(read_runs(file, void = TRUE)$run_id[-1], outcome$ids)
        expect_length(imported(changed, file)$ids, 0)
      }
      expect_false(inherits(outcome, "fitledger_error_internal"))
    }
  }
})

test_that("remarks on the other side never make a run's own rows late", {
  file <- local_file()
  other <- local_file()
  third <- local_file()
  run <- start_run(file, list(a = 1))
  suppressMessages(import_runs(file, other))
  log_metrics(run, x = 1, step = 1)
  end_run(run, list(rmse = 3))
  log_note(other, run$run_id, "looks good")
  tag_run(other, run$run_id, by = "ann")
  void_run(other, run$run_id, "a slip")
  restore_run(other, run$run_id, "it was right")
  suppressMessages({
    import_runs(other, file)
    import_runs(file, other)
    for (from in c(other, file)) import_runs(from, third)
  })
  for (ledger in c(file, other, third)) {
    record <- read_run(ledger, run)
    expect_identical(record$status, "finished")
    expect_identical(record$tags, list(by = "ann"))
    expect_identical(record$metrics[c("x", "rmse")], list(x = 1, rmse = 3))
    expect_identical(read_metrics(ledger)$step, 1)
    expect_identical(nrow(verify_ledger(ledger)$problems), 0L)
  }
})

test_that("tags come together in a diamond", {
  file <- local_file()
  run <- log_run(file, list(a = 1), list(m = 2))
  copies <- c(local_file(), local_file())
  file.copy(file, copies, overwrite = TRUE)
  tag_run(copies[[1]], run, b = "B")
  tag_run(copies[[2]], run, c = "C")
  suppressMessages({
    import_runs(copies[[2]], copies[[1]])
    import_runs(copies[[2]], file)
    import_runs(copies[[1]], file)
  })
  expect_setequal(names(read_run(file, run)$tags), c("b", "c"))
})

test_that("a promotion that was left out stays out, and is named", {
  other <- local_ledger()
  ids <- vapply(1:3, function(i) log_run(other, list(i = i), list(m = i), artifacts = list(model = i)), "")
  for (id in ids) register_model(other, "price", id)
  promote_model(other, "price", 1)
  promote_model(other, "price", 3)
  file <- local_ledger()
  suppressMessages(import_runs(other, file))
  expect_identical(stage_history(file, "price")$version, c(1L, 3L))
  promote_model(other, "price", 2)
  said <- NULL
  withCallingHandlers(import_runs(other, file), fitledger_message_imported = function(m) {
    said <<- m$left_out
    invokeRestart("muffleMessage")
  })
  expect_match(said$why, "stands at version 3")
  expect_identical(stage_history(file, "price")$version, c(1L, 3L))
})

test_that("a void that others declared isn't taken back by an import, and no session comes for nothing", {
  file <- local_file()
  other <- local_file()
  run <- log_run(file, list(a = 1), list(m = 1))
  file.copy(file, other, overwrite = TRUE)
  void_run(file, run, "leak")
  void_run(other, run, "another thing")
  restore_run(other, run, "it was right")
  both <- c(file, other)
  for (i in 1:2) {
    suppressMessages(import_runs(both[[3 - i]], both[[i]]))
    expect_identical(read_runs(both[[i]], void = TRUE, details = TRUE)$status, "void")
  }
  restore_run(file, run, "no leak")
  suppressMessages(import_runs(file, other))
  expect_identical(read_runs(other, void = TRUE, details = TRUE)$status, "finished")

  file <- local_file()
  other <- local_file()
  started <- start_run(file, list(a = 1))
  suppressMessages(import_runs(file, other))
  end_run(started)
  end_run(start_run(other, resume = started$run_id, take_over = TRUE))
  before <- bytes(file)
  expect_message(import_runs(other, file), "Nothing new came")
  expect_identical(bytes(file), before)
})
