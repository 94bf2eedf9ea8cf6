# What a fit is, in the ledger's terms. Nothing here writes; the verbs that put it on record are log_fit() and
# log_call().

#' Describe a fit
#'
#' `describe_fit()` says what a fit knows of itself: with what parameters it was made, what
#' came out, how it came to that. It writes nothing. [log_fit()] and [log_call()] put on
#' record what it says.
#'
#' There are methods for `glmnet`, `cv.glmnet`, `ranger`, `randomForest`, `rpart`, and for
#' `model_fit` of parsnip and `workflow` of workflows, which take what these objects have of
#' their own, so that no package is needed for it; and for the results of tune, finetune and
#' workflowsets, see [log_search()]. For all others:
#'
#' - the parameters are the arguments in the fit's `$call`, of which nothing is evaluated:
#'   constants, and else the code;
#' - the metrics are the numbers of `generics::glance()` where there is a method for the
#'   class. The package broom, which has some 90 of them, is loaded for that if it is
#'   installed, whether or not it is attached, and doesn't count as a package of the session
#'   until the session itself attaches it, or loads a package that imports it;
#' - else they are [nobs()], [logLik()], [AIC()], [BIC()], [deviance()] and [sigma()], as far as
#'   the class has methods for them, or for what they rest on, and they are one number.
#'
#' What is no fit, a data frame or a number say, has an empty description.
#'
#' Figures that were computed on the data of the fit are called `train.<figure>`, of the
#' observations that a tree left out `oob.<figure>`, of cross-validation `cv.<figure>`, with
#' `cv.<figure>.std_err`, of a test set `test.<figure>`.
#'
#' R's random stream stays as it was. What the methods of others signal or print goes unseen,
#' and one that fails is a note, no error.
#'
#' @section Methods of your own:
#' For a class of yours or of another package: an S3 method, also for classes of S4, S7 and
#' R6, that returns a `fit_description()`. The elements that you leave out are empty.
#'
#' @param x A fit, of any class.
#' @param ... For methods.
#' @param params Parameters, as `params` in [log_run()].
#' @param metrics Metrics: a named list or vector of single numbers.
#' @param series Metrics step by step, such as the loss of each iteration: a data frame with
#'   the columns `metric` (text), `step` (whole numbers) and `value` (numbers).
#' @param runs Of a search: a data frame with a row for each candidate, each of which is a run that belongs to the
#'   search. Its columns are `params` and `metrics`, lists with a named list for each candidate, as the arguments of these
#'   names; and, where there is something to say, `series`, a list of such data frames as the argument, `tags`, a list of
#'   named lists, and `status`: how each ended, `"finished"`, `"interrupted"` or `"failed"`. Without `status`
#'   they are finished. Others are left out.
#' @param sealed Metrics to report and not to choose by, as in [log_run()].
#' @param notes What is to be remarked, such as warnings and errors of single fits: texts.
#' @param seconds How long the fit took: a number or a `difftime`.
#' @param seed The seed of the fit, a whole number.
#' @param packages Of the packages that computed the figures the versions: a character
#'   vector, named by the packages.
#' @param prototype What the model predicts from: a data frame, of which the columns are
#'   kept, and no row. [register_model()] takes it as `signature`.
#' @returns An object of class `fitledger_description`, a list of `params`, `metrics`,
#'   `series`, `runs`, `sealed`, `notes`, `seconds`, `seed`, `packages` and `prototype`, all of
#'   which are always there: `params`, `metrics` and `sealed` are named lists; `series` has no
#'   rows where there is none; `runs`, `seconds`, `seed` and `prototype` are `NULL` then. Where there are `runs` they have
#'   all five columns.
#' @section Errors:
#' `fitledger_error_argument` for an element that isn't as above.
#' @export
#' @examples
#' describe_fit(lm(dist ~ speed, cars))
#'
#' # A learner that nobody knows, with its loss.
#' fit <- structure(list(rate = 0.1, loss = c(0.9, 0.7, 0.6)), class = "my_net")
#' describe_fit.my_net <- function(x, ...) {
#'   fit_description(
#'     params = list(rate = x$rate),
#'     metrics = list(train.loss = min(x$loss)),
#'     series = data.frame(metric = "train.loss", step = seq_along(x$loss), value = x$loss)
#'   )
#' }
#' describe_fit(fit)
#'
#' # A search of three candidates.
#' fit_description(runs = data.frame(
#'   params = I(lapply(1:3, function(k) list(k = k))),
#'   metrics = I(lapply(c(2, 1, 3), function(rmse) list(cv.rmse = rmse)))
#' ))
describe_fit <- function(x, ...) {
  UseMethod("describe_fit")
}

