# A function call as a run: what it was given and what it assumed.

#' Log a function call
#'
#' Runs a call and records it as a run: every argument with the value that the
#' function worked with, defaults included. What you get is what the bare call gives:
#' the same value with the same `$call`, the same error, the same random numbers.
#'
#' The run is on record before the call begins, so a call that fails or is
#' interrupted is on record, too. What is recorded of an argument:
#'
#' - of one that you gave: the value that the function received;
#' - of a default that is a constant: the constant;
#' - of a default that is computed, or a choice of several: the value in the
#'   function when it returned;
#' - of one that the function never evaluated, or evaluated inside `data`: its code.
#'   Nothing is evaluated that the function didn't evaluate;
#' - of data frames, matrices, and vectors as long as those have rows (or longer
#'   than 1000): the hash, as of data, see [hash_data()];
#' - of functions and formulas: their code.
#'
#' The parameter `learner` names the function, as `package::name`, unless the function
#' has an argument of that name. The call's code, the package's version and, of an S3
#' or S4 generic, the method that ran are recorded too ([compare_runs()]).
#'
#' Once there is a value, nothing may lose it: what can't be put on record is a
#' warning of the class `fitledger_warning_not_recorded`, and the value is returned.
#'
#' @inheritParams log_run
#' @param call One function call, `ranger(y ~ ., data = d)` or
#'   `ranger::ranger(y ~ ., data = d)`, in which `{{ }}` and base R's pipe may stand.
#'   Assignments, blocks, `%>%`, [do.call()] and methods of objects are refused before
#'   anything runs, with what to write instead.
#' @param metrics A function of the value that returns metrics, as [log_run()] takes them.
#' @param params Further parameters: a named list, or a function of the value that
#'   returns one, for what the function works out inside. They go before arguments of
#'   the same name.
#' @param artifact A name under which the value is stored, see [read_artifact()].
#' @param data Data as for [log_run()], in addition to those among the arguments.
#' @param seed The seed that you set, or the state of the stream, as for [log_run()].
#'   It is recorded, not set.
#' @param sealed As `metrics`, for metrics that are sealed: see [reveal_run()].
#' @param redact Names of arguments that are recorded as redacted: neither their
#'   values nor their code.
#' @returns The value of the call, visibly or not as without us.
#' @section Errors:
#' Those of the call itself. Before it runs, `fitledger_error_argument` for what
#' isn't one function call, and those of [log_run()].
#' @seealso [last_run_id()] for the id of the run.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- log_call(
#'   file, loess(dist ~ speed, data = cars, span = 0.5),
#'   metrics = function(fit) list(s = fit$s),
#'   artifact = "model"
#' )
#' fit$call
#' read_runs(file, columns = c("learner", "span", "degree", "family", "s"))
log_call <- function(file, call, metrics = NULL, ..., params = NULL, artifact = NULL, data = NULL,
                     seed = NULL, tags = NULL, sealed = NULL, redact = NULL) {
  check_no_dots(..., known = c("params", "artifact", "data", "seed", "tags", "sealed", "redact"))
  file <- absolute_path(check_path(file, "file"))
  expr <- substitute(call)
  caller <- parent.frame()
  check_call(expr)
  check_function(metrics, "metrics")
  check_function(sealed, "sealed")
  if (!is.null(artifact)) {
    check_name(artifact, "artifact")
  }
  if (!is.null(redact) && (!is.character(redact) || anyNA(redact))) {
    abort_argument("redact", "names of arguments", redact)
  }
  params_of <- if (is.function(params)) params
  params <- if (is.null(params_of)) as.list(params)
  seed <- check_seed(seed)
  data <- data_versions(data)
  fun <- called_function(expr, caller)
  about <- describe_call(expr, fun, redact, caller)

  run <- begin_call(file, override(learner(about), params), data, seed, tags, about)
  watch <- watch_call(expr, fun, caller)
  notes <- new_notes()
  ended <- FALSE
  how <- list(status = "interrupted")
  on.exit({
    if (!ended) {
      record_arguments(run, watch, about, params, data, redact, notes)
      end_quietly(run, how)
    }
    warn_of(notes)
  })
  result <- withCallingHandlers(
    withVisible(eval(watch$call, caller)),
    error = function(e) {
      condition <- describe_condition(e, sys.calls())
      how <<- list(status = "failed", condition = redact_condition(condition, watch, redact))
    },
    interrupt = function(e) how <<- list(status = "interrupted")
  )
  ended <- TRUE
  value <- result$value
  params <- override(params, values_of(value, params_of, "params", notes))
  record_arguments(run, watch, about, params, data, redact, notes)
  store_value(run, value, artifact, notes)
  end_call(run, values_of(value, metrics, "metrics", notes), values_of(value, sealed, "sealed", notes), notes)
  if (result$visible) value else invisible(value)
}

