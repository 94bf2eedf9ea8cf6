# Runs that begin, report and end. A run is plain data, a path and an id; what is
# buffered for it lives in the process that began it.

#' Start, resume and end a live run
#'
#' A live run is on record from its first moment: parameters when it starts,
#' metrics as they come, and how it ended. What was reported stays, whatever
#' happens to the process.
#'
#' `start_run()` returns plain data, an id and where the ledger is, which survives
#' [saveRDS()], knitr's cache and being sent to workers. Values of series that the
#' process reports that started the run are held back for a moment, at most 1000 of
#' them, and are in the file within half a second, whatever R does meanwhile, and
#' whatever becomes of other ledgers (longer only where somebody else keeps this one locked):
#' then not even its death loses them. What can't be written is said by the next call. Any
#' other process, a forked child say, writes each at once. Whatever ends the run, or R,
#' writes what is held back. Only where another process ends the run in that moment the
#' values are lost: the next question to the ledger says how many.
#'
#' If another process ends the run or takes it over, whoever reports of it from then on
#' gets the error `fitledger_error_ended`.
#'
#' A run without an end whose process is provably gone (it ran on this machine
#' since its last boot, and isn't there any more) reads as `"lost"`. `resume`
#' takes it up again, as it does a run that failed or was interrupted.
#'
#' A finished run is finished: no parameter, metric or artifact is added to it or
#' changed, and it can't be resumed or ended again. Tags and notes can be added to
#' any run, see [tag_run()].
#'
#' @inheritParams log_run
#' @param seed The seed that you set, as in [log_run()]. A message says so if the stream
#'   isn't what [set.seed()] of it leaves.
#' @param resume A run in `file` to go on with, its id or a live run: `params` and
#'   `tags` are added to what it has.
#' @param take_over Whether `resume` may take a run that reads as running from its
#'   process, of which nothing counts from then on. Say so only if you know that the
#'   process is gone, on another machine, say.
#' @param .run A live run, as `start_run()` returns it.
#' @param status How the run ended: `"finished"`, `"failed"` or `"interrupted"`.
#'
#' @returns `start_run()`: an object of class `fitledger_run`, a list of `file` and
#'   `run_id`. `end_run()`: the run, invisibly.
#' @section Errors:
#' `fitledger_error_ended` for a run that has finished, or was taken over by another process;
#' `fitledger_error_running` for one that `resume` may not take without `take_over`; `fitledger_error_unknown` for one that
#' isn't there, `fitledger_error_argument` and `fitledger_error_value` for what can't be recorded, and those of the file,
#' see [fitledger_error]. A call that failed has logged nothing.
#' @seealso [with_run()], which ends the run by itself; [log_metrics()].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' run <- start_run(file, list(model = "net", eta = 0.1))
#' for (step in 1:3) log_metrics(run, loss = 1 / step, step = step)
#' end_run(run, metrics = list(rmse = 0.3))
#' read_runs(file, columns = c("loss", "rmse", "status"))
start_run <- function(file, params = list(), ..., data = NULL, seed = NULL, tags = NULL, name = NULL,
                      experiment = NULL, parent = NULL, resume = NULL, take_over = FALSE) {
  check_no_dots(
    ...,
    known = c("data", "seed", "tags", "name", "experiment", "parent", "resume", "take_over")
  )
  check_flag(take_over, "take_over")
  path <- absolute_path(check_ledger(file, "file", create = is.null(resume)))
  ledger <- lasting_ledger(file, path)
  file <- path
  seed <- check_seed(seed)
  more <- if (!is.null(data)) list(data = data_versions(data))
  if (!is.null(resume)) {
    resume <- known_run_id(file, resume, "resume")
    check_as_begun(name = name, experiment = experiment, parent = parent, seed = seed, data = data)
  }
  event <- if (is.null(resume)) "start" else "resume"
  stream <- if (is_stream(seed)) store_stream(file, seed)
  if (is.null(resume)) {
    tell_other_stream(seed)
  }
  about <- if (is.null(resume)) about_run(file, name, experiment, parent, if (is.null(stream)) seed)
  begun <- begun_from_now(file)
  is_handed_out <- FALSE
  on.exit(if (!is_handed_out) end_unheard(begun))
  run_id <- log_event_native(file, event, resume, params, about = about, tags = tags, more = more, take_over = take_over)
  if (!is.null(stream)) {
    log_event_native(file, "log", run_id, artifacts = stream)
  }
  is_handed_out <- TRUE
  structure(list(file = ledger, run_id = run_id), class = "fitledger_run")
}

