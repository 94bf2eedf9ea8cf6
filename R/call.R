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
#'   Nothing is evaluated that the function didn't evaluate, but for data and formulas
#'   where that has no effect: `lm()`, say, reads them past its arguments. They are read
#'   as they were before the call, from variables, rows and columns of these, or code such
#'   as `reformulate(vars, "y")`; else a formula is as the model keeps it (`$terms`);
#' - of data frames, matrices, and vectors as long as those have rows (or longer
#'   than 1000): the hash, as of data, see [hash_data()]; of a data frame in a variable,
#'   which a function may change in place, as data.table's do, as it was before the call;
#' - of functions, formulas and families: their code.
#'
#' The parameter `learner` names the function, as `package::name`, unless the function
#' has an argument of that name. The call's code, the package's version and, of an S3
#' or S4 generic, the method that ran are recorded too ([compare_runs()]), and of which
#' packages the methods are that gave the figures (`call$figures` in [read_run()]).
#'
#' Once there is a value, nothing may lose it: what can't be put on record is a
#' warning of the class `fitledger_warning_not_recorded`, and the value is returned.
#'
#' @inheritParams log_run
#' @param call One function call, `ranger(y ~ ., data = d)` or
#'   `ranger::ranger(y ~ ., data = d)`, in which `{{ }}` and base R's pipe may stand.
#'   Assignments, blocks, `%>%`, [do.call()] and methods of objects are refused before
#'   anything runs, with what to write instead.
#' @param metrics A function of the value that returns metrics, as [log_run()] takes them, or
#'   a [fit_description()]. By default the figures are those that [describe_fit()] knows of the
#'   value, with its series; a value that is no fit has none. `NULL` for none.
#' @param params Further parameters: a named list, or a function of the value that
#'   returns one, for what the function works out inside. They go before arguments of
#'   the same name.
#' @param artifact A name under which the value is stored, of any size, see
#'   [log_artifact()]. Of a value that is the path of a file or a folder, its bytes are.
#' @param data Data as for [log_run()], in addition to those among the arguments.
#' @inheritParams with_run
#' @param sealed As `metrics`, for metrics that are sealed: see [reveal_run()].
#' @param redact Names of arguments that are recorded as redacted: neither their
#'   values nor their code. So is what the function itself worked out for an argument that
#'   wasn't given, since it may be made of them, and what an error of the call says, for
#'   this run and those around it. What another process hands back as an error is
#'   recorded as it says.
#' @returns The value of the call, visibly or not as without us.
#' @section Errors:
#' Those of the call itself. Before it runs, `fitledger_error_argument` for what
#' isn't one function call, and those of [log_run()].
#' @seealso [last_run_id()] for the id of the run.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- log_call(file, lm(dist ~ speed, data = cars))
#' read_run(file, last_run_id(file))$metrics$train.AIC
#'
#' fit <- log_call(
#'   file, loess(dist ~ speed, data = cars, span = 0.5),
#'   metrics = function(fit) list(s = fit$s),
#'   artifact = "model"
#' )
#' fit$call
#' read_runs(file, columns = c("learner", "span", "degree", "family", "s"))
log_call <- function(file, call, metrics = describe_fit, ..., params = NULL, artifact = NULL, data = NULL,
                     seed = NULL, tags = NULL, sealed = NULL, redact = NULL, name = NULL,
                     experiment = NULL, parent = NULL) {
  check_no_dots(
    ...,
    known = c("params", "artifact", "data", "seed", "tags", "sealed", "redact", "name", "experiment", "parent")
  )
  ended <- FALSE
  if (length(redact)) {
    around <- redacting$calls
    on.exit(add = TRUE, {
      redacting$calls <- around
      redacting$failed <- redacting$failed + !ended
    })
    redacting$calls <- around + 1
  }
  file <- absolute_path(check_ledger(file, "file", create = TRUE))
  expr <- substitute(call)
  caller <- parent.frame()
  check_call(expr, "log_call", "the function that fits the model", "lm(y ~ x, data = d)")
  check_function(metrics, "metrics")
  check_function(sealed, "sealed")
  check_artifact(artifact, redact)
  params_of <- if (is.function(params)) params
  params <- if (is.null(params_of)) elements_of(params, "params")
  seed <- check_seed(seed)
  data <- data_versions(data)
  fun <- called_function(expr, caller)
  check_redact(redact, fun, given_in(expr, caller))
  about <- describe_call(expr, fun, redact, caller)

  said <- about_run(file, name, experiment, parent, if (!is_stream(seed)) seed)
  capture <- capture_call(expr, fun, caller)
  stream <- begin_stream(seed)
  on.exit(end_stream(stream), add = TRUE)
  notes <- new_notes()
  left <- new_leaving()
  begun <- begun_from_now(file)
  run <- NULL
  # Set before the run begins, since an interrupt may come as soon as it is on record.
  on.exit(add = TRUE, {
    suspendInterrupts({
      run <- run %||% begun()
      if (!is.null(run) && !ended) {
        end_early(run, capture, c(left$how, drawn_from(stream)), about, params, data, redact, notes)
      }
    })
    warn_of(notes)
  })
  run <- begin_call(file, override(learner(about), redacted_params(params, redact)), data, seed, tags, about, said)
  result <- watched(
    left,
    rlang::eval_bare(as.call(list(base::withVisible, capture$call)), caller),
    function(e, calls, is_redacted) {
      if (is.null(capture$frame)) {
        as_typed(capture)
      }
      describe_failure(e, calls, is_redacted || length(redact) > 0)
    }
  )
  # Who is called away from here on, by an interrupt or a time limit, leaves a call that has come to its end.
  left$how <- list(status = "finished")
  drawn <- drawn_from(stream)
  params <- override(params, values_of(result, params_of, "params", notes))
  record_arguments(run, capture, result$value, about, params, data, redact, notes)
  # What the value prints might be what is sealed.
  until <- if (is.null(sealed)) preview_until() else no_preview
  store_value(run, result, artifact, capture, notes, until)
  described <- describe_value(result, metrics, redact, notes)
  described$sealed <- override(described$sealed, values_of(result, sealed, "sealed", notes))
  call <- if (length(described$packages)) call_on_record(about, capture)
  end_described(path_of(run$file), run$run_id, described, notes, call, drawn = drawn)
  ended <- TRUE
  if (result$visible) result$value else invisible(result$value)
}

