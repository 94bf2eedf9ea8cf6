# Models with versions, and stages that point to them.

#' Register a model
#'
#' Makes an artifact of a run the next version of a model: 1, 2, 3 and so on. A
#' version can't be without its run and its stored bytes, whose hash the row
#' holds; none of them can be removed. What is registered serves nobody yet:
#' [promote_model()] points a stage to it.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param name Name of the model: text without `@` and `/`.
#' @param run_id The run, which must not be void, failed or interrupted: its id, a data
#'   frame with one row and a column `run_id`, or a live run.
#' @param artifact Name of its artifact; the bytes must be stored.
#' @param ... Must be empty: arguments after it are given by name.
#' @param signature A few rows of what the model predicts from, a data frame: names, types
#'   and factor levels of its columns are recorded, for `read_model(check = TRUE)` and for
#'   [gate_better()]. The rows themselves aren't. The columns that the model predicts are
#'   left out where its formula says which they are, so the rows that it was fitted to will
#'   do.
#' @returns The version, an integer.
#' @section Errors:
#' `fitledger_error_argument` and `fitledger_error_unknown` for what can't be registered, an
#' object with external pointers among it (see [log_artifact()]),
#' `fitledger_error_conflict` for a run that is void, failed or was interrupted, `fitledger_error_artifact` where the bytes are missing or damaged, and those of the file,
#' see [fitledger_error].
#' @seealso [promote_model()], [read_model()], [read_models()].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- lm(dist ~ speed, cars)
#' id <- log_run(file, list(terms = 1), list(sigma = sigma(fit)), artifacts = list(model = fit))
#' register_model(file, "stopping", id, signature = head(cars))
#' promote_model(file, "stopping", 1, why = "the first one")
#' read_models(file)
#' predict(read_model(file, "stopping@production"), data.frame(speed = 10))
register_model <- function(file, name, run_id, artifact = "model", ..., signature = NULL) {
  check_no_dots(..., known = "signature")
  file <- check_ledger(file, "file")
  check_name(name, "name")
  run_id <- one_run_id(file, run_id, "run_id")
  check_name(artifact, "artifact")
  if (!is.null(signature) && !is.data.frame(signature)) {
    abort_argument("signature", "a data frame of what the model predicts from", signature)
  }
  call_native(
    native_register, append_request(file), name, run_id, artifact,
    if (!is.null(signature)) signature_of(signature), progress_bar("Verifying", size = NA)
  )
}

