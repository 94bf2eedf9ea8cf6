# The server of a live view. It is a process of its own, which the session that
# started it talks to through a folder: it reads `config.rds`, answers with
# `state.rds`, and ends when the folder or the session is gone.

# The views of this session, by the paths of their ledgers.
views <- new.env(parent = emptyenv())

live_view <- function(file, call = rlang::caller_env()) {
  check_package("httpuv", "`live = TRUE`", call)
  result <- native_run_ids(file)
  if (is_failure(result, "plain_csv")) {
    abort(
      "argument", paste0("'", file, "' is a plain CSV, which can't be followed."),
      "`import_runs()` brings it over to a ledger; or leave `live` out.",
      arg = "live", call = call
    )
  }
  signal_failure(result, call)
  file <- absolute_path(file)
  known <- views[[file]]
  if (is.null(known) || !is_serving(known)) {
    if (!is.null(known) && known$process == Sys.getpid()) {
      unlink(known$folder, recursive = TRUE)
    }
    assign(file, start_view(file, call), views)
  }
  views[[file]]$address
}

is_serving <- function(view) {
  view$process == Sys.getpid() && dir.exists(view$folder) && !is_gone(view$server)
}

# What tells a process from every other.
this_process <- function() {
  c(call_native(native_process), pid = as.numeric(Sys.getpid()))
}

is_gone <- function(process) {
  call_native(native_is_gone, process$boot, process$pids, process$started, process$pid)
}

start_view <- function(file, call, patience = 60) {
  folder <- tempfile("view-")
  dir.create(folder, mode = "0700")
  started <- FALSE
  on.exit(if (!started) unlink(folder, recursive = TRUE))
  token <- call_native(native_token, call = call)
  libraries <- unique(c(dirname(getNamespaceInfo("fitledger", "path")), .libPaths()))
  saveRDS(
    list(file = file, token = token, libraries = libraries, session = this_process()),
    file.path(folder, "config.rds")
  )
  log <- file.path(folder, "log.txt")
  script <- system.file("view", "serve.R", package = "fitledger", mustWork = TRUE)
  system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script), shQuote(folder)),
    stdout = log, stderr = log, wait = FALSE
  )
  state <- wait_for_state(file.path(folder, "state.rds"), patience)
  if (is.null(state$port)) {
    said <- c(state$error, if (file.exists(log)) readLines(log, warn = FALSE))
    abort(
      "server", "The server of the live view did not start.",
      c(said, "Leave `live` out: then the page needs no server."),
      call = call
    )
  }
  started <- TRUE
  list(
    address = paste0("http://127.0.0.1:", state$port, "/", token, "/"),
    folder = folder, server = state$process, process = Sys.getpid()
  )
}

# The path of a page that leads to the address of a view; it goes with the view.
redirecting_page <- function(address) {
  view <- Find(function(view) identical(view$address, address), as.list(views))
  page <- file.path(view$folder, "open.html")
  writeLines(paste0(
    "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">",
    "<meta http-equiv=\"refresh\" content=\"0; url=", address, "\"><title>Live runs</title>"
  ), page)
  page
}

wait_for_state <- function(path, patience) {
  deadline <- Sys.time() + patience
  while (!file.exists(path)) {
    if (Sys.time() > deadline) {
      return(list(error = paste0("It said nothing for ", patience, " seconds.")))
    }
    Sys.sleep(0.02)
  }
  readRDS(path)
}

#' Stop live views
#'
#' Ends the servers of all live views that this R session has started with
#' [view_runs()]. They end with the session anyway.
#'
#' @returns How many there were, invisibly.
#' @export
#' @examples
#' stop_view()
stop_view <- function() {
  ended <- end_views()
  deadline <- Sys.time() + 5
  while (!all(vapply(ended, function(view) is_gone(view$server), logical(1))) && Sys.time() < deadline) {
    Sys.sleep(0.02)
  }
  n <- length(ended)
  cli_inform(if (n == 0) "There is no live view." else "Stopped {n} live view{?s}.")
  invisible(n)
}

# A process that was forked off has the views of its parent in its memory, and
# leaves them alone.
end_views <- function() {
  all <- as.list(views)
  ours <- Filter(function(view) view$process == Sys.getpid(), all)
  rm(list = names(all), envir = views)
  running <- Filter(is_serving, ours)
  lapply(ours, function(view) unlink(view$folder, recursive = TRUE))
  running
}

