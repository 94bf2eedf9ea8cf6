# postgres.R WHAT ROUNDS FOLDER: ledgers in a PostgreSQL database, on a server of our own that is killed, cut off, set back
# and tampered with. Says `cases n`, `round n`, and `column text` for each fault that it sees; what it lacks, for `lacks`.
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
# No other class waits for so much at a time; the shell's patience is longer.
helpers$patience <- 300
cases <- 0
say <- function(column, ...) cat(column, " ", gsub("\\s+", " ", paste0(...)), "\n", sep = "")
over <- function(n = 1) {
  cases <<- cases + n
  say("cases", cases)
}
pick <- function(x) x[[sample.int(length(x), 1)]]
text_of <- function(e) paste0(class(e)[[1]], ": ", conditionMessage(e), if (inherits(e$parent, "error")) paste0(" (", conditionMessage(e$parent), ")"))

lacks <- function() {
  packages <- Filter(function(package) !requireNamespace(package, quietly = TRUE), c("DBI", "RPostgres"))
  what <- c(packages, if (is.null(postgres_programs())) "a PostgreSQL server")
  if (length(what)) cat("without", toString(what), "\n")
}

# ---- The server ---------------------------------------------------------------

begin_server <- function() {
  start_postgres()
  say("server", postgres$folder)
}

data_folder <- function() file.path(postgres$folder, "data")

# Each of its processes dies at once.
kill_postgres <- function() {
  main <- as.integer(readLines(file.path(data_folder(), "postmaster.pid"), n = 1))
  tools::pskill(main, tools::SIGSTOP)
  stats <- suppressWarnings(unlist(lapply(Sys.glob("/proc/[0-9]*/stat"), function(path) tryCatch(readLines(path), error = function(e) NULL))))
  parent <- as.integer(sub("^.*\\) \\S+ (\\d+).*$", "\\1", stats))
  tools::pskill(c(main, as.integer(sub(" .*", "", stats))[parent == main]), tools::SIGKILL)
}

crash_postgres <- function(how) {
  if (how == "kill") kill_postgres() else stop_postgres(how)
}

start_again <- function(options = NULL) wait_until(run_postgres(options = options) == 0, "the server to start")

# ---- Members --------------------------------------------------------------------

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

restart <- function(member) member$opened <- list()

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

# ---- What was acknowledged ------------------------------------------------------

acked <- file.path(folder, "acked")
attempts <- 0

# What is written says which attempt it is of, so that the database can be asked how often it is there.
new_key <- function() {
  attempts <<- attempts + 1
  paste0("k", Sys.getpid(), "x", attempts, "x", sample.int(1e6, 1), "x")
}

# A kill can cut even a short write: a cut line counts for nothing, and takes no other with it.
note <- function(...) cat(paste0("\n", gsub("\\s+", " ", paste(...)), "\n"), file = acked, append = TRUE)

# What is tried and fails is not on record, but where nobody can know.
attempt <- function(write) {
  key <- new_key()
  note(key, "tried")
  outcome <- tryCatch(
    {
      write(key)
      "acked"
    },
    error = function(e) {
      known <- !inherits(e, "fitledger_error_durability_unknown") && !grepl("can't be made anew", conditionMessage(e))
      paste(if (known) "refused" else "unknown", text_of(e))
    }
  )
  note(key, outcome)
  outcome
}

