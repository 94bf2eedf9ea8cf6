#' Conditions
#'
#' Every error of fitledger has the class `fitledger_error` and one that says
#' what happened, so that a script can tell them apart with [tryCatch()]:
#'
#' | class | what happened | fields |
#' |---|---|---|
#' | `fitledger_error_argument` | an argument is of the wrong kind | `arg` |
#' | `fitledger_error_value` | a value can't be recorded; nothing was | |
#' | `fitledger_error_unknown` | no such metric, column or run | `name` |
#' | `fitledger_error_sealed` | a metric is sealed, see [reveal_run()] | `name` |
#' | `fitledger_error_where` | the condition in `where` can't be answered | |
#' | `fitledger_error_not_found` | there is no such file | `path` |
#' | `fitledger_error_not_a_ledger` | the file is something else; it was not touched | `path` |
#' | `fitledger_error_plain_csv` | the file is a plain CSV of runs | `path` |
#' | `fitledger_error_newer_format` | a later version wrote the file | `path` |
#' | `fitledger_error_corrupt` | a row is damaged | `path`, `row`, `byte` |
#' | `fitledger_error_rows_gone` | rows that were in the file are not: it is empty, or an older copy; nothing was written | `path` |
#' | `fitledger_error_row_too_long` | a row would exceed 16 MiB | |
#' | `fitledger_error_artifact` | an artifact's bytes are missing or are not those that were recorded, or can't be unpacked | `path` |
#' | `fitledger_error_unstorable` | a link, a pipe, a device, or a file that can't be read or changed meanwhile can't be an artifact or part of one | `path` |
#' | `fitledger_error_memory` | there is too little memory for what was asked | `path` |
#' | `fitledger_error_ended` | the run has ended: nothing was added to it | `how`: `"finished"`, `"failed"`, `"interrupted"` or `"taken_over"` |
#' | `fitledger_error_running` | the run belongs to another process, as far as can be told | |
#' | `fitledger_error_search` | a search differs from the one that it would take up | `differs`, `run_id` |
#' | `fitledger_error_conflict` | somebody else was faster, or what was asked for isn't so any more | `path` |
#' | `fitledger_error_refused` | a gate refused a promotion | `figures` |
#' | `fitledger_error_gate` | a gate failed, or returned no verdict | |
#' | `fitledger_error_signature` | new data don't fit a model's signature | |
#' | `fitledger_error_package` | a package that the call takes is not installed | `package` |
#' | `fitledger_error_server` | the server of a live view did not start | |
#' | `fitledger_error_exists` | a file would be overwritten | `path` |
#' | `fitledger_error_io` | the system refused something | `path` |
#' | `fitledger_error_interrupted` | a time limit of R's was reached while the call waited or was at long work; the message is R's | |
#' | `fitledger_error_network` | the file is on a network file system whose locks can't be relied on | `path` |
#' | `fitledger_error_database` | a database can't be reached, or refuses | |
#' | `fitledger_error_forked` | a row in a database is not the one that this machine has seen | `path`, `row` |
#' | `fitledger_error_behind` | a database has fewer rows than this machine has seen | `row` |
#' | `fitledger_error_mirror` | the file mirrors a ledger in a database; nothing was written | `path` |
#' | `fitledger_error_remains` | a failed write left an unfinished row behind | `path` |
#' | `fitledger_error_durability_unknown` | the disk did not confirm the write | `path` |
#' | `fitledger_error_internal` | a bug of ours | |
#'
#' `row` counts from 1, the header aside; `byte` is the offset in the file, from
#' 0. A call that failed has left the ledger as it was; the two exceptions,
#' `remains` and `durability_unknown`, say so.
#'
#' What has to be said of a call that did log something is a warning, of the class
#' `fitledger_warning` and one that says what: `fitledger_warning_not_recorded`, `_end`,
#' `_pointers`, `_network`. Under `options(warn = 2)`, which makes errors of other
#' warnings, it stays one.
#'
#' @name fitledger_error
#' @examples
#' file <- tempfile(fileext = ".csv")
#' tryCatch(
#'   read_runs(file),
#'   fitledger_error_not_found = function(e) message("Nothing logged yet.")
#' )
NULL

# `message` and `hint` may hold anybody's text, so they are never formatted, and hold no commands to a terminal.
abort <- function(class, message, hint = NULL, ..., call = rlang::caller_env()) {
  hint <- as.character(hint[nzchar(hint)])
  names(hint) <- rep("i", length(hint))
  rlang::abort(
    printable_lines(c(message, hint)),
    class = c(paste0("fitledger_error_", class), "fitledger_error"),
    call = call,
    ...
  )
}

# A warning goes with what was done: the row is written, the value is there. So it is a warning also where
# `options(warn = 2)` makes errors of them, which would say that nothing was logged, and lose the value.
warn <- function(class, message, call = NULL) {
  if (getOption("warn") > 1) {
    old <- options(warn = 1)
    on.exit(options(old))
  }
  text <- printable_lines(message)
  class <- c(paste0("fitledger_warning_", class), "fitledger_warning")
  # Where no connection is left in the session, making the warning is an error, and would cost the value.
  tryCatch(rlang::warn(text, class = class, call = call), error = function(e) {
    warning(warningCondition(paste(text, collapse = "\n"), class = class, call = call))
  })
}

