# What servers, roles and connections are set to.

settings <- function() {
  ledger <- new_ledger()
  first <- member("first")
  harmless <- c(
    "synchronous_commit = off", "default_transaction_isolation = serializable", "default_transaction_isolation = 'repeatable read'",
    "client_encoding = latin1", "standard_conforming_strings = off", "bytea_output = escape", "backslash_quote = off",
    "search_path = ''", "DateStyle = 'German'", "client_min_messages = error", "client_min_messages = debug1", "lock_timeout = 20",
    "row_security = off", "plan_cache_mode = force_generic_plan", "idle_session_timeout = 20", "jit_above_cost = 0",
    "transform_null_equals = on", "array_nulls = off", "quote_all_identifiers = on", "idle_in_transaction_session_timeout = 1",
    "default_transaction_deferrable = on"
  )
  for (i in seq_along(harmless)) {
    if (i %% rounds != 0) next
    role <- paste0("set_", i)
    postgres_role(role)
    postgres_sql("ALTER ROLE ", role, " SET ", harmless[[i]])
    at(first, share_ledger(ledger, role))
    jobs <- crowd(ledger_postgres(postgres_connect(role), ledger$name), 4)
    wait_until(acks() >= 12 || sum(grepl("refused", readLines(acked, warn = FALSE))) > 10, "rows to be acknowledged")
    end_crowd(jobs, harmless[[i]])
    judge(ledger, harmless[[i]])
    over()
  }
  # Those that must refuse.
  for (set in c("default_transaction_read_only = on", "statement_timeout = 1")) {
    postgres_role("refused")
    postgres_sql("ALTER ROLE refused SET ", set)
    at(first, share_ledger(ledger, "refused"))
    mine <- ledger_postgres(postgres_connect("refused"), ledger$name)
    who <- member("refused")
    for (i in 1:5) attempt(function(key) at(who, log_run(mine, list(key = key), list(m = 1), artifacts = list(a = list(key)))))
    restart(who)
    judge(ledger, set, "fitledger_error_database")
    postgres_sql("ALTER ROLE refused RESET ALL")
    over()
  }
}

# What eight have logged who don't wait for the disk by themselves outlives a crash.
hasty <- function() {
  ledger <- new_ledger()
  postgres_role("hasty")
  postgres_sql("ALTER ROLE hasty SET synchronous_commit = off")
  at(member("first"), share_ledger(ledger, "hasty"))
  ledger <- ledger_postgres(postgres_connect("hasty"), ledger$name)
  crash_while_writing(ledger, c("-c wal_writer_delay=10s", "-c synchronous_commit=off"))
  for (off in c("fsync", "full_page_writes")) {
    stop_postgres("fast")
    start_again(paste0("-c ", off, "=off"))
    said <- character()
    who <- member(paste0("told-", off))
    withCallingHandlers(
      for (i in 1:2) at(who, read_runs(ledger)),
      fitledger_message = function(m) {
        said <<- c(said, conditionMessage(m))
        invokeRestart("muffleMessage")
      }
    )
    if (sum(grepl(paste(off, "= off"), said)) != 1) say("missed", off, " is off, and said is: ", toString(said))
    over()
  }
}

# A connection that somebody has open, inside a transaction: nothing is logged that could be taken back.
transactions <- function() {
  ledger <- new_ledger()
  connection <- postgres_connect()()
  given <- ledger_postgres(connection, ledger$name)
  who <- member("given")
  run <- at(who, start_run(given))
  begin <- list(
    function() DBI::dbBegin(connection),
    function() DBI::dbExecute(connection, "BEGIN", immediate = TRUE),
    function() DBI::dbExecute(connection, "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", immediate = TRUE),
    function() {
      DBI::dbExecute(connection, "BEGIN", immediate = TRUE)
      try(DBI::dbExecute(connection, "SELECT 1 / 0", immediate = TRUE), silent = TRUE)
    }
  )
  calls <- c(deeds, list(
    metrics = function(ledger, key, mine) do.call(log_metrics, c(list(run, step = 1), stats::setNames(list(1), key))),
    end = function(ledger, key, mine) end_run(run, stats::setNames(list(1), key))
  ), lapply(questions, function(question) {
    function(ledger, key, mine) question(ledger)
  }))
  for (round in seq_len(rounds)) {
    for (i in seq_along(begin)) {
      begin[[i]]()
      for (call in sample(calls, 4)) {
        outcome <- attempt(function(key) at(who, call(given, key, new.env())))
        if (outcome == "acked") say("missed", "inside a transaction, a call went on")
        over()
      }
      DBI::dbExecute(connection, pick(c("ROLLBACK", "COMMIT")), immediate = TRUE)
      if (i == 1) try(DBI::dbRollback(connection), silent = TRUE)
      attempt(function(key) at(who, log_run(given, list(key = key), list(m = 1))))
      judge(ledger, paste("round", round), "inside a transaction|transaction is aborted|read-only transaction")
    }
  }
}
