# Somebody else's ledger may say anything in a row that is chained as it should be, and anybody may give any argument.

# All of it takes some minutes: FITLEDGER_LONG=true does it. Otherwise a few of the odd values stand for all of them.
is_long <- identical(Sys.getenv("FITLEDGER_LONG"), "true")

# Few packages stand for all.
with_few_packages <- function(rows) {
  rows[, "context"] <- gsub("(\"packages\":\\{\"[^\"]*\":\"[^\"]*\")[^}]*", "\\1", rows[, "context"])
  rows
}

reading_calls <- function(file, ids, models = c("price@production", "price/1", "price/2")) {
  calls <- list(
    read_runs = quote(read_runs(file, details = TRUE, void = TRUE)),
    where = quote(read_runs(file, where = status == "finished" & dirty & user == "x" & tags$by == "ann")),
    best_run = quote(best_run(file, "rmse")),
    best_over = quote(best_run(file, "loss", over = "min")),
    read_artifacts = quote(read_artifacts(file)),
    read_notes = quote(read_notes(file)),
    read_metrics = quote(read_metrics(file)),
    compare_runs = quote(print(compare_runs(file, ids, only_different = FALSE))),
    read_ledger = quote(read_ledger(file)),
    verify_ledger = quote(print(verify_ledger(file))),
    checkpoint_ledger = quote(checkpoint_ledger(file)),
    last_run_id = quote(last_run_id(file)),
    read_models = quote(read_models(file)),
    stage_history = quote(print(stage_history(file, "price"))),
    export_runs = quote(export_runs(file, tempfile())),
    view_runs = quote(view_runs(file, tempfile(fileext = ".html"), open = FALSE)),
    plot_runs = quote(plot_runs(file, "k", "rmse")),
    plot_steps = quote(plot_runs(file, "step", "loss")),
    trace_data = quote(print(trace_lineage(file, data = cars))),
    trace_package = quote(trace_lineage(file, package = "R"))
  )
  of_run <- list(
    read_run = quote(print(read_run(file, ID))),
    compare_session = quote(print(compare_session(file, ID))),
    write_lockfile = quote(write_lockfile(file, ID, tempfile())),
    trace_lineage = quote(plot(print(trace_lineage(file, ID)))),
    read_artifact = quote(read_artifact(file, ID, "model")),
    artifact_path = quote(artifact_path(file, ID, "model")),
    by_path = quote(artifact_path(file, ID, "path")),
    read_path = quote(read_artifact(file, ID, "path"))
  )
  of_model <- list(
    read_model = quote(read_model(file, MODEL)),
    check = quote(predict(read_model(file, MODEL, check = TRUE), data.frame(speed = 1, f = "b"))),
    trace_model = quote(print(trace_lineage(file, MODEL)))
  )
  fill <- function(calls, name, value) lapply(calls, function(call) do.call(substitute, list(call, rlang::set_names(list(value), name))))
  c(calls, fill(of_run, "ID", ids[[1]]), fill(of_run, "ID", ids[[2]]), unlist(lapply(models, function(model) fill(of_model, "MODEL", model))))
}

odd_values <- c(
  "null", "true", "5", "-5", "1e+300", "\"\"", "\"x\"", "\"/tmp\"", "\"\\u0001 \\\"<b>\"", "[]", "[1,\"a\",null]", "{}",
  "{\"a\":null}", "{\"$na\":\"character\"}", "{\"$double\":\"NaN\"}", "{\"$list\":[1]}",
  "{\"$empty\":\"double\"}", "{\"$date\":\"2026-11-23\"}", "{\"$vector\":{\"a\":1}}",
  paste0(strrep("[", 25), strrep("]", 25))
)

# The values in the cells of a row, each with its cell and its place there.
values_of_row <- function(row) {
  cells <- c("params", "metrics", "artifacts", "context")
  unlist(lapply(cells, function(cell) lapply(json_values(row[[cell]]), function(span) list(cell = cell, span = span))), recursive = FALSE)
}

# A row that names no session says nothing, so these values are made odd apart from the others.
names_session <- function(row, value) {
  text <- substr(row[[value$cell]], 1, value$span[[1]] - 1)
  grepl("(\"session\":|^\\{\"id\":)$", text) || row[["event"]] == "ledger"
}

