# The compiled code is called through here. It never throws: it returns a value
# or a failure, which becomes a condition that names the user's call.

call_native <- function(native, ..., call = rlang::caller_env()) {
  result <- native(...)
  # Failures and what else there is to say have attributes; most results are plain.
  if (is.null(attributes(result))) {
    return(result)
  }
  signal_warnings(signal_failure(completed(result, native, ..., call = call), call), call)
}

# What a call gives once all is done that it takes R for: to say that it waits, and what it takes for a ledger in a database,
# that is to bring what this machine doesn't have yet, and to send what the call has drafted.
completed <- function(result, native, ..., call) {
  if (is_failure(result, "busy")) {
    result <- wait_while_busy(result, native, ...)
  }
  if (length(opened$ledgers)) {
    while (inherits(result, "fitledger_failure") && brought(result, ..1, call)) {
      result <- native(...)
    }
    if (!is.null(attr(result, "draft", exact = TRUE))) {
      result <- send_draft(result, native, ..., call = call)
    }
  }
  result
}

signal_failure <- function(result, call = rlang::caller_env()) {
  if (!inherits(result, "fitledger_failure")) {
    return(signal_notice(result))
  }
  if (result$class == "interrupted") {
    signal_again(result$signal, call)
  }
  if (result$class == "unknown" && result$what == "run") {
    result <- look_for_run(result)
  }
  fields <- unclass(result)[intersect(names(result), c("path", "row", "byte", "arg", "name", "how"))]
  hint <- result$hint
  if (result$class == "not_found") {
    check_there(result$path, call)
    hint <- gone_hint(result$path) %||% hint
  } else if (result$class == "unknown" && !nzchar(hint)) {
    hint <- unknown_hint(result$what, result$name, result$known)
  }
  parent <- if (!is.null(result$cause)) simpleError(printable_lines(result$cause))
  rlang::inject(abort(result$class, result$message, hint, !!!fields, parent = parent, call = call))
}

# A run that a ledger doesn't know may be one of this process's: of another ledger, or gone from its own.
look_for_run <- function(unknown) {
  began <- native_began_in(unknown$name)
  if (is_failure(began, "rows_gone")) {
    return(began)
  }
  if (is.character(began)) {
    unknown$hint <- paste0("It is a run of '", began, "'.")
  }
  unknown
}

# What R signalled while the compiled code asked whether to go on: an interrupt, or an error such
# as that of `setTimeLimit()`, which keeps its text for those who know it by that.
signal_again <- function(signal, call) {
  if (!inherits(signal, "error")) {
    rlang::interrupt()
  }
  signal["call"] <- list(if (is.environment(call)) rlang::frame_call(call) else call)
  class(signal) <- c("fitledger_error_interrupted", "fitledger_error", class(signal))
  stop(signal)
}

# Whether an error says that a limit of `setTimeLimit()` or `setSessionTimeLimit()` was reached. R gives it no class, and
# says so in the language of the session.
is_time_limit <- function(e) {
  texts <- paste0("reached ", c("elapsed", "CPU", "session elapsed", "session CPU"), " time limit")
  inherits(e, "fitledger_error_interrupted") || message_of(e) %in% c(texts, gettext(texts, domain = "R"))
}

signal_notice <- function(result) {
  notice <- attr(result, "notice", exact = TRUE)
  if (is.null(notice)) {
    return(result)
  }
  attr(result, "notice") <- NULL
  inform(NULL, notice)
  result
}

# The compiled code waits two seconds for a ledger's lock and then gives R the word.
wait_while_busy <- function(busy, native, ...) {
  inform("waiting", paste0("Waiting for another process to finish writing to '", busy$path, "'."))
  repeat {
    result <- native(...)
    if (!is_failure(result, "busy")) {
      return(result)
    }
  }
}

signal_warnings <- function(result, call) {
  for (class in c("network", "not_recorded")) {
    text <- attr(result, class, exact = TRUE)
    if (!is.null(text)) {
      attr(result, class) <- NULL
      warn(class, text, call)
    }
  }
  result
}

is_failure <- function(result, class) {
  inherits(result, "fitledger_failure") && result$class %in% class
}

# A rendered document often has its ledger in a temporary folder, and a cached
# chunk brings the path back, but not the file.
gone_hint <- function(file) {
  folder <- normalizePath(dirname(untranslated(file)), winslash = "/", mustWork = FALSE)
  rendering <- isTRUE(getOption("knitr.in.progress"))
  ours <- startsWith(folder, normalizePath(tempdir(), winslash = "/", mustWork = FALSE))
  ended <- grepl("/Rtmp[[:alnum:]]{6}(/|$)", folder) && !dir.exists(folder)
  if (ended || ours && rendering) {
    c(
      "A temporary folder is gone when the R session that made it ends, and the ledger with it.",
      if (rendering) "A cached chunk isn't run again. Keep the ledger beside the document."
    )
  }
}

# The file, the session of the rows with the environment's lockfile and the code, whether to wait for the disk, whether to
# go on where locks can't be relied on, and whether the file mirrors a ledger in a database.
append_request <- function(file) {
  session <- current_session(file)
  list(
    file, session$version, session$context, session$lockfile, session$code,
    !identical(getOption("fitledger.sync"), "none"),
    identical(getOption("fitledger.network"), "allow"), length(opened$ledgers) > 0 && !is.null(mirrored(file))
  )
}

# Appends an event of a run. `about` is as `about_run()` makes it, `more` are pairs of the format's own.
log_event_native <- function(file, event, run_id, params = NULL, metrics = NULL, artifacts = NULL,
                             about = NULL, tags = NULL, sealed = NULL, more = NULL, take_over = FALSE,
                             call = rlang::caller_env()) {
  row <- list(event, run_id, params, metrics, artifacts, about, tags, sealed, more, take_over)
  call_native(native_log_event, append_request(file), row, call = call)
}

# Appends the same remark on each of some runs, in one write; their ids.
remark_on <- function(file, event, run_ids, tags = NULL, more = NULL, call = rlang::caller_env()) {
  check_run_ids(file, run_ids, call)
  if (length(run_ids)) {
    call_native(native_remark, append_request(file), event, run_ids, tags, more, call = call)
  }
  invisible(run_ids)
}

# Why a value can't be recorded; NULL if it can.
refusal <- function(x, arg_path, metric = FALSE) {
  result <- if (metric) native_metric(x, arg_path) else native_refusal(x, arg_path)
  if (inherits(result, "fitledger_failure")) result$message
}

# A function that shows how many bytes are done of a size, NA where nobody knows it;
# NULL where nobody looks, or it takes no time.
progress_bar <- function(what, path, size = file.size(path), frame = rlang::caller_env()) {
  if (!interactive() || !is.na(size) && size < 2e8) {
    return(NULL)
  }
  bar <- cli::cli_progress_bar(what, total = size, type = "download", .envir = frame)
  function(done) cli::cli_progress_update(set = done, id = bar, .envir = frame)
}
