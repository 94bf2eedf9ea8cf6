# MLflow's file stores, `mlruns/`: read into a ledger, written from one.

#' @rdname import_runs
#' @name import_runs
#' @section MLflow's file stores:
#' A folder `mlruns/` as MLflow writes it, of version 1, 2 or 3, is read without
#' MLflow, Python or a server; its experiments' `meta.yaml` tell it. Runs keep their
#' ids, times, names, experiments, nesting, parameters, tags and series, which have every
#' point as MLflow wrote it; a metric shows the value that MLflow shows, that of the
#' highest step. User, script and commit are those of the
#' run's session, a run's description is a note. `"Default"` is no experiment.
#'
#' MLflow's parameters are text. One has a type where its text is the only one of a
#' value, as `0.1`, `42`, `10.0`, `True` or `TRUE`; `007`, `1e5`, `NA` and an empty
#' text stay text. A data set is recorded by its digest, as a label, since that covers
#' a sample of the rows, with rows and columns. Artifacts are stored, each file and
#' folder in a run's `artifacts/` by its name without extension where that is the only
#' one, and so are the models that a run logged.
#'
#' Killed runs are interrupted, deleted ones void. A run that is running or scheduled
#' reads as running: a later import goes on with it where this one stopped. Model
#' versions keep their numbers, for which a deleted one is registered if later ones
#' need it; stages and aliases are stages, in lower case. What is there already isn't
#' added again, whether an import was broken off or not. No import moves a stage that
#' the ledger has: where MLflow has it at another version, the message says so, and
#' [promote_model()] moves it.
#'
#' Nothing is read but what is in the folder: links are not followed, and of artifacts
#' that lie elsewhere the address is named. A run of which a file or a folder can't be
#' read, for its rights or since a link or a pipe stands where a folder belongs, is left
#' out whole, so that a later import brings it as it is; so are the models that have a
#' version of it, and an experiment whose folder can't be read. Want of memory or of file
#' descriptors, or an interrupt, ends the import, which has then written nothing. A
#' message counts and names what is left out: traces, prompts, descriptions and tags of
#' models, tags of experiments and of data sets, steps beyond 2^53, texts that aren't
#' UTF-8 or hold U+0000, runs whose tags or data sets are more than a row holds. It has
#' the class `fitledger_message_imported`, and its field `left_out` is a data frame of
#' all of it, a row each, with the character columns `what` (the kind, such as
#' `"parameters"`) and `name` (which one, of which run, and why).
NULL

import_mlruns <- function(from, file, dry_run, call = rlang::caller_env()) {
  on_progress <- progress_bar("Storing", from, NA)
  result <- call_native(
    native_import_mlruns, append_request(file), from, dry_run, on_progress,
    call = call
  )
  say_imported(result, from, dry_run)
  result$run_ids
}

# One message: what came, and what didn't.
say_imported <- function(result, from, dry_run) {
  came <- counted_each(c(
    run = length(result$run_ids), "continued run" = length(result$continued),
    "model version" = result$versions, stage = result$stages
  ))
  there <- if (result$known > 0) paste(counted(result$known, "run"), "already there")
  what <- paste0("from '", from, "': ", toString(c(if (length(came)) came else "nothing", there)), ".")
  head <- if (dry_run) {
    c(i = paste("Would import", what), i = "Nothing was written.")
  } else {
    rlang::set_names(paste("Imported", what), if (length(came)) "v" else "i")
  }
  say_left_out(head, result, "imported")
}

# A message, and the first few of each kind that was left out.
say_left_out <- function(head, result, class, most = 3) {
  left_out <- as_frame(result$left_out)
  names <- split(left_out$name, factor(left_out$what, unique(left_out$what)))
  shown <- vapply(names, function(names) paste(utils::head(names, most), collapse = "; "), "")
  more <- lengths(names) - most
  said <- paste0(
    names(names), " (", vapply(lengths(names), count_text, ""), "): ", shown,
    ifelse(more > 0, paste0("; and ", vapply(more, count_text, ""), " more"), "")
  )
  inform(
    class,
    c(
      head,
      if (nrow(left_out)) c(x = "Left out, or not as it was there:", rlang::set_names(said, rep("*", length(said)))),
      if (any(more > 0)) c(i = "All of it is in the field `left_out` of this message.")
    ),
    left_out = left_out
  )
}

#' @rdname export_runs
#' @name export_runs
#' @section MLflow's file stores:
#' `format = "mlruns"` writes a folder laid out as MLflow's own file stores are, with the
#' artifacts, whose bytes are hashed as they are copied. MLflow serves such a store by
#' ```
#' mlflow server --backend-store-uri mlruns --artifacts-destination mlruns --serve-artifacts
#' ```
#' Runs keep their ids, times (in milliseconds, as MLflow has them), experiments, nesting,
#' statuses (an interrupted or lost run is killed), series and all digits of numbers;
#' [import_runs()] brings the same record back. Parameters and tags are text. Name, user,
#' script, commit and notes are tags of MLflow's. Data are data sets, with what is on
#' record of them as their source. Versions keep their numbers; stages are aliases.
#'
#' MLflow allows fewer characters in the names of parameters, metrics and tags: others
#' become `_`, and long names, or such with many `/`, are shortened, with a hash. Where
#' there is any, a message counts and names these and what is left out: artifacts that
#' were recorded by their path, missing values, runs with an id that is a name of
#' MLflow's (`models`, `tags`), versions of runs that aren't exported. It has the class
#' `fitledger_message_exported`, and its field `left_out` is a data frame of all of it,
#' with the columns that the message of [import_runs()] has. No point stands twice.
#'
#' An earlier export is replaced as long as it is as it was written: a folder in
#' which MLflow has logged since is an error of the class `fitledger_error_exists`, and
#' one that was changed while the export was being written `fitledger_error_conflict`. Until
#' it is whole the new one is in a folder that only you may use. An export that fails or is
#' interrupted leaves what there was.
NULL

export_mlruns <- function(file, to, run_ids, columns, call = rlang::caller_env()) {
  if (!is.null(columns)) {
    abort(
      "argument", "`columns` are those of a CSV.", "A store has every parameter and metric of the runs.",
      arg = "columns", call = call
    )
  }
  fetch_all(file, call)
  result <- call_native(native_export_mlruns, file, to, run_ids, progress_bar("Copying", to, NA), call = call)
  if (length(result$left_out$name)) {
    say_left_out(c(v = paste0("Exported to '", to, "'.")), result, "exported")
  }
}
