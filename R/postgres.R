# A ledger in a PostgreSQL database: what is sent there, and how.

#' A ledger in a PostgreSQL database
#'
#' A ledger that a team shares: the same rows, byte for byte, the same chain of
#' hashes, and the same functions, which take it wherever they take the path of a
#' file. The database gives rows their numbers, and lets nobody change them.
#'
#' The first use by somebody who may create schemas in the database sets it up: a
#' schema with a few tables and functions, and the ledger in it. Others get at a
#' ledger once its owner has shared it, see [share_ledger()]. All takes DBI and
#' RPostgres.
#'
#' What is asked is answered from a *mirror*, a ledger in a file of this machine's
#' cache, to which the rows are added that have come since, each checked against the
#' chain. So every member is a witness: a row that was seen once and is another one
#' later is an error that names it (`fitledger_error_forked`). In a database nothing
#' of live runs is held back.
#'
#' @param connect A function without arguments that connects, such as
#'   `function() DBI::dbConnect(RPostgres::Postgres(), service = "team")`. It is
#'   called once in each R process, and again where a connection was lost. A ledger that
#'   is made anew within a function has another `connect` each time, and connects each time: make
#'   it once. Or an open connection, which must not be inside a transaction. Where it is lost,
#'   another one is opened in the same way, as far as its driver can do that.
#' @param name Name of the ledger.
#' @param ... Must be empty: arguments after it are given by name.
#' @param schema Name of the schema: lower-case letters, digits and `_`.
#' @returns A ledger, of class `fitledger_ledger`: plain data. Nothing connects yet.
#' @section Errors:
#' `fitledger_error_argument`. Of calls that use it: `fitledger_error_database` where the
#' database can't be reached or refuses, with what it says as the error's parent;
#' `fitledger_error_forked` where the record there isn't the one that this machine has
#' seen, `fitledger_error_behind` where it ends earlier, and all those of a file,
#' see [fitledger_error].
#' @seealso `vignette("teams")` for setting up, rights, backups and work offline.
#' @export
#' @examples
#' team <- ledger_postgres(
#'   function() DBI::dbConnect(RPostgres::Postgres(), service = "team"),
#'   "experiments"
#' )
#' team
#' \dontrun{
#' log_run(team, list(lambda = 0.1), list(rmse = 1.2))
#' best_run(team, "rmse")
#' }
ledger_postgres <- function(connect, name, ..., schema = "fitledger") {
  check_no_dots(..., known = "schema")
  if (missing(connect)) {
    abort_argument("connect", "a function that connects, or a connection")
  }
  if (!is.function(connect) && !inherits(connect, "DBIConnection")) {
    abort_argument("connect", "a function that connects, or a connection", connect)
  }
  check_name(name, "name")
  if (!nzchar(name) || grepl("[[:cntrl:]]", name) || nchar(name, "bytes") > 200) {
    abort_argument("name", "a name of 1 to 200 bytes without control characters", name)
  }
  check_name(schema, "schema")
  if (!grepl("^[a-z_][a-z0-9_]{0,62}$", schema) || startsWith(schema, "pg_")) {
    abort_argument("schema", "a name of lower-case letters, digits and `_`", schema)
  }
  structure(
    list(connect = connect, name = enc2utf8(name), schema = schema),
    class = c("ledger_postgres", "fitledger_ledger")
  )
}

#' @export
format.fitledger_ledger <- function(x, ...) {
  paste0("<ledger ", encodeString(x$name, quote = "'"), " in a PostgreSQL database, schema ", x$schema, ">")
}

