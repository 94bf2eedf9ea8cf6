#' Read the runs of a ledger
#'
#' One row a run, in the order in which the runs began. Runs of every status are
#' included but void ones.
#'
#' @param file Path of a ledger, or a ledger in a database, see [ledger_postgres()],
#'   or the path of a plain CSV of runs, which is read as it stands.
#' @param ... Must be empty: arguments after it are given by name.
#' @param where A condition on the columns, as in [subset()]:
#'   `lambda > 1 & model == "ridge"`. It sees parameters, metrics, `run_id`,
#'   `timestamp`, the columns of `details`, and the tags (`tags$by == "ann"`); columns
#'   come before variables of the same name, which `.env$x` reaches. A condition that is
#'   stored in a variable is given by `!!`: `where = !!condition`; one that a function was
#'   handed, by `{{ }}`: `where = {{ condition }}`. Rows for which it is
#'   `NA` are left out. A `Date` is compared with a time as the day that this is, in UTC,
#'   and a text (`timestamp > "2026-11-23 14:30"`) as a time in UTC unless it has an offset.
#'   To compare a time with a number, or a column that mixes types, is an error.
#' @param columns Names of the columns wanted, in their order, those of `details`
#'   included; `run_id` and `timestamp` always come first. `NULL` for all
#'   parameters and metrics.
#' @param compact `TRUE` to leave out the columns in which none of the runs returned has
#'   a value, but for those that `columns` or `where` name.
#' @param details `TRUE` to add what is on record beside parameters and metrics:
#'   `status` (`"finished"`, `"running"`, `"failed"`, `"interrupted"`, `"lost"`,
#'   `"void"`), `duration` in seconds, `name`, `experiment`, `parent` (a run's id),
#'   `user`, `host`, `script`, `commit`, `dirty`, `seed`, `data`, `looks` (how often
#'   sealed metrics were shown), `error` (the message of what a failed run failed by),
#'   `notes` (a line each), `void_reason`, and a column `tags.<name>` for each tag. A
#'   parameter of the same name keeps it, and ours becomes `details.seed`.
#' @param void `TRUE` to include runs that were declared void.
#'
#' @returns A plain data frame: `run_id` (character), `timestamp` (`POSIXct` in
#'   UTC, when the run began), then a column for each parameter and each metric,
#'   in the order in which they first appear. A run without a value has `NA`.
#'   Integers and doubles together become double; values of other different
#'   types, and vectors, make a list column. A series shows its last value. A
#'   name that is both parameter and metric becomes `params.x` and `metrics.x`.
#' @details
#' What a session has read of ledgers it keeps in memory, up to about 256 MB of runs, and as much
#' of models and of series, and next time it reads only what was appended.
#'
#' Of a ledger of 16 MB or more (some 50,000 runs) it also leaves an index in
#' `tools::R_user_dir("fitledger", "cache")`, so that a fresh session reads only the
#' columns that a question needs, and what was appended since. Indexes take 1 GB at
#' most; those used longest ago go first. They can be deleted at any time, and one
#' that isn't as it was written is not used. Neither is one that somebody else may have
#' written: its folder must be yours, and no other user may write to it.
#' `options(fitledger.cache = FALSE)` goes without, as `R CMD check` does; a path is
#' another folder for them.
#'
#' Rows that were read before are not read again. What somebody does to them in a
#' ledger that has grown since, an edit within a row say, shows in
#' [verify_ledger()], which reads the file itself, and in a session without the index.
#' @section Errors:
#' `fitledger_error_unknown` for a column that doesn't exist,
#' `fitledger_error_where` for a condition that can't be answered, and those of
#' the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(model = "ridge", lambda = 0.1), list(rmse = 1.2))
#' log_run(file, list(model = "tree", depth = 3L), list(rmse = 1.4), tags = list(by = "ann"))
#' read_runs(file)
#' read_runs(file, where = model == "ridge", columns = "rmse")
#' read_runs(file, where = model == "ridge", compact = TRUE)
#' read_runs(file, where = tags$by == "ann", columns = c("model", "status"))
#' today <- quote(timestamp >= Sys.Date())
#' read_runs(file, where = !!today, columns = "model")
read_runs <- function(file, ..., where = NULL, columns = NULL, compact = FALSE, details = FALSE,
                      void = FALSE) {
  check_no_dots(..., known = c("where", "columns", "compact", "details", "void"))
  file <- check_ledger(file, "file")
  where <- enquo(where)
  check_names(columns, "columns", "names of columns")
  check_flag(compact, "compact")
  check_flag(details, "details")
  check_flag(void, "void")

  filtered <- !rlang::quo_is_null(where)
  named <- where_columns(where)
  needed <- if (!is.null(columns) && !is.null(named)) c(columns, named)
  table <- run_table(file, needed, if (details || is.null(named)) TRUE else c(columns, named), void)
  if (filtered) {
    table <- filter_table(table, where)
  }
  frame <- select_columns(table, columns, details)
  if (compact) compact_columns(frame, c("run_id", "timestamp", columns, all.names(rlang::quo_get_expr(where)))) else frame
}