# ---- In the process of the server -------------------------------------------

# How often the page asks, in milliseconds.
poll <- 500

serve_view <- function(folder) {
  config <- readRDS(file.path(folder, "config.rds"))
  config$port <- httpuv::randomPort()
  server <- httpuv::startServer("127.0.0.1", config$port, view_app(config), quiet = TRUE)
  on.exit(server$stop())
  tell_state(folder, list(port = config$port, process = this_process()))
  serve <- function() {
    while (dir.exists(folder) && !is_gone(config$session)) httpuv::service(200)
    TRUE
  }
  # An interrupt at the console is meant for the session, and reaches us, too.
  while (!tryCatch(serve(), interrupt = function(e) FALSE)) {}
}

tell_state <- function(folder, state) {
  path <- file.path(folder, "state.rds")
  saveRDS(state, paste0(path, "-new"))
  file.rename(paste0(path, "-new"), path)
}

view_app <- function(config) {
  list(
    # What is refused is refused before its body is read.
    onHeaders = function(req) {
      status <- refused(req, config)
      if (!is.null(status)) respond(status)
    },
    call = function(req) {
      tryCatch(answer_view(req, config), error = function(e) {
        respond(503L, json = call_native(native_json, list(error = conditionMessage(e)), FALSE))
      })
    },
    onWSOpen = function(ws) ws$close()
  )
}

# The status with which a request is refused; NULL if it isn't. A page of
# somebody else's, whose name leads to this machine, is told by its `Host`.
refused <- function(req, config) {
  hosts <- paste0(c("127.0.0.1:", "localhost:"), config$port)
  if (!isTRUE(req$HTTP_HOST %in% hosts)) {
    return(403L)
  }
  paths <- paste0("/", config$token, c("/", "/data"))
  if (!any(vapply(paths, same_text, logical(1), req$PATH_INFO))) {
    return(404L)
  }
  if (!req$REQUEST_METHOD %in% c("GET", "HEAD")) {
    return(405L)
  }
  body <- c(req$HTTP_CONTENT_LENGTH, req$CONTENT_LENGTH, req$HTTP_TRANSFER_ENCODING)
  if (!all(body %in% c("", "0")) || !is.null(req$HTTP_UPGRADE)) {
    return(400L)
  }
  if (!grepl("^([?]since=[0-9]{1,15}[.][0-9]{1,15}[.][0-9]{1,15})?$", req$QUERY_STRING, useBytes = TRUE)) {
    return(400L)
  }
  NULL
}

# Compares every byte, wherever the first difference is.
same_text <- function(x, y) {
  x <- charToRaw(x)
  y <- charToRaw(y)
  length(x) == length(y) && sum(x != y) == 0
}

answer_view <- function(req, config) {
  if (endsWith(req$PATH_INFO, "/")) {
    page <- page_parts()
    live <- call_native(
      native_json, list(format = 1L, live = list(token = config$token, poll = as.integer(poll))), FALSE
    )
    return(respond(200L, page = paste0(page$before, live, page$after), head = req$REQUEST_METHOD == "HEAD"))
  }
  since <- sub("^[?]since=", "", req$QUERY_STRING)
  data <- native_page_data(check_ledger(config$file, "file"), if (nzchar(since)) since)
  if (is.null(data)) {
    return(respond(204L))
  }
  respond(200L, json = signal_failure(data), head = req$REQUEST_METHOD == "HEAD")
}

respond <- function(status, page = NULL, json = NULL, head = FALSE) {
  # RStudio shows its viewer in a frame of its own; nobody else is to.
  frames <- if (is.null(page)) "default-src 'none'; frame-ancestors 'none'" else "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
  type <- if (!is.null(page)) "text/html; charset=utf-8" else if (!is.null(json)) "application/json"
  list(
    status = status,
    headers = c(
      if (!is.null(type)) list("Content-Type" = type),
      if (status == 405L) list(Allow = "GET, HEAD"),
      list(
        "Content-Security-Policy" = frames,
        "X-Content-Type-Options" = "nosniff",
        "Referrer-Policy" = "no-referrer",
        "Cross-Origin-Resource-Policy" = "same-origin",
        "Cache-Control" = "no-store"
      )
    ),
    body = if (head) "" else page %||% json %||% ""
  )
}
