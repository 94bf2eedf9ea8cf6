# What the results of tune's searches are: candidates, each with its parameters, the means of its metrics over the
# resamples, and the metrics of each resample as series whose step is the resample's place among the sorted labels.

#' @export
describe_fit.tune_results <- function(x, ...) {
  check_package("tune", "To describe the results of a search")
  described <- describe_search(x)
  fit_description(
    params = described$params, runs = described$candidates, notes = described$notes, packages = version_of("tune")
  )
}

# Of one candidate there is nothing to choose from: it is the run.
#' @export
describe_fit.resample_results <- function(x, ...) {
  check_package("tune", "To describe the results of a search")
  described <- describe_search(x)
  only <- described$candidates
  fit_description(
    params = described$params, metrics = if (nrow(only)) only$metrics[[1]] else list(),
    series = if (nrow(only)) only$series[[1]], notes = described$notes, packages = version_of("tune")
  )
}

# The test set is for the report, and not to choose by, also when somebody has looked: its figures have names of their own.
#' @export
describe_fit.last_fit <- function(x, ...) {
  check_package("tune", "To describe the results of a search")
  described <- description_of(x$.workflow[[1]])
  described$sealed <- named_as("test.", candidate_metrics(with_metric_names(tune::collect_metrics(x))))
  described$notes <- c(described$notes, notes_of(x))
  described$packages <- c(described$packages, version_of("tune"))
  described
}

#' @export
describe_fit.workflow_set <- function(x, ...) {
  check_package("tune", "To describe the results of a search")
  done <- vapply(x$result, inherits, logical(1), "tune_results")
  each <- Map(describe_search, x$result[done], workflow_id = x$wflow_id[done])
  failed <- vapply(x$result, inherits, logical(1), "try-error")
  errors <- vapply(x$result[failed], function(result) trimws(paste(result, collapse = "\n")), "")
  params <- lapply(each, `[[`, "params")
  fit_description(
    params = c(list(workflows = x$wflow_id), if (length(params)) params[[1]]),
    runs = do.call(rbind, unname(lapply(each, `[[`, "candidates"))) %||% no_candidates(),
    notes = c(
      unlist(Map(function(id, it) if (length(it$notes)) paste0(id, ": ", it$notes), x$wflow_id[done], each), use.names = FALSE),
      if (any(failed)) paste0(x$wflow_id[failed], ": ", errors)
    ),
    packages = c(version_of("tune"), version_of("workflowsets"))
  )
}

version_of <- function(package) {
  rlang::set_names(as.character(getNamespaceVersion(package)), package)
}

# `params` of the search, its `candidates` as `fit_description()` takes `runs`, and `notes`.
describe_search <- function(results, workflow_id = NULL) {
  each <- metrics_of_resamples(results)
  list(
    params = c(directions_of(attr(results, "metrics")), list(resamples = step_labels(results))),
    candidates = if (is.null(each)) no_candidates() else candidates_of(results, each, workflow_id),
    notes = notes_of(results)
  )
}

no_candidates <- function() {
  candidates_frame(list(), list(), list(), list(), character())
}

# What is measured, and what of it is better if it is larger. tune chooses by the first.
directions_of <- function(metrics) {
  if (is.null(metrics)) {
    return(list())
  }
  directions <- vapply(attr(metrics, "metrics"), function(metric) as.character(attr(metric, "direction")), "")
  larger <- names(directions)[directions == "maximize"]
  c(list(metrics = names(directions)), if (length(larger)) list(maximize = larger))
}

labels_of <- function(results) {
  ids <- columns_of(results)[grepl("^id[0-9]*$", names(results))]
  unname(do.call(paste, c(lapply(ids, as.character), sep = " ")))
}

# What is reported of apparent resampling is no resample's.
is_apparent <- function(resamples) {
  as.character(resamples$id) == "Apparent"
}

# The labels of resamples in the order of their steps. A race shuffles its resamples, and a search that goes by iterations has
# them once for each: only their labels are the same before it and in its results.
step_labels <- function(resamples) {
  sort(unique(labels_of(resamples)[!is_apparent(resamples)]), method = "radix")
}

