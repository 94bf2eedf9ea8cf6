#' See the runs of a ledger
#'
#' Writes one HTML page that shows everything on record: the runs as a table to
#' sort and filter, runs side by side, plots and learning curves, each run with
#' its artifacts, the models with their stages, lineage, and whether the ledger
#' verifies. The page is one file that needs no network and no server: open it,
#' send it, or embed it in a document.
#'
#' The page groups runs by any column, tag, experiment or parent, hides columns that no run
#' shown has, and puts the parameters that differ between the runs beside the metrics. The star is for the best run by the
#' metric that you choose, else by the first one that the search of the runs was given, else by the first that one of them
#' has. Which way is better it says, and why: by what the search of a run recorded, else
#' by the name of the metric, else smaller; or as you choose. Its conditions are those of [read_runs()], as far as
#' the page knows them; the `?` beside the field lists them, and what it doesn't know it refuses.
#'
#' With `live = TRUE` a server in an R process of its own shows the same page and
#' follows the ledger: what is appended shows within a second. It answers this
#' machine only, and only under the address that the call returns, which holds a
#' secret. It ends with the R session, or with [stop_view()]; where the system doesn't
#' tell processes apart, an R session that was killed may leave it behind. The page
#' says up to which row the ledger was verified: the rows that it had when the page
#' was loaded.
#'
#' Metrics that are sealed are not in the page, nor in
#' what the server tells. Of stored images, texts and tables it holds the
#' beginning, once their bytes are verified, and of folders the names. Stored R
#' objects are not unpacked for it, since that means to trust whoever wrote the
#' ledger: [read_artifact()] does it when you ask. What they looked like when they were
#' stored it shows, see [log_artifact()]. Artifacts that were recorded by
#' their path alone are never opened. What is left out, since you asked for it or the page would
#' become too large, is said on the page.
#'
#' @section Pages for others:
#' The page holds what the ledger says of people and machines, too. `context = FALSE`
#' leaves out, in the page and in what a server tells:
#'
#' - all that [fitledger_context] lists: users, hosts, processes, scripts, git, R and packages; so no
#'   column of these has a value, and changes of stages don't say whose they are;
#' - the calls of runs, from where runs were copied, and the errors by which runs failed, since
#'   these name packages and paths;
#' - the folders of files that were recorded by their paths.
#'
#' What runs recorded themselves stays as it is: parameters, metrics, tags, notes, reasons, artifacts and
#' what these look like. Look through that before you send the page elsewhere.
#'
#' With `where` the page holds only the runs for which the condition holds, void ones included
#' unless it says otherwise. The others are not in it: not in the
#' table, the plots, a comparison or the lineage, nor their artifacts, nor what is wrong with these. A run whose parent isn't shown shows none. Models
#' keep all their versions and say of which runs they are, also where the run isn't shown. A live
#' page asks again as rows come, so that runs come and go as they begin or cease to hold
#' the condition; the variables that it names stay as they were at the call.
#'
#' A ledger whose rows can't all be read is an error, as everywhere. Where they
#' can be read but don't verify, the page says so.
#'
#' @section In a document:
#' Write the page beside the document and embed it by an `<iframe>`:
#'
#' ````
#' ```{r}
#' #| results: asis
#' page <- view_runs("experiments.csv", "runs.html")
#' cat('<iframe src="', page, '" width="100%" height="600" title="Runs"></iframe>', sep = "")
#' ```
#' ````
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()],
#'   or the path of a plain CSV of runs.
#' @param path Path of the page to write; `NULL` for a temporary file. An earlier
#'   page is replaced; any other file is an error.
#' @param ... Must be empty: arguments after it are given by name.
#' @param where A condition that the runs fulfil that are shown, as in [read_runs()]; see
#'   *Pages for others*.
#' @param context `FALSE` to leave out what the ledger says of people and machines; see
#'   *Pages for others*.
#' @param live `TRUE` to follow the ledger. Takes the package httpuv; a ledger in a database is asked over a
#'   connection of the server's own, so that its `connect` must be a function.
#' @param port Of a live view, the port at which the server listens: a whole number from 1 to
#'   65535. `NULL` for any that is free.
#' @param open Whether to show the page: in RStudio's viewer if it is there,
#'   otherwise in the browser. A live page is opened by way of a file that only you
#'   can read; where the browser may not read it, paste the address that the call returns.
#' @returns `path`, or the address of the server, invisibly.
#' @section Errors:
#' `fitledger_error_exists` for a `path` where something else than an earlier page is, `fitledger_error_io` where it
#' can't be written; `fitledger_error_where` and `fitledger_error_unknown` for a condition that can't be answered, as
#' in [read_runs()]; `fitledger_error_package` of a live view, and `fitledger_error_server` where its server doesn't start, as
#' when another program has the port; and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' grid <- data.frame(lambda = c(0.01, 0.1, 1, 10, 100))
#' grid$rmse <- 2 + (log10(grid$lambda) + 0.3)^2 / 10
#' log_runs(file, grid, params = "lambda", metrics = "rmse")
#' page <- view_runs(file, open = FALSE)
#' file.size(page)
#'
#' # To send elsewhere: some of the runs, and nothing of people and machines.
#' page <- view_runs(file, where = rmse < 2.1, context = FALSE, open = FALSE)
#' @examplesIf interactive() && requireNamespace("httpuv", quietly = TRUE)
#'
#' # The same, live: log another run and it appears.
#' view_runs(file, live = TRUE)
#' log_run(file, list(lambda = 0.5), list(rmse = 1.99))
#' stop_view()
view_runs <- function(file, path = NULL, ..., where = NULL, context = TRUE, live = FALSE, port = NULL,
                      open = interactive()) {
  check_no_dots(..., known = c("where", "context", "live", "port", "open"))
  checked <- check_ledger(file, "file")
  ledger <- lasting_ledger(file, checked)
  file <- checked
  where <- enquo(where)
  check_flag(context, "context")
  check_flag(live, "live")
  check_port(port, live)
  check_flag(open, "open")
  if (!is.null(path)) {
    path <- check_path(path, "path")
  }
  if (live && !is.null(path)) {
    abort(
      "argument", "A live view is not written to a file.",
      "Leave `path` out, or leave `live` out.",
      arg = "path"
    )
  }
  write_buffered(file)
  shown <- if (live) live_view(ledger, file, where, context, port) else write_page(file, path, where, context)
  if (open) {
    show_page(shown)
  }
  invisible(shown)
}

