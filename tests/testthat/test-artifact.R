# The stored bytes of artifacts; lockfiles of sessions are JSON.
object_files <- function(file) {
  files <- list.files(paste0(file, ".objects"), recursive = TRUE, full.names = TRUE, all.files = TRUE)
  first <- vapply(files, function(file) readBin(file, "raw", 1), raw(1))
  unname(files[first != charToRaw("{")])
}

test_that("objects and files come back as they were", {
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".txt", lines = c("a", "b"))
  fit <- lm(dist ~ speed, cars)
  id <- log_run(file, list(a = 1), list(m = 1), artifacts = list(model = fit, notes = path, text = list("x")), keep = TRUE)
  expect_equal(predict(read_artifact(file, id, "model")), predict(fit))
  expect_identical(read_artifact(file, id, "notes"), bytes(path))
  expect_identical(read_artifact(file, id, "text"), list("x"))
  copy <- artifact_path(file, id, "notes")
  expect_identical(basename(copy), basename(path))
  expect_identical(readLines(copy), c("a", "b"))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_equal(nrow(verify_ledger(file)$problems), 0)
})

test_that("what is stored twice is kept once, read-only, without leftovers", {
  file <- local_ledger()
  run <- start_run(file)
  log_artifact(run, "a", 1:10)
  log_artifact(run, "b", 1:10)
  log_artifact(run, "a", 11:20)
  end_run(run)
  expect_length(object_files(file), 2)
  expect_identical(read_artifact(file, run$run_id, "a"), 11:20)
  expect_identical(read_artifact(file, run$run_id, "b"), 1:10)
  skip_on_os("windows")
  expect_true(all(file.mode(object_files(file)) == as.octmode("444")))
})

test_that("a file is recorded by its hash, and a changed one is refused", {
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".txt", lines = "a")
  id <- log_run(file, list(), list(), artifacts = list(notes = path))
  expect_identical(read_artifact(file, id, "notes"), bytes(path))
  expect_length(object_files(file), 0)
  writeLines("b", path)
  expect_error(read_artifact(file, id, "notes"), "have changed", class = "fitledger_error_artifact")
  unlink(path)
  expect_error(read_artifact(file, id, "notes"), "keep = TRUE", class = "fitledger_error_artifact")
})

test_that("bytes that aren't those that were stored are refused and listed", {
  skip_on_os("windows")
  damage <- list(
    changed = function(object) {
      whole <- bytes(object)
      whole[[20]] <- xor(whole[[20]], as.raw(1))
      writeBin(whole, object)
    },
    truncated = function(object) writeBin(utils::head(bytes(object), -1), object),
    gone = function(object) unlink(object, force = TRUE),
    link = function(object) {
      copy <- withr::local_tempfile(.local_envir = parent.frame(2))
      file.copy(object, copy)
      unlink(object, force = TRUE)
      file.symlink(copy, object)
    }
  )
  for (kind in names(damage)) {
    file <- local_ledger()
    id <- log_run(file, list(), list(), artifacts = list(model = as.list(1:50)))
    object <- object_files(file)
    Sys.chmod(object, "644")
    damage[[kind]](object)
    expect_error(read_artifact(file, id, "model"), class = "fitledger_error_artifact", info = kind)
    expect_error(artifact_path(file, id, "model"), class = "fitledger_error_artifact", info = kind)
    result <- verify_ledger(file)
    expect_identical(result$status, "ok")
    expect_identical(result$problems$kind, "artifact", info = kind)

    log_run(file, list(), list(), artifacts = list(model = as.list(1:50)))
    expect_identical(read_artifact(file, id, "model"), as.list(1:50), info = kind)
  }
})

test_that("models of common packages predict the same", {
  file <- local_ledger()
  models <- list(
    lm = lm(mpg ~ wt + hp, mtcars),
    glm = glm(am ~ wt, binomial, mtcars)
  )
  if (rlang::is_installed("rpart")) models$rpart <- rpart::rpart(mpg ~ ., mtcars)
  if (rlang::is_installed("glmnet")) models$glmnet <- glmnet::glmnet(as.matrix(mtcars[-1]), mtcars$mpg)
  if (rlang::is_installed("ranger")) {
    models$ranger <- ranger::ranger(mpg ~ ., mtcars, num.trees = 20, seed = 1, num.threads = 1)
  }
  id <- log_run(file, list(), list(), artifacts = models)
  for (name in names(models)) {
    new <- if (name == "glmnet") as.matrix(mtcars[-1]) else mtcars
    back <- predict(read_artifact(file, id, name), new)
    expect_identical(back, predict(models[[name]], new), info = name)
  }
})

