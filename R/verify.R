#' Verify a ledger
#'
#' Recomputes everything from the file's raw bytes: the form of each row, its
#' number, its hash and that of the row before it, and the bytes of stored
#' artifacts. Nothing is changed.
#'
#' A row's hash is its commit mark: the last row counts with its line feed or
#' without, since editors and sync tools strip it. Only the beginning of a row,
#' or zeros where sectors never reached the disk, is a *torn* tail, which the
#' next writer sets aside. All else that doesn't hold is damage, which nobody
#' touches unless [repair_ledger()] is called. A row that holds and breaks
#' another rule of the format is *invalid*: it has no effect, readers and
#' writers go on, and it is among the problems.
#'
#' A chain of hashes shows every change but two: a cut exactly between two rows,
#' and a file that somebody wrote anew from the first row on. A *checkpoint*
#' that is kept elsewhere shows these too, so without one the verdict is never
#' more than "ok, unanchored". The ledger is tamper-evident; it is not
#' tamper-proof.
#'
#' `system.file("verify", "verify.R", package = "fitledger")` does the same for
#' the chain in a few lines of base R, for those who would rather not take our
#' word for it.
#'
#' Of a ledger in a database all rows are fetched anew, and have to be those that this
#' machine has seen (`fitledger_error_forked`).
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param checkpoint What [checkpoint_ledger()] returned earlier: a string, or its
#'   lines as [readLines()] gives them.
#'
#' @returns An object of class `fitledger_verification`, a list of:
#' - `status`: `"ok"`; `"pending"`, a row is being written at this moment;
#'   `"torn"`, the file ends in the rest of a write that never finished, which
#'   the next writer sets aside; `"truncated"`, rows that the checkpoint covers
#'   are missing at the end; `"corrupt"`, a row doesn't hold; `"forked"`, all rows
#'   hold, but they are not those that the checkpoint covers.
#' - `anchored`: `TRUE` if the ledger is `"ok"`, a checkpoint was given, and the
#'   ledger extends it; `FALSE` in every other case. This is the one value for a
#'   script to trust.
#' - `rows`: how many rows hold, from the first one on.
#' - `row`, `byte`: where the first fault is, `NA` where there is none. Rows count
#'   from 1, 0 is the header; bytes count from 0.
#' - `why`: what is wrong there, or `NULL`.
#' - `problems`: a data frame with columns `row`, `kind` and `problem`: rows that
#'   changed nothing (`"without effect"`), such as an event of a run that never
#'   began or a second row of a session; rows that break a rule of the format
#'   (`"invalid"`); stored artifacts that are not what their rows say
#'   (`"artifact"`); and stored artifacts beside a file without rows
#'   (`"rows gone"`, row 0).
#' @section Errors:
#' Damage is a verdict, and no error. `fitledger_error_argument` for a checkpoint that is none,
#' `fitledger_error_not_found` where no file is, `fitledger_error_not_a_ledger` for a file that is something else, and
#' `fitledger_error_io`.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 1), list(rmse = 2))
#' checkpoint <- checkpoint_ledger(file)
#' log_run(file, list(lambda = 2), list(rmse = 1))
#' verify_ledger(file, checkpoint)
#' verify_ledger(file, checkpoint)$anchored
#'
#' # Somebody improves a result.
#' text <- rawToChar(readBin(file, "raw", file.size(file)))
#' writeBin(charToRaw(sub('rmse"":1.0', 'rmse"":0.5', text)), file)
#' verify_ledger(file)$status
verify_ledger <- function(file, checkpoint = NULL) {
  path <- check_ledger(file, "file")
  checkpoint <- check_checkpoint(checkpoint)
  if (is_ledger(file)) {
    check_mirror(file)
  }
  fetch_all(path)
  result <- call_native(native_verify, path, checkpoint, progress_bar("Verifying", size = NA))
  result$problems <- as_frame(result$problems)
  structure(c(result["status"], file = path, result[-1]), class = "fitledger_verification")
}

