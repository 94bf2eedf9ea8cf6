search <- function(file) {
  log_run(file, list(model = "ridge", lambda = 1), list(rmse = 2))
  log_run(file, list(model = "ridge", lambda = 10), list(rmse = 1))
  log_run(file, list(model = "tree", depth = 3L), list(rmse = 1, mae = NA))
  log_run(file, list(model = "tree", depth = 5L), list(rmse = NaN, mae = 0.5))
}

test_that("the golden ledger reads as described", {
  runs <- read_runs(golden(), details = TRUE)
  expect_equal(nrow(runs), 8)
  expect_equal(nrow(read_runs(golden(), void = TRUE)), 9)
  expect_equal(best_run(golden(), "test_rmse")$lambda, 0)
  expect_false("holdout_rmse" %in% names(runs))
  live <- runs[8, ]
  expect_equal(live$test_rmse, 1.99)
  expect_equal(live$loss, 0.6)
  expect_identical(live$seed, 42L)
  expect_identical(live$status, "finished")
  expect_equal(live$duration, 2)
  expect_identical(live$tags.who, "=cmd()")
  expect_match(live$data, "^sha256:116f54c4")
  expect_identical(live$user, "reader")
  expect_identical(live$dirty, FALSE)
  void <- read_runs(golden(), void = TRUE, details = TRUE)
  expect_identical(void$status[[8]], "void")
  expect_identical(void$lambda[[8]], 100)

  expect_identical(live$model, "gbm \"quoted\", comma\nand line")
  expect_identical(live[["gr\u00f6\u00dfe"]], "na\u00efve \u2603 \u0001")
  expect_identical(live[["$cost"]], 2L)
  expect_identical(live$depths, list(1:3))
  expect_identical(live$named, list(c(a = 1, b = 2)))
  expect_identical(live$when, as.Date("2026-11-23"))
  expect_equal(as.numeric(live$at), 1795407648.25)
  expect_identical(1 / live$minus, -Inf)
  expect_identical(live$edge, 1e-5)
})

test_that("ties go to the first, NA is left out, as which.min() does", {
  file <- local_ledger()
  search(file)
  runs <- read_runs(file)
  expect_identical(best_run(file, "rmse")$lambda, 10)
  expect_identical(best_run(file, "rmse")$run_id, runs$run_id[[which.min(runs$rmse)]])
  expect_identical(best_run(file, "rmse", maximize = TRUE)$lambda, 1)
  expect_identical(best_run(file, "mae")$depth, 5L)
  expect_identical(best_run(file, "rmse", n = 2)$run_id, runs$run_id[c(2, 3)])
  expect_identical(best_run(file, "rmse", n = Inf)$run_id, runs$run_id[c(2, 3, 1)])
  expect_identical(best_run(file, "rmse", TRUE, n = 3)$run_id, runs$run_id[c(1, 2, 3)])
})

test_that("without a candidate there are no rows", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = NA))
  expect_equal(nrow(best_run(file, "m")), 0)
  expect_named(best_run(file, "m"), c("run_id", "timestamp", "a", "m"))
  expect_equal(nrow(best_run(file, "m", where = a > 5)), 0)

  empty <- local_file()
  writeLines(readLines(file)[1:2], empty)
  expect_equal(nrow(read_runs(empty)), 0)
  expect_named(read_runs(empty), c("run_id", "timestamp"))
  expect_equal(nrow(best_run(empty, "m")), 0)
  file.create(empty)
  file.remove(empty)
  file.create(empty)
  expect_equal(nrow(read_runs(empty)), 0)
})

test_that("only finished runs are candidates", {
  file <- local_file()
  lines <- readLines(golden())[1:12]
  writeLines(lines, file)
  expect_identical(read_runs(file, details = TRUE)$status, rep(c("finished", "running"), c(8, 1)))
  expect_equal(nrow(best_run(file, "test_rmse", n = Inf)), 8)
})

