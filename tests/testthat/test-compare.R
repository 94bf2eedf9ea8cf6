test_that("what differs, in 80 columns", {
  file <- local_ledger()
  withr::local_options(width = 80, fitledger.context = "packages")
  before <- transform(cars, dist = as.integer(dist))
  a <- log_run(
    file, list(model = "ridge", lambda = 0.1, same = 1, k = 5L, terms = c("a", "b")), list(rmse = 1.25),
    data = list(train = before), seed = 1, tags = list(by = "ann")
  )
  b <- log_run(
    file, list(model = "ridge", lambda = 1, same = 1, k = 5, note = strrep("long ", 30)), list(rmse = 1 / 3),
    data = list(train = cars, test = cars[1:5, ]), tags = list(by = "bob")
  )
  compared <- compare_runs(file, c(a, b))
  expect_identical(names(compared), c("kind", "field", a, b))
  expect_snapshot(print(compared), transform = no_ids)
  expect_true(all(nchar(utils::capture.output(print(compared))) <= 80))
  expect_identical(compared[[b]][compared$field == "rmse"], "0.3333333333333333")
  # An integer isn't the double of the same value.
  expect_identical(unlist(compared[compared$field == "k", 3:4], use.names = FALSE), c("5", "5.0"))
  expect_false("same" %in% compared$field)
  expect_true("same" %in% compare_runs(file, c(a, b), only_different = FALSE)$field)
})

test_that("many runs fold into blocks, equal ones differ in nothing", {
  file <- local_ledger()
  withr::local_options(width = 80)
  ids <- vapply(1:12, function(k) log_run(file, list(k = k), list(m = k / 7)), "")
  lines <- utils::capture.output(print(compare_runs(file, ids)))
  expect_true(all(nchar(lines) <= 80))
  expect_true(all(vapply(paste0("#", 1:12), function(label) any(grepl(label, lines[-(1:12)])), NA)))
  twin <- log_run(file, list(k = 1L), list(m = 1 / 7))
  expect_output(print(compare_runs(file, c(ids[[1]], twin))), "differ in nothing")
  expect_identical(nrow(compare_runs(file, read_runs(file))), 2L)
})

test_that("of a run of several sessions the last is compared, and their number", {
  file <- local_ledger()
  withr::local_options(fitledger.context = character())
  other <- log_run(file, list(k = 1), list(m = 1))
  run <- start_run(file, list(k = 1))
  options(fitledger.context = "packages")
  run <- start_run(file, resume = run$run_id)
  end_run(run, list(m = 1))
  compared <- compare_runs(file, c(other, run$run_id))
  expect_true(all(c("package", "session") %in% compared$kind))
  sessions <- compared[compared$kind == "session", ]
  expect_identical(sessions$field, "sessions")
  expect_identical(sessions[[run$run_id]], "2")
  expect_identical(sessions[[other]], NA_character_)
  package <- compared[compared$field == "rlang", ]
  expect_identical(package[[run$run_id]], as.character(getNamespaceVersion("rlang")))
})

test_that("runs must be there", {
  file <- local_ledger()
  id <- log_run(file, list(k = 1), list(m = 1))
  expect_error(compare_runs(file), class = "fitledger_error_argument")
  expect_error(compare_runs(file, 1:2), class = "fitledger_error_argument")
  expect_error(compare_runs(file, c(id, "nope")), class = "fitledger_error_unknown")
  expect_error(compare_runs(file, id, onlydifferent = TRUE), "only_different", class = "fitledger_error_argument")
})

test_that("hostile text stays text", {
  file <- local_ledger()
  a <- log_run(file, list("a b\n%s" = "x\ty\n\033[31m", "`" = "{cli}"), list("<b>" = 1))
  b <- log_run(file, list("a b\n%s" = "%n", "`" = "\u4e2d\u6587\u5b57"), list("<b>" = 2))
  expect_silent(lines <- utils::capture.output(print(compare_runs(file, c(a, b)))))
  expect_true(any(grepl("%n", lines, fixed = TRUE)))
})

test_that("the raw events are the file's rows", {
  events <- read_ledger(golden())
  expect_identical(nrow(events), 22L)
  expect_identical(events$event[[22]], "fromthefuture")
  raw <- cells(golden())
  for (column in c("params", "metrics", "artifacts", "context")) {
    expect_identical(ifelse(is.na(events[[column]]), "", events[[column]]), raw[[column]])
  }
  expect_identical(events$hash, raw$hash)
  file <- local_ledger()
  expect_error(read_ledger(file), class = "fitledger_error_not_found")
})

test_that("what was reported just now is compared, and is what a gate is told", {
  file <- local_ledger()
  other <- log_run(file, list(k = 1), list(loss = 9))
  run <- start_run(file, list(k = 1))
  log_artifact(run, "model", lm(dist ~ speed, cars))
  register_model(file, "stopping", run)
  for (step in 1:3) log_metrics(run, loss = step, step = step)
  compared <- compare_runs(file, c(other, run$run_id))
  expect_identical(compared[[run$run_id]][compared$field == "loss"], "3")
  told <- NULL
  log_metrics(run, loss = 4, step = 4)
  promote_model(file, "stopping", 1, gate = function(candidate, current) {
    told <<- candidate$metrics$loss
    list(pass = TRUE)
  })
  expect_identical(told, 4)
  end_run(run)
})