# Tells which run this process has begun in a ledger from now on, NULL for none: an interrupt that came while the row was
# written shows once it is on record, and before who began the run has its id.
begun_from_now <- function(path) {
  before <- call_native(native_last_begun, path)
  function() {
    last <- call_native(native_last_begun, path)
    if (!identical(last, before)) structure(list(file = path, run_id = last), class = "fitledger_run")
  }
}

# Ends a run that was begun and that nobody has got hold of. Several may see to it.
end_unheard <- function(begun) {
  run <- begun()
  if (!is.null(run)) {
    notes <- new_notes()
    end <- function() tryCatch(finish_surely(run, NULL, list(status = "interrupted")), fitledger_error_ended = function(e) NULL)
    attempt(end(), "The end of the run", notes)
    warn_of(notes, "A run has begun, and who began it was kept from hearing of it.")
  }
}

# What a run is called, belongs to and began with doesn't change when it is resumed.
check_as_begun <- function(..., call = rlang::caller_env()) {
  given <- Filter(Negate(is.null), list(...))
  if (length(given)) {
    abort(
      "argument", paste0("`", names(given)[[1]], "` can't be given with `resume`: a run keeps what it began with."),
      "Leave it out, or start a new run.",
      arg = names(given)[[1]], call = call
    )
  }
}

#' @rdname start_run
#' @export
end_run <- function(.run, metrics = list(), ..., status = "finished", sealed = NULL) {
  check_no_dots(..., known = c("status", "sealed"))
  check_run(.run)
  if (!is_text_string(status) || !status %in% ends) {
    abort_argument("status", or(ends), status)
  }
  call <- environment()
  report_values(.run, list(metrics = metrics, sealed = sealed), function(values) {
    finish(.run, values$metrics, list(status = status), values$sealed, call)
  })
  invisible(.run)
}

# How a run can end.
ends <- c("finished", "failed", "interrupted")

finish <- function(run, metrics, more, sealed = NULL, call = rlang::caller_env()) {
  log_event_native(
    path_of(run$file), "end", run$run_id, NULL, metrics,
    sealed = sealed, more = more, call = call
  )
}

# The same once more where a time limit or an interrupt has met it, since the run would seem to go on as long as its process
# does. That may have come when the end was on record already. `through`: whether an interrupt is to get through.
finish_surely <- function(run, metrics, more, through = FALSE) {
  again <- function() {
    tryCatch(finish(run, metrics, more), fitledger_error_ended = function(e) if (was_taken_over(e)) stop(e) else run$run_id)
  }
  tryCatch(
    finish(run, metrics, more),
    interrupt = function(e) if (through) rlang::interrupt() else again(),
    error = function(e) if (is_time_limit(e)) again() else stop(e)
  )
}

was_taken_over <- function(e) identical(e$how, "taken_over")

#' @export
print.fitledger_run <- function(x, ...) {
  where <- if (is_ledger(x$file)) format(x$file) else encodeString(x$file, quote = "'")
  cat("<run ", x$run_id, "> in ", where, "\n", sep = "")
  invisible(x)
}