#' @export
print.fitledger_ledger <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' Share a ledger in a database
#'
#' Lets a role of the database, and whoever is a member of it, use a ledger: read it,
#' and write to it, too, unless you say no. Nobody can change or remove what is on
#' record.
#'
#' @param ledger A ledger, as [ledger_postgres()] returns it. It is begun if it isn't
#'   there. Who began it owns it, and can share it.
#' @param role Name of a role in the database, a person's or a group's.
#' @param ... Must be empty: arguments after it are given by name.
#' @param write `FALSE` for somebody who is to read only.
#' @returns The ledger, invisibly.
#' @section Errors:
#' `fitledger_error_argument`, and `fitledger_error_database` if there is no such role or the
#' ledger isn't yours.
#' @export
#' @examples
#' \dontrun{
#' share_ledger(team, "data_science")
#' share_ledger(team, "auditors", write = FALSE)
#' }
share_ledger <- function(ledger, role, ..., write = TRUE) {
  check_no_dots(..., known = "write")
  if (missing(ledger) || !is_ledger(ledger)) {
    abort(
      "argument", "`ledger` must be a ledger in a database, as `ledger_postgres()` returns it.",
      "A file is shared by the rights of its folder.",
      arg = "ledger"
    )
  }
  check_name(role, "role")
  check_flag(write, "write")
  open <- open_ledger(ledger)
  if (is.null(open$began)) {
    begin_ledger(open)
  }
  shared <- query(open, "share", ledger$name, role, write)
  if (!identical(shared, "true")) {
    abort("database", paste0("The ledger `", ledger$name, "` is somebody else's."), "Who began it can share it.")
  }
  invisible(ledger)
}

# ---- Connections ------------------------------------------------------------

# The version of `inst/postgres/setup.sql`.
setup_version <- "2"

# What is known of ledgers that this process has used, the last one first, each an environment: `ledger`, `pid`, `link`,
# `address`, and what `mirror.R` keeps. A link is the connection that ledgers share which connect alike. A forked child begins
# its own, and leaves its parent's connections alone: they stay referenced here, since their end would say goodbye to the
# server for the parent, too.
opened <- new.env(parent = emptyenv())
opened$ledgers <- list()

known_ledger <- function(ledger) {
  for (i in seq_along(opened$ledgers)) {
    open <- opened$ledgers[[i]]
    if (open$pid == Sys.getpid() && identical(open$ledger, ledger)) {
      if (i > 1) {
        opened$ledgers <- c(opened$ledgers[i], opened$ledgers[-i])
      }
      return(open)
    }
  }
  open <- new.env(parent = emptyenv())
  open$ledger <- ledger
  open$pid <- Sys.getpid()
  open$link <- link_of(ledger$connect)
  opened$ledgers <- c(list(open), opened$ledgers)
  open
}

link_of <- function(connect) {
  for (open in opened$ledgers) {
    if (open$pid == Sys.getpid() && identical(open$ledger$connect, connect)) {
      return(open$link)
    }
  }
  new.env(parent = emptyenv())
}

# So many stay open of what is one ledger, each with a connection of its own.
most_open <- 4

# Who makes the ledger anew in each call of a function has another function that connects each time, which is told from the
# others by nothing. Those that were used longest ago are left: who has one still may go on with it.
close_older <- function(open) {
  is_same <- vapply(opened$ledgers, function(known) known$pid == open$pid && identical(known$path, open$path), NA)
  older <- utils::tail(opened$ledgers[is_same], -most_open)
  opened$ledgers <- Filter(function(known) !any(vapply(older, identical, NA, known)), opened$ledgers)
  for (known in older) {
    in_use <- vapply(opened$ledgers, function(other) identical(other$link$connection, known$link$connection), NA)
    if (!any(in_use)) drop_connection(known)
  }
}

