# The rows of the table: what is timed, and beside what.

params <- list(model = "ridge", lambda = 0.1, depth = 3L, center = TRUE, fold = "a")
metrics <- list(rmse = 1.95909394844885, mae = 1.52731268134967, r2 = 0.839127604021379)

many_runs <- function(n) {
  i <- seq_len(n)
  data.frame(
    model = c("ridge", "lasso", "tree")[i %% 3 + 1],
    lambda = i / 7,
    depth = i %% 10L,
    center = i %% 2 == 0,
    fold = letters[i %% 5 + 1],
    rmse = 2 + sin(i),
    mae = 1.5 + cos(i),
    r2 = 0.9 - (i %% 1000) / 1777
  )
}

log_many <- function(file, runs) {
  log_runs(file, runs, params = names(params), metrics = names(metrics))
}

# --- Ours --------------------------------------------------------------------

ours_logs <- function(rows = 0, name = "fitledger", aim = NA) {
  contender(name, aim = aim, prepare = function(folder) {
    file <- file.path(folder, "ledger.csv")
    if (rows > 0) log_many(file, many_runs(rows))
    ready(function() log_run(file, params, metrics))
  })
}

# Called before it is timed: a new file and whatever else comes once.
ready <- function(call) {
  for (i in 1:3) call()
  call
}

# --- The chapter's logger, in our words --------------------------------------

chapter_log_run <- function(file, params, metrics) {
  stopifnot(is.list(params), is.list(metrics))
  id <- sprintf("%s-%04d", format(Sys.time(), "%Y%m%d-%H%M%S"), sample.int(9999, 1))
  line <- data.frame(
    run_id = id, timestamp = as.character(Sys.time()), c(params, metrics),
    stringsAsFactors = FALSE
  )
  known <- file.exists(file)
  utils::write.table(
    line, file,
    append = known, col.names = !known, row.names = FALSE, sep = ","
  )
  invisible(id)
}

chapter_read_runs <- function(file) {
  utils::read.csv(file, stringsAsFactors = FALSE)
}

chapter_best_run <- function(file, metric) {
  runs <- chapter_read_runs(file)
  runs[which.min(runs[[metric]]), , drop = FALSE]
}

chapter_logs <- function(aim) {
  contender("chapter's log_run()", aim = aim, prepare = function(folder) {
    file <- file.path(folder, "runs.csv")
    ready(function() chapter_log_run(file, params, metrics))
  })
}

# The table that the chapter's logger would have made.
chapter_csv <- function(file, runs) {
  now <- Sys.time()
  id <- sprintf("%s-%04d", format(now, "%Y%m%d-%H%M%S"), seq_len(nrow(runs)) %% 10000L)
  runs <- cbind(run_id = id, timestamp = as.character(now), runs)
  utils::write.table(runs, file, row.names = FALSE, sep = ",")
  file
}

# --- Packages ----------------------------------------------------------------

lacking <- function(package) {
  if (!requireNamespace(package, quietly = TRUE)) paste(package, "is not installed")
}

# A row that is ready to be written: making id and time would come on top.
ready_row <- function() {
  c(list(run_id = "20261123-042047-0001", timestamp = "2026-11-23 04:20:47"), params, metrics)
}

fwrite_logs <- function(aim) {
  contender(
    "fwrite(append = TRUE), ready row",
    aim = aim, lacking = lacking("data.table"),
    prepare = function(folder) {
      file <- file.path(folder, "runs.csv")
      row <- ready_row()
      data.table::fwrite(row, file)
      ready(function() data.table::fwrite(row, file, append = TRUE))
    }
  )
}

# The connection stays open and the statement prepared; each run is a transaction.
sqlite_logs <- function(synchronous, aim = NA) {
  contender(
    paste0("RSQLite, WAL, synchronous=", synchronous, ", ready row"),
    aim = aim, lacking = lacking("RSQLite"),
    prepare = function(folder) {
      connection <- DBI::dbConnect(
        RSQLite::SQLite(), file.path(folder, "runs.sqlite"),
        synchronous = synchronous
      )
      DBI::dbGetQuery(connection, "PRAGMA journal_mode = WAL")
      row <- unname(ready_row())
      DBI::dbCreateTable(connection, "runs", as.data.frame(ready_row()))
      marks <- toString(rep("?", length(row)))
      insert <- DBI::dbSendStatement(connection, paste0("INSERT INTO runs VALUES (", marks, ")"))
      call <- ready(function() DBI::dbBind(insert, row))
      structure(call, close = function() {
        DBI::dbClearResult(insert)
        DBI::dbDisconnect(connection)
      })
    }
  )
}

