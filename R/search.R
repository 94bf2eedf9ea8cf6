# Searches that put themselves on record: a run for the search, and one for each candidate, which belongs to it.

#' Log a search
#'
#' Runs a search over resamples and records it: the search is a run, and so is each
#' candidate, whose `parent` is the search. Candidates are on record while the search
#' runs. What you get is what the bare call gives: the same results, the same error, the
#' same random numbers.
#'
#' Searches are the calls of `tune_grid()`, `fit_resamples()` and `tune_bayes()` of tune, of
#' `tune_race_anova()`, `tune_race_win_loss()` and `tune_sim_anneal()` of finetune, and of
#' `workflow_map()` of workflowsets, sequential or on the workers of future or mirai. On
#' record is:
#'
#' - of a candidate: the values of what is tuned, the model and its engine as parameters; the
#'   means over the resamples as metrics, with their standard errors (`rmse.std_err`); the
#'   metrics of each resample as a series of the same name ([read_metrics()]), whose step is the
#'   place of the resample's label among all of them, sorted: `Fold1` is step 1; tags `config`
#'   and, where the search goes by iterations, `iter`. Candidates of [best_run()] are those of all
#'   searches of the ledger: `where = parent == id` chooses one.
#' - of the search: what it was given; `metrics`, the first of which decides, and
#'   `maximize`, those of them that are better if they are larger, by which the page of [view_runs()]
#'   knows the best; `resamples`, their labels in the order of the steps (sorted as in the C locale,
#'   whatever the session's is); the hash of the data; warnings and errors of single fits as notes.
#'   The search has no metrics, so that it is never best itself.
#'
#' `fit_resamples()` has one candidate, and is one run. Who is out of a race early ends as
#' interrupted, since the mean of a few resamples is none to choose by. Of a search that fails, is interrupted
#' or killed, what was reported is on record. The results are stored as the artifact
#' `results`, without the resamples. Saved predictions have the outcomes in them, and the recipes of a
#' set of workflows the data that they were made of.
#'
#' @inheritParams log_call
#' @param call One call of a search, `tune_grid(workflow, folds)` or
#'   `workflow |> tune_grid(folds)`, as for [log_call()].
#' @param seed A seed to set before the call, and to record; the stream is put back afterwards, as in [with_run()].
#' @param resume `TRUE` to take up the search of this `name` that was killed, interrupted or
#'   failed, or to begin one that can be taken up: see below.
#' @section Searches that can be taken up again:
#' With `resume = TRUE` a search of tune runs in blocks: the candidates of a grid that are
#' one fit, one iteration of `tune_bayes()`, one workflow of `workflow_map()`. What comes out of a
#' block is stored, as an artifact of its first candidate, before its candidates are finished. If the process
#' dies, the same script, run again, finds the search by its `name`, reads what was stored, and goes
#' on: no candidate that is finished is fitted again, and the results are those of a search that
#' wasn't interrupted. The script has to come to the same place: function, data, resamples, grid, metrics,
#' workflow, control, the state of R's random stream (`set.seed()` before it, or `seed`) and
#' the versions of packages must be what they were, else the error `fitledger_error_search` says
#' what differs. Of a function or a formula among them that goes for its code and for what this names of yours, functions
#' and values, a few levels deep. A finished search is never returned in place of a new one. Grids are
#' searched with `parallel_over = "everything"`, so that preprocessing is repeated for each block;
#' `tune_bayes()` wants `control_bayes(seed = )`. `fit_resamples()` is one block. Races and annealing are
#' on record, but what they have come to isn't all in their results: they can't be taken up again.
#'
#' What was stored is unpacked, which can run code that somebody put there, see [read_artifact()]: take up searches in
#' ledgers that you trust.
#' @returns The value of the call.
#' @section Errors:
#' Those of the call itself. Before it runs, `fitledger_error_argument` for what isn't one
#' call of a search, and those of [log_run()].
#' @seealso [log_fit()] for results that are there already.
#' @export
#' @examplesIf all(vapply(c("tune", "recipes", "parsnip", "workflows", "rsample", "rpart"), requireNamespace, NA, quietly = TRUE))
#' file <- tempfile(fileext = ".csv")
#' tree <- parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune())
#' workflow <- workflows::workflow(mpg ~ ., tree)
#' set.seed(1)
#' folds <- rsample::vfold_cv(mtcars, 3)
#' results <- log_search(file, tune::tune_grid(workflow, folds, grid = data.frame(tree_depth = 1:3)))
#' best_run(file, "rmse", columns = c("tree_depth", "rmse", "rmse.std_err"))
log_search <- function(file, call, ..., name = NULL, resume = FALSE, data = NULL, seed = NULL, tags = NULL,
                       experiment = NULL, parent = NULL) {
  check_no_dots(..., known = c("name", "resume", "data", "seed", "tags", "experiment", "parent"))
  path <- absolute_path(check_ledger(file, "file", create = TRUE))
  expr <- substitute(call)
  caller <- parent.frame()
  check_call(expr, "log_search", "a search", "tune_grid(workflow, folds)")
  fun <- called_function(expr, caller)
  about <- describe_call(expr, fun, NULL, caller)
  check_is_search(about)
  check_flag(resume, "resume")
  seed <- check_seed(seed)
  stream <- begin_stream(seed)
  on.exit(end_stream(stream), add = TRUE)
  plan <- if (resume) plan_search(about, with_values(expr, caller), name)
  previous <- if (resume) unfinished_search(lasting_ledger(file, path), name, plan)
  said <- about_run(path, name, experiment, parent, if (!is_stream(seed)) seed)
  begun <- begun_from_now(path)
  left <- new_leaving()
  search <- NULL
  ended <- FALSE
  # Set before the run begins, since an interrupt may come as soon as it is on record.
  on.exit(add = TRUE, {
    if (is.null(search)) {
      end_unheard(begun)
    } else {
      if (!ended) {
        end_search(search, c(left$how, drawn_from(stream)))
      }
      warn_of(search$notes)
    }
  })
  run <- if (is.null(previous)) {
    begin_call(path, learner(about), data_versions(data), seed, tags, about, said)
  } else {
    start_run(path, resume = previous)
  }
  run$file <- lasting_ledger(file, path)

  search <- new_search(run, said$experiment)
  result <- watched(left, if (resume) {
    record_search(search, plan$given)
    withVisible(run_in_blocks(search, plan))
  } else {
    search_call <- with_values(expr, caller)
    # Of a call that can't be matched nothing is known, and what it comes to is its own affair.
    given <- tryCatch(arguments_of_search(about, search_call), error = function(e) NULL)
    record_search(search, given)
    evaluate_reporting(search, search_call, given)
  })
  end_search(search, c(list(status = "finished"), drawn_from(stream)), result$value)
  ended <- TRUE
  if (result$visible) result$value else invisible(result$value)
}