check_function <- function(x, arg, call = rlang::caller_env()) {
  if (!is.null(x) && !is.function(x)) {
    abort_argument(arg, "a function of the call's value", x, call = call)
  }
}

check_artifact <- function(artifact, redact, call = rlang::caller_env()) {
  if (is.null(artifact)) {
    return(invisible())
  }
  check_text(artifact, "artifact", call)
  if (length(redact)) {
    abort(
      "argument", "A value may hold what is redacted, so `artifact` and `redact` don't go together.",
      "Leave one of them out; what you know to be free of it can be stored as an artifact of a run of its own.",
      arg = "artifact", call = call
    )
  }
}

# A function that takes any argument may be given one this time or not. But a name that none has, where one is but for a slip of
# the finger, is mistyped, and would leave that one on record.
check_redact <- function(redact, fun, given, call = rlang::caller_env()) {
  if (is.null(redact)) {
    return(invisible())
  }
  if (!is.character(redact) || anyNA(redact)) {
    abort_argument("redact", "names of arguments", redact, call = call)
  }
  known <- names(formals(fun))
  unknown <- setdiff(redact, known)
  if ("..." %in% known) {
    known <- setdiff(union(known, given), c("", "..."))
    unknown <- Filter(function(name) any(is_slip(name, known)), setdiff(unknown, given))
  }
  if (length(unknown)) {
    abort_unknown("argument", unknown[[1]], known, call = call)
  }
}

# The names of arguments that a call gives, those that its caller hands on among them.
given_in <- function(expr, caller) {
  handed_on <- any(vapply(as.list(expr), identical, NA, quote(...)))
  c(names(expr), if (handed_on) eval(quote(...names()), caller))
}

# Whether names are one but for a letter that is missing, too many or another one, or two that are swapped. Of short names others
# are so near.
is_slip <- function(name, known) {
  letters_of <- function(names) vapply(strsplit(names, ""), function(letters) paste(sort(letters), collapse = ""), "")
  distance <- drop(utils::adist(name, known))
  nchar(name) > 3 & (distance == 1 | distance == 2 & letters_of(known) == letters_of(name))
}

# ---- What is a call -------------------------------------------------------