fread_best <- function(file) {
  i <- which.min(data.table::fread(file, select = "rmse")[["rmse"]])
  data.table::fread(file, skip = i, nrows = 1, header = FALSE)
}

# --- The floor: write() and fdatasync(), in C --------------------------------

compile_floor <- function() {
  folder <- tempfile("floor")
  dir.create(folder)
  file.copy(file.path(here, "floor.c"), folder)
  old <- setwd(folder)
  on.exit(setwd(old))
  status <- suppressWarnings(system2(
    file.path(R.home("bin"), "R"), c("CMD", "SHLIB", "floor.c"),
    stdout = FALSE, stderr = FALSE
  ))
  object <- file.path(folder, paste0("floor", .Platform$dynlib.ext))
  if (status == 0 && file.exists(object)) dyn.load(object)
}

row_bytes <- function() {
  old <- options(fitledger.sync = "none")
  file <- tempfile(fileext = ".csv")
  on.exit({
    options(old)
    unlink(file)
  })
  ready(function() log_run(file, params, metrics))
  before <- file.size(file)
  log_run(file, params, metrics)
  file.size(file) - before
}

floor_logs <- function(aim) {
  compiled <- compile_floor()
  bytes <- row_bytes()
  contender(
    paste("write + fdatasync of", bytes, "bytes"),
    aim = aim, lacking = if (is.null(compiled)) "no C compiler",
    prepare = function(folder) {
      descriptor <- .Call(compiled$floor_open, file.path(folder, "floor"))
      row <- as.raw(rep(c(utf8ToInt("x"), 10), c(bytes - 1, 1)))
      call <- ready(function() .Call(compiled$floor_write, descriptor, row))
      structure(call, close = function() .Call(compiled$floor_close, descriptor))
    }
  )
}

# --- Questions ---------------------------------------------------------------

# Asks of a copy of a file that it has not seen.
asks <- function(name, file, question, aim = NA, lacking = NULL) {
  contender(name, aim = aim, lacking = lacking, prepare = function(folder) {
    copy <- file.path(folder, basename(file))
    file.copy(file, copy)
    function() question(copy)
  })
}

written <- function(n) {
  runs <- many_runs(n)
  ledger <- tempfile(fileext = ".csv")
  old <- options(fitledger.sync = "none")
  on.exit(options(old))
  log_many(ledger, runs)
  list(ledger = ledger, csv = chapter_csv(tempfile(fileext = ".csv"), runs), runs = runs)
}

count <- function(n) format(n, big.mark = ",", scientific = FALSE)

# --- Fresh processes ---------------------------------------------------------

# A script that has `file`, and prints the number that `code` ends with.
fresh_script <- function(code, file) {
  has <- function(name, value) paste(name, "<-", deparse1(value))
  own <- options()[c("fitledger.cache", "fitledger.sync")]
  script <- tempfile(fileext = ".R")
  writeLines(c(
    sprintf(".libPaths(%s)", deparse1(.libPaths())), has("own", own), "options(own)",
    has("file", file), "answer <- {", code, "}", "cat(format(answer, digits = 15), '\\n')"
  ), script)
  script
}

start_r <- function(script, out) {
  system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)),
    stdout = out, wait = FALSE
  )
}

# What processes of their own answer, all at once; `go` is called when they run.
in_fresh_r <- function(code, file, processes = 1, go = NULL) {
  script <- fresh_script(code, file)
  outs <- replicate(processes, tempfile())
  on.exit(unlink(c(script, outs)))
  for (out in outs) start_r(script, out)
  if (!is.null(go)) go()
  answers <- function() unlist(lapply(outs[file.exists(outs)], readLines, warn = FALSE))
  wait_until(length(answers()) == processes, "A process has not answered.")
  as.numeric(answers())
}

wait_until <- function(condition, otherwise) {
  condition <- substitute(condition)
  deadline <- Sys.time() + 300
  while (!eval.parent(condition)) {
    if (Sys.time() > deadline) stop(otherwise, call. = FALSE)
    Sys.sleep(0.005)
  }
}

# How long a question takes a process that has just started, without its start.
asks_afresh <- function(name, file, setup, question, ...) {
  contender(name, ..., prepare = function(folder) {
    code <- c(setup, sprintf("system.time(%s)[[3]] * 1e6", question))
    in_fresh_r(code, file)
    function() measured(in_fresh_r(code, file))
  })
}

# The same of Python's packages, which aren't ours to install. R's libraries are
# none of Python's business.
python <- function(arguments, ...) {
  system2("python3", arguments, env = "LD_LIBRARY_PATH=", ...)
}