test_that("what isn't there is named, with what may have been meant", {
  file <- local_ledger()
  search(file)
  expect_snapshot_conditions({
    best_run(file, "rsme")
    best_run(file, "lambda")
    best_run(file, "something")
    best_run(file, 1)
    best_run(file)
    best_run(file, rmse)
    best_run(file, "rmse", maximise = TRUE)
    best_run(file, "rmse", maximize = NA)
    best_run(file, "rmse", n = 0)
    read_runs(file, columns = "modle")
    read_runs(file, columns = 1)
    read_runs(file, "rmse")
  })
})

test_that("`where` is a condition on the columns", {
  file <- local_ledger()
  search(file)
  ids <- read_runs(file)$run_id
  asked <- function(...) match(read_runs(file, ...)$run_id, ids)
  lambda <- 10
  expect_identical(asked(where = lambda > 1), 2L)
  expect_identical(asked(where = lambda == .env$lambda & model == "ridge"), 2L)
  expect_identical(asked(where = model == "tree" | lambda == 1), c(1L, 3L, 4L))
  expect_identical(asked(where = is.na(depth)), 1:2)
  expect_identical(asked(where = status == "finished" & rmse < 2), 2:3)
  expect_identical(asked(where = run_id == ids[[3]]), 3L)
  expect_identical(asked(where = timestamp < Sys.time() + 10), 1:4)
  expect_identical(asked(where = TRUE), 1:4)
  expect_identical(asked(where = NA), integer())
  expect_identical(asked(where = .data$depth == 3), 3L)
  expect_named(read_runs(file, where = rmse > 1), names(read_runs(file)))
  ask <- function(at_least) read_runs(file, where = rmse >= at_least)
  expect_equal(nrow(ask(2)), 1)
})

test_that("tags can be asked for", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(), tags = list(by = "ann", try = 1L))
  log_run(file, list(a = 2), list(), tags = list(by = "bob", try = "x"))
  log_run(file, list(a = 3), list())
  expect_identical(read_runs(file, where = tags$by == "bob")$a, 2)
  expect_identical(read_runs(file, where = is.na(tags$by))$a, 3)
  expect_equal(nrow(read_runs(file, where = tags$nothing == 1)), 0)
  expect_error(read_runs(file, where = tags$try == 1), class = "fitledger_error_where")
  expect_error(read_runs(file, where = tags == 1), class = "fitledger_error_where")
  # `by()` is a function of R's.
  expect_error(read_runs(file, where = by == "ann"), "Did you mean `tags.by`?", fixed = TRUE, class = "fitledger_error_where")
})

test_that("a condition that can't be answered is an error", {
  file <- local_ledger()
  search(file)
  log_run(file, list(model = 1, layers = 1:2), list())
  expect_snapshot_conditions({
    read_runs(file, where = lamda > 1)
    read_runs(file, where = model == "ridge")
    read_runs(file, where = model %in% "ridge")
    read_runs(file, where = layers > 1)
    read_runs(file, where = rmse)
    read_runs(file, where = rmse[1:2] > 1)
    read_runs(file, where = stop("%s%n {oops}"))
  })
})

test_that("columns are chosen and ordered", {
  file <- local_ledger()
  search(file)
  expect_named(read_runs(file, columns = c("rmse", "model")), c("run_id", "timestamp", "rmse", "model"))
  expect_named(read_runs(file, columns = character()), c("run_id", "timestamp"))
  expect_named(
    read_runs(file, columns = c("status", "rmse"), where = depth > 3),
    c("run_id", "timestamp", "status", "rmse")
  )
  expect_named(
    read_runs(file, columns = c("status", "rmse"), details = TRUE),
    c(
      "run_id", "timestamp", "status", "rmse", "duration", "name", "experiment", "parent", "user", "host", "script",
      "commit", "dirty", "seed", "data", "looks", "error", "notes", "void_reason"
    )
  )
})

test_that("types are unified without changing a value", {
  file <- local_ledger()
  log_run(file, list(a = 1L, b = 1L, c = NA, d = "x", e = TRUE, f = y ~ x), list())
  log_run(file, list(a = 2.5, b = 2L, c = "x", d = NULL, e = "TRUE", f = "z"), list())
  runs <- read_runs(file)
  expect_identical(runs$a, c(1, 2.5))
  expect_identical(runs$b, 1:2)
  expect_identical(runs$c, c(NA, "x"))
  expect_identical(runs$d, c("x", NA))
  expect_identical(runs$e, list(TRUE, "TRUE"))
  expect_identical(runs$f, c("y ~ x", "z"))
})