#' Promote a model
#'
#' `promote_model()` points a stage of a model to a version, `rollback_model()` to the
#' version before: the last one that was never rolled back from and whose run isn't void.
#' Both compare, under the ledger's lock, what the stage points to with what you believe;
#' of several promotions at once one wins, the others get an error.
#'
#' A *gate* decides whether a version may pass. It is a function of two models, the
#' candidate and the one that the stage points to (`NULL` if there is none). A model has
#' `model`, the object itself, which is read and verified when the gate asks for it, and
#' `name`, `version`, `run_id`, `artifact`, `params` and `metrics`. It returns
#' `list(pass = TRUE, figures = list(...))` or the like with `FALSE`; `figures` are named
#' numbers, and `data`, if there, is what they were computed from, as `data` in [log_run()].
#' Figures, data and verdict are in the ledger whether the gate lets the version pass,
#' refuses it, or fails; only if the gate is interrupted or ended by [setTimeLimit()], or somebody
#' else was faster than one that lets it pass, nothing is recorded. [gate_better()] makes gates.
#'
#' A version to which the stage points already is left there, and nothing is recorded.
#'
#' @inheritParams register_model
#' @param version Version to promote.
#' @param stage Name of the stage: lower-case letters, digits, `_` and `-`. It needs no
#'   introduction: a stage exists once something is promoted to it.
#' @param gate A function, see below; `NULL` for none.
#' @param expect The version to which you believe the stage points, `NA` for none. By
#'   default what it pointed to when the call began.
#' @param why Why, a string.
#' @returns The version to which the stage points now, an integer, invisibly.
#' @section Errors:
#' `fitledger_error_refused` if the gate refuses (with the `figures`), `fitledger_error_gate` if
#' it fails or returns something else, `fitledger_error_conflict` if the stage points to
#' another version than was expected, the version's run is void, or there is none to roll back to,
#' `fitledger_error_unknown` for a model or a version that isn't there, and those of the file,
#' see [fitledger_error]. The stage stays as it was.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' for (formula in c(dist ~ speed, dist ~ speed + I(speed^2))) {
#'   fit <- lm(formula, cars)
#'   id <- log_run(file, list(formula = formula), list(), artifacts = list(model = fit))
#'   register_model(file, "stopping", id, signature = head(cars))
#' }
#' promote_model(file, "stopping", 1)
#' gate <- gate_better(cars, "dist", "rmse")
#' promote_model(file, "stopping", 2, gate = gate, why = "a curve fits better")
#' rollback_model(file, "stopping", why = "it bends the wrong way")
#' stage_history(file, "stopping")[c("change", "version", "why")]
promote_model <- function(file, name, version, stage = "production", ..., gate = NULL, expect = NULL,
                          why = NULL) {
  check_no_dots(..., known = c("gate", "expect", "why"))
  # A gate may change the working folder.
  file <- absolute_path(check_ledger(file, "file"))
  check_name(name, "name")
  version <- check_version(version)
  check_name(stage, "stage")
  check_why(why)
  if (!is.null(gate) && !is.function(gate)) {
    abort_argument("gate", "a function of the candidate and the current model", gate)
  }
  expect <- check_expect(expect)
  call <- environment()
  promote <- function(change, verdict = NULL) {
    call_native(
      native_promote, append_request(file), change, name, version, stage, expect, verdict$figures,
      c(if (!is.null(why)) list(why = why), verdict$record),
      call = call
    )
  }
  write_buffered(file)
  looked <- call_native(native_look, file, "promote", name, version, stage, expect)
  if (is.null(looked)) {
    return(invisible(as.integer(version)))
  }
  expect <- as.numeric(looked$current$version %||% NA)
  verdict <- if (!is.null(gate)) {
    ask_gate(gate, file, looked, refuse = function(verdict) promote("refuse", verdict))
  }
  invisible(promote("promote", verdict))
}

#' @rdname promote_model
#' @export
rollback_model <- function(file, name, stage = "production", ..., why = NULL) {
  check_no_dots(..., known = "why")
  file <- check_ledger(file, "file")
  check_name(name, "name")
  check_name(stage, "stage")
  check_why(why)
  looked <- call_native(native_look, file, "rollback", name, NULL, stage, NULL)
  invisible(call_native(
    native_promote, append_request(file), "rollback", name, NULL, stage, as.numeric(looked$current$version), NULL,
    if (!is.null(why)) list(why = why)
  ))
}

# ---- Gates ----------------------------------------------------------------

# The verdict of a gate that lets a version pass; else an error, after the refusal is
# on record.
ask_gate <- function(gate, file, looked, refuse, call = rlang::caller_env()) {
  what <- paste0("`", looked$candidate$name, "/", looked$candidate$version, "`")
  before <- redacting$failed
  failed <- function(e) {
    # Who set a limit wants to be back, and the gate has said nothing.
    if (is_time_limit(e)) {
      stop(e)
    }
    condition <- describe_failure(e, list(), redacting$failed > before)[c("class", "message")]
    refuse(list(record = list(gate = list(pass = FALSE, error = condition))))
    schema <- if (inherits(e, "fitledger_error_signature")) {
      "If the columns are meant to be others now, promote with `gate = NULL, why = \"...\"`."
    }
    abort(
      "gate", paste0("The gate failed, and ", what, " was not promoted."),
      c("The failure is on record, see `stage_history()`.", schema),
      parent = e, call = call
    )
  }
  verdict <- tryCatch(
    {
      current <- if (!is.null(looked$current)) model_handle(file, looked$current)
      check_verdict(gate(model_handle(file, looked$candidate), current))
    },
    error = failed
  )
  if (!verdict$pass) {
    tryCatch(refuse(verdict), fitledger_error_row_too_long = failed)
    abort(
      "refused", paste0("The gate refused ", what, ": ", say_figures(verdict$figures), "."),
      "The stage stays as it was; the refusal is on record, see `stage_history()`.",
      figures = verdict$figures, call = call
    )
  }
  verdict
}