has_module <- function(module) {
  import <- shQuote(paste("import", module))
  nzchar(Sys.which("python3")) && python(c("-c", import), stdout = FALSE, stderr = FALSE) == 0
}

asks_python <- function(name, module, file, question) {
  contender(
    name,
    lacking = if (!has_module(module)) paste("Python's", module, "is not installed"),
    prepare = function(folder) {
      script <- file.path(folder, "ask.py")
      writeLines(c(
        paste("import time,", module),
        paste("file =", encodeString(file, quote = "\"")),
        "start = time.perf_counter()", question, "print((time.perf_counter() - start) * 1e6)"
      ), script)
      function() measured(as.numeric(python(shQuote(script), stdout = TRUE)))
    }
  )
}

without_cache <- function(call) {
  function(...) {
    old <- options(fitledger.cache = FALSE)
    on.exit(options(old))
    call(...)
  }
}

# --- Rows --------------------------------------------------------------------

rows <- list()

rows[["log-one"]] <- function(size) {
  bench_row(
    "log one run, no fsync", size$calls, ours_logs(),
    list(chapter_logs(aim = 0.1), fwrite_logs(aim = 1), sqlite_logs("off"), sqlite_logs("normal"))
  )
}

# As in life: what is logged has just been fitted, and the caches are full of that.
rows[["log-fitted"]] <- function(size) {
  row <- rows[["log-one"]](size)
  row$work <- "log one run after a fit, no fsync"
  row$between <- function() stats::lm(mpg ~ ., datasets::mtcars)
  row
}

rows[["log-durable"]] <- function(size) {
  bench_row(
    "log one run, durable", size$calls, ours_logs(),
    list(floor_logs(aim = 1.3), sqlite_logs("full")),
    sync = TRUE
  )
}

rows[["log-grown"]] <- function(size) {
  bench_row(
    paste("log one run to", count(size$grown), "rows, no fsync"), size$calls,
    ours_logs(size$grown), list(ours_logs(10, "itself, 10 rows", aim = 1))
  )
}

rows[["log-many"]] <- function(size) {
  runs <- many_runs(size$runs)
  writes <- function(name, write, ...) {
    contender(name, ..., prepare = function(folder) {
      function() write(file.path(folder, "runs.csv"))
    })
  }
  bench_row(
    paste("log", count(size$runs), "runs at once, no fsync"), 1,
    writes("fitledger", function(file) log_many(file, runs)),
    list(writes(
      "fwrite", function(file) data.table::fwrite(runs, file),
      aim = 3, lacking = lacking("data.table")
    ))
  )
}

rows[["import"]] <- function(size) {
  files <- written(size$runs)
  bench_row(
    paste("import", count(size$runs), "runs of another ledger, no fsync"), 1,
    asks("fitledger", files$ledger, function(file) {
      suppressMessages(import_runs(file, tempfile(tmpdir = dirname(file), fileext = ".csv")))
    }),
    list(contender("itself, log_runs()", aim = 3, prepare = function(folder) {
      function() log_many(tempfile(tmpdir = folder, fileext = ".csv"), files$runs)
    }))
  )
}

# In a process that has just started, the index of an earlier one being there.
rows[["best"]] <- function(size) {
  files <- written(size$runs)
  stopifnot(best_run(files$ledger, "rmse")$rmse == min(files$runs$rmse))
  bench_row(
    paste("best of", count(size$runs), "runs, fresh process"), 1,
    asks_afresh("fitledger", files$ledger, "library(fitledger)", "best_run(file, 'rmse')"),
    list(
      asks_afresh(
        "fread(select =) + which.min", files$csv,
        c("library(data.table)", paste("best <-", deparse1(fread_best, collapse = "\n"))), "best(file)",
        aim = 1, lacking = lacking("data.table")
      ),
      asks_python(
        "DuckDB", "duckdb", files$csv,
        "duckdb.sql(f\"SELECT * FROM read_csv('{file}') ORDER BY rmse LIMIT 1\").fetchall()"
      ),
      asks_python(
        "polars", "polars", files$csv, "polars.scan_csv(file).bottom_k(1, by='rmse').collect()"
      )
    )
  )
}

# The first time that anybody asks: there is no index.
rows[["best-first"]] <- function(size) {
  files <- written(size$runs)
  bench_row(
    paste("best of", count(size$runs), "runs, without an index"), 1,
    asks("fitledger", files$ledger, without_cache(function(file) best_run(file, "rmse"))),
    list(
      asks(
        "fread(select =) + which.min", files$csv, fread_best,
        lacking = lacking("data.table")
      ),
      asks("chapter's best_run()", files$csv, function(file) chapter_best_run(file, "rmse"))
    )
  )
}

