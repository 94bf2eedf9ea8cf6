# Connections that are cut, see cut.py.

# A go-between, see `cut.py`.
begin_proxy <- function() {
  need("python3")
  ports <- tempfile("ports-", folder)
  # It ends with this process.
  system2("python3", c("dev/faults.d/postgres/cut.py", postgres$port, shQuote(ports)), wait = FALSE)
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

# After which messages a connection is cut; a class ends where what it does is over before.
messages <- function(every) seq(sample.int(every, 1), by = every, length.out = 1000)

# Each of these is done again and again. What `before` gives is what it is done with.
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
    for (nth in messages(every)) {
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
  for (nth in messages(rounds)) {
    proxy$order("after", nth)
    tryCatch(
      {
        reader <- member(paste0("reader-", nth))
        got <- at(reader, read(through))
        restart(reader)
        if (!identical(got, expected)) say("wrong", "reading, cut after message ", nth)
      },
      error = function(e) {
        if (!grepl(unreachable, conditionMessage(e))) say("other", "reading, cut after message ", nth, ": ", text_of(e))
      }
    )
    over()
    if (!proxy$order("count")$was_cut) break
  }
}

# The first use of a database sets it up. Where that was cut off, the next one does.
cut_first <- function() {
  proxy <- begin_proxy()
  for (nth in messages(rounds)) {
    ledger <- ledger_postgres(connect_through(proxy), "first", schema = paste0("first_", nth))
    who <- member(paste0("first-", nth))
    log_first <- function(key) at(who, log_run(ledger, list(key = key), list(m = 1), artifacts = list(model = list(key))))
    proxy$order("after", nth)
    attempt(log_first)
    was_cut <- proxy$order("count")$was_cut
    proxy$order("after", 0)
    attempt(log_first)
    if (acks() == 0) say("other", "cut after message ", nth, ": the next use fails, too")
    judge(ledger, paste("cut after message", nth), paste0(unreachable, "|can't be made"))
    restart(who)
    over()
    if (!was_cut) break
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
  judge(ledger, "in the end", unreachable)
}
