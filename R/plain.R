# A plain CSV, a row a run, as the chapter's own logger writes it: read as it stands, imported, written.

plain_table <- function(file, call) {
  frame <- read_plain(file, call = call)$runs
  list(
    frame = frame, details = as_frame(list(), nrow(frame)), detail_names = c(tags = "tags"), names = names(frame)[-(1:2)]
  )
}

# The runs of a plain CSV, the lines on which they begin, and the hash of the file. The columns called as `metrics` are
# numbers, or the file is refused.
read_plain <- function(file, metrics = NULL, call = rlang::caller_env()) {
  plain <- call_native(native_read_plain, file, metrics %||% character(), call = call)
  runs <- stats::setNames(plain$columns, plain$names)
  runs[[2]] <- plain_times(runs[[2]], plain$is_local, plain$lines, file, call)
  names(runs)[1:2] <- c("run_id", "timestamp")
  list(runs = as_frame(runs), lines = plain$lines, hash = plain$hash)
}

# Times of a plain CSV; those that a local clock showed come as if it had shown UTC.
plain_times <- function(seconds, is_local, lines, file, call) {
  local <- local_instants(seconds[is_local])
  odd <- which(local$clocks != 1)
  if (length(odd)) {
    first <- odd[[1]]
    shown <- format(.POSIXct(seconds[is_local][[first]], "UTC"), "%Y-%m-%d %H:%M:%S")
    none <- local$clocks[[first]] == 0
    abort(
      "not_a_ledger",
      paste0(
        "'", file, "' is a plain CSV whose line ", lines[is_local][[first]], " has a time that ",
        if (none) "no clock showed" else "clocks showed twice", " in the time zone ", Sys.timezone(), ": ", shown, "."
      ),
      paste0(
        "Write it with its offset from UTC, such as ", sub(" ", "T", shown), "+02:00; ",
        "or set the time zone in which it was written, such as `Sys.setenv(TZ = \"UTC\")`, before you read it."
      ),
      path = file, call = call
    )
  }
  seconds[is_local] <- local$seconds
  .POSIXct(seconds, "UTC")
}

# The instants at which a clock of this place showed some times, which are given as if it had shown UTC, and how often
# it did: where it is put forward never, where it is put back twice. R's own way of reading such a time follows the rows
# before it.
local_instants <- function(shown) {
  # No clock is a day from UTC, and none is put forward or back twice in three days.
  day <- 86400 * floor(shown / 86400)
  days <- unique(day)
  before <- ahead_of_utc(days - 86400)[match(day, days)]
  after <- ahead_of_utc(days + 2 * 86400)[match(day, days)]
  clocks <- rep(1, length(shown))
  changed <- which(before != after)
  is_so <- function(offset) ahead_of_utc(floor(shown[changed] - offset)) == offset
  was_before <- is_so(before[changed])
  was_after <- is_so(after[changed])
  clocks[changed] <- was_before + was_after
  offset <- before
  offset[changed] <- ifelse(was_before, before[changed], after[changed])
  list(seconds = shown - offset, clocks = clocks)
}

# By how many seconds a clock of this place was ahead of UTC at some instants.
ahead_of_utc <- function(seconds) {
  shown <- format(.POSIXct(seconds), "%Y-%m-%d %H:%M:%S", tz = "")
  as.numeric(as.POSIXct(strptime(shown, "%Y-%m-%d %H:%M:%S", tz = "UTC"))) - seconds
}

# The name of the column in which a file says how each run ended, if there is one. `file` and the `lines` of its runs
# are for the error, as far as they are known.
status_column <- function(runs, file = NULL, lines = NULL, call = rlang::caller_env()) {
  texts <- lapply(columns_of(runs), function(column) if (is.character(column)) column)
  found <- call_native(native_status_column, names(texts), unname(texts), call = call)
  if (is.null(found)) {
    return(NULL)
  }
  name <- names(runs)[[found$column]]
  if (!is.na(found$unknown)) {
    status <- runs[[name]][[found$unknown]]
    abort(
      "not_a_ledger",
      paste0(
        if (is.null(file)) {
          paste("The run", describe(runs$run_id[[found$unknown]]))
        } else {
          paste0("'", file, "' is a plain CSV whose line ", lines[[found$unknown]])
        },
        " has ", if (is.na(status)) "no status" else paste("the status", describe(status)),
        " in `", name, "`, which says of other runs how they ended."
      ),
      c(
        "Write finished, failed, interrupted, lost, running or void there for each run.",
        "If it is a parameter, give the column another name."
      ),
      path = file, call = call
    )
  }
  name
}

# `running`: whether runs come over that had not ended when the file was written.
import_plain <- function(from, file, metrics, dry_run = FALSE, running = FALSE, call = rlang::caller_env()) {
  plain <- read_plain(from, metrics, call)
  runs <- plain$runs
  status <- status_column(runs, from, plain$lines, call)
  columns <- setdiff(names(runs)[-(1:2)], status)
  metrics <- if (is.null(metrics)) guess_metrics(runs[columns]) else check_columns(metrics, runs, "metrics", call)
  values <- columns_of(runs)
  source <- list(
    from, plain$hash, runs$run_id, as.numeric(runs$timestamp), if (!is.null(status)) runs[[status]], plain$lines
  )
  imported <- call_native(
    native_import_plain, append_request(file), values[setdiff(columns, metrics)], values[metrics], source, dry_run,
    running,
    call = call
  )
  say_plain_imported(imported, from, dry_run)
  imported$run_ids
}

