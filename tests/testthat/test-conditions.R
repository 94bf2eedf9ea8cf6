# Texts from a file reach conditions; none may be taken for a format.

hostile_ledger <- function(params) {
  file <- withr::local_tempfile(.local_envir = parent.frame())
  header <- "seq,time,event,run_id,params,metrics,artifacts,context,hash"
  quoted <- function(x) if (nzchar(x)) paste0('"', gsub('"', '""', x), '"') else ""
  row <- function(seq, event, id, params, context) {
    paste(
      seq, sprintf("2026-11-23T04:20:47.%06dZ", seq), event, id, quoted(params), "", "",
      quoted(context), strrep("0", 64),
      sep = ","
    )
  }
  writeLines(useBytes = TRUE, c(
    header,
    row(1, "ledger", "", "", '{"format":1,"id":"0123456789abcdef0123456789abcdef"}'),
    row(2, "session", "", "", '{"id":"aaaaaaaaaaaa"}'),
    row(3, "run", "a", params, '{"session":"aaaaaaaaaaaa"}')
  ), file)
  file
}

test_that("a format string in a name from a file is only text", {
  names <- c("%s%n%s%n%s%n%s%n", "{stop('x')}", "%d%d%d%d", "\\u001b[31m")
  for (name in names) {
    file <- hostile_ledger(sprintf('{"%s":1,"other":"%%s%%n"}', name))
    runs <- read_runs(file)
    expect_equal(ncol(runs), 4)
    e <- expect_error(best_run(file, paste0(names(runs)[[3]], "x")), class = "fitledger_error_unknown")
    # What a terminal would take for a command is not shown.
    expect_match(conditionMessage(e), gsub("[[:cntrl:]]", " ", names(runs)[[3]]), fixed = TRUE)
  }
})

test_that("a NUL in a name or a value from a file is damage, not a crash", {
  for (params in c('{"a\\u0000b":1}', '{"a":"\\u0000%s%n"}', '{"a":["x","\\u0000"]}')) {
    file <- hostile_ledger(params)
    e <- expect_error(read_runs(file), class = "fitledger_error_corrupt")
    expect_equal(e$row, 3)
  }
})

test_that("JSON that is no object, or none at all, is damage", {
  for (params in c('{"a":}', '{"a":1e999}', '{"a":\\ud800"}', '{}}', '{"a":"\\ud800"}')) {
    expect_error(read_runs(hostile_ledger(params)), class = "fitledger_error_corrupt")
  }
})

test_that("a path with a format string is only text", {
  path <- file.path(withr::local_tempdir(), "%s%n{x}.csv")
  expect_error(read_runs(path), "%s%n{x}.csv", fixed = TRUE, class = "fitledger_error_not_found")
  log_run(path, list(a = 1), list(m = 1))
  expect_equal(nrow(read_runs(path)), 1)
})

test_that("other files are refused and not touched by a byte", {
  file <- local_file()
  header <- "seq,time,event,run_id,params,metrics,artifacts,context,hash"
  strangers <- list(
    text = "hello", csv = "a,b\n1,2\n", longer = paste0(header, ",more\n"), binary = rawToChar(as.raw(c(0x1f, 0x8b, 0x08)))
  )
  for (kind in names(strangers)) {
    writeBin(charToRaw(strangers[[kind]]), file)
    before <- bytes(file)
    expect_error(log_run(file, list(a = 1), list(m = 1)), class = "fitledger_error_not_a_ledger", info = kind)
    expect_error(read_runs(file), class = "fitledger_error_not_a_ledger", info = kind)
    expect_identical(bytes(file), before, info = kind)
  }
})

test_that("a ledger that an editor saved its own way is refused, and the line that is said restores it", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = 1))
  whole <- bytes(file)
  edited <- list(
    "CR LF" = charToRaw(gsub("\n", "\r\n", rawToChar(whole), fixed = TRUE)),
    "byte order mark" = c(as.raw(c(0xef, 0xbb, 0xbf)), whole)
  )
  for (what in names(edited)) {
    writeBin(edited[[what]], file)
    expect_error(log_run(file, list(a = 2), list(m = 2)), what, class = "fitledger_error_corrupt")
    e <- expect_error(read_runs(file), what, class = "fitledger_error_corrupt")
    expect_identical(verify_ledger(file)$status, "corrupt")
    expect_identical(bytes(file), edited[[what]])
    eval(parse(text = sub(".*`(x <- [^`]*)`.*", "\\1", conditionMessage(e))))
    expect_identical(bytes(file), whole)
  }
})