#' @rdname describe_fit
#' @export
fit_description <- function(params = list(), metrics = list(), series = NULL, runs = NULL, sealed = list(),
                            notes = character(), seconds = NULL, seed = NULL, packages = character(),
                            prototype = NULL) {
  if (!is.null(prototype)) {
    check_frame(prototype, "prototype")
    prototype <- utils::head(prototype, 0)
  }
  if (!is.character(notes) || anyNA(notes)) {
    abort_argument("notes", "texts", notes)
  }
  if (!is.character(packages) || anyNA(packages) || length(packages) && !all(nzchar(rlang::names2(packages)))) {
    abort_argument("packages", "versions, named by their packages", packages)
  }
  structure(
    list(
      params = described_values(params, "params"),
      metrics = described_values(metrics, "metrics", metric = TRUE),
      series = described_series(series),
      runs = described_runs(runs),
      sealed = described_values(sealed, "sealed", metric = TRUE),
      notes = as.vector(notes),
      seconds = described_seconds(seconds),
      seed = check_seed(seed),
      packages = packages,
      prototype = prototype
    ),
    class = "fitledger_description"
  )
}

check_frame <- function(x, arg, call = rlang::caller_env()) {
  if (!is.data.frame(x)) {
    abort_argument(arg, "a data frame", x, call = call)
  }
}

described_values <- function(x, arg, metric = FALSE, call = rlang::caller_env()) {
  if (is.null(x) || identical(x, list())) {
    return(list())
  }
  notes <- new_notes()
  values <- named_elements(x, arg, notes)
  if (!length(notes$text)) {
    with_own_names(values, arg, notes)
  }
  if (!length(notes$text) && metric) {
    places <- paste0(arg, "$", names(values))
    notes$text <- unlist(Map(refusal, values, places, metric = TRUE))
  }
  if (length(notes$text)) {
    abort("argument", notes$text[[1]], arg = arg, call = call)
  }
  if (!length(values)) {
    return(list())
  }
  if (metric) lapply(values, native_metric, arg) else values
}

# Made once, since every call that is logged has one.
no_series <- data.frame(metric = character(), step = numeric(), value = numeric())

described_series <- function(x, arg = "series", call = rlang::caller_env()) {
  if (is.null(x)) {
    return(no_series)
  }
  columns <- c("metric", "step", "value")
  if (!is.data.frame(x) || !all(columns %in% names(x))) {
    abort_argument(arg, paste("a data frame with the columns", enumerate(columns)), x, call = call)
  }
  metric <- if (is.factor(x$metric)) as.character(x$metric) else x$metric
  if (!is.character(metric) || anyNA(metric) || !is_text(metric) || !all(nzchar(metric))) {
    abort_argument(paste0(arg, "$metric"), "names of metrics", x$metric, call = call)
  }
  if (!is.numeric(x$step) || !all(is.finite(x$step) & x$step == trunc(x$step) & abs(x$step) <= 2^53)) {
    abort_argument(paste0(arg, "$step"), "whole numbers of at most 2^53", x$step, call = call)
  }
  if (!is.numeric(x$value)) {
    abort_argument(paste0(arg, "$value"), "numbers", x$value, call = call)
  }
  data.frame(metric = metric, step = as.numeric(x$step), value = as.numeric(x$value), stringsAsFactors = FALSE)
}

described_runs <- function(x, call = rlang::caller_env()) {
  if (is.null(x)) {
    return(NULL)
  }
  check_frame(x, "runs", call)
  columns <- columns_of(x)
  rows <- nrow(x)
  of_each <- function(name, checked, column = columns[[name]]) {
    arg <- paste0("runs$", name)
    if (!is.list(column) || is.data.frame(column) || length(column) != rows) {
      abort_argument(arg, "a list column, with an element for each candidate", column, call = call)
    }
    column <- unclass(column)
    lapply(seq_len(rows), function(i) checked(column[[i]], paste0(arg, "[[", i, "]]")))
  }
  nothing <- rep(list(NULL), rows)
  values <- function(x, arg) described_values(x, arg, call = call)
  candidates_frame(
    params = of_each("params", values),
    metrics = of_each("metrics", function(x, arg) described_values(x, arg, metric = TRUE, call = call)),
    series = of_each("series", function(x, arg) described_series(x, arg, call), columns[["series"]] %||% nothing),
    tags = of_each("tags", values, columns[["tags"]] %||% nothing),
    status = described_status(columns[["status"]] %||% rep("finished", rows), rows, call)
  )
}

