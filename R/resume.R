# Searches that can be taken up again: they run in blocks, whose results are stored before their candidates are finished, as an
# artifact of the first of them.

# What a search is, before it runs. `given`: its arguments. `facts`: hashes of what must be the same when it is taken up.
# `blocks`: how many there are; `run_block(i, before, given)`: the results of one, from those before; `together()` of them all.
plan_search <- function(about, prepared, name, call = rlang::caller_env()) {
  if (is.null(name)) {
    abort("argument", "`resume = TRUE` takes `name`, by which the search is found again.", arg = "name", call = call)
  }
  kind <- about[["function"]]
  given <- arguments_of_search(about, prepared)
  if (!kind %in% c("tune_grid", "fit_resamples", "tune_bayes", "workflow_map")) {
    abort(
      "argument", paste0("`", kind, "()` can't be taken up again: what it has come to isn't all in its results."),
      "Without `resume` it is on record, too.",
      arg = "resume", call = call
    )
  }
  facts <- facts_of_search(about, given)
  plan <- switch(kind,
    tune_grid = plan_grid(given),
    fit_resamples = plan_resamples(given),
    tune_bayes = plan_bayes(given, call),
    workflow_map = plan_map(given)
  )
  c(plan, list(facts = facts, given = given, about = about))
}

facts_of_search <- function(about, given) {
  data <- if (inherits(given$resamples, "rset")) given$resamples$splits[[1]]$data
  splits <- lapply(given$resamples$splits, function(split) list(split$in_id, split$out_id))
  known <- c("object", "preprocessor", "resamples", "grid", "metrics", "control")
  facts <- list(
    "the function" = paste0(about$package, "::", about[["function"]]),
    "the data" = data, "the resamples" = splits, "the grid" = as.list(given$grid), "the metrics" = given$metrics,
    "the workflow" = list(given$object, given$preprocessor), "the control" = given$control,
    "another argument" = given[setdiff(names(given), known)], "R's random stream" = current_stream(),
    "the version of R" = r_version()
  )
  facts <- lapply(facts, function(fact) rlang::hash(without_places(fact)))
  packages <- unique(c("tune", about$package, packages_of(given$object)))
  versions <- lapply(rlang::set_names(packages), function(package) as.character(utils::packageVersion(package)))
  names(versions) <- paste0("the version of ", packages)
  c(facts, versions)
}

packages_of <- function(object) {
  workflows <- if (inherits(object, "workflow_set")) workflows_of(object) else list(object)
  unlist(lapply(workflows, function(workflow) tryCatch(tune::required_pkgs(workflow), error = function(e) NULL)), use.names = FALSE)
}

# What doesn't depend on the session that made it: code without the environments and files where it was written, and of
# what is written in a quosure what it comes to.
without_places <- function(x) {
  if (rlang::is_quosure(x)) {
    code <- rlang::quo_get_expr(x)
    value <- if (is.symbol(code)) tryCatch(rlang::eval_tidy(x), error = function(e) NULL)
    return(list(deparse(code), without_places(value)))
  }
  if (is.function(x)) {
    if (inherits(x, "metric_set")) {
      return(lapply(attr(x, "metrics"), without_places))
    }
    return(list(class(x), deparse(args(x)), deparse(body(x))))
  }
  if (is.language(x)) {
    return(deparse(x))
  }
  if (is.environment(x) || typeof(x) == "externalptr") {
    return(NULL)
  }
  kept <- lapply(attributes(x)[setdiff(names(attributes(x)), c("srcref", "names"))], without_places)
  plain <- if (is.list(x)) lapply(unclass(x), without_places) else as.vector(unclass(x))
  list(names(x), unname(plain), kept)
}

# ---- Who was here before --------------------------------------------------

# The id of the last search of a name that did not come to its end, and is the same; NULL if there is none.
unfinished_search <- function(file, name, plan, call = rlang::caller_env()) {
  runs <- tryCatch(
    read_runs(file, columns = c("name", "status")),
    fitledger_error_not_found = function(e) NULL
  )
  runs <- runs[runs$name %in% name, ]
  if (is.null(runs) || !nrow(runs)) {
    return(NULL)
  }
  if (any(runs$status == "running")) {
    abort(
      "running", paste0("A search named `", name, "` is running, as far as can be told."),
      "If its process is gone, on another machine, say, end it: `end_run(start_run(file, resume = id, take_over = TRUE), status = \"interrupted\")`.",
      call = call
    )
  }
  last <- runs[nrow(runs), ]
  if (last$status == "finished" || !"search" %in% read_artifacts(file, last$run_id)$artifact) {
    return(NULL)
  }
  before <- read_artifact(file, last$run_id, "search")
  facts <- union(names(before), names(plan$facts))
  differs <- facts[!vapply(facts, function(fact) identical(before[[fact]], plan$facts[[fact]]), NA)]
  if (length(differs)) {
    abort(
      "search", paste0("The search `", name, "` can't be taken up again: ", paste(differs, collapse = ", "), if (length(differs) > 1) " differ." else " differs."),
      "Run the script as it was, from `set.seed()` on; or give the search another name.",
      differs = differs, run_id = last$run_id, call = call
    )
  }
  last$run_id
}

