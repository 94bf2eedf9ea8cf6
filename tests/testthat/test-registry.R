test_that("versions count from 1, and stages point to them", {
  file <- local_models()
  models <- read_models(file)
  expect_identical(models$model, rep("stopping", 3))
  expect_identical(models$version, 1:3)
  expect_identical(models$stages, rep(list(character()), 3))
  expect_identical(models$run_id, read_runs(file)$run_id)
  expect_identical(promote_model(file, "stopping", 2, why = "a line"), 2L)
  promote_model(file, "stopping", 2, stage = "staging")
  expect_identical(read_models(file)$stages, list(character(), c("production", "staging"), character()))
  promote_model(file, "stopping", 3)
  expect_identical(current(file), 3L)
  history <- stage_history(file, "stopping")
  expect_identical(history$change, rep("promote", 3))
  expect_identical(history$previous, c(NA, NA, 2L))
  expect_identical(history$why, c("a line", NA, NA))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("a promotion to where the stage points already changes nothing", {
  file <- local_models()
  promote_model(file, "stopping", 1)
  rows <- nrow(read_ledger(file))
  expect_identical(promote_model(file, "stopping", 1), 1L)
  expect_identical(nrow(read_ledger(file)), rows)
})

test_that("a rollback never returns to what was rolled back from", {
  file <- local_models(rep(list(dist ~ speed), 4))
  for (version in 1:2) promote_model(file, "stopping", version)
  expect_identical(rollback_model(file, "stopping", why = "bad"), 1L)
  promote_model(file, "stopping", 3)
  expect_identical(rollback_model(file, "stopping"), 1L)
  promote_model(file, "stopping", 2)
  promote_model(file, "stopping", 4)
  expect_identical(rollback_model(file, "stopping"), 1L)
  expect_error(rollback_model(file, "stopping"), "no version", class = "fitledger_error_conflict")
  expect_identical(current(file), 1L)
  history <- stage_history(file, "stopping")
  expect_identical(history$change[c(3, 5, 8)], rep("rollback", 3))
  rows <- read_ledger(file)
  promotions <- rows$seq[rows$event == "promote"]
  undone <- vapply(rows$context[rows$event == "promote"], function(json) jsonlite::fromJSON(json)$undoes %||% NA_integer_, 1L)
  expect_identical(unname(undone[c(3, 5, 8)]), as.integer(promotions[c(2, 4, 7)]))
})

test_that("a rollback passes by versions whose run is void", {
  file <- local_models(rep(list(dist ~ speed), 3))
  for (version in 1:3) promote_model(file, "stopping", version)
  void_run(file, read_models(file)$run_id[[2]], "wrong data")
  expect_identical(rollback_model(file, "stopping"), 1L)
})

test_that("void, failed and interrupted runs can't be registered or promoted", {
  file <- local_models()
  ids <- read_models(file)$run_id
  void_run(file, ids[[3]], "wrong unit")
  expect_error(promote_model(file, "stopping", 3), "declared void", class = "fitledger_error_conflict")
  expect_error(register_model(file, "stopping", ids[[3]]), "declared void", class = "fitledger_error_conflict")
  for (status in c("failed", "interrupted")) {
    run <- start_run(file)
    log_artifact(run, "model", 1)
    end_run(run, status = status)
    expect_error(register_model(file, "stopping", run$run_id), class = "fitledger_error_conflict")
  }
  expect_identical(nrow(read_models(file)), 3L)
})

test_that("a time limit that ends a gate is thrown on, and nothing is recorded", {
  file <- local_models()
  before <- bytes(file)
  gate <- function(candidate, current) {
    setTimeLimit(elapsed = 0.2, transient = TRUE)
    on.exit(setTimeLimit())
    repeat NULL
  }
  e <- expect_error(promote_model(file, "stopping", 1, gate = gate), "reached elapsed time limit")
  expect_false(inherits(e, "fitledger_error_gate"))
  # One that is reached while the model is read, too.
  limited <- errorCondition("reached elapsed time limit", class = c("fitledger_error_interrupted", "fitledger_error"))
  expect_error(
    promote_model(file, "stopping", 1, gate = function(candidate, current) stop(limited)),
    class = "fitledger_error_interrupted"
  )
  expect_identical(bytes(file), before)
})

test_that("what is registered must be stored, and whole", {
  file <- local_models(file = local_file())
  path <- withr::local_tempfile(lines = "a")
  id <- log_run(file, list(), list(), artifacts = list(model = path, object = 1:3), keep = FALSE)
  expect_error(register_model(file, "m", id), "isn't stored", class = "fitledger_error_argument")
  expect_error(register_model(file, "m", id, "none"), class = "fitledger_error_unknown")
  object <- tail(read_ledger(file)$artifacts, 1)
  sha256 <- jsonlite::fromJSON(object)$object$sha256
  stored <- file.path(paste0(file, ".objects"), substr(sha256, 1, 2), sha256)
  Sys.chmod(stored, "644")
  cat("x", file = stored, append = TRUE)
  expect_error(register_model(file, "m", id, "object"), class = "fitledger_error_artifact")
  expect_identical(nrow(read_models(file)), 3L)
})

test_that("what isn't there, or has a bad name, is refused with what to do", {
  file <- local_models()
  promote_model(file, "stopping", 1)
  id <- read_models(file)$run_id[[1]]
  expect_snapshot_conditions({
    register_model(file, "a@b", id)
    register_model(file, "", id)
    register_model(file, "m", "nope")
    promote_model(file, "stoping", 1)
    promote_model(file, "stopping", 4)
    promote_model(file, "stopping", "2")
    promote_model(file, "stopping", 2, "Production")
    promote_model(file, "stopping", 2, "In review")
    promote_model(file, "stopping", 2, "1st")
    rollback_model(file, "stopping", "PRODUCTION")
    promote_model(file, "stopping", 2, gate = 3)
    promote_model(file, "stopping", 2, expect = "1")
    promote_model(file, "stopping", 2, expects = 1)
    rollback_model(file, "stopping", "staging")
    stage_history(file, "nope")
    read_model(file, "stopping")
    read_model(file, "stopping@staging")
    read_model(file, "stopping@Production")
    read_model(file, "stopping/9")
    read_model(file, "stopping/x")
    read_model(file, 3)
    read_model(file, "stopping/1", check = TRUE)
    read_model(file, "stopping/1", check = NA)
    read_model(file, "stopping/1", TRUE)
    register_model(file, "stopping", id, signature = 1:3)
    register_model(file, "stopping", id, signature = list(speed = 1))
    register_model(file, "stopping", id, signature = "dist")
  }, transform = no_ids)
})

test_that("a promotion compares before it swaps", {
  file <- local_models()
  expect_error(promote_model(file, "stopping", 2, expect = 1), "points to no version", class = "fitledger_error_conflict")
  promote_model(file, "stopping", 1, expect = NA)
  expect_error(promote_model(file, "stopping", 2, expect = NA), "points to version 1", class = "fitledger_error_conflict")
  promote_model(file, "stopping", 2, expect = 1)
  # Somebody else is faster while the gate looks.
  gate <- function(candidate, current) {
    promote_model(file, "stopping", 1, why = "meanwhile")
    list(pass = TRUE, figures = list())
  }
  expect_error(promote_model(file, "stopping", 3, gate = gate), "points to version 1", class = "fitledger_error_conflict")
  expect_identical(current(file), 1L)
  # The candidate's run is declared void while the gate looks.
  gate <- function(candidate, current) {
    void_run(file, candidate$run_id, "meanwhile")
    list(pass = TRUE)
  }
  expect_error(promote_model(file, "stopping", 3, gate = gate), "declared void", class = "fitledger_error_conflict")
  expect_identical(current(file), 1L)
})

test_that("a gate's verdict, figures and data are on record", {
  file <- local_models()
  gate <- quiet_gate(cars, "dist", "rmse")
  promote_model(file, "stopping", 1, gate = gate)
  promote_model(file, "stopping", 2, gate = gate, why = "better")
  e <- expect_error(promote_model(file, "stopping", 1, gate = gate, why = "again"), class = "fitledger_error_refused")
  rmse <- function(version) sqrt(mean((cars$dist - predict(read_model(file, paste0("stopping/", version)), cars))^2))
  expect_equal(e$figures, list(candidate_rmse = rmse(1), current_rmse = rmse(2)))
  history <- stage_history(file, "stopping")
  expect_identical(history$change, c("promote", "promote", "refuse"))
  expect_equal(history$figures[[1]], list(candidate_rmse = rmse(1)))
  expect_equal(history$figures[[3]], e$figures)
  rows <- read_ledger(file)
  context <- jsonlite::fromJSON(tail(rows$context, 1))
  expect_identical(context$data$frozen$hash, hash_data(cars))
  expect_identical(context$gate, list(pass = FALSE))
  expect_identical(context$why, "again")
  expect_identical(current(file), 2L)
})

test_that("a gate that fails promotes nothing and is on record", {
  file <- local_models()
  for (gate in list(
    function(candidate, current) stop("no %s such {luck}"), function(candidate, current) 3,
    function(candidate, current) list(pass = NA), function(candidate, current) list(pass = TRUE, figures = list(a = "x")),
    function(candidate, current) list(pass = TRUE, figures = list(1)), function() list(pass = TRUE)
  )) {
    expect_error(promote_model(file, "stopping", 1, gate = gate), class = "fitledger_error_gate")
  }
  expect_identical(current(file), integer())
  expect_identical(stage_history(file, "stopping")$change, rep("refuse", 6))
  expect_match(read_ledger(file)$context, "no %s such {luck}", fixed = TRUE, all = FALSE)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a gate gets two models, read when it asks for them", {
  file <- local_models()
  promote_model(file, "stopping", 1)
  seen <- NULL
  promote_model(file, "stopping", 2, gate = function(candidate, current) {
    seen <<- list(candidate = candidate, current = current)
    list(pass = TRUE, figures = c(terms = length(coef(candidate$model))))
  })
  expect_identical(seen$candidate$version, 2L)
  expect_identical(seen$current$version, 1L)
  expect_identical(seen$candidate$metrics, as.list(read_runs(file)["sigma"][2, , drop = FALSE]))
  expect_output(print(seen$candidate), "stopping/2")
})

test_that("a gate that doesn't look at the current model can replace one whose bytes are gone", {
  file <- local_models(file = local_file())
  promote_model(file, "stopping", 2)
  unlink(paste0(file, ".objects"), recursive = TRUE)
  gate <- function(candidate, current) list(pass = is.character(candidate$run_id))
  expect_identical(promote_model(file, "stopping", 3, gate = gate), 3L)
  expect_error(
    promote_model(file, "stopping", 1, gate = function(candidate, current) list(pass = is.list(candidate$model))),
    class = "fitledger_error_gate"
  )
})

test_that("only an exact TRUE passes, and a gate isn't asked in vain", {
  file <- local_models()
  for (verdict in list(list(passed = TRUE), list(pass_rate_ok = TRUE), list(pass = "TRUE"), list(pass = c(TRUE, TRUE)), TRUE)) {
    expect_error(promote_model(file, "stopping", 1, gate = function(a, b) verdict), class = "fitledger_error_gate")
  }
  expect_identical(promote_model(file, "stopping", 1, gate = function(a, b) list(pass = c(ok = TRUE))), 1L)
  rows <- nrow(read_ledger(file))
  asked <- FALSE
  gate <- function(a, b) asked <<- TRUE
  expect_error(promote_model(file, "stopping", 2, expect = 3, gate = gate), class = "fitledger_error_conflict")
  expect_error(promote_model(file, "stopping", 2, expect = NA, gate = gate), class = "fitledger_error_conflict")
  expect_false(asked)
  expect_identical(nrow(read_ledger(file)), rows)
})

test_that("a verdict that can't be recorded is a gate that failed, on record", {
  file <- local_models()
  bytes <- "a\xff"
  for (figures in list(list(a = 1, a = 2), stats::setNames(list(1), bytes), stats::setNames(list(1), strrep("x", 17e6)))) {
    before <- nrow(stage_history(file, "stopping"))
    expect_error(
      promote_model(file, "stopping", 1, gate = function(a, b) list(pass = FALSE, figures = figures)),
      class = "fitledger_error_gate"
    )
    expect_identical(nrow(stage_history(file, "stopping")), before + 1L)
  }
  expect_error(promote_model(file, "stopping", 1, gate = function(a, b) stop(bytes)), class = "fitledger_error_gate")
})

test_that("a refused promotion leaves a torn tail to the next writer", {
  file <- local_models(file = local_file())
  promote_model(file, "stopping", 1)
  cat(nrow(read_ledger(file)) + 1, ",half a row", sep = "", file = file, append = TRUE)
  torn <- bytes(file)
  withr::local_dir(dirname(file))
  files <- list.files()
  expect_error(
    call_native(native_promote, append_request(file), "promote", "stopping", 2, "production", 3, NULL, NULL),
    class = "fitledger_error_conflict"
  )
  expect_identical(bytes(file), torn)
  expect_identical(list.files(), files)
  expect_error(log_run(file, list(x = strrep("x", 17e6)), list()), class = "fitledger_error_row_too_long")
  expect_identical(bytes(file), torn)
  promote_model(file, "stopping", 2)
  expect_true("recovered" %in% tail(read_ledger(file)$event, 3))
  unlink(setdiff(list.files(), files))
})

test_that("objects come back however they were compressed", {
  file <- local_ledger()
  paths <- vapply(c("gzip", "bzip2", "xz", "none"), function(how) {
    path <- withr::local_tempfile(fileext = ".rds", .local_envir = parent.frame(2))
    saveRDS(cars, path, compress = if (how == "none") FALSE else how)
    path
  }, "")
  id <- log_run(file, list(), list(), artifacts = as.list(paths))
  for (how in names(paths)) {
    register_model(file, how, id, how)
    expect_identical(read_model(file, paste0(how, "/1")), cars)
  }
  odd <- withr::local_tempfile(fileext = ".RDS", lines = "not an object")
  archive <- withr::local_tempfile(fileext = ".tar", lines = "not an archive")
  id <- log_run(file, list(), list(), artifacts = list(odd = odd, archive = archive))
  expect_error(read_artifact(file, id, "odd"), "can't be unpacked as an object", class = "fitledger_error_artifact")
  expect_identical(readLines(artifact_path(file, id, "archive")), "not an archive")
})

test_that("rows that other writers may write, and that change nothing, are reported", {
  file <- local_models(file = local_file())
  promote_model(file, "stopping", 1)
  promote_model(file, "stopping", 2)
  rollback_model(file, "stopping")
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
  # A promotion of a run that isn't there, as text of a ledger that goes on by hand.
  rows <- readLines(file)
  row <- function(seq, event, run, context) {
    body <- paste(c(seq, "2026-11-23T04:20:47.000000Z", event, run, "", "", if (event == "register") "\"{\"\"m\"\":{\"\"sha256\"\":\"\"x\"\"}}\"" else "", paste0("\"", gsub("\"", "\"\"", context), "\"")), collapse = ",")
    input <- withr::local_tempfile()
    previous <- rows[[length(rows)]]
    writeBin(charToRaw(paste0(substr(previous, nchar(previous) - 63, nchar(previous)), body)), input)
    rows <<- c(rows, paste0(body, ",", substr(system2("sha256sum", input, stdout = TRUE), 1, 64)))
  }
  skip_on_os("windows")
  seq <- length(rows)
  id <- read_models(file)$run_id[[2]]
  row(seq, "register", "20991231-235959-nosuchrun000", "{\"session\":\"x\",\"model\":\"ghost\",\"version\":1}")
  row(seq + 1, "register", id, "{\"session\":\"x\",\"model\":\"a@b\",\"version\":1}")
  row(seq + 2, "promote", id, "{\"session\":\"x\",\"model\":\"stopping\",\"version\":2,\"stage\":\"PROD\",\"previous\":null}")
  row(seq + 3, "promote", id, "{\"session\":\"x\",\"model\":\"stopping\",\"version\":2,\"stage\":\"production\",\"previous\":1,\"undoes\":3}")
  writeLines(rows, file)
  checked <- verify_ledger(file)
  expect_identical(checked$status, "ok")
  expect_identical(checked$problems$row, seq + c(0, 1, 2, 3))
  expect_identical(unique(read_models(file)$model), "stopping")
  expect_identical(current(file), 1L)
})

test_that("gate_better() wants a prediction for each row", {
  gate <- quiet_gate(cars, "dist", predict = function(model, data) 1:25)
  expect_error(gate(list(model = 1, name = "m", version = 1), NULL), "25 predictions for 50 rows")
  two <- structure(list(), class = "fitledger_two")
  registerS3method("predict", "fitledger_two", function(object, newdata, ...) cbind(a = newdata[[1]], b = 1), envir = asNamespace("stats"))
  expect_error(quiet_gate(cars, "dist")(list(model = two, name = "m", version = 1), NULL), "100 predictions")
})

test_that("gate_better() compares by the metric, in its direction", {
  half <- list(model = structure(list(p = 0.5), class = "fitledger_constant"), name = "m", version = 1)
  one <- list(model = structure(list(p = 1), class = "fitledger_constant"), name = "m", version = 2)
  constant <- function(model, data) rep(model$p, nrow(data))
  data <- data.frame(y = c(1, 1, 1, 0))
  gate <- function(...) quiet_gate(data, "y", ..., predict = constant)
  expect_true(gate("rmse")(half, NULL)$pass)
  expect_false(gate("rmse")(half, half)$pass)
  expect_true(gate("mae")(one, half)$pass)
  expect_false(gate("mae", by = 0.5)(one, half)$pass)
  expect_true(gate("accuracy", by = 0.75)(one, half)$pass)
  expect_false(gate("accuracy")(half, one)$pass)
  expect_true(gate(function(truth, predicted) sum(predicted), maximize = TRUE)(one, half)$pass)
  expect_identical(names(gate("rsq")(one, half)$figures), c("candidate_rsq", "current_rsq"))
  expect_error(gate(function(truth, predicted) NA_real_)(one, half), "not a number")
  matrix <- as.matrix(cars)
  by_matrix <- quiet_gate(matrix, matrix[, "dist"], predict = function(model, data) data[, "speed"])
  expect_true(by_matrix(one, NULL)$pass)
  expect_error(quiet_gate(data, "z"), class = "fitledger_error_unknown")
  expect_error(quiet_gate(data, "y", "auc"), class = "fitledger_error_argument")
  expect_error(quiet_gate(data[0, , drop = FALSE], "y"), class = "fitledger_error_argument")
  expect_error(quiet_gate(data, "y", by = -1), class = "fitledger_error_argument")
})

test_that("what is frozen stays so where predictions change it in place", {
  skip_if_not_installed("data.table")
  for (as in list(data.table::as.data.table, identity)) {
    sales <- as(data.frame(x = c(1, 2, 3), y = c(3, 1, 2)))
    frozen <- hash_data(sales)
    gate <- quiet_gate(sales, "y", predict = function(model, data) {
      data.table::setDT(data)
      data.table::set(data, j = "y", value = data$y + model$shift)
      predicted <- data$y + 0
      data.table::setorderv(data, "x", -1L)
      predicted
    })
    data.table::setorderv(sales, "y")
    for (i in 1:2) {
      verdict <- gate(list(model = list(shift = 1)), list(model = list(shift = 2)))
      expect_identical(verdict$figures, list(candidate_rmse = 1, current_rmse = 2))
      expect_identical(hash_data(verdict$data$frozen), frozen)
    }
  }
})

test_that("a gate that changes the working folder decides on the ledger that was named", {
  skip_unless_file()
  withr::local_dir(withr::local_tempdir())
  id <- log_run("log.csv", list(), list(m = 1), artifacts = list(model = 1))
  for (i in 1:2) register_model("log.csv", "m", id)
  # A copy of the project, where a file of the same name is.
  dir.create("other")
  file.copy(c("log.csv", "log.csv.objects"), "other", recursive = TRUE)
  here <- getwd()
  moves <- function(pass) {
    function(candidate, current) {
      setwd("other")
      list(pass = pass && candidate$model == 1)
    }
  }
  promote_model("log.csv", "m", 1, gate = moves(TRUE))
  setwd(here)
  expect_error(promote_model("log.csv", "m", 2, gate = moves(FALSE)), class = "fitledger_error_refused")
  setwd(here)
  expect_identical(stage_history("log.csv", "m")$change, c("promote", "refuse"))
  expect_identical(nrow(stage_history("other/log.csv", "m")), 0L)
})

test_that("gates measure 64-bit integers and time series as numbers", {
  skip_if_not_installed("bit64")
  truth <- c(10, 20, 30, 40)
  model <- function(...) list(model = list(...))
  near <- model(truth + 0.1)
  far <- model(truth + 0.9)
  kinds <- list(
    bit64::as.integer64(truth), stats::ts(truth, start = 2000), stats::ts(as.integer(truth), start = 1990, frequency = 12), as.integer(truth)
  )
  for (outcome in kinds) {
    for (metric in c("rmse", "mae", "rsq")) {
      gate <- quiet_gate(data.frame(row = 1:4), outcome, metric, predict = function(model, data) model[[1]])
      expected <- quiet_gate(data.frame(row = 1:4), truth, metric, predict = function(model, data) model[[1]])
      expect_equal(gate(near, far), expected(near, far))
      expect_true(gate(near, far)$pass)
      # The same of what is predicted.
      expect_false(gate(model(outcome), model(stats::ts(truth, start = 2001)))$pass)
    }
  }
  # Of integers that no double is equal to, too.
  classes <- bit64::as.integer64(2)^53 + 0:3
  gate <- quiet_gate(data.frame(row = 1:4), classes, "accuracy", predict = function(model, data) model[[1]])
  expect_identical(gate(model(classes), NULL)$figures[[1]], 1)
  expect_identical(gate(model(classes + 1L), NULL)$figures[[1]], 0)
  # As it is read by a session that has no bit64 yet.
  path <- withr::local_tempfile()
  saveRDS(data.frame(y = bit64::as.integer64(truth)), path)
  script <- withr::local_tempfile(fileext = ".R", lines = c(
    "library(fitledger)",
    paste0("gate <- gate_better(readRDS(", deparse1(path), "), 'y', predict = function(model, data) model)"),
    "cat(suppressMessages(gate(list(model = c(10, 20, 30, 41)), NULL))$figures[[1]])"
  ))
  expect_identical(run_script(script), "0.5")
  # A frozen set of one row has names of columns as well.
  gate <- quiet_gate(data.frame(row = 1, y = "a"), "y", "accuracy", predict = function(model, data) model[[1]])
  expect_identical(gate(model("a"), NULL)$figures[[1]], 1)
  gate <- quiet_gate(data.frame(row = 1), "y", "accuracy", predict = function(model, data) model[[1]])
  expect_identical(gate(model("y"), NULL)$figures[[1]], 1)
  # Two that are infinitely far off are equal.
  gate <- quiet_gate(data.frame(row = 1:4), truth, predict = function(model, data) model[[1]])
  expect_false(gate(model(truth + Inf), model(truth - Inf))$pass)
})

test_that("gates take the predictions of common learners", {
  for (package in c("ranger", "rpart", "randomForest", "glmnet")) skip_if_not_installed(package)
  file <- local_ledger()
  x <- as.matrix(mtcars[-1])
  fits <- list(
    lm(mpg ~ wt, mtcars), rpart::rpart(mpg ~ ., mtcars), ranger::ranger(mpg ~ ., mtcars, num.trees = 50, seed = 1),
    randomForest::randomForest(mpg ~ ., mtcars, ntree = 20)
  )
  gate <- quiet_gate(mtcars, "mpg")
  for (fit in fits) {
    expect_type(gate(list(model = fit), NULL)$figures$candidate_rmse, "double")
  }
  lasso <- glmnet::glmnet(x, mtcars$mpg, lambda = 0.1)
  expect_type(quiet_gate(x, mtcars$mpg)(list(model = lasso), NULL)$figures$candidate_rmse, "double")
})

# Versions of a model whose data changed: in the second one `size` has become text.
local_schemas <- function(env = parent.frame()) {
  file <- local_ledger(env)
  sales <- data.frame(price = c(1, 2, 3, 5), size = c(10, 20, 30, 50), place = c("a", "b", "a", "b"))
  text <- transform(sales, size = as.character(size))
  for (data in list(sales, text)) {
    fit <- lm(price ~ size, data)
    id <- log_run(file, list(), list(), artifacts = list(model = fit))
    register_model(file, "price", id, signature = data)
  }
  list(file = file, sales = sales, text = text)
}

test_that("a gate gives no verdict on data that aren't both models'", {
  schemas <- local_schemas()
  file <- schemas$file
  promote_model(file, "price", 1, gate = gate_better(schemas$sales, "price"))
  rows <- nrow(read_ledger(file))
  for (data in schemas[c("sales", "text")]) {
    e <- expect_error(promote_model(file, "price", 2, gate = gate_better(data, "price"), why = "new"), class = "fitledger_error_gate")
    expect_s3_class(e$parent, "fitledger_error_signature")
    expect_identical(current(file, name = "price"), 1L)
    rows <- rows + 1L
    expect_identical(nrow(read_ledger(file)), rows)
  }
  history <- stage_history(file, "price")
  expect_identical(history$change, c("promote", "refuse", "refuse"))
  expect_length(history$figures[[2]], 0)
  expect_match(tail(read_ledger(file)$context, 1), "`size` is character, not double", fixed = TRUE)
  # Whose data they don't fit is said, and a change that is meant is promoted without a gate.
  expect_snapshot_conditions({
    promote_model(file, "price", 2, gate = gate_better(schemas$sales, "price"))
    promote_model(file, "price", 2, gate = gate_better(schemas$text, "price"))
    promote_model(file, "price", 2, gate = gate_better(schemas$text["price"], "price"))
    promote_model(file, "price", 2, gate = NULL, why = "sizes are classes now")
  })
  expect_identical(current(file, name = "price"), 2L)
  # A matrix of numbers is read as its columns.
  x <- as.matrix(schemas$sales[1:2])
  e <- expect_error(promote_model(file, "price", 1, gate = gate_better(x, "price")), class = "fitledger_error_gate")
  expect_match(conditionMessage(e$parent), "no column `place`")
})

test_that("without a signature gate_better() says that it could not check", {
  file <- local_models(rep(list(dist ~ speed), 2))
  gate <- gate_better(cars, "dist")
  promote_model(file, "stopping", 1)
  sparse <- structure(list(), class = "fitledger_sparse")
  registerS3method("dim", "fitledger_sparse", function(x) c(2L, 1L), envir = baseenv())
  conditions <- conditions_of(quote(promote_model(file, "stopping", 2, gate = gate)), environment())
  expect_s3_class(conditions[[1]], "fitledger_message_unchecked")
  expect_match(conditionMessage(conditions[[1]]), "`stopping/2` and `stopping/1` have no signature", fixed = TRUE)
  model <- list(model = lm(dist ~ speed, cars), signature = signature_of(cars["speed"]))
  expect_no_message(gate(model, NULL))
  expect_message(gate(model["model"], NULL), "The candidate model has no signature", class = "fitledger_message_unchecked")
  other <- gate_better(sparse, c(1, 2), predict = function(model, data) c(1, 2))
  expect_message(other(model, model), "no data frame", class = "fitledger_message_unchecked")
})

test_that("what a model predicts is left out of its signature where that is known", {
  file <- local_ledger()
  columns <- function(version) names(read_model(file, paste0("m/", version), check = TRUE)$signature$columns)
  fits <- list(
    lm(dist ~ speed, cars), lm(log(dist) ~ speed, cars), lm(cbind(dist, speed) ~ 1, cars), lm(dist ~ dist + speed, cars) |> suppressWarnings(),
    list(a = 1)
  )
  expected <- list("speed", "speed", character(), c("speed", "dist"), c("speed", "dist"))
  for (i in seq_along(fits)) {
    id <- log_run(file, list(), list(), artifacts = list(model = fits[[i]]))
    register_model(file, "m", id, signature = head(cars))
    expect_identical(columns(i), expected[[i]], info = i)
  }
  # As a call was typed, and where the formula is in a variable.
  skip_if_not_installed("ranger")
  formula <- dist ~ speed
  log_call(file, ranger::ranger(dist ~ ., data = cars, num.trees = 2), artifact = "model")
  expect_identical(register_model(file, "m", last_run_id(file), signature = cars), 6L)
  log_call(file, ranger::ranger(formula, data = cars, num.trees = 2), artifact = "model")
  expect_identical(register_model(file, "m", last_run_id(file), signature = cars), 7L)
  expect_identical(columns(6), "speed")
  expect_identical(columns(7), "speed")
})

test_that("a version whose run nobody should rest on says so when it is read", {
  file <- local_models()
  promote_model(file, "stopping", 2)
  expect_no_warning(read_model(file, "stopping@production"))
  id <- read_models(file)$run_id[[2]]
  void_run(file, id, "leakage")
  expect_warning(model <- read_model(file, "stopping@production"), "was declared void", class = "fitledger_warning_unfit")
  expect_s3_class(model, "lm")
  expect_warning(read_model(file, "stopping/2"), id, class = "fitledger_warning_unfit")
  promote <- quote(promote_model(file, "stopping", 3, gate = quiet_gate(cars, "dist", maximize = TRUE)))
  expect_s3_class(conditions_of(promote, environment())[[1]], "fitledger_warning_unfit")
  restore_run(file, id, "there was none")
  expect_no_warning(read_model(file, "stopping/2"))
  run <- start_run(file)
  log_artifact(run, "model", 1)
  register_model(file, "early", run$run_id)
  end_run(run, status = "failed")
  expect_warning(read_model(file, "early/1"), "has failed", class = "fitledger_warning_unfit")
})

test_that("an object that can't come back is not registered", {
  skip_if_not_installed("xml2")
  file <- local_ledger()
  model <- list(booster = getExportedValue("xml2", "read_xml")("<a/>"))
  expect_warning(id <- log_run(file, list(), list(), artifacts = list(model = model)), class = "fitledger_warning_pointers")
  expect_error(register_model(file, "m", id), "held external pointers", class = "fitledger_error_argument")
  expect_identical(nrow(read_models(file)), 0L)
  expect_match(tail(read_ledger(file)$artifacts, 1), "\"pointers\":true", fixed = TRUE)
  expect_identical(verify_ledger(file)$status, "ok")
  expect_match(paste(readLines(view_runs(file, open = FALSE)), collapse = ""), "\"pointers\":true", fixed = TRUE)
  # A model that was fitted beside one is whole.
  fit_beside <- function() {
    connection <- model$booster
    lm(dist ~ speed, cars)
  }
  expect_no_warning(id <- log_run(file, list(), list(), artifacts = list(model = fit_beside())))
  expect_identical(register_model(file, "m", id), 1L)
})

test_that("of many columns that don't fit the first are named", {
  wide <- as.data.frame(matrix(1, 2, 70))
  signature <- signature_of(wide)
  e <- expect_error(check_signature(signature, data.frame(a = 1)), class = "fitledger_error_signature")
  lines <- strsplit(conditionMessage(e), "\n")[[1]]
  expect_length(lines, 7)
  expect_match(lines[6:7], c("There is no column `V5`.|And 65 columns more."))
  e <- expect_error(check_signature(signature_of(wide[1:6]), data.frame(a = 1)), class = "fitledger_error_signature")
  expect_match(conditionMessage(e), "And 1 column more", fixed = TRUE)
  e <- expect_error(check_signature(signature_of(wide[1:5]), data.frame(a = 1)), class = "fitledger_error_signature")
  expect_no_match(conditionMessage(e), "more")
})

test_that("a model comes back as it was, and only if it is", {
  file <- local_models(file = local_file())
  promote_model(file, "stopping", 2)
  model <- read_model(file, "stopping@production")
  expect_identical(coef(model), coef(lm(dist ~ speed, cars)))
  expect_identical(coef(read_model(file, "stopping/2")), coef(model))
  sha256 <- read_models(file)$sha256
  path <- file.path(paste0(file, ".objects"), substr(sha256, 1, 2), sha256)
  whole <- readBin(path[[2]], "raw", 1e6)
  skip_on_os("windows")
  Sys.chmod(path, "644")
  damage <- list(
    changed = function() writeBin(replace(whole, 20, as.raw(bitwXor(as.integer(whole[[20]]), 1L))), path[[2]]),
    truncated = function() writeBin(head(whole, -1), path[[2]]),
    swapped = function() file.copy(path[[3]], path[[2]], overwrite = TRUE),
    missing = function() unlink(path[[2]]),
    linked = function() {
      unlink(path[[2]])
      file.symlink(path[[3]], path[[2]])
    }
  )
  for (kind in names(damage)) {
    damage[[kind]]()
    expect_error(read_model(file, "stopping@production"), "`stopping/2` is not what was recorded", class = "fitledger_error_artifact", label = kind)
    expect_match(verify_ledger(file)$problems$problem, "stored bytes", all = FALSE, label = kind)
    nodes <- trace_lineage(file, "stopping@production")$nodes
    expect_false(is.na(nodes$problem[nodes$id == paste0("sha256:", sha256[[2]])]), label = kind)
    unlink(path[[2]])
    writeBin(whole, path[[2]])
  }
  expect_identical(coef(read_model(file, "stopping/2")), coef(model))
})

test_that("files and folders can be models", {
  file <- local_ledger()
  folder <- withr::local_tempdir()
  writeLines("weights", file.path(folder, "w.txt"))
  path <- withr::local_tempfile(fileext = ".onnx", lines = "net")
  id <- log_run(file, list(), list(), artifacts = list(folder = folder, file = path))
  register_model(file, "net", id, "folder")
  register_model(file, "net", id, "file")
  expect_identical(readLines(file.path(read_model(file, "net/1"), "w.txt")), "weights")
  expect_identical(readLines(read_model(file, "net/2")), "net")
})

test_that("predict() checks new data against the signature", {
  data <- data.frame(
    x = c(1.5, 2), n = 1:2, f = factor(c("a", "b")), s = c("u", "v"), d = as.Date("2026-11-23") + 0:1, y = c(1, 2)
  )
  file <- local_ledger()
  fit <- lm(y ~ 1, data)
  id <- log_run(file, list(), list(), artifacts = list(model = fit))
  register_model(file, "m", id, signature = data[-6])
  model <- read_model(file, "m/1", check = TRUE)
  expect_identical(predict(model, data), predict(fit, data))
  expect_identical(predict(model), predict(fit))
  fine <- transform(data, f = as.character(f), x = 1:2, extra = 1, y = NULL)
  expect_identical(predict(model, fine), predict(fit, fine))
  expect_identical(predict(model, transform(data, f = factor(c("a", NA)))), predict(fit, data))
  expect_identical(predict(model, transform(data, n = c(3, NA), s = NA)), predict(fit, data))
  twice <- stats::setNames(data.frame(1, "x", 2), c("a", "a", ""))
  register_model(file, "twice", id, signature = twice)
  expect_identical(predict(read_model(file, "twice/1", check = TRUE), twice), predict(fit, twice))
  wrong <- data.frame(x = c("1", "2"), n = c(1.5, 2), f = c("a", "z%s{}"), s = c(1, 2))
  expect_snapshot_conditions({
    predict(model, wrong)
    predict(model, 1:3)
  })
  expect_snapshot(print(model), transform = no_ids)
})

test_that("the golden ledger's stages fold as its description says", {
  models <- read_models(golden())
  expect_identical(models$version, 1:2)
  expect_identical(models$stages, list("production", character()))
  history <- stage_history(golden(), "ames_price_model")
  expect_identical(history$change, c("promote", "promote", "rollback"))
  expect_identical(history$version, c(1L, 2L, 1L))
  expect_identical(history$figures[[2]], list(frozen_rmse = 1.97))
})

test_that("hostile names, reasons and figures stay text", {
  file <- local_ledger()
  id <- log_run(file, list(), list(), artifacts = list("mo\"del,\n%s" = 1))
  names <- c("=cmd|' C calc'!A0", "%s%n", "{cli::bg_red('x')}", "\u202eabc", "a,b\"c", "<script>", strrep("\u4e2d", 200))
  for (name in names) {
    expect_identical(register_model(file, name, id, "mo\"del,\n%s"), 1L)
    expect_identical(promote_model(file, name, 1, why = "{x} %s \033[31m\n<b>", gate = function(candidate, current) {
      list(pass = TRUE, figures = list("=1+1 %n" = 2))
    }), 1L)
    expect_identical(read_model(file, paste0(name, "@production")), 1)
    expect_identical(stage_history(file, name)$why, "{x} %s \033[31m\n<b>")
    expect_output(print(trace_lineage(file, paste0(name, "/1"))), "made by")
  }
  expect_identical(read_models(file)$model, names)
  expect_identical(verify_ledger(file)$status, "ok")
  for (bad in c("a/b", "a@b", "a\nb", strrep("x", 201))) {
    expect_error(register_model(file, bad, id, "mo\"del,\n%s"), class = "fitledger_error_argument")
  }
})

test_that("what a process knows of the registry is the file's", {
  file <- local_models(file = local_file())
  other <- local_models(list(dist ~ 1), name = "other", file = local_file())
  expect_identical(nrow(read_models(file)), 3L)
  file.copy(other, file, overwrite = TRUE)
  expect_identical(read_models(file)$model, "other")
  unlink(file)
  expect_error(read_models(file), class = "fitledger_error_not_found")
  id <- log_run(file, list(), list(), artifacts = list(model = 1))
  expect_identical(nrow(read_models(file)), 0L)
  expect_identical(register_model(file, "new", id), 1L)
  # A cut at the end, and a row by another process.
  rows <- readLines(file)
  writeLines(head(rows, -1), file)
  expect_identical(nrow(read_models(file)), 0L)
  run_apart(c("library(fitledger)", sprintf("register_model(%s, 'apart', %s)", code_of(file), deparse(id)), "cat('done\\n')"))
  expect_identical(read_models(file)$model, "apart")
})

test_that("of sixteen promotions at once one wins", {
  skip_on_cran()
  file <- local_models(rep(list(dist ~ speed), 17))
  promote_model(file, "stopping", 17)
  # Each has seen version 17 when its gate is asked, and none goes on before all have.
  ready <- withr::local_tempdir()
  code <- c(
    "library(fitledger)",
    "version <- as.integer(commandArgs(TRUE))",
    "gate <- function(candidate, current) {",
    sprintf("  file.create(file.path(%s, version))", deparse(ready)),
    sprintf("  while (dir.exists(%1$s) && length(list.files(%1$s)) < 16) Sys.sleep(0.002)", deparse(ready)),
    "  list(pass = current$version == 17)",
    "}",
    sprintf("result <- tryCatch({ promote_model(%s, 'stopping', version, gate = gate); 'won' }, fitledger_error_conflict = function(e) 'lost')", code_of(file)),
    "cat(result, '\\n'); cat('done\\n')"
  )
  output <- run_apart(code, times = 16)
  results <- vapply(output, function(lines) trimws(lines[[length(lines) - 1]]), "")
  expect_identical(sort(results), c(rep("lost", 15), "won"))
  expect_identical(current(file), which(results == "won"))
  checked <- verify_ledger(file)
  expect_identical(checked$status, "ok")
  expect_identical(nrow(checked$problems), 0L)
})

test_that("processes that are killed while they promote leave a whole registry", {
  skip_on_cran()
  skip_on_os("windows")
  file <- local_models(rep(list(dist ~ speed), 5))
  promote_model(file, "stopping", 1)
  script <- withr::local_tempfile(fileext = ".R", lines = c(
    "library(fitledger)",
    "repeat tryCatch({",
    sprintf("  version <- promote_model(%s, 'stopping', sample(5, 1))", code_of(file)),
    sprintf("  if (runif(1) < 0.3) rollback_model(%s, 'stopping')", code_of(file)),
    "}, fitledger_error_conflict = function(e) NULL)"
  ))
  rscript <- file.path(R.home("bin"), "Rscript")
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = ":"))
  start <- function() as.integer(system(paste(shQuote(rscript), "--vanilla", shQuote(script), ">/dev/null 2>&1 & echo $!"), intern = TRUE))
  set.seed(NULL)
  for (round in 1:3) {
    processes <- replicate(4, start())
    promotions <- function() nrow(stage_history(file, "stopping"))
    before <- promotions()
    wait_until(promotions() >= before + 20, "twenty promotions")
    for (process in sample(processes)) {
      before <- promotions()
      more <- stats::rgeom(1, 0.2)
      wait_until(promotions() >= before + more, paste(more, "promotions more"))
      tools::pskill(process, tools::SIGKILL)
    }
  }
  # The next writer sets aside what a killed one may have left unfinished. A database may still be at what a killed client has
  # asked of it, which then comes between the look and the promotion; after that no promotion drafted before is taken.
  promoted <- function(version) {
    tryCatch(promote_model(file, "stopping", version), fitledger_error_conflict = function(e) FALSE)
    identical(current(file), version)
  }
  wait_until(promoted(2L), "a promotion that nothing comes between")
  promote_model(file, "stopping", 3)
  checked <- verify_ledger(file)
  expect_identical(checked$status, "ok")
  expect_identical(nrow(checked$problems), 0L)
  history <- stage_history(file, "stopping")
  expect_identical(history$previous[-1], head(history$version, -1))
  expect_identical(current(file), 3L)
})