test_that("names that collide are told apart", {
  file <- local_ledger()
  log_run(file, list(x = 1, seed = 7), list(x = 2), seed = 1)
  expect_named(read_runs(file), c("run_id", "timestamp", "params.x", "seed", "metrics.x"))
  expect_identical(best_run(file, "x")$metrics.x, 2)
  expect_identical(best_run(file, "metrics.x")$metrics.x, 2)
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$seed, 7)
  expect_identical(runs$details.seed, 1L)
  expect_false(anyDuplicated(names(runs)) > 0)
})

test_that("names that collide with those that tell them apart are told apart, too", {
  file <- local_ledger()
  log_run(file, list(x = 1, metrics.x = 2, seed = 7, details.seed = 8), list(x = 3), seed = 1)
  log_run(file, list(x = 1, metrics.x = 2, seed = 7, details.seed = 8), list(x = 4), seed = 2)
  runs <- read_runs(file, details = TRUE)
  expect_false(anyDuplicated(names(runs)) > 0)
  expect_identical(runs$details.seed.1, 1:2)
  expect_identical(read_runs(file, columns = "details.seed.1")$details.seed.1, 1:2)
  expect_identical(best_run(file, "x", maximize = TRUE)$metrics.x.1, 4)
  expect_identical(best_run(file, "metrics.x.1", where = details.seed == 8)$metrics.x.1, 3)
})

test_that("the best of some runs is found as the best of all is", {
  file <- local_ledger()
  grid <- data.frame(k = 1:12, m = c(NaN, 3, 1, 1, NA, 2, 1, -Inf, Inf, 0, 0, 5))
  ids <- log_runs(file, grid, "k", "m")
  void_run(file, ids[[10]], "wrong data")
  run <- start_run(file, list(k = 13L))
  log_metrics(run, m = -Inf)
  end_run(run, status = "failed")
  for (maximize in c(FALSE, TRUE)) {
    all <- best_run(file, "m", maximize, n = Inf)
    expect_identical(best_run(file, "m", maximize, n = Inf, where = k > 0), all)
    expect_identical(best_run(file, "m", maximize, n = 3, where = k > 2)$k, utils::head(all$k[all$k > 2], 3))
    plain <- withr::local_tempfile(fileext = ".csv")
    export_runs(file, plain)
    # A plain CSV doesn't say which runs failed.
    finished <- best_run(plain, "m", maximize, n = Inf, where = k < 13)
    expect_identical(finished$k, all$k)
  }
  expect_identical(best_run(file, "m", n = 2)$k, c(8L, 11L))
  log_run(file, list(model = "ridge"), list())
  export_runs(file, plain)
  expect_error(best_run(plain, "model"), "column of text", class = "fitledger_error_argument")
})

test_that("a file that isn't there is an error that says what to do", {
  withr::local_dir(withr::local_tempdir())
  expect_snapshot_conditions({
    read_runs("nothing.csv")
    best_run("nothing.csv", "rmse")
    read_runs(".")
  })
  gone <- "/tmp/RtmpAbCd12/log.csv"
  expect_snapshot_conditions(read_runs(gone))
  withr::local_options(knitr.in.progress = TRUE)
  expect_snapshot_conditions(read_runs(gone))
  expect_error(read_runs("nothing.csv"), class = "fitledger_error_not_found")
})

test_that("a row counts by its hash, one in flight is not seen, damage is named", {
  file <- local_file()
  search(file)
  whole <- bytes(file)
  writeBin(head(whole, -1), file)
  expect_equal(nrow(read_runs(file)), 4)
  writeBin(head(whole, -2), file)
  expect_equal(nrow(read_runs(file)), 3)
  damaged <- whole
  damaged[[300]] <- as.raw(0)
  file <- local_file()
  writeBin(damaged, file)
  e <- expect_error(read_runs(file), class = "fitledger_error_corrupt")
  expect_equal(e$row, 2)
  expect_equal(e$byte, which(whole == charToRaw("\n"))[[2]])
})