# What is only said, of whatever kind, or of none that a script would tell from others.
inform <- function(class, message, ...) {
  rlang::inform(
    printable_lines(message),
    class = c(if (!is.null(class)) paste0("fitledger_message_", class), "fitledger_message"),
    ...
  )
}

# Text of anybody's making for a line of print or a picture. A terminal takes control characters for commands.
without_controls <- function(text) {
  gsub("[[:cntrl:]]+", " ", as_utf8(text))
}

# The same of text that may have several lines, each string by itself.
printable_lines <- function(text) {
  lines <- strsplit(text, "\n", fixed = TRUE)
  text[] <- vapply(lines, function(lines) paste(without_controls(lines), collapse = "\n"), "")
  text
}

# Evaluates what makes text of numbers, or of code in which they stand, as R does when it starts: what is recorded or said
# must not depend on the session's options, of which one could make a warning of it, too.
with_plain_numbers <- function(code) {
  old <- options(OutDec = ".", scipen = 0, digits = 7)
  on.exit(options(old))
  code
}

# How many, or which.
number_text <- function(n) with_plain_numbers(format(n, scientific = FALSE, trim = TRUE))

# The same for who reads them.
count_text <- function(n) with_plain_numbers(format(n, big.mark = ",", scientific = FALSE, trim = TRUE))

counted <- function(n, what) paste0(count_text(n), " ", what, if (n != 1) "s")

# What there is any of.
counted_each <- function(counts) {
  counts <- counts[counts > 0]
  as.character(mapply(counted, counts, names(counts)))
}

size_text <- function(bytes) {
  with_plain_numbers(format(structure(bytes, class = "object_size"), units = "auto", standard = "IEC"))
}

# An error that the evaluation of an argument made. Where R names the call that catches it, nobody made that call.
without_our_call <- function(e) {
  if (rlang::is_call(conditionCall(e), c("doTryCatch", "eval_tidy"))) {
    e["call"] <- list(NULL)
  }
  e
}

abort_argument <- function(arg, must, x, hint = NULL, call = rlang::caller_env()) {
  is <- if (missing(x)) "it is missing" else paste("not", describe(x))
  abort(
    "argument", paste0("`", arg, "` must be ", must, ", ", is, "."), hint,
    arg = arg, call = call
  )
}

abort_unknown <- function(what, name, known, hint = NULL, call = rlang::caller_env()) {
  abort(
    "unknown", paste0("There is no ", what, " `", name, "`."), hint %||% unknown_hint(what, name, known),
    name = name, call = call
  )
}

# What somebody may have meant, or what there is.
unknown_hint <- function(what, name, known) {
  if (what == "run" && is_there(name)) {
    return("It is the path of a file; `file` comes first, then the run's id.")
  }
  # Nobody mistypes one: that of another run of the same second is not what was meant.
  if (what == "run" && grepl("^[0-9]{8}-[0-9]{6}-[0-9a-z]{12}$", name)) {
    return("Is it a run of another ledger? `read_runs(file, void = TRUE)` shows those of this one.")
  }
  near <- near_names(name, known)
  if (length(near)) {
    paste0("Did you mean ", or(near), "?")
  } else if (length(known)) {
    paste0("There is ", enumerate(known), ".")
  } else if (what == "model") {
    "None is registered yet: `register_model()` makes one of a run that stored its model."
  } else if (what == "artifact") {
    "The run left none. `log_fit()` stores a fit, `log_call()` with `artifact = \"model\"`, `log_run()` with `artifacts =`."
  }
}

# What a value is, in a few words.
describe <- function(x) {
  if (is.null(x)) {
    return("NULL")
  }
  if (is.data.frame(x)) {
    return("a data frame")
  }
  if (is.function(x)) {
    return("a function")
  }
  if (is.object(x)) {
    return(paste0("an object of class <", class(x)[[1]], ">"))
  }
  if (length(x) == 1 && is.atomic(x)) {
    if (is.na(x)) {
      return("NA")
    }
    text <- if (is.character(x)) encodeString(x, quote = "\"") else with_plain_numbers(format(x, digits = 15))
    if (nchar(text, "width") <= 40) {
      return(text)
    }
    if (is.character(x)) {
      return(paste("a string of", number_text(nchar(x, "bytes")), "bytes"))
    }
  }
  kind <- if (is.list(x)) "list" else if (is.numeric(x)) "numeric vector" else paste(typeof(x), "vector")
  if (is.atomic(x) || is.list(x)) paste0("a ", kind, " of length ", length(x)) else paste0("a ", typeof(x))
}

# The known names that somebody may have meant. How far two names are apart takes the product of
# their lengths to compute, and nobody types long ones by hand.
near_names <- function(name, known, longest = 200) {
  known <- known[nchar(known) <= longest]
  if (!length(known) || nchar(name) > longest) {
    return(character())
  }
  distance <- drop(utils::adist(name, known, ignore.case = TRUE))
  within <- grepl(name, known, fixed = TRUE) & nchar(name) > 2
  near <- distance <= max(1, nchar(name) %/% 2) & distance < nchar(name) | within
  utils::head(known[near][order(distance[near])], 3)
}

or <- function(names) {
  paste0("`", names, "`", collapse = " or ")
}

enumerate <- function(names, most = 5) {
  more <- length(names) - most
  paste0(
    paste0("`", utils::head(names, most), "`", collapse = ", "),
    if (more > 0) paste0(" and ", number_text(more), " more")
  )
}