connection_of <- function(open, call) {
  if (!is.null(open$link$connection)) {
    return(open$link$connection)
  }
  for (package in c("DBI", "RPostgres")) {
    check_package(package, "A ledger in a PostgreSQL database", call)
  }
  connect <- open$ledger$connect
  connection <- if (!is.function(connect)) {
    connect
  } else {
    tryCatch(connect(), error = function(e) {
      abort("database", "Can't connect to the database.", parent = e, call = call)
    })
  }
  if (!inherits(connection, "PqConnection")) {
    abort_argument("connect", "a function that gives a connection of RPostgres, or one", connection, call = call)
  }
  is_cut <- is.function(connect) && was_cut(connection)
  if (is_cut) {
    opened$cut <- c(opened$cut, list(connection))
  } else if (is.function(connect)) {
    # Where a role or a database has it otherwise, who comes second would be refused.
    set <- "SET default_transaction_isolation = 'read committed'"
    try(suppressWarnings(suppressMessages(DBI::dbExecute(connection, set, immediate = TRUE))), silent = TRUE)
  }
  backend <- if (is_cut) NA else backend_of(connection)
  if (is.na(backend)) {
    abort("database", "The connection to the database was lost.", "Try again.", call = call)
  }
  open$link$backend <- backend
  open$link$connection <- connection
}

# Whether a new connection was lost in the last question of its making, for the database's types, whose error RPostgres keeps to
# itself. A further question to it may end R, and so may its end: it stays referenced, in `opened$cut`.
was_cut <- function(connection) {
  methods::.hasSlot(connection, "typnames") && !NROW(connection@typnames)
}

# A connection whose state isn't known any more.
drop_connection <- function(open) {
  forget_prepared(open$link)
  if (is.function(open$ledger$connect) && !is.null(open$link$connection)) {
    try(suppressWarnings(DBI::dbDisconnect(open$link$connection)), silent = TRUE)
  }
  open$link$connection <- NULL
}

# How long a lost connection is tried to be had again, in seconds: a server that is started again takes a moment.
longest_outage <- 15

# Calls one of our functions in the database, which gives a text, or bytes. What each does may be done twice: so a connection
# that was lost is made anew, and the call is made again.
query <- function(open, fun, ..., bytes = FALSE, call = rlang::caller_env()) {
  ask(open, paste0("SELECT ", sql_call(open, fun, ...), if (!bytes) "::text"), call)
}

# The same of functions that give an array of texts, none of which has a control character. Names are qualified in all that is
# asked: somebody may have planted a function that fits better in a schema where names are looked up.
query_texts <- function(open, fun, ..., call = rlang::caller_env()) {
  texts <- paste0("pg_catalog.array_append(", sql_call(open, fun, ...), ", ''::text)")
  joined <- ask(open, paste0("SELECT pg_catalog.array_to_string(", texts, ", E'\\x1f')"), call)
  strsplit(joined, "\x1f", fixed = TRUE)[[1]]
}

# Appends rows; the parts of the answer. On a connection of our own it is a statement that is prepared once, and then takes
# half of what a question costs. Another one may be inside a transaction: the times are equal in the first question of one, but
# for a prepared statement's.
ask_append <- function(open, request, seen, decided_on, cells, waits, call, refused = abort_refused) {
  rows <- sprintf("%.0f", c(seen$seq, decided_on))
  values <- list(open$ledger$name, request, rows[[1]], seen$hash, rows[[2]], cells, waits)
  append <- paste0("CALL \"", open$ledger$schema, "\".append(")
  joined <- if (is.function(open$ledger$connect)) {
    ask(open, paste0(append, "$1, $2, $3, $4, $5, $6, $7, true, NULL)"), call, values, refused)
  } else {
    outside <- "pg_catalog.now() OPERATOR(pg_catalog.=) pg_catalog.statement_timestamp()"
    ask(open, paste0(append, call_native(native_sql, values), ", ", outside, ", NULL)"), call, refused = refused)
  }
  strsplit(joined, "\x1f", fixed = TRUE)[[1]]
}

# The same, of rows that may be on record although the question failed: what it took too long for, under a `statement_timeout`, or
# was cancelled in, may have been the wait for the disk. So it is asked again, without that wait.
ask_append_surely <- function(open, request, seen, decided_on, cells, waits, call) {
  ask_append(open, request, seen, decided_on, cells, waits, call, refused = function(refusal, call) {
    give_up <- function(again, call) abort_refused(refusal, call)
    again <- ask_append(open, request, seen, decided_on, cells, FALSE, call, refused = give_up)
    if (again[[1]] == "ok" && waits) {
      tryCatch(query(open, "flush", call = call), fitledger_error_database = function(e) {
        abort_not_durable(open, e, "The server was kept from waiting for its disk.", "if it crashes now", call)
      })
    }
    paste(again, collapse = "\x1f")
  })
}

