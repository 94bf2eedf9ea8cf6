# postgres.R WHAT ROUNDS FOLDER: ledgers in a PostgreSQL database, on a server of our own that is killed, cut off, set back
# and tampered with. Says what postgres.sh reads; for `lacks`, what is missing for all of it.
arguments <- commandArgs(trailingOnly = TRUE)
Sys.setenv(TZ = "UTC")
rounds <- as.integer(arguments[[2]])
folder <- normalizePath(arguments[[3]])
suppressPackageStartupMessages(library(fitledger))
library(parallel)
helpers <- new.env(parent = asNamespace("fitledger"))
for (helper in c("wait", "postgres")) sys.source(sprintf("tests/testthat/helper-%s.R", helper), helpers)
attach(helpers)
opened <- fitledger:::opened
# Shorter than the shell's, which sees a hang of this process.
helpers$patience <- 300
cases <- 0
say <- function(column, ...) cat(column, " ", gsub("\\s+", " ", paste0(...)), "\n", sep = "")
over <- function(n = 1) {
  cases <<- cases + n
  say("cases", cases)
}
call_native <- fitledger:::call_native
native_hash_file <- fitledger:::native_hash_file
pick <- function(x) x[[sample.int(length(x), 1)]]
text_of <- function(e) {
  cause <- if (inherits(e$parent, "error")) paste0(" (", conditionMessage(e$parent), ")")
  paste0(class(e)[[1]], ": ", conditionMessage(e), cause)
}

lacks <- function() {
  packages <- Filter(function(package) !requireNamespace(package, quietly = TRUE), c("DBI", "RPostgres"))
  what <- c(packages, if (is.null(postgres_programs())) "a PostgreSQL server")
  if (length(what)) cat("missing:", toString(what))
}

# What only some classes take.
need <- function(...) {
  programs <- c(Sys.which("python3"), pg_basebackup = file.path(postgres_programs(), "pg_basebackup"))
  missing <- Filter(function(program) !file.exists(programs[[program]]), c(...))
  if (length(missing)) {
    say("skipped", "missing: ", toString(missing))
    quit("no")
  }
}

# ---- The server ------------------------------------------------------------

# Each of its processes dies at once.
kill_postgres <- function() {
  main <- as.integer(readLines(file.path(postgres_data(), "postmaster.pid"), n = 1))
  tools::pskill(main, tools::SIGSTOP)
  read <- function(path) tryCatch(readLines(path), error = function(e) NULL)
  stats <- suppressWarnings(unlist(lapply(Sys.glob("/proc/[0-9]*/stat"), read)))
  parent <- as.integer(sub("^.*\\) \\S+ (\\d+).*$", "\\1", stats))
  tools::pskill(c(main, as.integer(sub(" .*", "", stats))[parent == main]), tools::SIGKILL)
}

crash_postgres <- function(how) {
  if (how == "kill") kill_postgres() else stop_postgres(how)
}

start_again <- function(options = NULL) wait_until(run_postgres(options = options) == 0, "the server to start")

# ---- Members ---------------------------------------------------------------

# A member of the team: a machine of their own, and an R session on it.
member <- function(name) {
  it <- new.env(parent = emptyenv())
  it$home <- file.path(folder, "machines", name)
  it$opened <- list()
  it
}

at <- function(member, expr) {
  before <- opened$ledgers
  on.exit({
    member$opened <- opened$ledgers
    opened$ledgers <- before
  })
  Sys.setenv(R_USER_CACHE_DIR = file.path(member$home, "cache"), R_USER_DATA_DIR = file.path(member$home, "data"))
  opened$ledgers <- member$opened
  expr
}

# Their session is over.
restart <- function(...) {
  for (member in list(...)) {
    for (open in member$opened) fitledger:::drop_connection(open)
    member$opened <- list()
  }
}

lose_mirror <- function(member) {
  unlink(file.path(member$home, "cache"), recursive = TRUE)
  restart(member)
}

mirror_of <- function(member) {
  files <- list.files(member$home, "mirror\\.csv$", recursive = TRUE, full.names = TRUE)
  if (length(files)) files[[1]]
}

apart <- function(member, expr) {
  eval(substitute(mcparallel({ at(member, expr); "done" }, silent = TRUE)), parent.frame())
}

# Waits until processes have ended by themselves.
collect <- function(jobs, what) {
  left <- vapply(jobs, function(job) job$pid, 0L)
  wait_until(
    {
      for (job in jobs[vapply(jobs, function(job) job$pid %in% left, NA)]) {
        value <- suppressWarnings(mccollect(job, wait = FALSE))
        if (is.null(value)) next
        left <- setdiff(left, job$pid)
        suppressWarnings(mccollect(job))
        if (!identical(value[[1]], "done")) say("crashes", what, ": a client ends with ", format(value))
      }
      !length(left)
    },
    paste("clients to end", what)
  )
}

# ---- What was acknowledged -------------------------------------------------

acked <- file.path(folder, "acked")
attempts <- 0

# What is written says which attempt it is of, so that the database can be asked how often it is there.
new_key <- function() {
  attempts <<- attempts + 1
  paste0("k", Sys.getpid(), "x", attempts, "x", sample.int(1e6, 1), "x")
}