#' Report from a live run
#'
#' `log_metrics()` with a `step` adds a point to a series; without, it sets a
#' value. The last value of a metric is the one in [read_runs()], and
#' [read_metrics()] has all points of all series. Steps may come in any order and
#' more than once. Within [with_run()] a value that can't be recorded is a warning, and no
#' error.
#'
#' @param .run A live run, as [start_run()] returns it.
#' @param ... Named values, or named lists of them: parameters, metrics (each one
#'   number) or tags. A name given before is given its new value.
#' @param step The step of the values, a whole number.
#' @returns The run, invisibly.
#' @section Errors:
#' `fitledger_error_ended` for a run that has ended; `fitledger_error_argument` for a value without a name or a
#' step that isn't a whole number, `fitledger_error_value` for what can't be recorded, and those of the file, see
#' [fitledger_error]. A call that failed has logged none of its values.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' run <- start_run(file, list(model = "net"))
#' log_params(run, eta = 0.1, layers = c(16L, 4L))
#' for (step in 1:3) log_metrics(run, loss = 1 / step, accuracy = 1 - 1 / step, step = step)
#' log_tags(run, try = "second")
#' end_run(run)
#' read_metrics(file)
log_metrics <- function(.run, ..., step = NULL) {
  if (missing(.run) || !inherits(.run, "fitledger_run")) {
    check_run(.run)
  }
  values <- list(...)
  # This is called at every step of a fit, so that what only `with_run()` needs is made only there.
  if (is_enclosing(.run)) {
    call <- environment()
    log <- function(values) log_values(.run, named_values(values$metrics, call), step, call)
    report_values(.run, list(metrics = values), log, named_each)
  } else {
    log_values(.run, named_values(values), step)
  }
  invisible(.run)
}

log_values <- function(run, values, step, call = rlang::caller_env()) {
  if (is.null(step)) {
    return(log_event_native(path_of(run$file), "log", run$run_id, NULL, values, call = call))
  }
  # 0: buffered, 1: not, and so to be written now, 2: the step is none.
  outcome <- call_native(native_buffer_push, run, values, step, call = call)
  if (outcome == 1) {
    call_native(native_log_step, append_request(path_of(run$file)), run$run_id, values, step, call = call)
  } else if (outcome == 2) {
    refuse_step(step, call)
  }
}

#' @rdname log_metrics
#' @export
log_params <- function(.run, ...) {
  check_run(.run)
  values <- list(...)
  call <- environment()
  log <- function(values) {
    log_event_native(path_of(.run$file), "log", .run$run_id, named_values(values$params, call), call = call)
  }
  report_values(.run, list(params = values), log, named_each)
  invisible(.run)
}

#' @rdname log_metrics
#' @export
log_tags <- function(.run, ...) {
  check_run(.run)
  values <- list(...)
  call <- environment()
  log <- function(values) {
    log_event_native(path_of(.run$file), "log", .run$run_id, tags = named_values(values$tags, call), call = call)
  }
  report_values(.run, list(tags = values), log, named_each)
  invisible(.run)
}

# Named values, with the elements of unnamed lists among them.
named_values <- function(values, call = rlang::caller_env()) {
  names <- names(values)
  if (length(values) && (is.null(names) || !all(nzchar(names)))) {
    spread <- if (is.null(names)) rep(TRUE, length(values)) else !nzchar(names)
    plain <- vapply(values, function(x) is.list(x) || is.atomic(x) && !is.null(attr(x, "names")), logical(1))
    if (any(spread & !plain)) {
      abort(
        "argument", "A value has no name.",
        "Give each its name: `loss = 0.5`, or a named list.",
        arg = "...", call = call
      )
    }
    values[!spread] <- lapply(values[!spread], list)
    values[!spread] <- Map(rlang::set_names, values[!spread], names[!spread])
    values <- do.call(c, unname(lapply(values, elements_of, arg = "...", call = call)))
  }
  values
}

# The same of each by itself, where one that isn't named is noted.
named_each <- function(values, what, notes) {
  each <- lapply(seq_along(values), function(i) {
    as.list(tryCatch(named_values(values[i]), fitledger_error_argument = function(e) note_failure(e, notes)))
  })
  do.call(c, each)
}