test_that("a view that is kept follows what becomes of the file", {
  file <- local_file()
  search(file)
  expect_equal(nrow(read_runs(file)), 4)
  log_run(file, list(lambda = 9), list(rmse = 0))
  expect_identical(best_run(file, "rmse")$lambda, 9)
  run_apart(c("library(fitledger)", sprintf("log_run(%s, list(lambda = 10), list(rmse = -1))", deparse(file)), "cat('done\\n')"))
  expect_identical(best_run(file, "rmse")$lambda, 10)
  other <- local_file()
  log_run(other, list(other = TRUE), list(rmse = 3))
  file.copy(other, file, overwrite = TRUE)
  expect_identical(read_runs(file), read_runs(other))
  # Written to without having grown: it is read anew.
  whole <- bytes(file)
  damaged <- whole
  damaged[[300]] <- as.raw(0)
  before <- file.mtime(file)
  wait_until(
    {
      writeBin(damaged, file)
      file.mtime(file) > before
    },
    "the file system's clock to tick"
  )
  expect_error(read_runs(file), class = "fitledger_error_corrupt")
  writeBin(whole, file)
  expect_identical(read_runs(file), read_runs(other))
  withr::with_dir(dirname(file), expect_identical(read_runs(basename(file)), read_runs(other)))
  unlink(file)
  expect_error(read_runs(file), class = "fitledger_error_not_found")
})

test_that("a pipe is refused, and nobody waits for it", {
  skip_on_os("windows")
  skip_if(Sys.which("mkfifo") == "")
  pipe <- withr::local_tempfile()
  system2("mkfifo", pipe)
  expect_error(read_runs(pipe), class = "fitledger_error_not_a_ledger")
  expect_error(log_run(pipe, list(), list()), class = "fitledger_error")
})

test_that("the ids of many runs are a character vector like any other", {
  file <- local_ledger()
  logged <- log_runs(file, data.frame(x = 1:3000, rmse = sin(1:3000)), "x", "rmse")
  ids <- read_runs(file)$run_id
  expect_type(ids, "character")
  expect_identical(ids, logged)
  expect_identical(ids[c(1, 3000)], c(logged[[1]], logged[[3000]]))
  expect_identical(ids[3001], NA_character_)
  expect_false(anyNA(ids))
  expect_identical(anyDuplicated(ids), 0L)
  expect_identical(unserialize(serialize(ids, NULL)), ids)
  expect_identical(match(rev(ids), ids), 3000:1)
  expect_identical(rev(rev(ids)), as.vector(ids))

  changed <- ids
  changed[[2]] <- NA
  expect_true(anyNA(changed))
  expect_identical(changed[-2], ids[-2])
  expect_identical(ids[[2]], logged[[2]])
  seen <- NULL
  holder <- new.env()
  reg.finalizer(holder, function(holder) seen <<- holder$ids[[1400]])
  holder$ids <- read_runs(file)$run_id
  rm(holder, logged, changed)
  gc()
  expect_identical(seen, ids[[1400]])
  expect_match(sort(ids)[[3000]], "^[0-9]{8}-[0-9]{6}-")
})

test_that("a condition may need columns that nobody asked for, or that it computes", {
  file <- local_ledger()
  log_runs(
    file, data.frame(a = 1:6, b = letters[1:6], rmse = c(3, 1, 2, 6, 5, 4), mae = 6:1),
    params = c("a", "b"), metrics = c("rmse", "mae")
  )
  void_run(file, read_runs(file)$run_id[[2]], "wrong")
  expect_equal(read_runs(file, where = a > 3 & mae < 3, columns = "b")$b, c("e", "f"))
  expect_named(read_runs(file, where = a > 3, columns = "b"), c("run_id", "timestamp", "b"))
  expect_equal(read_runs(file, where = .data[["mae"]] == 3, columns = "b")$b, "d")
  wanted <- "mae"
  expect_equal(read_runs(file, where = get(wanted) == 3, columns = "b")$b, "d")
  column <- rlang::sym("mae")
  expect_equal(read_runs(file, where = !!column == 3, columns = "b")$b, "d")
  expect_snapshot_conditions(read_runs(file, where = rmsee > 3, columns = "b"))

  best <- best_run(file, "rmse", n = 2, where = mae > 2)
  expect_equal(best, read_runs(file)[c(2, 1), ], ignore_attr = "row.names")
  expect_equal(nrow(best_run(file, "rmse", where = mae > 100)), 0)
  expect_named(best_run(file, "rmse", where = mae > 100), names(read_runs(file)))
})