# The functions that are searches, and how they are called.
searches <- c(
  "tune::tune_grid", "tune::fit_resamples", "tune::tune_bayes", "finetune::tune_race_anova", "finetune::tune_race_win_loss",
  "finetune::tune_sim_anneal", "workflowsets::workflow_map"
)

check_is_search <- function(about, call = rlang::caller_env()) {
  called <- paste(c(about$package, about[["function"]]), collapse = "::")
  if (!called %in% searches) {
    abort(
      "argument", paste0("`", called, "()` is none of the searches that can be watched."),
      c(
        paste0("Those are ", enumerate(searches, 10), "."),
        "`log_call()` records any call, and `log_fit()` what came out of one."
      ),
      arg = "call", call = call
    )
  }
}

# ---- A search -------------------------------------------------------------

# - `run`, `experiment`: the run of the search, and what its candidates are a part of, too
# - `folder`: where processes of this machine agree on who begins a candidate's run
# - `stream`: the state of R's random stream before the search
# - `notes`: what could not be recorded
# - `open`: the runs of candidates that have begun and are to be ended, by the candidates' keys
#
# `record_search()` adds what the search was given to say of it:
#
# - `steps`: the step of each resample, by the rows that are predicted in it; NULL where these aren't resamples
# - `params`: what is recorded of each candidate, a list for each workflow, named by them where there are several
# - `tuned`: the names of what is tuned, likewise
#
# and `run_in_blocks()` what an earlier process has done:
#
# - `unfinished`: ids of runs of candidates that it began and did not finish, by the candidates' keys
# - `measured`: the points of their series, which are not to be logged again
# - `finished`: the keys of candidates that are not to be logged again; NULL for a search that isn't run in blocks
new_search <- function(run, experiment) {
  search <- new.env(parent = emptyenv())
  search$run <- run
  search$experiment <- experiment
  search$folder <- tempfile("fitledger-search-")
  dir.create(search$folder)
  search$stream <- current_stream()
  search$notes <- new_notes()
  search$open <- list()
  search
}