check_verdict <- function(verdict) {
  form <- "A gate returns `list(pass = TRUE, figures = list(...))`, or the same with `FALSE`."
  pass <- if (is.list(verdict)) verdict[["pass"]]
  if (!is.logical(pass) || length(pass) != 1 || is.na(pass)) {
    stop(form, " This one returned ", describe(verdict), ".", call. = FALSE)
  }
  figures <- as.list(verdict[["figures"]])
  names <- rlang::names2(figures)
  if (!all(nzchar(names) & is_text(names)) || anyDuplicated(names)) {
    stop("Each figure needs a name of its own. ", form, call. = FALSE)
  }
  for (name in names) {
    figure <- native_metric(figures[[name]], paste0("figures$", name))
    if (is_failure(figure, "value")) {
      stop(figure$message, " ", form, call. = FALSE)
    }
    figures[[name]] <- figure
  }
  pass <- isTRUE(unname(pass))
  data <- data_versions(verdict[["data"]], NULL)
  list(pass = pass, figures = figures, record = c(list(gate = list(pass = pass)), if (length(data)) list(data = data)))
}

say_figures <- function(figures) {
  if (!length(figures)) {
    return("it gave no figures")
  }
  numbers <- with_plain_numbers(vapply(figures, format, "", digits = 4))
  paste(encodeString(names(figures)), numbers, sep = " = ", collapse = ", ")
}

#' Make a gate: better than the current model
#'
#' A gate for [promote_model()] that lets a version pass if it predicts a frozen data set
#' better than the current model does, or if there is no current model.
#'
#' Two figures compare two models only if both can read the data. So these are first held
#' against the signatures of both, as [predict()] on a model of [read_model()] does: a column
#' that is missing, of another type, or with an unknown level, for one of the two, is no
#' verdict but a `fitledger_error_gate`, on record as a refusal. Where the change is meant,
#' promote with `gate = NULL` and say `why`. Of a model without a signature a message of the
#' class `fitledger_message_unchecked` says that nothing could be checked.
#'
#' @param data The frozen set: a data frame, or a matrix of predictors.
#' @param outcome Name of the column of `data` with the true values, or the values.
#' @param metric `"rmse"`, `"mae"`, `"rsq"`, `"accuracy"`, or a function of the true and the
#'   predicted values that returns one number.
#' @param by By how much it must be better at least, on the scale of the metric. A tie
#'   never passes.
#' @param ... Must be empty: arguments after it are given by name.
#' @param maximize `TRUE` if more is better; known for the named metrics.
#' @param predict A function of the model and `data` that returns a prediction for each row.
#'   The default takes what [stats::predict()] returns, or the `predictions` in it, or its
#'   only column.
#' @returns A function of the candidate and the current model. Its figures are
#'   `candidate_<metric>` and `current_<metric>`, its data the frozen set.
#' @section Errors:
#' `fitledger_error_argument` for a set without rows, or an outcome or a metric that it doesn't have. What
#' goes wrong when the gate is used is said by [promote_model()].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' for (formula in c(dist ~ 1, dist ~ speed)) {
#'   fit <- lm(formula, cars)
#'   id <- log_run(file, list(formula = formula), list(), artifacts = list(model = fit))
#'   register_model(file, "stopping", id, signature = head(cars))
#' }
#' promote_model(file, "stopping", 1)
#' promote_model(file, "stopping", 2, gate = gate_better(cars, "dist", "rmse", by = 0.5))
#' stage_history(file, "stopping")$figures[[2]]
gate_better <- function(data, outcome, metric = "rmse", by = 0, ..., maximize = NULL, predict = NULL) {
  check_no_dots(..., known = c("maximize", "predict"))
  if (missing(data)) {
    abort_argument("data", "the rows of a frozen set")
  }
  if (length(dim(data)) != 2 || NROW(data) == 0) {
    abort_argument("data", "the rows of a frozen set, a data frame or a matrix", data)
  }
  data <- own_copy(data)
  truth <- with_methods(outcome_values(data, outcome))
  if (!is.numeric(by) || length(by) != 1 || is.na(by) || by < 0) {
    abort_argument("by", "a number from 0 on", by)
  }
  if (!is.null(maximize)) {
    check_flag(maximize, "maximize")
  }
  if (!is.null(predict) && !is.function(predict)) {
    abort_argument("predict", "a function of the model and the data", predict)
  }
  measure <- gate_metric(metric, maximize)
  predictions <- predict %||% plain_predictions
  function(candidate, current) {
    check_frozen(data, list(candidate = candidate, current = current))
    value <- function(model) {
      predicted <- with_methods(predictions(model$model, own_copy(data)))
      if (length(predicted) != length(truth)) {
        stop(
          "`", model$name, "/", model$version, "` gives ", length(predicted), " predictions for ", length(truth),
          " rows. Give `gate_better()` a `predict` that returns one for each.",
          call. = FALSE
        )
      }
      measured <- measure$of(truth, predicted)
      number <- native_metric(measured, "metric")
      if (is_failure(number, "value") || is.na(number)) {
        what <- paste0("The metric of `", model$name, "/", model$version, "`")
        stop(what, " is ", describe(measured), ", not a number.", call. = FALSE)
      }
      number
    }
    figures <- list(candidate = value(candidate), current = if (!is.null(current)) value(current))
    gain <- if (measure$maximize) figures$candidate - figures$current else figures$current - figures$candidate
    # Two that are infinite are no gain.
    passes <- is.null(current) || isTRUE(gain > 0 && gain >= by)
    figures <- drop_null(figures)
    names(figures) <- paste0(names(figures), "_", measure$name)
    list(pass = passes, figures = figures, data = list(frozen = data))
  }
}