# Ledgers in which a value of each row is odd: the first of each, then the second of each, and so on.
odd_ledgers <- function(rows, odd_value) {
  values <- apply(rows, 1, values_of_row, simplify = FALSE)
  are_sessions <- Map(function(i) vapply(values[[i]], function(value) names_session(rows[i, ], value), NA), seq_along(values))
  made <- list()
  for (sessions in c(TRUE, FALSE)) {
    chosen <- Map(function(values, are) values[are == sessions], values, are_sessions)
    for (k in seq_len(max(lengths(chosen)))) {
      odd <- rows
      for (i in which(lengths(chosen) >= k)) {
        value <- chosen[[i]][[k]]
        odd[i, value$cell] <- replace_value(odd[i, value$cell], value$span, odd_value)
      }
      made <- c(made, list(odd))
    }
  }
  made
}

test_that("every reading verb has an answer or a classed error, whatever a row says", {
  skip_on_cran()
  withr::local_options(fitledger.cache = FALSE, fitledger.sync = "none")
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  file <- ledger_of_everything()
  rows <- with_few_packages(rows_of(file))
  ids <- unique(rows[rows[, "event"] %in% c("run", "start"), "run_id"])
  calls <- reading_calls(file, ids)
  for (call in calls) {
    expect_null(unfit_outcome(eval(call)))
  }
  unfit <- character()
  for (odd_value in if (is_long) odd_values else odd_values[c(1, 3, 7, 11, 12, 14)]) {
    for (odd in odd_ledgers(rows, odd_value)) {
      write_rows(odd, file)
      for (name in names(calls)) {
        outcome <- unfit_outcome(eval(calls[[name]]))
        if (length(outcome)) {
          unfit <- c(unfit, paste0(name, " with ", odd_value, ": ", outcome))
        }
      }
    }
  }
  expect_identical(unique(unfit), character())
})

test_that("what is printed or said holds no command for a terminal", {
  # A name, the values of texts: cleared lines and colours as a terminal has them, in both spellings.
  odd <- "\u001b[2K\u001b[31mred\u009b1m\u0007\rover"
  file <- local_ledger()
  named <- function(value) rlang::set_names(list(value), odd)
  id <- log_run(file, named(odd), named(1), artifacts = named(1), tags = named(odd), data = I(odd))
  other <- log_run(file, list(k = 2), list(m = 1), artifacts = list(model = 1))
  void_run(file, id, odd)
  register_model(file, "price", other, signature = rlang::set_names(cars, c(odd, "dist")))
  rows <- rows_of(file)
  rows[, "context"] <- gsub("\"(user|r|platform)\":\"[^\"]*\"", "\"\\1\":\"\\\\u001b[31m\"", rows[, "context"])
  write_rows(rows, file)
  said <- function(code) {
    note <- function(condition) {
      cat(conditionMessage(condition), "\n")
      rlang::cnd_muffle(condition)
    }
    output <- capture.output(tryCatch(
      withCallingHandlers(print(code), message = note, warning = note),
      error = function(e) cat(conditionMessage(e))
    ))
    output[grepl("[[:cntrl:]]", output)]
  }
  expect_identical(verify_ledger(file)$status, "ok")
  expect_identical(said(read_runs(file, details = TRUE, void = TRUE)), character())
  expect_identical(said(compare_runs(file, c(id, other), only_different = FALSE)), character())
  expect_identical(said(compare_session(file, id)), character())
  expect_identical(said(trace_lineage(file, id)), character())
  expect_identical(said(trace_lineage(file, "price/1")), character())
  expect_identical(said(load_model(file, "price/1", check = TRUE)), character())
  expect_identical(said(best_run(file, "unknown")), character())
  expect_identical(said(read_runs(file, columns = "unknown")), character())
  expect_identical(said(read_artifact(file, id, "unknown")), character())
  expect_identical(said(register_model(file, "price", id, odd)), character())
  lines <- readLines(file)
  writeLines(c(lines[1:3], paste0("9,", odd, ",", odd, ",", odd), lines[-(1:4)]), file)
  expect_identical(said(verify_ledger(file)), character())
  expect_identical(said(repair_ledger(file)), character())
})