# A call, whose arguments are evaluated once and in their order, and the environment that has their values.
with_values <- function(expr, caller) {
  env <- new.env(parent = caller)
  expr <- with_dots(expr, caller)
  for (i in seq_along(expr)[-1]) {
    if (is.call(expr[[i]])) {
      name <- paste0(".argument", i - 1)
      assign(name, eval(expr[[i]], caller), env)
      expr[[i]] <- as.name(name)
    }
  }
  list(call = expr, env = env)
}

# A call of a function with values, which are put into an environment for it.
call_of_values <- function(fun, values, env) {
  places <- paste0(".value", seq_along(values), recycle0 = TRUE)
  list2env(rlang::set_names(values, places), env)
  as.call(c(fun, rlang::set_names(lapply(places, as.name), names(values))))
}

# `...` of the function that makes the call, as its elements.
with_dots <- function(expr, caller) {
  # Nothing stands behind a last comma.
  expr <- expr[!vapply(seq_along(expr), function(i) identical(expr[[i]], quote(expr = )), NA)]
  at <- which(vapply(as.list(expr)[-1], identical, NA, quote(...))) + 1
  if (!length(at)) {
    return(expr)
  }
  names <- eval(quote(...names()), caller)
  elements <- lapply(seq_len(eval(quote(...length()), caller)), function(i) as.name(paste0("..", i)))
  names(elements) <- names %||% rep("", length(elements))
  as.call(append(as.list(expr)[-at], elements, at[[1]] - 1))
}

# What the method that will run is given, by the names of its arguments.
arguments_of_search <- function(about, search_call) {
  generic <- getExportedValue(about$package, about[["function"]])
  env <- search_call$env
  first <- eval(match.call(generic, search_call$call, envir = env)$object, env)
  classes <- c(class(first), "default")
  methods <- lapply(classes, function(class) utils::getS3method(about[["function"]], class, optional = TRUE, envir = asNamespace(about$package)))
  method <- Filter(Negate(is.null), methods)
  matched <- match.call(if (length(method)) method[[1]] else generic, search_call$call, expand.dots = TRUE, envir = env)
  given <- lapply(as.list(matched)[-1], eval, env)
  given$object <- first
  given
}

# Parameters are what the search was given but its objects, of which the results say more.
record_search <- function(search, given) {
  if (is.null(given)) {
    return(invisible())
  }
  attempt(
    {
      is_rset <- inherits(given$resamples, "rset")
      search$steps <- if (is_rset) steps_of(given$resamples)
      workflows <- if (inherits(given$object, "workflow_set")) workflows_of(given$object) else list(workflow_of(given))
      search$params <- lapply(workflows, params_of_workflow)
      search$tuned <- lapply(workflows, function(workflow) tune::tune_args(workflow)$id)
      objects <- c("", "object", "resamples", "metrics", "control", "preprocessor", "param_info", "verbose")
      plain <- lapply(given[setdiff(names(given), objects)], function(value) list(value = value))
      sorted <- sort_arguments(plain, NULL, NULL, search$notes)
      data <- c(sorted$data, if (is_rset) list(data = value_version(given$resamples$splits[[1]]$data, NULL)))
      params <- override(if (length(workflows) == 1) drop_tuned(search$params[[1]]), sorted$params)
      log_event_native(
        path_of(search$run$file), "log", search$run$run_id, params,
        more = if (length(data)) list(data = data)
      )
    },
    "What the search was given", search$notes
  )
}