# `verb` is what is given the call, which is to be one of `whose`, such as the `example`.
check_call <- function(expr, verb, whose, example, call = rlang::caller_env()) {
  if (missing(expr)) {
    abort_argument("call", "a function call", call = call)
  }
  if (is_function_call(expr)) {
    return(invisible())
  }
  what <- if (is.symbol(expr)) paste0("the name `", expr, "`") else if (is.call(expr)) kind_of_call(expr) else describe(expr)
  example <- paste0("`", verb, "(file, ", example, ")`.")
  hint <- if (is.symbol(expr)) {
    c(
      paste("Write the call itself:", example),
      paste0("In a function that was handed a call as `x`: `rlang::inject(", verb, "(!!file, !!substitute(x)), parent.frame())`.")
    )
  } else {
    (if (is.call(expr)) rewritten(expr, verb)) %||% paste0("Write one call of ", whose, ": ", example)
  }
  abort("argument", paste0("`call` must be one function call, not ", what, "."), hint, arg = "call", call = call)
}

not_functions <- c(
  "<-", "<<-", "=", "{", "(", "if", "for", "while", "repeat", "function", "~", "$", "[", "[[", "@", "::", ":::", "!",
  "-", "+", "do.call"
)

is_function_call <- function(expr) {
  if (!is.call(expr)) {
    return(FALSE)
  }
  name <- head_name(expr[[1]])
  !is.null(name) && !name %in% not_functions && !grepl("^%.*>%$", name)
}

# The name of what is called, without its package; NULL where it isn't a name.
head_name <- function(head) {
  if (is.call(head) && length(head) == 3 && is.symbol(head[[1]]) && as.character(head[[1]]) %in% c("::", ":::")) {
    head <- head[[3]]
  }
  if (is.symbol(head) || is.character(head)) as.character(head)
}

kind_of_call <- function(expr) {
  name <- head_name(expr[[1]])
  if (is.null(name)) {
    method <- is.call(expr[[1]]) && head_name(expr[[1]][[1]]) %in% c("$", "@", "[[")
    return(if (method) "a method of an object" else "a call of what a call returns")
  }
  switch(name,
    "<-" = , "<<-" = , "=" = "an assignment",
    "{" = "a block",
    "(" = "one in parentheses",
    paste0("a call of `", name, "`")
  )
}

# The hint with a call that will do in place of one that doesn't; NULL where none is found.
rewritten <- function(expr, verb) {
  name <- head_name(expr[[1]])
  if (is.null(name)) {
    method <- expr
    method[[1]] <- as.name("method")
    return(hint_of(c("method <- ", code_text(expr[[1]]), "; "), method, verb))
  }
  assigned <- ""
  if (name %in% c("<-", "<<-", "=") && length(expr) == 3) {
    assigned <- c(code_text(expr[[2]]), " ", name, " ")
    expr <- expr[[3]]
  }
  if (is.call(expr) && identical(head_name(expr[[1]]), "do.call")) {
    return(hint_of_do_call(assigned, expr, verb))
  }
  if (rlang::is_call(expr, "{") && length(expr) > 2) {
    last <- hint_of(assigned, plain_call(expr[[length(expr)]]), verb)
    return(if (!is.null(last)) paste("Keep the other lines outside.", last))
  }
  hint_of(assigned, plain_call(expr), verb)
}

hint_of <- function(before, call, verb) {
  if (is_function_call(call)) {
    paste0("Write `", paste(before, collapse = ""), verb, "(file, ", code_text(call), ")`.")
  }
}

hint_of_do_call <- function(before, expr, verb) {
  matched <- tryCatch(match.call(base::do.call, expr), error = function(e) NULL)
  if (is.null(head_name(matched$what)) || is.null(matched$args)) {
    return(NULL)
  }
  what <- if (is.call(matched$what)) code_text(matched$what) else as.character(matched$what)
  injected <- paste0(what, "(!!!", code_text(matched$args), ")")
  paste0("Write `", paste(before, collapse = ""), "rlang::inject(", verb, "(file, ", injected, "))`.")
}

# The one call that parentheses, a block or a pipe comes to; NULL if it isn't one.
plain_call <- function(expr) {
  name <- if (is.call(expr)) head_name(expr[[1]]) else ""
  if (identical(name, "(") || identical(name, "{") && length(expr) == 2) {
    return(plain_call(expr[[2]]))
  }
  if (identical(name, "%>%") && length(expr) == 3) {
    return(unpiped(expr[[2]], expr[[3]]))
  }
  if (is_function_call(expr)) expr
}