rows[["best-memory"]] <- function(size) {
  files <- written(size$runs)
  status <- "/proc/self/status"
  peak <- sprintf("peak <- function() as.numeric(gsub('[^0-9]', '', grep('VmHWM', readLines('%s'), value = TRUE)))", status)
  setup <- c("library(fitledger)", peak, "before <- peak()")
  question <- "{ best_run(file, 'rmse'); peak() - before }"
  bench_row(
    paste("memory for the best of", count(size$runs), "runs, fresh process"), 1,
    contender("fitledger", prepare = function(folder) {
      in_fresh_r(c(setup, question), files$ledger)
      function() measured(in_fresh_r(c(setup, question), files$ledger))
    }),
    list(contender(
      "size of the ledger",
      aim = 0.25, prepare = function(folder) {
        function() measured(file.size(files$ledger) / 1024)
      }
    )),
    unit = "kB"
  )
}

# Asked by the same process again, after one more run.
rows[["best-again"]] <- function(size) {
  files <- written(size$runs)
  ours <- contender("fitledger", prepare = function(folder) {
    copy <- file.path(folder, basename(files$ledger))
    file.copy(files$ledger, copy)
    ready(function() {
      log_run(copy, params, metrics)
      best_run(copy, "rmse")
    })
  })
  bench_row(
    paste("one more run, then the best of", count(size$runs)), 1, ours,
    list(asks(
      "fread(select =) + which.min", files$csv, fread_best,
      aim = 1, lacking = lacking("data.table")
    ))
  )
}

rows[["verify"]] <- function(size) {
  files <- written(size$runs)
  stopifnot(verify_ledger(files$ledger)$status == "ok")
  bench_row(
    paste("verify", count(size$runs), "runs"), 1,
    asks("fitledger", files$ledger, verify_ledger),
    list(asks(
      "sha256sum", files$ledger, function(file) system2("sha256sum", shQuote(file), stdout = TRUE),
      aim = 1, lacking = if (!nzchar(Sys.which("sha256sum"))) "sha256sum is missing"
    ))
  )
}

rows[["read"]] <- function(size) {
  files <- written(size$runs)
  stopifnot(all.equal(read_runs(files$ledger)[names(files$runs)], files$runs))
  bench_row(
    paste("read", count(size$runs), "runs, fresh process"), 1,
    asks_afresh("fitledger", files$ledger, "library(fitledger)", "read_runs(file)"),
    list(
      asks_afresh(
        "fread", files$csv, "library(data.table)", "fread(file)",
        aim = 1, lacking = lacking("data.table")
      )
    )
  )
}

rows[["read-first"]] <- function(size) {
  files <- written(size$runs)
  bench_row(
    paste("read", count(size$runs), "runs, without an index"), 1,
    asks("fitledger", files$ledger, without_cache(read_runs)),
    list(
      asks(
        "fread", files$csv, function(file) data.table::fread(file),
        lacking = lacking("data.table")
      ),
      asks("chapter's read_runs()", files$csv, chapter_read_runs)
    )
  )
}

# Processes wait for each other, log, and tell when they were done.
rows[["writers"]] <- function(size) {
  together <- function(name, writers, each, aim = NA) {
    contender(name, aim = aim, prepare = function(folder) {
      function() {
        unlink(list.files(folder, full.names = TRUE), recursive = TRUE)
        file <- file.path(folder, "ledger.csv")
        log_run(file, params, metrics)
        code <- c(
          "library(fitledger)",
          sprintf("params <- %s; metrics <- %s", deparse1(params), deparse1(metrics)),
          "log_run(file, params, metrics)",
          "invisible(file.create(tempfile('ready', dirname(file))))",
          "while (dir.exists(dirname(file)) && !file.exists(file.path(dirname(file), 'go'))) Sys.sleep(0.001)",
          sprintf("for (i in 1:%d) log_run(file, params, metrics)", each),
          "unclass(Sys.time())"
        )
        started <- NULL
        ended <- in_fresh_r(code, file, writers, go = function() {
          wait_until(length(list.files(folder, "^ready")) == writers, "A writer has not begun.")
          started <<- unclass(Sys.time())
          file.create(file.path(folder, "go"))
        })
        stopifnot(nrow(read_runs(file)) == 1 + writers * (1 + each))
        measured((max(ended) - started) * 1e6)
      }
    })
  }
  bench_row(
    paste("log", count(8 * size$each), "runs, 8 processes at once, durable"), 1,
    together("fitledger", 8, size$each),
    list(together("itself, one process", 1, 8 * size$each, aim = 1 / 1.5)),
    sync = TRUE
  )
}