test_that("a model predicts in a session that has loaded nothing for it", {
  skip_on_cran()
  skip_if_not_installed("ranger")
  file <- local_ledger()
  log_call(file, ranger::ranger(dist ~ speed, cars, num.trees = 5), artifact = "model")
  register_model(file, "forest", last_run_id(file))
  script <- withr::local_tempfile(lines = c(
    "library(fitledger)",
    paste0("model <- read_model(", code_of(file), ", 'forest/1')"),
    "cat('predictions:', length(predict(model, cars[1:3, ])$predictions))"
  ))
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  said <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)), stdout = TRUE, stderr = TRUE)
  expect_true("predictions: 3" %in% said, info = said)
})

test_that("a gate counts classes as the same whatever says them", {
  codes <- c(100000L, 200000L, 3L)
  texts <- c("1e+05", "200000", "3.0")
  for (options in list(list(), list(scipen = -5), list(scipen = 100, OutDec = ","))) {
    withr::local_options(options)
    ways <- list(codes, as.numeric(codes), factor(codes, levels = codes), c("100000", "200000", "3"))
    for (truth in ways) {
      for (predicted in ways) {
        expect_true(all(is_same_class(truth, predicted)))
        expect_identical(is_same_class(truth, predicted[c(1, 1, 1)]), c(TRUE, FALSE, FALSE))
      }
    }
    for (numbers in ways[1:2]) {
      expect_identical(is_same_class(numbers, texts), c(TRUE, TRUE, TRUE))
      expect_identical(is_same_class(factor(texts), numbers), c(TRUE, TRUE, TRUE))
    }
    # Fractions, of which a text has fewer digits.
    expect_identical(is_same_class(c(0.1 + 0.2, 2.5), c("0.3", "2.5")), c(TRUE, TRUE))
  }
  yes <- c(TRUE, FALSE, TRUE)
  for (said in list(c(1, 0, 1), c(1L, 0L, 1L), c("TRUE", "FALSE", "TRUE"), c("1", "0", "1"), factor(c(TRUE, FALSE, TRUE)), yes)) {
    expect_identical(is_same_class(yes, said), c(TRUE, TRUE, TRUE))
    expect_identical(is_same_class(rev(said), !yes), c(FALSE, FALSE, FALSE))
  }
  missing <- c(1, NA, 1)
  for (said in list(c(1, 1, NA), c("1", "NA", NA), factor(c("1", "NA", NA)), c(TRUE, TRUE, NA))) {
    expect_identical(is_same_class(missing, said), c(TRUE, NA, NA))
    expect_identical(is_same_class(said, missing), c(TRUE, NA, NA))
  }
  expect_identical(is_same_class(c("a", "b"), factor(c("a", "c"))), c(TRUE, FALSE))
})

test_that("what a stored signature says is no command to a terminal", {
  file <- local_file()
  hostile <- "x\033]0;title\a"
  id <- log_run(file, list(), list(m = 1), artifacts = list(model = lm(dist ~ speed, cars)))
  register_model(file, "m", last_run_id(file), signature = stats::setNames(data.frame(1, 2), c(hostile, "ok")))
  promote_model(file, "m", 1)
  error <- expect_error(predict(read_model(file, "m@production", check = TRUE), data.frame(ok = 1)), class = "fitledger_error_signature")
  expect_no_match(conditionMessage(error), "[\001-\010\013-\037]")
})