# `left %>% right` as a call.
unpiped <- function(left, right) {
  if (rlang::is_call(left, "%>%")) {
    left <- unpiped(left[[2]], left[[3]])
  }
  if (is.null(left) || is.null(head_name(if (is_function_call(right)) right[[1]] else right))) {
    return(NULL)
  }
  if (!is_function_call(right)) {
    return(as.call(list(right, left)))
  }
  dots <- vapply(as.list(right)[-1], identical, logical(1), as.name("."))
  if (any(dots)) {
    right[which(dots) + 1] <- list(left)
  } else if (!"." %in% all.vars(right)) {
    right <- as.call(append(as.list(right), list(left), 1))
  }
  # A formula may have a dot of its own; elsewhere only the pipe knows what it means.
  nested <- Filter(function(part) is.call(part) && !rlang::is_call(part, "~"), as.list(right)[-1])
  if (!any(vapply(nested, function(part) "." %in% all.vars(part), logical(1)))) right
}

# ---- What is called -------------------------------------------------------

called_function <- function(expr, caller, call = rlang::caller_env()) {
  head <- expr[[1]]
  fun <- if (is.symbol(head)) {
    get0(as.character(head), caller, mode = "function")
  } else {
    tryCatch(eval(head, caller), error = function(e) {
      abort("argument", paste0("`", code_text(head), "` can't be found."), arg = "call", parent = e, call = call)
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
  name <- head_name(expr[[1]])
  package <- package_of(fun, name, expr[[1]])
  about <- if (!is.null(package)) {
    version <- if (package == "base") r_version() else unname(getNamespaceVersion(package))
    list("function" = name, package = package, version = version)
  } else {
    list("function" = name, body = hash_value(list(with_plain_numbers(deparse(fun)))))
  }
  code <- if (has_redacting_call(expr)) name_alone(expr) else redact_call(expr, fun, redact, caller)
  c(about, list(code = code_text(code)))
}

# The package that was named in the call, else the one that has the function.
package_of <- function(fun, name, head) {
  if (is.call(head)) {
    return(as.character(head[[2]]))
  }
  if (methods::is(fun, "genericFunction") && isNamespaceLoaded(fun@package)) {
    return(fun@package)
  }
  home <- topenv(environment(fun))
  if (isNamespace(home) && identical(get0(name, home, inherits = FALSE), fun)) getNamespaceName(home)[[1]]
}

learner <- function(about) {
  list(learner = paste(c(about$package, about[["function"]]), collapse = "::"))
}

# The text of code, as far as somebody would read it.
code_text <- function(code) {
  text <- as_utf8(paste(with_plain_numbers(deparse(code, 500, nlines = 50)), collapse = "\n"))
  if (nchar(text) > 5000) paste(substr(text, 1, 5000), "...") else text
}

as_code <- function(code) {
  structure(code_text(if (has_redacting_call(code)) name_alone(code) else code), class = "fitledger_code")
}

# ---- What must not be on record -------------------------------------------

redacted <- structure(list(), class = "fitledger_redacted")

# Where arguments go on to other functions, nobody knows which of them is which.
redact_call <- function(expr, fun, redact, caller) {
  if (!length(redact)) {
    return(expr)
  }
  matched <- if (!"..." %in% names(formals(fun))) {
    tryCatch(match.call(fun, expr, envir = caller), error = function(e) NULL)
  }
  if (is.null(matched)) {
    return(call(head_name(expr[[1]]), as.name("<redacted>")))
  }
  hidden <- vapply(seq_along(matched)[-1], function(i) is_redacted(names(matched)[[i]], matched[[i]], redact), logical(1))
  matched[which(hidden) + 1] <- list(as.name("<redacted>"))
  matched
}

# An argument is redacted by its name, by the beginning of it, and if it is made of one
# that is; one without a name may be any.
is_redacted <- function(name, code, redact) {
  length(redact) > 0 && (
    name %in% redact || any(startsWith(redact, name)) || grepl("^\\.\\.[0-9]+$", name) ||
      any(all.vars(code) %in% redact)
  )
}

# What the function worked out for an argument that nobody gave it, it may have worked out from what is redacted.
may_be_made_of <- function(argument, redact) {
  is_constant <- "code" %in% names(argument) && !is.call(argument$code) && !is.symbol(argument$code)
  length(redact) > 0 && isFALSE(argument$given) && "value" %in% names(argument) && !is_constant
}

# A method may have another name for what its generic has as a redacted argument. Then it is any that the generic doesn't have.
redact_in_method <- function(redact, generic, method) {
  names <- names(formals(generic))
  own <- names(formals(method))
  is_lost <- any(redact %in% setdiff(names, own))
  if (is_lost) union(redact, setdiff(own, c(names, "..."))) else redact
}

redacted_params <- function(params, redact) {
  hidden <- vapply(names(params), function(name) name %in% redact, logical(1))
  params[hidden] <- list(redacted)
  params
}

# How many calls with redacted arguments are being evaluated in this process, and how many have failed.
redacting <- new.env(parent = emptyenv())
redacting$calls <- 0
redacting$failed <- 0

# What an error says may be what is redacted, and so may its calls: for a run around a call that redacts, and for one within
# it, too. In what words a failed one's error goes on nobody can tell, so that all that a run's errors say from then on may be.
describe_failure <- function(e, calls, is_redacted = FALSE) {
  if (!is_redacted && redacting$calls == 0) {
    shows <- vapply(calls, has_redacting_call, NA)
    return(describe_condition(e, replace(calls, shows, lapply(calls[shows], name_alone))))
  }
  condition <- describe_condition(simpleCondition("<redacted>"), lapply(calls, name_alone))
  condition$class <- intersect(class(e), c("simpleError", "rlang_error", "error", "condition"))
  condition
}

name_alone <- function(call) call(head_name(call[[1]]) %||% "<redacted>")

# Whether code has a call in it whose arguments are to be redacted: ours, or that of a function which hands them on.
has_redacting_call <- function(expr) {
  is.call(expr) && (!is.null(as.list(expr)[["redact"]]) || any(vapply(as.list(expr), has_redacting_call, NA)))
}

# ---- On record ------------------------------------------------------------

begin_call <- function(file, params, data, seed, tags, about, said, call = rlang::caller_env()) {
  stream <- if (is_stream(seed)) store_stream(file, seed, call)
  more <- c(list(call = about), if (length(data)) list(data = data))
  run_id <- log_event_native(file, "start", NULL, params, about = said, tags = tags, more = more, call = call)
  if (!is.null(stream)) {
    log_event_native(file, "log", run_id, artifacts = stream, call = call)
  }
  structure(list(file = file, run_id = run_id), class = "fitledger_run")
}

# Of a call that gave no value. An interrupt while the arguments are recorded doesn't keep the run from its end.
end_early <- function(run, capture, how, about, params, data, redact, notes) {
  on.exit(attempt(finish_surely(run, NULL, how), "The end of the run", notes))
  record_arguments(run, capture, NULL, about, params, data, redact, notes)
}

# From here on there may be a value, and nothing throws: what fails is noted for one warning at the end.
record_arguments <- function(run, capture, value, about, params, data, redact, notes) {
  what <- "The arguments"
  arguments <- attempt(captured_arguments(capture, value), what, notes)
  capture$formula <- arguments[["formula"]]$value
  hidden <- redact_in_method(redact, capture$called, capture$fun)
  sorted <- attempt(sort_arguments(arguments, hidden, capture$tables, notes), what, notes)
  data <- override(sorted$data, data)
  more <- c(
    if (!is.null(capture$method)) list(call = call_on_record(about, capture)),
    if (length(data)) list(data = data)
  )
  params <- override(sorted$params, redacted_params(params, redact))
  attempt(log_event_native(path_of(run$file), "log", run$run_id, params, more = more), what, notes)
}

store_value <- function(run, result, name, capture, notes, until) {
  if (!is.null(name)) {
    attempt(
      {
        value <- result$value
        is_path <- rlang::is_string(value) && is_text(value) && is_there(value)
        artifact <- if (is_path) {
          store_artifact(path_of(run$file), value, name, keep = TRUE, most = Inf, call = NULL)
        } else {
          store_object(path_of(run$file), value, name, until = until)
        }
        if (is.null(artifact$outcome)) {
          outcome <- outcome_in(capture$formula)
          artifact <- c(artifact, if (length(outcome)) list(outcome = as.list(as_utf8(outcome))))
        }
        log_event_native(path_of(run$file), "log", run$run_id, artifacts = rlang::set_names(list(artifact), name))
      },
      paste0("The artifact `", name, "`"), notes
    )
  }
}

call_on_record <- function(about, capture) {
  c(about, if (!is.null(capture$method)) list(method = capture$method))
}

# What the methods for the value say of it, or a function of the user's: metrics, or a description.
describe_value <- function(result, fun, redact, notes) {
  if (identical(fun, describe_fit)) {
    described <- description_of(result$value)
    # What an error says may be what is redacted.
    described$notes <- if (length(redact)) character() else described$notes
    return(described)
  }
  made <- if (!is.null(fun)) attempt(fun(result$value), "`metrics`", notes)
  described <- if (inherits(made, "fitledger_description")) attempt(checked_description(made), "`metrics`", notes)
  if (is.null(described)) {
    described <- fit_description()
    described$metrics <- values_of(result, if (!is.null(made)) function(value) made, "metrics", notes)
  }
  described
}

override <- function(x, y) {
  x <- as.list(x)
  x[names(y)] <- y
  x
}

# What a function makes of the value, as far as the ledger takes it.
values_of <- function(result, fun, what, notes) {
  if (is.null(fun)) {
    return(NULL)
  }
  attempt(recordable(named_elements(fun(result$value), what, notes), what, notes), paste0("`", what, "`"), notes)
}

# Arguments as parameters and as data.
sort_arguments <- function(arguments, redact, tables, notes) {
  sorted <- list(params = list(), data = list())
  rows <- unlist(lapply(arguments, function(argument) if (is_table(argument$value)) dim_of(argument$value)[[1]]))
  sort <- function(name) {
    entry <- sort_argument(arguments[[name]], name, rows, redact, tables, notes)
    sorted$params[names(entry$param)] <<- entry$param
    sorted$data[names(entry$data)] <<- entry$data
  }
  attempt_each(names(arguments), sort, function(name) paste0("The argument `", name, "`"), notes)
  sorted
}

sort_argument <- function(argument, name, rows, redact, tables, notes) {
  as_param <- function(value) list(param = rlang::set_names(list(value), name))
  value <- argument$value
  if (name %in% reserved_names) {
    return(note(notes, reserved(name)))
  }
  if (is_redacted(name, argument$code, redact) || may_be_made_of(argument, redact)) {
    return(as_param(redacted))
  }
  if (!"value" %in% names(argument) || rlang::is_missing(value)) {
    return(as_param(as_code(argument$code)))
  }
  if (is.function(value)) {
    return(as_param(as_code(if (is.call(argument$code) || is.symbol(argument$code)) argument$code else value)))
  }
  if (is.language(value)) {
    return(as_param(as_code(value)))
  }
  if (is_data(value, rows)) {
    version <- version_before(tables, value) %||%
      attempt(value_version(value, NULL), paste0("The data `", name, "`"), notes)
    return(if (is.null(version)) as_param(as_code(argument$code)) else list(data = rlang::set_names(list(version), name)))
  }
  why <- refusal(value, name)
  if (is.null(why)) {
    return(as_param(value))
  }
  if (!"code" %in% names(argument)) {
    return(NULL)
  }
  # The code of a call says what it was made of, that of a variable nothing. Nobody asked for a default.
  if (is.symbol(argument$code) && is_family(value)) {
    return(as_param(family_code(value)))
  }
  if (is.symbol(argument$code) && argument$given) {
    note(notes, paste(why, "Its code is."))
  }
  as_param(as_code(argument$code))
}

# Of a generalized linear model.
is_family <- function(x) {
  inherits(x, "family") && is.list(x) && is_text_string(unclass(x)[["family"]]) && is_text_string(unclass(x)[["link"]])
}

# What a family is called, with its link where that isn't the usual one.
family_code <- function(value) {
  value <- unclass(value)
  usual <- get0(value$family, asNamespace("stats"), mode = "function")
  is_usual <- is.function(usual) && identical(formals(usual)[["link"]], value$link)
  as_code(if (is_usual) as.name(value$family) else call(value$family, link = value$link))
}

is_table <- function(x) {
  is.data.frame(x) || length(dim_of(x)) > 1 || is_sparse(x)
}

is_data <- function(x, rows) {
  if (is_table(x) || !is.atomic(x)) {
    return(is_table(x))
  }
  length <- length(unclass(x))
  length > 1 && (length %in% rows || length > 1000)
}