# The runs of candidates that an earlier process began, with the keys of the candidates.
children_of <- function(search) {
  run <- search$run
  runs <- read_runs(run$file, columns = c("parent", "status"))
  runs <- runs[runs$parent %in% run$run_id, ]
  keys <- vapply(runs$run_id, function(id) {
    params <- read_run(run$file, id)$params
    candidate_keys(params[search$tuned[[params$workflow %||% 1]]], 1, params$workflow)
  }, "")
  list(keys = unname(keys), run_id = runs$run_id, status = runs$status)
}

# ---- Blocks ---------------------------------------------------------------

run_in_blocks <- function(search, plan) {
  run <- search$run
  record_search(search, plan$given)
  children <- children_of(search)
  is_finished <- children$status == "finished"
  search$finished <- children$keys[is_finished]
  search$unfinished <- as.list(rlang::set_names(children$run_id, children$keys)[!is_finished])
  if ("search" %in% read_artifacts(run$file, run)$artifact) {
    rlang::inform(
      paste0("Taking up the search ", run$run_id, ": ", counted(length(search$finished), "candidate"), " done."),
      class = c("fitledger_message_resumed", "fitledger_message")
    )
  } else {
    log_artifact(run, "search", plan$facts)
  }
  if (!is.null(plan$message)) {
    rlang::inform(plan$message, class = c("fitledger_message_blocks", "fitledger_message"))
  }
  stored <- if (length(children$run_id)) read_artifacts(run$file, children$run_id)
  results <- list()
  i <- 0
  while (plan$goes_on(i, results)) {
    i <- i + 1
    name <- paste0("block-", i)
    at <- match(name, stored$artifact)
    is_new <- is.na(at)
    results[[i]] <- if (is_new) {
      plan$run_block(i, results, function(given) reporting_call(search, plan$about, given))
    } else {
      with_splits(read_artifact(run$file, stored$run_id[[at]], name), plan$given$resamples)
    }
    attempt(finish_block(search, results[[i]], if (is_new) name), "Candidates", search$notes)
  }
  plan$together(results)
}

# The candidates of a block are done. `name`: of its results, which are to be stored. One without candidates is run again.
finish_block <- function(search, results, name = NULL) {
  described <- describe_fit(results)
  if (!NROW(described$runs)) {
    return(invisible())
  }
  runs <- begun_candidates(search)
  if (!is.null(name)) {
    is_new <- !vapply(described$runs$params, function(params) candidate_key(params) %in% search$finished, NA)
    params <- described$runs$params[is_new][[1]]
    key <- candidate_key(params)
    runs[[key]] <- runs[[key]] %||% begin_candidate(search, key, candidate_params(search, params))
    store_results(runs[[key]], results, name)
  }
  unflushed(log_candidates(search, fit_description(runs = described$runs), runs))
}

# One call of a search, whose metrics report.
reporting_call <- function(search, about, given) {
  env <- list2env(given, parent = globalenv())
  call <- as.call(c(getExportedValue(about$package, about[["function"]]), rlang::set_names(lapply(names(given), as.name), names(given))))
  prepared <- prepare_search(search, about, list(call = call, env = env), record = FALSE)
  prepared$as_without_us(rlang::eval_bare(prepared$call, prepared$env))
}

# The resamples of results are those of the script, in their order.
with_splits <- function(results, resamples) {
  if (inherits(results, "workflow_set")) {
    results$result <- lapply(results$result, function(result) if (inherits(result, "tune_results")) with_splits(result, resamples) else result)
    return(results)
  }
  classes <- class(results)
  results <- unclass(results)
  results$splits <- resamples$splits[match(labels_of(results), labels_of(resamples))]
  class(results) <- classes
  results
}

is_before <- function(blocks) {
  force(blocks)
  function(done, results) done < blocks
}

plan_resamples <- function(given) {
  list(
    goes_on = is_before(1), run_block = function(i, before, call) call(given),
    together = function(results) results[[1]]
  )
}

# Candidates that differ in what a fit has all values of are one fit.
plan_grid <- function(given) {
  workflow <- workflow_of(given)
  grid <- grid_of(given, workflow)
  stream <- current_stream()
  given$control <- given$control %||% tune::control_grid()
  given$control$parallel_over <- "everything"
  spec <- hardhat::extract_spec_parsnip(workflow)
  fits <- tryCatch(tune::min_grid(spec, grid), error = function(e) NULL)
  of_fit <- setdiff(names(grid), unlist(lapply(fits$.submodels, names)))
  groups <- if (length(of_fit)) candidate_keys(columns_of(grid)[of_fit], nrow(grid)) else rep("", nrow(grid))
  blocks <- split(seq_len(nrow(grid)), factor(groups, unique(groups)))
  list(
    goes_on = is_before(length(blocks)),
    run_block = function(i, before, call) {
      restore_stream(stream)
      given$grid <- grid[blocks[[i]], ]
      call(given)
    },
    together = function(results) bind_candidates(results, tune::.get_config_key(grid, workflow)),
    message = "Searches that can be taken up again have `parallel_over = \"everything\"`: each block is preprocessed by itself."
  )
}

