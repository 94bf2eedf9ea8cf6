# What is on record of runs, whole.

#' Read one run
#'
#' Everything that is on record of a run, printed for a person; for a script it is a
#' list.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id A run: its id, a data frame with one row and a column `run_id`, a live
#'   run, or a version of a model (`"price/3"`).
#' @returns An object of class `fitledger_record`, a list. There are `run_id`, `name`,
#'   `status` (see [read_runs()]), `began` and `ended` (`POSIXct` in UTC), `experiment`,
#'   `parent` (a run's id), `children` (ids of the runs that belong to it), `params`,
#'   `metrics` and `tags` (named lists), `series` (a data frame as [read_metrics()] gives
#'   it), `artifacts` and `notes` (as [read_artifacts()] and [read_notes()] give them),
#'   `sealed` (the names of metrics that are sealed), `looks` (how often they were
#'   revealed), `seed`, `stream` (the state of R's random stream before a run that drew
#'   from it without a seed, which [with_run()] and [log_call()] take as `seed`), `data`
#'   (what is recorded of each data set), `call` (of [log_call()]), `error` (of a failed
#'   run: `message`, `class`, `calls`), `void_reason`, `voids` (a data frame with a row for
#'   each [void_run()] and [restore_run()]: `time`, `user`, `void`, `reason`), and `session`
#'   (with what it was made). What a run doesn't have is `NULL` or empty.
#' @section Errors:
#' `fitledger_error_unknown` for a run that isn't there, with ids that are near, and those of the file, see
#' [fitledger_error].
#' @seealso [read_runs()] for many.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' id <- log_run(
#'   file, list(model = "ridge", lambda = 0.1), list(rmse = 1.96),
#'   name = "first try", tags = list(by = "ann")
#' )
#' log_note(file, id, "the penalty is in the unit of the paper")
#' read_run(file, id)
#' read_run(file, id)$params$lambda
read_run <- function(file, run_id) {
  file <- check_ledger(file, "file")
  run_id <- one_run_id(file, run_id, "run_id")
  write_buffered(file)
  run <- call_native(native_read_run, file, run_id)
  of_run <- function(read) {
    frame <- read(file, run_id)
    as_frame(columns_of(frame)[-1], nrow(frame))
  }
  run$voids <- as_frame(run$voids)
  last <- match("metrics", names(run))
  run <- append(run, list(series = of_run(read_metrics), artifacts = of_run(read_artifacts), notes = of_run(read_notes)), last)
  structure(run, class = "fitledger_record")
}

#' @export
print.fitledger_record <- function(x, ...) {
  cat(format(x, ...), sep = "\n")
  invisible(x)
}

#' @export
format.fitledger_record <- function(x, ...) {
  took <- if (!is.null(x$ended)) paste0(", took ", format_seconds(as.numeric(x$ended) - as.numeric(x$began)))
  head <- c(
    paste0("<run ", x$run_id, ">", if (!is.null(x$name)) paste0(" ", one_line(x$name))),
    paste0(x$status, took, ", began ", format(x$began, "%Y-%m-%d %H:%M:%S", tz = "UTC"), " UTC"),
    if (!is.null(x$void_reason)) paste0("void: ", one_line(x$void_reason)),
    if (!is.null(x$experiment)) paste0("experiment: ", one_line(x$experiment)),
    if (!is.null(x$parent)) paste0("part of: ", x$parent),
    if (length(x$children)) paste0("children: ", length(x$children), ", the first ", x$children[[1]])
  )
  session <- x$session
  made <- list(
    seed = x$seed, stream = if (!is.null(x$stream)) "on record", call = x$call$code, user = session$user, host = session$host,
    script = session$script, commit = session$git$commit, R = session$r
  )
  lines <- c(
    head,
    record_error(x$error),
    record_facts("params", x$params),
    record_facts("metrics", x$metrics),
    if (length(x$sealed)) c("sealed", paste0("  ", one_line(x$sealed))),
    record_series(x$series),
    record_facts("artifacts", rlang::set_names(Map(describe_artifact, x$artifacts$size, x$artifacts$stored), x$artifacts$artifact)),
    record_facts("data", lapply(x$data, describe_data)),
    record_facts("tags", x$tags),
    record_facts("made with", Filter(Negate(is.null), made)),
    record_remarks("notes", x$notes, x$notes$text),
    record_remarks("voids", x$voids, paste0(ifelse(x$voids$void, "void: ", "not void: "), x$voids$reason))
  )
  unname(lines)
}

# A heading, and a line for each value.
record_facts <- function(heading, values) {
  if (!length(values)) {
    return(NULL)
  }
  names <- format(one_line(names(values)))
  c(heading, paste0("  ", names, "  ", vapply(values, format_value, "")))
}

