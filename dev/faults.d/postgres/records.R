# Records that go back, or are rewritten: whoever has seen another one is told.

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
    system2("cp", c("-a", postgres_data(), copy))
    start_again()
    others <- member("others")
    log_some(others, ledger)
    if (sample.int(2, 1) == 1) log_some(seers[[1]], ledger)
    for (who in seers) at(who, read_runs(ledger))
    known <- head_of(ledger)
    judge(ledger, paste("round", round))
    stop_postgres(pick(c("fast", "immediate")))
    unlink(postgres_data(), recursive = TRUE)
    file.rename(copy, postgres_data())
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
    do.call(restart, unname(c(early, seers)))
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
    judge(ledger, paste("round", round))
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
      newcomer <- member(paste0("newcomer-", round))
      expect_told(at(newcomer, use(ledger)), "forked", row, paste0(what, ", a newcomer"))
      restart(newcomer)
    }
    do.call(restart, unname(c(early, seers)))
  }
}

# ---- A server that follows another one ----

# A standby of the server, made of it as it is.
begin_standby <- function(port) {
  data <- file.path(postgres$folder, "standby")
  unlink(data, recursive = TRUE)
  from <- c("-h", "127.0.0.1", "-p", postgres$port, "-U", "owner")
  made <- postgres_program("pg_basebackup", c(from, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync"))
  if (made != 0) stop("pg_basebackup ends with ", made)
  wait_until(run_postgres(port, data = data) == 0, "the standby to start")
  data
}

sql_at <- function(port, ...) {
  connection <- rlang::new_function(list(), bquote(
    DBI::dbConnect(RPostgres::Postgres(), host = "127.0.0.1", port = .(port), user = "owner", dbname = "postgres", timezone_out = "UTC")
  ), globalenv())()
  on.exit(DBI::dbDisconnect(connection))
  DBI::dbGetQuery(connection, paste0(...), immediate = TRUE)[[1]]
}

expect_fine <- function(expr, expected, what) {
  tryCatch(
    if (!identical(expr, expected)) say("wrong", what, ": another answer"),
    error = function(e) say("wrong", what, ": ", text_of(e))
  )
  over()
}

# All connect to an address at which another server answers by and by.
standby <- function() {
  need("python3", "pg_basebackup")
  first <- postgres$port
  second <- first + 1
  for (round in seq_len(rounds)) {
    proxy <- begin_proxy()
    what <- paste("round", round)
    ledger <- ledger_postgres(connect_through(proxy), basename(tempfile("standby-")))
    early <- member(paste0("early-", round))
    log_some(early, ledger)
    data <- begin_standby(second)
    caught_up <- function() {
      now <- postgres_sql("SELECT pg_current_wal_flush_lsn()::text")[[1]]
      wait_until(sql_at(second, "SELECT pg_last_wal_replay_lsn() >= '", now, "'"), "the standby to catch up")
    }
    caught_up()
    seers <- witnesses(round)
    at(early, read_runs(ledger))
    then <- head_of(ledger)
    few <- at(early, nrow(read_runs(ledger)))
    sql_at(second, "SELECT pg_wal_replay_pause()::text")
    log_some(member(paste0("others-", round)), ledger)
    for (who in seers) at(who, read_runs(ledger))
    many <- at(seers[[1]], nrow(read_runs(ledger)))
    # Late, which is no error; nobody can write there.
    proxy$order("to", second)
    begin_anew(seers)
    for (kind in names(seers)) {
      rows <- if (kind == "without a mirror") few else many
      expect_fine(at(seers[[kind]], nrow(read_runs(ledger))), rows, paste0(what, ", late, ", kind))
      expect_fine(at(seers[[kind]], verify_ledger(ledger)$status), "ok", paste0(what, ", late, verified ", kind))
      attempt(function(key) at(seers[[kind]], log_run(ledger, list(key = key), list(m = 1))))
    }
    expect_fine(at(member(paste0("new-", round)), nrow(read_runs(ledger))), few, paste0(what, ", late, a newcomer"))
    sql_at(second, "SELECT pg_wal_replay_resume()::text")
    caught_up()
    for (kind in names(seers)) {
      expect_fine(at(seers[[kind]], nrow(read_runs(ledger))), many, paste0(what, ", not late any more, ", kind))
    }
    proxy$order("to", first)
    for (kind in names(seers)) expect_fine(at(seers[[kind]], verify_ledger(ledger)$status), "ok", paste0(what, ", back, ", kind))
    judge(ledger, what, "fitledger_error_database.*read-only")
    # It goes on without rows that it never had.
    at(early, read_runs(ledger))
    then <- head_of(ledger)
    stop_postgres("immediate", data)
    log_some(member(paste0("others-", round)), ledger)
    for (who in seers) at(who, read_runs(ledger))
    known <- head_of(ledger)
    judge(ledger, paste(what, "before the loss"))
    stop_postgres("immediate")
    wait_until(run_postgres(second, data = data) == 0, "the standby to start")
    sql_at(second, "SELECT pg_promote()")
    proxy$order("to", second)
    postgres$port <- second
    begin_anew(seers)
    expect_rewound(ledger, seers, what, known, class = "behind")
    log_some(early, ledger, 1)
    log_some(early, ledger, max(0, known - head_of(ledger) + 1))
    begin_anew(seers)
    expect_rewound(ledger, seers, what, known, class = "forked", row = then + 1)
    judge(ledger, paste(what, "after the loss"), "refused, as is expected")
    do.call(restart, unname(c(early, seers)))
    stop_postgres("immediate", data)
    postgres$port <- first
    start_again()
  }
}
