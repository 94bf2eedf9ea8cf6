skip_without_tune <- function(...) {
  skip_on_cran()
  for (package in c("tune", "parsnip", "workflows", "rsample", "yardstick", "dials", "rpart", ...)) skip_if_not_installed(package)
}

# A tree whose depth is tuned, on three folds.
tree_workflow <- function(formula = mpg ~ ., mode = "regression") {
  workflows::workflow(formula, parsnip::decision_tree(mode, "rpart", tree_depth = tune::tune(), min_n = tune::tune()))
}

three_folds <- function(data = mtcars) {
  withr::with_seed(1, rsample::vfold_cv(data, 3))
}

depths <- function() data.frame(tree_depth = c(1L, 2L, 4L), min_n = 4L)

# What a search says, beside R's stream afterwards.
outcome <- function(code, seed = 7) {
  set.seed(seed)
  results <- code
  stream <- .Random.seed
  predictions <- if (inherits(results, "tune_results")) tryCatch(tune::collect_predictions(results), error = function(e) NULL)
  list(
    metrics = tune::collect_metrics(results), each = tune::collect_metrics(results, summarize = FALSE),
    predictions = predictions, notes = tune::collect_notes(results)$note, stream = stream
  )
}

test_that("a search is on record, and gives what the bare call gives", {
  skip_without_tune()
  file <- local_ledger()
  workflow <- tree_workflow()
  folds <- three_folds()
  for (over in c("resamples", "everything")) {
    control <- tune::control_grid(save_pred = TRUE, parallel_over = over)
    bare <- outcome(tune::tune_grid(workflow, folds, grid = depths(), control = control))
    expect_identical(outcome(log_search(file, tune::tune_grid(workflow, folds, grid = depths(), control = control), name = over)), bare)
  }
  # A grid that tune makes draws from R's stream.
  expect_identical(
    outcome(log_search(file, tune::tune_grid(workflow, folds, grid = 3))), outcome(tune::tune_grid(workflow, folds, grid = 3))
  )

  runs <- read_runs(file, where = name == "resamples", details = TRUE)
  search <- read_run(file, runs)
  expect_identical(search$status, "finished")
  expect_length(search$metrics, 0)
  expect_identical(search$params[c("learner", "model", "engine")], list(learner = "tune::tune_grid", model = "decision_tree", engine = "rpart"))
  expect_identical(search$params$metrics, c("rmse", "rsq"))
  expect_identical(search$params$maximize, "rsq")
  expect_identical(search$params$resamples, paste0("Fold", 1:3))
  expect_identical(search$data$data$hash, hash_data(mtcars))
  id <- search$run_id
  candidates <- read_runs(file, where = parent == id, details = TRUE)
  expect_identical(candidates$tree_depth, c(1L, 2L, 4L))
  means <- bare$metrics[bare$metrics$.metric == "rmse", ]
  expect_identical(candidates$rmse, means$mean)
  expect_identical(candidates$rmse.std_err, means$std_err)
  expect_identical(candidates$tags.config, means$.config)
  expect_identical(unique(candidates$status), "finished")
  # Each resample is a point of a series, and no run or metric of its own.
  points <- read_metrics(file, candidates$run_id[[2]], "rmse")
  expect_equal(points$step, 1:3)
  each <- bare$each[bare$each$.metric == "rmse" & bare$each$.config == means$.config[[2]], ]
  expect_identical(points$value, each$.estimate)
  expect_identical(best_run(file, "rmse", where = parent == id)$rmse, min(means$mean))
  expect_identical(best_run(file, "rmse", where = name == "resamples")$run_id, character())
  # The results can be read again, without the data.
  stored <- read_artifact(file, id, "results")
  expect_identical(tune::collect_metrics(stored)$mean, bare$metrics$mean)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a search has one session", {
  skip_without_tune()
  folds <- three_folds()
  searches <- list(
    grid = quote(tune::tune_grid(tree_workflow(), folds, grid = depths())),
    bayes = quote(tune::tune_bayes(tree_workflow(), folds, initial = 3, iter = 2, control = tune::control_bayes(seed = 1)))
  )
  for (search in searches) {
    # What a search loads isn't loaded during the next one.
    bare <- suppressMessages(outcome(eval(search)))
    for (resume in c(FALSE, TRUE)) {
      file <- local_ledger()
      logged <- suppressMessages(outcome(rlang::inject(log_search(file, !!search, name = "it", resume = resume))))
      same <- if (resume) c("metrics", "each") else names(bare)
      expect_identical(logged[same], bare[same])
      expect_gt(nrow(read_metrics(file)), 0)
      expect_identical(sum(read_ledger(file)$event == "session"), 1L)
    }
  }
})