# The elements of a list or a vector, whose class may have a method for that.
elements_of <- function(x, arg, call = rlang::caller_env()) {
  elements <- tryCatch(as.list(x), error = function(e) {
    abort(
      "argument", paste0("The elements of ", describe(x), " can't be taken one by one."),
      "Give a named list.",
      arg = arg, parent = e, call = call
    )
  })
  names <- attr(elements, "names")
  attributes(elements) <- NULL
  rlang::set_names(elements, names)
}

refuse_step <- function(step, call) {
  if (!is.object(step) && is.numeric(step) && length(step) == 1 && is.finite(step) && step == trunc(step)) {
    abort_argument("step", "a whole number of at most 2^53, up to which doubles tell each from the next", step, call = call)
  }
  hint <- if (inherits(step, "integer64")) "Convert it: `as.numeric(step)`."
  abort_argument("step", "a whole number", step, hint, call = call)
}

check_run <- function(x, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(".run", "a live run", call = call)
  }
  if (!inherits(x, "fitledger_run")) {
    abort_argument(
      ".run", "a live run, as `start_run()` returns it", x,
      if (is.character(x)) "Take a run of a ledger up again with `start_run(file, resume = run_id)`.",
      call = call
    )
  }
}

#' Do something within a run
#'
#' `with_run()` starts a run, calls a function with it and ends it, unless the function
#' has ended it itself. If the
#' function fails, the run is on record as failed, with the class and message of
#' the error and the calls that led to it, and the error goes on as it would
#' have; an interrupt likewise. Runs of the same ledger that are logged meanwhile, of
#' every kind, belong to it: their `parent` is the run. `with(run, ...)` does the same for a run that was
#' started, whose name in the expression is `.run`.
#'
#' Once there is a fit, nothing loses it. What [log_metrics()], [log_params()],
#' [log_tags()], [log_artifact()] or [end_run()] of the run can't put on record within the
#' function, or the expression, is a warning of the class
#' `fitledger_warning_not_recorded` that names it, and no error, also under
#' `options(warn = 2)`; what else the call was given is recorded. Only that the run has
#' ended, or is another process's by now, is an error (`fitledger_error_ended`). If at
#' last the end can't be recorded, that is a warning of the class `fitledger_warning_end`.
#'
#' @inheritParams start_run
#' @param fun A function of the run.
#' @param seed A seed to set before the call, and to record; or the state of R's
#'   random stream to start from, see [log_run()]. The stream is put back afterwards.
#'   Without one, if random numbers were drawn, the state of the stream before the call
#'   is on record: `stream` in [read_run()], which can be given as `seed` to repeat it.
#'   A stream that didn't exist yet is begun as R begins one.
#'   `options(fitledger.stream = FALSE)` turns that off.
#' @returns What the function, or the expression, returns.
#' @section Errors:
#' Those of the function itself, as they are. Before it runs, those of [start_run()].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- with_run(file, list(formula = dist ~ speed), function(run) {
#'   fit <- lm(dist ~ speed, cars)
#'   log_metrics(run, sigma = sigma(fit))
#'   fit
#' })
#' try(with_run(file, list(formula = dist ~ sped), function(run) lm(dist ~ sped, cars)))
#' read_runs(file, columns = c("formula", "sigma", "status"))
#'
#' with(start_run(file, list(model = "mean")), {
#'   log_metrics(.run, rmse = sd(cars$dist))
#' })
with_run <- function(file, params, fun, ..., data = NULL, seed = NULL, tags = NULL, name = NULL,
                     experiment = NULL, parent = NULL) {
  check_no_dots(..., known = c("data", "seed", "tags", "name", "experiment", "parent"))
  if (missing(params)) {
    abort_argument("params", "a named list")
  }
  if (missing(fun)) {
    abort_argument("fun", "a function of the run")
  }
  if (!is.function(fun)) {
    abort_argument("fun", "a function of the run", fun)
  }
  seed <- check_seed(seed)
  stream <- begin_stream(seed)
  on.exit(end_stream(stream))
  begun <- begun_from_now(absolute_path(check_ledger(file, "file", create = TRUE)))
  is_seen_to <- FALSE
  on.exit(if (!is_seen_to) end_unheard(begun), add = TRUE)
  run <- start_run(
    file, params,
    data = data, seed = seed, tags = tags, name = name, experiment = experiment, parent = parent
  )
  # Evaluated where the run's end is seen to.
  within_run(
    run,
    {
      is_seen_to <- TRUE
      fun(run)
    },
    stream
  )
}