check_port <- function(x, live, call = rlang::caller_env()) {
  if (is.null(x)) {
    return(invisible())
  }
  whole <- is.numeric(x) && !is.object(x) && length(x) == 1 && !is.na(x) && x == trunc(x)
  if (!whole || x < 1 || x > 65535) {
    abort_argument("port", "a whole number from 1 to 65535", x, call = call)
  }
  if (!live) {
    abort("argument", "A page that is a file has no port.", "Leave `port` out, or say `live = TRUE`.", arg = "port", call = call)
  }
}

# The ids of the runs for which a condition holds, NULL where there is none.
chosen_runs <- function(file, where, call = rlang::caller_env()) {
  if (rlang::quo_is_null(where)) {
    return(NULL)
  }
  named <- where_columns(where)
  table <- run_table(file, named, named %||% TRUE, void = TRUE, call = call)
  filter_table(table, where, call)$frame$run_id
}

# What of the ledger isn't shown because somebody asked for that. A condition may name people, too.
asked_remarks <- function(where, context) {
  condition <- if (context) paste0("for which `", without_controls(rlang::as_label(where)), "` holds")
  as.character(c(
    if (!rlang::quo_is_null(where)) paste0("Only runs ", condition %||% "that were chosen", " are on this page."),
    if (!context) "What the ledger says of people and machines is not on this page."
  ))
}

# The element that takes the data.
page_data <- c('<script id="ledger" type="application/json">', "</script>")

