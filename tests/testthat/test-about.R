test_that("name, experiment and parent are on record, queried and compared", {
  file <- local_ledger()
  a <- log_run(file, list(k = 1), list(rmse = 3), name = "first try", experiment = "ames")
  b <- log_run(file, list(k = 2), list(rmse = 2), parent = a)
  run <- start_run(file, list(k = 3), name = "live", experiment = "ames", parent = read_runs(file, where = k == 1))
  end_run(run, list(rmse = 1))
  fit <- log_call(file, lm(dist ~ speed, data = cars), name = "called", experiment = "cars", parent = run)

  runs <- read_runs(file, columns = c("name", "experiment", "parent"))
  expect_identical(runs$name, c("first try", NA, "live", "called"))
  expect_identical(runs$experiment, c("ames", NA, "ames", "cars"))
  expect_identical(runs$parent, c(NA, a, a, run$run_id))
  expect_identical(best_run(file, "rmse", where = is.na(parent))$run_id, a)
  expect_identical(nrow(read_runs(file, where = experiment == "ames")), 2L)
  expect_identical(read_run(file, a)$children, c(b, run$run_id))

  compared <- compare_runs(file, c(a, b))
  expect_identical(compared$field[compared$kind == "run"], c("name", "experiment", "parent"))
  edges <- as.data.frame(trace_lineage(file, b))
  expect_true(any(edges$from == b & edges$relation == "is part of" & edges$to == a))
  expect_true(b %in% as.data.frame(trace_lineage(file, a, direction = "down"))$from)
})

test_that("within with_run() every run of the ledger is a child", {
  file <- local_ledger()
  other <- local_ledger()
  outer <- NULL
  with_run(file, list(level = 0), name = "outer", function(run) {
    outer <<- run$run_id
    log_run(file, list(level = 1), list())
    log_runs(file, data.frame(level = c(1, 1)), "level", character())
    start_run(file, list(level = 1))
    log_call(file, lm(dist ~ speed, data = cars))
    with_run(file, list(level = 1), function(inner) {
      log_run(file, list(level = 2), list())
      log_run(file, list(level = -1), list(), parent = NA)
    })
    log_run(other, list(level = 1), list())
    try(with_run(file, list(level = 1), function(inner) stop("no")), silent = TRUE)
    log_run(file, list(level = 1), list())
  })
  log_run(file, list(level = 0), list())
  runs <- read_runs(file, columns = c("level", "parent"))
  # log_call() has no level.
  direct <- is.na(runs$level) | runs$level == 1
  expect_identical(unique(runs$parent[direct]), outer)
  expect_identical(runs$parent[which(runs$level == 2)], runs$run_id[which(runs$level == 2) - 1L])
  expect_identical(runs$parent[runs$level %in% c(0, -1)], rep(NA_character_, 3))
  expect_identical(read_runs(other, columns = "parent")$parent, NA_character_)
})

test_that("log_runs() takes one for all, or a column", {
  file <- local_ledger()
  outer <- log_run(file, list(), list())
  grid <- data.frame(k = 1:3, m = 3:1, fold = factor(c("a", "b", NA)), s = c(1, NA, 3), of = c(outer, NA, outer))
  log_runs(
    file, grid, "k", "m",
    name = I("fold"), experiment = "grid", parent = I("of"), seed = I("s"), tags = list(by = "ann", fold = I("fold"))
  )
  runs <- read_runs(file, where = !is.na(k), details = TRUE)
  expect_identical(runs$name, c("a", "b", NA))
  expect_identical(runs$experiment, rep("grid", 3))
  expect_identical(runs$parent, c(outer, NA, outer))
  expect_identical(runs$seed, c(1L, NA, 3L))
  expect_identical(runs$tags.by, rep("ann", 3))
  expect_identical(runs$tags.fold, c("a", "b", NA))
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("an option names the experiment of a script", {
  file <- local_ledger()
  withr::local_options(fitledger.experiment = "from the option")
  log_run(file, list(), list())
  log_run(file, list(), list(), experiment = "from the call")
  log_runs(file, data.frame(k = 1), "k", character())
  expect_identical(read_runs(file, columns = "experiment")$experiment, c("from the option", "from the call", "from the option"))
})

test_that("what can't be is refused before anything is written", {
  file <- local_ledger()
  id <- log_run(file, list(), list())
  before <- bytes(file)
  expect_snapshot_conditions({
    log_run(file, list(), list(), name = 5)
    log_run(file, list(), list(), name = " ")
    log_run(file, list(), list(), experiment = c("a", "b"))
    log_run(file, list(), list(), parent = "nobody")
    log_run(file, list(), list(), parent = read_runs(file, where = FALSE))
    log_runs(file, data.frame(k = 1), "k", character(), name = I("x"))
    log_runs(file, data.frame(k = 1), "k", character(), seed = I("k"), name = I("k"))
    start_run(file, resume = id, name = "new")
  }, transform = no_ids)
  expect_identical(bytes(file), before)
})

test_that("a parent that hasn't begun is reported and ignored", {
  file <- local_file()
  a <- log_run(file, list(), list())
  log_run(file, list(), list(), parent = a)
  # In the row of the child alone.
  forged <- replaced(bytes(file), paste0("\"\"parent\"\":\"\"", a), "\"\"parent\"\":\"\"20260101-000000-aaaaaaaaaaaa")
  writeBin(resealed(forged), file)
  expect_identical(read_runs(file, columns = "parent")$parent, c(NA_character_, NA_character_))
  problems <- verify_ledger(file)$problems
  expect_match(problems$problem, "its parent has not begun, and is ignored", all = FALSE)
})