# A method of `predict()` may change columns in place, as those that are made for data.tables do, also of a data frame: the next
# model is to see the frozen data. A data.table knows whether it was copied by its own means.
own_copy <- function(data) {
  is_copied <- inherits(data, "data.table") && requireNamespace("data.table", quietly = TRUE)
  if (is_copied) data.table::copy(data) else rlang::duplicate(data)
}

# That the frozen data fit the signatures of both models.
check_frozen <- function(data, models) {
  rows <- if (is.matrix(data)) as.data.frame(data) else data
  unchecked <- character()
  for (role in names(drop_null(models))) {
    model <- models[[role]]
    what <- if (is.null(model$name)) paste("the", role, "model") else paste0("`", model$name, "/", model$version, "`")
    if (is.null(model$signature) || !is.data.frame(rows)) {
      unchecked <- c(unchecked, what)
    } else {
      check_signature(model$signature, rows, paste0("The frozen data don't fit the signature of ", what, "."), call = NULL)
    }
  }
  if (length(unchecked)) {
    why <- if (is.data.frame(rows)) {
      paste(paste(unchecked, collapse = " and "), if (length(unchecked) > 1) "have" else "has", "no signature")
    } else {
      "The frozen data are no data frame"
    }
    inform(
      "unchecked",
      c(
        paste0(sub("^t", "T", why), ", so `gate_better()` could not check whether the frozen data fit."),
        i = "`register_model(signature = )` takes a few rows of what the model predicts from."
      )
    )
  }
}

outcome_values <- function(data, outcome, call = rlang::caller_env()) {
  if (is_text_string(outcome) && outcome %in% colnames(data)) {
    return(if (is.data.frame(data)) data[[outcome]] else data[, outcome])
  }
  # A text beside one row may be its value.
  if (is_text_string(outcome) && NROW(data) != 1) {
    abort_unknown("column", outcome, as.character(colnames(data)), call = call)
  }
  if (!is.atomic(outcome) || length(outcome) != NROW(data)) {
    abort_argument("outcome", "the name of a column of `data`, or a value for each of its rows", outcome, call = call)
  }
  outcome
}

