# Runs that are on record elsewhere, brought into a ledger.

#' Bring records together
#'
#' Brings what is on record elsewhere into a ledger: another ledger, such as that
#' of a git branch, a colleague's copy or a node without network, with all that
#' it has to say of its runs; MLflow's folder `mlruns/`; or a plain CSV, such as
#' that of the chapter's own logger. What is imported is left as it is. What is in the ledger already is skipped, so an
#' import can be repeated, when there is more, or when it was interrupted.
#'
#' @section From another ledger:
#' The rows that the ledger doesn't have are appended to it as copies, each with
#' its own time and with its `origin`: the id of the ledger, the number and the
#' hash that it had. A copy is known by that hash, also where it is copied on,
#' and however many copies of a ledger there are. What comes:
#'
#' - runs under their ids, with parameters, metrics and their series, sealed
#'   metrics, tags, notes, seeds, data versions, names, experiments, and the run
#'   that each belongs to; that they were declared void, resumed or revealed;
#' - the sessions with which they were made, under new ids;
#' - artifacts, lockfiles and code with their stored bytes, which are hashed on the
#'   way;
#' - versions of models, where their numbers are free, and what gates said of them.
#'
#' A run that is running there comes as it is, and what becomes of it comes with
#' the next import. What changed nothing there, such as a metric of a run that had
#' finished, isn't copied.
#'
#' **Production never moves by an import.** The promotions to a stage come only if
#' the ledger has no such stage of the model yet; else it stays where it is, and
#' [promote_model()] moves it. Nor is a void taken back of which who took back another
#' one didn't know.
#'
#' What couldn't be brought together is left out, and a message names it: a run
#' whose id another run has, a version whose number another version has, and what
#' depends on them; a run's parent, or stored bytes, that aren't there. The message
#' has the class `fitledger_message_imported`, and its field `left_out` is a data
#' frame of all of it, with columns `row` (in the other ledger), `event`, `run_id`,
#' `copied` (`TRUE` where the row came and something that it names didn't) and `why`.
#'
#' The runs are appended in one go: an import that fails, or is interrupted while it
#' works out what to append, has appended nothing. Once rows of another ledger are
#' being written it goes on to its end, which is soon, and says what it did before
#' an interrupt ends the call. Where it was killed, whole rows stay, and the next
#' one goes on from them.
#'
#' @section From a plain CSV:
#' The runs of a CSV file as the chapter's own logger writes it (`run_id`,
#' `timestamp`, then parameters and metrics) keep their ids and times, and each row
#' of the ledger says which file they came from, by name and hash.
#'
#' Nothing is guessed of what the file says:
#'
#' - A cell in quotes is a text, one without is the number or the logical that all cells
#'   of its column are, or else a text; `NA` and an empty cell are missing. Only a file that
#'   has *every* cell in quotes says nothing by them, and is read as if there were none. So
#'   `"007"` in quotes stays a text where numbers stand without, as [write.csv()] has it, or
#'   where `NA` does.
#' - A number that is written as no program writes one (`007`, `+5`) is a text, and so is
#'   one that would come out as another one: a whole number that no double is equal to, or one
#'   beyond the largest or smallest double. A metric is a number however it is written, also
#'   in quotes; where it is none that a double holds, the import is refused
#'   (`fitledger_error_value`).
#' - Times are read as ISO 8601 has them: `2026-11-23 04:20:47` is local time, `Z` or an
#'   offset (`+02:00`) says otherwise. One that can't be read is an error, and so is a local
#'   time that no clock showed, or clocks showed twice, when they were put forward or back.
#' - What is not UTF-8, a line that has another number of cells, or line ends of CR alone
#'   are errors (`fitledger_error_not_a_ledger`). Each error names the line.
#'
#' A column `status` (or `details.status`, as it is called where that name is taken) in
#' which any of the words `finished`, `failed`, `interrupted`, `lost`, `running` and `void`
#' stands says how each run ended, as exports and [read_runs()] have it; every cell must be
#' one of them then, or the error names its line. A lost run comes as interrupted. So does a
#' void one, of which nobody knows how it had ended, and it is declared void. A run that had
#' not ended is left out until a later import finds that it has. Any other `status` is a
#' parameter. Without such a column the runs have finished.
#'
#' A run that the ledger has, with all that the file says of it, is skipped. One whose id
#' names a run there of which anything is otherwise (a value, the time, how it ended) is left
#' out, and a message names it with what differs. That message is of the class
#' `fitledger_message_imported`, too, and `left_out` has the same columns, `row` being the
#' line of the file. An id that stands twice in the file is an error unless the lines say
#' the same.
#'
#' @param from Path of the ledger, the folder or the CSV file to import.
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#'   It is begun if it isn't there.
#' @param ... Must be empty: arguments after it are given by name.
#' @param metrics Of a plain CSV, the names of the columns that are metrics; the
#'   others are parameters. A CSV doesn't say which are which: without `metrics`,
#'   numeric columns with the usual names of metrics are taken (`rmse`, `auc`,
#'   `loss`, also as a part, as in `test_rmse`), or else the last column, and a
#'   message says so.
#' @param dry_run `TRUE` only to say what would come: nothing is written.
#'
#' @returns The ids of the runs that are new in the ledger, a character vector,
#'   invisibly; with `dry_run` those that would be.
#' @section Errors:
#' `fitledger_error_not_found` where nothing is; `fitledger_error_not_a_ledger` for what is no record of runs, and for a CSV with
#' a time that can't be read, with its line; `fitledger_error_value` for a metric that isn't a number; `fitledger_error_corrupt` for a
#' ledger with a damaged row, and those of the file, see [fitledger_error]. An import that failed has added nothing, or
#' whole rows that the next import passes over.
#' @seealso `vignette("together")` for branches of git, conflict copies and nodes
#'   without network.
#' @export
#' @examples
#' # A colleague's copy of a ledger, and both go on.
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 1), list(rmse = 2))
#' copy <- tempfile(fileext = ".csv")
#' file.copy(file, copy)
#' log_run(file, list(lambda = 2), list(rmse = 1))
#' log_run(copy, list(lambda = 3), list(rmse = 3), tags = list(by = "ann"))
#'
#' import_runs(copy, file, dry_run = TRUE)
#' import_runs(copy, file)
#' read_runs(file)
#' import_runs(copy, file)
#'
#' # The chapter's CSV.
#' from <- tempfile(fileext = ".csv")
#' writeLines(c(
#'   '"run_id","timestamp","model","lambda","test_rmse"',
#'   '"20261123-042047-0042","2026-11-23 04:20:47","ridge",0.1,1.96',
#'   '"20261123-042048-7731","2026-11-23 04:20:48","ridge",1,1.98'
#' ), from)
#' file <- tempfile(fileext = ".csv")
#' import_runs(from, file, metrics = "test_rmse")
#' best_run(file, "test_rmse")
import_runs <- function(from, file, ..., metrics = NULL, dry_run = FALSE) {
  check_no_dots(..., known = c("metrics", "dry_run"))
  from <- check_ledger(from, "from")
  file <- check_ledger(file, "file", create = TRUE)
  check_names(metrics, "metrics", "names of columns")
  check_flag(dry_run, "dry_run")
  if (is_plain(from)) {
    return(invisible(import_plain(from, file, metrics, dry_run)))
  }
  if (!is.null(metrics) && is_there(from)) {
    # What keeps the file from being either comes first.
    if (!dir.exists(from)) {
      call_native(native_check_ledger, from)
    }
    abort(
      "argument", "`metrics` is for the import of a plain CSV.",
      paste0("'", from, "' says itself what is a parameter and what a metric."),
      arg = "metrics"
    )
  }
  if (dir.exists(from)) {
    return(invisible(import_mlruns(from, file, dry_run)))
  }
  invisible(import_ledger(from, file, dry_run))
}

