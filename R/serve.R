# The server of a live view. It is a process of its own, which the session that
# started it talks to through a folder: it reads `config.rds`, answers with
# `state.rds`, and ends when the folder or the session is gone.

# The views of this session, by their addresses.
views <- new.env(parent = emptyenv())

# `file` is the ledger's: of one in a database the mirror's, which the server has to bring up to date itself.
live_view <- function(ledger, file, where, context, port, call = rlang::caller_env()) {
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
  # What can't be answered is said here, where it was written.
  chosen_runs(file, where, call)
  file <- absolute_path(file)
  shown <- list(
    ledger = if (is_ledger(ledger)) carried_ledger(ledger, call) else file,
    where = carried_condition(where), context = context
  )
  # Two environments are never identical, but what is in them may be.
  key <- rlang::hash(list(file, rlang::quo_get_expr(shown$where), as.list(rlang::quo_get_env(shown$where), sorted = TRUE), context))
  for (known in as.list(views)) {
    if (!is_serving(known)) {
      if (known$process == Sys.getpid()) unlink(known$folder, recursive = TRUE)
      rm(list = known$address, envir = views)
    } else if (identical(known$key, key) && (is.null(port) || known$port == port)) {
      return(known$address)
    }
  }
  view <- c(start_view(shown, port, call), list(key = key))
  assign(view$address, view, views)
  view$address
}

# A condition that another process can evaluate: what it names goes with it, as it is now, but for what every R has.
carried_condition <- function(where) {
  expr <- rlang::quo_squash(where)
  rlang::new_quosure(expr, carried_variables(all.names(expr), envs_of(where)))
}

# The same of a ledger in a database.
carried_ledger <- function(ledger, call) {
  if (!is.function(ledger$connect)) {
    abort(
      "argument", "A live view has a connection of its own, and `connect` of this ledger is one that is open.",
      "Give `ledger_postgres()` a function that connects; or leave `live` out.",
      arg = "live", call = call
    )
  }
  if (identical(environment(ledger$connect), globalenv())) {
    environment(ledger$connect) <- carried_variables(names_of_code(ledger$connect), list(globalenv()))
  }
  ledger
}

# An environment with what some names mean in others, and what functions among that name in the workspace.
carried_variables <- function(names, envs) {
  own <- rlang::new_environment(parent = globalenv())
  carry <- function(names, envs) {
    for (name in setdiff(names, ls(own, all.names = TRUE))) {
      at <- Find(Negate(is.null), lapply(envs, function(env) home_of(name, env)))
      # A variable that can't be evaluated may have the name of a column, and not be needed.
      value <- if (!is.null(at) && !is_of_r(at)) tryCatch(list(get(name, at)), error = function(e) NULL)
      if (is.null(value)) {
        next
      }
      fun <- value[[1]]
      if (is.function(fun) && identical(environment(fun), globalenv())) {
        environment(fun) <- own
        assign(name, fun, own)
        carry(names_of_code(fun), list(globalenv()))
      } else {
        assign(name, fun, own)
      }
    }
  }
  carry(names, envs)
  own
}

names_of_code <- function(fun) {
  all.names(as.call(c(as.name("{"), body(fun), unname(formals(fun)))))
}

# The environments in which the parts of a condition were written.
envs_of <- function(code) {
  if (rlang::is_quosure(code)) {
    c(list(rlang::quo_get_env(code)), envs_of(rlang::quo_get_expr(code)))
  } else if (is.call(code)) {
    unlist(lapply(as.list(code), envs_of))
  }
}

# Whether what is in an environment is there in every R that was started anew.
is_of_r <- function(env) {
  packages <- paste0("package:", c("stats", "graphics", "grDevices", "utils", "datasets", "methods"))
  identical(env, baseenv()) || any(attr(env, "name") %in% c(packages, "Autoloads"))
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

# `shown`: the `ledger`, or its file, and `where` and `context` as `view_runs()` has them.
start_view <- function(shown, port, call, patience = 60) {
  folder <- tempfile("view-")
  dir.create(folder, showWarnings = FALSE, mode = "0700")
  started <- FALSE
  on.exit(if (!started) unlink(folder, recursive = TRUE))
  token <- call_native(native_token, call = call)
  libraries <- unique(c(dirname(getNamespaceInfo("fitledger", "path")), .libPaths()))
  save_object(
    c(shown, list(port = port, token = token, libraries = libraries, session = this_process())),
    file.path(folder, "config.rds"), "What the live view is to show", call
  )
  log <- file.path(folder, "log.txt")
  script <- system.file("view", "serve.R", package = "fitledger", mustWork = TRUE)
  system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script), shQuote(folder)),
    stdout = log, stderr = log, wait = FALSE
  )
  state <- wait_for_state(file.path(folder, "state.rds"), patience)
  if (isTRUE(state$taken)) {
    abort(
      "server", paste0("The server can't listen at port ", port, ": another program does, or the system keeps it."),
      "Give another `port`, or leave it out: then any that is free is taken. `stop_view()` ends the views of this session.",
      port = port, call = call
    )
  }
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
    port = state$port, folder = folder, server = state$process, process = Sys.getpid()
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
  # Cut short on a disk that is full.
  tryCatch(readRDS(path), error = function(e) list(error = paste0("What it said can't be read: ", conditionMessage(e))))
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

# After so many seconds a condition is asked again although no row came: it may be about the time, or a run got lost.
ask_again <- 5

serve_view <- function(folder) {
  config <- readRDS(file.path(folder, "config.rds"))
  # Whether it can be reached is said where the view was asked for.
  check_ledger(config$ledger, "file")
  asked <- config$port
  config$port <- asked %||% httpuv::randomPort()
  config$last <- new.env(parent = emptyenv())
  server <- tryCatch(
    httpuv::startServer("127.0.0.1", config$port, view_app(config), quiet = TRUE),
    error = function(e) if (is.null(asked)) stop(e)
  )
  if (is.null(server)) {
    return(tell_state(folder, list(taken = TRUE)))
  }
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
        # The message may name paths, or values of the condition.
        said <- if (config$context) conditionMessage(e) else "The ledger can't be shown now. `view_runs()` says why."
        respond(503L, json = call_native(native_json, list(error = said), FALSE))
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
  file <- check_ledger(config$ledger, "file")
  data <- native_page_data(
    file, if (nzchar(since)) since, asked_remarks(config$where, config$context), followed_runs(file, config), config$context
  )
  if (is.null(data)) {
    return(respond(204L))
  }
  respond(200L, json = signal_failure(data), head = req$REQUEST_METHOD == "HEAD")
}

# The runs that are shown now. What the last answer was is kept until something may have changed it.
followed_runs <- function(file, config) {
  last <- config$last
  look <- c(file.size(file), file.mtime(file))
  now <- as.numeric(Sys.time())
  # The clock may have been set back.
  if (!identical(look, last$look) || abs(now - last$time) > ask_again) {
    last$runs <- chosen_runs(file, config$where)
    last$look <- look
    last$time <- now
  }
  last$runs
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