gate_metric <- function(metric, maximize, call = rlang::caller_env()) {
  errors <- function(truth, predicted) as_double(truth) - as_double(predicted)
  known <- list(
    rmse = function(truth, predicted) sqrt(mean(errors(truth, predicted)^2)),
    mae = function(truth, predicted) mean(abs(errors(truth, predicted))),
    rsq = function(truth, predicted) 1 - sum(errors(truth, predicted)^2) / sum(errors(truth, mean(as_double(truth)))^2),
    accuracy = function(truth, predicted) mean(is_same_class(truth, predicted))
  )
  if (is.function(metric)) {
    return(list(name = "metric", of = metric, maximize = isTRUE(maximize)))
  }
  if (!is_text_string(metric) || !metric %in% names(known)) {
    abort_argument("metric", paste("a function, or", or(names(known))), metric, call = call)
  }
  list(name = metric, of = known[[metric]], maximize = maximize %||% metric %in% c("rsq", "accuracy"))
}

# 64-bit integers, as somebody may have read them from a file, without whose package R takes their bits for doubles.
with_methods <- function(x) {
  if (inherits(x, "integer64")) loadNamespace("bit64")
  x
}

# Doubles of what has another arithmetic: 64-bit integers cut off the fraction of what is subtracted from them, time series keep
# to the times that both have.
as_double <- function(x) {
  if (inherits(x, c("integer64", "ts"))) as.numeric(x) else x
}

# Whether classes are the same, whether numbers, TRUE and FALSE, texts or factors say them. A number has several texts, such as
# 1e+05 and 100000. What is missing is NA.
is_same_class <- function(truth, predicted) {
  is_number <- function(x) (is.numeric(x) || is.logical(x)) && !is.object(x)
  numbers <- c(is_number(truth), is_number(predicted))
  if (all(numbers)) {
    return(truth == predicted)
  }
  is_same <- with_plain_numbers(as.character(truth) == as.character(predicted))
  if (!any(numbers)) {
    return(is_same)
  }
  number <- if (numbers[[1]]) truth else predicted
  read <- suppressWarnings(as.numeric(as.character(if (numbers[[1]]) predicted else truth)))
  ifelse(is.na(read), is_same, is_same | number == read)
}

plain_predictions <- function(model, data) {
  predicted <- stats::predict(model, data)
  if (is.list(predicted) && !is.data.frame(predicted)) {
    predicted <- predicted$predictions
  }
  if (length(dim(predicted)) == 2 && ncol(predicted) == 1) {
    predicted <- if (is.data.frame(predicted)) predicted[[1]] else predicted[, 1]
  }
  predicted
}

# ---- Reading --------------------------------------------------------------

#' Read the registry
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param name Name of a model.
#' @returns `read_models()`: a data frame with a row for each version of each model:
#'   `model`, `version` (integer), `run_id`, `sha256`, `stages` (a list of the names of the
#'   stages that point to it), `registered` (`POSIXct` in UTC). `stage_history()`: a data
#'   frame with a row for each change: `time` (`POSIXct` in UTC), `stage`, `change` (`"promote"`,
#'   `"rollback"`, `"refuse"`), `version`, `previous` (integers), `why`, `user`, `figures` (a list
#'   of what gates measured).
#' @section Errors:
#' `fitledger_error_unknown` for a model that isn't there, and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- lm(dist ~ speed, cars)
#' id <- log_run(file, list(terms = 1), list(), artifacts = list(model = fit))
#' register_model(file, "stopping", id)
#' promote_model(file, "stopping", 1)
#' read_models(file)[c("model", "version", "stages")]
#' stage_history(file, "stopping")
read_models <- function(file) {
  file <- check_ledger(file, "file")
  as_frame(call_native(native_models, file))
}

#' @rdname read_models
#' @export
stage_history <- function(file, name) {
  file <- check_ledger(file, "file")
  check_name(name, "name")
  as_frame(call_native(native_stage_history, file, name))
}

