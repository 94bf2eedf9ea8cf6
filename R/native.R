# The compiled code is called from here alone. It never throws: it returns a
# value or a failure, which becomes a condition that names the user's call.

signal_failure <- function(result, call = rlang::caller_env(), hint = result$hint) {
  if (!inherits(result, "fitledger_failure")) {
    return(signal_notice(result))
  }
  if (result$class == "interrupted") {
    signal_again(result$signal, call)
  }
  fields <- result[c("path", "row", "byte")]
  fields <- fields[!vapply(fields, is.null, logical(1))]
  rlang::inject(abort(result$class, result$message, hint, !!!fields, call = call))
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

signal_notice <- function(result) {
  notice <- attr(result, "notice", exact = TRUE)
  if (is.null(notice)) {
    return(result)
  }
  attr(result, "notice") <- NULL
  rlang::inform(notice, class = "fitledger_message")
  result
}

# The compiled code waits two seconds for a ledger's lock and then gives R the word.
wait_while_busy <- function(native, ...) {
  result <- native(...)
  if (is_failure(result, "busy")) {
    rlang::inform(
      paste0("Waiting for another process to finish writing to '", result$path, "'."),
      class = c("fitledger_message_waiting", "fitledger_message")
    )
    while (is_failure(result, "busy")) {
      result <- native(...)
    }
  }
  result
}

signal_warning <- function(result, call) {
  text <- attr(result, "warning")
  if (is.null(text)) {
    return(result)
  }
  rlang::warn(text, class = c("fitledger_warning_network", "fitledger_warning"), call = call)
  attr(result, "warning") <- NULL
  result
}

is_failure <- function(result, class) {
  inherits(result, "fitledger_failure") && result$class == class
}

# Appends an event of a run. `more` are pairs of the format's own.
log_event_native <- function(file, event, run_id, params = NULL, metrics = NULL, artifacts = NULL,
                             seed = NULL, tags = NULL, sealed = NULL, more = NULL,
                             call = rlang::caller_env()) {
  result <- wait_while_busy(
    native_log_event, append_request(file), event, run_id, params, metrics, artifacts, seed, tags, sealed, more
  )
  signal_warning(signal_failure(result, call), call)
}

log_runs_native <- function(file, params, metrics, rows, origin = NULL, sealed = list(), seed = NULL,
                            tags = NULL, more = NULL, call = rlang::caller_env()) {
  result <- wait_while_busy(
    native_log_runs, append_request(file), params, metrics, sealed, rows, seed, tags, more, origin
  )
  signal_warning(signal_failure(result, call), call)
}

# The file, the session of the rows with the environment's lockfile, whether to wait for the disk, and whether to
# go on where locks can't be relied on.
append_request <- function(file) {
  session <- current_session(file)
  list(
    file, session$version, session$context, session$lockfile,
    !identical(getOption("fitledger.sync"), "none"),
    identical(getOption("fitledger.network"), "allow")
  )
}

# `best` is `list(metric, maximize, n)` for the best finished runs alone, or the ids of runs.
read_runs_native <- function(file, columns, details, void, best = NULL) {
  native_read_runs(file, columns, details, void, best)
}

compare_native <- function(file, run_ids, only_different, call) {
  signal_failure(native_compare(file, run_ids, only_different), call)
}

sealed_native <- function(file, run_id, call) {
  signal_failure(native_sealed(file, run_id), call)
}

session_of_run <- function(file, run_id, call = rlang::caller_env()) {
  signal_failure(native_session_of(file, run_id), call)
}

events_native <- function(file, call) {
  signal_failure(native_events(file), call)
}

export_runs_native <- function(file, to, call) {
  signal_failure(native_export_runs(file, to), call)
}

git_look <- function(file) {
  signal_failure(native_git_look(getwd(), file))
}

git_state <- function() {
  signal_failure(native_git_state())
}

to_json <- function(pairs, pretty = FALSE) {
  signal_failure(native_json(pairs, pretty))
}

process_identity <- function() {
  signal_failure(native_process())
}

verify_native <- function(file, checkpoint, call) {
  signal_failure(native_verify(file, checkpoint), call)
}

checkpoint_native <- function(file, call) {
  signal_failure(wait_while_busy(native_checkpoint, file), call)
}

repair_native <- function(file, call) {
  signal_failure(wait_while_busy(native_repair, append_request(file)), call)
}

buffer_open <- function(run_id) {
  signal_failure(native_buffer_open(run_id))
}

buffer_push <- function(run_id, metrics, step, call) {
  signal_failure(native_buffer_push(run_id, metrics, step), call)
}

buffer_flush <- function(file, run_id, close, call = rlang::caller_env()) {
  result <- wait_while_busy(native_buffer_flush, append_request(file), run_id, close)
  signal_warning(signal_failure(result, call), call)
}

read_series_native <- function(file) {
  native_read_series(file)
}

run_ids_native <- function(file) {
  native_run_ids(file)
}

# Why a value can't be recorded; NULL if it can.
refusal <- function(x, arg_path, metric = FALSE) {
  result <- native_refusal(x, arg_path, metric)
  if (inherits(result, "fitledger_failure")) result$message
}

# Changes the call itself, not a copy: it is ours, and R is evaluating it.
set_call_head <- function(call, head) {
  signal_failure(native_set_call_head(call, head))
}

hash_data_native <- function(x, call) {
  signal_failure(native_hash_data(x), call)
}

check_ledger_native <- function(file, call) {
  signal_failure(native_check_ledger(file), call)
}

store_file_native <- function(file, path, call) {
  stored <- wait_while_busy(native_store_file, append_request(file), path, progress_bar("Storing", path))
  signal_failure(stored, call)
}

hash_file_native <- function(path, call) {
  signal_failure(native_hash_file(path, progress_bar("Hashing", path)), call)
}

# `what` says in an error whose bytes they are.
read_object_native <- function(file, artifact, call, what = NULL) {
  on_progress <- progress_bar("Verifying", size = artifact$size)
  result <- native_read_object(file, artifact$sha256, artifact$size, on_progress)
  signal_failure(of_object(result, what), call)
}

copy_object_native <- function(file, artifact, to, call, what = NULL) {
  on_progress <- progress_bar("Verifying", size = artifact$size)
  result <- native_copy_object(file, artifact$sha256, artifact$size, to, on_progress)
  signal_failure(of_object(result, what), call)
}

of_object <- function(result, what) {
  if (!is.null(what) && is_failure(result, "artifact")) {
    result$message <- paste0("`", what, "` is not what was recorded. ", result$message)
  }
  result
}

artifacts_native <- function(file, run_id, call) {
  signal_failure(native_artifacts(file, run_id), call)
}

safe_name_native <- function(name) {
  signal_failure(native_safe_name(name))
}

check_object_native <- function(file, artifact, call) {
  on_progress <- progress_bar("Verifying", size = artifact$size)
  signal_failure(native_check_object(file, artifact$sha256, artifact$size, on_progress), call)
}

is_name_native <- function(name, stage) {
  signal_failure(native_is_name(name, stage))
}

register_native <- function(file, name, run_id, artifact, more, call) {
  result <- wait_while_busy(native_register, append_request(file), name, run_id, artifact, more)
  signal_warning(signal_failure(result, call), call)
}

promote_native <- function(file, change, name, version, stage, expect, figures, more, call) {
  result <- wait_while_busy(native_promote, append_request(file), change, name, version, stage, expect, figures, more)
  signal_warning(signal_failure(result, call), call)
}

models_native <- function(file, call) {
  signal_failure(native_models(file), call)
}

model_names_native <- function(file, call) {
  signal_failure(native_model_names(file), call)
}

# NULL where there is no such model.
model_native <- function(file, name) {
  signal_failure(native_model(file, name))
}

version_native <- function(file, name, version, call) {
  signal_failure(native_version(file, name, version), call)
}

stage_history_native <- function(file, name, call) {
  signal_failure(native_stage_history(file, name), call)
}

run_facts_native <- function(file, run_id, call) {
  signal_failure(native_run_facts(file, run_id), call)
}

# NULL where there is nothing to begin at.
trace_native <- function(file, kind, id, partial, down, call) {
  signal_failure(native_trace(file, kind, id, partial, down), call)
}

# A function that shows how many bytes are done, where somebody looks and it takes
# a while; else NULL.
progress_bar <- function(what, path, size = file.size(path), frame = rlang::caller_env(2)) {
  if (!interactive() || is.na(size) || size < 2e8) {
    return(NULL)
  }
  bar <- cli::cli_progress_bar(what, total = size, type = "download", .envir = frame)
  function(done) cli::cli_progress_update(set = done, id = bar, .envir = frame)
}