test_that("a ledger of a later format is left alone", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = 1))
  later <- sub('""format"":1', '""format"":2', readLines(file), fixed = TRUE)
  writeLines(later, file)
  before <- bytes(file)
  expect_error(log_run(file, list(a = 1), list(m = 1)), class = "fitledger_error_newer_format")
  expect_error(read_runs(file), class = "fitledger_error_newer_format")
  expect_identical(bytes(file), before)
})

test_that("what the core has to say is a warning with a class, and not part of the value", {
  for (class in c("network", "not_recorded")) {
    result <- structure("id", names = "on %s%n {NFS}")
    names(attributes(result)) <- class
    expect_warning(
      id <- signal_warnings(result, NULL), "on %s%n {NFS}",
      fixed = TRUE, class = paste0("fitledger_warning_", class)
    )
    expect_identical(id, "id")
  }
})

test_that("where warnings are errors, no warning of ours makes a call fail that has logged something", {
  skip_unless_file()
  skip_on_cran()
  skip_on_os("windows")
  # A test would muffle them.
  output <- run_apart(c(
    "library(fitledger)",
    "options(warn = 2)",
    "handle <- unclass(getLoadedDLLs()[['stats']])$handle",
    "obstructed <- function() {",
    "  file <- tempfile(fileext = '.csv')",
    "  invisible(file.create(paste0(file, '.objects')))",
    "  file",
    "}",
    "plain <- function() tempfile(fileext = '.csv')",
    "grid <- data.frame(a = 1:2, m = 3:4)",
    "gone <- function(run, then) {",
    "  writeLines('something else', run$file)",
    "  then()",
    "}",
    "calls <- list(",
    "  list(obstructed, function(file) log_run(file, list(), list(m = 1))),",
    "  list(obstructed, function(file) log_runs(file, grid, 'a', 'm')),",
    "  list(obstructed, function(file) end_run(start_run(file))),",
    "  list(obstructed, function(file) log_metrics(start_run(file), m = 1)),",
    "  list(obstructed, function(file) with_run(file, list(), function(run) 1)),",
    "  list(obstructed, function(file) log_call(file, identity(1))),",
    "  list(plain, function(file) log_run(file, list(), list(), artifacts = list(model = list(handle)))),",
    "  list(plain, function(file) log_artifact(start_run(file), 'model', list(handle))),",
    "  list(plain, function(file) log_call(file, identity(list(handle)), artifact = 'model')),",
    "  list(plain, function(file) log_call(file, identity(1), metrics = function(fit) list(m = 'x'))),",
    "  list(plain, function(file) with_run(file, list(), function(run) log_metrics(run, m = 'x'))),",
    "  list(plain, function(file) with_run(file, list(), function(run) gone(run, function() 1)))",
    ")",
    "for (call in calls) {",
    "  file <- call[[1]]()",
    "  said <- character()",
    "  failed <- tryCatch(",
    "    {",
    "      withCallingHandlers(call[[2]](file), warning = function(w) said <<- class(w)[[1]])",
    "      'no'",
    "    },",
    "    error = conditionMessage",
    "  )",
    "  runs <- tryCatch(nrow(read_runs(file)), fitledger_error_not_a_ledger = function(e) 0)",
    "  cat('>', failed, sub('fitledger_warning_', '', said), runs, '\\n')",
    "}",
    "fails <- function(run) gone(run, function() stop('mine'))",
    "said <- tryCatch(with_run(plain(), list(), fails), error = conditionMessage)",
    "cat('>', said, '\\n')",
    "cat('done\\n')"
  ))[[1]]
  expect_identical(grep("^> ", output, value = TRUE), paste0("> ", c(
    "no not_recorded 1", "no not_recorded 2", rep("no not_recorded 1", 4), rep("no pointers 1", 3),
    rep("no not_recorded 1", 2), "no end 0", "mine"
  ), " "))
  expect_true("done" %in% output)
})

test_that("near names are offered among names that somebody may type", {
  expect_identical(near_names("rsme", c("lambda", "rmse", "mse")), c("rmse", "mse"))
  expect_identical(near_names("rsme", c(strrep("rsme", 10000), "rmse")), "rmse")
  expect_identical(near_names(strrep("a", 30000), c("a", strrep("a", 29999))), character())
  expect_identical(near_names("a", character()), character())
})