test_that("which variable is missing is known in every language", {
  file <- local_ledger()
  log_run(file, list(lambda = 1, tags.x = 2), list(rmse = 1), sealed = list(secret = 1), tags = list(by = "ann"))
  here <- 3
  missing <- function(where, columns = c("lambda", "tags")) missing_variables(rlang::enquo(where), columns)
  expect_identical(missing(lamda > here & lambda < 3 & tags$by == "a"), "lamda")
  expect_identical(missing(.env$nowhere > 1 & .data$lamda > 2 & base::pi > T), character())
  expect_identical(missing(foo(bar)(baz[, quux]) | {
    lambda
  }), c("bar", "baz", "quux"))
  expect_identical(missing(TRUE), character())

  expect_error(read_runs(file, where = stop("boom")), "boom", class = "fitledger_error_where")
  french <- function() stop("objet introuvable")
  expect_error(read_runs(file, where = french() | lamda > 1), "Did you mean `lambda`", class = "fitledger_error_where")
  expect_error(read_runs(file, where = french() | secret > 1), class = "fitledger_error_sealed")
})

test_that("names that no variable of R can have keep no condition from its answer", {
  file <- local_ledger()
  long <- strrep("n", 10001)
  log_run(file, list(k = 1), list(rmse = 1))
  log_run(file, rlang::set_names(list(2), long), rlang::set_names(list(3), paste0(long, "m")), tags = rlang::set_names(list(4), long))
  rows <- rows_of(file)
  of_run <- rows[rows[, "event"] == "run", , drop = FALSE]
  of_run <- of_run[1, ]
  of_run[c("seq", "run_id", "params")] <- c(nrow(rows) + 1, "nameless", "{\"\":5}")
  nameless <- withr::local_tempfile(fileext = ".csv")
  write_rows(rbind(rows, of_run), nameless)
  for (ledger in list(file, nameless)) {
    expect_identical(read_runs(ledger, where = k == 1 & status == "finished")$k, 1)
    expect_identical(best_run(ledger, "rmse", where = k == 1)$rmse, 1)
    expect_true(long %in% names(read_runs(ledger, where = is.na(k))))
  }
  expect_identical(verify_ledger(nameless)$status, "ok")
})

test_that("where no run is a candidate there are no rows", {
  empty <- function(...) expect_identical(nrow(best_run(...)), 0L)
  file <- local_file()
  run <- start_run(file, list(a = 1))
  log_metrics(run, m = 1)
  empty(file, "m")
  end_run(run, status = "failed")
  log_run(file, list(a = 2), list(m = NA_real_))
  void_run(file, log_run(file, list(a = 3), list(m = 3)), "no good")
  for (n in c(1, 5)) {
    for (maximize in c(FALSE, TRUE)) {
      empty(file, "m", maximize, n = n)
      empty(file, "m", maximize, n = n, where = a > 0)
      empty(file, "m", maximize, n = n, where = FALSE)
      empty(file, "m", maximize, n = n, where = a > 99)
    }
  }
  # Nothing but a note of a run that never began: a ledger without runs.
  none <- local_file()
  void_run(none, log_run(none, list(a = 1), list(m = 1)), "no good")
  empty(none, "m")
  empty(none, "m", where = a > 0)
  plain <- withr::local_tempfile(lines = "run_id,timestamp,a,m", fileext = ".csv")
  empty(plain, "m")
  empty(plain, "m", where = a > 0)
})

# What a user may call something, so that it meets what we call it.
random_names <- function(most) {
  own <- c(
    "x", "y", "params.x", "metrics.x", "metrics.x.1", "details.x", "params.metrics.x", "seed", "details.seed", "details.seed.1",
    "status", "details.status", "tags", "tags.x", "details.tags", "metrics.seed", "X", "n\u00e9", "a b"
  )
  sample(own, sample(0:most, 1))
}