workflow_of <- function(given) {
  if (inherits(given$object, "workflow")) {
    return(given$object)
  }
  workflow <- workflows::add_model(workflows::workflow(), given$object)
  if (rlang::is_formula(given$preprocessor)) {
    workflows::add_formula(workflow, given$preprocessor)
  } else {
    workflows::add_recipe(workflow, given$preprocessor)
  }
}

# A grid that tune would make is made as it does, from the same state of the stream.
grid_of <- function(given, workflow) {
  grid <- given$grid %||% 10
  pset <- given$param_info %||% hardhat::extract_parameter_set_dials(workflow)
  unknown <- vapply(pset$object, dials::has_unknowns, NA)
  if (is.numeric(grid) && any(unknown)) {
    predictors <- workflows::.fit_pre(workflow, given$resamples$splits[[1]]$data)$pre$mold$predictors
    pset$object <- lapply(pset$object, dials::finalize, x = predictors)
  }
  tune::.check_grid(grid, workflow, pset)
}

# Results of blocks as those of one search, with the names of candidates in the whole grid.
bind_candidates <- function(results, key) {
  whole <- unclass(results[[1]])
  tuned <- setdiff(names(key), ".config")
  of_key <- candidate_keys(columns_of(key)[tuned], nrow(key))
  for (column in intersect(c(".metrics", ".notes", ".predictions", ".extracts"), names(whole))) {
    whole[[column]] <- lapply(seq_along(whole[[column]]), function(row) {
      parts <- Filter(Negate(is.null), lapply(results, function(block) block[[column]][[row]]))
      bound <- do.call(rbind, parts)
      if (column == ".notes" || is.null(bound)) {
        return(bound)
      }
      bound$.config <- key$.config[match(candidate_keys(columns_of(bound)[tuned], nrow(bound)), of_key)]
      bound[order(bound$.config, method = "radix"), ]
    })
  }
  class(whole) <- class(results[[1]])
  tryCatch(tune::.stash_last_result(whole), error = function(e) NULL)
  whole
}

# Each iteration begins from the results so far, and from the seed of the control with its number.
plan_bayes <- function(given, call) {
  iterations <- given$iter %||% 10
  control <- given$control
  if (is.null(control) || is.finite(control$uncertain)) {
    abort(
      "argument", if (is.null(control)) "`resume = TRUE` takes `control = control_bayes(seed = )`, which the next session must have, too." else "`control_bayes(uncertain = )` counts iterations of one call, and `resume = TRUE` makes one of each.",
      arg = "control", call = call
    )
  }
  list(
    goes_on = function(done, results) done == 0 || done <= iterations && without_improvement(results[[done]]) + 1 <= control$no_improve,
    run_block = function(i, before, call) {
      if (i == 1) {
        given$iter <- 0
        return(call(given))
      }
      given$iter <- 1
      given$initial <- before[[i - 1]]
      name_iterations(call(given))
    },
    together = function(results) results[[length(results)]]
  )
}

# tune numbers the iterations of a call, of which ours have one.
name_iterations <- function(results) {
  classes <- class(results)
  results <- unclass(results)
  for (column in intersect(c(".metrics", ".predictions", ".extracts"), names(results))) {
    results[[column]] <- Map(function(table, iter) {
      if (iter > 0 && !is.null(table)) table$.config <- rep(paste0("iter", iter), nrow(table))
      table
    }, results[[column]], results$.iter)
  }
  class(results) <- classes
  results
}

# How many iterations ago the metric that decides was last better than before.
without_improvement <- function(results) {
  means <- tune::collect_metrics(results)
  metrics <- directions_of(attr(results, "metrics"))
  means <- means[means$.metric == metrics$metrics[[1]] & !is.na(means$mean), ]
  better <- if (metrics$metrics[[1]] %in% metrics$maximize) max else min
  iterations <- sort(unique(results$.iter))
  best <- better(means$mean[means$.iter == 0])
  since <- 0
  for (iteration in iterations[iterations > 0]) {
    value <- means$mean[means$.iter == iteration]
    is_better <- length(value) == 1 && value != best && better(value, best) == value
    since <- if (is_better) 0 else since + 1
    best <- better(c(value, best))
  }
  since
}

plan_map <- function(given) {
  given$seed <- given$seed %||% sample.int(10^4, 1)
  set <- given$object
  list(
    goes_on = is_before(nrow(set)),
    run_block = function(i, before, call) {
      given$object <- set[i, ]
      call(given)
    },
    together = function(results) do.call(rbind, results)
  )
}