workflows_of <- function(set) {
  ids <- rlang::set_names(set$wflow_id)
  lapply(ids, function(id) hardhat::extract_workflow(set, id))
}

params_of_workflow <- function(x) {
  override(preprocessor_params(x$pre$actions), spec_params(x$fit$actions$model$spec))
}

# What a candidate has a value of, and the search has none.
drop_tuned <- function(params) {
  is_tuned <- vapply(params, function(value) is_code(value) && grepl("\\btune\\(", value), NA)
  params[!is_tuned & names(params) != "learner"]
}

# ---- While it runs --------------------------------------------------------

# The value of a search's call, and whether it is visible: the call is evaluated with what reports the metrics, too, in
# their place, as far as that can be done.
evaluate_reporting <- function(search, search_call, given) {
  report <- if (inherits(given$object, "workflow_set")) report_of_set else report_of_one
  reporting <- if (!is.null(given)) tryCatch(report(search, search_call, given), error = function(e) NULL)
  call <- reporting$call %||% search_call$call
  evaluated <- rlang::eval_bare(as.call(list(base::withVisible, call)), search_call$env)
  if (!is.null(reporting)) {
    evaluated$value <- reporting$without_us(evaluated$value)
  }
  evaluated
}

# The call in which what reports stands in the place of the metrics, and how it is taken out of what comes out.
report_of_one <- function(search, search_call, given) {
  metrics <- metrics_or_usual(given$metrics, given$object)
  search_call$env$.metrics <- reporting(metrics, search, NULL)
  call <- search_call$call
  call$metrics <- quote(.metrics)
  list(call = call, without_us = function(results) with_metrics(results, metrics))
}

# Each workflow reports for itself, so that they are given their metrics one by one.
report_of_set <- function(search, search_call, given) {
  of_map <- c("fn", "verbose", "seed")
  dots <- given[setdiff(names(given), c("object", of_map, ""))]
  set <- rlang::exec(getExportedValue("workflowsets", "option_add"), given$object, !!!dots)
  workflows <- workflows_of(set)
  reporting_set <- set
  metrics <- list()
  for (i in seq_along(workflows)) {
    metrics[[i]] <- metrics_or_usual(set$option[[i]]$metrics, workflows[[i]])
    reporting_set$option[[i]]$metrics <- reporting(metrics[[i]], search, names(workflows)[[i]])
  }
  values <- c(list(object = reporting_set), given[intersect(names(given), of_map)])
  list(
    call = call_of_values(search_call$call[[1]], values, search_call$env),
    without_us = function(results) {
      results$option <- set$option
      for (i in seq_along(metrics)) {
        if (inherits(results$result[[i]], "tune_results")) {
          attr(results$result[[i]], "metrics") <- metrics[[i]]
        }
      }
      results
    }
  )
}

metrics_or_usual <- function(metrics, object) {
  if (inherits(object, "model_spec")) {
    object <- workflows::add_model(workflows::workflow(), object)
  }
  tune::check_metrics_arg(metrics, object)
}

# tune hands out its last results to who asks for them.
with_metrics <- function(results, metrics) {
  if (inherits(results, "tune_results")) {
    attr(results, "metrics") <- metrics
    tryCatch(tune::.stash_last_result(results), error = function(e) NULL)
  }
  results
}