# What would come, and what has not.
say_plain_imported <- function(imported, from, dry_run) {
  left_out <- as_frame(list(
    row = imported$left_out$line, event = rep("run", length(imported$left_out$line)),
    run_id = imported$left_out$run_id, copied = rep(FALSE, length(imported$left_out$line)), why = imported$left_out$why
  ))
  if (!dry_run && !nrow(left_out)) {
    return()
  }
  runs <- paste0(counted(length(imported$run_ids), "new run"), " from '", basename(from), "'.")
  head <- if (dry_run) c(i = paste("Would import", runs, "Nothing was written.")) else c(i = paste("Imported", runs))
  of_line <- function(runs) paste0("line ", number_text(runs$row), ", run ", runs$run_id, ": ", runs$why)
  inform(
    "imported",
    c(head, left_out_lines(left_out, dry_run, "run", of_line)),
    left_out = left_out
  )
}

guess_metrics <- function(columns) {
  usual <- c(
    "rmse", "mse", "mae", "mape", "rsq", "r2", "auc", "roc", "accuracy", "acc", "loss", "logloss",
    "error", "err", "f1", "precision", "recall", "sensitivity", "specificity", "kappa", "brier",
    "deviance", "score", "aic", "bic", "time", "seconds", "elapsed", "duration"
  )
  numeric <- names(columns)[vapply(columns, is.numeric, logical(1))]
  parts <- strsplit(tolower(numeric), "[^a-z0-9]+")
  metrics <- numeric[vapply(parts, function(part) any(part %in% usual), logical(1))]
  if (!length(metrics)) {
    metrics <- intersect(utils::tail(names(columns), 1), numeric)
  }
  params <- setdiff(names(columns), metrics)
  taken <- c(
    "{.field {without_controls(metrics)}} as {cli::qty(length(metrics))}metric{?s}",
    "{.field {without_controls(params)}} as {cli::qty(length(params))}parameter{?s}"
  )
  taken <- ifelse(c(length(metrics), length(params)) > 0, taken, c("no column as metric", "none as parameter"))
  if (length(columns)) {
    taken <- paste(taken, collapse = " and ")
    cli_inform(c(i = paste0("Taking ", taken, "."), i = "Say otherwise with {.arg metrics}."))
  }
  metrics
}

#' Write the runs as a plain CSV
#'
#' The wide table of [read_runs()] as a file that any program reads: `run_id`,
#' `timestamp` (UTC), parameters, metrics, `status`. Numbers are written in the fewest
#' digits that read back to the same double, missing values as `NA`, vectors and
#' lists as JSON, and only texts are in quotes. Void runs and sealed metrics are left out.
#'
#' `status` goes with the runs whatever `columns` says, unless all of them have finished: it
#' tells [best_run()] and [import_runs()] which don't compete. Where a parameter is called
#' so it is `details.status`, behind that.
#'
#' The texts in the cells are those that were logged. A spreadsheet may take a
#' text that begins with `=` for a formula.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param to Path of the CSV file to write, or of the folder. An earlier export is replaced;
#'   anything else that is there, a link too, is an error.
#' @param ... Must be empty: arguments after it are given by name.
#' @param where A condition on the runs, see [read_runs()].
#' @param columns Names of the columns wanted, in their order, those of `details` in
#'   [read_runs()] included. `NULL` for parameters, metrics and `status`.
#' @param format `"csv"`, or `"mlruns"` for a folder as MLflow's file store is.
#' @returns `to`, invisibly.
#' @section Errors:
#' `fitledger_error_exists` for a file or a folder that isn't an earlier export, which is left as it is;
#' `fitledger_error_unknown` and `fitledger_error_where` as in [read_runs()]; `fitledger_error_io` where the system refuses
#' to write, and those of the file, see [fitledger_error]. An earlier export stays until the new one is whole.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 0.1), list(rmse = 1.96), tags = list(by = "ann"))
#' to <- export_runs(file, tempfile(fileext = ".csv"))
#' cat(readLines(to), sep = "\n")
#' export_runs(file, to, where = rmse < 2, columns = c("rmse", "tags.by"))
#' cat(readLines(to), sep = "\n")
#'
#' store <- export_runs(file, tempfile("mlruns"), format = "mlruns")
#' list.files(store, recursive = TRUE)
#' import_runs(store, tempfile(fileext = ".csv"))
export_runs <- function(file, to, ..., where = NULL, columns = NULL, format = c("csv", "mlruns")) {
  check_no_dots(..., known = c("where", "columns", "format"))
  file <- check_ledger(file, "file")
  to <- check_path(to, "to")
  format <- if (missing(format)) "csv" else format
  check_choice(format, c("csv", "mlruns"), "format")
  check_names(columns, "columns", "names of columns")
  where <- enquo(where)
  run_ids <- NULL
  if (!is.null(columns) || !rlang::quo_is_null(where)) {
    # Names what is wrong with either.
    table <- read_runs(file, where = !!where, columns = setdiff(columns, c("run_id", "timestamp")))
    run_ids <- table$run_id
    columns <- if (!is.null(columns)) names(table)[-(1:2)]
  }
  write_buffered(file)
  if (format == "mlruns") {
    export_mlruns(file, to, run_ids, columns)
  } else {
    call_native(native_export_runs, file, to, run_ids, columns)
  }
  invisible(to)
}

is_plain <- function(path) {
  is_failure(native_check_ledger(path), "plain_csv")
}