test_that("a search in blocks is the bare search", {
  skip_without_tune()
  file <- local_ledger()
  workflow <- tree_workflow()
  folds <- three_folds()
  searches <- list(
    quote(tune::tune_grid(workflow, folds, grid = 4, control = tune::control_grid(save_pred = TRUE, parallel_over = "everything"))),
    quote(tune::tune_grid(workflow, folds, grid = depths(), control = tune::control_grid(save_pred = TRUE, parallel_over = "everything"))),
    quote(tune::tune_bayes(workflow, folds, initial = 3, iter = 3, control = tune::control_bayes(seed = 1, save_pred = TRUE)))
  )
  for (search in searches) {
    bare <- outcome(eval(search))
    logged <- suppressMessages(outcome(rlang::inject(log_search(file, !!search, name = "it", resume = TRUE))))
    expect_identical(logged, bare)
  }
})

test_that("a resample in which every fit fails, and a grid of one candidate or none, are what the bare call has", {
  skip_without_tune("recipes")
  file <- local_ledger()
  folds <- three_folds()
  # A recipe that fails where the largest isn't among those that it is trained on.
  recipe <- recipes::step_mutate(recipes::recipe(mpg ~ wt + hp, mtcars), z = if (length(mpg) > 12 && max(mpg) < 33.5) stop("too small") else wt)
  failing <- workflows::workflow(recipe, parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune(), min_n = tune::tune()))
  plain <- workflows::workflow(mpg ~ wt, parsnip::linear_reg())
  searches <- list(
    quote(tune::tune_grid(failing, folds, grid = depths(), control = tune::control_grid(save_pred = TRUE, parallel_over = "everything"))),
    quote(tune::tune_grid(failing, folds, grid = depths()[1, ], control = tune::control_grid(save_pred = TRUE, parallel_over = "everything"))),
    quote(tune::tune_grid(plain, folds, control = tune::control_grid(save_pred = TRUE)))
  )
  quietly <- function(code) suppressMessages(suppressWarnings(code))
  for (search in searches) {
    bare <- quietly(outcome(eval(search)))
    name <- rlang::hash(search)
    logged <- quietly(outcome(rlang::inject(log_search(file, !!search, name = name, resume = TRUE))))
    expect_identical(logged, bare)
  }
  # What is tuned by nothing is a candidate, too.
  quietly(rlang::inject(log_search(file, !!searches[[3]])))
  expect_identical(utils::tail(read_runs(file)$rmse, 1), bare$metrics$mean[bare$metrics$.metric == "rmse"])
  nothing <- quote(tune::tune_grid(tree_workflow(), folds, grid = depths()[0, ]))
  said <- tryCatch(quietly(eval(nothing)), error = conditionMessage)
  expect_error(quietly(rlang::inject(log_search(file, !!nothing, name = "nothing", resume = TRUE))), said, fixed = TRUE)
})

test_that("who asks for the smallest of what is better if it is larger is told", {
  skip_without_tune()
  file <- local_ledger()
  log_run(file, list(), list(accuracy = 0.1))
  expect_no_message(best_run(file, "accuracy"))
  metrics <- yardstick::metric_set(yardstick::accuracy, yardstick::brier_class)
  folds <- withr::with_seed(1, rsample::vfold_cv(iris, 3))
  log_search(file, tune::tune_grid(tree_workflow(Species ~ ., "classification"), folds, grid = depths(), metrics = metrics))
  searched <- rlang::quo(!is.na(parent))
  expect_message(best_run(file, "accuracy", where = !!searched), "larger is better", class = "fitledger_message_direction")
  expect_no_message(best_run(file, "accuracy", maximize = FALSE, where = !!searched))
  expect_no_message(best_run(file, "accuracy", maximize = TRUE, where = !!searched))
  expect_no_message(best_run(file, "brier_class", where = !!searched))
  # The best of all belongs to no search.
  expect_no_message(best_run(file, "accuracy"))
})

test_that("candidates are there while the search runs", {
  skip_without_tune()
  file <- local_ledger()
  seen <- 0
  look <- function(fit) seen <<- max(seen, NROW(read_metrics(file)))
  log_search(file, tune::tune_grid(tree_workflow(), three_folds(), grid = depths(), control = tune::control_grid(extract = look)))
  # In the third fold those of the first two: three candidates and two metrics of each.
  expect_identical(seen, 12)
})

