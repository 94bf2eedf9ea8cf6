# The server is killed, or clients are, while clients log.

killed_server <- function() {
  ledger <- new_ledger()
  crash_while_writing(ledger)
}

# Who connects for the first time is told that it fails.
unreachable <- "Can't connect to the database|connection to the database was lost"

crash_while_writing <- function(ledger, options = NULL) {
  for (round in seq_len(rounds)) {
    jobs <- crowd(ledger, 8)
    for (how in sample(c("immediate", "kill"))) {
      more <- acks() + stats::rgeom(1, 0.03)
      wait_until(acks() >= more, "rows to be acknowledged")
      crash_postgres(how)
      if (sample.int(2, 1) == 1) Sys.sleep(stats::runif(1))
      start_again(options)
      over()
    }
    more <- acks() + 8
    wait_until(acks() >= more, "rows to be acknowledged after a crash")
    end_crowd(jobs, paste("round", round))
    judge(ledger, paste("round", round), unreachable)
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
