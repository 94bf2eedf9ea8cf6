test_that("params and metrics are lists, vectors or one row", {
  file <- local_ledger()
  log_run(file, list(a = 1, b = "x"), list(m = 1))
  log_run(file, c(a = 2), c(m = 2))
  log_run(file, data.frame(a = 3, b = "z"), data.frame(m = 3L))
  log_run(file, list(), NULL)
  runs <- read_runs(file)
  expect_identical(runs$a, c(1, 2, 3, NA))
  expect_identical(runs$b, c("x", NA, "z", NA))
  expect_identical(runs$m, c(1, 2, 3, NA))
})

test_that("runs with other parameters and metrics are ordinary", {
  file <- local_ledger()
  log_run(file, list(model = "ridge", lambda = 1), list(rmse = 1))
  log_run(file, list(model = "tree", depth = 3L), list(rmse = 2, mae = 1.5))
  runs <- read_runs(file)
  expect_named(runs, c("run_id", "timestamp", "model", "lambda", "depth", "rmse", "mae"))
  expect_identical(runs$depth, c(NA, 3L))
  expect_identical(runs$mae, c(NA, 1.5))
})

test_that("a metric is one number", {
  file <- local_ledger()
  log_run(file, list(), list(
    double = 1.5, integer = 2L, missing = NA, took = as.difftime(2, units = "mins"),
    named = c(x = 3), product = crossprod(1:2), inf = -Inf, nan = NaN
  ))
  metrics <- as.list(read_runs(file)[-(1:2)])
  expect_identical(metrics, list(
    double = 1.5, integer = 2L, missing = NA_real_, took = 120,
    named = 3, product = 5, inf = -Inf, nan = NaN
  ))
})

test_that("what can't be kept is refused by name and nothing is written", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  before <- bytes(file)
  not_text <- "\xff\xfe"
  expect_snapshot_conditions({
    log_run(file, list(1), list())
    log_run(file, list(a = 1, 2), list())
    log_run(file, list(a = 1, a = 2), list())
    log_run(file, list(run_id = 1), list())
    log_run(file, list(a = iris), list())
    log_run(file, list(a = matrix(1:4, 2)), list())
    log_run(file, list(a = 1i), list())
    log_run(file, list(a = as.raw(1)), list())
    log_run(file, list(a = globalenv()), list())
    log_run(file, list(a = as.POSIXlt("2026-11-23", tz = "UTC")), list())
    log_run(file, list(a = numeric_version("1.2")), list())
    log_run(file, list(a = methods::getClass("numeric")), list())
    log_run(file, list(a = structure(1, unit = "cm")), list())
    log_run(file, list(a = as.Date(0.5, origin = "1970-01-01")), list())
    log_run(file, list(a = not_text), list())
    log_run(file, list(a = list(b = list(1, c = 2))), list())
    log_run(file, list(a = c(x = 1, x = 2)), list())
    log_run(file, iris, list())
    log_run(file, mean, list())
    log_run(file, list(), list(m = c(1, 2)))
    log_run(file, list(), list(m = "1"))
    log_run(file, list(), list(m = TRUE))
    log_run(file, list(), list(m = list(1)))
    log_run(file, list(), list(), tags = list(1))
  })
  expect_identical(bytes(file), before)
})

test_that("arguments are checked", {
  file <- local_ledger()
  expect_snapshot_conditions({
    log_run()
    log_run(1, list(), list())
    log_run(c("a", "b"), list(), list())
    log_run(file)
    log_run(file, list(a = 1))
    log_run(file, list(a = 1), list(m = 1), tag = "x")
    log_run(file, list(a = 1), list(m = 1), "x")
    log_run(file, list(a = 1), list(m = 1), seed = 1.5)
    log_run(file, list(a = 1), list(m = 1), seed = "1")
  })
  expect_false(file.exists(file_of(file)))
  expect_error(log_run(file, 1, 2), class = "fitledger_error")
  expect_error(log_run(file, 1, 2), class = "fitledger_error_value")
})

test_that("values nested too deep are refused, however deep", {
  file <- local_ledger()
  nest <- function(depth) {
    x <- 1
    for (i in seq_len(depth)) x <- list(x)
    x
  }
  log_run(file, list(a = nest(15)), list())
  expect_identical(read_runs(file)$a[[1]], nest(15))
  expect_error(log_run(file, list(a = nest(16)), list()), class = "fitledger_error_value")
  expect_error(log_run(file, list(a = nest(1e5)), list()), class = "fitledger_error_value")
  named <- list(a = list(b = list(c = list(d = 1))))
  log_run(file, named, list())
  expect_identical(read_runs(file)$a[[2]], named$a)
})

