# A plain CSV, a row a run, as the chapter's own logger writes it: read as it stands, imported, written.

plain_table <- function(file, call) {
  frame <- read_plain(file, call)
  list(frame = frame, details = as_frame(list(), nrow(frame)), detail_names = c(tags = "tags"), names = names(frame)[-(1:2)])
}

read_plain <- function(file, call) {
  plain <- call_native(native_read_plain, file, call = call)
  runs <- stats::setNames(plain$columns, plain$names)
  runs[[2]] <- plain_times(runs[[2]], plain$is_local, plain$lines, file, call)
  names(runs)[1:2] <- c("run_id", "timestamp")
  as_frame(runs)
}

# Times of a plain CSV; those that a local clock showed come as if it had shown UTC.
plain_times <- function(seconds, is_local, lines, file, call) {
  shown <- as.POSIXlt(.POSIXct(seconds[is_local], "UTC"))
  text <- format(shown, "%Y-%m-%d %H:%M:%S")
  local <- as.POSIXct(strptime(text, "%Y-%m-%d %H:%M:%S", tz = ""))
  # What a clock that is put forward leaves out, R reads as some other time, or not at all.
  skipped <- which(is.na(local) | format(local, "%Y-%m-%d %H:%M:%S") != text)
  if (length(skipped)) {
    abort(
      "not_a_ledger",
      paste0(
        "'", file, "' is a plain CSV whose line ", lines[is_local][[skipped[[1]]]],
        " has a time that no clock showed in the time zone ", Sys.timezone(), ": ", text[[skipped[[1]]]], "."
      ),
      "Set the time zone in which it was written, such as `Sys.setenv(TZ = \"UTC\")`, before you read it.",
      path = file, call = call
    )
  }
  seconds[is_local] <- as.numeric(local) + (shown$sec - floor(shown$sec))
  .POSIXct(seconds, "UTC")
}

# The column in which an export says how each run ended, if there is one.
status_column <- function(runs) {
  known <- c("finished", "failed", "interrupted", "lost", "running")
  for (name in intersect(c("details.status", "status"), names(runs))) {
    if (is.character(runs[[name]]) && all(runs[[name]] %in% known)) {
      return(name)
    }
  }
  NULL
}

# `running`: whether runs come over that had not ended when the file was written.
import_plain <- function(from, file, metrics, dry_run = FALSE, running = FALSE, call = rlang::caller_env()) {
  runs <- read_plain(from, call)
  status <- status_column(runs)
  columns <- setdiff(names(runs)[-(1:2)], status)
  metrics <- if (is.null(metrics)) guess_metrics(runs[columns]) else check_columns(metrics, runs, "metrics")
  runs[metrics] <- lapply(runs[metrics], quoted_numbers)
  runs <- runs[!runs$run_id %in% known_run_ids(file), , drop = FALSE]
  check_plain_ids(runs$run_id, from)

  statuses <- if (is.null(status)) rep("finished", nrow(runs)) else runs[[status]]
  if (!running && any(statuses == "running")) {
    cli_inform(c(
      i = "{.val {sum(statuses == 'running')}} run{?s} had not ended when {.file {basename(from)}} was written,
           and {?is/are} left out: import again when {?it has/they have}."
    ))
    runs <- runs[statuses != "running", , drop = FALSE]
    statuses <- statuses[statuses != "running"]
  }
  if (dry_run) {
    cli_inform(c(i = "Would import {.val {nrow(runs)}} new run{?s} from {.file {basename(from)}}. Nothing was written."))
    return(runs$run_id)
  }
  params <- setdiff(columns, metrics)
  origin <- list(runs$run_id, as.numeric(runs$timestamp), from, statuses)
  call_native(
    native_log_runs, append_request(file), unclass(runs)[params], unclass(runs)[metrics], list(), nrow(runs),
    NULL, NULL, list(list(), list()), NULL, origin,
    call = call
  )
}

# A metric is a number, also where a file has it in quotes.
quoted_numbers <- function(x) {
  numbers <- if (is.character(x)) suppressWarnings(as.numeric(x)) else x
  if (identical(is.na(numbers), is.na(x))) numbers else x
}

known_run_ids <- function(file) {
  if (!file.exists(file)) {
    return(character())
  }
  call_native(native_run_ids, file, call = rlang::caller_env())
}

check_plain_ids <- function(ids, from, call = rlang::caller_env()) {
  bad <- which(is.na(ids) | !grepl("^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$", ids) | duplicated(ids))
  if (length(bad)) {
    abort(
      "not_a_ledger",
      paste0("'", from, "' has a run whose id is unusable or stands twice: ", describe(ids[[bad[[1]]]]), "."),
      "An id has up to 128 letters, digits, dots, dashes and underscores. Give the run an id of its own.",
      path = from, call = call
    )
  }
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
  cli_inform(c(
    i = "Taking {.field {without_controls(metrics)}} as {cli::qty(length(metrics))}metric{?s}
         and {.field {without_controls(params)}} as {cli::qty(length(params))}parameter{?s}.",
    i = "Say otherwise with {.arg metrics}."
  ))
  metrics
}

#' Write the runs as a plain CSV
#'
#' The wide table of [read_runs()] as a file that any program reads: `run_id`,
#' `timestamp` (UTC), parameters, metrics, `status`. Numbers are written in the fewest
#' digits that read back to the same double, missing values as `NA`, vectors and
#' lists as JSON. Void runs and sealed metrics are left out.
#'
#' The texts in the cells are those that were logged. A spreadsheet may take a
#' text that begins with `=` for a formula.
#'
#' @param file Path of the ledger.
#' @param to Path of the CSV file to write, or of the folder. An earlier export is replaced;
#'   anything else that is there, a link too, is an error.
#' @param ... Must be empty: arguments after it are given by name.
#' @param where A condition on the runs, see [read_runs()].
#' @param columns Names of the columns wanted, in their order, those of `details` in
#'   [read_runs()] included. `NULL` for parameters, metrics and `status`.
#' @param format `"csv"`, or `"mlruns"` for a folder as MLflow's file store is.
#' @returns `to`, invisibly.
#' @inheritSection log_run Errors
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