test_that("workers report, too, and the results are the same", {
  skip_without_tune("future", "mirai")
  skip_on_os("windows")
  workflow <- tree_workflow()
  folds <- three_folds()
  tune_it <- function() tune::tune_grid(workflow, folds, grid = depths(), control = tune::control_grid(save_pred = TRUE))
  search <- function() {
    file <- local_file(parent.frame())
    # fitledger must be where workers look for it.
    withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
    logged <- outcome(log_search(file, tune::tune_grid(workflow, folds, grid = depths(), control = tune::control_grid(save_pred = TRUE))))
    expect_identical(logged, outcome(tune_it()))
    expect_identical(unique(read_runs(file, details = TRUE)$status), "finished")
    points <- read_metrics(file)
    expect_identical(nrow(points), 18L)
    expect_identical(anyDuplicated(points[c("run_id", "metric", "step")]), 0L)
    # Workers have begun candidates' runs themselves.
    events <- read_ledger(file)
    begun_by <- function(event) {
      sessions <- sub(".*\"session\":\"([^\"]*)\".*", "\\1", events$context[events$event == event])
      contexts <- events$context[events$event == "session"]
      context_of <- function(session) contexts[grepl(paste0("{\"id\":\"", session, "\""), contexts, fixed = TRUE)]
      as.integer(sub(".*\"pid\":([0-9]+).*", "\\1", vapply(sessions, context_of, "")))
    }
    pids <- begun_by("start")
    expect_length(pids, 4)
    expect_identical(pids[[1]], Sys.getpid())
    expect_true(all(pids[-1] != Sys.getpid()))
    expect_identical(verify_ledger(file)$status, "ok")
  }
  old <- future::plan(future::multisession, workers = 2)
  withr::defer(future::plan(old))
  search()
  future::plan(future::sequential)
  mirai::daemons(2)
  withr::defer(mirai::daemons(0))
  search()
})

test_that("a call may be piped, be made in a function, or be of a model", {
  skip_without_tune()
  file <- local_ledger()
  folds <- three_folds()
  log_search(file, tree_workflow() |> tune::tune_grid(folds, grid = depths(), ))
  model <- parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune())
  tune_it <- function(x, ...) log_search(file, x |> tune::tune_grid(mpg ~ ., ...), name = "in a function")
  results <- tune_it(model, folds, grid = data.frame(tree_depth = 1:2), metrics = yardstick::metric_set(yardstick::mae))
  expect_named(attr(attr(results, "metrics"), "metrics"), "mae")
  expect_identical(sum(!is.na(read_runs(file)$mae)), 2L)
  rlang::inject(log_search(file, tune::tune_grid(!!!list(tree_workflow(), folds, grid = depths()))))
  expect_identical(table(read_runs(file, details = TRUE)$status)[["finished"]], 3L + 4L + 4L)
})

test_that("one candidate is one run", {
  skip_without_tune()
  file <- local_ledger()
  folds <- withr::with_seed(2, rsample::bootstraps(mtcars, 3, apparent = TRUE))
  bare <- outcome(tune::fit_resamples(parsnip::linear_reg(), mpg ~ wt, folds))
  logged <- outcome(log_search(file, tune::fit_resamples(parsnip::linear_reg(), mpg ~ wt, folds)))
  expect_identical(logged, bare)
  run <- read_runs(file)
  expect_identical(run$rmse, bare$metrics$mean[bare$metrics$.metric == "rmse"])
  # What the model says of its own data is no resample.
  expect_identical(read_metrics(file, metrics = "rmse")$step, c(1, 2, 3))
})