check_function <- function(x, arg, call = rlang::caller_env()) {
  if (!is.null(x) && !is.function(x)) {
    abort_argument(arg, "a function of the call's value", x, call = call)
  }
}

# ---- What is a call -------------------------------------------------------

check_call <- function(expr, call = rlang::caller_env()) {
  refuse <- function(what, hint) {
    abort("argument", paste0("`call` must be one function call, not ", what, "."), hint, arg = "call", call = call)
  }
  rewrite <- function(inner) {
    paste0("Write `log_call(file, ", code_text(inner, 1), ")`.")
  }
  if (missing(expr)) {
    abort_argument("call", "a function call", call = call)
  }
  if (!is.call(expr)) {
    refuse(
      if (is.symbol(expr)) paste0("the name `", expr, "`") else describe(expr),
      c(
        "Write the call itself: `log_call(file, lm(y ~ x, data = d))`.",
        if (is.symbol(expr)) "To hand on a call that a function of your own received: `rlang::inject(log_call(file, !!substitute(x)))`."
      )
    )
  }
  head <- expr[[1]]
  if (is.symbol(head)) {
    name <- as.character(head)
    if (name %in% c("<-", "<<-", "=") && length(expr) == 3) {
      target <- code_text(expr[[2]], 1)
      refuse("an assignment", paste0("Write `", target, " <- log_call(file, ", code_text(expr[[3]], 1), ")`."))
    }
    if (name == "(") {
      refuse("one in parentheses", rewrite(expr[[2]]))
    }
    if (name == "{") {
      inner <- if (length(expr) > 1) expr[[length(expr)]]
      refuse("a block", if (is.call(inner)) rewrite(inner) else "Write one call.")
    }
    if (grepl("^%.*>%$", name) && length(expr) == 3) {
      refuse(paste0("a pipe of `", name, "`"), c(
        "Base R's pipe is the call itself.",
        rewrite(unpiped(expr[[2]], expr[[3]]))
      ))
    }
    if (name == "do.call") {
      what <- if (length(expr) > 1) expr[[2]] else "f"
      args <- if (length(expr) > 2) code_text(expr[[3]], 1) else "args"
      what <- if (is.character(what)) what else code_text(what, 1)
      refuse("`do.call()`", paste0("Write `rlang::inject(log_call(file, ", what, "(!!!", args, ")))`."))
    }
    if (name %in% c("if", "for", "while", "repeat", "function", "~", "$", "[", "[[", "@", "!", "-", "+")) {
      refuse(paste0("`", code_text(expr, 1), "`"), "Write the call of the function that fits the model.")
    }
    return(invisible())
  }
  qualified <- is.call(head) && is.symbol(head[[1]]) && as.character(head[[1]]) %in% c("::", ":::")
  if (!qualified) {
    method <- is.call(head) && is.symbol(head[[1]]) && as.character(head[[1]]) %in% c("$", "@", "[[")
    renamed <- expr
    renamed[[1]] <- as.name("method")
    refuse(
      if (method) paste0("a method of an object, `", code_text(head, 1), "()`") else "a call of what a call returns",
      paste0("Give the function a name: `method <- ", code_text(head, 1), "; log_call(file, ", code_text(renamed, 1), ")`.")
    )
  }
}