#' @param data A live run.
#' @param expr An expression, in which `.run` is the run.
#' @rdname with_run
#' @export
with.fitledger_run <- function(data, expr, ...) {
  check_no_dots(...)
  expr <- substitute(expr)
  caller <- parent.frame()
  within_run(data, eval(expr, list(.run = data), caller))
}

within_run <- function(run, code, stream = begin_stream()) {
  ended <- FALSE
  force(stream)
  left <- new_leaving()
  on.exit(if (!ended) end_within(run, c(left$how, drawn_from(stream))))
  value <- watched(left, within_parent(run, withVisible(code)))
  left$how <- list(status = "finished")
  end_within(run, c(left$how, drawn_from(stream)), through = TRUE)
  ended <- TRUE
  if (value$visible) value$value else invisible(value$value)
}

# How the code of a run was left, if it was: by an error that was thrown on, else by an interrupt or a jump. What
# handlers see on the way says which.
new_leaving <- function() {
  left <- new.env(parent = emptyenv())
  note_jump(left)
  left
}

note_jump <- function(left) {
  left$how <- list(status = "interrupted")
}

# Evaluates the code of a run, and notes how it is left. `describe`: what is recorded of an error with the calls that led
# to it, and whether a call with redacted arguments has failed meanwhile.
watched <- function(left, code, describe = describe_failure) {
  failed <- redacting$failed
  described <- function(e, calls) tryCatch(describe(e, calls, redacting$failed > failed), error = function(e) NULL)
  tryCatch(
    withCallingHandlers(
      code,
      error = function(e) note_error(left, described(e, sys.calls())),
      rlang_error = function(e) note_uncaught(left, e),
      interrupt = function(e) note_jump(left)
    ),
    # After an endless recursion R has no room for those handlers.
    stackOverflowError = function(e) {
      note_error(left, described(e, list()))
      stop(e)
    }
  )
}

# For the handler of an error. An error that was only signalled, and from which the code went on, ended nothing.
note_error <- function(left, condition) {
  left$how <- left$failed <- c(list(status = "failed"), if (!is.null(condition)) list(condition = condition))
  signalling <- sys.nframe() - 2
  if (signalling > 0 && identical(sys.function(signalling), signalCondition)) {
    went_on <- function(value) if (is.null(value)) note_jump(left)
    code <- as.call(list(went_on, quote(returnValue("jumped"))))
    do.call(on.exit, list(code, add = TRUE), envir = sys.frame(signalling))
  }
}

# What rlang signals as an error and nobody catches it then stops with, under a class that is no error's.
note_uncaught <- function(left, e) {
  if (!inherits(e, "error")) {
    left$how <- left$failed
  }
}

# The code has its value, or an error is on its way, and neither may be lost: that the end couldn't be recorded is a
# warning. The code may have ended the run itself.
end_within <- function(run, how, through = FALSE) {
  tryCatch(finish_surely(run, NULL, how, through), error = function(e) {
    if (!inherits(e, "fitledger_error_ended") || was_taken_over(e)) {
      warn("end", c("The end of the run is not on record.", x = conditionMessage(e)))
    }
  })
}

describe_condition <- function(e, calls, most = 20) {
  texts <- function(x) unname(substr(as_utf8(x), 1, 2000))
  lines <- with_plain_numbers(vapply(calls, function(call) deparse(call, nlines = 1)[[1]], character(1)))
  ours <- grepl(
    "^(withCallingHandlers|withVisible|eval|eval_bare|log_call|log_search|watched|within_run|within_parent|with_run|\\.handleSimpleError|h|try(Catch(List|One)?)?|doTryCatch)\\(",
    lines
  )
  list(
    class = texts(class(e)),
    message = texts(message_of(e)),
    calls = texts(utils::tail(lines[!ours], most))
  )
}