test_that("a folder is stored whole and unpacked", {
  skip_on_os("windows")
  file <- local_ledger()
  folder <- withr::local_tempdir()
  dir.create(file.path(folder, "variables"))
  writeLines("weights", file.path(folder, "variables", "w.txt"))
  writeLines("graph", file.path(folder, "graph.txt"))
  expect_error(log_run(file, list(), list(), artifacts = list(net = folder)), "keep = TRUE", class = "fitledger_error_argument")
  id <- log_run(file, list(), list(), artifacts = list(net = folder), keep = TRUE)
  unpacked <- artifact_path(file, id, "net")
  expect_setequal(list.files(unpacked, recursive = TRUE), c("variables/w.txt", "graph.txt"))
  expect_identical(readLines(file.path(unpacked, "variables", "w.txt")), "weights")

  file.symlink(file.path(folder, "graph.txt"), file.path(folder, "link"))
  expect_error(log_run(file, list(), list(), artifacts = list(net = folder), keep = TRUE), "symbolic link", class = "fitledger_error_unstorable")
})

test_that("links and pipes are not followed", {
  skip_on_os("windows")
  file <- local_ledger()
  target <- withr::local_tempfile(lines = "x")
  link <- withr::local_tempfile()
  file.symlink(target, link)
  pipe <- withr::local_tempfile()
  system2("mkfifo", pipe)
  for (path in c(link, pipe)) {
    for (keep in c(TRUE, FALSE)) {
      expect_error(log_run(file, list(), list(), artifacts = list(x = path), keep = keep), class = "fitledger_error_unstorable")
    }
  }
  expect_false(file.exists(file))
})

test_that("names that could leave a folder are refused or made safe", {
  file <- local_ledger()
  id <- log_run(file, list(), list(), artifacts = list("../../evil" = 1, "CON" = 2, "a/b" = 3))
  for (name in c("../../evil", "CON", "a/b")) {
    path <- artifact_path(file, id, name)
    expect_identical(dirname(dirname(path)), normalizePath(tempdir(), winslash = "/"), info = name)
  }
  expect_identical(read_artifact(file, id, "../../evil"), 1)
})

test_that("a ledger behind a link has one folder of objects", {
  skip_on_os("windows")
  file <- local_ledger()
  id <- log_run(file, list(), list(), artifacts = list(a = 1))
  link <- withr::local_tempfile()
  file.symlink(file, link)
  expect_identical(read_artifact(link, id, "a"), 1)
  log_run(link, list(), list(), artifacts = list(b = 2))
  expect_false(dir.exists(paste0(link, ".objects")))
  expect_length(object_files(file), 2)
})

test_that("a ledger and its objects can be moved together", {
  file <- local_ledger()
  id <- log_run(file, list(), list(m = 1), artifacts = list(model = mtcars))
  folder <- withr::local_tempdir()
  file.copy(c(file, paste0(file, ".objects")), folder, recursive = TRUE)
  moved <- file.path(folder, basename(file))
  expect_identical(read_artifact(moved, id, "model"), mtcars)
  expect_identical(verify_ledger(moved)$status, "ok")
})

test_that("what is wrong with a call is said", {
  file <- local_ledger()
  id <- log_run(file, list(), list(), artifacts = list(model = 1))
  expect_snapshot_conditions({
    log_run(file, list(), list(), artifacts = 1)
    log_run(file, list(), list(), artifacts = list(1))
    log_run(file, list(), list(), artifacts = list(a = "no such file"))
    log_run(file, list(), list(), artefacts = list(a = 1))
    read_artifact(file, id, "modle")
    read_artifact(file, "20261123-000000-abc", "model")
    log_artifact("log.csv", "model", 1)
  }, transform = no_ids)
})

test_that("nothing is stored for a file that is no ledger", {
  file <- withr::local_tempfile(lines = "precious")
  expect_error(log_run(file, list(), list(), artifacts = list(a = 1)), class = "fitledger_error_not_a_ledger")
  expect_false(dir.exists(paste0(file, ".objects")))
})