# A metric set that reports what it measures. What tune asks of a set, its attributes and the functions in its
# environment, is that of the set; what goes wrong in reporting is nothing to the search.
reporting <- function(metrics, search, workflow_id) {
  report <- list(
    run = search$run, experiment = search$experiment, folder = search$folder, steps = search$steps,
    unfinished = search$unfinished, finished = search$finished, measured = search$measured, stream = search$stream,
    params = c(if (!is.null(workflow_id)) list(workflow = workflow_id), search$params[[workflow_id %||% 1]]),
    options = options()[grepl("^fitledger\\.", names(options()))], pid = Sys.getpid()
  )
  env <- new.env(parent = asNamespace("fitledger"))
  env$fns <- environment(metrics)$fns
  env$metrics <- metrics
  env$report <- report
  wrapped <- function(data, ...) {
    measured <- metrics(data, ...)
    tryCatch(report_measured(report, data, measured), error = function(e) NULL)
    measured
  }
  environment(wrapped) <- env
  attributes(wrapped) <- attributes(metrics)
  wrapped
}

# Which resample it is is told by the rows that are predicted in it.
steps_of <- function(resamples) {
  steps <- resample_steps(resamples)
  is_resample <- !is.na(steps)
  rows <- lapply(resamples$splits[is_resample], function(split) as.integer(split, data = "assessment"))
  keys <- vapply(rows, rows_key, "")
  steps <- rlang::set_names(as.list(steps[is_resample]), keys)
  steps[!keys %in% keys[duplicated(keys)]]
}

rows_key <- function(rows) rlang::hash(sort(unique(as.integer(rows))))

# This may be another process, which writes what it reports before it goes on: the search may end any time. tune fits with
# random numbers of another kind; a session is recorded as it was before, not anew for each fit.
report_measured <- function(report, data, measured) {
  step <- report$steps[[rows_key(data[[".row"]])]]
  if (is.null(step) || !is.numeric(measured[[".estimate"]])) {
    return(invisible())
  }
  old <- options(c(report$options, list(fitledger.sync = "none")))
  on.exit(options(old))
  with_stream(report$stream, suppressMessages(suppressWarnings({
    tuned <- setdiff(names(attr(data, "groups")), ".rows")
    measured <- with_metric_names(measured)
    rows <- columns_of(measured)[tuned]
    keys <- candidate_keys(rows, nrow(measured), report$params$workflow)
    for (key in setdiff(keys, report$finished)) {
      of_key <- which(keys == key)
      params <- override(report$params, lapply(rows, function(column) column[[of_key[[1]]]]))
      run <- if (length(tuned) || !is.null(report$params$workflow)) candidate_run(report, key, params) else report$run
      values <- rlang::set_names(as.list(as.numeric(measured[[".estimate"]][of_key])), measured$.metric[of_key])
      if (!is.null(run)) {
        keys_of_points <- point_keys(list(run_id = run$run_id, step = step, metric = names(values)))
        values <- values[!keys_of_points %in% report$measured]
        if (length(values)) log_metrics(run, values, step = step)
      }
    }
    if (Sys.getpid() != report$pid) {
      write_buffered()
    }
  })))
}

# By which points of series are told from each other.
point_keys <- function(points) paste(points$run_id, points$step, points$metric, recycle0 = TRUE)

# The runs of candidates that this process has seen begun, by their places.
seen_candidates <- new.env(parent = emptyenv())

# Candidates are told from each other by the values of what is tuned, in all processes alike. In a grid these may be factors,
# of which tune makes texts.
candidate_keys <- function(columns, rows, workflow_id = NULL) {
  # One of nothing has no names.
  columns <- columns[order(as.character(names(columns)), method = "radix")]
  value_at <- function(column, row) {
    value <- column[[row]]
    if (is.numeric(value)) as.numeric(value) else if (is.factor(value)) as.character(value) else value
  }
  vapply(seq_len(rows), function(row) rlang::hash(list(workflow_id, lapply(columns, value_at, row))), "")
}

# By its parameters in the results: the workflow, where there are several, and what is tuned.
candidate_key <- function(params) {
  candidate_keys(lapply(params[names(params) != "workflow"], list), 1, params[["workflow"]])
}

# With those of its workflow, which aren't tuned.
candidate_params <- function(search, params) {
  workflow <- params[["workflow"]]
  override(if (!is.null(workflow)) list(workflow = workflow), override(search$params[[workflow %||% 1]], params))
}