# The message of a condition of anybody's making, whatever that holds.
message_of <- function(e) {
  message <- tryCatch(as_utf8(as.character(conditionMessage(e))), error = function(e) character())
  paste(message, collapse = "\n")
}

#' Say something of runs afterwards
#'
#' What came out of a finished run stays as it is. What can be added to any run, at
#' any time, is what one says of it: `tag_run()` adds tags, `log_note()` a remark.
#' `void_run()` declares a run invalid: it stays in the ledger, and no query shows it
#' unless asked to; `restore_run()` takes that back. Neither status nor duration of a
#' run changes by any of these.
#'
#' @param file,.file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id,.run_id The runs: ids, a data frame with a column `run_id`, such as
#'   [read_runs()] returns, a live run, or versions of models (`"price/3"`). Nothing is
#'   done where there is none.
#' @param ... Named values, or named lists of them: the tags.
#' @param text,reason The remark, or why the runs are invalid, or valid after all: a
#'   string.
#' @returns The ids of the runs, invisibly.
#' @section Errors:
#' `fitledger_error_unknown` for a run that isn't there, `fitledger_error_argument` for a text that is empty, and those of
#' the file, see [fitledger_error]. Then nothing was said of any of the runs.
#' @seealso [reveal_run()].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' id <- log_run(file, list(lambda = 1000), list(rmse = 0.1))
#' log_run(file, list(lambda = 1), list(rmse = 2))
#' log_note(file, id, "the penalty was in the wrong unit")
#' tag_run(file, read_runs(file, where = lambda < 10), checked = TRUE)
#' void_run(file, id, "wrong unit")
#' read_runs(file)
#' read_runs(file, void = TRUE, details = TRUE)$status
#' restore_run(file, id, "the unit was right")
tag_run <- function(.file, .run_id, ...) {
  file <- check_ledger(.file, ".file")
  run_ids <- run_ids_of(file, .run_id, ".run_id")
  tags <- named_values(list(...))
  if (!length(tags)) {
    abort_argument("...", "tags, each with its name")
  }
  remark_on(file, "log", run_ids, tags = tags)
}

#' @rdname tag_run
#' @export
log_note <- function(file, run_id, text) {
  file <- check_ledger(file, "file")
  check_text(text, "text")
  remark_on(file, "note", run_ids_of(file, run_id, "run_id"), more = list(text = text))
}

#' @rdname tag_run
#' @export
void_run <- function(file, run_id, reason) {
  file <- check_ledger(file, "file")
  check_text(reason, "reason")
  remark_on(file, "void", run_ids_of(file, run_id, "run_id"), more = list(reason = reason))
}

#' @rdname tag_run
#' @export
restore_run <- function(file, run_id, reason) {
  file <- check_ledger(file, "file")
  check_text(reason, "reason")
  run_id <- run_ids_of(file, run_id, "run_id")
  if (!length(run_id)) {
    cli_inform(c(i = "There is no run to restore: of void runs {.fun read_runs} knows with {.code void = TRUE}."))
  }
  remark_on(file, "void", run_id, more = list(void = FALSE, reason = reason))
}

# The ids of the runs that an argument means: ids, runs as a data frame, a live run, or versions of models.
run_ids_of <- function(file, x, arg, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(arg, "runs, by their ids", call = call)
  }
  if (inherits(x, "fitledger_run")) {
    x <- x$run_id
  } else if (is.data.frame(x) && "run_id" %in% names(x)) {
    x <- x$run_id
  }
  if (!is.character(x) || anyNA(x) || !is_text(x)) {
    abort_argument(arg, "ids of runs, a data frame with a column `run_id`, or a live run", x, call = call)
  }
  x <- unique(as.vector(x))
  of_model <- grepl("[@/]", x)
  x[of_model] <- vapply(x[of_model], function(what) find_version(file, what, call)$run_id, "")
  unique(x)
}