#' Read a model back
#'
#' Reads the model to which a stage points, or a certain version. The bytes are hashed
#' first, always: what isn't what was registered is refused before it is unpacked.
#'
#' Of a version whose run was declared void, or has failed since, a warning of the class
#' `fitledger_warning_unfit` says so.
#'
#' **Unpacking an R object can run code** that whoever made the object put into it. The
#' hash says that the bytes are those that were registered, not that they are harmless:
#' read models of ledgers that you trust.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param model `"name@stage"` or `"name/version"`.
#' @param ... Must be empty: arguments after it are given by name.
#' @param check `TRUE` for a model whose [predict()] looks at new data before it predicts: a
#'   column that is missing, of another type, or with a level that the signature doesn't
#'   know is an error that names it.
#' @returns The R object. Of a file that was stored, the path of a copy. With `check = TRUE`
#'   an object of class `fitledger_model` with a `predict()` method, an environment that has
#'   `model` (the object), `name`, `version`, `run_id`, `artifact`, `params`, `metrics` and
#'   `signature`.
#' @section Errors:
#' `fitledger_error_unknown` for a model, stage or version that isn't there,
#' `fitledger_error_artifact` where the bytes are missing or aren't those that were registered,
#' `fitledger_error_signature` for data that don't fit, and those of the file, see
#' [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' fit <- lm(dist ~ speed, cars)
#' id <- log_run(file, list(terms = 1), list(), artifacts = list(model = fit))
#' register_model(file, "stopping", id, signature = cars["speed"])
#' read_model(file, "stopping/1")
#' model <- read_model(file, "stopping/1", check = TRUE)
#' try(predict(model, data.frame(speed = "fast")))
read_model <- function(file, model, ..., check = FALSE) {
  check_no_dots(..., known = "check")
  file <- check_ledger(file, "file")
  check_flag(check, "check")
  found <- find_version(file, model)
  if (!check) {
    return(read_version(file, found))
  }
  handle <- model_handle(file, found)
  if (is.null(handle$signature)) {
    abort(
      "argument", paste0("`", found$name, "/", found$version, "` was registered without a signature."),
      "Give `register_model()` a few rows of what the model predicts from.",
      arg = "check"
    )
  }
  force(handle$model)
  handle
}

# A model version by the name of a stage or by its number.
find_version <- function(file, model, call = rlang::caller_env()) {
  if (!is_text_string(model)) {
    abort_argument("model", "`\"name@stage\"` or `\"name/version\"`", model, call = call)
  }
  write_buffered(file, call)
  call_native(native_version, file, model, call = call)
}

read_version <- function(file, found, call = rlang::caller_env()) {
  what <- paste0(found$name, "/", found$version)
  if (!is.null(found$unfit)) {
    warn(
      "unfit",
      c(
        paste0("`", what, "` comes from the run ", found$run_id, ", which ", found$unfit, "."),
        i = "`rollback_model()` points a stage back to the version before."
      ),
      call = call
    )
  }
  check_entry(found, what, file, call)
  if (endsWith(tolower(found$file), ".rds")) {
    model <- unpack_object(call_stored(native_read_object, file, found, what = what, call = call), what, call)
    load_predict(model, file, found$run_id)
    return(model)
  }
  copy_artifact(file, found, what, call)
}

# A session that has only read a model can't predict with it where nothing in it has loaded the package that knows its class:
# of those that the run had, the first that registers a method is loaded.
load_predict <- function(model, file, run_id) {
  classes <- class(model)
  knows <- function(class) !is.null(utils::getS3method("predict", class, optional = TRUE))
  if (!is.object(model) || isS4(model) || any(vapply(classes, knows, NA))) {
    return(invisible())
  }
  packages <- names(read_run(file, run_id)$session$packages)
  for (package in Filter(Negate(isNamespaceLoaded), packages)) {
    if (registers(package, "predict", classes)) {
      requireNamespace(package, quietly = TRUE)
      return(invisible())
    }
  }
}

# Whether an installed package has a method, as it was recorded when it was installed: nothing of it is loaded.
registers <- function(package, generic, classes) {
  path <- if (is_package_name(package)) system.file("Meta", "nsInfo.rds", package = package) else ""
  methods <- if (nzchar(path)) tryCatch(readRDS(path)$S3methods, error = function(e) NULL)
  is.matrix(methods) && any(methods[, 1] == generic & methods[, 2] %in% classes)
}