test_that("whatever names meet, each parameter, metric and detail has a column of its own", {
  skip_unless_file()
  withr::local_options(fitledger.sync = "none", fitledger.context = character())
  set.seed(4)
  for (case in 1:30) {
    file <- local_file()
    params <- random_names(6)
    metrics <- random_names(6)
    tags <- random_names(3)
    # Each column has numbers of its own, by which it is known.
    numbers <- function(names) as.list(rlang::set_names(stats::runif(length(names)), names))
    runs <- replicate(4, list(params = numbers(params), metrics = numbers(metrics)), simplify = FALSE)
    for (run in runs) {
      log_run(file, run$params, run$metrics, tags = stats::setNames(as.list(tags), tags), seed = 7L)
    }
    of <- function(kind, name) vapply(runs, function(run) run[[kind]][[name]], 1)
    frame <- read_runs(file, details = TRUE)
    expect_identical(anyDuplicated(names(frame)), 0L)
    for (kind in c("params", "metrics")) {
      for (name in if (kind == "params") params else metrics) {
        label <- names(frame)[vapply(frame, identical, NA, of(kind, name))]
        expect_length(label, 1)
        if (name %in% params && name %in% metrics) {
          expect_true(startsWith(label, paste0(kind, ".", name)))
        } else {
          expect_identical(label, name)
        }
      }
    }
    for (name in metrics) {
      for (maximize in c(FALSE, TRUE)) {
        ranked <- frame$run_id[order(of("metrics", name), decreasing = maximize)]
        expect_identical(best_run(file, name, maximize, n = 4)$run_id, ranked)
        expect_identical(best_run(file, name, maximize, n = 4, where = run_id != "x")$run_id, ranked)
      }
    }
    # Ours, under some name.
    ours <- setdiff(names(frame), c("run_id", "timestamp", names(read_runs(file))))
    tag_columns <- grep("^(details\\.)?tags\\.", ours, value = TRUE)
    expect_length(tag_columns, length(tags))
    expect_setequal(sub("^details\\.([a-z_]+)(\\.[0-9]+)?$", "\\1", setdiff(ours, tag_columns)), c(
      "status", "duration", "name", "experiment", "parent", "user", "host", "script", "commit", "dirty", "seed", "data",
      "looks", "error", "notes", "void_reason"
    ))
    expect_true(any(vapply(frame[ours], identical, NA, rep(7L, 4))))
    expect_true(any(vapply(frame[ours], identical, NA, rep("finished", 4))))
    # A column that can be seen can be asked for.
    for (name in names(frame)) {
      expect_identical(read_runs(file, columns = name)[[name]], frame[[name]])
    }
  }
})

test_that("a condition that a function was handed is given on by {{ }}, and else that is said", {
  file <- local_ledger()
  log_run(file, list(k = 1, when = Sys.time()), list(m = 1), sealed = list(secret = 1))
  touched <- 0
  touch <- function(x) {
    touched <<- touched + 1
    x
  }
  withr::local_options(warn = 2)
  ask <- function(cond) read_runs(file, where = cond)
  asks <- list(
    ask, function(cond) ask(cond), function(cond) best_run(file, "m", where = cond), function(cond) plot_runs(file, "k", "m", where = cond),
    function(cond) export_runs(file, tempfile(), where = cond), function(cond) read_runs(file, where = k > 0 & cond),
    function(...) ask(...)
  )
  for (verb in asks) {
    touched <- 0
    hint <- "{{ cond }}"
    for (code in expression(verb(m < 2), verb(touch(1) < m), verb(secret < 2), verb(nowhere > 1))) {
      expect_error(eval(code), hint, fixed = TRUE, class = "fitledger_error_where")
    }
    expect_lte(touched, 1)
  }
  right <- function(cond) read_runs(file, where = {{ cond }})
  expect_identical(right(m < 2)$k, 1)
  circular <- function(cond = other, other = cond) read_runs(file, where = cond)
  expect_error(circular(), class = "fitledger_error_where")
  # A variable is one, evaluated or not.
  above <- function(limit) read_runs(file, where = k > limit)$k
  expect_identical(above(0), 1)
  mistyped <- function(limit) read_runs(file, where = kk > limit)
  expect_error(mistyped(touch(0)), "Did you mean `k`", class = "fitledger_error_where")
})