# Without the columns in which nothing stands, but for some.
compact_columns <- function(frame, kept) {
  is_empty <- vapply(frame, function(column) {
    if (is.list(column)) all(vapply(column, function(value) is.null(value) || identical(value, NA), NA)) else all(is.na(column))
  }, NA)
  as_frame(columns_of(frame)[!is_empty | names(frame) %in% kept], nrow(frame))
}

#' Find the best run
#'
#' The run with the smallest value of a metric, or the largest: the argmin over
#' the log. As with [which.min()], missing values are left out and the first of
#' equals wins. Only finished runs are candidates.
#'
#' @inheritParams read_runs
#' @param metric Name of the metric.
#' @param maximize `TRUE` if larger is better.
#' @param n How many of the best to return, at most.
#' @param where A condition that candidates fulfil, see [read_runs()]. Runs that belong
#'   to others are candidates as these are: `where = is.na(parent)` leaves them out.
#' @param over By what of a series runs are compared: its `"last"` value, the `"min"`,
#'   `"max"` or `"mean"` over all of its points, or the `"best"` of them, which is the
#'   smallest or, with `maximize`, the largest. The column of the metric shows that. By
#'   its best value a run may win that has diverged since: `read_metrics()` shows the rest.
#'
#' @returns A data frame like that of [read_runs()] with up to `n` rows, the best
#'   first; no rows where there is no candidate.
#' @section Errors:
#' `fitledger_error_unknown` for a metric that isn't there, with names that are near; `fitledger_error_sealed`
#' for one that is sealed; `fitledger_error_argument` for a column of text; `fitledger_error_where` as in [read_runs()], and
#' those of the file, see [fitledger_error]. That no run is a candidate is no error: there are no rows then.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' grid <- data.frame(k = 1:20)
#' grid$accuracy <- 0.9 - abs(grid$k - 7) / 100
#' log_runs(file, grid, params = "k", metrics = "accuracy")
#' best_run(file, "accuracy", maximize = TRUE)
#' best_run(file, "accuracy", maximize = TRUE, n = 3, where = k > 7)
#'
#' for (eta in c(0.1, 0.5)) {
#'   with_run(file, list(eta = eta), function(run) {
#'     for (step in 1:4) log_metrics(run, loss = (step * eta - 1)^2, step = step)
#'   })
#' }
#' best_run(file, "loss", over = "best", columns = c("eta", "loss"))
best_run <- function(file, metric, maximize = FALSE, ..., n = 1, where = NULL, columns = NULL,
                     over = "last") {
  check_no_dots(..., known = c("n", "where", "columns", "over"))
  file <- check_ledger(file, "file")
  check_name(metric, "metric")
  check_flag(maximize, "maximize")
  check_count(n, "n")
  check_names(columns, "columns", "names of columns")
  check_choice(over, c("last", "min", "max", "mean", "best"), "over")
  where <- enquo(where)

  filtered <- !rlang::quo_is_null(where)
  over <- switch(over,
    last = NULL,
    best = if (maximize) "max" else "min",
    over
  )
  best_table <- function(run_ids) {
    best <- list(metric, maximize, as.numeric(n), run_ids, over)
    details <- if (is.null(columns)) character() else columns
    run_table(file, columns, details, void = FALSE, best = best, call = rlang::caller_env())
  }
  if (filtered) {
    named <- where_columns(where)
    table <- run_table(file, if (!is.null(named)) c(metric, named), named %||% TRUE, void = FALSE)
  } else {
    table <- best_table(NULL)
  }
  column <- metric_column(table, metric)
  # All runs of a plain CSV say which column has their status, also where those that are asked for wouldn't.
  status <- if (is.null(table$metrics)) status_column(table$frame)
  if (filtered) {
    table <- filter_table(table, where)
  }
  if (is.null(table$metrics)) {
    table$frame <- take_rows(table$frame, best_plain(table$frame, column, status, metric, maximize, n))
    return(select_columns(table, columns, details = FALSE))
  }
  if (filtered) {
    table <- best_table(table$frame$run_id)
  }
  if (missing(maximize)) {
    tell_direction(file, table, metric)
  }
  select_columns(table, columns, details = FALSE)
}