test_that("hostile names and values stay text", {
  file <- local_file()
  texts <- c(
    "a,b", "\"quoted\"", "line\nfeed", "cr\r\nlf", "tab\t", "=cmd()", "+1", "-1", "@x", "'", "\\",
    "{\"a\":1}", "$na", "$$", "%s%n", "{cli}", "\u00e9", "e\u0301", "\u2603", "\U1F600", " ", "NA",
    "\001\002", "\u007f", "\u2028", "</script>", "params.x", "details.seed", "status", "seed"
  )
  log_run(file, rlang::set_names(as.list(texts), texts), list(m = 1))
  runs <- read_runs(file)
  expect_identical(names(runs), c("run_id", "timestamp", texts, "m"))
  expect_identical(unlist(runs[texts], use.names = FALSE), texts)
  expect_true(chain_holds(file))
  expect_length(readLines(file), 4)
})

test_that("large values and many parameters are kept", {
  file <- local_ledger()
  big <- strrep("\u00e9\"", 5e5)
  many <- rlang::set_names(as.list(as.numeric(1:10000)), paste0("p", 1:10000))
  log_run(file, list(big = big), list(m = 1))
  log_run(file, many, list(m = 2))
  runs <- read_runs(file)
  expect_identical(runs$big[[1]], big)
  expect_identical(as.list(runs[2, names(many)]), many)
  expect_error(
    log_run(file, list(big = strrep("x", 17e6)), list()),
    class = "fitledger_error_row_too_long"
  )
  expect_equal(nrow(read_runs(file)), 2)
})

test_that("a first run that fails leaves no file", {
  file <- local_file()
  expect_error(log_run(file, list(big = strrep("x", 17e6)), list()), class = "fitledger_error_row_too_long")
  expect_false(file.exists(file))
  file <- local_file()
  file.create(file)
  expect_error(log_run(file, list(big = strrep("x", 17e6)), list()), class = "fitledger_error_row_too_long")
  expect_true(file.exists(file))
  log_run(file, list(a = 1), list(m = 1))
  expect_identical(nrow(read_runs(file)), 1L)
})

test_that("text is kept as UTF-8, whatever it was", {
  file <- local_ledger()
  latin1 <- "gr\xf6\xdfe"
  Encoding(latin1) <- "latin1"
  log_run(file, rlang::set_names(list(latin1), latin1), list(m = 1))
  runs <- read_runs(file)
  expect_identical(runs[["gr\u00f6\u00dfe"]], "gr\u00f6\u00dfe")
  marked <- "x"
  Encoding(marked) <- "bytes"
  expect_no_error(log_run(file, list(a = marked), list(m = 1)))
})

test_that("seed and tags are on record", {
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1), seed = 42, tags = list(by = "ann", try = 2L))
  log_run(file, list(a = 1), list(m = 1))
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$seed, c(42L, NA))
  expect_identical(runs$tags.by, c("ann", NA))
  expect_identical(runs$tags.try, c(2L, NA))
  expect_equal(read_runs(file, where = seed == 42)$run_id, runs$run_id[[1]])
})

test_that("a data frame of runs is logged in one write", {
  file <- local_ledger()
  grid <- data.frame(
    model = factor(c("a", "b", NA)), eta = c(0.1, NA, 1e-300), rounds = c(1L, NA, 3L),
    day = as.Date("2026-11-23") + 0:2, ignored = 1:3, rmse = c(1, NaN, Inf)
  )
  grid$layers <- list(1:2, "x", NULL)
  ids <- log_runs(file, grid, c("model", "eta", "rounds", "day", "layers"), "rmse")
  runs <- read_runs(file)
  expect_identical(runs$run_id, ids)
  expect_identical(runs$model, c("a", "b", NA))
  expect_identical(runs$eta, grid$eta)
  expect_identical(runs$rounds, grid$rounds)
  expect_identical(runs$day, grid$day)
  expect_identical(runs$layers, list(1:2, "x", NA))
  expect_identical(runs$rmse, grid$rmse)
  expect_named(runs, c("run_id", "timestamp", "model", "eta", "rounds", "day", "layers", "rmse"))
  expect_true(chain_holds(file))
  expect_length(log_runs(file, grid[0, ], "eta", "rmse"), 0)
})

