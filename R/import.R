# Runs that are on record elsewhere, brought into a ledger.

#' Bring the runs of a plain CSV over
#'
#' Appends the runs of a CSV file as the chapter's own logger writes it
#' (`run_id`, `timestamp`, then parameters and metrics) to a ledger. They keep
#' their ids and times, and each row of the ledger says which file they came
#' from, by name and hash. The file itself is left as it is. Runs that are in the
#' ledger already are skipped, so an import can be repeated.
#'
#' Nothing is guessed of what the file says. A text in quotes stays a text, as
#' does a number that is written as no program writes one (`007`). Times are read
#' as ISO 8601 has them: `2026-11-23 04:20:47` is local time, `Z` or an offset
#' (`+02:00`) says otherwise; one that can't be read is an error that names its
#' line. What is not UTF-8 is an error, too. A file that [export_runs()] wrote says
#' in its column `status` how each run ended, and so it stays; a run that had not
#' ended is left out until a later import finds that it has.
#'
#' @param from Path of the CSV file, or of MLflow's folder.
#' @param file Path of the ledger.
#' @param ... Must be empty: arguments after it are given by name.
#' @param metrics Names of the columns that are metrics; the others are
#'   parameters. A CSV doesn't say which are which: without `metrics`, numeric
#'   columns with the usual names of metrics are taken (`rmse`, `auc`, `loss`,
#'   also as a part, as in `test_rmse`), or else the last column, and a message
#'   says so.
#' @param dry_run Of MLflow's folders: with `TRUE` nothing is written; the message says what
#'   would be, and the ids are those of the runs that would come.
#'
#' @returns The ids of the runs that were appended, invisibly.
#' @inheritSection log_run Errors
#' @export
#' @examples
#' from <- tempfile(fileext = ".csv")
#' writeLines(c(
#'   '"run_id","timestamp","model","lambda","test_rmse"',
#'   '"20261123-042047-0042","2026-11-23 04:20:47","ridge",0.1,1.96',
#'   '"20261123-042048-7731","2026-11-23 04:20:48","ridge",1,1.98'
#' ), from)
#' best_run(from, "test_rmse")
#'
#' file <- tempfile(fileext = ".csv")
#' import_runs(from, file, metrics = "test_rmse")
#' best_run(file, "test_rmse")
import_runs <- function(from, file, ..., metrics = NULL, dry_run = FALSE) {
  check_no_dots(..., known = c("metrics", "dry_run"))
  from <- check_path(from, "from")
  file <- check_path(file, "file")
  check_flag(dry_run, "dry_run")
  if (dir.exists(from)) {
    return(import_mlruns(from, file, metrics, dry_run))
  }
  if (dry_run) {
    abort(
      "argument", "`dry_run` is for MLflow's folders: a CSV is read as it stands, without being imported.",
      "`read_runs(from)` shows its runs.",
      arg = "dry_run"
    )
  }
  old <- native_run_ids(from)
  if (!inherits(old, "fitledger_failure")) {
    abort(
      "argument", paste0("'", from, "' is a ledger already."),
      "`import_runs()` brings over plain CSV files of runs.",
      arg = "from"
    )
  }
  if (!is_failure(old, "plain_csv")) {
    signal_failure(old)
  }
  invisible(import_plain(from, file, metrics))
}