# One row a candidate: named lists of parameters, metrics and tags, the series, and how the run ended.
candidates_frame <- function(params, metrics, series, tags, status) {
  as_frame(list(params = params, metrics = metrics, series = series, tags = tags, status = status), length(params))
}

described_status <- function(x, rows, call) {
  status <- if (is.factor(x)) as.character(x) else x
  if (!is.character(status) || length(status) != rows || !is_text(status) || !all(status %in% ends)) {
    abort_argument("runs$status", paste("for each candidate", or(paste0("\"", ends, "\""))), x, call = call)
  }
  as.vector(status)
}

described_seconds <- function(x, call = rlang::caller_env()) {
  if (inherits(x, "difftime")) {
    x <- as.numeric(x, units = "secs")
  }
  if (!is.null(x) && (!is.numeric(x) || length(x) != 1)) {
    abort_argument("seconds", "a number", x, call = call)
  }
  # Where nobody looked at the clock.
  if (!is.null(x) && !is.na(x)) as.numeric(x)
}

#' @export
print.fitledger_description <- function(x, ...) {
  cat(format(x, ...), sep = "\n")
  invisible(x)
}

#' @export
format.fitledger_description <- function(x, ...) {
  about <- list(
    seconds = x$seconds, seed = x$seed, candidates = if (!is.null(x$runs)) nrow(x$runs),
    "predicts from" = if (!is.null(x$prototype)) names(x$prototype),
    "figures of" = if (length(x$packages)) paste(names(x$packages), x$packages)
  )
  lines <- c(
    record_facts("params", x$params),
    record_facts("metrics", x$metrics),
    if (length(x$sealed)) c("sealed", paste0("  ", one_line(names(x$sealed)))),
    record_series(x$series),
    record_facts("about", drop_null(about)),
    if (length(x$notes)) c("notes", paste0("  ", one_line(x$notes)))
  )
  unname(lines %||% "nothing is known of it")
}

# ---- Any class ------------------------------------------------------------

#' @export
describe_fit.default <- function(x, ...) {
  if (!may_be_fit(x)) {
    return(fit_description())
  }
  notes <- new_notes()
  figures <- attempt(undisturbed(figures_of(x, notes)), "The figures", notes)
  fit_description(
    params = call_params(x), metrics = named_as("train.", figures$values), notes = notes$text,
    packages = figures$packages %||% character()
  )
}

# Nobody is to wait for packages that look at a table or a text.
may_be_fit <- function(x) {
  if (!is.object(x)) {
    return(is.list(x) && !is.null(names(x)))
  }
  !is.atomic(x) && !is.language(x) && !is.data.frame(x)
}

# What a fit has under a name, without running the code of its class.
element <- function(x, name) {
  if (is.list(x)) unclass(x)[[name]] else if (!is.environment(x)) attr(x, name, exact = TRUE)
}

# The arguments in the call of a fit, none of which is evaluated. Data that were put into the call are no parameter.
call_params <- function(x) {
  call <- element(x, "call")
  arguments <- if (is.call(call)) as.list(call)[-1]
  arguments <- arguments[nzchar(rlang::names2(arguments)) & !duplicated(names(arguments))]
  params <- drop_null(lapply(arguments, code_param))
  params[!names(params) %in% reserved_names]
}

# A constant, or the text of code.
code_param <- function(code) {
  if (rlang::is_missing(code)) NULL else if (is.language(code)) as_code(code) else if (is_constant(code)) code
}

is_constant <- function(x) {
  is.atomic(x) && !is.object(x) && length(x) == 1 && is.null(refusal(x, ""))
}

named_as <- function(prefix, values) {
  if (length(values)) rlang::set_names(values, paste0(prefix, names(values)))
}

# The figures of a fit by the methods of others, `values`, and the `packages` that have these.
figures_of <- function(x, notes) {
  glanced_figures(x, notes) %||% if (is.object(x)) plain_figures(x, notes)
}

glanced_figures <- function(x, notes) {
  method <- glance_method(x)
  if (is.null(method)) {
    return(NULL)
  }
  # Of lists without a class the method says only by an error that it doesn't know them.
  glanced <- attempt(generics::glance(x), "glance()", if (is.object(x)) notes else new_notes())
  if (is.data.frame(glanced) && nrow(glanced) == 1) {
    list(values = Filter(is_figure, as.list(glanced)), packages = version_of_home(method))
  }
}

# Broom brings methods for what others made.
glance_method <- function(x) {
  for (package in c("generics", "broom")) {
    if (requireNamespace(package, quietly = TRUE)) {
      method <- own_method("glance", x, "generics")
      if (!is.null(method)) {
        return(method)
      }
    }
  }
  NULL
}