test_that("text that can't be read is an argument error, and stands for nothing else", {
  file <- local_ledger()
  id <- log_run(file, list(a = 1), list(m = 1), artifacts = list(model = 1))
  before <- bytes(file)
  odd <- list("20261125-\xff", `Encoding<-`("a\xff", "bytes"))
  for (bad in odd) {
    calls <- list(
      quote(void_run(file, bad, "x")), quote(log_note(file, bad, "x")), quote(log_note(file, id, bad)),
      quote(start_run(file, resume = bad)), quote(read_artifact(file, bad, "model")), quote(read_artifact(file, id, bad)),
      quote(log_run(bad, list(), list())), quote(verify_ledger(bad)), quote(repair_ledger(bad)), quote(checkpoint_ledger(bad)),
      quote(read_runs(file, columns = bad)), quote(best_run(file, bad)), quote(register_model(file, bad, id)),
      quote(promote_model(file, bad, 1)), quote(rollback_model(file, bad)), quote(stage_history(file, bad)),
      quote(trace_lineage(file, bad)), quote(export_runs(file, bad)), quote(read_metrics(file, bad)),
      quote(plot_runs(file, bad, "m"))
    )
    for (call in calls) expect_error(eval(call), class = "fitledger_error_argument", info = deparse1(call))
  }
  expect_identical(bytes(file), before)
})

test_that("a pipe where a file should be is said, and not waited for", {
  skip_on_os("windows")
  file <- local_ledger()
  pipe <- withr::local_tempfile()
  skip_if(system2("mkfifo", shQuote(pipe)) != 0, "no pipes here")
  log_run(file, list(a = 1), list(m = 1))
  expect_error(view_runs(file, pipe, open = FALSE), class = "fitledger_error_exists")
  expect_error(export_runs(file, pipe), class = "fitledger_error_exists")
  expect_error(hash_data(pipe), class = "fitledger_error")
})

test_that("an error whose message is no text is thrown on as it is", {
  file <- local_ledger()
  odd <- structure(class = c("odd", "error", "condition"), list(message = mean, call = NULL))
  caught <- tryCatch(with_run(file, list(a = 1), function(run) stop(odd)), error = identity)
  expect_identical(class(caught), class(odd))
  expect_identical(read_runs(file, details = TRUE)$status, "failed")
})

test_that("what is recorded and said of numbers doesn't depend on the session's options", {
  say <- function() {
    file <- local_ledger()
    other <- local_ledger()
    id <- log_run(file, list(form = ~ x + 0.5, code = quote(f(100000, 0.5))), list(m = 1.5), artifacts = list(model = 1:1e5))
    fit <- function(x, ...) 1
    log_call(file, fit(x, I(0.25), 100000 + 0.5))
    try(log_call(file, stop(0.5 + 100000)), silent = TRUE)
    for (i in 1:3) register_model(file, "price", id)
    damaged <- local_file()
    lines <- readLines(file_of(file))
    lines[[4]] <- sub("1.5", "2.5", lines[[4]], fixed = TRUE)
    writeLines(lines, damaged)
    said <- lapply(expression(
      import_runs(file, other), export_runs(other, tempfile(), format = "mlruns"), repair_ledger(damaged),
      print(verify_ledger(file)), log_metrics(start_run(other), a = 1, step = 1.25), best_run(file, "m", n = 100000.5),
      promote_model(file, "price", 1, gate = function(candidate, current) list(pass = FALSE, figures = list(a = 1.5)))
    ), function(code) {
      printed <- utils::capture.output(conditions <- conditions_of(code, environment()))
      c(printed, unlist(lapply(conditions, condition_lines)))
    })
    said <- gsub("[^ ']*(/|\\\\)[^ ']*|[0-9a-z]+[.]csv[^ ']*|ledger-[0-9a-f]+", "<path>", unlist(said))
    said <- gsub("(byte )[0-9]+|[0-9]+( bytes)", "\\1<bytes>\\2", said)
    calls <- grep("\"call\":", read_ledger(file)$context, value = TRUE)
    no_ids(c(said, read_ledger(file)$params, sub(".*\"call\":", "", calls)))
  }
  usual <- say()
  withr::local_options(OutDec = ",", scipen = -100, digits = 1, warn = 2)
  expect_identical(say(), usual)
})