# The smallest is the best unless somebody says otherwise. Where the search of that run has recorded that larger is better, it
# is the worst that is returned, and somebody should know.
tell_direction <- function(file, table, metric) {
  if (!"maximize" %in% table$names || !nrow(table$frame)) {
    return(invisible())
  }
  parent <- read_run(file, table$frame$run_id[[1]])$parent
  # An import may have brought the run without its parent.
  larger <- if (!is.null(parent)) tryCatch(read_run(file, parent)$params$maximize, fitledger_error_unknown = function(e) NULL)
  if (metric %in% larger) {
    inform(
      "direction",
      c(
        paste0("This is the smallest `", metric, "`, and the search recorded that larger is better."),
        i = "Give `maximize = TRUE`; or `FALSE`, and nothing is said."
      )
    )
  }
}

# The rows of the best numbers of a plain CSV, of finished runs where its column `status` says which they are.
best_plain <- function(frame, column, status, metric, maximize, n, call = rlang::caller_env()) {
  x <- frame[[column]]
  if (!is.numeric(x) && !is.logical(x)) {
    abort("argument", paste0("`", metric, "` is a column of text, not of numbers."), arg = "metric", call = call)
  }
  if (!is.null(status)) {
    x[frame[[status]] != "finished"] <- NA
  }
  call_native(native_best_of, as.numeric(x), maximize, as.numeric(n), call = call)
}

# The names of columns that a condition needs, and others; NULL where it may need any.
where_columns <- function(where) {
  names <- all.names(rlang::quo_get_expr(where))
  if (!any(computing %in% names)) names
}

# What reaches columns that a condition doesn't name.
computing <- c(
  ".data", "get", "get0", "mget", "exists", "eval", "evalq", "eval_tidy", "environment",
  "parent.frame", "sys.frame", "sys.function", "do.call", "match.fun", "Recall"
)

# Runs as columns: `frame` with those asked for, `details` likewise, and what
# `native_read_runs()` says of the others; `metrics` is NULL where nobody knows them.
run_table <- function(file, columns, details, void, best = NULL, call = rlang::caller_env()) {
  write_buffered(file, call)
  result <- native_read_runs(file, columns, details, void, best)
  if (is_failure(result, "plain_csv")) {
    return(plain_table(file, call))
  }
  result <- signal_failure(result, call)
  result$frame <- as_frame(result$columns)
  result$details <- as_frame(result$details, nrow(result$frame))
  result
}

as_frame <- function(columns, rows = length(columns[[1]])) {
  attr(columns, "row.names") <- .set_row_names(rows)
  class(columns) <- "data.frame"
  columns
}

# `[` is written out: bit64 looks at how its method was called, and gives all elements where lapply() calls it.
take_rows <- function(frame, rows) {
  as_frame(lapply(columns_of(frame), function(column) column[rows]), length(rows))
}

# All columns of a table, as a list.
all_columns <- function(table) {
  details <- unclass(table$details)
  names(details) <- table$detail_names[names(details)]
  c(columns_of(table$frame), columns_of(details))
}

columns_of <- function(frame) {
  frame <- unclass(frame)
  attr(frame, "row.names") <- NULL
  frame
}

select_columns <- function(table, columns, details, call = rlang::caller_env()) {
  if (is.null(columns) && !details) {
    return(table$frame)
  }
  all <- all_columns(table)
  frame <- columns_of(table$frame)
  if (!is.null(columns)) {
    unknown <- setdiff(columns, names(all))
    if (length(unknown)) {
      if (unknown[[1]] %in% table$sealed) {
        abort_sealed(unknown[[1]], call)
      }
      abort_unknown("column", unknown[[1]], c(table$names, table$detail_names), call = call)
    }
    frame <- all[unique(c("run_id", "timestamp", columns))]
  }
  if (details) {
    # All tags of a run together are for conditions.
    ours <- setdiff(table$detail_names, table$detail_names[["tags"]])
    frame <- c(frame, all[setdiff(intersect(names(all), ours), names(frame))])
  }
  as_frame(frame)
}