test_that("what fails is on record where it failed, and the error is the user's", {
  skip_without_tune("recipes")
  file <- local_ledger()
  folds <- three_folds()
  fails_in <- function(most) {
    recipe <- recipes::recipe(mpg ~ ., mtcars)
    recipe <- recipes::step_mutate(recipe, wt = if (length(wt) > 15 && max(wt) < !!most) stop("no such luck") else wt)
    workflows::workflow(recipe, parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune()))
  }
  grid <- data.frame(tree_depth = 1:2)
  quietly <- function(code) suppressMessages(suppressWarnings(code))
  some <- quietly(log_search(file, tune::tune_grid(fails_in(5.4), folds, grid = grid), name = "some"))
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$status, rep("finished", 3))
  expect_match(read_notes(file)$text, "^Fold[0-9].*error in preprocessor 1/1.*no such luck")
  expect_lt(nrow(read_metrics(file, runs$run_id[[2]], "rmse")), 3)

  quietly(log_search(file, tune::tune_grid(fails_in(100), folds, grid = grid), name = "all"))
  expect_identical(read_runs(file, where = name == "all", details = TRUE)$status, "failed")

  caught <- function(code) tryCatch(code, error = function(e) e)
  bare <- caught(tune::tune_grid(tree_workflow(), mtcars))
  logged <- caught(log_search(file, tune::tune_grid(tree_workflow(), mtcars)))
  expect_identical(class(logged), class(bare))
  expect_identical(conditionMessage(logged), conditionMessage(bare))
  expect_identical(conditionCall(logged), conditionCall(bare))
  expect_error(log_search(file, tune::tune_grid(tree_workflow(), stop("no folds"))), "^no folds$")
  expect_identical(read_run(file, last_run_id(file))$error$message, "no folds")
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("a set of workflows is one search", {
  skip_without_tune("workflowsets")
  file <- local_ledger()
  tree <- parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune())
  set <- workflowsets::workflow_set(list(all = mpg ~ ., one = mpg ~ wt), list(tree = tree, line = parsnip::linear_reg()))
  folds <- three_folds()
  quietly <- function(code) suppressMessages(suppressWarnings(code))
  bare <- quietly(workflowsets::workflow_map(set, "tune_grid", resamples = folds, grid = data.frame(tree_depth = 1:2), seed = 4))
  logged <- quietly(log_search(file, workflowsets::workflow_map("tune_grid", object = set, resamples = folds, grid = data.frame(tree_depth = 1:2), seed = 4)))
  expect_equal(logged, bare, ignore_function_env = TRUE)
  runs <- read_runs(file)[-1, ]
  expect_identical(as.integer(table(runs$workflow)[c("all_tree", "one_tree", "all_line", "one_line")]), c(2L, 2L, 1L, 1L))
  expect_setequal(runs$model, c("decision_tree", "linear_reg"))
  expect_true(all(is.finite(runs$rmse)))
})

test_that("a search that begins as an interrupt comes has come to an end", {
  skip_without_tune()
  skip_unless_file()
  file <- local_file()
  log_run(file, list(), list(a = 1))
  # What is said of it is said once the search is on record.
  cat("4,2026-11-23T04", file = file, append = TRUE)
  folds <- three_folds()
  caught <- tryCatch(
    withCallingHandlers(
      log_search(file, tune::tune_grid(tree_workflow(), folds, grid = depths())),
      fitledger_message = function(m) rlang::interrupt()
    ),
    interrupt = function(e) "interrupt"
  )
  expect_identical(caught, "interrupt")
  expect_identical(read_runs(file, details = TRUE)$status, c("finished", "interrupted"))
})

test_that("an interrupt as a search is ended leaves no run that seems to go on", {
  skip_without_tune()
  folds <- three_folds()
  fits <- 0
  # Two candidates have begun, and the search is interrupted as the lock is held, and then once more.
  search <- function(file, lock) {
    count <- function(fit) {
      fits <<- fits + 1
      if (fits == 2) {
        lock()
        rlang::interrupt()
      }
      "a fit"
    }
    control <- tune::control_grid(extract = count, parallel_over = "everything", allow_par = FALSE)
    log_search(file, tune::tune_grid(tree_workflow(), folds, grid = depths(), control = control))
  }
  ended <- interrupted_as_it_waits(search, 1)
  expect_identical(ended$what, "an interrupt")
  expect_gt(length(ended$status), 1)
  expect_identical(unique(ended$status), "interrupted")
})

test_that("what can't be recorded of a block leaves no run of its candidates that seems to go on, and none twice", {
  skip_without_tune()
  file <- local_file()
  folds <- three_folds()
  objects <- paste0(file, ".objects")
  fits <- 0
  # A file takes the place of the folder of stored bytes before the first block has one.
  break_it <- function(fit) {
    fits <<- fits + 1
    if (fits == 1) {
      file.rename(objects, paste0(objects, "-away"))
      file.create(objects)
    }
    "a fit"
  }
  control <- tune::control_grid(extract = break_it, allow_par = FALSE)
  expect_warning(
    suppressMessages(log_search(file, tune::tune_grid(tree_workflow(), folds, grid = depths(), control = control), name = "it", resume = TRUE)),
    "Candidates", class = "fitledger_warning_not_recorded"
  )
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$status, rep("finished", 4))
  expect_identical(sort(runs$tree_depth), c(1L, 2L, 4L))
})

