# A fit that there is already, as a run.

#' Log a fit
#'
#' Logs a fit of any class as one finished run: what [describe_fit()] knows of it, and the
#' model itself. Nothing is run again; [log_call()] logs a fit as it is made, with every
#' argument, and its failure.
#'
#' The parameter `learner` names the function that made the fit, as `package::function`, as
#' far as its `$call` says so and the function is known where `log_fit()` is called; else it
#' is the fit's class. How long the fit took is the metric `seconds`, where it knows that. Notes of
#' the description are notes of the run ([read_notes()]). Which package's method gave the
#' figures, and of which version, is `call$figures` in [read_run()].
#'
#' The results of a search ([log_search()]) are a run with a run for each candidate, and what
#' is stored of them, as the artifact `results`, has no data of the resamples. What `last_fit()` of tune says of the
#' test set is sealed, as `test.rmse` and the like, see [reveal_run()], and the workflow is what is stored.
#'
#' Once there is a fit, nothing loses it: what can't be put on record is a
#' warning of the class `fitledger_warning_not_recorded`, and the fit is returned.
#'
#' @inheritParams log_run
#' @param fit A fit, of any class.
#' @param artifact The name under which the fit is stored, of any size, see [log_artifact()];
#'   `NULL` to store none.
#' @param seed The seed that you set, as in [log_run()]; else the one that the description has.
#' @returns The fit, invisibly.
#' @section Errors:
#' Before anything is written, `fitledger_error_argument` and those of the file, see
#' [fitledger_error].
#' @seealso [last_run_id()] for the id of the run.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- lm(dist ~ speed, cars)
#' log_fit(file, fit)
#' read_run(file, last_run_id(file))
#' predict(read_artifact(file, last_run_id(file), "model"), data.frame(speed = 10))
log_fit <- function(file, fit, ..., artifact = "model", data = NULL, seed = NULL, tags = NULL, name = NULL,
                    experiment = NULL, parent = NULL) {
  check_no_dots(..., known = c("artifact", "data", "seed", "tags", "name", "experiment", "parent"))
  file <- absolute_path(check_ledger(file, "file", create = TRUE))
  call_native(native_check_ledger, file)
  if (!is.null(artifact)) {
    check_text(artifact, "artifact")
  }
  tags <- check_tags(tags)
  seed <- check_seed(seed)
  about <- about_run(file, name, experiment, parent, if (!is_stream(seed)) seed)
  data <- data_versions(data)
  if (missing(fit)) {
    abort_argument("fit", "a fit")
  }
  force(fit)

  described <- description_of(fit)
  if (is.null(seed)) {
    about <- c(about, if (!is_stream(described$seed)) list(seed = described$seed))
  }
  caller <- parent.frame()
  call <- brought_out(made_by(fit, caller))
  described$params <- override(
    if (is.null(call[["function"]])) list(learner = class(fit)[[1]]) else learner(call), described$params
  )
  notes <- new_notes()
  is_search <- !is.null(described$runs)
  if (is_search && missing(artifact)) {
    artifact <- "results"
  }
  artifacts <- c(
    if (!is.null(artifact)) fit_artifact(file, kept_of(fit), artifact, notes, !is_search && !length(described$sealed)),
    if (is_stream(seed)) attempt(store_stream(file, seed), "The random stream", notes)
  )
  log <- if (is_search) log_searched else log_described
  # An interrupt between two pieces would leave a run that seems to go on.
  suspendInterrupts(log(file, described, artifacts, about, tags, call, data, notes))
  warn_of(notes, "The fit is there, but not all of it is on record.")
  invisible(fit)
}

check_tags <- function(tags, call = rlang::caller_env()) {
  notes <- new_notes()
  if (is.null(tags)) {
    return(NULL)
  }
  tags <- recordable(named_elements(tags, "tags", notes), "tags", notes)
  if (length(notes$text)) {
    abort("argument", notes$text[[1]], arg = "tags", call = call)
  }
  tags
}

fit_artifact <- function(file, fit, name, notes, preview) {
  until <- if (preview) preview_until() else no_preview
  entry <- attempt(store_object(file, fit, name, call = NULL, until = until), paste0("The artifact `", name, "`"), notes)
  if (!is.null(entry)) rlang::set_names(list(entry), name)
}

# The call that made a fit, as far as it says so, as `log_call()` describes one.
made_by <- function(fit, caller) {
  call <- element(fit, "call")
  name <- if (is.call(call)) head_name(call[[1]])
  if (is.null(name)) {
    return(NULL)
  }
  known <- tryCatch(describe_call(call, called_function(call, caller), NULL, caller), error = function(e) NULL)
  known %||% list("function" = name, code = code_text(call))
}

# A description as a finished run: one row, unless it has series. The run's id, NULL where it isn't on record.
log_described <- function(file, described, artifacts, about, tags, call, data, notes) {
  params <- recordable(described$params, "params", notes)
  data <- if (length(data)) list(data = data)
  begun <- begun_from_now(file)
  if (nrow(described$series)) {
    run_id <- attempt(
      log_event_native(file, "start", NULL, params, about = about, tags = tags, more = data), "The run", notes
    ) %||% begun()$run_id
    if (!is.null(run_id)) {
      end_described(file, run_id, described, notes, call, artifacts)
    }
    return(run_id)
  }
  outcome <- described_outcome(described, call, notes)
  more <- c(outcome$call, data)
  run_id <- attempt(
    log_event_native(file, "run", NULL, params, outcome$metrics, artifacts, about, tags, outcome$sealed, more),
    "The run", notes
  ) %||% begun()$run_id
  if (!is.null(run_id)) {
    log_notes(file, run_id, described$notes, notes)
  }
  run_id
}

# What came out of a run that has begun, and its end, which must be on record even if the rest can't be. `drawn` is as
# `drawn_from()` gives it.
end_described <- function(file, run_id, described, notes, call, artifacts = NULL, drawn = NULL) {
  log_series(file, run_id, described$series, notes)
  outcome <- described_outcome(described, call, notes)
  end <- function(outcome = list(), artifacts = NULL) {
    more <- c(outcome$call, list(status = "finished"), drawn)
    log_event_native(file, "end", run_id, NULL, outcome$metrics, artifacts, sealed = outcome$sealed, more = more)
  }
  if (is.null(attempt(end(outcome, artifacts), "The metrics and the end of the run", notes))) {
    attempt(end(), "The end of the run", new_notes())
  }
  log_notes(file, run_id, described$notes, notes)
}

# The metrics of a description, and the record of its call with the packages whose methods gave them.
described_outcome <- function(described, call, notes) {
  seconds <- if (!is.null(described$seconds)) list(seconds = described$seconds)
  figures <- if (length(described$packages)) list(figures = as.list(described$packages))
  list(
    metrics = recordable(override(described$metrics, seconds), "metrics", notes),
    sealed = recordable(described$sealed, "sealed", notes),
    call = if (length(c(call, figures))) list(call = c(call, figures))
  )
}

# Points of series, in rows that have room for them.
log_series <- function(file, run_id, series, notes, most = 1e5) {
  if (!nrow(series)) {
    return(invisible())
  }
  stretches <- split(series, (seq_len(nrow(series)) - 1) %/% most)
  for (points in stretches) {
    attempt(
      call_native(native_log_points, append_request(file), run_id, points$metric, points$step, points$value),
      "The series", notes
    )
  }
}

log_notes <- function(file, run_id, texts, notes) {
  for (text in unique(as_utf8(texts))) {
    attempt(log_note(file, run_id, text), "A note", notes)
  }
}