metric_column <- function(table, metric, call = rlang::caller_env()) {
  names <- table$names
  if (metric %in% table$sealed) {
    abort_sealed(metric, call)
  }
  if (is.null(table$metrics)) {
    if (metric %in% names) {
      return(metric)
    }
    abort_unknown("column", metric, names, call = call)
  }
  # By its own name, or by that of its column.
  found <- c(match(metric, names(table$metrics)), match(metric, table$metrics))
  found <- table$metrics[found[!is.na(found)]]
  # Before the first run there is nothing to know a metric by.
  if (length(found) || table$count == 0) {
    return(c(unname(found), metric)[[1]])
  }
  if (metric %in% names) {
    abort(
      "unknown", paste0("`", metric, "` is a parameter, not a metric."),
      paste0("There is ", enumerate(table$metrics), "."),
      name = metric, call = call
    )
  }
  abort_unknown("metric", metric, unname(table$metrics), call = call)
}

filter_table <- function(table, where, call = rlang::caller_env()) {
  columns <- all_columns(table)
  tags <- table$detail_names["tags"]
  if (tags %in% names(columns)) {
    columns[[tags]] <- tags_by_name(columns[[tags]], table$details)
  }
  keep <- evaluate_where(where, columns, nrow(table$frame), table, call)
  table$frame <- take_rows(table$frame, keep)
  table$details <- take_rows(table$details, keep)
  table
}

# The rows for which a condition is TRUE.
evaluate_where <- function(where, columns, rows, table, call) {
  keep <- tryCatch(
    rlang::eval_tidy(where, where_mask(columns)),
    error = function(e) {
      missing <- missing_variables(where, names(columns))
      sealed <- intersect(missing, table$sealed)
      if (length(sealed)) {
        abort_sealed(sealed[[1]], call)
      }
      known <- union(names(columns), c(table$names, table$detail_names))
      both <- if (length(missing)) intersect(paste0(c("params.", "metrics.", "tags."), missing[[1]]), known)
      near <- if (length(both)) both else if (length(missing)) near_names(missing[[1]], known)
      handed_on <- handed_on_conditions(where)
      abort(
        "where", paste0("The condition `", rlang::as_label(where), "` can't be answered."),
        if (length(near)) {
          paste0("Did you mean ", or(near), "?")
        } else if (length(handed_on)) {
          paste0("A function hands a condition on by `{{ }}`: `where = {{ ", handed_on[[1]], " }}`.")
        },
        parent = without_our_call(e), call = call
      )
    }
  )
  if (!is.logical(keep) || !length(keep) %in% c(1L, rows)) {
    abort(
      "where",
      paste0(
        "`where` must give TRUE or FALSE for each of ", rows, " runs, not ", describe(keep), "."
      ),
      if (is.language(keep) || is.character(keep)) {
        "A stored condition is given by `!!`: `where = !!condition`; text becomes one by `str2lang()`."
      } else {
        "Write a condition on the columns, such as `lambda > 1`."
      },
      call = call
    )
  }
  which(rep_len(keep, rows))
}

# What a condition sees before the variables of who wrote it: columns, and comparisons that know days. Names that R has no
# variables of are none that a condition could name.
where_mask <- function(columns) {
  columns <- columns[nzchar(names(columns)) & nchar(names(columns), "bytes") <= longest_variable]
  operators <- rlang::new_environment(comparisons)
  columns <- Map(guard_mixed, columns, names(columns))
  bottom <- rlang::new_environment(columns, parent = operators)
  mask <- rlang::new_data_mask(bottom, operators)
  mask$.data <- rlang::as_data_pronoun(bottom)
  mask
}

# In bytes.
longest_variable <- 10000

# `%in%` finds what `==` does: R's own compares 64-bit integers by their bits, spans of time in whatever unit each is, and, before
# R 4.3, days with texts as numbers. But NA is NA, and nothing else.
is_element <- function(x, table) {
  alike <- function(x, other) {
    if (inherits(x, "difftime") && inherits(other, "difftime")) {
      as.numeric(x, units = "secs")
    } else if (inherits(x, "integer64") || inherits(other, "integer64")) {
      integer_text(x)
    } else if (inherits(x, "Date") && is.character(other) || is.character(x) && inherits(other, "Date")) {
      day_text(x)
    } else {
      x
    }
  }
  if (is.factor(x)) x <- as.character(x)
  if (is.factor(table)) table <- as.character(table)
  match(alike(x, table), alike(table, x), nomatch = 0L) > 0L
}