test_that("who is out of a race is not chosen", {
  skip_without_tune("finetune", "lme4")
  file <- local_ledger()
  folds <- withr::with_seed(1, rsample::vfold_cv(mtcars, 6))
  grid <- data.frame(tree_depth = c(1L, 1L, 4L, 5L), min_n = c(30L, 40L, 2L, 3L))
  quietly <- function(code) suppressMessages(suppressWarnings(code))
  bare <- outcome(quietly(finetune::tune_race_anova(tree_workflow(), folds, grid = grid)))
  logged <- outcome(quietly(results <- log_search(file, finetune::tune_race_anova(tree_workflow(), folds, grid = grid))))
  expect_identical(logged, bare)
  runs <- read_runs(file, details = TRUE)[-1, ]
  finished <- nrow(tune::collect_metrics(results)[tune::collect_metrics(results)$.metric == "rmse", ])
  expect_identical(sum(runs$status == "finished"), finished)
  expect_identical(sum(runs$status == "interrupted"), 4L - finished)
  # A race shuffles the resamples: each point is that of the resample whose label has its step.
  labels <- read_run(file, read_runs(file)$run_id[[1]])$params$resamples
  expect_identical(labels, folds$id)
  each <- tune::collect_metrics(results, summarize = FALSE, all_configs = TRUE)
  points <- merge(read_metrics(file), data.frame(run_id = runs$run_id, .config = runs$tags.config))
  points$id <- labels[points$step]
  both <- merge(points, each, by.x = c("metric", "id", ".config"), by.y = c(".metric", "id", ".config"))
  expect_identical(nrow(both), nrow(each))
  expect_identical(nrow(points), nrow(each))
  expect_identical(both$value, both$.estimate)
  expect_error(log_search(file, finetune::tune_race_anova(tree_workflow(), folds), name = "race", resume = TRUE), "can't be taken up again", class = "fitledger_error_argument")
})

# A script of a search that counts its fits, and that is killed at one of them.
search_script <- function(file, search) {
  c(
    "suppressPackageStartupMessages(library(fitledger))",
    "count <- function(fit) {",
    "  cat('x', file = Sys.getenv('FITS'), append = TRUE)",
    "  if (file.size(Sys.getenv('FITS')) == as.numeric(Sys.getenv('KILL_AT'))) tools::pskill(Sys.getpid(), 9)",
    "  'a fit'",
    "}",
    "workflow <- workflows::workflow(mpg ~ ., parsnip::decision_tree('regression', 'rpart', tree_depth = tune::tune(), min_n = tune::tune()))",
    "set.seed(1)",
    "folds <- rsample::vfold_cv(mtcars, 3)",
    "set.seed(7)",
    paste0("results <- log_search(", code_of(file), ", ", search, ", name = 'the search', resume = TRUE)"),
    "saveRDS(list(tune::collect_metrics(results), tune::collect_predictions(results)), Sys.getenv('RESULTS'))"
  )
}

run_search <- function(file, search, kill_at = 0) {
  fits <- withr::local_tempfile()
  results <- withr::local_tempfile()
  script <- withr::local_tempfile(lines = search_script(file, search))
  env <- c(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep), FITS = fits, KILL_AT = kill_at, RESULTS = results)
  withr::with_envvar(env, system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)), stdout = FALSE, stderr = FALSE, timeout = patience))
  list(fits = file.size(fits), results = if (file.exists(results)) readRDS(results))
}

test_that("a search that was killed is taken up where it was", {
  skip_without_tune()
  skip_on_os("windows")
  searches <- c(
    grid = "tune::tune_grid(workflow, folds, grid = 4, control = tune::control_grid(save_pred = TRUE, extract = count))",
    bayes = "tune::tune_bayes(workflow, folds, initial = 3, iter = 3, control = tune::control_bayes(seed = 1, save_pred = TRUE, extract = count))"
  )
  for (search in searches) {
    whole <- run_search(local_ledger(), search)
    expect_false(is.null(whole$results))
    file <- local_ledger()
    # In the third of three fits of a candidate, of which some are done.
    killed <- run_search(file, search, kill_at = 12)
    expect_null(killed$results)
    done <- sum(read_runs(file, columns = "status")$status == "finished")
    expect_gt(done, 0)
    again <- run_search(file, search)
    expect_identical(again$results, whole$results)
    expect_identical(again$fits, whole$fits - 3 * done)
    runs <- read_runs(file, columns = c("status", "parent"))
    expect_identical(unique(runs$status), "finished")
    expect_identical(nrow(runs), 1L + length(unique(whole$results[[1]]$.config)))
    expect_identical(anyDuplicated(read_metrics(file)[c("run_id", "metric", "step")]), 0L)
    expect_identical(verify_ledger(file)$status, "ok")
    # A finished search is never returned in place of a new one.
    expect_identical(run_search(file, search)$fits, whole$fits)
    expect_identical(sum(is.na(read_runs(file, columns = "parent")$parent)), 2L)
  }
})