test_that("a data frame of runs is logged whole or not at all", {
  file <- local_ledger()
  grid <- data.frame(a = 1:3, m = c("1", "2", "3"))
  grid$l <- list(1, 2, globalenv())
  expect_snapshot_conditions({
    log_runs(file, grid, "a", "m")
    log_runs(file, grid, c("a", "l"), character())
    log_runs(file, grid, "b", "m")
    log_runs(file, grid, "a", "a")
    log_runs(file, 1:3, "a", "m")
    log_runs(file, grid, 1, "m")
    log_runs(file, grid, "a")
    log_runs(file, grid, "a", "m", sed = 1)
  })
  expect_false(file.exists(file_of(file)))
})

test_that("writers in several processes lose nothing", {
  skip_on_cran()
  file <- local_ledger()
  code <- c(
    "library(fitledger)",
    "me <- as.integer(commandArgs(TRUE))",
    paste("file <-", code_of(file)),
    "for (i in 1:500) log_run(file, list(writer = me, i = i), list(m = i / me))",
    "cat('done\\n')"
  )
  output <- run_apart(code, times = 2)
  expect_identical(output, list("done", "done"))
  runs <- read_runs(file)
  expect_equal(nrow(runs), 1000)
  expect_setequal(paste(runs$writer, runs$i), outer(1:2, 1:500, paste))
  expect_identical(runs$m, runs$i / runs$writer)
  expect_false(anyDuplicated(runs$run_id) > 0)
  seq <- as.integer(cells(file)$seq)
  expect_identical(seq, seq_along(seq))
  expect_true(chain_holds(file))
})

test_that("forked processes log under sessions of their own", {
  skip_on_os("windows")
  file <- local_ledger()
  log_run(file, list(a = 0L), list(m = 0))
  parallel::mclapply(1:4, function(i) log_run(file, list(a = i), list(m = i)), mc.cores = 2)
  log_run(file, list(a = 5L), list(m = 5))
  expect_setequal(read_runs(file)$a, 0:5)
  rows <- cells(file)
  runs <- rows[rows$event == "run", ]
  session <- sub('.*"session":"([^"]+)".*', "\\1", runs$context)
  parent <- runs$params %in% c('{"a":0}', '{"a":5}')
  expect_length(intersect(session[parent], session[!parent]), 0)
  expect_true(chain_holds(file))
})

test_that("log_runs() takes data, seed, tags and sealed columns for all of its runs", {
  file <- local_ledger()
  grid <- data.frame(k = 1:3, valid = c(3, 1, 2), test = c(0.3, 0.1, 0.2))
  log_runs(file, grid, "k", "valid", data = cars, seed = 3, tags = list(by = "ann"), sealed = "test")
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$data, rep(hash_data(cars), 3))
  expect_identical(runs$seed, rep(3L, 3))
  expect_identical(runs$tags.by, rep("ann", 3))
  expect_false("test" %in% names(runs))
  expect_identical(reveal_run(file, best_run(file, "valid")$run_id, "report"), list(test = 0.1))
  log_runs(file, grid[1, ], "k", "valid", sealed = "test")
  expect_identical(verify_ledger(file)$status, "ok")
  expect_error(log_runs(file, grid, "k", "valid", sealed = "k"), "only be one", class = "fitledger_error_argument")
  expect_error(log_runs(file, grid, "k", "valid", seed = 1:5), class = "fitledger_error_argument")
})

test_that("log_runs() takes what R must be asked for, and refuses a bad row before it writes", {
  # Many runs are made on a thread of their own, where R isn't needed.
  for (n in c(50L, 2500L)) {
    file <- local_ledger()
    latin1 <- iconv("caf\u00e9", "UTF-8", "latin1")
    runs <- data.frame(
      i = seq_len(n), s = as.character(seq_len(n)), l = latin1, f = factor(rep(c("a", NA), n / 2)),
      d = as.Date("2026-11-23") + seq_len(n), m = seq_len(n) / 7, stringsAsFactors = FALSE
    )
    plain <- runs[c("i", "s", "m")]
    log_runs(file, plain, c("i", "s"), "m")
    log_runs(file, runs, c("i", "s", "l", "f", "d"), "m")
    runs$v <- lapply(seq_len(n), seq_len)
    log_runs(file, runs, c("i", "v"), "m")
    read <- read_runs(file)
    expect_identical(read$i, rep(seq_len(n), 3))
    expect_identical(read$l[n + 1], "caf\u00e9")
    expect_identical(read$f[n + 1:2], c("a", NA))
    expect_identical(read$d[n + 1:n], as.Date("2026-11-23") + seq_len(n))
    expect_identical(verify_ledger(file)$status, "ok")

    before <- bytes(file)
    bad <- "a\xff"
    Encoding(bad) <- "bytes"
    plain$s[n] <- bad
    expect_error(log_runs(file, plain, c("i", "s"), "m"), paste("Row", n), class = "fitledger_error_value")
    plain$d <- as.Date(NA) + 0.5
    plain$d[n] <- as.Date("2026-11-23") + 0.5
    expect_error(log_runs(file, plain, c("i", "d"), "m"), paste("Row", n), class = "fitledger_error_value")
    expect_error(log_runs(file, plain, "i", "s"), class = "fitledger_error_value")
    expect_identical(bytes(file), before)
  }
})