# A model as gates see it. It is read when somebody asks for it.
model_handle <- function(file, found, call = rlang::caller_env()) {
  fields <- c("name", "version", "run_id", "artifact", "params", "metrics", "signature")
  handle <- rlang::new_environment(found[fields])
  delayedAssign("model", read_version(file, found, call), assign.env = handle)
  structure(handle, class = "fitledger_model")
}

#' @export
print.fitledger_model <- function(x, ...) {
  cat("<", encodeString(x$name), "/", x$version, "> of the run ", x$run_id, "\n", sep = "")
  if (length(x$signature$columns)) {
    cat("predicts from ", enumerate(encodeString(names(x$signature$columns))), "\n", sep = "")
  }
  invisible(x)
}

#' @export
predict.fitledger_model <- function(object, newdata, ...) {
  if (missing(newdata)) {
    return(stats::predict(object$model, ...))
  }
  if (!is.null(object$signature)) {
    check_signature(object$signature, newdata)
  }
  stats::predict(object$model, newdata, ...)
}

# ---- Signatures -----------------------------------------------------------

signature_of <- function(data) {
  columns <- lapply(unclass(data), function(x) {
    c(list(type = value_type(x)), if (is.factor(x)) list(levels = as.list(levels(x))))
  })
  list(columns = rlang::set_names(columns, column_labels(names(data))))
}

check_signature <- function(signature, data, what = "The new data don't fit the model's signature.", call = rlang::caller_env()) {
  if (!is.data.frame(data)) {
    abort_argument("newdata", "a data frame", data, call = call)
  }
  columns <- signature$columns
  labels <- column_labels(names(data))
  wrong <- unlist(lapply(names(columns), function(name) {
    at <- match(name, labels)
    if (is.na(at)) {
      return(paste0("There is no column `", name, "`."))
    }
    column_fault(name, columns[[name]], data[[at]])
  }))
  if (length(wrong)) {
    more <- length(wrong) - most_faults
    shown <- c(utils::head(wrong, most_faults), if (more > 0) paste("And", number_text(more), if (more > 1) "columns more." else "column more."))
    abort("signature", c(what, rlang::set_names(shown, rep("x", length(shown)))), call = call)
  }
}

# So many are named; where all of a schema has changed nobody reads on.
most_faults <- 5

column_fault <- function(name, column, x) {
  type <- value_type(x)
  levels <- unlist(column$levels)
  if (column$type %in% c("factor", "ordered") && type %in% c("factor", "ordered", "character")) {
    unseen <- setdiff(as.character(unique(x[!is.na(x)])), levels)
    if (length(unseen)) {
      return(paste0("`", name, "` has the value ", enumerate(unseen, 3), ", which the model has never seen."))
    }
    return(NULL)
  }
  whole <- type == "double" && column$type == "integer" && all(is.na(x) | x == trunc(x))
  unknown <- type == "logical" && all(is.na(x))
  same <- type == column$type || type == "integer" && column$type == "double" || whole || unknown
  if (!same) paste0("`", name, "` is ", type, ", not ", column$type, ".")
}

# ---- Checks ---------------------------------------------------------------

check_why <- function(why, call = rlang::caller_env()) {
  if (!is.null(why)) {
    check_text(why, "why", call)
  }
}

check_version <- function(version, call = rlang::caller_env()) {
  must <- "a version of the model, a whole number"
  if (missing(version)) {
    abort_argument("version", must, call = call)
  }
  if (!is.numeric(version) || length(version) != 1 || !is.finite(version) || version != trunc(version)) {
    abort_argument("version", must, version, call = call)
  }
  as.numeric(version)
}

# A version, NA for none, NULL for the one to which the stage points.
check_expect <- function(expect, call = rlang::caller_env()) {
  if (is.null(expect)) {
    return(NULL)
  }
  if (is.atomic(expect) && length(expect) == 1 && is.na(expect) && !is.nan(expect)) {
    return(NA_real_)
  }
  if (!is.numeric(expect) || length(expect) != 1 || !is.finite(expect) || expect < 1 || expect != trunc(expect)) {
    abort_argument("expect", "a version, or `NA` for none", expect, call = call)
  }
  as.numeric(expect)
}