# Where a class has no method for one of these, it is that of any class which has what it rests on.
rest_on <- list(AIC = "logLik", BIC = "logLik", sigma = c("deviance", "nobs"))

plain_figures <- function(x, notes) {
  values <- list()
  packages <- character()
  for (name in c("nobs", "logLik", "AIC", "BIC", "deviance", "sigma")) {
    generic <- stats_generic(name, x)
    method <- own_method(name, x, "stats", generic)
    rests_on <- rest_on[[name]]
    if (!is.null(method) || length(rests_on) && all(rests_on %in% names(values))) {
      value <- attempt(generic(x), paste0(name, "()"), notes)
      if (is_figure(value)) {
        values[[name]] <- value
        packages <- c(packages, if (!is.null(method)) version_of_home(method))
      }
    }
  }
  list(values = values, packages = packages[unique(names(packages))])
}

# One of stats', or, for a class of S4, the generic of that name that the package of the class has.
stats_generic <- function(name, x) {
  home <- attr(class(x), "package")
  found <- if (isS4(x) && !is.null(home) && isNamespaceLoaded(home)) get0(name, asNamespace(home), mode = "function")
  if (methods::is(found, "standardGeneric")) found else get(name, asNamespace("stats"))
}

# The method of an object's class for a generic of a package, NULL where there is none but that for all objects.
own_method <- function(name, x, package, generic = NULL) {
  if (methods::is(generic, "standardGeneric")) {
    method <- methods::selectMethod(generic, class(x), optional = TRUE)
    if (!is.null(method) && !"ANY" %in% method@defined) {
      return(method)
    }
  }
  found <- find_method(name, .class2(x), asNamespace(package), environment())
  if (!is.null(found) && !endsWith(found$name, ".default")) found$method
}

is_figure <- function(x) {
  is.numeric(x) && length(x) == 1 && is.null(refusal(x, "", metric = TRUE))
}

# The version of the package that has a function, under its name.
version_of_home <- function(fun) {
  home <- topenv(environment(fun))
  if (isNamespace(home)) rlang::set_names(unname(getNamespaceVersion(home)), getNamespaceName(home)[[1]])
}

# ---- For the verbs --------------------------------------------------------

# The description of a fit, whatever the methods of others do: one that fails is a note.
description_of <- function(fit) {
  notes <- new_notes()
  checked <- attempt(
    {
      described <- undisturbed(describe_fit(fit))
      if (!inherits(described, "fitledger_description")) {
        abort("value", paste0("It gave ", describe(described), ", and no `fit_description()`."))
      }
      checked_description(described)
    },
    "describe_fit()", notes
  )
  checked %||% fit_description(notes = notes$text)
}

# One may have been changed since it was made.
checked_description <- function(described) {
  known <- intersect(names(described), names(formals(fit_description)))
  rlang::inject(fit_description(!!!unclass(described)[known]))
}

# Evaluates what others wrote of a fit, of which nobody is to notice more than its value: the random stream, the options
# and the working directory stay as they were, nothing is signalled or printed, nobody is asked whether to install what
# is missing, and packages that come out aren't the session's.
#
# An interrupt meets the code alone: one between what is put aside and what puts it back would leave the session disturbed.
undisturbed <- function(code) {
  suspendInterrupts(with_all_put_back(allowInterrupts(code)))
}

with_all_put_back <- function(code) {
  stream <- current_stream()
  old <- options()
  folder <- getwd()
  messages <- sink.number("message")
  nowhere <- file(nullfile(), "wb")
  on.exit({
    try(close(nowhere), silent = TRUE)
    if (!identical(sink.number("message"), messages)) sink(if (messages != 2) getConnection(messages), type = "message")
    if (!is.null(folder) && !identical(getwd(), folder)) try(setwd(folder), silent = TRUE)
    restore_options(old)
    if (!identical(stream, current_stream())) restore_stream(stream)
  })
  sunk(nowhere, brought_out(rlang::with_interactive(suppressMessages(suppressWarnings(code)), FALSE)))
}

# Evaluates code whose output goes to a connection. It may leave sinks behind; what it takes away is left away.
sunk <- function(connection, code) {
  before <- sink.number()
  # Ahead of the sink: an interrupt between the two would leave one to a connection that is closed, and R without output, as
  # would a second one here.
  on.exit(suspendInterrupts(while (sink.number() > before) sink()))
  sink(connection)
  code
}

# Those that are new stay: packages that were loaded need theirs.
restore_options <- function(old) {
  now <- options()
  if (!identical(now, old)) {
    changed <- !vapply(names(old), function(name) identical(now[[name]], old[[name]]), NA)
    options(old[changed])
  }
}