# ---- Arguments --------------------------------------------------------------

# One call of each exported function that holds, its arguments by name, with what stands before it.
valid_calls <- function(env = parent.frame()) {
  no_server <- function() stop("there is no server")
  file <- local_models(env = env)
  ids <- read_runs(file)$run_id
  csv <- withr::local_tempfile(fileext = ".csv", .local_envir = env)
  writeLines(c("run_id,timestamp,k,rmse", "a-1,2026-11-23 04:20:47,1,2"), csv)
  live <- function() start_run(file)
  new <- function(extension = "") tempfile(fileext = extension)
  promote_model(file, "stopping", 1)
  promote_model(file, "stopping", 2)
  log_runs(file, data.frame(k = 1:2, rmse = 1:2), "k", "rmse")
  reported <- live()
  log_metrics(reported, loss = 1, step = 1)
  end_run(reported)
  sealed <- log_run(file, list(k = 1), list(), sealed = list(test = 1))
  list(
    artifact_path = function() list(file = file, run_id = ids[[1]], name = "model"),
    best_run = function() list(file = file, metric = "sigma", maximize = FALSE, n = 1, columns = "k", over = "last"),
    checkpoint_ledger = function() list(file = file),
    compare_runs = function() list(file = file, run_id = ids, only_different = TRUE),
    compare_session = function() list(file = file, run_id = ids[[1]]),
    describe_fit = function() list(x = lm(dist ~ speed, cars)),
    end_run = function() list(.run = live(), metrics = list(a = 1), status = "finished", sealed = list(b = 1)),
    export_runs = function() list(file = file, to = new(".csv"), columns = "k", format = "csv"),
    fit_description = function() {
      list(
        params = list(k = 1), metrics = list(m = 1), series = data.frame(metric = "a", step = 1, value = 2),
        runs = data.frame(params = I(list(list(k = 1))), metrics = I(list(list(m = 1)))),
        sealed = list(s = 1), notes = "n", seconds = 1, seed = 1, packages = c(stats = "4"), prototype = cars
      )
    },
    gate_better = function() list(data = cars, outcome = "dist", metric = "rmse", by = 0, maximize = FALSE, predict = predict),
    hash_data = function() list(x = cars),
    import_runs = function() list(from = csv, file = new(".csv"), metrics = "rmse", dry_run = FALSE),
    last_run_id = function() list(file = file),
    ledger_postgres = function() list(connect = no_server, name = "a", schema = "fitledger"),
    read_model = function() list(file = file, model = "stopping/1", check = FALSE),
    log_artifact = function() list(.run = live(), name = "x", x = list(1), keep = FALSE),
    log_call = function() {
      list(
        file = file, call = quote(identity(1)), metrics = function(x) list(m = 1), sealed = function(x) list(s = 1),
        params = list(k = 1), artifact = "model", data = cars, seed = 1, tags = list(t = 1), redact = "x", name = "n",
        experiment = "e", parent = ids[[1]]
      )
    },
    log_metrics = function() list(.run = live(), a = 1, step = 1),
    log_fit = function() {
      list(
        file = file, fit = lm(dist ~ speed, cars), artifact = "model", data = cars, seed = 1, tags = list(t = 1), name = "n",
        experiment = "e", parent = ids[[1]]
      )
    },
    log_note = function() list(file = file, run_id = ids[[1]], text = "a note"),
    log_params = function() list(.run = live(), a = 1),
    log_run = function() {
      list(
        file = file, params = list(a = 1), metrics = list(b = 1), artifacts = list(x = list(1)), keep = FALSE, data = cars,
        seed = 1, tags = list(t = 1), sealed = list(s = 1), name = "n", experiment = "e", parent = ids[[1]]
      )
    },
    log_runs = function() {
      list(
        file = file, runs = cars, params = "speed", metrics = "dist", data = cars, seed = 1, tags = list(t = 1),
        sealed = character(), name = "n", experiment = "e", parent = ids[[1]]
      )
    },
    log_search = function() {
      # Where tune isn't installed this is refused as a function that can't be found.
      list(
        file = file, call = quote(tune::fit_resamples(parsnip::linear_reg(), dist ~ speed, rsample::bootstraps(cars, 1))),
        name = "n", resume = FALSE, data = cars, seed = 1, tags = list(t = 1), experiment = "e", parent = ids[[1]]
      )
    },
    log_tags = function() list(.run = live(), a = 1),
    plot_runs = function() list(file = file, x = "k", y = "rmse", maximize = FALSE),
    promote_model = function() {
      list(
        file = file, name = "stopping", version = 1, stage = "testing", gate = function(candidate, current) list(pass = TRUE),
        expect = NULL, why = "so"
      )
    },
    read_artifacts = function() list(file = file, run_id = ids[[1]]),
    read_notes = function() list(file = file, run_id = ids[[1]]),
    read_run = function() list(file = file, run_id = ids[[1]]),
    read_artifact = function() list(file = file, run_id = ids[[1]], name = "model"),
    read_ledger = function() list(file = file),
    read_metrics = function() list(file = file, run_id = reported$run_id, metrics = "loss"),
    read_models = function() list(file = file),
    read_runs = function() list(file = file, columns = "k", compact = FALSE, details = TRUE, void = TRUE),
    register_model = function() list(file = file, name = "other", run_id = ids[[1]], artifact = "model", signature = cars),
    repair_ledger = function() list(file = file),
    restore_run = function() list(file = file, run_id = ids[[1]], reason = "so"),
    reveal_run = function() list(file = file, run_id = sealed, why = "so"),
    rollback_model = function() {
      promote_model(file, "stopping", 1)
      promote_model(file, "stopping", 2)
      list(file = file, name = "stopping", stage = "production", why = "so")
    },
    stage_history = function() list(file = file, name = "stopping"),
    start_run = function() {
      list(
        file = file, params = list(a = 1), data = cars, seed = 1, tags = list(t = 1), name = "n", experiment = "e",
        parent = ids[[1]], resume = NULL, take_over = FALSE
      )
    },
    stop_view = function() list(),
    tag_run = function() list(.file = file, .run_id = ids[[1]], a = 1),
    trace_lineage = function() {
      list(file = file, what = ids[[1]], artifact = NULL, data = NULL, commit = NULL, package = NULL, direction = "up")
    },
    share_ledger = function() list(ledger = ledger_postgres(no_server, "a"), role = "b", write = TRUE),
    verify_ledger = function() list(file = file, checkpoint = checkpoint_ledger(file)),
    view_runs = function() list(file = file, path = new(".html"), context = TRUE, live = FALSE, port = NULL, open = FALSE),
    void_run = function() list(file = file, run_id = ids[[2]], reason = "so"),
    with_run = function() {
      list(
        file = file, params = list(a = 1), fun = function(run) 1, data = cars, seed = 1, tags = list(t = 1), name = "n",
        experiment = "e", parent = ids[[1]]
      )
    },
    write_lockfile = function() list(file = file, run_id = ids[[1]], path = new())
  )
}