test_that("a search is found again among other runs of its name", {
  skip_without_tune()
  file <- local_ledger()
  folds <- three_folds()
  search <- function() {
    set.seed(1)
    log_search(file, tune::tune_grid(tree_workflow(), folds, grid = depths()), name = "it", resume = TRUE)
  }
  # Names of parameters that are those of what is known of every run, too.
  log_run(file, list(name = "x", status = "y", parent = "z"), list(), name = "it")
  tryCatch(search(), fitledger_message_blocks = function(m) NULL)
  left <- last_run_id(file)
  expect_identical(read_run(file, left)$status, "interrupted")
  log_run(file, list(), list(), name = "it")
  log_run(file, list(), list(), name = "it", artifacts = list(search = list("of something else")))
  start_run(file, name = "it")
  suppressMessages(log_search(file, tune::fit_resamples(parsnip::linear_reg(), mpg ~ wt, folds), name = "it"))
  taken_up <- list()
  suppressMessages(withCallingHandlers(search(), fitledger_message_resumed = function(m) taken_up <<- c(taken_up, list(m))))
  expect_length(taken_up, 1)
  expect_match(conditionMessage(taken_up[[1]]), left, fixed = TRUE)
  expect_identical(read_run(file, left)$status, "finished")
  expect_identical(nrow(read_runs(file, where = details.parent == left)), 3L)
})

test_that("what was stored of a search and can't be read stops nothing, or it is said what to do", {
  skip_without_tune()
  file <- local_file()
  folds <- three_folds()
  fits <- 0
  count <- function(fit) {
    fits <<- fits + 1
    if (fits == 8) invokeRestart("leave")
    "a fit"
  }
  control <- tune::control_grid(extract = count, parallel_over = "everything")
  search <- function() {
    set.seed(1)
    log_search(file, tune::tune_grid(tree_workflow(), folds, grid = depths(), control = control), name = "it", resume = TRUE)
  }
  broken <- file.path(withr::local_tempdir(), "search.rds")
  writeLines("no object", broken)
  log_run(file, list(), list(), name = "it", artifacts = list(search = broken))
  last_search_of <- function() utils::tail(read_artifacts(file)$run_id[read_artifacts(file)$artifact == "search"], 1)
  damage <- function(name) {
    artifacts <- read_artifacts(file)
    path <- utils::tail(artifacts$path[artifacts$artifact == name], 1)
    Sys.chmod(path, "644")
    writeLines("something else", path)
  }

  withRestarts(suppressMessages(search()), leave = function() NULL)
  left <- last_search_of()
  fits <- 100
  damage("block-1")
  said <- conditions_of(quote(results <- search()), environment())
  expect_true("fitledger_message_again" %in% unlist(lapply(said, class)))
  expect_identical(fits, 106)
  whole <- withr::with_seed(1, tune::tune_grid(tree_workflow(), folds, grid = depths(), control = control))
  expect_identical(tune::collect_metrics(results), tune::collect_metrics(whole))
  runs <- read_runs(file, where = parent %in% left | run_id == left, columns = "status")
  expect_identical(runs$status, rep("finished", 4))

  fits <- 6
  withRestarts(suppressMessages(search()), leave = function() NULL)
  left <- last_search_of()
  damage("search")
  e <- expect_error(search(), class = "fitledger_error_artifact")
  expect_match(conditionMessage(e), "void_run", fixed = TRUE)
  void_run(file, left, "its bytes are lost")
  fits <- 100
  suppressMessages(search())
  expect_identical(fits, 109)
})

test_that("candidates are told from each other by factors, too", {
  skip_without_tune("ranger")
  file <- local_ledger()
  folds <- three_folds()
  fits <- 0
  count <- function(fit) {
    fits <<- fits + 1
    if (fits == 4) invokeRestart("leave")
    "a fit"
  }
  forest <- parsnip::rand_forest("regression", "ranger", trees = 5)
  forest <- parsnip::set_engine(forest, "ranger", splitrule = tune::tune(), seed = 1)
  grid <- expand.grid(splitrule = c("variance", "extratrees", "maxstat"), stringsAsFactors = TRUE)
  workflow <- workflows::workflow(mpg ~ ., forest)
  control <- tune::control_grid(extract = count, parallel_over = "everything")
  search <- function() {
    set.seed(1)
    suppressMessages(log_search(file, tune::tune_grid(workflow, folds, grid = grid, control = control), name = "it", resume = TRUE))
  }
  withRestarts(search(), leave = function() NULL)
  expect_identical(sum(read_runs(file, columns = "status")$status == "finished"), 1L)
  fits <- 100
  means <- tune::collect_metrics(search())
  expect_identical(fits, 106)
  set.seed(1)
  expect_identical(means, tune::collect_metrics(tune::tune_grid(workflow, folds, grid = grid, control = control)))
  runs <- read_runs(file, columns = c("status", "splitrule", "rmse"))
  expect_identical(runs$status, rep("finished", 4))
  expect_identical(runs$splitrule[-1], as.character(grid$splitrule))
  means <- means[means$.metric == "rmse", ]
  expect_identical(runs$rmse[-1], means$mean[match(runs$splitrule[-1], means$splitrule)])
})