# The page without data, in two parts: the data go in between.
page_parts <- function() {
  path <- system.file("view", "page.html", package = "fitledger", mustWork = TRUE)
  page <- readChar(path, file.size(path), useBytes = TRUE)
  Encoding(page) <- "UTF-8"
  parts <- strsplit(page, paste(page_data, collapse = ""), fixed = TRUE)[[1]]
  list(before = paste0(parts[[1]], page_data[[1]]), after = paste0(page_data[[2]], parts[[2]]))
}

write_page <- function(file, path, where, context, call = rlang::caller_env()) {
  to <- path %||% tempfile("runs-", fileext = ".html")
  check_page(to, call)
  page <- page_parts()
  # In the same folder, so that the page appears in one step.
  temporary <- tempfile(".view-", dirname(to))
  on.exit(unlink(temporary, expand = FALSE))
  source <- plain_source(file, call)
  if (!is.null(source)) {
    on.exit(unlink(source$ledger), add = TRUE)
  }
  ledger <- source$ledger %||% file
  runs <- chosen_runs(ledger, where, call)
  result <- native_write_page(
    ledger, if (!is.null(source)) basename(file), c(source$remark, asked_remarks(where, context)), runs, context, c(page$before, page$after), temporary
  )
  if (is_failure(result, "io") && identical(result$path, temporary)) {
    result[c("message", "path")] <- list(sub(temporary, to, result$message, fixed = TRUE), to)
  }
  signal_failure(result, call)
  call_native(native_place_page, temporary, to, page_data[[1]], call = call)
  to
}

check_page <- function(path, call) {
  folder <- dirname(path)
  if (!dir.exists(folder)) {
    abort("io", paste0("There is no folder '", folder, "'."), "Make it first: `dir.create()`.", path = path, call = call)
  }
  if (dir.exists(path)) {
    abort("io", paste0("'", path, "' is a folder."), "Give the path of a file.", path = path, call = call)
  }
  if (file.access(folder, 2) != 0) {
    abort("io", paste0("The folder '", folder, "' can't be written to."), path = path, call = call)
  }
  if (file.exists(path) && !call_native(native_is_page, path, page_data[[1]])) {
    abort(
      "exists", paste0("'", path, "' exists and is not an earlier page."),
      "Choose another path, or remove the file first.",
      path = path, call = call
    )
  }
}

# The runs of a plain CSV in a ledger of their own, for a moment; NULL if the file is none.
plain_source <- function(file, call) {
  if (!is_plain(file)) {
    return(NULL)
  }
  plain <- read_plain(file, call = call)
  runs <- plain$runs
  if (nrow(runs) == 0) {
    abort("argument", paste0("'", file, "' is a plain CSV without a run."), "Log one first.", arg = "file", call = call)
  }
  columns <- setdiff(names(runs)[-(1:2)], status_column(runs, file, plain$lines, call))
  metrics <- suppressMessages(guess_metrics(runs[columns]))
  ledger <- tempfile(fileext = ".csv")
  old <- options(fitledger.context = character(), fitledger.sync = "none")
  on.exit(options(old))
  import_plain(file, ledger, metrics, running = TRUE, call = call)
  list(ledger = ledger, remark = paste0(
    "Which columns are metrics: a plain CSV doesn't say, and by their names these were taken: ",
    paste(metrics, collapse = ", "), "."
  ))
}

# A browser that is a program of its own has what it opens in its command line, which other users
# of the machine can list: a live page's address, with its secret, goes there in a file of ours.
show_page <- function(page) {
  viewer <- getOption("viewer")
  live <- startsWith(page, "http:")
  ours <- live || startsWith(normalizePath(page, "/"), normalizePath(tempdir(), "/"))
  if (is.function(viewer) && ours) {
    viewer(page)
  } else if (live && !is.function(getOption("browser"))) {
    utils::browseURL(redirecting_page(page))
  } else {
    utils::browseURL(page)
  }
}