test_that("a time isn't compared with a number", {
  file <- local_ledger()
  log_run(file, list(day = as.Date("2026-11-23"), when = Sys.time(), k = 2), list(m = 1))
  year <- 2026
  for (condition in expression(
    timestamp > 2026, 2026 < timestamp, timestamp == 2026L, timestamp >= year, when < 2026, day > 2026, timestamp %in% 2025:2026,
    k == 2 & timestamp > 2026
  )) {
    expect_error(read_runs(file, where = !!condition), "a time can't be compared with a number such as 202", class = "fitledger_error_where")
  }
  n <- function(where) nrow(read_runs(file, where = {{ where }}))
  expect_identical(n(timestamp > Sys.time() - 3600), 1L)
  expect_identical(n(timestamp > NA), 0L)
  expect_identical(n(timestamp > NA_real_), 0L)
  expect_identical(n(day == as.Date("2026-11-23")), 1L)
  expect_identical(n(day > "2026-11-22"), 1L)
  expect_identical(n(day %in% as.Date("2026-11-23")), 1L)
  expect_identical(n(format(timestamp, "%Y") >= 2026), 1L)
  expect_identical(n(k %in% 2:3 & k > 1), 1L)
})

test_that("`%in%` finds what `==` does", {
  skip_if_not_installed("bit64")
  file <- local_ledger()
  big <- bit64::as.integer64("9007199254740993")
  log_run(file, list(n = bit64::as.integer64(7), took = as.difftime(1, units = "secs"), day = as.Date("2026-11-23")), list(m = 1))
  log_run(file, list(n = big, took = as.difftime(1, units = "mins"), day = as.Date("2026-11-24")), list(m = 2))
  log_run(file, list(n = bit64::NA_integer64_, took = as.difftime(2, units = "days"), day = as.Date(NA)), list(m = 3))
  found <- function(where) read_runs(file, where = {{ where }}, columns = "m")$m
  expect_identical(found(n %in% 7), 1)
  expect_identical(found(n %in% c(7.5, 8)), numeric())
  expect_identical(found(n %in% c(7L, NA)), c(1, 3))
  expect_identical(found(n %in% big), 2)
  # The double beside it.
  expect_identical(found(n %in% 9007199254740992), numeric())
  expect_identical(found(7 %in% n), c(1, 2, 3))
  expect_identical(found(n %in% "7"), 1)
  expect_identical(found(n %in% c(Inf, 2^63, -2^70)), numeric())
  expect_identical(found(took %in% as.difftime(1, units = "mins")), 2)
  expect_identical(found(took %in% as.difftime(c(1, 48 * 3600), units = "secs")), c(1, 3))
  expect_identical(found(day %in% "2026-11-23"), 1)
  expect_identical(found(day %in% c("2026-11-24", NA)), c(2, 3))
  # What is no day is none that is missing.
  expect_identical(found(day %in% c("2026-11-23", "2026-02-30", "2026/11/24", "no day", "")), c(1, 2))
  expect_identical(found(day %in% factor("2026-11-23")), 1)
  expect_identical(found(c("2026-11-24", "x", NA) %in% day), c(1, 3))
  expect_identical(found(n %in% c("007", "x", "")), 1)
  expect_identical(found(n %in% c(FALSE, NA)), 3)
})

test_that("a text compares with a time as a time in UTC, in whatever time zone one is", {
  withr::local_timezone("America/New_York")
  file <- withr::local_tempfile(fileext = ".csv")
  times <- c("2024-03-01T09:15:02Z", "2024-03-01T14:00:00Z", "2024-03-02T00:00:00Z")
  writeLines(c("run_id,timestamp,k,acc", paste0("a", 1:3, ",", times, ",", 1:3, ",1")), file)
  ledger <- local_file()
  import_runs(file, ledger, metrics = "acc")
  for (file in c(file, ledger)) {
    k <- function(where) read_runs(file, where = !!where)$k
    expect_identical(k(quote(timestamp > "2024-03-01 09:15:02")), 2:3)
    expect_identical(k(quote("2024-03-01 09:15" < timestamp)), 1:3)
    expect_identical(k(quote(timestamp >= "2024-03-02")), 3L)
    expect_identical(k(quote(timestamp < "2024-03-01T15:00:00+02:00")), 1L)
    expect_identical(k(quote(timestamp == as.Date("2024-03-01"))), 1:2)
    expect_identical(k(quote(timestamp > NA_character_)), integer())
    expect_error(k(quote(timestamp > "yesterday")), class = "fitledger_error_where")
  }
})