sql_call <- function(open, fun, ...) {
  paste0("\"", open$ledger$schema, "\".", fun, "(", call_native(native_sql, list(...)), ")")
}

# The answer to a question. What the database refuses, `refused` answers: with the error of the driver, or what it gives instead.
ask <- function(open, sql, call, values = NULL, refused = abort_refused) {
  began <- NULL
  repeat {
    answer <- tryCatch(ask_once(open, sql, call, values), error = identity)
    if (!inherits(answer, "error")) {
      return(answer)
    }
    if (inherits(answer, "fitledger_error")) {
      stop(answer)
    }
    if (was_closed(open$link)) {
      next
    }
    if (identical(backend_of(open$link$connection), open$link$backend)) {
      return(refused(answer, call))
    }
    drop_connection(open)
    began <- began %||% Sys.time()
    reconnect(open, began, answer, call)
  }
}

abort_refused <- function(refusal, call) {
  abort("database", "The database refused.", parent = refusal, call = call)
}

# One question. An interrupt would leave its answer on the way, and the next question get it. What the server warns of
# meanwhile is kept in `warned`: RPostgres makes a message of it, which begins with how grave it is. R's warnings are its own,
# as of an answer that somebody has left open on the connection, or an interrupt.
ask_once <- function(open, sql, call, values) {
  connection <- connection_of(open, call)
  get <- function(sql) {
    forget_prepared(open$link)
    DBI::dbGetQuery(connection, sql, immediate = TRUE)[[1]][[1]]
  }
  open$warned <- NULL
  heard <- function(message) {
    if (!grepl("^(DEBUG|LOG|INFO|NOTICE)", conditionMessage(message))) {
      open$warned <- conditionMessage(message)
    }
    invokeRestart("muffleMessage")
  }
  answer <- withCallingHandlers(
    if (is.null(values)) get(sql) else get_prepared(open$link, sql, values),
    interrupt = function(e) drop_connection(open),
    message = heard,
    warning = function(w) invokeRestart("muffleWarning")
  )
  # Some of it says goodbye, after a whole answer.
  if (!is.null(open$warned)) {
    serves <- tryCatch(suppressMessages(get("SELECT pg_catalog.pg_backend_pid()")), error = function(e) NULL)
    if (!identical(serves, open$link$backend)) {
      open$warned <- NULL
    }
  }
  answer
}

# A statement that is asked again and again, with values for what it leaves open. A connection has one at a time, and forgets
# it with any other question, which may be somebody else's where `connect()` gives a connection that they have, too.
#
# The methods of DBI's generics are called themselves: to check the class of what they give, as these do, takes about a tenth of
# all that R does for an append.
get_prepared <- function(link, sql, values) {
  if (!identical(link$prepared$sql, sql)) {
    forget_prepared(link)
    result <- DBI::dbSendQuery(link$connection, sql)
    link$prepared <- list(
      sql = sql, result = result,
      bind = methods::selectMethod(DBI::dbBind, class(result)), fetch = methods::selectMethod(DBI::dbFetch, class(result))
    )
  }
  prepared <- link$prepared
  prepared$bind(prepared$result, values)
  answer <- .subset2(prepared$fetch(prepared$result), 1)[[1]]
  if (is.null(prepared$was_asked)) {
    link$prepared$was_asked <- TRUE
  }
  answer
}

forget_prepared <- function(link) {
  if (!is.null(link$prepared)) {
    try(suppressWarnings(DBI::dbClearResult(link$prepared$result)), silent = TRUE)
    link$prepared <- NULL
  }
}

