local_ledger <- function(frame = parent.frame()) file.path(withr::local_tempdir(.local_envir = frame), "ledger.csv")

# What the message of a call says is left out.
left_out_of <- function(code) {
  said <- NULL
  take <- function(m) {
    said <<- m
    rlang::cnd_muffle(m)
  }
  withCallingHandlers(code, fitledger_message_imported = take, fitledger_message_exported = take)
  expect_named(said$left_out, c("what", "name"))
  expect_identical(vapply(said$left_out, class, "", USE.NAMES = FALSE), rep("character", 2))
  # The message itself names the first few.
  for (what in unique(said$left_out$what)) {
    names <- said$left_out$name[said$left_out$what == what]
    line <- paste0(what, " (", length(names), "): ", names[[1]])
    expect_match(conditionMessage(said), line, fixed = TRUE)
  }
  said$left_out
}

test_that("runs come with their times, names, nesting, code, tags and notes", {
  store <- mlflow_store()
  mlflow_run(store, "child", start = "1699999999000", tags = list(mlflow.parentRunId = "parent"))
  mlflow_run(
    store, "parent",
    name = "'the: \"first\"'", user = "bob",
    tags = list(
      mlflow.runName = "the: \"first\"", mlflow.user = "alice", mlflow.source.name = "train.py",
      mlflow.source.git.commit = strrep("0a", 20), mlflow.note.content = "**good**\nrun", t = "w", "sub/key" = "",
      mlflow.source.type = "LOCAL"
    )
  )
  mlflow_run(store, "failed", 4)
  mlflow_run(store, "killed", 5)
  mlflow_run(store, "gone", stage = "deleted", deleted_time = "1700000009000")
  mlflow_run(store, "alone", experiment = "0", tags = list(mlflow.parentRunId = "elsewhere"))
  mlflow_experiment(store, "941503468308411519", "abandoned", "deleted", ".trash/941503468308411519")
  mlflow_run(store, "trashed", experiment = "941503468308411519")
  file.rename(file.path(store, "941503468308411519/trashed"), file.path(store, ".trash/941503468308411519/trashed"))
  unlink(file.path(store, "941503468308411519"), recursive = TRUE)
  file <- local_ledger()
  ids <- quietly(import_runs(store, file))
  expect_setequal(ids, c("child", "parent", "failed", "killed", "gone", "alone", "trashed"))
  runs <- read_runs(file, details = TRUE, void = TRUE)
  rownames(runs) <- runs$run_id
  expect_identical(runs["parent", "name"], "the: \"first\"")
  expect_identical(as.numeric(runs["parent", "timestamp"]), 1700000000)
  expect_identical(runs["parent", "duration"], 1.5)
  expect_identical(runs["child", "parent"], "parent")
  expect_identical(unique(runs[c("child", "parent", "failed"), "experiment"]), "ridge")
  expect_identical(runs["alone", "experiment"], NA_character_)
  expect_identical(runs["alone", "tags.mlflow.parentRunId"], "elsewhere")
  expect_identical(runs["trashed", "experiment"], "abandoned")
  expect_identical(
    runs[c("parent", "failed", "killed", "gone", "trashed"), "status"],
    c("finished", "failed", "interrupted", "void", "void")
  )
  expect_identical(unlist(runs["parent", c("user", "script", "commit", "notes")], use.names = FALSE), c(
    "alice", "train.py", strrep("0a", 20), "**good**\nrun"
  ))
  expect_identical(runs[c("failed", "child"), "user"], c(NA_character_, NA))
  expect_identical(read_run(file, "parent")$tags, list("mlflow.source.type" = "LOCAL", "sub/key" = "", t = "w"))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("series are as MLflow's lines, and a metric shows what MLflow shows", {
  store <- mlflow_store()
  mlflow_run(store, "r", metrics = list(
    "val/loss" = "1700000000000 0.9 0\n1700000000001 0.3 5\n1700000000002 0.4 2\n",
    twice = "1700000000000 1.5 0\n1700000000001 0.5 1\n1700000000000 1.5 0\n",
    odd = paste0("170000000000", 0:4, c(" nan 0", " inf -3", " -inf 7", " -0.0 8", " 1e-320 9"), "\n", collapse = ""),
    old = "1700000000000 0.5\n",
    over = "1700000000000 1.25 9223372036854775808\n",
    tie = "1700000000000 0.7 1\n1700000000000 0.9 1\n1700000000000 0.8 1\n",
    broken = "1700000000000 0.5 0\nnonsense\n1700000000001 0.6 1"
  ))
  file <- local_ledger()
  expect_message(import_runs(store, file), "9223372036854775808 is beyond")
  metrics <- read_run(file, "r")$metrics
  expect_identical(metrics[c("val/loss", "twice", "over", "tie", "old", "broken")], list(
    "val/loss" = 0.3, twice = 0.5, over = 1.25, tie = 0.9, old = 0.5, broken = 0.6
  ))
  series <- read_metrics(file)
  of <- function(metric) series[series$metric == metric, ]
  expect_identical(of("odd")$value, c(NaN, Inf, -Inf, -0.0, 1e-320))
  expect_identical(1 / of("odd")$value[[4]], -Inf)
  expect_equal(of("odd")$step, c(0, -3, 7, 8, 9))
  expect_identical(of("val/loss")$value, c(0.9, 0.3, 0.4))
  expect_identical(round(as.numeric(of("val/loss")$time) * 1000), 1700000000000 + 0:2)
  expect_identical(of("twice")$value, c(1.5, 0.5, 1.5))
  expect_identical(nrow(of("over")), 0L)
  expect_equal(of("old")$step, 0)
})

test_that("a parameter has a type only where its text is the one text of a value", {
  texts <- list(
    "0.1", "42", "-7", "10.0", "0.30000000000000004", "TRUE", "True", "False", "-0.0", "1e+22",
    "007", "1e5", "1E5", "NA", "", "NaN", "inf", "true", "+1", " 1", "1 ", "1.", ".5", "0x10", "1_000", "2147483648",
    "12345678901234567890", "1.10", "None", "[1, 2]", "\u6f22"
  )
  typed <- list(0.1, 42L, -7L, 10, 0.30000000000000004, TRUE, TRUE, FALSE, -0.0, 1e22)
  typed <- c(typed, texts[-seq_along(typed)])
  names(texts) <- names(typed) <- sprintf("p%02d", seq_along(texts))
  store <- mlflow_store()
  mlflow_run(store, "r", params = texts)
  file <- local_ledger()
  quietly(import_runs(store, file))
  expect_identical(read_run(file, "r")$params, typed)
})

test_that("any key and text that a ledger can hold comes, the others are named", {
  store <- mlflow_store()
  params <- list(
    "sub/dir/name with space" = "1", "\u043a\u043b\u044e\u0447" = "x",
    run_id = "fake", timestamp = "fake", status = "fake",
    lines = "a\nb\r\nc\t", nul = as.raw(c(97, 0, 98)), latin = as.raw(c(0xe9)), long = strrep("x", 2^20 + 1)
  )
  mlflow_run(store, "r", params = params)
  file <- local_ledger()
  message <- capture_messages(import_runs(store, file))
  expect_match(message, "parameters (3): latin of r (it is not UTF-8); long of r (it is longer", fixed = TRUE)
  expect_match(message, "nul of r (it holds U+0000, which a ledger can't)", fixed = TRUE)
  expect_setequal(names(read_run(file, "r")$params), setdiff(names(params), c("nul", "latin", "long")))
  expect_identical(read_run(file, "r")$params$lines, "a\nb\r\nc\t")
  expect_identical(read_runs(file)$params.run_id, "fake")
})

test_that("data sets are labels with what is known of them", {
  store <- mlflow_store()
  run <- mlflow_run(store, "r")
  put_meta(
    file.path(run, "inputs/a"),
    destination_id = "d1", destination_type = "RUN", source_id = "d1", source_type = "DATASET",
    tags = "\n  mlflow.data.context: training"
  )
  put_meta(file.path(run, "inputs/b"), destination_id = "r", source_id = "d2")
  put_meta(file.path(run, "inputs/c"), destination_id = "r", source_id = "gone")
  put_meta(
    file.path(dirname(run), "datasets/d1"),
    digest = "'67105680'", name = "ames", profile = "'{\"num_rows\": 60, \"num_elements\": 300}'",
    schema = paste0(
      "'{\"mlflow_colspec\": [{\"type\": \"double\", \"name\": \"q\\\"uote\", \"required\": true}, {\"type\":\n",
      "  \"string\", \"name\": \"Gr\\u00f6\\u00dfe\", \"required\": true}]}'"
    ),
    source = "'{\"uri\": \"data/ames.csv\"}'", source_type = "local"
  )
  put_meta(
    file.path(dirname(run), "datasets/d2"),
    digest = "12e45678", name = "ames", schema = "null", source = "'{}'", source_type = "code"
  )
  file <- local_ledger()
  expect_message(import_runs(store, file), "data sets (1): c of r", fixed = TRUE)
  data <- read_run(file, "r")$data
  expect_identical(data$ames$hash, "67105680")
  expect_equal(data$ames$rows, 60)
  expect_identical(unlist(data$ames$columns), c("q\"uote" = "double", "Gr\u00f6\u00dfe" = "string"))
  expect_identical(data$`ames-2`$hash, "12e45678")
})

test_that("artifacts come with their bytes, from the run's own folder alone", {
  # Which has no such names.
  skip_on_os("windows")
  store <- mlflow_store()
  run <- mlflow_run(store, "r", artifacts = list(
    "notes.txt" = "hello", "curve.png" = "a", "curve.csv" = "b",
    "dir/deep/settings.json" = "{}", "dir/Gr\u00f6\u00dfe \u2713.txt" = "",
    "a+b#c?d.tar.gz" = "c"
  ))
  logged <- file.path(dirname(run), "models/m-1")
  put_meta(logged, artifact_location = "file:///home/alice/m", model_id = "m-1", name = "model", source_run_id = "r")
  put_file(file.path(logged, "artifacts/MLmodel"), "flavors:\n")
  mlflow_run(store, "far", uri = "s3://bucket/153282012734109160/far/artifacts")
  file <- local_ledger()
  expect_message(import_runs(store, file), "s3://bucket", fixed = TRUE)
  artifacts <- read_artifacts(file, "r")
  expect_setequal(artifacts$artifact, c("notes", "curve.png", "curve.csv", "dir", "a+b#c?d", "model"))
  expect_identical(rawToChar(read_artifact(file, "r", "notes")), "hello")
  expect_identical(readLines(file.path(artifact_path(file, "r", "dir"), "deep/settings.json"), warn = FALSE), "{}")
  expect_identical(list.files(artifact_path(file, "r", "model")), "MLmodel")
  expect_identical(nrow(read_artifacts(file, "far")), 0L)
})

test_that("importing twice adds nothing, and later what has come since", {
  store <- mlflow_store()
  run <- mlflow_run(store, "live", 1, end = "null", metrics = list(loss = "1700000000000 0.9 0\n1700000000001 0.8 1\n"))
  mlflow_run(store, "waits", 2, end = "null")
  mlflow_run(store, "done", params = list(a = "1"))
  file <- local_ledger()
  expect_message(import_runs(store, file), "scheduled runs, which read as running (1): waits", fixed = TRUE)
  expect_identical(read_runs(file, details = TRUE)$status, c("finished", "running", "running"))
  before <- readBin(file, "raw", file.size(file))
  expect_message(again <- import_runs(store, file), "nothing, 3 runs already there", fixed = TRUE)
  expect_identical(again, character())
  expect_identical(readBin(file, "raw", file.size(file)), before)

  cat("1700000000002 0.5 2\n1700000000003 0.7 1\n", file = file.path(run, "metrics/loss"), append = TRUE)
  put_file(file.path(run, "params/late"), "1")
  put_file(file.path(run, "artifacts/late.txt"), "1")
  mlflow_run(store, "live", 3)
  put_file(file.path(store, "153282012734109160/done/tags/t"), "new")
  put_file(file.path(store, "153282012734109160/done/params/b"), "2")
  more <- "2 continued runs.*runs that had ended, of which MLflow says more since \\(1\\): done"
  expect_message(import_runs(store, file), more)
  expect_identical(read_metrics(file)$value, c(0.9, 0.8, 0.5, 0.7))
  live <- read_run(file, "live")
  expect_identical(
    live[c("status", "params", "metrics")],
    list(status = "finished", params = list(late = 1L), metrics = list(loss = 0.5))
  )
  expect_identical(read_artifacts(file, "live")$artifact, "late")
  expect_identical(read_run(file, "done")[c("params", "tags")], list(params = list(a = 1L), tags = list(t = "new")))
  mlflow_run(store, "done", stage = "deleted")
  quietly(import_runs(store, file))
  expect_identical(read_run(file, "done")$status, "void")
  restore_run(file, "done", "it was right")
  quietly(import_runs(store, file))
  expect_identical(read_run(file, "done")$status, "finished")
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("an import that was broken off is made whole by the next one", {
  store <- mlflow_store()
  mlflow_run(
    store, "a",
    params = list(x = "1"), metrics = list(m = "1700000000000 1.0 5\n1700000000001 2.0 0\n"),
    artifacts = list("m.txt" = "m"),
    tags = list(mlflow.note.content = "n", mlflow.user = "ann", t = "u")
  )
  mlflow_run(store, "b", 4, stage = "deleted", tags = list(mlflow.parentRunId = "a", mlflow.user = "ben"))
  mlflow_version(store, "price", 1, "a", "runs:/a/m.txt", "Production")
  put_file(file.path(store, "models/price/aliases/champion"), "1")
  file <- local_ledger()
  quietly(import_runs(store, file))
  whole <- record_of(file)
  lines <- readLines(file)
  for (kept in seq(2, length(lines) - 1)) {
    cut <- local_ledger()
    writeLines(lines[seq_len(kept)], cut)
    file.copy(paste0(file, ".objects"), dirname(cut), recursive = TRUE)
    quietly(import_runs(store, cut))
    expect_identical(record_of(cut), whole)
    expect_identical(nrow(verify_ledger(cut)$problems), 0L)
  }
})

test_that("versions keep their numbers, stages and aliases are stages", {
  store <- mlflow_store()
  for (id in c("a", "b")) mlflow_run(store, id, artifacts = list("m.txt" = id, "deep/er/m.bin" = id))
  logged <- file.path(store, "153282012734109160/models/m-1")
  put_meta(logged, model_id = "m-1", name = "model", source_run_id = "b")
  put_file(file.path(logged, "artifacts/MLmodel"), "x")
  mlflow_version(store, "price", 1, "a", "runs:/a/m.txt", "Archived")
  mlflow_version(store, "price", 2, "b", "models:/m-1", "Deleted_Internal")
  mlflow_version(store, "price", 3, "b", "models:/m-1", "Production")
  mlflow_version(store, "price", 10, "a", "file:///home/alice/mlruns/153282012734109160/a/artifacts/deep/er", "None")
  mlflow_version(store, "price", 11, source = "/home/user/model")
  mlflow_version(store, "up", 1, "a", "runs:/a/../../b")
  mlflow_version(store, "ask", 1, "a", "runs:/a/m.txt")
  put_file(file.path(store, "models/ask/tags/mlflow.prompt.is_prompt"), "true")
  for (alias in list(c("champion", "3"), c("challenger", "10"), c("Best", "1"), c("2nd", "1"), c("lost", "11"))) {
    put_file(file.path(store, "models/price/aliases", alias[[1]]), alias[[2]])
  }
  file <- local_ledger()
  message <- capture_messages(import_runs(store, file))
  expect_match(message, "prompts (1): ask", fixed = TRUE)
  expect_match(message, "price/10 is price/4 here", fixed = TRUE)
  expect_match(message, "price/11 (it is made of no run's artifact in the store); up/1", fixed = TRUE)
  expect_match(message, "2nd of price", fixed = TRUE)
  models <- read_models(file)
  expect_identical(models$version, 1:4)
  expect_identical(models$run_id, c("a", "b", "b", "a"))
  stages <- list(c("archived", "best"), character(), c("champion", "production"), "challenger")
  expect_identical(lapply(models$stages, sort), stages)
  expect_identical(list.files(artifact_path(file, "price/3", "model")), "MLmodel")
  before <- file.size(file)
  quietly(import_runs(store, file))
  expect_identical(file.size(file), before)

  # No import moves a stage, wherever it was moved since.
  promote_model(file, "price", 4, "production", why = "better")
  put_file(file.path(store, "models/price/aliases/champion"), "10")
  put_file(file.path(store, "models/price/aliases/fresh"), "1")
  message <- expect_message(import_runs(store, file), class = "fitledger_message_imported")
  left_out <- message$left_out$name[message$left_out$what == "stages that point elsewhere here, where they stay"]
  expect_identical(left_out, c("production of price to price/3, here to 4", "champion of price to price/10, here to 3"))
  stages <- lapply(read_models(file)$stages, sort)
  expect_identical(stages, list(c("archived", "best", "fresh"), character(), "champion", c("challenger", "production")))
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("a version that was registered here of another artifact is not taken for MLflow's", {
  store <- mlflow_store()
  mlflow_run(store, "a", artifacts = list(model.txt = "m", notes.txt = "n"))
  mlflow_run(store, "b", artifacts = list(model.txt = "b"))
  file <- local_ledger()
  quietly(import_runs(store, file))
  register_model(file, "price", "a", "model")
  register_model(file, "price", "a", "notes")
  mlflow_version(store, "price", 1, "a", "runs:/a/model.txt")
  mlflow_version(store, "price", 2, "a", "runs:/a/model.txt", "Production")
  mlflow_version(store, "price", 3, "b", "runs:/b/model.txt", "Staging")
  would <- capture_messages(import_runs(store, file, dry_run = TRUE))
  message <- capture_messages(import_runs(store, file))
  for (text in c(would, message)) expect_match(text, "price/2 is price/3 here; price/3 is price/4 here", fixed = TRUE)
  models <- read_models(file)
  expect_identical(models$run_id, c("a", "a", "a", "b"))
  artifacts <- rbind(read_artifacts(file, "a"), read_artifacts(file, "b"))
  made_of <- artifacts$artifact[match(models$sha256, artifacts$sha256)]
  expect_identical(made_of, c("model", "notes", "model", "model"))
  expect_identical(models$stages, list(character(), character(), "production", "staging"))
  before <- file.size(file)
  quietly(import_runs(store, file))
  expect_identical(file.size(file), before)
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("a version of a run that was logged here is MLflow's if its artifact is", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 1), artifacts = list("my: model" = 1, notes = 2))
  register_model(file, "price", id, "my: model")
  store <- file.path(withr::local_tempdir(), "mlruns")
  suppressMessages(export_runs(file, store, format = "mlruns"))
  put_file(file.path(store, "models/price/aliases/champion"), "1")
  mlflow_version(store, "other", 1, id, sprintf("runs:/%s/notes.rds", id), "Production")
  register_model(file, "other", id, "my: model")
  message <- capture_messages(import_runs(store, file))
  expect_match(message, "other/1 (its artifact isn't stored)", fixed = TRUE)
  expect_match(message, "production of other/1", fixed = TRUE)
  expect_identical(read_models(file)$stages, list("champion", character()))
})

test_that("a hostile store is left out piece by piece, and named", {
  skip_on_os("windows")
  secret <- withr::local_tempfile(lines = "secret")
  outside <- withr::local_tempdir()
  writeLines("secret", file.path(outside, "s.txt"))
  store <- mlflow_store()
  run <- mlflow_run(store, "r", params = list(ok = "1"), artifacts = list("ok.txt" = "1", "dir/a" = "1"))
  file.symlink(secret, file.path(run, "params/link"))
  file.symlink(secret, file.path(run, "artifacts/link.txt"))
  file.symlink(outside, file.path(run, "artifacts/folder"))
  file.symlink(secret, file.path(run, "artifacts/dir/link"))
  system2("mkfifo", shQuote(file.path(run, "params/pipe")))
  dir.create(file.path(run, "metrics"))
  system2("mkfifo", shQuote(file.path(run, "metrics/pipe")))
  linked <- mlflow_run(store, "linked")
  unlink(linked, recursive = TRUE)
  file.symlink(run, linked)
  mlflow_run(store, "-bad id-")
  mlflow_run(store, "other")
  file.rename(file.path(store, "153282012734109160/other"), file.path(store, "153282012734109160/renamed"))
  mlflow_run(store, "typo", "soon")
  mlflow_run(store, "timeless", start = "null", end = "null")
  bad <- c(
    code = "x: !expr stop('ran')\nrun_id: code\n", nul = "run_id: \"nul\\0\"\nstatus: 3\n",
    list = "- 1\n- 2\n", broken = "a: [\n", empty = "",
    bomb = strrep("[", 1e6), deep = strrep("a: {", 2e5), quotes = strrep("'", 1e6 + 1)
  )
  for (id in names(bad)) put_file(file.path(store, "153282012734109160", id, "meta.yaml"), bad[[id]])
  mlflow_run(store, "loop", tags = list(mlflow.parentRunId = "pool"))
  mlflow_run(store, "pool", tags = list(mlflow.parentRunId = "loop"))
  file <- local_ledger()
  message <- capture_messages(ids <- import_runs(store, file))
  expect_setequal(ids, c("r", "loop", "pool"))
  expect_match(message, "link of r (it is a symbolic link)", fixed = TRUE)
  expect_match(message, "pipe of r (it is a pipe)", fixed = TRUE)
  expect_identical(read_run(file, "r")$params, list(ok = 1L))
  expect_identical(read_artifacts(file, "r")$artifact, "ok")
  expect_identical(length(read_run(file, "r")$tags), 0L)
  expect_false(any(grepl("secret", readLines(file))))
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("a dry run says what would come and writes nothing", {
  store <- mlflow_store()
  mlflow_run(store, "r", artifacts = list(m.txt = "m"))
  mlflow_version(store, "price", 1, "r", "runs:/r/m.txt", "Production")
  file <- local_ledger()
  expect_message(ids <- import_runs(store, file, dry_run = TRUE), "Would import from .*1 run, 1 model version, 1 stage")
  expect_identical(ids, "r")
  expect_identical(list.files(dirname(file)), character())
  quietly(import_runs(store, file))
  expect_message(import_runs(store, file, dry_run = TRUE), "nothing, 1 run already there")
})

test_that("runs of the same ids that were logged here stay as they are", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 2))
  store <- mlflow_store()
  mlflow_run(store, id, params = list(b = "1"))
  expect_identical(quietly(import_runs(store, file)), character())
  expect_identical(read_run(file, id)$params, list(a = 1))
})

test_that("a folder that is no store is told from one", {
  folder <- withr::local_tempdir()
  file <- local_ledger()
  error <- expect_error(import_runs(folder, file), class = "fitledger_error_argument")
  expect_match(conditionMessage(error), "no folder in it has a `meta.yaml`", fixed = TRUE)
  expect_false(file.exists(file))
  expect_error(import_runs(file.path(folder, "none"), file), class = "fitledger_error_not_found")
  expect_error(import_runs(mlflow_store(), file, metrics = "m"), class = "fitledger_error_argument")
})

# A ledger with what can be in one, its values and the shape of its runs at random.
log_anything <- function(file, seed) {
  withr::local_seed(seed)
  numbers <- c(rnorm(5), NaN, Inf, -Inf, -0.0, 1e-320, .Machine$double.xmax, 1 / 3, 1e15)
  number <- function() sample(numbers, 1)
  thing <- withr::local_tempfile(lines = "x", fileext = ".txt")
  folder <- file.path(withr::local_tempdir(), "some folder")
  put_file(file.path(folder, "deep/a.txt"), "a")
  ids <- log_run(
    file, list(alpha = 0.1, n = 5L, ok = TRUE, model = "ridge", "sub/x" = "1e5"),
    list(rmse = number(), "val/loss" = number()),
    artifacts = list(fit = lm(dist ~ speed, cars), thing = thing, "some folder" = folder),
    data = list(cars = cars, label = I("snapshot 2026-11")), tags = list(by = "ann", n = "\u00fcn\u00efcode \u2713"),
    name = "a \"name\": with\ttab \U0001F98A", experiment = sample(c("first", "second # \u00fc"), 1)
  )
  for (i in 1:4) {
    run <- start_run(file, list(i = i), parent = if (i > 1) sample(ids, 1), experiment = if (i %% 2) "first")
    for (step in 1:5) log_metrics(run, loss = number(), step = step)
    log_metrics(run, loss = 0.5, step = 2)
    log_metrics(run, only = number())
    end_run(run, list(loss = number(), last = number()), status = sample(c("finished", "failed", "interrupted"), 1))
    ids <- c(ids, run$run_id)
  }
  log_note(file, ids[[2]], "worth\na look")
  void_run(file, log_run(file, list(a = 1), list(m = 1)), "wrong")
  log_run(file, list(), list(m = 1), sealed = list(secret = 2))
  register_model(file, "price: 2", ids[[1]], "fit")
  for (artifact in c("fit", "thing", "some folder")) register_model(file, "price", ids[[1]], artifact)
  promote_model(file, "price", 2, why = "good")
  promote_model(file, "price", 3, why = "better")
  promote_model(file, "price", 1, "shadow", why = "old")
  file
}

test_that("what is exported and imported again is the same record", {
  for (seed in 1:3) {
    file <- log_anything(local_ledger(), seed)
    store <- file.path(withr::local_tempdir(), "mlruns")
    unnamed <- "models with a name that MLflow can't have (1): price: 2"
    expect_message(export_runs(file, store, format = "mlruns"), unnamed, fixed = TRUE)
    again <- local_ledger()
    expect_message(import_runs(store, again), "Imported from .*6 runs, 3 model versions, 2 stages\\.$")
    expect_false("secret" %in% basename(list.files(store, recursive = TRUE)))
    before <- record_of(file)
    before$models <- plain_frame(before$models[before$models$model == "price", ])
    expect_identical(record_of(again), before)
    expect_identical(verify_ledger(again)$status, "ok")
    expect_identical(nrow(verify_ledger(again)$problems), 0L)
    expect_message(import_runs(store, file), "nothing, 6 runs already there")

    # And once more, which is the same store.
    twice <- file.path(withr::local_tempdir(), "mlruns")
    export_runs(again, twice, format = "mlruns")
    files <- function(store) {
      names <- list.files(store, recursive = TRUE)
      names <- names[!grepl("/(inputs|datasets)/", names)]
      sort(sub("^[0-9]+/", "", names))
    }
    expect_identical(files(twice), files(store))
  }
})

test_that("a real store comes out as it went in", {
  store <- mlflow_store()
  mlflow_run(
    store, strrep("0a", 16),
    user = "ann", name = "a run", params = list(p = "1", "sub/x" = "text"),
    artifacts = list(m.txt = "m", "d/e.txt" = "e"),
    metrics = list(loss = "1700000000000 0.9 0\n1700000000001 nan 5\n", acc = "1700000000000 1e-320 0\n"),
    tags = list(mlflow.runName = "a run", mlflow.user = "ann", t = "w")
  )
  mlflow_version(store, "price", 1, strrep("0a", 16), "runs:/0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/d", "Production")
  file <- local_ledger()
  quietly(import_runs(store, file))
  out <- export_runs(file, file.path(withr::local_tempdir(), "mlruns"), format = "mlruns")
  bytes <- function(store, experiment) {
    folder <- file.path(store, experiment, strrep("0a", 16))
    names <- setdiff(list.files(folder, recursive = TRUE), "meta.yaml")
    lapply(rlang::set_names(names), function(name) readBin(file.path(folder, name), "raw", 1e5))
  }
  expect_identical(bytes(out, "1"), bytes(store, "153282012734109160"))
  meta <- function(...) {
    lines <- regmatches(text <- readLines(file.path(...)), regexpr(": ", text), invert = TRUE)
    rlang::set_names(gsub("^[\"']|[\"']$", "", vapply(lines, `[`, "", 2)), vapply(lines, `[`, "", 1))
  }
  before <- meta(store, "153282012734109160", strrep("0a", 16), "meta.yaml")
  after <- meta(out, "1", strrep("0a", 16), "meta.yaml")
  same <- setdiff(names(before), c("artifact_uri", "experiment_id"))
  expect_identical(after[same], before[same])
  expect_identical(after[["artifact_uri"]], "mlflow-artifacts:/1/0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/artifacts")
  expect_identical(meta(out, "1", "meta.yaml")[["name"]], "ridge")
  version <- meta(out, "models/price/version-1/meta.yaml")
  expect_identical(version[c("version", "run_id", "source", "status")], c(
    version = "1", run_id = strrep("0a", 16), source = "runs:/0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a/d", status = "READY"
  ))
  expect_identical(readLines(file.path(out, "models/price/aliases/production"), warn = FALSE), "1")
})

test_that("no point is written twice, and names are those that MLflow takes", {
  file <- local_ledger()
  run <- start_run(file, list("log(x)" = 1, "log_x_" = 2, "a" = 1, "a/b" = 2, "../up" = 3, "/abs" = 4, "e\u0301%" = 5))
  id <- run$run_id
  end_run(run, list("r^2" = 0.5))
  store <- file.path(withr::local_tempdir(), "mlruns")
  message <- expect_message(export_runs(file, store, format = "mlruns"), class = "fitledger_message_exported")
  expect_match(conditionMessage(message), "log(x) of", fixed = TRUE)
  params <- list.files(file.path(store, "0", id, "params"), recursive = TRUE, all.files = TRUE)
  expect_length(params, 7)
  expect_match(params, "^[/\\w.\\- ]+$", perl = TRUE)
  expect_identical(list.files(file.path(store, "0", id, "metrics")), "r_2")

  twice <- mlflow_store()
  mlflow_run(twice, "r", metrics = list(m = "1700000000000 1.5 0\n1700000000001 0.5 1\n1700000000000 1.5 0\n"))
  file <- local_ledger()
  quietly(import_runs(twice, file))
  out <- export_runs(file, file.path(withr::local_tempdir(), "mlruns"), format = "mlruns")
  expect_identical(readLines(file.path(out, "1/r/metrics/m")), c("1700000000000 1.5 0", "1700000000001 0.5 1"))
})

test_that("names that MLflow takes stay, and those of others avoid them", {
  values <- list("a*" = 1, a_ = 2, "a?" = 3, "a_-2" = 4, "a_-3" = 5, b = 6, "b/c" = 7, b_c = 8)
  file <- local_ledger()
  id <- log_run(file, values, values, tags = lapply(values, as.character))
  store <- file.path(withr::local_tempdir(), "mlruns")
  message <- expect_message(export_runs(file, store, format = "mlruns"), class = "fitledger_message_exported")
  expect_false(any(grepl("^(a_|a_-2|a_-3|b|b_c) of", message$left_out$name)))
  again <- local_ledger()
  quietly(import_runs(store, again))
  stay <- c("a_", "a_-2", "a_-3", "b", "b_c")
  for (kind in c("params", "metrics", "tags")) {
    kept <- read_run(again, id)[[kind]]
    expect_length(kept, length(values))
    expect_equal(lapply(kept[stay], as.numeric), values[stay])
    expect_setequal(as.numeric(kept), 1:8)
  }
})

test_that("a script gets at all that was left out", {
  nul <- as.raw(c(97, 0, 98))
  store <- mlflow_store()
  bad <- sprintf("bad%02d", 1:12)
  mlflow_run(
    store, "r",
    params = c(rlang::rep_named(bad, list(nul)), list(good = "1")), tags = list(worse = nul)
  )
  file <- local_ledger()
  would <- left_out_of(import_runs(store, file, dry_run = TRUE))
  expect_identical(would$what, rep(c("parameters", "tags"), c(12, 1)))
  expect_identical(sub(" .*", "", would$name), c(bad, "worse"))
  expect_identical(left_out_of(import_runs(store, file)), would)

  whole <- mlflow_store()
  mlflow_run(whole, "s")
  expect_identical(nrow(left_out_of(import_runs(whole, file))), 0L)

  id <- log_run(file, rlang::rep_named(sprintf("%02d*", 1:12), list(1)), list(m = 1))
  exported <- left_out_of(export_runs(file, file.path(withr::local_tempdir(), "mlruns"), format = "mlruns"))
  expect_identical(exported$what, rep("parameters with another name", 12))
  expect_identical(exported$name, sprintf("%02d* of %s is %02d_", 1:12, id, 1:12))
  run <- log_run(file, list(k = 1), list(m = 1))
  silent <- file.path(withr::local_tempdir(), "mlruns")
  expect_silent(export_runs(file, silent, format = "mlruns", where = run_id == run))
})

test_that("an export replaces an earlier one and nothing else", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 1))
  to <- file.path(withr::local_tempdir(), "mlruns")
  dir.create(to)
  export_runs(file, paste0(to, "/"), format = "mlruns")
  other <- log_run(file, list(a = 2), list(m = 3))
  export_runs(file, to, format = "mlruns", where = m > 2)
  expect_identical(list.files(file.path(to, "0")), c(other, "meta.yaml"))
  expect_identical(list.files(dirname(to), all.files = TRUE, no.. = TRUE), "mlruns")
  put_file(file.path(to, "0", other, "tags/mine"), "x")
  error <- expect_error(export_runs(file, to, format = "mlruns"), class = "fitledger_error_exists")
  expect_match(conditionMessage(error), "changed since")
  unlink(file.path(to, "0", other, "tags/mine"))
  export_runs(file, to, format = "mlruns")
  put_file(file.path(to, "0", id, "params/a"), "9")
  expect_error(export_runs(file, to, format = "mlruns"), class = "fitledger_error_exists")

  folder <- withr::local_tempdir()
  put_file(file.path(folder, "mine.txt"), "x")
  expect_error(export_runs(file, folder, format = "mlruns"), class = "fitledger_error_exists")
  expect_identical(list.files(folder), "mine.txt")
  expect_error(export_runs(file, file, format = "mlruns"), class = "fitledger_error_exists")
  expect_error(export_runs(file, to, format = "mlruns", columns = "m"), class = "fitledger_error_argument")
  expect_error(export_runs(file, to, format = "parquet"), class = "fitledger_error_argument")
  expect_error(export_runs(file, file.path(folder, "no/such"), format = "mlruns"), class = "fitledger_error_io")
})

test_that("bytes that aren't right are not exported", {
  file <- local_ledger()
  path <- withr::local_tempfile(lines = "x", fileext = ".txt")
  id <- log_run(file, list(a = 1), list(m = 1), artifacts = list(thing = path))
  log_run(file, list(a = 1), list(m = 1), artifacts = list(path = path), keep = FALSE)
  sha256 <- read_artifacts(file, id)$sha256
  stored <- file.path(paste0(file, ".objects"), substr(sha256, 1, 2), sha256)
  Sys.chmod(stored, "644")
  writeLines("y", stored)
  to <- file.path(withr::local_tempdir(), "mlruns")
  message <- capture_messages(export_runs(file, to, format = "mlruns"))
  expect_match(message, "artifacts whose bytes aren't there (1): thing of", fixed = TRUE)
  expect_match(message, "artifacts that are recorded by their path (1): path of", fixed = TRUE)
  expect_identical(list.files(file.path(to, "0", id, "artifacts")), character())
})

test_that("a run of which a folder can't be read is left out whole, and comes later", {
  skip_on_os("windows")
  outside <- withr::local_tempdir()
  put_file(file.path(outside, "s"), "secret")
  # A folder of a run, and what stands in its place.
  for (how in c("link", "pipe", "rights")) {
    for (part in c("params", "metrics", "tags", "artifacts", "inputs", ".", "..", "models")) {
      store <- mlflow_store()
      run <- mlflow_run(
        store, "r", params = list(a = "1"), tags = list(t = "x"), artifacts = list(x.txt = "1"),
        metrics = list(m = "1700000000000 0.5 0\n")
      )
      put_meta(file.path(run, "inputs/i"), source_id = "d")
      put_meta(file.path(dirname(run), "datasets/d"), name = "d", digest = "x")
      put_meta(file.path(dirname(run), "models/m-1"), source_run_id = "r", name = "m")
      put_file(file.path(dirname(run), "models/m-1/artifacts/MLmodel"), "m")
      mlflow_run(store, "other", experiment = "0")
      broken <- switch(part,
        models = file.path(dirname(run), "models"),
        sub("/[.]$", "", if (part == "..") dirname(run) else file.path(run, part))
      )
      kept <- file.path(dirname(store), "kept")
      if (how == "rights") {
        Sys.chmod(broken, "000")
        # Of a user for whom there are none.
        if (file.access(broken, 4) == 0) break
      } else {
        file.rename(broken, kept)
        if (how == "link") file.symlink(outside, broken) else system2("mkfifo", shQuote(broken))
      }
      file <- local_ledger()
      left_out <- left_out_of(ids <- import_runs(store, file))
      expect_identical(ids, "other", info = paste(how, part))
      expect_match(
        paste(left_out$what, left_out$name), "^(runs r|experiments) .*(link|pipe|denied)",
        all = FALSE, info = paste(how, part)
      )
      if (how == "rights") {
        Sys.chmod(broken, "755")
      } else {
        unlink(broken)
        file.rename(kept, broken)
      }
      expect_identical(quietly(import_runs(store, file)), "r", info = paste(how, part))
      record <- read_run(file, "r")
      expect_identical(record$params, list(a = 1L))
      expect_identical(record$metrics, list(m = 0.5))
      expect_identical(record$tags, list(t = "x"))
      expect_identical(names(record$data), "d")
      expect_identical(read_artifacts(file, "r")$artifact, c("x", "m"))
    }
  }
})

test_that("an artifact that can't be read leaves its run and its model out, and no empty ledger behind", {
  skip_on_os("windows")
  store <- mlflow_store()
  run <- mlflow_run(store, "r", artifacts = list(x.txt = "1", "dir/y.txt" = "2"))
  mlflow_version(store, "price", 1, "r", "runs:/r/x.txt", "Production")
  file <- local_ledger()
  for (path in file.path(run, "artifacts", c("x.txt", "dir/y.txt", "dir"))) {
    Sys.chmod(path, "000")
    skip_if(file.access(path, 4) == 0, "no file is closed to this user")
    message <- capture_messages(ids <- import_runs(store, file))
    Sys.chmod(path, "755")
    expect_identical(ids, character())
    expect_match(message, "runs (1): r (its artifact ", fixed = TRUE)
    expect_match(message, "models (1): price (its version 1 is of a run that is left out)", fixed = TRUE)
    expect_false(file.exists(file))
  }
  expect_identical(quietly(import_runs(store, file)), "r")
  expect_equal(read_models(file)$version, 1)
})

test_that("a lack of file descriptors ends an import, which has then written nothing", {
  skip_if(Sys.which("prlimit") == "", "no prlimit")
  skip_on_cran()
  store <- mlflow_store()
  run <- mlflow_run(store, "r", params = list("a/b/c" = "1"), metrics = list(m = "1700000000000 0.5 0\n"))
  put_file(file.path(run, "artifacts/dir/x.txt"), "1")
  script <- withr::local_tempfile(fileext = ".R", lines = c(
    "library(fitledger)",
    "args <- commandArgs(TRUE)",
    "log_run(args[[2]], list(z = 1), list(m = 1))",
    # What is loaded when it is needed.
    "try(import_runs('/dev/null', args[[2]]), silent = TRUE)",
    "invisible(suppressMessages(import_runs(args[[1]], paste0(args[[2]], 'x'))))",
    # R doesn't begin with few.
    "system2('prlimit', c('--nofile=60:60', '--pid', Sys.getpid()))",
    "for (free in 1:12) {",
    "  file <- paste0(args[[2]], free)",
    "  file.copy(args[[2]], file)",
    "  open <- list()",
    "  more <- function() tryCatch(file('/dev/null', 'rb'), error = function(e) NULL, warning = function(w) NULL)",
    "  while (!is.null(one <- more())) open <- c(open, list(one))",
    "  for (one in utils::tail(open, free)) close(one)",
    "  said <- tryCatch(",
    "    {suppressMessages(import_runs(args[[1]], file)); 'fine'}, error = function(e) class(e)[[1]]",
    "  )",
    "  for (one in utils::head(open, length(open) - free)) close(one)",
    "  runs <- read_runs(file)",
    "  cat(said, nrow(runs), sum(runs$m == 0.5), sum(!is.na(runs$`a/b/c`)), '\\n')",
    "}"
  ))
  said <- system2(
    file.path(R.home("bin"), "Rscript"), shQuote(c(script, store, local_ledger())),
    stdout = TRUE, stderr = FALSE
  )
  expect_length(said, 12)
  expect_true(all(grepl("^(fitledger_error_[a-z]+ 1 0 0|fine 2 1 1) $", said)), info = said)
  expect_true(all(c("fine 2 1 1 ", "fitledger_error_io 1 0 0 ") %in% said), info = said)
})

test_that("a failed write of an export is its end", {
  skip_on_os("windows")
  skip_on_cran()
  file <- local_ledger()
  log_run(file, list(a = strrep("x", 3e5)), list(m = 1))
  there <- list.files(dirname(file), all.files = TRUE)
  to <- file.path(dirname(file), "mlruns")
  call <- sprintf("fitledger::export_runs('%s', '%s', format = 'mlruns')", file, to)
  said <- suppressWarnings(system2(
    "sh", c("-c", shQuote(sprintf(
      "trap '' XFSZ; ulimit -f 64; exec '%s/bin/Rscript' -e %s 2>&1", R.home(), shQuote(call)
    ))),
    stdout = TRUE
  ))
  expect_match(paste(said, collapse = " "), "params/a")
  expect_identical(list.files(dirname(file), all.files = TRUE), there)
})

test_that("keys of any length and depth come under names that MLflow takes", {
  file <- local_ledger()
  long <- strrep("\u00e9", 100)
  keys <- c(
    paste(rep("a", 120), collapse = "/"), paste(rep("b", 2000), collapse = "/"), strrep("x", 5000),
    paste0(strrep("y", 249), "/", strrep("z", 10)), "x", paste0("x/", long, "/", long), strrep("\u6f22", 240)
  )
  id <- log_run(file, rlang::set_names(as.list(seq_along(keys)), keys), list(m = 1))
  store <- file.path(withr::local_tempdir(), "mlruns")
  left_out <- left_out_of(export_runs(file, store, format = "mlruns"))
  expect_identical(left_out$what, rep("parameters with another name", 6))
  names <- list.files(file.path(store, "0", id, "params"), recursive = TRUE)
  expect_true(all(nchar(names) <= 250 & nchar(basename(names), "bytes") <= 255))
  back <- local_ledger()
  quietly(import_runs(store, back))
  expect_identical(sort(unlist(read_run(back, id)$params, use.names = FALSE)), seq_along(keys))
})

test_that("many keys that become the same name each get one", {
  file <- local_ledger()
  keys <- outer(c("*", "+", "=", "~", "#"), c("*", "+", "=", "~", "#"), paste0)
  id <- log_run(file, rlang::set_names(as.list(seq_along(keys)), keys), list(m = 1))
  store <- file.path(withr::local_tempdir(), "mlruns")
  left_out_of(export_runs(file, store, format = "mlruns"))
  expect_setequal(list.files(file.path(store, "0", id, "params")), c("__", paste0("__-", 2:25)))
})

test_that("runs whose ids are names of a store's own are named, and not written", {
  ids <- c("models", "datasets", "tags", "Traces", "meta")
  csv <- withr::local_tempfile(fileext = ".csv", lines = c(
    "\"run_id\",\"timestamp\",\"a\",\"rmse\"", sprintf("\"%s\",\"2026-11-23 04:20:47\",%d,1.5", ids, 1:5)
  ))
  file <- local_ledger()
  quietly(import_runs(csv, file, metrics = "rmse"))
  store <- file.path(withr::local_tempdir(), "mlruns")
  left_out <- left_out_of(export_runs(file, store, format = "mlruns"))
  expect_identical(left_out$what, rep("runs with an id that MLflow can't have", 4))
  expect_identical(left_out$name, ids[1:4])
  back <- local_ledger()
  quietly(import_runs(store, back))
  expect_identical(read_runs(back)$run_id, "meta")
})

test_that("a run whose tags or data fit no row is left out alone, and a long name comes back", {
  store <- mlflow_store()
  texts <- rlang::set_names(rep(list(strrep("\"", 1e6)), 8), letters[1:8])
  mlflow_run(store, "big", tags = texts)
  sets <- mlflow_run(store, "sets", experiment = "0")
  for (i in 1:18) {
    put_meta(file.path(sets, "inputs", i), source_id = i)
    put_meta(file.path(store, "0/datasets", i), name = i, digest = paste0("'", strrep("x", 1e6), "'"))
  }
  mlflow_run(store, "child", tags = list(mlflow.parentRunId = "big"), params = texts, artifacts = list(a.txt = "1"))
  mlflow_run(store, "named", tags = list(mlflow.runName = strrep("\001", 1e6)))
  file <- local_ledger()
  message <- capture_messages(ids <- import_runs(store, file))
  expect_setequal(ids, c("child", "named"))
  expect_match(message, "runs (2): big (", fixed = TRUE)
  expect_match(message, "; sets (", fixed = TRUE)
  expect_identical(read_run(file, "child")$params, texts)
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
  to <- file.path(withr::local_tempdir(), "mlruns")
  suppressMessages(export_runs(file, to, format = "mlruns"))
  back <- local_ledger()
  expect_setequal(quietly(import_runs(to, back)), c("child", "named"))
  expect_identical(read_run(back, "named")$name, strrep("\001", 1e6))
})