lines_of <- function(ledger) {
  postgres_sql(
    "SELECT convert_from(line, 'UTF8') FROM fitledger.rows JOIN fitledger.ledgers USING (ledger) WHERE name = '",
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
  unlink(newcomer$home, recursive = TRUE)
  invisible(length(key))
}

acks <- function() if (file.exists(acked)) sum(grepl(" acked$", readLines(acked, warn = FALSE))) else 0

# ---- Clients --------------------------------------------------------------------

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

# ---- Crashes of the server and of clients ---------------------------------------------------

killed_server <- function() {
  ledger <- new_ledger()
  for (round in seq_len(rounds)) {
    jobs <- crowd(ledger, 8)
    for (how in sample(c("immediate", "kill"))) {
      more <- acks() + stats::rgeom(1, 0.03)
      wait_until(acks() >= more, "rows to be acknowledged")
      crash_postgres(how)
      if (sample.int(2, 1) == 1) Sys.sleep(stats::runif(1))
      start_again()
      over()
    }
    more <- acks() + 8
    wait_until(acks() >= more, "rows to be acknowledged after a crash")
    end_crowd(jobs, paste("round", round))
    judge(ledger, paste("round", round))
  }
}

# How many backends wait for a lock, or do anything at all, on behalf of a client.
backends <- function(condition) {
  postgres_sql("SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND ", condition)[[1]]
}

killed_client <- function() {
  ledger <- new_ledger()
  for (round in seq_len(rounds)) {
    jobs <- crowd(ledger, 8)
    for (job in sample(jobs)) {
      more <- acks() + stats::rgeom(1, 0.2)
      wait_until(acks() >= more, "rows to be acknowledged")
      tools::pskill(job$pid, tools::SIGKILL)
      over()
    }
    suppressWarnings(mccollect(jobs))
    # A backend appends after its client's death, perhaps.
    wait_until(backends("state = 'active'") == 0, "backends of the dead to end")
    judge(ledger, paste("round", round))
  }
}

# The backends of clients that are killed wait for the lock meanwhile; others come again.
killed_waiting <- function() {
  ledger <- new_ledger()
  holder <- postgres_connect()()
  for (round in seq_len(rounds)) {
    jobs <- crowd(ledger, 6, function(ledger, key) log_run(ledger, list(key = key), list(m = 1)))
    more <- acks() + 6
    wait_until(acks() >= more, "rows to be acknowledged")
    DBI::dbExecute(holder, "BEGIN")
    DBI::dbGetQuery(holder, "SELECT seq::text FROM fitledger.ledgers FOR UPDATE")
    wait_until(backends("wait_event_type = 'Lock'") == 6, "clients to wait for the lock")
    for (job in jobs[1:3]) tools::pskill(job$pid, tools::SIGKILL)
    # Longer than a backend waits, every other time.
    Sys.sleep(if (round %% 2) 0.05 else 2.5)
    DBI::dbExecute(holder, "COMMIT")
    more <- acks() + 3
    wait_until(acks() >= more, "the living to go on")
    end_crowd(jobs[4:6], paste("round", round))
    suppressWarnings(mccollect(jobs[1:3]))
    wait_until(backends("state = 'active'") == 0, "backends of the dead to end")
    over(6)
    judge(ledger, paste("round", round))
  }
  DBI::dbDisconnect(holder)
}

# ---- Connections that are cut -----------------------------------------------------------------

# A go-between, see `cut.py`.
begin_proxy <- function() {
  ports <- tempfile("ports-", folder)
  system2("python3", c("dev/faults.d/cut.py", postgres$port, shQuote(ports)), wait = FALSE)
  wait_until(file.exists(ports), "cut.py to begin")
  ports <- as.integer(readLines(ports))
  orders <- socketConnection("127.0.0.1", ports[[2]], open = "r+", blocking = TRUE, timeout = helpers$patience)
  list(port = ports[[1]], order = function(...) {
    writeLines(paste(...), orders)
    answer <- as.integer(strsplit(readLines(orders, n = 1), " ")[[1]])
    list(went = answer[[1]], was_cut = answer[[2]] == 1)
  })
}

connect_through <- function(proxy) {
  rlang::new_function(list(), bquote(
    DBI::dbConnect(
      RPostgres::Postgres(),
      host = "127.0.0.1", port = .(proxy$port), user = "owner", dbname = "postgres", timezone_out = "UTC",
      sslmode = "disable", gssencmode = "disable"
    )
  ), globalenv())
}

# Each of these is done again and again, cut off after its first message, its second…, until it is over before. What `before`
# gives is what it is done with.
cut <- function() {
  proxy <- begin_proxy()
  ledger <- new_ledger()
  through <- ledger_postgres(connect_through(proxy), ledger$name)
  me <- member("cut")
  direct <- member("direct")
  models <- at(direct, {
    id <- log_run(ledger, list(), list(m = 1), artifacts = list(model = list(1)))
    for (i in 1:2) register_model(ledger, "model", id)
    promote_model(ledger, "model", 1)
    list(id = id, other = log_run(ledger, list(), list(m = 2)))
  })
  big_file <- function(key) {
    path <- file.path(folder, "big")
    writeBin(c(charToRaw(key), raw(5e6)), path)
    path
  }
  passes <- function(candidate, current) list(pass = TRUE, figures = list(f = candidate$model[[1]]))
  writes <- list(
    log_run = function(key, run) log_run(through, list(key = key), list(m = 1), artifacts = list(a = list(key), b = list(key, 2))),
    log_runs = function(key, run) log_runs(through, data.frame(key = c(key, "a"), m = 1:2), "key", "m"),
    start_run = function(key, run) start_run(through, list(key = key)),
    log_metrics = function(key, run) do.call(log_metrics, c(list(run, step = 1), stats::setNames(list(1), key))),
    log_artifact = function(key, run) log_artifact(run, key, list(key)),
    end_run = function(key, run) end_run(run, stats::setNames(list(1), key)),
    void_run = function(key, run) void_run(through, models$other, key),
    promote_model = function(key, run) promote_model(through, "model", 2, gate = passes, why = key),
    import_runs = function(key, run) suppressMessages(import_runs(run, through)),
    `parts of 4 MiB` = function(key, run) log_run(through, list(key = key), list(), artifacts = list(big = big_file(key)))
  )
  before <- function(what) {
    switch(what,
      log_metrics = , log_artifact = , end_run = at(me, start_run(through)),
      promote_model = at(direct, promote_model(ledger, "model", 1)),
      at(me, read_runs(through))
    )
  }
  for (what in names(writes)) {
    every <- if (what == "parts of 4 MiB") 4 * rounds else rounds
    for (nth in seq(sample.int(every, 1), by = every, length.out = 100)) {
      run <- before(what)
      at(me, read_runs(through))
      proxy$order("after", nth)
      outcome <- attempt(function(key) {
        if (what == "import_runs") {
          run <- file.path(folder, paste0(key, ".csv"))
          log_run(run, list(key = key), list(m = 1), artifacts = list(model = list(key)))
        }
        at(me, writes[[what]](key, run))
      })
      over()
      if (!proxy$order("count")$was_cut) break
    }
    proxy$order("after", 0)
    judge(ledger, what)
  }
  # What is read is right, by somebody who has nothing yet.
  small <- new_ledger()
  id <- at(direct, log_run(small, list(), list(m = 1), artifacts = list(model = list(1))))
  read <- function(ledger) list(nrow(read_runs(ledger)), read_artifact(ledger, id, "model"), verify_ledger(ledger)$status)
  expected <- at(direct, read(small))
  through <- ledger_postgres(connect_through(proxy), small$name)
  for (nth in seq(sample.int(rounds, 1), by = rounds, length.out = 100)) {
    proxy$order("after", nth)
    tryCatch(
      {
        got <- at(member(paste0("reader-", nth)), read(through))
        if (!identical(got, expected)) say("wrong", "reading, cut after message ", nth)
      },
      error = function(e) {
        # Who connects for the first time is told that it fails.
        if (!grepl("Can't connect|was lost", conditionMessage(e))) say("other", "reading, cut after message ", nth, ": ", text_of(e))
      }
    )
    over()
    if (!proxy$order("count")$was_cut) break
  }
}

# Eight clients whose connections are cut at random, while they wait for each other, too.
cut_crowd <- function() {
  proxy <- begin_proxy()
  ledger <- new_ledger()
  jobs <- crowd(ledger_postgres(connect_through(proxy), ledger$name), 8)
  for (round in seq_len(rounds)) {
    more <- acks() + 2
    wait_until(acks() >= more, "rows to be acknowledged")
    proxy$order("after", sample.int(60, 1))
    wait_until(proxy$order("count")$was_cut, "a connection to be cut")
    over()
  }
  proxy$order("close")
  more <- acks() + 8
  wait_until(acks() >= more, "rows to be acknowledged after all were cut")
  end_crowd(jobs, "in the end")
  # Who connects for the first time is told that it fails.
  judge(ledger, "in the end", "Can't connect to the database|connection to the database was lost")
}

# ---- Records that go back, or are rewritten --------------------------------------------------------

# A fault that has to be told, at a row.
expect_told <- function(expr, class, row, what) {
  e <- tryCatch(
    {
      expr
      NULL
    },
    error = identity
  )
  if (is.null(e)) {
    say("missed", what, ": nothing is told")
  } else if (!inherits(e, paste0("fitledger_error_", class))) {
    say("wrong", what, ": not ", class, " but ", text_of(e))
  } else if (!identical(as.numeric(e$row), as.numeric(row))) {
    say("wrong", what, ": row ", row, " is named ", format(e$row))
  }
  over()
}

# Whatever of these is done first: `write` is refused, too.
use <- function(ledger) {
  pick(list(
    function() read_runs(ledger), function() attempt_or_stop(ledger), function() verify_ledger(ledger),
    function() best_run(ledger, "m"), function() checkpoint_ledger(ledger), function() start_run(ledger)
  ))()
}

attempt_or_stop <- function(ledger) {
  key <- new_key()
  note(key, "refused, as is expected")
  log_run(ledger, list(key = key), list(m = 9))
}

head_of <- function(ledger) {
  postgres_sql("SELECT seq::int FROM fitledger.ledgers WHERE name = '", ledger$name, "'")[[1]]
}

log_some <- function(who, ledger, count = sample.int(8, 1)) {
  for (i in seq_len(count)) attempt(function(key) at(who, log_run(ledger, list(key = key), list(m = i))))
}

# Those who have seen all: still in their session, in a new one, and without their mirror.
witnesses <- function(round, kinds = c("in the session", "anew", "without a mirror")) {
  it <- lapply(kinds, function(kind) member(paste0(gsub(" ", "-", kind), "-", round)))
  stats::setNames(it, kinds)
}

begin_anew <- function(seers) {
  restart(seers[["anew"]])
  lose_mirror(seers[["without a mirror"]])
}

expect_rewound <- function(ledger, seers, what, known, ends, class, row) {
  for (kind in names(seers)) {
    # What nobody has any more can't be compared with.
    at_row <- if (kind == "without a mirror" || class == "behind") known else row
    for (i in 1:2) expect_told(at(seers[[kind]], use(ledger)), class, at_row, paste0(what, ", ", kind))
  }
}

backup <- function() {
  copy <- file.path(postgres$folder, "copy")
  for (round in seq_len(rounds)) {
    ledger <- new_ledger()
    seers <- witnesses(round)
    early <- member(paste0("early-", round))
    log_some(early, ledger)
    for (who in c(early, seers)) at(who, read_runs(ledger))
    then <- head_of(ledger)
    stop_postgres("fast")
    unlink(copy, recursive = TRUE)
    system2("cp", c("-a", data_folder(), copy))
    start_again()
    others <- member("others")
    log_some(others, ledger)
    if (sample.int(2, 1) == 1) log_some(seers[[1]], ledger)
    for (who in seers) at(who, read_runs(ledger))
    known <- head_of(ledger)
    judge(ledger, paste("round", round))
    stop_postgres(pick(c("fast", "immediate")))
    unlink(data_folder(), recursive = TRUE)
    file.rename(copy, data_folder())
    start_again()
    begin_anew(seers)
    what <- paste("round", round)
    expect_rewound(ledger, seers, what, known, class = "behind")
    # Who had seen no more goes on, first with fewer rows than were lost, then with more.
    log_some(early, ledger, 1)
    if (head_of(ledger) < known) {
      begin_anew(seers)
      expect_rewound(ledger, seers["in the session"], what, known, class = "forked", row = then + 1)
      expect_rewound(ledger, seers["anew"], what, known, class = "forked", row = then + 1)
    }
    log_some(early, ledger, known - head_of(ledger) + 1)
    begin_anew(seers)
    expect_rewound(ledger, seers, what, known, class = "forked", row = then + 1)
    judge(ledger, paste("round", round, "after the backup"), "refused, as is expected")
  }
}

# A row is another one, and what follows from it, or not.
rewritten <- function() {
  for (round in seq_len(rounds)) {
    ledger <- new_ledger()
    early <- member(paste0("early-", round))
    at(early, read_runs(ledger))
    known_early <- head_of(ledger)
    seers <- witnesses(round)
    log_some(seers[[1]], ledger, 2)
    log_some(seers[[2]], ledger, sample.int(20, 1))
    for (who in seers) at(who, read_runs(ledger))
    known <- head_of(ledger)
    row <- known_early + sample.int(known - known_early, 1)
    line <- lines_of(ledger)[[row]]
    judge_before <- judge(ledger, paste("round", round))
    rewrite_history(ledger, row, substr(line, nchar(row) + 2, nchar(row) + 6), pick(c("2001-", "1999-")))
    covered <- round %% 2 == 0
    what <- paste0("round ", round, if (covered) ", the chain computed anew")
    begin_anew(seers)
    if (covered) {
      rechain(ledger, row)
      expect_rewound(ledger, seers, what, known, class = "forked", row = row)
      # Who hadn't seen it can't tell.
      tryCatch(at(early, read_runs(ledger)), error = function(e) say("wrong", what, ", early: ", text_of(e)))
    } else {
      # The rows that they have are as they were; what the database has is asked for by a verification.
      for (kind in names(seers)) {
        expect_told(at(seers[[kind]], verify_ledger(ledger)), "forked", row, paste0(what, ", ", kind))
      }
      expect_told(at(early, read_runs(ledger)), "forked", row, paste0(what, ", early"))
      expect_told(at(member(paste0("newcomer-", round)), use(ledger)), "forked", row, paste0(what, ", a newcomer"))
    }
  }
}

# ---- Eight who do everything --------------------------------------------------------------------------

# Of a decision on what somebody else has decided meanwhile, one is refused.
outrun <- "fitledger_error_conflict"

# What a client may write, each with a key in it; `mine` is what it remembers.
deeds <- list(
  log = write_something, log = write_something, log = write_something,
  tag = function(ledger, key, mine) tag_run(ledger, pick(read_runs(ledger)$run_id), key = key),
  note = function(ledger, key, mine) log_note(ledger, pick(read_runs(ledger)$run_id), key),
  void = function(ledger, key, mine) {
    run <- log_run(ledger, list(), list(m = 1))
    void_run(ledger, run, "for a moment")
    restore_run(ledger, run, key)
  },
  end = function(ledger, key, mine) {
    run <- start_run(ledger, list())
    log_artifact(run, "object", list(key))
    end_run(run, stats::setNames(list(1), key), status = pick(c("finished", "failed", "interrupted")))
  },
  register = function(ledger, key, mine) {
    run <- log_run(ledger, list(key = key), list(m = 1), artifacts = list(model = list(key)))
    register_model(ledger, "shared", run)
    tryCatch(promote_model(ledger, "shared", 1), fitledger_error_conflict = identity)
    tryCatch(rollback_model(ledger, "shared"), fitledger_error_conflict = identity)
  },
  promote = function(ledger, key, mine) {
    promote_model(ledger, "shared", 2 - isTRUE(mine$second), paste0("stage-", Sys.getpid()), why = key)
    mine$second <- !isTRUE(mine$second)
  },
  import = function(ledger, key, mine) {
    from <- tempfile(fileext = ".csv")
    on.exit(unlink(c(from, paste0(from, ".objects")), recursive = TRUE))
    log_run(from, list(key = key), list(m = 1), artifacts = list(model = list(key)))
    suppressMessages(import_runs(from, ledger))
  }
)

questions <- list(
  function(ledger) best_run(ledger, "m"), read_models, verify_ledger, read_metrics, checkpoint_ledger,
  function(ledger) read_runs(ledger, details = TRUE)
)

mixed <- function() {
  ledger <- new_ledger()
  first <- member("first")
  at(first, {
    id <- log_run(ledger, list(), list(m = 1), artifacts = list(model = list(1)))
    for (i in 1:2) register_model(ledger, "shared", id)
    for (i in 1:2) promote_model(ledger, "shared", i)
  })
  for (round in seq_len(rounds)) {
    mine <- new.env()
    jobs <- crowd(ledger, 8, function(ledger, key) {
      pick(deeds)(ledger, key, mine)
      pick(questions)(ledger)
    })
    wait_until(acks() >= 80, "what eight do to be acknowledged")
    what <- paste("round", round)
    end_crowd(jobs, what)
    over(judge(ledger, what, outrun))
    lines <- lines_of(ledger)
    for (i in 1:4) {
      who <- member(paste0("client-", i))
      at(who, read_runs(ledger))
      if (!identical(readLines(mirror_of(who), encoding = "UTF-8")[-1], lines)) say("wrong", what, ": a mirror is not what is in the database")
    }
  }
}

# ---- Begin ------------------------------------------------------------------------

what <- arguments[[1]]
if (what == "lacks") {
  lacks()
} else {
  begin_server()
  tryCatch(get(what)(), waited_in_vain = function(e) say("hangs", conditionMessage(e)))
  stop_postgres()
}