# Forgets a statement; whether somebody else has closed it since it was asked last, so that it has to be prepared anew.
was_closed <- function(link) {
  prepared <- link$prepared
  closed <- isTRUE(prepared$was_asked) && !DBI::dbIsValid(prepared$result)
  forget_prepared(link)
  closed
}

# The process of the server that serves a connection, NA if there is none. RPostgres makes a broken connection anew by itself
# once it is used, so that only this says that it was lost. It knows the process without a question, which a transaction
# that has failed would refuse; older versions of it don't.
backend_of <- function(connection) {
  ask <- function() DBI::dbGetQuery(connection, "SELECT pg_catalog.pg_backend_pid()", immediate = TRUE)[[1]]
  tryCatch(suppressMessages(DBI::dbGetInfo(connection)$pid %||% ask()), error = function(e) NA_integer_)
}

# Makes a connection that was lost anew. `began`: since when this is tried, also where the same question has ended new ones.
reconnect <- function(open, began, lost, call) {
  how <- "is lost each time that this is asked."
  repeat {
    if (difftime(Sys.time(), began, units = "secs") > longest_outage) {
      abort(
        "database", paste("The connection to the database", how),
        "Whether what was being logged is on record shows in `read_runs()`.",
        parent = lost, call = call
      )
    }
    allowInterrupts(Sys.sleep(0.05))
    connected <- tryCatch(connection_of(open, call), error = identity)
    if (!inherits(connected, "error")) {
      return(invisible())
    }
    how <- "was lost, and can't be made anew."
  }
}

# ---- Setting up -------------------------------------------------------------

# Who connects for the first time finds out whether all is there.
set_up <- function(open, call) {
  schema <- open$ledger$schema
  there <- ask(open, paste0(
    "SELECT coalesce((SELECT pg_catalog.has_schema_privilege(oid, 'USAGE')::text FROM pg_catalog.pg_namespace WHERE nspname = '",
    schema, "'), 'none')"
  ), call)
  if (there == "false") {
    abort(
      "database", paste0("You have no right to use the schema `", schema, "` of the database."),
      "Ask the owner of the ledger for `share_ledger()`.",
      call = call
    )
  }
  if (there == "none") {
    create_schema(open, call)
  }
  # A question may have made the connection anew.
  info <- DBI::dbGetInfo(connection_of(open, call))
  # Each user has a mirror of their own: it shows what the server has shown to them.
  open$address <- paste(info$host, info$port, info$dbname, info$username, schema, open$ledger$name, sep = "\n")
}

create_schema <- function(open, call) {
  connection <- open$link$connection
  schema <- open$ledger$schema
  path <- system.file("postgres", "setup.sql", package = "fitledger", mustWork = TRUE)
  sql <- gsub("@schema@", paste0("\"", schema, "\""), readLines(path, encoding = "UTF-8"), fixed = TRUE)
  encoding <- ask(open, "SELECT pg_catalog.current_setting('server_encoding')", call)
  if (encoding != "UTF8") {
    abort("database", paste0("The database has the encoding ", encoding, "; a ledger takes UTF8."), call = call)
  }
  get <- function(...) DBI::dbGetQuery(connection, paste0(...), immediate = TRUE)[[1]]
  # An interrupt would leave the transaction open, and others waiting for its lock.
  made <- suspendInterrupts(tryCatch(
    DBI::dbWithTransaction(connection, {
      # Of several who are first, one makes it.
      get("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('fitledger schema ", schema, "', 0))::text")
      if (get("SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_namespace WHERE nspname = '", schema, "'") == 0) {
        DBI::dbExecute(connection, paste(sql, collapse = "\n"), immediate = TRUE)
      }
    }),
    error = identity
  ))
  if (inherits(made, "error")) {
    abort(
      "database", paste0("The schema `", schema, "` isn't there, and can't be made."),
      "It takes a role that may create schemas in the database; `vignette(\"teams\")` says how.",
      parent = made, call = call
    )
  }
}