test_that("what code finds by its names is a part of a search", {
  skip_without_tune()
  file <- local_ledger()
  folds <- three_folds()
  threshold <- 1
  half <- function(x) x * threshold / 2
  beyond <- function(fit) half(1) > 0
  # tune finds the method of a metric where users have it.
  metric <- quote({
    fl_ratio <- yardstick::new_numeric_metric(function(data, ...) UseMethod("fl_ratio"), direction = "minimize")
    fl_ratio.data.frame <- function(data, truth, estimate, na_rm = TRUE, case_weights = NULL, ...) {
      yardstick::numeric_metric_summarizer(
        "fl_ratio", fl_ratio_vec,
        data = data, truth = !!rlang::enquo(truth), estimate = !!rlang::enquo(estimate), na_rm = na_rm
      )
    }
    fl_ratio_vec <- function(truth, estimate, ...) fl_threshold * mean(estimate) / mean(truth)
  })
  eval(metric, globalenv())
  set_threshold <- function(value) {
    threshold <<- value
    assign("fl_threshold", value, globalenv())
  }
  withr::defer(rm(list = c("fl_ratio", "fl_ratio.data.frame", "fl_ratio_vec", "fl_threshold"), envir = globalenv()))
  tuned <- function(n = 4) {
    workflows::workflow(mpg ~ wt, parsnip::decision_tree("regression", "rpart", tree_depth = tune::tune(), min_n = n))
  }
  search <- function(what, workflow = tuned(), control = tune::control_grid(), metrics = NULL) {
    set.seed(1)
    log_search(
      file, tune::tune_grid(workflow, folds, grid = data.frame(tree_depth = 1:2), control = control, metrics = metrics),
      name = what, resume = TRUE
    )
  }
  begin <- function(...) tryCatch(search(...), fitledger_message_blocks = function(m) NULL)
  differs <- function(...) expect_error(search(...), class = "fitledger_error_search")$differs
  searches <- list(
    "the control" = function(what) list(what, control = tune::control_grid(extract = beyond)),
    "the metrics" = function(what) list(what, metrics = yardstick::metric_set(fl_ratio)),
    "the workflow" = function(what) list(what, workflow = tuned(half(8)))
  )
  for (what in names(searches)) {
    set_threshold(1)
    do.call(begin, searches[[what]](what))
    set_threshold(2)
    expect_identical(do.call(differs, searches[[what]](what)), what)
    set_threshold(1)
    suppressMessages(do.call(search, searches[[what]](what)))
    expect_identical(unique(read_runs(file, columns = "status")$status), "finished")
  }
  # A promise is described by its code, and not evaluated; nor is what an active binding would give.
  begin("promised", workflow = tuned(n = 4))
  expect_identical(differs("promised", workflow = tuned(n = 5)), "the workflow")
  suppressMessages(search("promised", workflow = tuned(n = 4)))
  env <- new.env()
  delayedAssign("later", stop("evaluated"), assign.env = env)
  makeActiveBinding("touched", function() stop("touched"), env)
  untouched <- function(fit) if (TRUE) "a fit" else list(later, touched)
  environment(untouched) <- env
  begin("untouched", control = tune::control_grid(extract = untouched))
  suppressMessages(search("untouched", control = tune::control_grid(extract = untouched)))
  expect_identical(unique(read_runs(file, columns = "status")$status), "finished")
})

test_that("what is another search is not taken up", {
  skip_without_tune()
  file <- local_ledger()
  workflow <- tree_workflow()
  folds <- three_folds()
  grid <- depths()
  control <- tune::control_grid(extract = function(fit) "a fit")
  search <- function(workflow, folds, grid, control, metrics = NULL, seed = 1) {
    set.seed(seed)
    log_search(
      file, tune::tune_grid(workflow, folds, grid = grid, control = control, metrics = metrics),
      name = "it", resume = TRUE
    )
  }
  # Somebody leaves it before the first block.
  tryCatch(search(workflow, folds, grid, control), fitledger_message_blocks = function(m) NULL)
  expect_identical(read_runs(file, columns = "status")$status, "interrupted")
  differs <- function(...) {
    e <- expect_error(search(...), class = "fitledger_error_search")
    e$differs
  }
  other <- mtcars
  other$mpg[[1]] <- 22
  expect_identical(differs(workflow, three_folds(other), grid, control), "the data")
  expect_identical(differs(workflow, withr::with_seed(2, rsample::vfold_cv(mtcars, 3)), grid, control), "the resamples")
  expect_identical(differs(workflow, folds, grid[1:2, ], control), "the grid")
  expect_identical(differs(tree_workflow(mpg ~ wt), folds, grid, control), "the workflow")
  expect_identical(differs(workflow, folds, grid, tune::control_grid()), "the control")
  expect_identical(differs(workflow, folds, grid, control, yardstick::metric_set(yardstick::mae)), "the metrics")
  expect_identical(differs(workflow, folds, grid, control, seed = 2), "R's random stream")
  expect_setequal(differs(tree_workflow(mpg ~ wt), folds, grid[1:2, ], control), c("the workflow", "the grid"))
  # Nothing of it was written, and the one that is the same is taken up.
  expect_identical(nrow(read_runs(file)), 1L)
  suppressMessages(search(workflow, folds, grid, control))
  expect_identical(read_runs(file, columns = "status")$status, rep("finished", 4))
})