# The same where one run is needed.
one_run_id <- function(file, x, arg, call = rlang::caller_env()) {
  run_ids <- run_ids_of(file, x, arg, call)
  if (length(run_ids) != 1) {
    abort("argument", paste0("`", arg, "` must be one run, not ", if (length(run_ids)) length(run_ids) else "none", "."), arg = arg, call = call)
  }
  run_ids
}

# The id of a run of the ledger.
known_run_id <- function(file, run_id, arg, call = rlang::caller_env()) {
  run_id <- one_run_id(file, run_id, arg, call)
  check_run_ids(file, run_id, call)
  run_id
}

check_run_ids <- function(file, run_ids, call = rlang::caller_env()) {
  call_native(native_check_runs, file, run_ids, call = call)
}

#' The id of the last run
#'
#' The run of the ledger that this process began last, whichever others began
#' meanwhile; of a ledger in which it has begun none, the last one of all. After
#' [log_call()], say, it is the run of that call.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @returns The id of the run, a string; `NA` where there is none.
#' @section Errors:
#' `fitledger_error_not_found` where no file is, and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(a = 1), list(b = 2))
#' last_run_id(file)
last_run_id <- function(file) {
  file <- check_ledger(file, "file")
  call_native(native_last_run, file) %||% NA_character_
}

#' Read the series of metrics
#'
#' @inheritParams read_runs
#' @param run_id The runs wanted, as [tag_run()] takes them; `NULL` for all.
#' @param metrics Names of the metrics wanted; `NULL` for all.
#' @details What a session has read of series it keeps in memory, as [read_runs()] does of
#'   runs, up to about as much again.
#' @returns A data frame with a row for each point of each series that
#'   [log_metrics()] wrote with a step: `run_id`, `metric`, `step`, `value`, `time`
#'   (`POSIXct` in UTC). Ordered by run and metric, then as they were written.
#' @section Errors:
#' `fitledger_error_unknown` for a run or a metric that isn't there, and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' with_run(file, list(eta = 0.1), function(run) {
#'   for (step in 1:3) log_metrics(run, loss = 1 / step, step = step)
#' })
#' read_metrics(file)
read_metrics <- function(file, run_id = NULL, metrics = NULL) {
  file <- check_ledger(file, "file")
  if (!is.null(run_id)) {
    run_id <- run_ids_of(file, run_id, "run_id")
  }
  check_names(metrics, "metrics", "names of metrics")
  write_buffered(file)
  as_frame(call_native(native_read_series, file, run_id, metrics))
}

absolute_path <- function(path, call = rlang::caller_env()) {
  # What fails as the path is looked for is not for the handler.
  force(path)
  tryCatch(
    {
      folder <- normalizePath(dirname(path), winslash = "/", mustWork = FALSE)
      file.path(sub("/$", "", folder), basename(path))
    },
    error = function(e) {
      if (isTRUE(validEnc(getwd()))) {
        stop(e)
      }
      abort(
        "argument", "The working folder has a name that is no text in this session's encoding.",
        "Give the ledger's whole path, or work in another folder.",
        arg = "file", parent = e, call = call
      )
    }
  )
}

# Writes what is buffered, of all runs or of those in a file: who asks sees what this process has reported. What can't be
# written now stays buffered, and what never can be, since another process has ended the run, is said. Only that a time limit has
# ended the wait is for the caller, who would wait again without one.
write_buffered <- function(file = NULL, call = rlang::caller_env()) {
  buffered <- native_buffered(file)
  for (i in seq_along(buffered$run_id)) {
    tryCatch(
      call_native(native_buffer_write, buffered$file[[i]], buffered$run_id[[i]], call = call),
      fitledger_error_ended = function(e) warn("not_recorded", conditionMessage(e), call),
      error = function(e) if (is_time_limit(e)) stop(e)
    )
  }
}