check_checkpoint <- function(x, call = rlang::caller_env()) {
  if (is.null(x)) {
    return(NULL)
  }
  if (!is.character(x) || !length(x) || anyNA(x) || !is_text(x)) {
    abort_argument("checkpoint", "what `checkpoint_ledger()` returned", x, call = call)
  }
  if (length(x) == 1 && !grepl("\n", x, fixed = TRUE) && is_there(x)) {
    abort(
      "argument", "`checkpoint` is the path of a file.",
      "Give its lines: `verify_ledger(file, readLines(path))`.",
      arg = "checkpoint", call = call
    )
  }
  paste(x, collapse = "\n")
}

#' @export
format.fitledger_verification <- function(x, ...) {
  rows <- function(n) paste(number_text(n), if (n == 1) "row" else "rows")
  hold <- if (x$rows == 1) "holds" else "hold"
  verdict <- switch(x$status,
    ok = if (x$rows == 0) "ok: there is no row yet" else paste0("ok: ", rows(x$rows), " ", hold),
    pending = paste0("pending: ", rows(x$rows), " ", hold, " and another is being written"),
    torn = paste0("torn: ", rows(x$rows), " ", hold, ", then a write that never finished"),
    truncated = paste0("truncated: rows that the checkpoint covers are missing after row ", number_text(x$rows)),
    corrupt = if (x$rows == 0) {
      "corrupt: no row holds"
    } else {
      paste0("corrupt: the first ", rows(x$rows), " ", hold, ", the next doesn't")
    },
    forked = "forked: every row holds, but they are not those of the checkpoint"
  )
  where <- if (!is.na(x$row)) {
    what <- if (x$row == 0) "The header" else paste("Row", number_text(x$row))
    paste0(what, ", at byte ", number_text(x$byte), ": ", x$why, ".")
  }
  anchor <- if (x$anchored) {
    "Anchored: the ledger extends the checkpoint."
  } else if (x$status == "ok") {
    "Unanchored: without a checkpoint a cut between rows, or a file written anew, would not show."
  }
  next_step <- switch(x$status,
    torn = if ("rows gone" %in% x$problems$kind) {
      "Put a copy of the file back; or remove it, to begin a new ledger."
    } else if (x$byte == 0) {
      "The next write begins the ledger anew."
    } else {
      "The next write sets it aside, in a file beside the ledger."
    },
    truncated = "Look for a copy of the file that has the missing rows.",
    corrupt = if (x$row == 0) {
      "Compare with a copy of the file; the first line is the same in every ledger."
    } else {
      "Compare with a copy of the file. `repair_ledger()` saves what holds."
    },
    forked = c(
      "Somebody wrote the file anew, or the checkpoint is of another ledger.",
      "If it is a copy that went its own way, `import_runs()` brings the runs of one into the other."
    )
  )
  problems <- if (nrow(x$problems)) {
    c(
      paste0(nrow(x$problems), if (nrow(x$problems) == 1) " problem" else " problems", " beside the chain:"),
      paste0("  row ", number_text(x$problems$row), ": ", x$problems$problem)
    )
  }
  c(paste0("<", sub("[.]mirror[.]csv$", "", basename(x$file)), "> ", verdict), where, anchor, next_step, problems)
}

#' @export
print.fitledger_verification <- function(x, ...) {
  cat(encodeString(format(x)), sep = "\n")
  invisible(x)
}

#' Keep a checkpoint of a ledger
#'
#' Waits until everything that the ledger holds is on disk and returns three
#' lines to keep elsewhere: in git, in a paper, in the log of a CI job. With them
#' [verify_ledger()] proves that a later file extends today's.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @returns A string of class `fitledger_checkpoint`: `fitledger/1` and the
#'   ledger's id, the number of its last row, and that row's hash, each on a line.
#' @section Errors:
#' `fitledger_error_corrupt` where the last row doesn't hold: nothing can be vouched for then. And those of
#' the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 1), list(rmse = 2))
#' checkpoint <- checkpoint_ledger(file)
#' checkpoint
#'
#' path <- tempfile(fileext = ".txt")
#' writeLines(checkpoint, path, sep = "")
#' verify_ledger(file, readLines(path))$anchored
checkpoint_ledger <- function(file) {
  file <- check_ledger(file, "file")
  structure(call_native(native_checkpoint, file), class = "fitledger_checkpoint")
}

#' @export
print.fitledger_checkpoint <- function(x, ...) {
  cat(x)
  invisible(x)
}