# A kill can cut even a short write: a cut line counts for nothing, and takes no other with it.
note <- function(...) cat(paste0("\n", gsub("\\s+", " ", paste(...)), "\n"), file = acked, append = TRUE)

# What is tried and fails is not on record, but where nobody can know. Within `with_run()` a failure is a warning.
attempt <- function(write) {
  key <- new_key()
  note(key, "tried")
  failed <- NULL
  outcome <- tryCatch(
    withCallingHandlers(
      {
        write(key)
        if (is.null(failed)) "acked" else stop(failed)
      },
      fitledger_warning_not_recorded = function(w) failed <<- simpleError(conditionMessage(w)),
      fitledger_warning_end = function(w) say("other", "no end: ", conditionMessage(w))
    ),
    error = function(e) {
      known <- !inherits(e, "fitledger_error_durability_unknown") && !grepl("can't be made anew", conditionMessage(e))
      paste(if (known) "refused" else "unknown", text_of(e))
    }
  )
  note(key, outcome)
  outcome
}

lines_of <- function(ledger) {
  schema <- paste0("\"", ledger$schema, "\"")
  postgres_sql(
    "SELECT convert_from(line, 'UTF8') FROM ", schema, ".rows JOIN ", schema, ".ledgers USING (ledger) WHERE name = '",
    gsub("'", "''", ledger$name), "' ORDER BY rows.seq"
  )[[1]]
}

judged <- 0

# What has become of all attempts on a ledger since it was judged last. Refusals are faults unless they match a pattern.
judge <- function(ledger, what, refusals = "^$") {
  said <- if (file.exists(acked)) grep("^k\\d+x\\d+x\\d+x (tried|acked|refused|unknown)", readLines(acked), value = TRUE)
  unlink(acked)
  outcome <- sub("^\\S+ (\\S+).*$", "\\1", said)
  key <- sub(" .*", "", said)
  outcome <- outcome[!duplicated(key, fromLast = TRUE)]
  text <- said[!duplicated(key, fromLast = TRUE)]
  key <- sub(" .*", "", text)
  lines <- lines_of(ledger)
  found <- unlist(lapply(regmatches(lines, gregexpr("k\\d+x\\d+x\\d+x", lines)), unique))
  times <- tabulate(match(found, key), length(key))
  show <- function(column, bad, why) for (i in which(bad)) say(column, what, ": ", why, ": ", text[[i]])
  show("lost", outcome == "acked" & times == 0, "acknowledged, and not there")
  show("lost", times > 1, "there more than once")
  show("other", outcome == "refused" & times > 0, "refused, and there")
  show("other", outcome == "refused" & !grepl(refusals, text), "refused")
  judged <<- judged + 1
  newcomer <- member(paste0("judge-", judged))
  tryCatch(
    {
      verdict <- at(newcomer, verify_ledger(ledger))
      if (verdict$status != "ok") say("wrong", what, ": verification says ", verdict$status, " at row ", verdict$row)
      if (nrow(verdict$problems)) say("wrong", what, ": ", verdict$problems$problem[[1]])
      if (verdict$rows != length(lines)) say("wrong", what, ": ", verdict$rows, " rows hold of ", length(lines))
      at(newcomer, log_run(ledger, list(judged = judged), list(m = 1)))
    },
    error = function(e) say("other", what, ": a new member can't go on: ", text_of(e))
  )
  restart(newcomer)
  unlink(newcomer$home, recursive = TRUE)
  invisible(length(key))
}

acks <- function() if (file.exists(acked)) sum(grepl(" acked$", readLines(acked, warn = FALSE))) else 0

# ---- Clients ---------------------------------------------------------------

# One thing that a client may write, with a key in it.
write_something <- function(ledger, key, ...) {
  switch(sample.int(4, 1),
    log_run(ledger, list(key = key), list(m = 1)),
    log_run(ledger, list(key = key), list(m = 2), artifacts = list(model = list(key))),
    with_run(ledger, list(began = TRUE), function(run) {
      log_params(run, key = key)
      for (step in 1:3) log_metrics(run, loss = step, step = step)
    }),
    log_runs(ledger, data.frame(key = c(key, "a", "b"), m = 1:3), "key", "m")
  )
}

# Clients, two on a machine, which write until `stop_file` is there.
stop_file <- file.path(folder, "stop")

crowd <- function(ledger, count, write = write_something) {
  force(ledger)
  unlink(stop_file)
  lapply(seq_len(count), function(i) {
    apart(member(paste0("client-", (i + 1) %/% 2)), while (!file.exists(stop_file)) attempt(function(key) write(ledger, key)))
  })
}

end_crowd <- function(jobs, what) {
  file.create(stop_file)
  collect(jobs, what)
}

new_ledger <- function(name = basename(tempfile("faults-")), user = "owner") {
  ledger <- ledger_postgres(postgres_connect(user), name)
  at(member("first"), log_run(ledger, list(), list(m = 0)))
  ledger
}

# ---- Begin -----------------------------------------------------------------

for (file in Sys.glob("dev/faults.d/postgres/*.R")) sys.source(file, globalenv())
what <- arguments[[1]]
if (what == "lacks") {
  lacks()
} else {
  start_postgres()
  say("server", postgres$folder)
  tryCatch(get(what)(), waited_in_vain = function(e) say("hangs", conditionMessage(e)))
  stop_postgres()
}
