#' Log a finished run
#'
#' Appends one run to a ledger: what you chose, what came out, and, without being
#' asked, with what it was made ([fitledger_context]). The ledger is created by
#' its first run. Several processes may log to one file at the same time.
#'
#' When the call returns, the run is on disk: a crash of R or a power cut
#' afterwards doesn't lose it (see `fitledger.sync` in [fitledger_context]).
#' R's random stream is not touched.
#'
#' @param file Path of the ledger, a CSV file, or a ledger in a database, see
#'   [ledger_postgres()].
#' @param params Parameters, the inputs you chose: a named list, a named vector,
#'   or a data frame with one row. Kept are logical, integer, double, character,
#'   `Date`, `POSIXct`, `difftime`, factor (as its label) and
#'   `bit64::integer64` values, vectors and lists of them, `NULL`, `NA` of each
#'   type, and code (formulas, calls, functions) as text. One value that has a name,
#'   such as `quantile()` gives it, is kept without. Anything else is an
#'   error that names a conversion.
#' @param metrics Metrics, the numbers that came out: a named list, a named
#'   vector, or a data frame with one row. Each is one number, bare or with a class, a name
#'   or dimensions, all of which are left out; a `difftime` counts in seconds, an
#'   `integer64` if a double is equal to it, `NA` is a missing number.
#' @param ... Must be empty: arguments after it are given by name.
#' @param artifacts What the run leaves behind, a named list of R objects and of paths
#'   of files and folders. They are stored beside the ledger; see [log_artifact()] and
#'   [read_artifact()].
#' @param keep `FALSE` to record files by their path and hash, without their bytes. What
#'   takes more than 1 GiB is stored only if you say `keep = TRUE`.
#' @param data What the run was fitted to: a data frame, a matrix, the path of a file, the
#'   paths of several, which are one version, or a named list of them. Recorded are the
#'   hash ([hash_data()]), how many rows and columns there are, and the columns' names and
#'   types, not the data. A hash of [hash_data()] is taken as it is, and
#'   `I("snapshot 2026-11")` is a label of data that are kept elsewhere.
#' @param seed The seed that you set, a whole number. It is recorded, not set. Or
#'   the state of R's random stream, `.Random.seed`, as it was before the fit: it is
#'   stored as the artifact `random_stream`, and [with_run()] takes it as `seed` to
#'   repeat the run bit for bit.
#' @param tags Anything to find the run by: a named list or a named vector.
#' @param name What to call the run: a string.
#' @param experiment What the run is a part of, together with others: a string. Where it
#'   isn't given, `options(fitledger.experiment = )` is.
#' @param parent The run that this one belongs to, such as the tuning of which it is
#'   one fold: its id, a live run, a data frame with one row and a column `run_id`, or a
#'   model version (`"price/3"`). Within [with_run()] it is that run, of the same
#'   ledger, unless you say `NA`.
#' @param sealed Metrics to report but not to choose by, such as those of a test set,
#'   given as `metrics` are. No query shows them, and [best_run()] refuses them,
#'   until [reveal_run()] has put on record that somebody looked.
#'
#' @returns The run's id, a string, invisibly: the time in UTC to the second and
#'   60 random bits, `20261123-042047-3k9zq4m1c8ad`.
#' @section Errors:
#' `fitledger_error_argument`, `fitledger_error_value` and those of the file,
#' see [fitledger_error]. A call that failed has logged nothing.
#' @seealso [log_runs()] for many runs at once, [read_runs()] and [best_run()].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' for (lambda in c(0.1, 1, 10)) {
#'   log_run(
#'     file,
#'     params = list(model = "ridge", lambda = lambda),
#'     metrics = list(rmse = (lambda - 1)^2 + 2)
#'   )
#' }
#' best_run(file, "rmse")
log_run <- function(file, params, metrics, ..., artifacts = NULL, keep = TRUE, data = NULL,
                    seed = NULL, tags = NULL, sealed = NULL, name = NULL, experiment = NULL,
                    parent = NULL) {
  if (...length()) {
    check_no_dots(..., known = c("artifacts", "keep", "data", "seed", "tags", "sealed", "name", "experiment", "parent"))
  }
  file <- check_ledger(file, "file", create = TRUE)
  if (missing(params)) {
    abort_argument("params", "a named list")
  }
  if (missing(metrics)) {
    abort_argument("metrics", "a named list")
  }
  if (!missing(seed)) {
    seed <- check_seed(seed)
  }
  more <- if (!is.null(data)) list(data = data_versions(data))
  if (!is.null(artifacts) || !missing(keep)) {
    check_flag(keep, "keep")
    most <- if (missing(keep)) most_unasked_bytes else Inf
    # What an object prints might be what is sealed.
    until <- if (is.null(sealed)) preview_until() else no_preview
    artifacts <- store_artifacts(file, artifacts, keep, most = most, until = until)
  }
  if (is_stream(seed)) {
    artifacts <- c(artifacts, store_stream(file, seed))
    seed <- NULL
  }
  about <- about_run(file, name, experiment, parent, seed)
  invisible(log_event_native(
    file, "run", NULL, params, metrics, artifacts, about, tags, sealed, more,
    call = environment()
  ))
}