# `left %>% right` as a call.
unpiped <- function(left, right) {
  if (!is.call(right)) {
    return(as.call(list(right, left)))
  }
  dots <- vapply(as.list(right)[-1], identical, logical(1), as.name("."))
  if (any(dots)) {
    right[which(dots) + 1] <- list(left)
    return(right)
  }
  as.call(append(as.list(right), list(left), 1))
}

# ---- What is called -------------------------------------------------------

called_function <- function(expr, caller, call = rlang::caller_env()) {
  head <- expr[[1]]
  fun <- if (is.symbol(head)) {
    get0(as.character(head), caller, mode = "function")
  } else {
    tryCatch(eval(head, caller), error = function(e) {
      abort("argument", paste0("`", code_text(head), "` can't be found: ", conditionMessage(e)), arg = "call", call = call)
    })
  }
  if (is.null(fun)) {
    abort("argument", paste0("There is no function `", head, "`."), "Is its package attached?", arg = "call", call = call)
  }
  if (is.primitive(fun)) {
    abort(
      "argument", paste0("`", code_text(head), "()` is built into R and can't be watched."),
      "Use `with_run()`, or call it in a function of your own.",
      arg = "call", call = call
    )
  }
  fun
}

# Which function it is, of which version, and how it was called.
describe_call <- function(expr, fun, redact, caller) {
  head <- expr[[1]]
  name <- as.character(if (is.call(head)) head[[3]] else head)
  home <- topenv(environment(fun))
  if (isNamespace(home)) {
    package <- getNamespaceName(home)[[1]]
    version <- if (package == "base") r_version() else unname(getNamespaceVersion(package))
    about <- list("function" = name, package = package, version = version)
  } else {
    about <- list("function" = name, body = hash_value(deparse(fun)))
  }
  c(about, list(code = code_text(redact_call(expr, fun, redact, caller))))
}

learner <- function(about) {
  list(learner = paste(c(about$package, about[["function"]]), collapse = "::"))
}

# The text of code, as far as somebody would read it.
code_text <- function(code, lines = 50) {
  text <- as_utf8(paste(deparse(code, 500, nlines = lines), collapse = "\n"))
  if (nchar(text) > 5000) paste(substr(text, 1, 5000), "...") else text
}

as_code <- function(code) {
  structure(code_text(code), class = "fitledger_code")
}

# ---- What must not be on record -------------------------------------------

redacted <- structure(list(), class = "fitledger_redacted")

redact_call <- function(expr, fun, redact, caller) {
  if (!length(redact)) {
    return(expr)
  }
  expr <- match.call(fun, expr, envir = caller)
  expr[names(expr) %in% redact] <- list(as.name("<redacted>"))
  expr
}

# An error's calls and words may hold it, too.
redact_condition <- function(condition, watch, redact) {
  if (!length(redact)) {
    return(condition)
  }
  condition$calls <- unname(sub("\\(.*", "()", condition$calls))
  arguments <- watched_arguments(watch)
  values <- lapply(arguments[names(arguments) %in% redact], `[[`, "value")
  for (text in as.character(unlist(Filter(is.atomic, values)))) {
    if (!is.na(text) && nchar(text) > 2) {
      condition$message <- gsub(text, "<redacted>", condition$message, fixed = TRUE)
    }
  }
  condition
}

# ---- On record ------------------------------------------------------------

begin_call <- function(file, params, data, seed, tags, about, call = rlang::caller_env()) {
  stream <- if (is_stream(seed)) store_stream(file, seed, call)
  more <- c(list(call = about), if (length(data)) list(data = data))
  run_id <- log_event_native(
    file, "start", NULL, params,
    seed = if (is.null(stream)) seed, tags = tags, more = more, call = call
  )
  if (!is.null(stream)) {
    log_event_native(file, "log", run_id, artifacts = stream, call = call)
  }
  structure(list(file = file, run_id = run_id), class = "fitledger_run")
}

# From here on there may be a value, and nothing throws: what fails is noted for
# one warning at the end.
new_notes <- function() {
  notes <- new.env(parent = emptyenv())
  notes$text <- character()
  notes
}