# The process that makes the place begins the run, and the others wait for it. NULL if it could not be begun.
candidate_run <- function(report, key, params) {
  place <- file.path(report$folder, key)
  if (!is.null(seen_candidates[[place]])) {
    return(seen_candidates[[place]])
  }
  path <- file.path(place, "run.rds")
  if (dir.create(place, showWarnings = FALSE)) {
    # Also where an interrupt comes, and where the others can't be told, for lack of room.
    begun <- begun_from_now(path_of(report$run$file))
    on.exit(if (is.null(seen_candidates[[place]])) assign(place, begun(), seen_candidates))
    run <- tryCatch(begin_candidate(report, key, params), error = function(e) NULL)
    assign(place, run, seen_candidates)
    unfinished <- paste0(path, ".", Sys.getpid())
    saveRDS(run, unfinished)
    file.rename(unfinished, path)
  }
  deadline <- Sys.time() + 10
  while (!file.exists(path) && dir.exists(place) && Sys.time() < deadline) {
    Sys.sleep(0.01)
  }
  if (!dir.exists(place)) {
    return(NULL)
  }
  if (!file.exists(path)) {
    # Who made the place has died. Nobody is to wait for it again.
    saveRDS(NULL, path)
  }
  run <- readRDS(path)
  if (!is.null(run)) {
    assign(place, run, seen_candidates)
  }
  run
}

# An earlier process may have begun it.
begin_candidate <- function(report, key, params) {
  file <- report$run$file
  earlier <- report$unfinished[[key]]
  if (is.null(earlier)) {
    start_run(file, params, parent = report$run, experiment = report$experiment)
  } else {
    start_run(file, resume = earlier, take_over = TRUE)
  }
}

# Takes up the runs of candidates that were begun since this was done last.
open_candidates <- function(search) {
  places <- dir(search$folder, full.names = TRUE)
  runs <- lapply(places, function(place) {
    seen_candidates[[place]] %||% tryCatch(suppressWarnings(readRDS(file.path(place, "run.rds"))), error = function(e) NULL)
  })
  search$open <- override(search$open, Filter(Negate(is.null), rlang::set_names(runs, basename(places))))
  rm(list = intersect(places, names(seen_candidates)), envir = seen_candidates)
  unlink(places, recursive = TRUE)
}

# ---- When it has ended ----------------------------------------------------

# Only the last row waits for the disk, and all before it with it. An interrupt between two pieces would leave runs that seem
# to go on.
end_search <- function(search, how, value = NULL) {
  suspendInterrupts({
    notes <- search$notes
    open_candidates(search)
    metrics <- NULL
    unflushed({
      described <- if (!is.null(value)) attempt(undisturbed(describe_fit(value)), "What came out of the search", notes)
      if (is.null(described)) {
        end_candidates(search, how$status)
      } else {
        metrics <- described$metrics
        attempt(suspendInterrupts(log_candidates(search, described)), "The candidates", notes)
        # In none of the resamples did these come to an end.
        end_candidates(search, "failed")
        attempt(store_results(search$run, value), "The artifact `results`", notes)
        if (!is.null(described$runs) && !nrow(described$runs)) {
          how$status <- "failed"
        }
      }
    })
    attempt(finish_surely(search$run, metrics, how), "The end of the search", notes)
    unlink(search$folder, recursive = TRUE)
  })
}

# Those that are open still.
end_candidates <- function(search, status) {
  end <- function(run) tryCatch(finish_surely(run, NULL, list(status = status)), fitledger_error_ended = function(e) NULL)
  for (run in search$open) attempt(end(run), "The end of a candidate", search$notes)
  search$open <- list()
}

unflushed <- function(code) {
  old <- options(fitledger.sync = "none")
  on.exit(options(old))
  code
}