test_that("paths and text in the encoding of any session are taken", {
  skip_on_cran()
  skip_on_os(c("windows", "mac"))
  skip_if(!nzchar(Sys.which("localedef")), "localedef is not installed")
  locales <- withr::local_tempdir()
  for (encoding in list(c("ja_JP", "EUC-JP"), c("pl_PL", "ISO-8859-2"), c("de_DE", "ISO-8859-1"))) {
    name <- paste(encoding, collapse = ".")
    arguments <- c("-i", encoding[[1]], "-f", encoding[[2]], shQuote(file.path(locales, name)))
    suppressWarnings(system2("localedef", arguments, stdout = FALSE, stderr = FALSE))
    skip_if(!dir.exists(file.path(locales, name)), paste(name, "can't be made"))
    file <- local_file()
    output <- run_apart(
      c(
        "if (Sys.getlocale('LC_CTYPE') == 'C') { cat('no locale\\ndone\\n'); quit() }",
        "library(fitledger)",
        sprintf("path <- path.expand(enc2native(paste0(%s, '-f\\u00fcr.csv')))", deparse(file)),
        "stopifnot(Encoding(path) != 'UTF-8')",
        "id <- log_run(path, list(text = enc2native('\\u00fc')), list(m = 1), artifacts = list(model = 1))",
        "stopifnot(identical(read_runs(path)$text, '\\u00fc'), identical(read_artifact(path, id, 'model'), 1))",
        # The files are those that R itself reads and writes.
        "stopifnot(file.exists(path), dir.exists(paste0(path, '.objects')), nrow(read.csv(path)) > 1)",
        "at <- function(name) sub('[.]csv$', enc2native(paste0(name, '\\u00fc')), path)",
        "writeLines('text', at('file'))",
        "dir.create(at('folder'))",
        "writeLines('text', file.path(at('folder'), 'text'))",
        "for (name in list(at('file'), enc2utf8(at('file')))) stopifnot(identical(hash_data(name), hash_data(at('file'))))",
        "run <- start_run(path, data = at('file'))",
        "log_artifact(run, 'file', at('file'))",
        "log_artifact(run, 'folder', at('folder'))",
        "for (step in 1:3) log_metrics(run, loss = step, step = step)",
        "stopifnot(nrow(read_metrics(path)) == 3)",
        "end_run(run)",
        "stored <- artifact_path(path, run, 'file')",
        "stopifnot(identical(readLines(stored), 'text'), all(file.exists(subset(read_artifacts(path, run), stored)$path)))",
        "export_runs(path, at('export'))",
        "stopifnot(nrow(read.csv(at('export'))) == 2, nrow(read_runs(path)) == 2)",
        "stopifnot(file.copy(path, at('copy')), verify_ledger(at('copy'))$status == 'ok')",
        "beyond <- sub('[.]csv$', '\\U1F600.csv', path.expand(path))",
        "verbs <- list(function() log_run(beyond, list(), list()), function() start_run(beyond))",
        "refused <- function(e) stopifnot(is.na(iconv('a\\U1F600', 'UTF-8', '')))",
        "for (verb in c(verbs, function() hash_data(beyond))) tryCatch(verb(), fitledger_error_argument = refused)",
        "cat('done\\n')"
      ),
      env = c(LOCPATH = locales, LC_ALL = name)
    )
    skip_if("no locale" %in% output[[1]], paste(name, "is made, but not found"))
    expect_identical(tail(output[[1]], 1), "done", info = paste(output[[1]], collapse = "\n"))
  }
})