#' Repair a damaged ledger
#'
#' Only on request: fitledger never heals damage by itself. A new file takes the
#' ledger's place, in one step: the rows before the damage as they were, a
#' `recovered` row that says what was done, and copies of the rows behind the
#' damage that hold, each with its `origin`, the number and the hash that it had.
#' Everything from the first row on that doesn't hold, the rows that were copied
#' among it, is kept in a file beside the ledger,
#' `<ledger>.torn-<byte>-<random characters>`. A crash leaves the old file or the
#' new one.
#'
#' Copied are the runs whose rows behind the damage hold, with their sessions
#' under new ids. A version of a model, or a promotion, is copied only if the
#' versions that it names mean the same still. Rows that a tool has sorted come in the
#' order of the chain, in which each follows another one. What couldn't be placed is named:
#' rows that don't hold, rows of a run whose first row is lost, versions whose
#' numbers would come to mean another model.
#'
#' A ledger whose rows all hold is left as it is; of one that ends in an
#' unfinished write, only that is set aside, as the next writer would do.
#'
#' Look for a copy of the file first. A copy that verifies is better than any
#' repair, and a checkpoint of the damaged ledger doesn't hold for the repaired
#' one.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @returns The [verify_ledger()] of the file afterwards, invisibly, with three
#'   more elements, `NULL` where nothing was done. A message says what was done.
#' - `set_aside`: the path of the file that has what was set aside.
#' - `copied`: the ids of the runs of which rows were copied.
#' - `left_out`: a data frame of what couldn't be placed, with columns `byte`,
#'   where it began in the damaged file, `row`, `event` and `run_id`, as far as it
#'   says so itself, else `NA`, and `why`.
#' @section Errors:
#' `fitledger_error_argument` for a ledger in a database, and those of the file, see [fitledger_error]. Then the
#' file is as it was.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 1), list(rmse = 2))
#' log_run(file, list(lambda = 2), list(rmse = 1))
#' log_run(file, list(lambda = 3), list(rmse = 3))
#' text <- rawToChar(readBin(file, "raw", file.size(file)))
#' writeBin(charToRaw(sub('rmse"":1.0', 'rmse"":0.5', text)), file)
#' repaired <- repair_ledger(file)
#' repaired$left_out
#' read_runs(file)
repair_ledger <- function(file) {
  if (!missing(file) && is_ledger(file)) {
    abort(
      "argument", "A ledger in a database is not repaired here.",
      "What this machine has of it is fetched anew by itself where it is damaged.",
      arg = "file"
    )
  }
  file <- check_ledger(file, "file")
  repaired <- call_native(native_repair, append_request(file))
  if (is.null(repaired)) {
    cli_inform(c(v = "Every row of '{without_controls(file)}' holds; nothing was done."))
    return(invisible(verify_ledger(file)))
  }
  left_out <- as_frame(repaired$left_out)
  repaired$file <- untranslated(repaired$file)
  with_plain_numbers(cli_inform(c(
    "!" = "Set aside {.val {repaired$bytes}} byte{?s} of '{without_controls(file)}', from byte {.val {repaired$byte}} on.",
    i = "They are in '{without_controls(basename(repaired$file))}', beside it.",
    if (repaired$rows > 0) {
      c(v = "{.val {repaired$rows}} row{?s} behind the damage {?holds/hold} and {?was/were} copied, of {.val {length(repaired$run_ids)}} run{?s}.")
    },
    if (nrow(left_out)) {
      shown <- take_rows(left_out, seq_len(min(10, nrow(left_out))))
      what <- ifelse(is.na(shown$row), "what stands", paste0("row ", number_text(shown$row)))
      said <- paste0(
        what, " at byte ", number_text(shown$byte), ifelse(is.na(shown$run_id), "", paste0(", run ", shown$run_id)),
        ": ", shown$why
      )
      more <- nrow(left_out) - nrow(shown)
      c(
        x = "Only there: {.val {nrow(left_out)}} row{?s} that couldn't be placed.",
        rlang::set_names(gsub("([{}])", "\\1\\1", without_controls(said)), rep("*", length(said))),
        if (more > 0) c("*" = "and {.val {more}} more")
      )
    }
  )))
  extra <- list(set_aside = repaired$file, copied = repaired$run_ids, left_out = left_out)
  result <- verify_ledger(file)
  invisible(structure(c(unclass(result), extra), class = class(result)))
}