# The digits of what is a 64-bit integer; of other numbers and texts a text that no integer has.
integer_text <- function(x) {
  if (inherits(x, "integer64")) {
    return(as.character(with_methods(x)))
  }
  if (is.character(x)) {
    digits <- as.character(bit64::as.integer64(x))
    return(ifelse(is.na(digits), x, digits))
  }
  if (!is.numeric(x) && !is.logical(x)) {
    return(x)
  }
  is_integer <- is.na(x) | (x == trunc(x) & abs(x) < 2^63)
  text <- rep("", length(x))
  text[is_integer] <- as.character(bit64::as.integer64(as.numeric(x[is_integer])))
  text
}

# Days as text, and texts that are days as those; each is read for itself, since as.Date() goes by the first one.
day_text <- function(x) {
  if (inherits(x, "Date")) {
    return(as.character(x))
  }
  read <- function(text) as.character(as.Date(text, optional = TRUE))
  texts <- unique(x)
  days <- vapply(texts, read, "", USE.NAMES = FALSE)
  ifelse(is.na(days), texts, days)[match(x, texts)]
}

# A time and a day are compared as days, a time and a text as times, both in UTC, in which times are shown, and with a
# number neither is. R itself compares the numbers, seconds with days, and reads a text in the time zone of the session.
comparisons <- lapply(rlang::set_names(c("<", "<=", ">", ">=", "==", "!=", "%in%")), function(operator) {
  compare <- if (operator == "%in%") is_element else get(operator, baseenv())
  alike <- function(x, other) {
    if (inherits(x, "POSIXct") && inherits(other, "Date")) {
      as.Date(x, tz = "UTC")
    } else if (is.character(x) && inherits(other, "POSIXct")) {
      read_times(x)
    } else {
      x
    }
  }
  function(e1, e2) {
    # What fails to be evaluated here fails in the comparison, as R would say it.
    e1
    e2
    refuse_number_as_time(e1, e2)
    refuse_number_as_time(e2, e1)
    compare(alike(e1, e2), alike(e2, e1))
  }
})

# Whoever writes a year, say, would have it compared with seconds since 1970.
refuse_number_as_time <- function(x, other) {
  is_number <- is.numeric(x) && !is.object(x) && !all(is.na(x))
  if (is_number && inherits(other, c("POSIXct", "Date"))) {
    stop(
      "a time can't be compared with a number such as ", number_text(x[!is.na(x)][[1]]), ": ",
      "give a text, \"2026-11-23\" or \"2026-11-23 14:30\", or a time, `Sys.time() - 3600`.",
      call. = FALSE
    )
  }
}

read_times <- function(text) {
  seconds <- rep(NA_real_, length(text))
  seconds[!is.na(text)] <- call_native(native_read_times, enc2utf8(text[!is.na(text)]))
  unreadable <- is.na(seconds) & !is.na(text)
  if (any(unreadable)) {
    stop(
      "\"", text[unreadable][[1]], "\" is no time such as 2026-11-23, 2026-11-23 14:30 or 2026-11-23T14:30:00+02:00.",
      call. = FALSE
    )
  }
  .POSIXct(seconds, "UTC")
}

# The variables of a condition that are neither columns nor to be found from where it was written.
# R's error says which one it was, but in the language of the session.
missing_variables <- function(where, columns) {
  variables <- unique(variables_of(rlang::quo_get_expr(where)))
  # A function that happens to have the name of what is missing, as `by()` has, is no variable of a condition.
  is_variable <- function(name) {
    at <- home_of(name, rlang::quo_get_env(where))
    !is.null(at) && (is_unevaluated(name, at) || !is.function(at[[name]]))
  }
  known <- variables %in% c(columns, ".data", ".env") | vapply(variables, is_variable, logical(1))
  variables[!known]
}

# The environment that has a variable, seen from another; NULL if there is none.
home_of <- function(name, env) {
  while (!exists(name, env, inherits = FALSE)) {
    if (identical(env, emptyenv())) {
      return(NULL)
    }
    env <- parent.env(env)
  }
  env
}

