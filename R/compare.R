# Runs side by side.

#' Compare runs
#'
#' What some runs recorded, side by side: names, parameters, metrics, tags, seeds, data,
#' code, packages and environment. With `only_different`, what is the same in all
#' of them is left out, so that what remains explains why they differ.
#'
#' workflowsets has a function of this name, too; `fitledger::compare_runs()` is
#' ours wherever both are attached.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id The runs, usually two or more, as [tag_run()] takes them: ids, or a data frame with a
#'   column `run_id`, as [read_runs()] and [best_run()] return it.
#' @param ... Must be empty: arguments after it are given by name.
#' @param only_different `FALSE` to see what is the same, too.
#' @returns A data frame of class `fitledger_comparison`, a row for each field:
#'   `kind` (`"run"`: name, experiment and parent, `"parameter"`, `"metric"`, `"tag"`, `"seed"`, `"data"`, `"code"`,
#'   `"package"`, `"environment"`, `"session"`), `field`, then for each run a column, named by
#'   its id, of its values as text, to the last bit; `NA` where a run recorded
#'   nothing. Data are compared by hash, rows, columns and the type of each column.
#'   Sealed metrics are left out. Of a run that several sessions worked on, the last
#'   session's code, packages and environment are compared, and `sessions` says how
#'   many there were.
#' @section Errors:
#' `fitledger_error_unknown` for a run that isn't there, and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' a <- log_run(file, list(k = 3, trim = 0), list(rmse = 1.2), data = cars)
#' b <- log_run(file, list(k = 5, trim = 0), list(rmse = 1.1), data = cars[-1, ])
#' compare_runs(file, c(a, b))
compare_runs <- function(file, run_id, ..., only_different = TRUE) {
  check_no_dots(..., known = "only_different")
  file <- check_ledger(file, "file")
  if (missing(run_id)) {
    abort_argument("run_id", "the ids of runs")
  }
  run_id <- run_ids_of(file, run_id, "run_id")
  if (!length(run_id)) {
    abort_argument("run_id", "one run or more, not none")
  }
  check_flag(only_different, "only_different")
  check_run_ids(file, run_id)
  write_buffered(file)
  result <- call_native(native_compare, file, run_id, only_different)
  columns <- c(list(kind = result$kind, field = result$field), rlang::set_names(result$cells, run_id))
  structure(as_frame(columns), class = c("fitledger_comparison", "data.frame"))
}

#' @export
print.fitledger_comparison <- function(x, ..., width = getOption("width")) {
  runs <- setdiff(names(x), c("kind", "field"))
  labels <- paste0("#", seq_along(runs))
  cat(paste0(labels, "  ", runs, "\n"), sep = "")
  if (!nrow(x)) {
    cat("They differ in nothing that is on record.\n")
    return(invisible(x))
  }
  cells <- lapply(unclass(x)[runs], shorten_hashes)
  fields <- paste0("  ", without_controls(x$field))
  left <- min(max(nchar(fields, "width")), width %/% 3)
  room <- max(8, (width - left) %/% max(1, min(length(runs), (width - left) %/% 14)) - 2)
  widths <- vapply(cells, function(cell) min(room, max(2, nchar(cell, "width"))), numeric(1))
  for (block in split(seq_along(runs), line_of(widths + 2, width - left))) {
    cat(pad("", left), paste0("  ", pad(labels[block], widths[block]), collapse = ""), "\n", sep = "")
    for (kind in unique(x$kind)) {
      cat(kind, "\n", sep = "")
      for (row in which(x$kind == kind)) {
        values <- vapply(block, function(run) pad(cells[[run]][[row]], widths[[run]]), character(1))
        line <- paste0(pad(fields[[row]], left), paste0("  ", values, collapse = ""))
        cat(sub(" +$", "", line), "\n", sep = "")
      }
    }
  }
  invisible(x)
}

# The number of the line on which each piece comes to stand.
line_of <- function(widths, most) {
  line <- 1
  filled <- 0
  vapply(widths, function(width) {
    if (filled > 0 && filled + width > most) {
      line <<- line + 1
      filled <<- 0
    }
    filled <<- filled + width
    line
  }, numeric(1))
}

shorten_hashes <- function(text) {
  text[is.na(text)] <- "-"
  text <- gsub("[[:cntrl:]]+ *", " ", as_utf8(text))
  sub("^((sha256|fl1):[0-9a-f]{8})[0-9a-f]{56}$", "\\1...", sub("^([0-9a-f]{10})[0-9a-f]{30}$", "\\1", text))
}

# Text in columns of given widths: filled up, or cut.
pad <- function(text, width) {
  width <- rep_len(width, length(text))
  long <- nchar(text, "width") > width
  text[long] <- paste0(strtrim(text[long], pmax(0, width[long] - 3)), "...")
  paste0(text, strrep(" ", pmax(0, width - nchar(text, "width"))))
}