odd_arguments <- function() {
  latin1 <- "\xe9"
  Encoding(latin1) <- "latin1"
  bytes <- "\xff\xfe"
  Encoding(bytes) <- "bytes"
  list(
    null = NULL, na = NA, na_text = NA_character_, none = character(), empty = "", text = "nowhere", two = c("a", "b"),
    latin1 = latin1, no_text = "a\xff", bytes = bytes, control = "a\n\001", markup = "%s {x} {.val x}",
    huge_text = strrep("x", 1e5), number = 5, negative = -1, half = 1.5, big = 2^53 + 2, huge = 1e300, infinite = Inf,
    not_a_number = NaN, flag = TRUE, complex = 1i, raw = as.raw(1), fun = sum, closure = function() NULL, env = globalenv(),
    formula = y ~ x, symbol = quote(x), list = list(), unnamed = list(1, "a"), half_named = list(a = 1, 2), twice = list(a = 1, a = 2),
    no_text_names = rlang::set_names(list(1), "a\xff"), matrix = matrix(1:4, 2), frame = cars, factor = factor("a"),
    date = as.Date("2026-11-23"), difftime = as.difftime(1, units = "mins"), integer64 = structure(3.5e-323, class = "integer64"),
    folder = tempdir(), external = methods::getClass("numeric"), expression = expression(a, b)
  )
}