# Whether to look at a variable would run somebody's code.
is_unevaluated <- function(name, env) {
  rlang::env_binding_are_active(env, name) || rlang::env_binding_are_lazy(env, name)
}

# The variables of a condition that are arguments which nobody could evaluate, as what they name may be columns, and no
# variables. From function to function, but not for ever, as arguments that are their own defaults would have it.
handed_on_conditions <- function(where, most = 20) {
  env <- rlang::quo_get_env(where)
  is_condition <- function(name) {
    at <- home_of(name, env)
    is_argument <- !is.null(at) && !identical(at, globalenv()) && !rlang::env_binding_are_active(at, name) &&
      rlang::env_binding_are_lazy(at, name)
    if (!is_argument || has_injection(list(eval(as.call(list(base::substitute, as.name(name))), at)))) {
      return(FALSE)
    }
    given <- eval(as.call(list(rlang::enquo, as.name(name))), at)
    length(missing_variables(given, character())) > 0 || length(handed_on_conditions(given, most - 1)) > 0
  }
  if (most > 0) Filter(is_condition, variables_of(rlang::quo_get_expr(where)))
}

# What follows on `$` or `::` is a name, and no variable.
variables_of <- function(expr) {
  if (is.symbol(expr)) {
    return(as.character(expr))
  }
  if (!is.call(expr) || rlang::is_call(expr, c("::", ":::", "function"))) {
    return(character())
  }
  parts <- as.list(expr)
  if (is.symbol(expr[[1]])) {
    parts <- parts[-1]
  }
  if (rlang::is_call(expr, c("$", "@"))) {
    parts <- parts[1]
  }
  variables <- as.character(unlist(lapply(parts, variables_of)))
  variables[nzchar(variables)]
}

# A list column has no order and no equality that would be right for all its
# values, so comparing it is refused rather than answered wrongly.
guard_mixed <- function(column, name) {
  if (is.list(column) && !is.object(column)) {
    structure(column, class = "fitledger_mixed", name = name)
  } else {
    column
  }
}

refuse_mixed <- function(x) {
  stop(
    "`", attr(x, "name"), "` holds vectors or values of different types, which can't be compared; ",
    "read it with `read_runs()` and look at each element.",
    call. = FALSE
  )
}

# The tags of each run, as a condition sees them: `tags$by` is the column of that tag.
tags_by_name <- function(tags, details) {
  columns <- columns_of(details)
  columns <- columns[startsWith(names(columns), "tags.")]
  names(columns) <- substring(names(columns), nchar("tags.") + 1)
  structure(tags, class = "fitledger_tags", columns = columns)
}

#' @export
`$.fitledger_tags` <- function(x, name) {
  column <- attr(x, "columns")[[name]]
  if (is.null(column)) rep(NA, length(x)) else guard_mixed(column, paste0("tags$", name))
}

#' @export
`[[.fitledger_tags` <- function(x, i, ...) {
  if (is.character(i)) `$.fitledger_tags`(x, i) else NextMethod()
}

#' @export
Ops.fitledger_mixed <- function(e1, e2) {
  refuse_mixed(if (inherits(e1, "fitledger_mixed")) e1 else e2)
}

#' @export
mtfrm.fitledger_mixed <- function(x) {
  refuse_mixed(x)
}

#' Read the raw events
#'
#' Every row of the ledger as it stands in the file: what all other views are made
#' of. Nothing is hidden here, sealed metrics included. It works where other
#' queries refuse because a later version has written events that they would have
#' to understand. `vignette("format")` says what the cells hold.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @returns A data frame with a row for each event: `seq`, `time` (`POSIXct` in UTC),
#'   `event`, `run_id`, `params`, `metrics`, `artifacts` and `context` (JSON text; `NA`
#'   where there is none), `hash`.
#' @section Errors:
#' `fitledger_error_corrupt` for a row that can't be read, with its number and byte, and those of the file, see
#' [fitledger_error]. Whether the hashes hold is for [verify_ledger()] to say.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 0.1), list(rmse = 1.2))
#' read_ledger(file)[c("seq", "event", "params", "metrics")]
read_ledger <- function(file) {
  file <- check_ledger(file, "file")
  write_buffered(file)
  as_frame(call_native(native_events, file))
}
