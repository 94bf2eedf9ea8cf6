# Eight who do everything at once.

# Of a decision on what somebody else has decided meanwhile, one is refused.
outrun <- "fitledger_error_conflict"

# What a client may write, each with a key in it; `mine` is what it remembers. What an object prints is on record as well, where
# no key is to stand again: there it is in bytes.
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
    log_artifact(run, "object", list(charToRaw(key)))
    end_run(run, stats::setNames(list(1), key), status = pick(c("finished", "failed", "interrupted")))
  },
  register = function(ledger, key, mine) {
    run <- log_run(ledger, list(key = key), list(m = 1), artifacts = list(model = list(charToRaw(key))))
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
    log_run(from, list(key = key), list(m = 1), artifacts = list(model = list(charToRaw(key))))
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
      restart(who)
      if (!identical(readLines(mirror_of(who), encoding = "UTF-8")[-1], lines)) {
        say("wrong", what, ": a mirror is not what is in the database")
      }
    }
  }
}