test_that("what is no search, and what can't be taken up, is refused before anything is written", {
  skip_without_tune()
  file <- local_file()
  expect_snapshot_conditions({
    log_search(file, stats::lm(mpg ~ wt, mtcars))
    log_search(file, tune::tune_grid(1, 2), resume = TRUE)
    log_search(file, tune::tune_bayes(1, 2), name = "it", resume = TRUE)
    log_search(file, 1)
    log_search(file, results <- do.call(tune::tune_grid, list(1, 2)))
    log_search(file, workflow %>% tune::tune_grid(folds))
    log_search(file, search)
  })
  expect_false(file.exists(file))
})

test_that("results that are there already are logged as a search is", {
  skip_without_tune("workflowsets")
  file <- local_ledger()
  folds <- three_folds()
  set.seed(1)
  results <- tune::tune_grid(tree_workflow(), folds, grid = depths())
  expect_identical(log_fit(file, results, name = "searched"), results)
  runs <- read_runs(file, details = TRUE)
  expect_identical(runs$status, rep("finished", 4))
  expect_identical(runs$parent, c(NA, rep(runs$run_id[[1]], 3)))
  means <- tune::collect_metrics(results)
  expect_identical(runs$rmse[-1], means$mean[means$.metric == "rmse"])
  expect_identical(nrow(read_metrics(file)), 18L)
  expect_identical(read_artifacts(file)$artifact, "results")
  expect_lt(read_artifacts(file)$size, 2e4)

  log_fit(file, tune::fit_resamples(parsnip::linear_reg(), mpg ~ wt, folds), name = "one")
  expect_identical(nrow(read_runs(file)), 5L)
  expect_true(is.finite(read_runs(file, where = name == "one")$rmse))
})

test_that("what the last fit says of the test set is sealed, and the model is stored", {
  skip_without_tune("recipes")
  file <- local_ledger()
  split <- withr::with_seed(1, rsample::initial_split(mtcars))
  workflow <- tune::finalize_workflow(tree_workflow(), data.frame(tree_depth = 2, min_n = 4))
  # A recipe without steps took no time.
  plain <- workflows::add_recipe(workflows::remove_formula(workflow), recipes::recipe(mpg ~ ., mtcars))
  described <- describe_fit(tune::last_fit(plain, split))
  expect_named(described$sealed, c("test.rmse", "test.rsq"))
  expect_identical(described$notes, character())
  last <- tune::last_fit(workflow, split)
  log_fit(file, last)
  id <- last_run_id(file)
  expect_error(best_run(file, "test.rmse"), class = "fitledger_error_sealed")
  expect_setequal(read_run(file, id)$sealed, c("test.rmse", "test.rsq"))
  expect_identical(reveal_run(file, id, "the report")$test.rmse, tune::collect_metrics(last)$.estimate[[1]])
  model <- read_artifact(file, id, "model")
  expect_identical(predict(model, mtcars), predict(last$.workflow[[1]], mtcars))
  register_model(file, "mpg", id, signature = describe_fit(model)$prototype)
  expect_identical(predict(read_model(file, "mpg/1"), mtcars), predict(model, mtcars))
  # As the value of a call, too.
  suppressWarnings(log_call(file, tune::last_fit(workflow, split)), classes = "fitledger_warning")
  expect_setequal(read_run(file, last_run_id(file))$sealed, c("test.rmse", "test.rsq"))
})

test_that("the bench of searches says what a candidate takes", {
  skip_without_tune()
  script <- system.file("bench", "search.R", package = "fitledger")
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  printed <- system2(file.path(R.home("bin"), "Rscript"), c(shQuote(script), "small"), stdout = TRUE, stderr = FALSE)
  expect_match(tail(printed, 1), "^4 candidates, 2 folds, ms of processor time a candidate: [0-9.]+ for the record, [0-9]+ for the search$")
})