# The step of each resample, NA of what is none.
resample_steps <- function(resamples) {
  steps <- match(labels_of(resamples), step_labels(resamples))
  steps[is_apparent(resamples)] <- NA
  steps
}

# The metrics of each resample, a row each, with `.step`; NULL where there are none.
metrics_of_resamples <- function(results) {
  steps <- resample_steps(results)
  measured <- which(vapply(results$.metrics, is.data.frame, logical(1)) & !is.na(steps))
  tables <- lapply(measured, function(at) {
    table <- with_metric_names(results$.metrics[[at]])
    n <- nrow(table)
    if (n) c(columns_of(table), list(.step = rep(steps[[at]], n), .iter = rep(results[[".iter"]][at] %||% 0L, n)))
  })
  tables <- Filter(Negate(is.null), tables)
  if (!length(tables)) {
    return(NULL)
  }
  columns <- names(tables[[1]])
  lapply(rlang::set_names(columns), function(name) do.call(c, lapply(tables, `[[`, name)))
}

# A metric at several times is several metrics.
with_metric_names <- function(table) {
  if (!is.null(table[[".eval_time"]])) {
    at <- !is.na(table[[".eval_time"]])
    times <- with_plain_numbers(vapply(table[[".eval_time"]], format, "", digits = 15))
    table$.metric[at] <- paste0(table$.metric, "@", times)[at]
  }
  table
}

candidates_of <- function(results, each, workflow_id) {
  all <- list(results, summarize = TRUE)
  if (inherits(results, "tune_race")) {
    all$all_configs <- TRUE
  }
  means <- with_metric_names(do.call(tune::collect_metrics, all))
  names <- tune::.get_tune_parameter_names(results)
  # Of those that go on from results an iteration is told by its number, which stands where the place in the grid did.
  of_mean <- paste(means$.config, means[[".iter"]] %||% 0L)
  of_each <- paste(each$.config, each$.iter)
  configs <- unique(of_mean)
  rows <- match(configs, of_mean)
  params <- lapply(rows, function(row) {
    c(if (!is.null(workflow_id)) list(workflow = workflow_id), lapply(columns_of(means)[names], function(column) column[[row]]))
  })
  tags <- lapply(rows, function(row) {
    c(list(config = means$.config[[row]]), if (!is.null(means[[".iter"]])) list(iter = means[[".iter"]][[row]]))
  })
  of_config <- split(seq_along(of_each), factor(of_each, configs))
  series <- lapply(of_config, function(rows) {
    as_frame(list(metric = each$.metric[rows], step = as.numeric(each$.step[rows]), value = as.numeric(each$.estimate[rows])), length(rows))
  })
  metrics <- lapply(split(seq_along(of_mean), factor(of_mean, configs)), function(rows) candidate_metrics(take_rows(means, rows)))
  # Means of some resamples aren't to be compared with those of all: who was out of the race early was interrupted.
  measured <- means$n[rows]
  early <- inherits(results, "tune_race") & measured < max(measured)
  candidates_frame(params, unname(metrics), unname(series), tags, ifelse(early, "interrupted", "finished"))
}

# Means and their standard errors, which one resample doesn't have; or the estimates of the test set.
candidate_metrics <- function(summary) {
  values <- as.list(summary[["mean"]] %||% summary[[".estimate"]])
  names(values) <- summary$.metric
  errors <- summary[["std_err"]]
  known <- !is.na(errors)
  c(values, rlang::set_names(as.list(errors[known]), paste0(summary$.metric[known], rep(".std_err", sum(known)))))
}

# Warnings and errors of single fits, each once for the resamples that it happened in.
notes_of <- function(results) {
  labels <- labels_of(results)
  found <- lapply(seq_along(labels), function(i) {
    notes <- results$.notes[[i]]
    if (is.data.frame(notes) && nrow(notes)) {
      text <- paste0(notes$type, " in ", notes$location, ": ", trimws(as.character(notes$note)))
      data.frame(text = text, label = labels[[i]])
    }
  })
  found <- do.call(rbind, found)
  if (is.null(found)) {
    return(character())
  }
  found <- unique(found)
  where <- tapply(found$label, factor(found$text, unique(found$text)), paste, collapse = ", ")
  paste0(where, ": ", names(where))
}