# `call` is the one argument that is taken as code.
call_with <- function(fun, arguments) {
  values <- names(arguments) != "call"
  arguments[values] <- lapply(arguments[values], function(value) if (is.language(value)) enquote(value) else value)
  do.call(fun, arguments)
}

test_that("every argument that can't be is refused by name, with a classed error", {
  skip_on_cran()
  # Packages that searches load ask for the time zone, of which R warns where the system doesn't know it.
  withr::local_envvar(TZ = Sys.getenv("TZ", "UTC"))
  withr::local_options(fitledger.cache = FALSE, fitledger.sync = "none", browser = function(url) NULL, viewer = NULL)
  withr::defer(suppressMessages(stop_view()))
  withr::local_dir(withr::local_tempdir())
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  calls <- valid_calls()
  exported <- getNamespaceExports("fitledger")
  expect_setequal(names(calls), exported)
  # What these are given is the user's own code, which may fail as it likes.
  theirs <- c("with_run fun", "log_call call", "log_search call")
  unfit <- character()
  asked <- 0
  for (name in sort(exported)) {
    fun <- getExportedValue("fitledger", name)
    expect_null(unfit_outcome(call_with(fun, calls[[name]]())))
    expect_setequal(setdiff(as.character(names(formals(fun))), c("...", "where")), setdiff(as.character(names(calls[[name]]())), "a"))
    for (arg in names(calls[[name]]())) {
      odd <- odd_arguments()
      asked <- asked + 1
      for (kind in if (is_long) names(odd) else names(odd)[seq_along(odd) %% 4 == asked %% 4]) {
        arguments <- calls[[name]]()
        arguments[arg] <- odd[kind]
        outcome <- unfit_outcome(call_with(fun, arguments))
        if (length(outcome) && !paste(name, arg) %in% theirs) {
          unfit <- c(unfit, paste0(name, "(", arg, " = <", kind, ">): ", outcome))
        }
      }
    }
  }
  expect_identical(unfit, character())
})

test_that("a search of anybody's class is logged, whatever it says of its candidates", {
  skip_on_cran()
  withr::local_options(fitledger.sync = "none")
  file <- local_ledger()
  registerS3method("describe_fit", "fl_odd_search", function(x, ...) x$says(), envir = asNamespace("fitledger"))
  unfit <- character()
  logged <- 0L
  tried <- function(what, runs) {
    # One may be changed after it was made, too.
    changed <- fit_description()
    changed$runs <- runs
    for (says in list(function() fit_description(runs = runs), function() changed)) {
      fit <- structure(list(says = says), class = "fl_odd_search")
      outcome <- unfit_outcome(expect_identical(log_fit(file, fit, artifact = NULL), fit))
      if (length(outcome)) unfit <<- c(unfit, paste0(what, ": ", outcome))
      logged <<- logged + 1L
    }
  }
  plain <- fit_description(runs = data.frame(params = I(list(list(k = 1), list(k = 2))), metrics = I(list(list(m = 1), list(m = 2)))))$runs
  odd <- odd_arguments()
  for (i in seq_along(odd)) {
    kind <- names(odd)[[i]]
    tried(kind, odd[[kind]])
    columns <- if (is_long) names(plain) else names(plain)[[i %% length(plain) + 1]]
    for (column in columns) {
      runs <- unclass(plain)
      runs[column] <- odd[kind]
      tried(paste(column, "is", kind), structure(runs, class = "data.frame"))
      runs <- plain
      runs[[column]] <- list(odd[[kind]], plain[[column]][[2]])
      tried(paste("of", column, "one is", kind), runs)
    }
    for (column in intersect(columns, c("params", "metrics", "tags"))) {
      runs <- plain
      runs[[column]][[1]]["x"] <- odd[kind]
      tried(paste("a value of", column, "is", kind), runs)
    }
  }
  expect_identical(unfit, character())
  runs <- read_runs(file, columns = c("parent", "status"))
  expect_identical(sum(is.na(runs$parent)), logged)
  expect_identical(unique(runs$status), "finished")
  expect_identical(verify_ledger(file)$status, "ok")
})
