# A PostgreSQL server of the tests' own, on loopback, in a temporary folder; it ends with the tests.

postgres <- new.env(parent = emptyenv())

# Where the programs of a server are: the newest that there is.
postgres_programs <- function() {
  found <- c(dirname(normalizePath(Sys.which("initdb"), mustWork = FALSE)), rev(sort(dirname(Sys.glob("/usr/lib/postgresql/*/bin/initdb")))))
  found <- found[file.exists(file.path(found, "initdb"))]
  if (length(found)) found[[1]]
}

skip_without_postgres <- function() {
  skip_on_cran()
  skip_if_not_installed("DBI")
  skip_if_not_installed("RPostgres")
  skip_on_os("windows")
  if (is.null(postgres_programs())) {
    skip("there is no PostgreSQL server on this machine")
  }
  tryCatch(start_postgres(), error = function(e) skip(paste("no PostgreSQL server could be started:", conditionMessage(e))))
}

# A server doesn't run as root: then it is a user's that the package of the server has made, or that we make.
as_ordinary_user <- function() {
  if (Sys.info()[["effective_user"]] != "root") {
    return(NULL)
  }
  known <- function(user) system2("id", c("-u", user), stdout = FALSE, stderr = FALSE) == 0
  user <- Find(known, c("postgres", "fitledger-tests"))
  if (is.null(user)) {
    user <- "fitledger-tests"
    system2("useradd", c("--system", user), stdout = FALSE, stderr = FALSE)
  }
  user
}

postgres_program <- function(program, arguments, ...) {
  command <- c(file.path(postgres$programs, program), arguments)
  if (!is.null(postgres$user)) {
    command <- c("runuser", "-u", postgres$user, "--", command)
  }
  system2(command[[1]], command[-1], ...)
}

start_postgres <- function() {
  if (!is.null(postgres$port)) {
    return(invisible(postgres$port))
  }
  # Mirrors of this session, and of those that it starts.
  Sys.setenv(R_USER_CACHE_DIR = file.path(tempdir(), "cache"), R_USER_DATA_DIR = file.path(tempdir(), "data"))
  postgres$programs <- postgres_programs()
  postgres$user <- as_ordinary_user()
  # Paths of sockets are short.
  postgres$folder <- tempfile("pg-", "/tmp")
  dir.create(postgres$folder, mode = "0755")
  if (!is.null(postgres$user)) {
    system2("chown", c(postgres$user, postgres$folder))
  }
  data <- postgres_data()
  log <- file.path(tempdir(), "initdb.log")
  status <- postgres_program("initdb", c("-D", data, "-U", "owner", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"), stdout = log, stderr = log)
  if (status != 0) {
    stop(paste(readLines(log), collapse = "\n"))
  }
  owner <- Sys.getpid()
  reg.finalizer(postgres, function(postgres) {
    if (Sys.getpid() == owner) {
      stop_postgres()
      unlink(postgres$folder, recursive = TRUE)
    }
  }, onexit = TRUE)
  for (try in 1:5) {
    port <- sample(20000:60000, 1)
    if (run_postgres(port) == 0) {
      postgres$port <- port
      return(invisible(port))
    }
  }
  stop("it does not start")
}

postgres_data <- function() file.path(postgres$folder, "data")

run_postgres <- function(port = postgres$port, options = NULL, data = postgres_data()) {
  settings <- paste(c("-p", port, "-k", postgres$folder, "-c listen_addresses=127.0.0.1 -c max_connections=50", options), collapse = " ")
  log <- file.path(postgres$folder, "log")
  postgres_program("pg_ctl", c("-D", data, "-o", shQuote(settings), "-l", log, "-w", "start"), stdout = FALSE, stderr = FALSE)
}

# `immediate` is a crash: nothing is written that wasn't.
stop_postgres <- function(mode = "immediate", data = postgres_data()) {
  postgres_program("pg_ctl", c("-D", data, "-m", mode, "-w", "stop"), stdout = FALSE, stderr = FALSE)
}

# A function that connects as a role.
postgres_connect <- function(user = "owner") {
  port <- postgres$port
  rlang::new_function(list(), bquote(
    DBI::dbConnect(RPostgres::Postgres(), host = "127.0.0.1", port = .(port), user = .(user), dbname = "postgres", timezone_out = "UTC")
  ), globalenv())
}

# A ledger in the database, with mirrors of its own.
local_postgres <- function(user = "owner", name = basename(tempfile("ledger-")), env = parent.frame(), schema = "fitledger") {
  skip_without_postgres()
  ledger_postgres(postgres_connect(user), name, schema = schema)
}

# Runs SQL as the database's owner.
postgres_sql <- function(...) {
  connection <- postgres_connect()()
  on.exit(DBI::dbDisconnect(connection))
  # Of what gives no rows it warns.
  suppressWarnings(DBI::dbGetQuery(connection, paste0(...), immediate = TRUE))
}

# A role that can connect.
postgres_role <- function(role) {
  if (nrow(postgres_sql("SELECT 1 FROM pg_roles WHERE rolname = '", role, "'")) == 0) {
    postgres_sql("CREATE ROLE ", role, " LOGIN")
  }
}

# From here on this is a machine, and an R session, that has nothing of any ledger yet.
another_machine <- function(env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  withr::local_envvar(R_USER_CACHE_DIR = file.path(folder, "cache"), R_USER_DATA_DIR = file.path(folder, "data"), .local_envir = env)
  before <- opened$ledgers
  opened$ledgers <- list()
  withr::defer(opened$ledgers <- before, env)
  folder
}

# This machine in a new R session.
new_session <- function() {
  opened$ledgers <- list()
}

# Who owns the server can do what nobody else can.
rewrite_history <- function(ledger, seq, from, to) {
  postgres_sql(
    "BEGIN; SET LOCAL session_replication_role = replica; UPDATE fitledger.rows SET line = convert_to(replace(convert_from(line, 'UTF8'), '",
    from, "', '", to, "'), 'UTF8') WHERE seq = ", seq, " AND ledger = (SELECT ledger FROM fitledger.ledgers WHERE name = '", ledger$name, "'); COMMIT"
  )
}

# Computes the chain anew from a row on, as somebody would who covers their tracks.
rechain <- function(ledger, from) {
  postgres_sql(
    "BEGIN; SET LOCAL session_replication_role = replica; DO $do$ DECLARE r record; h text; body text; l int; BEGIN ",
    "SELECT ledger INTO l FROM fitledger.ledgers WHERE name = '", ledger$name, "'; ",
    "SELECT fitledger.hash_of(line) INTO h FROM fitledger.rows WHERE ledger = l AND seq = ", from - 1, "; ",
    "FOR r IN SELECT * FROM fitledger.rows WHERE ledger = l AND seq >= ", from, " ORDER BY seq LOOP ",
    "body := left(convert_from(r.line, 'UTF8'), -65); h := fitledger.row_hash(h, body); ",
    "UPDATE fitledger.rows SET line = convert_to(body || ',' || h, 'UTF8') WHERE ledger = l AND seq = r.seq; END LOOP; ",
    "UPDATE fitledger.ledgers SET hash = h WHERE ledger = l; END $do$; COMMIT"
  )
}