note <- function(notes, text) {
  notes$text <- c(notes$text, text)
  NULL
}

attempt <- function(code, what, notes) {
  tryCatch(code, error = function(e) note(notes, paste0(what, ": ", rlang::cnd_message(e, prefix = FALSE))))
}

warn_of <- function(notes) {
  if (length(notes$text)) {
    rlang::warn(
      c("The call is done, but not all of it is on record.", rlang::set_names(notes$text, rep("x", length(notes$text)))),
      class = c("fitledger_warning_not_recorded", "fitledger_warning")
    )
  }
}

record_arguments <- function(run, watch, about, params, data, redact, notes) {
  what <- "The arguments"
  sorted <- attempt(sort_arguments(watched_arguments(watch), redact, notes), what, notes)
  data <- override(sorted$data, data)
  more <- c(
    if (!is.null(watch$method)) list(call = c(about, list(method = watch$method))),
    if (length(data)) list(data = data)
  )
  attempt(
    log_event_native(run$file, "log", run$run_id, override(sorted$params, params), more = more),
    what, notes
  )
}

store_value <- function(run, value, name, notes) {
  if (!is.null(name)) {
    attempt(
      {
        artifact <- store_object(run$file, value, name)
        log_event_native(run$file, "log", run$run_id, artifacts = rlang::set_names(list(artifact), name))
      },
      paste0("The artifact `", name, "`"), notes
    )
  }
}

end_call <- function(run, metrics, sealed, notes) {
  attempt(finish(run, metrics, list(status = "finished"), sealed), "The metrics and the end of the run", notes)
}

override <- function(x, y) {
  x <- as.list(x)
  x[names(y)] <- y
  x
}

# What a function makes of the value, as far as the ledger takes it.
values_of <- function(value, fun, what, notes) {
  if (is.null(fun)) {
    return(NULL)
  }
  values <- attempt(named_list(fun(value)), paste0("`", what, "`"), notes)
  kept <- vapply(names(values), function(name) {
    place <- paste0(what, "$", name)
    why <- refusal(values[[name]], place, metric = what != "params")
    if (!is.null(why)) {
      note(notes, why)
    }
    is.null(why)
  }, logical(1))
  values[kept]
}

named_list <- function(x) {
  if (!is.list(x) && !is.atomic(x)) {
    stop("the function must return a named list or a named vector, not ", describe(x), call. = FALSE)
  }
  named_values(as.list(x))
}

# Arguments as parameters and as data.
sort_arguments <- function(arguments, redact, notes) {
  params <- list()
  data <- list()
  values <- lapply(arguments, `[[`, "value")
  rows <- vapply(Filter(is_table, values), NROW, integer(1))
  for (name in names(arguments)) {
    argument <- arguments[[name]]
    value <- argument$value
    entry <- NULL
    if (name %in% redact) {
      params[[name]] <- redacted
    } else if (!"value" %in% names(argument)) {
      params[[name]] <- as_code(argument$code)
    } else if (is.function(value) || is.language(value)) {
      is_name <- is.function(value) && !is.function(argument$code)
      params[[name]] <- as_code(if (is_name) argument$code else value)
    } else if (is_data(value, rows)) {
      entry <- attempt(data_version(value, name, NULL), paste0("The data `", name, "`"), notes)
      data[[name]] <- entry
    }
    if (is.null(params[[name]]) && is.null(entry)) {
      params[name] <- list(as_parameter(argument, name, notes))
    }
  }
  list(params = params, data = data)
}

is_table <- function(x) {
  is.data.frame(x) || length(dim(x)) > 1 || is_sparse(x)
}

is_data <- function(x, rows) {
  is_table(x) || is.atomic(x) && length(x) > 1 && length(x) %in% rows || is.atomic(x) && length(x) > 1000
}

as_parameter <- function(argument, name, notes) {
  why <- refusal(argument$value, name)
  if (is.null(why)) {
    return(argument$value)
  }
  if (!"code" %in% names(argument)) {
    return(NULL)
  }
  note(notes, paste(why, "Its code is."))
  as_code(argument$code)
}
