# Searches that can be taken up again: they run in blocks, whose results are stored before their candidates are finished, as an
# artifact of the first of them.

# How a search runs in blocks:
#
# - `about`, `given`: which function it is, and what that is given, by the names of its arguments
# - `facts`: what must be the same when it is taken up, most of it as hashes, each under what it is called
# - `goes_on(done, results)`: whether there is a block after so many, which have these results
# - `run_block(i, before, call)`: the results of block `i`, after those with the results `before`; `call(given)` runs the
#   search with other arguments
# - `together(results)`: the results of the search, of those of its blocks
# - `message`: what is to be said before it runs, if anything
plan_search <- function(about, search_call, name, call = rlang::caller_env()) {
  if (is.null(name)) {
    abort("argument", "`resume = TRUE` takes `name`, by which the search is found again.", arg = "name", call = call)
  }
  kind <- about[["function"]]
  given <- arguments_of_search(about, search_call)
  if (!kind %in% c("tune_grid", "fit_resamples", "tune_bayes", "workflow_map")) {
    abort(
      "argument", paste0("`", kind, "()` can't be taken up again: what it has come to isn't all in its results."),
      "Without `resume` it is on record, too.",
      arg = "resume", call = call
    )
  }
  facts <- undisturbed(facts_of_search(about, given))
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

# What doesn't depend on the session that made it. Environments, and the files where code was written, are other ones in each;
# of code counts what is written and, as deep as `depth` says, what it names.
without_places <- function(x, depth = 3) {
  if (rlang::is_quosure(x)) {
    return(code_without_places(rlang::quo_get_expr(x), rlang::quo_get_env(x), depth))
  }
  if (inherits(x, "metric_set")) {
    return(lapply(attr(x, "metrics"), without_places, depth))
  }
  if (is.environment(x)) {
    return(NULL)
  }
  others <- setdiff(names(attributes(x)), c("names", "srcref", ".Environment"))
  plain <- if (is.primitive(x)) {
    deparse(x)
  } else if (is.function(x)) {
    code_without_places(c(as.list(formals(x)), body(x)), environment(x), depth)
  } else if (is.language(x)) {
    code_without_places(x, attr(x, ".Environment"), depth)
  } else if (is.list(x)) {
    unname(lapply(unclass(x), without_places, depth))
  } else if (is.atomic(x)) {
    as.vector(unclass(x))
  }
  list(names(x), plain, lapply(attributes(x)[others], without_places, depth))
}

# Code, or the defaults and the body of a function.
code_without_places <- function(code, env, depth) {
  named <- if (depth > 0) named_by_user(code, env)
  text <- with_plain_numbers(if (is.list(code)) lapply(code, deparse) else deparse(code))
  list(text, lapply(named, without_places, depth - 1))
}

# What code names in environments of the user's, that is up to the global one: packages have their versions. Names of its own
# aren't meant, such as those to which it assigns.
named_by_user <- function(code, env) {
  calls <- calls_in(code)
  names <- setdiff(names_in(code), c(own_names(calls), if (is.list(code)) names(code), "..."))
  methods_of <- paste0(dispatched_in(calls), ".", recycle0 = TRUE)
  found <- list()
  while (is.environment(env) && (is_stored(env) || identical(env, globalenv()))) {
    bound <- ls(env, all.names = TRUE)
    is_method <- Reduce(`|`, lapply(methods_of, startsWith, x = bound), logical(length(bound)))
    for (name in setdiff(bound[bound %in% names | is_method], names(found))) {
      found[name] <- list(bound_without_evaluation(name, env))
    }
    env <- if (!identical(env, globalenv())) parent.env(env)
  }
  found[order(as.character(names(found)), method = "radix")]
}

# What has a name in an environment: of a promise its code, and of an active binding nothing.
bound_without_evaluation <- function(name, env) {
  if (rlang::env_binding_are_active(env, name)) {
    return(NULL)
  }
  if (!rlang::env_binding_are_lazy(env, name)) {
    value <- env[[name]]
    return(if (!rlang::is_missing(value)) value)
  }
  code <- eval(as.call(list(base::substitute, as.name(name))), env)
  # To ask for the promise itself would carry out an injection.
  if (has_injection(list(code))) code else eval(as.call(list(rlang::enquo, as.name(name))), env)
}

# The calls in code, at every depth.
calls_in <- function(code) {
  inside <- if (is.call(code) || is.list(code)) unlist(lapply(as.list(code), calls_in), recursive = FALSE)
  c(if (is.call(code)) list(code), inside)
}

# The names to which calls assign, or give an argument.
own_names <- function(calls) {
  unlist(lapply(calls, function(call) {
    head <- if (is.symbol(call[[1]]) && length(call) > 2) as.character(call[[1]]) else ""
    if (head == "function") {
      names(call[[2]])
    } else if (head %in% c("<-", "<<-", "=", "for") && (is.symbol(call[[2]]) || is.character(call[[2]]))) {
      as.character(call[[2]])
    }
  }))
}

# The generics on which calls dispatch.
dispatched_in <- function(calls) {
  dispatches <- function(call) identical(call[[1]], quote(UseMethod)) && length(call) > 1 && rlang::is_string(call[[2]])
  vapply(Filter(dispatches, calls), function(call) call[[2]], "")
}

# ---- Who was here before --------------------------------------------------

# The id of the last search of a name that did not come to its end, and is the same; NULL if there is none.
unfinished_search <- function(file, name, plan, call = rlang::caller_env()) {
  last <- last_search(file, name, call)
  if (is.null(last) || last$status == "finished") {
    return(NULL)
  }
  if (last$status == "running") {
    abort(
      "running", paste0("A search named `", name, "` is running, as far as can be told."),
      paste0(
        "If it isn't, because its process is gone, on another machine, say, or its end could not be recorded, end it: ",
        "`end_run(start_run(file, resume = \"", last$run_id, "\", take_over = TRUE), status = \"interrupted\")`."
      ),
      run_id = last$run_id, call = call
    )
  }
  facts <- union(names(last$facts), names(plan$facts))
  differs <- facts[!vapply(facts, function(fact) identical(last$facts[[fact]], plan$facts[[fact]]), NA)]
  if (length(differs)) {
    abort(
      "search", paste0("The search `", name, "` can't be taken up again: ", paste(differs, collapse = ", "), if (length(differs) > 1) " differ." else " differs."),
      "Run the script as it was, from `set.seed()` on; or give the search another name.",
      differs = differs, run_id = last$run_id, call = call
    )
  }
  last$run_id
}

# Of the last search of a name its `run_id`, `status` and `facts`. What else has that name is no search, nor need an artifact
# of another run be facts. Where they are lost nobody can tell whether it is the same search, which matters only as long as
# it isn't finished.
last_search <- function(file, name, call = rlang::caller_env()) {
  runs <- tryCatch(runs_about(file, c("name", "status")), fitledger_error_not_found = function(e) NULL)
  ids <- runs$run_id[runs$name %in% name]
  artifacts <- if (length(ids)) read_artifacts(file, ids)
  for (id in rev(intersect(ids, artifacts$run_id[artifacts$artifact == "search" & artifacts$stored]))) {
    status <- runs$status[match(id, runs$run_id)]
    facts <- tryCatch(facts_on_record(file, id), fitledger_error_artifact = function(e) {
      if (status == "finished") NULL else abort_lost_search(name, id, e, call)
    })
    if (is.null(facts) || is.list(facts) && "the function" %in% names(facts)) {
      return(list(run_id = id, status = status, facts = facts))
    }
  }
}

# What stands under the name of the facts, `FALSE` if that is no object.
facts_on_record <- function(file, run_id) {
  file <- check_ledger(file, "file")
  artifact <- tryCatch(find_artifact(file, run_id, "search"), fitledger_error_artifact = function(e) NULL)
  if (is.null(artifact) || !endsWith(tolower(artifact$file), ".rds")) {
    return(FALSE)
  }
  bytes <- artifact_bytes(file, artifact, "search")
  tryCatch(unpack_object(bytes, "search"), fitledger_error_artifact = function(e) FALSE)
}

abort_lost_search <- function(name, run_id, e, call) {
  abort(
    "artifact", paste0("Whether the search `", name, "` can be taken up can't be told: what the run `", run_id, "` recorded of it can't be read."),
    c(
      "Put the stored bytes back, if there is a copy of them.",
      "To begin the search anew, declare that run void, `void_run(file, run_id, reason)`, or give the search another name."
    ),
    run_id = run_id, parent = e, call = call
  )
}

# The runs of candidates that an earlier process began, with the keys of the candidates.
children_of <- function(search) {
  run <- search$run
  runs <- runs_about(run$file, c("parent", "status"))
  is_child <- runs$parent %in% run$run_id
  keys <- vapply(runs$run_id[is_child], function(id) {
    params <- read_run(run$file, id)$params
    candidate_key(params[c("workflow"[!is.null(params$workflow)], search$tuned[[params$workflow %||% 1]])])
  }, "")
  list(keys = unname(keys), run_id = runs$run_id[is_child], status = runs$status[is_child])
}

# Details of runs, as a list of columns. In `read_runs()` a parameter may have their names.
runs_about <- function(file, what) {
  table <- run_table(check_ledger(file, "file"), character(), what, void = FALSE)
  c(list(run_id = table$frame$run_id), columns_of(table$details))
}

# ---- Blocks ---------------------------------------------------------------

run_in_blocks <- function(search, plan) {
  run <- search$run
  children <- children_of(search)
  is_finished <- children$status == "finished"
  search$finished <- children$keys[is_finished]
  search$unfinished <- as.list(rlang::set_names(children$run_id, children$keys)[!is_finished])
  search$measured <- if (!all(is_finished)) point_keys(read_metrics(run$file, children$run_id[!is_finished]))
  if ("search" %in% read_artifacts(run$file, run)$artifact) {
    inform(
      "resumed",
      paste0("Taking up the search ", run$run_id, ": ", counted(length(search$finished), "candidate"), " done.")
    )
  } else {
    log_artifact(run, "search", plan$facts)
  }
  if (!is.null(plan$message)) {
    inform("blocks", plan$message)
  }
  stored <- if (length(children$run_id)) read_artifacts(run$file, children$run_id)
  results <- list()
  i <- 0
  while (plan$goes_on(i, results)) {
    i <- i + 1
    name <- paste0("block-", i)
    at <- match(name, stored$artifact)
    kept <- if (!is.na(at)) block_on_record(run$file, stored$run_id[[at]], name)
    results[[i]] <- if (is.null(kept)) {
      plan$run_block(i, results, function(given) call_search(search, plan$about, given))
    } else {
      with_splits(kept, plan$given$resamples)
    }
    attempt(finish_block(search, results[[i]], if (is.na(at)) name), "Candidates", search$notes)
  }
  plan$together(results)
}

# The results of a block that was run before; NULL if they can't be read, so that it has to be run again.
block_on_record <- function(file, run_id, name) {
  why <- "they are no results of a search."
  results <- tryCatch(read_artifact(file, run_id, name), fitledger_error_artifact = function(e) {
    why <<- said_by(e)
    NULL
  })
  if (inherits(results, c("tune_results", "workflow_set"))) {
    return(results)
  }
  inform(
    "again",
    c(paste0("The results `", name, "` of the run ", run_id, " can't be read, so that its candidates are fitted again."), x = why)
  )
  NULL
}

# The candidates of a block are done. `name`: of its results, which are to be stored. One without new candidates is run
# again.
finish_block <- function(search, results, name = NULL) {
  described <- describe_fit(results)
  if (!NROW(described$runs)) {
    return(invisible())
  }
  open_candidates(search)
  first <- Find(function(params) !candidate_key(params) %in% search$finished, described$runs$params)
  if (!is.null(name) && !is.null(first)) {
    key <- candidate_key(first)
    search$open[[key]] <- search$open[[key]] %||% begin_candidate(search, key, candidate_params(search, first))
    store_results(search$open[[key]], results, name)
  }
  unflushed({
    log_candidates(search, fit_description(runs = described$runs))
    end_candidates(search, "failed")
  })
}

# The value of a search with other arguments.
call_search <- function(search, about, given) {
  env <- new.env(parent = globalenv())
  fun <- call("::", as.name(about$package), as.name(about[["function"]]))
  evaluate_reporting(search, list(call = call_of_values(fun, given, env), env = env), given)$value
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
  grid <- if (nrow(tune::tune_args(workflow))) grid_of(given, workflow)
  # What has one candidate, or none, is one block, and what tune says of it the user's.
  if (!NROW(grid)) {
    return(plan_resamples(given))
  }
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
      # Of a resample in which every fit failed there are no rows, and no columns.
      bound <- do.call(rbind, parts)
      if (column == ".notes" || !NROW(bound)) {
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