test_that("a path that the session's encoding can't hold is one path for all verbs", {
  skip_on_cran()
  skip_on_os("windows")
  folder <- withr::local_tempdir()
  output <- run_apart(
    c(
      "library(fitledger)",
      "options(warn = 2)",
      sprintf("setwd(%s)", deparse(folder)),
      "path <- '\\u00fcber.csv'",
      "id <- log_run(path, list(a = 1), list(m = 1), artifacts = list(model = 1))",
      "with_run(path, list(a = 2), function(run) log_metrics(run, m = 2, step = 1))",
      "log_call(path, identity(1))",
      "run <- start_run(path, data = path)",
      "log_artifact(run, path)",
      "end_run(run)",
      "log_run(path, list(), list(), data = c(path, path), artifacts = list(file = path))",
      "stopifnot(nrow(read_runs(path)) == 5, verify_ledger(path)$status == 'ok')",
      "stopifnot(read_artifact(path, id, 'model') == 1)",
      "stopifnot(identical(read_artifacts(path, run)$artifact, '\\u00fcber'), nrow(read_metrics(path)) == 1)",
      "invisible(hash_data(path))",
      "view_runs(path, '\\u00fcber.html', open = FALSE)",
      "export_runs(path, '\\u00fcber-flat.csv')",
      "cat('done\n')"
    ),
    env = c(LC_ALL = "C")
  )[[1]]
  expect_identical(tail(output, 1), "done", info = paste(output, collapse = "\n"))
  expect_setequal(
    enc2utf8(list.files(folder)),
    paste0("\u00fcber", c(".csv", ".csv.objects", ".html", "-flat.csv"))
  )
})

test_that("a path that the session's encoding can't hold and where nothing is, is told", {
  skip_on_cran()
  skip_on_os("windows")
  output <- run_apart(
    c(
      "library(fitledger)",
      "options(warn = 2)",
      "gone <- file.path(tempdir(), '\u00fcber.csv')",
      "new <- function() tempfile(fileext = '.csv')",
      "verbs <- expression(",
      "  read_runs(gone), best_run(gone, 'm'), verify_ledger(gone), last_run_id(gone), read_run(gone, 'a'), read_ledger(gone),",
      "  log_note(gone, 'a', 'x'), import_runs(gone, new()), export_runs(gone, new()), start_run(gone, resume = 'a'),",
      "  view_runs(gone, open = FALSE), repair_ledger(gone), checkpoint_ledger(gone), read_models(gone), hash_data(gone),",
      "  log_run(new(), list(), list(), data = gone)",
      ")",
      "for (verb in verbs) {",
      "  e <- tryCatch(eval(verb), error = identity)",
      "  if (!inherits(e, 'fitledger_error_not_found')) cat(deparse(verb), class(e)[[1]], conditionMessage(e), '\n')",
      "}",
      "cat('done\n')"
    ),
    env = c(LC_ALL = "C")
  )[[1]]
  expect_identical(output, "done")
})

test_that("scripts, artifacts and repositories may have names that the session's encoding can't hold", {
  skip_on_cran()
  skip_on_os("windows")
  skip_if(!nzchar(Sys.which("git")), "git is not installed")
  folder <- file.path(withr::local_tempdir(), "\u00fcber")
  dir.create(folder)
  script <- file.path(folder, "\u00fc.R")
  writeLines(c(
    "library(fitledger)",
    "options(warn = 2)",
    "named <- function(name) { Encoding(name) <- 'unknown'; name }",
    "writeLines('the bytes', named('\u00e4.txt'))",
    "id <- log_run('log.csv', list(a = 1), list(), artifacts = list(kept = '\u00e4.txt'))",
    "log_run('log.csv', list(a = 1), list(), artifacts = list(named = '\u00e4.txt'), keep = FALSE)",
    "stopifnot(readLines(artifact_path('log.csv', id, 'kept')) == 'the bytes')",
    "stopifnot(readLines(artifact_path('log.csv', last_run_id('log.csv'), 'named')) == 'the bytes')",
    "looked <- compare_session('log.csv', id)",
    "stopifnot(looked$status[looked$field == 'script'] == 'same')",
    "invisible(capture.output(print(read_run('log.csv', id)), print(verify_ledger('log.csv'))))",
    "path <- file.path(getwd(), named('l\u00f6g.csv'))",
    "lines <- readLines('log.csv')",
    "writeLines(sub('run,', 'Run,', lines, fixed = TRUE), path)",
    "repaired <- suppressMessages(repair_ledger('l\u00f6g.csv'))",
    "stopifnot(file.exists(file.path(getwd(), basename(repaired$set_aside))))",
    "cat('done\n')"
  ) |> enc2utf8(), script, useBytes = TRUE)
  withr::local_dir(folder)
  git("init", "-q")
  git("commit", "-q", "--allow-empty", "-m", "a commit")
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  output <- withr::with_envvar(c(R_LIBS = libraries, LC_ALL = "C"), {
    suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)), stdout = TRUE, stderr = TRUE, timeout = patience))
  })
  expect_identical(tail(output, 1), "done", info = paste(output, collapse = "\n"))
})