test_that("a restoring that finds no run says so", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 1))
  void_run(file, id, "a mistake")
  before <- bytes(file)
  expect_message(restore_run(file, read_runs(file), "right"), "void = TRUE")
  expect_identical(bytes(file), before)
  expect_no_message(restore_run(file, read_runs(file, void = TRUE), "right"))
})

test_that("what a search recorded of its metrics is held against who asks for the best without saying which way", {
  file <- local_ledger()
  search <- log_run(file, list(maximize = c("accuracy", "auc")), list())
  for (accuracy in c(0.5, 0.7)) log_run(file, list(), list(accuracy = accuracy, loss = 1 - accuracy), parent = search)
  expect_message(best_run(file, "accuracy"), "smallest `accuracy`.*larger is better", class = "fitledger_message_direction")
  expect_no_message(best_run(file, "accuracy", FALSE))
  expect_no_message(best_run(file, "accuracy", maximize = TRUE))
  expect_no_message(best_run(file, "loss"))
})

test_that("the mean of a series with an infinite point is R's", {
  file <- local_ledger()
  all_losses <- list(c(2, 4), c(Inf, 1), c(1, Inf, 3), c(-Inf, -Inf), c(Inf, Inf, 2), c(5, 6), c(Inf, -Inf))
  for (losses in all_losses) {
    with_run(file, list(), function(run) {
      for (step in seq_along(losses)) log_metrics(run, loss = losses[[step]], step = step)
    })
  }
  means <- vapply(all_losses, mean, numeric(1))
  best <- best_run(file, "loss", n = 9, over = "mean")
  expect_identical(best$loss, sort(means))
  expect_identical(best$run_id, read_runs(file)$run_id[order(means, na.last = NA)])
})

test_that("a tag in a condition is the column of that tag", {
  skip_if_not_installed("bit64")
  file <- local_file()
  # The first run has none of them, and a parameter takes the name of a column.
  log_run(file, list(a = 1), list(m = 1))
  tags <- function(day, n) {
    list(
      day = as.Date(day), at = as.POSIXct(paste(day, "12:00"), tz = "UTC"), n = bit64::as.integer64(n),
      took = as.difftime(n, units = "secs"), x = if (n > 5) 7.5 else 5L, mixed = if (n > 5) "b" else 1
    )
  }
  log_run(file, list(a = 2, tags.day = 5), list(m = 2), tags = tags("2026-01-01", 5))
  log_run(file, list(a = 3), list(m = 3), tags = tags("2026-07-01", 7))
  rows <- function(where) read_runs(file, where = !!where)$a
  for (condition in expression(
    tags$day > "2026-06-01", tags$day == "2026-07-01", tags$day > as.Date("2026-06-01"), tags$at > "2026-06-01",
    tags$n == 7, tags$n > 5, tags$took > as.difftime(6, units = "secs"), tags$x > 6, tags[["x"]] > 6,
    tags$x == 7.5 & lengths(tags) == 6
  )) {
    expect_identical(rows(condition), 3)
  }
  expect_identical(rows(quote(is.na(tags$day))), 1)
  expect_identical(rows(quote(is.na(tags$nobody_has_it))), c(1, 2, 3))
  expect_identical(rows(quote(lengths(tags) == 0)), 1)
  expect_error(rows(quote(tags$mixed == "b")), class = "fitledger_error_where")
  expect_identical(best_run(file, "m", where = tags$day < "2026-06-01")$a, 2)
  expect_identical(read_runs(file, where = tags$n == 7, columns = "tags.n")$tags.n, bit64::as.integer64(7))
})