record_error <- function(error) {
  if (is.null(error)) {
    return(NULL)
  }
  # What signalled the condition is no news.
  signalling <- "^((base::)?stop(ifnot)?|(rlang::)?abort|(cli::)?cli_abort|signalCondition|\\(function)\\b"
  calls <- grep(signalling, error$calls, value = TRUE, invert = TRUE)
  lines <- strsplit(error$message, "\n", fixed = TRUE)[[1]]
  c("error", paste0("  ", one_line(lines)), if (length(calls)) {
    c(paste0("  in ", one_line(utils::tail(calls, 1))), if (length(calls) > 1) "  the calls that led there are in `$error$calls`")
  })
}

# When and by whom, and what was said.
record_remarks <- function(heading, remarks, texts) {
  if (!nrow(remarks)) {
    return(NULL)
  }
  who <- ifelse(is.na(remarks$user), "", paste0(" ", one_line(remarks$user)))
  c(heading, paste0("  ", format(remarks$time, "%Y-%m-%d %H:%M", tz = "UTC"), who, ": ", one_line(texts)))
}

record_series <- function(series) {
  if (!nrow(series)) {
    return(NULL)
  }
  about <- vapply(split(series, factor(series$metric, unique(series$metric))), function(points) {
    paste0(
      nrow(points), ngettext(nrow(points), " point", " points"), ", from ", format_value(points$value[[1]]),
      " to ", format_value(points$value[[nrow(points)]]), " at step ", format_value(points$step[[nrow(points)]])
    )
  }, "")
  record_facts("series", as.list(about))
}

describe_artifact <- function(size, stored) {
  paste0(if (is.na(size)) "of unknown size" else size_text(size), if (!stored) ", recorded by its path")
}

describe_data <- function(version) {
  shape <- c(version$rows, version$cols)
  paste(c(version$hash, if (length(shape)) paste(shape, collapse = " x ")), collapse = ", ")
}

# A value as one line of text.
format_value <- function(x) {
  text <- if (is.null(x)) {
    "NULL"
  } else if (is.list(x)) {
    paste(deparse(unclass(x), 500), collapse = " ")
  } else if (is.character(x)) {
    paste(x, collapse = ", ")
  } else {
    paste(format(x, digits = 7, trim = TRUE), collapse = ", ")
  }
  text <- one_line(text)
  if (nchar(text) > 200) paste0(substr(text, 1, 200), " ...") else text
}

# What a text holds can't break the layout, nor the terminal.
one_line <- function(x) {
  encodeString(as_utf8(x))
}

format_seconds <- function(seconds) {
  if (seconds < 60) paste0(format(round(seconds, 2)), " s") else format(round(as.difftime(seconds, units = "secs"), 1))
}

#' Read artifacts and notes
#'
#' `read_artifacts()` says what runs left behind, and `read_notes()` what was remarked on
#' them ([log_note()]).
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id The runs wanted, as [tag_run()] takes them; `NULL` for all.
#' @returns `read_artifacts()`: a data frame with one row an artifact: `run_id`,
#'   `artifact` (its name), `file` (the name of the file, or the path that was recorded),
#'   `size` in bytes, `sha256`, `stored` (whether the bytes are kept), and `path`: where
#'   the bytes are, of stored ones beside the ledger. Take them by [artifact_path()] or
#'   [read_artifact()], which verify them.
#'
#'   `read_notes()`: a data frame with one row a note: `run_id`, `time` (`POSIXct` in
#'   UTC), `user`, `text`.
#' @section Errors:
#' `fitledger_error_unknown` for a run that isn't there, and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' id <- log_run(
#'   file, list(span = 0.5), list(rmse = 15),
#'   artifacts = list(model = loess(dist ~ speed, cars, span = 0.5))
#' )
#' read_artifacts(file)[c("artifact", "size", "stored")]
#' log_note(file, id, "wiggly")
#' read_notes(file, id)$text
read_artifacts <- function(file, run_id = NULL) {
  read_of_runs(native_read_artifacts, file, run_id)
}

#' @rdname read_artifacts
#' @export
read_notes <- function(file, run_id = NULL) {
  read_of_runs(native_read_notes, file, run_id)
}

read_of_runs <- function(native, file, run_id, call = rlang::caller_env()) {
  file <- check_ledger(file, "file", call = call)
  if (!is.null(run_id)) {
    run_id <- run_ids_of(file, run_id, "run_id", call)
  }
  write_buffered(file, call)
  as_frame(call_native(native, file, run_id, call = call))
}
