# Metrics to report by, and not to choose by.

#' Reveal the sealed metrics of a run
#'
#' The metric that you choose by flatters the run that you choose. A number to
#' report wants data that had no part in the choice: seal it (`sealed` in
#' [log_run()] and [end_run()]), choose by another, then reveal that one run.
#' Sealed metrics are in no query, plot or export, and [best_run()] refuses them.
#' `reveal_run()` puts on record who looked, when and why; how often is `looks` in
#' [read_runs()].
#'
#' This is discipline, not secrecy: the numbers are in the file, and
#' [read_ledger()] shows them.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id A run that has sealed metrics: its id, a data frame with one row and
#'   a column `run_id`, or a live run.
#' @param why Why you look: a string.
#' @returns The sealed metrics, a named list of numbers. From now on they are columns
#'   of [read_runs()].
#' @section Errors:
#' `fitledger_error_argument` for a run without sealed metrics, `fitledger_error_unknown` for one that
#' isn't there, and those of the file, see [fitledger_error]. Then nothing was shown, and no look counts.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' for (k in 1:3) {
#'   log_run(
#'     file, list(k = k), list(validation_rmse = 1 + abs(k - 2)),
#'     sealed = list(test_rmse = 1.1 + abs(k - 2))
#'   )
#' }
#' try(best_run(file, "test_rmse"))
#' chosen <- best_run(file, "validation_rmse")
#' reveal_run(file, chosen, "the number for the report")
#' sum(read_runs(file, columns = "looks")$looks)
reveal_run <- function(file, run_id, why) {
  file <- check_ledger(file, "file")
  check_text(why, "why")
  run_id <- known_run_id(file, run_id, "run_id")
  sealed <- call_native(native_sealed, file, run_id)
  if (!length(sealed)) {
    abort("argument", paste0("The run `", run_id, "` has no sealed metrics."), arg = "run_id")
  }
  log_event_native(file, "reveal", run_id, more = list(why = why))
  sealed
}

abort_sealed <- function(metric, call) {
  abort(
    "sealed", paste0("`", metric, "` is sealed: it was kept for the report, and choosing by it would spoil that."),
    "Choose by another metric, then look at that run with `reveal_run()`.",
    name = metric, call = call
  )
}