# What is there of a search.
log_candidates <- function(search, described) {
  run <- search$run
  path <- path_of(run$file)
  notes <- search$notes
  params <- recordable(described$params, "params", notes)
  if (length(params)) {
    attempt(log_event_native(path, "log", run$run_id, params), "The parameters of the search", notes)
  }
  add_series(run, described$series, notes)
  for (i in seq_len(NROW(described$runs))) {
    candidate <- lapply(columns_of(described$runs), function(column) column[[i]])
    key <- candidate_key(candidate$params)
    if (!key %in% search$finished) {
      attempt(log_candidate(search, candidate, key), paste("The candidate", i), notes)
    }
  }
  log_notes(path, run$run_id, described$notes, notes)
}

# A row of `runs` of a description as a run, which may have begun.
log_candidate <- function(search, candidate, key) {
  notes <- search$notes
  how <- list(status = candidate$status)
  run <- search$open[[key]]
  begun <- begun_from_now(path_of(search$run$file))
  ended <- FALSE
  # Its end is on record even if the rest can't be.
  on.exit(suspendInterrupts({
    run <- run %||% begun()
    if (!is.null(run) && !ended) attempt(finish_surely(run, NULL, how), "The end of a candidate", notes)
  }))
  run <- run %||% begin_candidate(search, key, recordable(candidate_params(search, candidate$params), "params", notes))
  search$open[[key]] <- NULL
  if (!is.null(search$finished)) {
    search$finished <- c(search$finished, key)
  }
  add_series(run, candidate$series, notes)
  tags <- recordable(candidate$tags, "tags", notes)
  if (length(tags)) {
    attempt(log_event_native(path_of(run$file), "log", run$run_id, tags = tags), "The tags of a candidate", notes)
  }
  finish_surely(run, recordable(candidate$metrics, "metrics", notes), how)
  ended <- TRUE
}

# Those points of a series that aren't there yet.
add_series <- function(run, series, notes) {
  if (NROW(series)) {
    path <- path_of(run$file)
    there <- read_metrics(run$file, run)
    log_series(path, run$run_id, series[!paste(series$step, series$metric) %in% paste(there$step, there$metric), ], notes)
  }
}

# A search that is over, as a run with its candidates.
log_searched <- function(file, described, artifacts, about, tags, call, data, notes) {
  more <- if (length(data)) list(data = data)
  begun <- begun_from_now(file)
  run_id <- attempt(
    log_event_native(file, "start", NULL, about = about, tags = tags, more = more), "The run", notes
  ) %||% begun()$run_id
  if (is.null(run_id)) {
    return(invisible())
  }
  run <- structure(list(file = file, run_id = run_id), class = "fitledger_run")
  search <- list2env(list(run = run, experiment = about$experiment, notes = notes, open = list()), parent = emptyenv())
  unflushed(attempt(suspendInterrupts(log_candidates(search, described)), "The candidates", notes))
  described$notes <- character()
  end_described(file, run_id, described, notes, call, artifacts)
}

# The resamples, which hold all data, are the script's.
store_results <- function(run, results, name = "results") {
  ledger <- path_of(run$file)
  kept <- without_splits(results)
  artifact <- if (".extracts" %in% names(kept)) {
    # These may be anything, which is looked through as any object is.
    store_object(ledger, kept, name)
  } else {
    path <- tempfile()
    on.exit(unlink(path))
    save_object(kept, path, paste0("The artifact `", name, "`"))
    store_file(ledger, path, paste0(name, ".rds"), NULL)
  }
  log_event_native(ledger, "log", run$run_id, artifacts = rlang::set_names(list(artifact), name))
}

# What is stored of a fit: of the last fit the workflow, which predicts.
kept_of <- function(fit) {
  if (inherits(fit, "last_fit")) fit$.workflow[[1]] else if (inherits(fit, c("tune_results", "workflow_set"))) without_splits(fit) else fit
}

without_splits <- function(x) {
  if (inherits(x, "workflow_set")) {
    x$result <- lapply(x$result, without_splits)
    return(x)
  }
  classes <- class(x)
  x <- unclass(x)
  if (is.list(x) && !is.null(x$splits)) {
    x$splits <- rep(list(NULL), length(x$splits))
  }
  class(x) <- classes
  x
}