import_ledger <- function(from, file, dry_run, call = rlang::caller_env()) {
  write_buffered(from, call)
  fetch_all(from, call)
  imported <- call_native(
    native_import, append_request(file), from, dry_run, progress_bar("Copying stored files", from, NA),
    call = call
  )
  left_out <- as_frame(imported$left_out)
  of_row <- function(left_out) {
    run <- ifelse(is.na(left_out$run_id), "", paste0(" of ", left_out$run_id))
    paste0("row ", number_text(left_out$row), ", ", left_out$event, run, ": ", left_out$why)
  }
  # An interrupt that came while rows were written waits until it is said which.
  suspendInterrupts(inform(
    "imported",
    c(import_line(imported, from, dry_run), left_out_lines(left_out, dry_run, "row", of_row)),
    left_out = left_out
  ))
  imported$run_ids
}

import_line <- function(imported, from, dry_run) {
  counts <- c("new run" = length(imported$run_ids), session = imported$sessions, "stored file" = imported$objects)
  if (imported$rows == 0 && !any(counts > 0)) {
    return(c(i = paste0("Nothing new ", if (dry_run) "would come" else "came", " from ", shown_ledger(from), ".")))
  }
  came <- counted_each(counts)
  what <- paste0(
    counted(imported$rows, "row"), " from ", shown_ledger(from), if (length(came)) paste0(": ", toString(came))
  )
  if (dry_run) {
    c(i = paste0("Would copy ", what, "."), i = "Nothing was written.")
  } else {
    c(v = paste0("Copied ", what, "."))
  }
}

# What was left out of an import: the first few of it, each as `line_of` says it.
left_out_lines <- function(left_out, dry_run, what, line_of, most = 10) {
  if (!nrow(left_out)) {
    return(NULL)
  }
  said <- line_of(take_rows(left_out, seq_len(min(most, nrow(left_out)))))
  more <- nrow(left_out) - length(said)
  if (more > 0) {
    said <- c(said, paste("and", number_text(more), "more, in the field `left_out` of this message"))
  }
  not_there <- paste0(if (dry_run) "Would be left" else "Left", " out, of ", counted(nrow(left_out), what), ":")
  c(x = not_there, rlang::set_names(said, "*"))
}