#' Log many finished runs at once
#'
#' Each row of a data frame becomes a run: a tuning grid with its results, say.
#' All of them are logged in one write, or none.
#'
#' @param file Path of the ledger, a CSV file, or a ledger in a database, see
#'   [ledger_postgres()].
#' @param runs A data frame, one row a run. Columns that are neither parameters
#'   nor metrics are left out. A list column gives each run its element.
#' @param params,metrics,sealed Names of the columns that are parameters, metrics, and
#'   sealed metrics.
#' @param data As in [log_run()], the same for all of the runs.
#' @param seed,name,experiment,parent As in [log_run()], the same for all of the runs; or
#'   `I("column")`, the name of a column of `runs` that has one for each, `NA` for none.
#' @param tags As in [log_run()]; a tag that is `I("column")` is what the column says.
#' @inheritParams log_run
#'
#' @returns The runs' ids, a character vector as long as `runs` has rows, invisibly.
#' @section Errors:
#' `fitledger_error_unknown` for a column that isn't there, `fitledger_error_argument` for one that stands
#' twice, `fitledger_error_value` for a value
#' that can't be recorded, with its row and column, and those of the file, see [fitledger_error]. A call that failed
#' has logged none of the runs.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' grid <- expand.grid(depth = 1:3, eta = c(0.1, 0.3))
#' grid$rmse <- 2 + abs(grid$depth - 2) + grid$eta
#' grid$round <- "first"
#' log_runs(
#'   file, grid,
#'   params = c("depth", "eta"), metrics = "rmse",
#'   experiment = "grid", tags = list(round = I("round"))
#' )
#' best_run(file, "rmse")
log_runs <- function(file, runs, params, metrics, ..., data = NULL, seed = NULL, tags = NULL,
                     sealed = NULL, name = NULL, experiment = NULL, parent = NULL) {
  check_no_dots(..., known = c("data", "seed", "tags", "sealed", "name", "experiment", "parent"))
  file <- check_ledger(file, "file", create = TRUE)
  if (missing(runs)) {
    abort_argument("runs", "a data frame")
  }
  if (!is.data.frame(runs)) {
    abort_argument("runs", "a data frame", runs)
  }
  params <- check_columns(params, runs, "params")
  metrics <- check_columns(metrics, runs, "metrics")
  sealed <- check_columns(sealed, runs, "sealed")
  all <- c(params, metrics, sealed)
  if (anyDuplicated(all)) {
    abort(
      "argument", paste0("The column `", all[duplicated(all)][[1]], "` can only be one of parameter, metric and sealed metric."),
      "Choose one, or give the data frame a second column.",
      arg = if (anyDuplicated(c(params, metrics))) "metrics" else "sealed"
    )
  }
  columns <- unclass(runs)
  varying <- columns_about(file, list(name = name, experiment = experiment, parent = parent, seed = seed), runs)
  same <- function(arg, x) if (!arg %in% names(varying)) x
  seed <- check_seed(same("seed", seed))
  if (is_stream(seed)) {
    abort_argument("seed", "a whole number: many runs don't begin at one state of the stream", seed)
  }
  about <- about_run(file, same("name", name), same("experiment", experiment), same("parent", parent), seed)
  about <- about[setdiff(names(about), names(varying))]
  of_column <- if (is.list(tags)) vapply(tags, names_column, logical(1))
  tag_columns <- list()
  if (any(of_column)) {
    tag_columns <- lapply(tags[of_column], function(tag) columns[[check_columns(unclass(tag), runs, "tags")]])
    tags <- tags[!of_column]
  }
  more <- if (!is.null(data)) list(data = data_versions(data))
  invisible(call_native(
    native_log_runs, append_request(file), columns[params], columns[metrics], columns[sealed], nrow(runs),
    about, tags, list(varying, tag_columns), more
  ))
}

# Whether an argument is the name of a column, `I("column")`.
names_column <- function(x) {
  inherits(x, "AsIs") && is.character(x) && length(x) == 1
}

# The columns that say of each run what is said about it, by the names of the arguments that name them.
columns_about <- function(file, about, runs, call = rlang::caller_env()) {
  about <- about[vapply(about, names_column, logical(1))]
  for (arg in names(about)) {
    x <- runs[[check_columns(unclass(about[[arg]]), runs, arg, call)]]
    about[[arg]] <- if (arg == "seed") check_seeds(x, call) else check_texts(x, arg, call)
    if (arg == "parent") {
      check_run_ids(file, unique(about$parent[!is.na(about$parent)]), call)
    }
  }
  about
}

check_seeds <- function(x, call) {
  whole <- !is.object(x) && is.numeric(x) && all(is.na(x) | (abs(x) <= .Machine$integer.max & x == trunc(x)))
  if (!whole) {
    abort_argument("seed", "a column of whole numbers", x, call = call)
  }
  as.integer(x)
}

check_texts <- function(x, arg, call) {
  if (is.factor(x)) {
    x <- as.character(x)
  }
  if (!is.character(x) || is.object(x) || !is_text(x)) {
    abort_argument(arg, "a column of texts", x, call = call)
  }
  x
}

check_columns <- function(x, runs, arg, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(arg, "the names of columns of `runs`", call = call)
  }
  if (is.null(x)) {
    return(character())
  }
  if (!is.character(x) || anyNA(x) || !is_text(x) || anyDuplicated(x)) {
    abort_argument(arg, "the names of columns of `runs`, each once", x, call = call)
  }
  unknown <- setdiff(x, names(runs))
  if (length(unknown)) {
    abort_unknown("column", unknown[[1]], names(runs), call = call)
  }
  twice <- intersect(x, names(runs)[duplicated(names(runs))])
  if (length(twice)) {
    abort("argument", paste0("`runs` has two columns `", twice[[1]], "`."), arg = arg, call = call)
  }
  ours <- intersect(x, c("run_id", "timestamp"))
  if (length(ours)) {
    abort(
      "value", paste0("`", ours[[1]], "` is the name of a column that every run has."),
      "Rename the column, or leave it out.",
      call = call
    )
  }
  x
}