may_begin <- function(open, call) {
  fun <- paste0("\"", open$ledger$schema, "\".begin_ledger(", paste(rep("pg_catalog.text", 3), collapse = ", "), ")")
  answer <- or_null(ask(open, paste0("SELECT pg_catalog.has_function_privilege('", fun, "', 'EXECUTE')::text"), call))
  !identical(answer, "false")
}

# Begins the ledger, unless somebody else was faster.
begin_ledger <- function(open, call = rlang::caller_env()) {
  new <- call_native(native_new_ledger)
  tryCatch(
    query(open, "begin_ledger", open$ledger$name, new$id, new$time, call = call),
    fitledger_error_database = function(e) {
      # What can't be done now says nothing of rights.
      if (is.null(open$link$connection) || may_begin(open, call)) {
        stop(e)
      }
      abort(
        "database", paste0("There is no ledger `", open$ledger$name, "` in the database, and you may not begin one."),
        "Ask the owner of the schema to begin it, and to share it by `share_ledger()`.",
        parent = e$parent, call = call
      )
    }
  )
  open$began <- TRUE
  refresh_mirror(open, call)
}

# ---- Stored bytes -----------------------------------------------------------

# In bytes. A part is in memory some times over: here, in hexadecimal digits, and in the server.
part_bytes <- 4 * 2^20

# Which of some objects the database doesn't have.
missing_objects <- function(open, sha256, call) {
  query_texts(open, "missing_objects", open$ledger$name, as.list(sha256), call = call)
}

# Sends the bytes of an object, in parts. Others see it once all are there. A server that crashed meanwhile may have lost parts
# that it had: then it is sent again.
send_object <- function(open, sha256, path, call) {
  for (try in 1:3) {
    if (send_parts(open, sha256, path, call)) {
      return(invisible())
    }
  }
  abort("database", paste0("The stored bytes ", sha256, " did not arrive whole."), "Log them again.", call = call)
}

send_parts <- function(open, sha256, path, call) {
  upload <- query(open, "begin_upload", open$ledger$name, sha256, call = call)
  if (is.na(upload)) {
    abort_forbidden(open, call)
  }
  upload <- as.numeric(upload)
  file <- file(path, "rb")
  on.exit(close(file))
  parts <- 0
  repeat {
    bytes <- readBin(file, "raw", part_bytes)
    if (!length(bytes) && parts > 0) {
      break
    }
    query(open, "put_part", upload, parts, bytes, call = call)
    parts <- parts + 1
    if (length(bytes) < part_bytes) {
      break
    }
  }
  query(open, "end_upload", upload, parts, call = call) == "true"
}

# Brings the bytes of an object to this machine, beside the mirror. An upload that isn't what its name says is passed over.
fetch_object <- function(open, sha256, call) {
  uploads <- query_texts(open, "uploads_of", open$ledger$name, sha256, call = call)
  temporary <- tempfile()
  on.exit(unlink(temporary))
  for (i in seq_len(length(uploads) / 2)) {
    file <- file(temporary, "wb")
    tryCatch(
      {
        part <- 0
        while (part < as.numeric(uploads[[2 * i]])) {
          bytes <- query(open, "get_part", as.numeric(uploads[[2 * i - 1]]), part, bytes = TRUE, call = call)
          # Only of an empty object is a part empty, its first.
          if (!length(bytes) || !is.raw(bytes)) break
          writeBin(bytes, file)
          part <- part + 1
        }
      },
      finally = close(file)
    )
    if (identical(call_native(native_hash_file, temporary, NULL, call = call)$sha256, sha256)) {
      call_native(native_store_file, append_request(open$path), temporary, NULL, call = call)
      return(TRUE)
    }
  }
  FALSE
}

abort_forbidden <- function(open, call) {
  abort(
    "database", paste0("You have no right to write to the ledger `", open$ledger$name, "`."),
    "Nothing was written. Its owner can give it to you by `share_ledger()`.",
    call = call
  )
}
