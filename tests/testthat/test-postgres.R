# A ledger in a database. What all ledgers do alike is tested by the other files, which dev/test runs over both kinds.

test_that("what is in the database is what a file has", {
  team <- local_postgres()
  id <- log_run(team, list(lambda = 0.1, text = "a'b\\c\"\u00e9"), list(rmse = 1.5), artifacts = list(model = lm(dist ~ speed, cars)))
  expect_identical(read_runs(team)$text, "a'b\\c\"\u00e9")
  expect_identical(coef(read_artifact(team, id, "model")), coef(lm(dist ~ speed, cars)))
  rows <- postgres_sql("SELECT convert_from(line, 'UTF8') FROM fitledger.rows JOIN fitledger.ledgers USING (ledger) WHERE name = '", team$name, "' ORDER BY rows.seq")[[1]]
  expect_identical(readLines(file_of(team), encoding = "UTF-8")[-1], rows)
  expect_true(chain_holds(team))
  # What another machine sees, which has nothing of it yet.
  elsewhere <- another_machine()
  expect_identical(read_runs(team)$run_id, id)
  expect_identical(coef(read_artifact(team, id, "model")), coef(lm(dist ~ speed, cars)))
  expect_identical(verify_ledger(team)$status, "ok")
})

test_that("a ledger in a database is plain data and says what it is", {
  connect <- function() stop("no server there")
  team <- ledger_postgres(connect, "experiments")
  expect_output(print(team), "<ledger 'experiments' in a PostgreSQL database, schema fitledger>", fixed = TRUE)
  skip_if_not_installed("RPostgres")
  error <- expect_error(read_runs(team), "Can't connect to the database", class = "fitledger_error_database")
  expect_match(conditionMessage(error$parent), "no server there", fixed = TRUE)
  expect_error(log_run(team, list(), list()), class = "fitledger_error_database")
  expect_error(log_run(ledger_postgres(function() 1, "a"), list(), list()), class = "fitledger_error_argument")
})

test_that("a connection that was lost in its making is made anew, and asked nothing", {
  skip_without_postgres()
  connects <- 0
  to_server <- postgres_connect()
  # As RPostgres gives it: its question for the types failed.
  connect <- function() {
    connects <<- connects + 1
    connection <- to_server()
    if (connects %in% c(1, 3)) connection@typnames <- connection@typnames[0, ]
    connection
  }
  ledger <- ledger_postgres(connect, basename(tempfile("ledger-")))
  expect_error(log_run(ledger, list(), list(m = 1)), "was lost", class = "fitledger_error_database")
  log_run(ledger, list(), list(m = 2))
  # The server ends it: the first new one is lost, too.
  postgres_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ", known_ledger(ledger)$link$backend)
  log_run(ledger, list(), list(m = 3))
  expect_identical(connects, 4)
  expect_identical(read_runs(ledger)$m, c(2, 3))
})

test_that("arguments that aren't what they should be are refused", {
  connect <- function() NULL
  expect_error(ledger_postgres(), class = "fitledger_error_argument")
  expect_error(ledger_postgres("service=team", "a"), class = "fitledger_error_argument")
  for (name in list("", NA, 1, c("a", "b"), "a\nb", strrep("x", 201))) {
    expect_error(ledger_postgres(connect, name), class = "fitledger_error_argument")
  }
  for (schema in list("", "a b", "A", "a\"b", "a'; drop table x; --", "pg_x", NA, "1a")) {
    expect_error(ledger_postgres(connect, "a", schema = schema), class = "fitledger_error_argument")
  }
  expect_error(share_ledger(tempfile(), "somebody"), class = "fitledger_error_argument")
  expect_error(repair_ledger(ledger_postgres(connect, "a")), class = "fitledger_error_argument")
})

test_that("names may be anything", {
  for (name in c("it's; DROP SCHEMA fitledger CASCADE; --", "a\\b", "\u00e4 \u2603", "$$", "{x}", "../../x", "CON")) {
    team <- local_postgres(name = name)
    id <- log_run(team, list(a = name), list(m = 1))
    expect_identical(read_runs(team)$a, name)
    expect_identical(dirname(dirname(file_of(team))), file.path(tools::R_user_dir("fitledger", "cache"), "mirrors"))
  }
  team <- local_postgres(name = "x", schema = "other_schema")
  expect_error(read_runs(team), class = "fitledger_error_not_found")
  log_run(team, list(), list(m = 1))
  expect_identical(nrow(read_runs(team)), 1L)
})

test_that("a ledger is begun by its first row, and by nothing else", {
  team <- local_postgres()
  is_there <- function() nrow(postgres_sql("SELECT FROM fitledger.ledgers WHERE name = '", team$name, "'")) > 0
  plain <- withr::local_tempfile(fileext = ".csv", lines = c("run_id,timestamp,k,rmse", "a-1,2026-11-23 04:20:47,1,2"))
  for (code in expression(
    read_runs(team), verify_ledger(team), view_runs(team, open = FALSE), export_runs(team, tempfile()), start_run(team, resume = "a-1"),
    tag_run(team, "a-1", a = 1)
  )) {
    expect_error(eval(code), "There is no ledger `", class = "fitledger_error_not_found")
  }
  expect_error(log_run(team, list(a = globalenv()), list()), class = "fitledger_error_value")
  expect_error(log_run(team, list(), list(), artifacts = list(a = tempfile())), "no file", class = "fitledger_error")
  expect_error(start_run(team, data = mean), class = "fitledger_error_value")
  expect_length(suppressMessages(import_runs(plain, team, metrics = "rmse", dry_run = TRUE)), 1)
  expect_false(is_there())
  # As with a file, another argument may do it.
  void_run(team, log_run(team, list(), list(m = 1)), "by mistake")
  expect_true(is_there())
  expect_identical(read_runs(team, void = TRUE, details = TRUE)$status, "void")
  imported <- local_postgres()
  expect_length(import_runs(plain, imported, metrics = "rmse"), 1)
  expect_identical(read_runs(imported)$rmse, 2L)
  parent <- local_postgres()
  child <- log_run(parent, list(), list(), parent = start_run(parent), artifacts = list(model = cars))
  expect_identical(read_artifact(parent, child, "model"), cars)
})

test_that("runs are imported whose stored bytes are gone", {
  team <- local_postgres()
  file <- local_file()
  id <- log_run(file, list(), list(m = 1), artifacts = list(gone = list(1), here = list(2)))
  gone <- read_artifacts(file)$sha256[[1]]
  unlink(file.path(paste0(file, ".objects"), substr(gone, 1, 2), gone))
  expect_message(import_runs(file, team), "artifact 'gone' are not there")
  expect_identical(read_artifact(team, id, "here"), list(2))
  expect_error(read_artifact(team, id, "gone"), class = "fitledger_error_artifact")
})

test_that("nobody changes what is on record", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1), artifacts = list(x = 1))
  postgres_role("writer")
  share_ledger(team, "writer")
  as_writer <- ledger_postgres(postgres_connect("writer"), team$name)
  log_run(as_writer, list(), list(m = 2))
  expect_identical(read_runs(as_writer)$m, c(1, 2))
  connection <- postgres_connect("writer")()
  withr::defer(DBI::dbDisconnect(connection))
  for (sql in c(
    "UPDATE fitledger.rows SET line = ''", "DELETE FROM fitledger.rows", "TRUNCATE fitledger.rows", "SELECT * FROM fitledger.rows",
    "ALTER TABLE fitledger.rows ADD x int", "DROP SCHEMA fitledger CASCADE", "INSERT INTO fitledger.rows VALUES (1, 1, '')",
    "UPDATE fitledger.ledgers SET seq = 1", "DROP FUNCTION fitledger.look", "DELETE FROM fitledger.parts",
    "SELECT fitledger.begin_ledger('mine', repeat('0', 32), '2026-11-23T04:20:47.123456Z')",
    "SELECT fitledger.may(NULL, true)", "CREATE TABLE fitledger.x (y int)",
    "SELECT set_config('synchronous_commit', 'off', false), fitledger.wait_for_disk()"
  )) {
    expect_error(DBI::dbExecute(connection, sql, immediate = TRUE), "permission denied|must be owner", info = sql)
  }
  # Triggers hold the owner to it.
  for (sql in c("UPDATE fitledger.rows SET line = ''", "DELETE FROM fitledger.rows", "TRUNCATE fitledger.rows", "UPDATE fitledger.ledgers SET seq = 1", "DELETE FROM fitledger.ledgers", "UPDATE fitledger.parts SET bytes = ''")) {
    expect_error(postgres_sql(sql), "what is on record stays|only goes on", info = sql)
  }
})

test_that("who has no right is told so", {
  team <- local_postgres()
  id <- log_run(team, list(), list(m = 1))
  postgres_role("reader")
  postgres_role("stranger")
  share_ledger(team, "reader", write = FALSE)
  as_reader <- ledger_postgres(postgres_connect("reader"), team$name)
  expect_identical(read_runs(as_reader)$m, 1)
  expect_error(log_run(as_reader, list(), list(m = 2)), "no right to write", class = "fitledger_error_database")
  expect_error(void_run(as_reader, id, "no"), "no right to write", class = "fitledger_error_database")
  expect_error(log_run(as_reader, list(), list(m = 2), artifacts = list(x = 1)), "no right to write", class = "fitledger_error_database")
  expect_error(share_ledger(as_reader, "stranger"), class = "fitledger_error_database")
  as_stranger <- ledger_postgres(postgres_connect("stranger"), team$name)
  expect_error(read_runs(as_stranger), "no right to use the schema", class = "fitledger_error_database")
  other <- local_postgres()
  log_run(other, list(), list())
  expect_error(read_runs(ledger_postgres(postgres_connect("reader"), other$name)), "no right to read", class = "fitledger_error_database")
  expect_error(log_run(ledger_postgres(postgres_connect("reader"), "nobody's"), list(), list()), "you may not begin one", class = "fitledger_error_database")
  # Who may, and is refused for another reason, is told that one.
  reads_only <- function() {
    connection <- postgres_connect()()
    DBI::dbExecute(connection, "SET default_transaction_read_only = on", immediate = TRUE)
    connection
  }
  error <- expect_error(log_run(ledger_postgres(reads_only, "not yet"), list(), list()), class = "fitledger_error_database")
  expect_no_match(conditionMessage(error), "may not", fixed = TRUE)
  expect_match(conditionMessage(error$parent), "read-only", fixed = TRUE)
  for (role in c("nobody", "public", "current_user")) {
    expect_error(share_ledger(team, role), class = "fitledger_error_database")
  }
  # Where somebody may not even make the schema.
  nowhere <- ledger_postgres(postgres_connect("stranger"), "a", schema = "not_there")
  expect_error(log_run(nowhere, list(), list()), "can't be made", class = "fitledger_error_database")
  # A group's member has the group's rights.
  postgres_sql("GRANT reader TO stranger")
  expect_identical(read_runs(ledger_postgres(postgres_connect("stranger"), team$name))$m, 1)
  expect_identical(nrow(read_runs(team)), 1L)
})

test_that("rows that others could not read are refused by the database", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  head <- postgres_sql("SELECT seq::int, hash FROM fitledger.ledgers WHERE name = '", team$name, "'")
  good <- c("2026-11-23T04:20:47.123456Z", "run", "a-1", "", "{\"m\":1.0}", "", "{\"session\":\"x\"}")
  append <- function(cells, request = basename(tempfile()), seen = head) {
    row <- gsub("'", "''", paste(cells, collapse = "\x1f"))
    postgres_sql("SELECT array_to_string(fitledger.append_rows('", team$name, "', '", request, "', ", seen$seq, ", '", seen$hash, "', 0, '", row, "'), ' ')")[[1]]
  }
  bad <- list(
    replace(good, 1, "yesterday"), replace(good, 2, "upgrade!"), replace(good, 2, "ledger"), replace(good, 2, "recovered"),
    replace(good, 3, "a b"), replace(good, 3, "a,b"), replace(good, 5, "{\"m\":}"), replace(good, 5, "[1]"), replace(good, 5, " {}"),
    replace(good, 5, "x"), good[-1], c(good, ""), replace(good, 7, "{\"a\":\"\n\"}"), replace(good, 4, "{}\x1e")
  )
  for (cells in bad) expect_error(append(cells), "of the append is refused|invalid input syntax for type json")
  expect_match(append(good, seen = data.frame(seq = 1, hash = strrep("0", 64))), "^unseen")
  # The same request is the same append.
  first <- append(good, "request")
  expect_match(first, "^ok ")
  again <- append(replace(good, 3, "b-1"), "request")
  expect_identical(strsplit(again, " ")[[1]][1:4], strsplit(first, " ")[[1]][1:4])
  expect_identical(nrow(read_ledger(team)), as.integer(head$seq) + 1L)
  # A row with its line feed takes 16 MiB at most. `long` is a cell that makes it so.
  others <- nchar(paste(c(head$seq + 2, good[1:3], "", "\"{\"\"m\"\":1.0}\"", "", "\"{\"\"a\"\":\"\"\"\"}\"", strrep("0", 64)), collapse = ",")) + 1
  long <- function(more) replace(replace(good, 3, "c-1"), 7, paste0("{\"a\":\"", strrep("x", 2^24 - others + more), "\"}"))
  expect_error(append(long(1)), "takes more than 16 MiB")
  expect_match(append(long(0)), "^ok ")
  expect_identical(max(nchar(readLines(file_of(team)), "bytes")) + 1, 2^24)
  expect_identical(verify_ledger(team)$status, "ok")
})

test_that("whatever a ledger says goes into a database as it goes into a file", {
  skip_without_postgres()
  withr::local_envvar(FITLEDGER_TEST_LEDGERS = "postgres")
  team <- ledger_of_everything()
  rows <- postgres_sql("SELECT convert_from(line, 'UTF8') FROM fitledger.rows JOIN fitledger.ledgers USING (ledger) WHERE name = '", team$name, "' ORDER BY rows.seq")[[1]]
  path <- file_of(team)
  expect_identical(readLines(path, encoding = "UTF-8")[-1], rows)
  expect_setequal(unique(read_ledger(team)$event), c("ledger", "session", "run", "start", "log", "end", "note", "void", "reveal", "register", "promote", "refuse"))
  expect_identical(nrow(verify_ledger(team)$problems), 0L)
  # What shares no code with us has the same verdict, and so has it of a copy of the mirror, which is a ledger of its own.
  copy <- local_file()
  file.copy(path, copy)
  source(system.file("verify", "verify.R", package = "fitledger"), local = TRUE)
  expect_identical(verify(copy)$status, "ok")
  expect_identical(read_runs(copy, details = TRUE, void = TRUE), read_runs(team, details = TRUE, void = TRUE))
})

test_that("every member is a witness of what was seen", {
  team <- local_postgres()
  for (i in 1:10) log_run(team, list(i = i), list(m = i / 10))
  open_path <- file_of(team)
  # Both the mirror and what is noted beside it see the same, whichever is there.
  for (without_mirror in c(FALSE, TRUE)) {
    rewrite_history(team, 5, "0.3", "0.9")
    rechain(team, 5)
    new_session()
    if (without_mirror) {
      unlink(open_path)
      expect_error(read_runs(team), class = "fitledger_error_forked")
    } else {
      error <- expect_error(read_runs(team), "Row 5 of the ledger", class = "fitledger_error_forked")
      expect_identical(error$row, 5)
      expect_error(log_run(team, list(), list(m = 0)), class = "fitledger_error_forked")
      expect_error(verify_ledger(team), class = "fitledger_error_forked")
      # The mirror is as it was.
      expect_identical(verify_ledger(error$path)$status, "ok")
      expect_identical(read_runs(error$path)$m, 1:10 / 10)
    }
    rewrite_history(team, 5, "0.9", "0.3")
    rechain(team, 5)
    new_session()
    expect_identical(read_runs(team)$m, 1:10 / 10)
  }
  # Nobody who wasn't there can tell.
  rewrite_history(team, 5, "0.3", "0.9")
  rechain(team, 5)
  another_machine()
  expect_identical(verify_ledger(team)$status, "ok")
})

test_that("a row that doesn't hold never comes into a mirror", {
  team <- local_postgres()
  for (i in 1:4) log_run(team, list(i = i), list(m = i / 10))
  read_runs(team)
  rewrite_history(team, 4, "0.2", "0.9")
  # Who has it from before sees it by a verification.
  expect_identical(read_runs(team)$m, 1:4 / 10)
  error <- expect_error(verify_ledger(team), "Row 4", class = "fitledger_error_forked")
  expect_identical(error$row, 4)
  another_machine()
  error <- expect_error(read_runs(team), "Row 4", class = "fitledger_error_forked")
  expect_identical(error$row, 4)
  # One that is gone.
  rewrite_history(team, 4, "0.9", "0.2")
  expect_identical(verify_ledger(team)$status, "ok")
  postgres_sql(
    "BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM fitledger.rows WHERE seq = 5 AND ledger = (SELECT ledger FROM fitledger.ledgers WHERE name = '",
    team$name, "'); COMMIT"
  )
  error <- expect_error(verify_ledger(team), "Row 5", class = "fitledger_error_forked")
  expect_identical(error$row, 5)
})

test_that("an older backup and another ledger of the name are told", {
  team <- local_postgres()
  for (i in 1:3) log_run(team, list(i = i), list(m = i))
  id <- log_run(team, list(i = 4), list(m = 4), artifacts = list(model = list(4)))
  read_runs(team)
  head <- postgres_sql("SELECT fitledger.hash_at('", team$name, "', 4)")[[1]]
  postgres_sql(
    "BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM fitledger.rows WHERE seq > 4 AND ledger = (SELECT ledger FROM fitledger.ledgers WHERE name = '", team$name,
    "'); UPDATE fitledger.ledgers SET seq = 4, hash = '", head, "' WHERE name = '", team$name, "'; COMMIT"
  )
  # The next writer sees it, too.
  expect_error(log_run(team, list(), list(m = 9)), class = "fitledger_error_behind")
  new_session()
  error <- expect_error(read_runs(team), "ends with row 4, and this machine has seen row 6", class = "fitledger_error_behind")
  # What this machine has seen is there, to be brought to where all go on.
  seen <- local_file()
  file.copy(error$path, seen)
  dir.create(paste0(seen, ".objects"))
  file.copy(dir(paste0(error$path, ".objects"), full.names = TRUE), paste0(seen, ".objects"), recursive = TRUE)
  expect_identical(nrow(verify_ledger(seen)$problems), 0L)
  after <- local_postgres()
  suppressMessages(import_runs(seen, after))
  expect_identical(read_runs(after)$m, c(1, 2, 3, 4))
  expect_identical(read_artifact(after, id, "model"), list(4))
  postgres_sql("BEGIN; SET LOCAL session_replication_role = replica; UPDATE fitledger.ledgers SET id = repeat('0', 32) WHERE name = '", team$name, "'; COMMIT")
  new_session()
  expect_error(read_runs(team), "another ledger of the same name", class = "fitledger_error_forked")
})

test_that("a server that follows another one may be late, until it is the one", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  late <- file.path(postgres$folder, "late")
  stop_postgres("fast")
  system2("cp", c("-a", postgres_data(), late))
  run_postgres()
  log_run(team, list(), list(m = 2))
  expect_identical(read_runs(team)$m, c(1, 2))
  stop_postgres("fast")
  file.create(file.path(late, "standby.signal"))
  run_postgres(data = late)
  withr::defer({
    stop_postgres("fast", late)
    run_postgres()
  })
  # What was seen, and where that is gone, what there is.
  expect_identical(read_runs(team)$m, c(1, 2))
  expect_identical(verify_ledger(team)$status, "ok")
  unlink(file_of(team))
  new_session()
  expect_identical(read_runs(team)$m, 1)
  expect_identical(verify_ledger(team)$status, "ok")
  expect_error(log_run(team, list(), list(m = 3)), class = "fitledger_error_database")
  postgres_program("pg_ctl", c("-D", late, "-w", "promote"), stdout = FALSE)
  expect_error(read_runs(team), class = "fitledger_error_behind")
})

test_that("a mirror that was damaged is fetched anew, and torn ones go on", {
  team <- local_postgres()
  for (i in 1:4) log_run(team, list(i = i), list(m = i))
  file <- file_of(team)
  whole <- bytes(file)
  for (damage in list(
    function() writeBin(whole[seq_len(length(whole) - 30)], file),
    function() writeBin(c(whole, raw(700)), file),
    function() writeBin(whole[1:20], file),
    function() unlink(file),
    function() writeBin(replace(whole, 300, as.raw(0x21)), file),
    function() writeBin(charToRaw("x\n"), file),
    function() writeLines(c(readLines(file)[1:4], "rubbish"), file)
  )) {
    damage()
    new_session()
    suppressMessages(expect_identical(verify_ledger(team)$status, "ok"))
    expect_identical(read_runs(team)$m, 1:4)
    expect_identical(bytes(file), whole)
  }
})

test_that("what was seen stays noted where what is seen now can't be written whole", {
  skip_on_os("windows")
  seen <- withr::local_tempfile(lines = c("id", "7", "hash"))
  script <- withr::local_tempfile(lines = c(
    paste0("open <- list2env(list(seen_path = ", deparse(seen), "))"),
    "fitledger:::note_seen(open, list(id = 'id', seq = 8, hash = 'another'))",
    "cat(open$head$seq)"
  ))
  limits <- c("trap '' XFSZ; ulimit -f 0; ", "")
  for (limit in limits) {
    said <- system2("sh", c("-c", shQuote(paste0(limit, "exec '", R.home("bin"), "/Rscript' --vanilla ", shQuote(script)))), stdout = TRUE)
    expect_identical(said, "8")
    expect_identical(readLines(seen)[[2]], if (nzchar(limit)) "7" else "8")
    expect_length(list.files(dirname(seen), "^seen-"), 0)
  }
})

test_that("nobody writes to a mirror", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  file <- file_of(team)
  new_session()
  before <- bytes(file)
  expect_error(log_run(file, list(), list(m = 2)), class = "fitledger_error_mirror")
  expect_error(start_run(file), class = "fitledger_error_mirror")
  expect_identical(bytes(file), before)
  # A copy of it is a ledger of its own.
  copy <- local_file()
  file.copy(file, copy)
  log_run(copy, list(), list(m = 2))
  expect_identical(read_runs(copy)$m, c(1, 2))
})

test_that("a connection that is lost is made anew, and nothing is appended twice", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  kill <- function() postgres_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
  kill()
  log_run(team, list(), list(m = 2))
  kill()
  expect_identical(read_runs(team)$m, c(1, 2))
  # A server that is started anew.
  stop_postgres("fast")
  run_postgres()
  log_run(team, list(), list(m = 3))
  expect_identical(read_runs(team)$m, c(1, 2, 3))
  # RPostgres makes an open connection anew.
  connection <- postgres_connect()()
  withr::defer(DBI::dbDisconnect(connection))
  given <- ledger_postgres(connection, team$name)
  log_run(given, list(), list(m = 4))
  kill()
  log_run(given, list(), list(m = 5))
  expect_identical(read_runs(team)$m, c(1, 2, 3, 4, 5))
})

test_that("a mirror in a folder to which others may write is not believed", {
  skip_on_os("windows")
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  folder <- dirname(file_of(team))
  withr::defer(Sys.chmod(folder, "0700", FALSE))
  Sys.chmod(folder, "0777", FALSE)
  expect_error(read_runs(team), "Others may write to", class = "fitledger_error_io")
  Sys.chmod(folder, "0700", FALSE)
  expect_identical(read_runs(team)$m, 1)
})

test_that("who is outrun time and again is told to wait, and comes through", {
  team <- local_postgres()
  id <- log_run(team, list(), list(m = 1))
  # A server on which somebody else is faster 21 times.
  postgres_sql("CREATE SEQUENCE fitledger.outrun")
  postgres_sql("ALTER FUNCTION fitledger.append_rows RENAME TO append_at_last")
  postgres_sql(
    "CREATE FUNCTION fitledger.append_rows(text, text, bigint, text, bigint, text) RETURNS text[] LANGUAGE sql SECURITY DEFINER
     AS $$ SELECT CASE WHEN nextval('fitledger.outrun') < 22 THEN ARRAY['conflict']
       ELSE fitledger.append_at_last($1, $2, $3, $4, $5, $6) END $$"
  )
  withr::defer({
    postgres_sql("DROP FUNCTION fitledger.append_rows")
    postgres_sql("ALTER FUNCTION fitledger.append_at_last RENAME TO append_rows")
    postgres_sql("DROP SEQUENCE fitledger.outrun")
  })
  expect_message(tag_run(team, id, mine = TRUE), "Waiting for others", class = "fitledger_message_waiting")
  expect_identical(read_runs(team, columns = "tags.mine")$tags.mine, TRUE)
  expect_equal(as.numeric(postgres_sql("SELECT last_value FROM fitledger.outrun")[[1]]), 22)
})

test_that("a connection that comes lost is an error, and the next one is used", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  calls <- 0
  dies <- function() {
    calls <<- calls + 1
    connection <- postgres_connect()()
    if (calls == 1) {
      pid <- DBI::dbGetQuery(connection, "SELECT pg_backend_pid()")[[1]]
      postgres_sql("SELECT pg_terminate_backend(", pid, ", 10000)")
      # RPostgres would make it anew.
      DBI::dbDisconnect(connection)
    }
    connection
  }
  dying <- ledger_postgres(dies, team$name)
  expect_error(log_run(dying, list(), list(m = 2)), "was lost", class = "fitledger_error_database")
  log_run(dying, list(), list(m = 3))
  expect_identical(read_runs(team)$m, c(1, 3))
})

test_that("a function may give a connection that is used for other questions, too", {
  skip_without_postgres()
  connection <- postgres_connect()()
  withr::defer(DBI::dbDisconnect(connection))
  name <- basename(tempfile("ledger-"))
  team <- ledger_postgres(function() connection, name)
  for (i in 1:3) {
    log_run(team, list(), list(m = i))
    log_run(team, list(), list(m = i))
    suppressWarnings(DBI::dbGetQuery(connection, "SELECT 1"))
  }
  # Nothing is logged that could be taken back.
  suppressWarnings(DBI::dbExecute(connection, "BEGIN", immediate = TRUE))
  expect_error(log_run(team, list(), list(m = 4)), class = "fitledger_error_database")
  DBI::dbExecute(connection, "ROLLBACK", immediate = TRUE)
  expect_identical(read_runs(team)$m, rep(1:3, each = 2))
})

test_that("a connection inside a transaction is refused", {
  skip_without_postgres()
  connection <- postgres_connect()()
  withr::defer(DBI::dbDisconnect(connection))
  given <- ledger_postgres(connection, "transactions")
  log_run(given, list(), list(m = 1))
  DBI::dbBegin(connection)
  expect_error(log_run(given, list(), list(m = 2)), "inside a transaction", class = "fitledger_error_database")
  expect_error(read_runs(given), "inside a transaction", class = "fitledger_error_database")
  # One that has failed, too, and at once.
  try(DBI::dbExecute(connection, "SELECT 1 / 0", immediate = TRUE), silent = TRUE)
  error <- expect_error(log_run(given, list(), list(m = 2)), class = "fitledger_error_database")
  expect_match(conditionMessage(error$parent), "transaction is aborted")
  DBI::dbRollback(connection)
  log_run(given, list(), list(m = 3))
  expect_identical(read_runs(given)$m, c(1, 3))
})

test_that("stored bytes that somebody replaced are not believed", {
  team <- local_postgres()
  id <- log_run(team, list(), list(), artifacts = list(model = list(1, "a")))
  sha256 <- read_artifacts(team, id)$sha256
  postgres_role("poisoner")
  share_ledger(team, "poisoner")
  # An upload that comes first, and says that it is this object.
  postgres_sql(
    "BEGIN; SET LOCAL session_replication_role = replica; UPDATE fitledger.parts SET bytes = '\\x00' WHERE upload = (SELECT upload FROM fitledger.uploads WHERE sha256 = '", sha256, "'); COMMIT"
  )
  another_machine()
  expect_error(read_artifact(team, id, "model"), class = "fitledger_error_artifact")
  expect_false(verify_ledger(team)$status == "ok" && !nrow(verify_ledger(team)$problems))
  # Whoever has the bytes logs them again: another upload, which is taken.
  postgres_sql("SELECT fitledger.begin_upload('", team$name, "', '", sha256, "')")
  log_run(team, list(), list(), artifacts = list(model = list(1, "b")))
  object <- withr::local_tempfile()
  saveRDS(list(1, "a"), object)
  send_object(open_ledger(team), sha256, object, call = NULL)
  expect_identical(read_artifact(team, id, "model"), list(1, "a"))
})

test_that("large artifacts come in parts", {
  team <- local_postgres()
  path <- withr::local_tempfile()
  bytes <- as.raw(rep(c(1:251), length.out = 2 * part_bytes + 17))
  writeBin(bytes, path)
  exact <- withr::local_tempfile()
  writeBin(bytes[seq_len(part_bytes)], exact)
  empty <- withr::local_tempfile()
  file.create(empty)
  id <- log_run(team, list(), list(), artifacts = list(large = path, exact = exact, empty = empty))
  another_machine()
  expect_identical(read_artifact(team, id, "large"), bytes)
  expect_identical(read_artifact(team, id, "exact"), bytes[seq_len(part_bytes)])
  expect_identical(read_artifact(team, id, "empty"), raw())
})

test_that("forked processes have connections of their own", {
  skip_on_os("windows")
  team <- local_postgres()
  run <- start_run(team, list(a = 1))
  log_metrics(run, loss = 1, step = 1)
  children <- lapply(2:5, function(step) {
    parallel::mcparallel({
      log_metrics(run, loss = step, step = step)
      log_run(team, list(step = step), list(m = step))
      nrow(read_runs(team)) > 0
    })
  })
  for (child in parallel::mccollect(children)) expect_true(child)
  end_run(run, list(m = 0))
  expect_setequal(read_metrics(team)$value, 1:5)
  expect_identical(nrow(read_runs(team)), 5L)
  expect_identical(verify_ledger(team)$status, "ok")
})

test_that("of decisions on the same thing one wins, whoever else writes", {
  team <- local_postgres()
  id <- log_run(team, list(), list(m = 1), artifacts = list(model = 1))
  code <- c(
    "library(fitledger)", paste("team <-", code_of(team)),
    sprintf("for (i in 1:5) register_model(team, 'model', '%s')", id),
    "for (i in 1:10) log_run(team, list(i = i), list(m = i))", "cat('done\n')"
  )
  run_apart(code, times = 4)
  expect_identical(read_models(team)$version, 1:20)
  expect_identical(nrow(read_runs(team)), 41L)
  problems <- verify_ledger(team)$problems
  expect_identical(nrow(problems), 0L)
})

test_that("an import goes into a database and out of it", {
  from <- local_file()
  id <- log_run(from, list(a = 1), list(m = 1), artifacts = list(model = list(1, 2)))
  register_model(from, "p", id)
  promote_model(from, "p", 1)
  team <- local_postgres()
  suppressMessages(import_runs(from, team))
  suppressMessages(expect_identical(import_runs(from, team), character()))
  another_machine()
  expect_identical(read_model(team, "p@production")[[2]], 2)
  back <- local_file()
  suppressMessages(import_runs(team, back))
  expect_identical(read_artifact(back, id, "model"), list(1, 2))
  expect_identical(read_runs(back), read_runs(from))
})

test_that("a server without fsync is said, once", {
  team <- local_postgres()
  stop_postgres("fast")
  run_postgres(options = "-c fsync=off")
  withr::defer({
    stop_postgres("fast")
    run_postgres()
  })
  another_machine()
  expect_message(log_run(team, list(), list(m = 1)), "fsync = off", class = "fitledger_message")
  expect_message(read_runs(team), NA)
})

test_that("who set synchronous_commit off waits for the disk all the same", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  postgres_role("hasty")
  postgres_sql("ALTER ROLE hasty SET synchronous_commit = off")
  share_ledger(team, "hasty")
  hasty <- ledger_postgres(postgres_connect("hasty"), team$name)
  for (i in 1:2) {
    log_run(hasty, list(), list(m = i))
    stop_postgres("immediate")
    run_postgres()
    expect_identical(nrow(read_runs(team)), i + 1L)
  }
})

# Begins a call of an R process of its own while somebody else holds the lock on the head: then its rows are brought to the disk
# by a transaction of their own. On a server where nothing comes to the disk by itself for a while.
while_others_write <- function(ledger, code, until = TRUE, env = parent.frame()) {
  until <- substitute(until)
  stop_postgres("fast")
  run_postgres(options = "-c wal_writer_delay=10s")
  withr::defer(
    {
      stop_postgres("fast")
      run_postgres()
    },
    env
  )
  read_runs(ledger)
  connection <- postgres_connect()()
  on.exit(DBI::dbDisconnect(connection))
  DBI::dbExecute(connection, "BEGIN")
  DBI::dbGetQuery(connection, paste0("SELECT seq::int FROM \"", ledger$schema, "\".ledgers FOR UPDATE"))
  job <- parallel::mcparallel(rlang::eval_bare(code, env), silent = TRUE)
  wait_until(is_waiting("wait_event_type = 'Lock'"), "a call to wait for the lock")
  wait_until(eval(until, env), "what it does")
  DBI::dbExecute(connection, "COMMIT")
  job
}

is_waiting <- function(how) {
  postgres_sql("SELECT count(*)::int FROM pg_stat_activity WHERE ", how)[[1]] > 0
}

test_that("a call that waits for others says so, and goes on", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  said <- withr::local_tempfile()
  postgres_role("waiter")
  share_ledger(team, "waiter")
  as_waiter <- ledger_postgres(postgres_connect("waiter"), team$name)
  job <- while_others_write(as_waiter, quote(withCallingHandlers(
    log_run(as_waiter, list(), list(m = 2)),
    fitledger_message_waiting = function(m) {
      writeLines(conditionMessage(m), said)
      rlang::cnd_muffle(m)
    }
  )), until = file.exists(said))
  expect_type(parallel::mccollect(job)[[1]], "character")
  expect_match(readLines(said), paste0("Waiting for others to finish writing to the ledger `", team$name, "`"), fixed = TRUE)
  expect_identical(read_runs(team)$m, c(1, 2))
})

test_that("what a role's sessions are set to changes nothing", {
  team <- local_postgres()
  log_run(team, list(), list(m = 0))
  settings <- c(
    "standard_conforming_strings = off", "default_transaction_isolation = serializable", "bytea_output = escape", "search_path = ''",
    "backslash_quote = off", "client_min_messages = debug1", "escape_string_warning = on"
  )
  for (i in seq_along(settings)) {
    role <- paste0("has_set_", i)
    postgres_role(role)
    postgres_sql("ALTER ROLE ", role, " SET ", settings[[i]])
    share_ledger(team, role)
    as_role <- ledger_postgres(postgres_connect(role), team$name)
    id <- log_run(as_role, list(text = "a\\b'c\""), list(m = i), artifacts = list(x = list("a\\b", as.raw(0:255))))
    another_machine()
    expect_identical(read_runs(as_role)$text[[i + 1]], "a\\b'c\"")
    expect_identical(read_artifact(as_role, id, "x"), list("a\\b", as.raw(0:255)))
    # What is refused is refused under it, too.
    connection <- postgres_connect(role)()
    row <- paste0("2026-11-23T04:20:47.123456Z\x1frun\x1fa-1\x1f\x1f\x1f\x1f{\"a\":\"\n\"}")
    sql <- paste0("CALL fitledger.append('", team$name, "', 'r', 1, fitledger.hash_at('", team$name, "', 1), 0, E'", gsub("\n", "\\n", row, fixed = TRUE), "', true, true, NULL)")
    expect_error(suppressMessages(DBI::dbGetQuery(connection, sql, immediate = TRUE)), "control characters")
    DBI::dbDisconnect(connection)
  }
  # Writers at once, of whom none waits for a lock under a setting of their own.
  serial <- ledger_postgres(postgres_connect("has_set_2"), team$name)
  run_apart(c("library(fitledger)", paste("team <-", code_of(serial)), "for (i in 1:20) log_run(team, list(), list(m = i))", "cat('done\n')"), times = 3)
  expect_identical(nrow(read_runs(team)), 61L + length(settings))
})

test_that("rows that a crash of the server takes back before they are on disk are sent again", {
  team <- local_postgres(schema = "slow_disk")
  log_run(team, list(), list(m = 1))
  postgres_sql(
    "ALTER FUNCTION slow_disk.flush RENAME TO flush_now; CREATE FUNCTION slow_disk.flush() RETURNS void ",
    "LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); PERFORM slow_disk.flush_now(); END'"
  )
  job <- while_others_write(team, quote(log_run(team, list(), list(m = 2))))
  wait_until(is_waiting("wait_event = 'PgSleep'"), "rows to be there, and not on disk")
  stop_postgres("immediate")
  run_postgres()
  id <- parallel::mccollect(job)[[1]]
  expect_identical(read_runs(team)$m, c(1, 2))
  expect_identical(read_runs(team)$run_id[[2]], id)
  expect_identical(nrow(verify_ledger(team)$problems), 0L)
})

test_that("an answer that came before its transaction was over is not believed", {
  team <- local_postgres(schema = "slow_commit")
  log_run(team, list(), list(m = 1))
  postgres_sql(
    "CREATE FUNCTION slow_commit.nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'; ",
    "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON slow_commit.rows DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit.nap()"
  )
  job <- parallel::mcparallel(log_run(team, list(), list(m = 2)), silent = TRUE)
  wait_until(is_waiting("wait_event = 'PgSleep'"), "a transaction to be about to end")
  # The server that crashes sends what it has; the client looks once there is a server again.
  tools::pskill(job$pid, tools::SIGSTOP)
  stop_postgres("immediate")
  run_postgres()
  postgres_sql("DROP TRIGGER nap ON slow_commit.rows")
  tools::pskill(job$pid, tools::SIGCONT)
  id <- parallel::mccollect(job)[[1]]
  expect_identical(read_runs(team)$m, c(1, 2))
  expect_identical(read_runs(team)$run_id[[2]], id)
})

test_that("an object that a crash of the server takes back is sent again", {
  team <- local_postgres(schema = "slow_upload")
  log_run(team, list(), list(m = 1))
  postgres_role("hasty_sender")
  postgres_sql("ALTER ROLE hasty_sender SET synchronous_commit = off")
  share_ledger(team, "hasty_sender")
  # Before each of these the server crashes once.
  for (before in c("put_part(bigint, int, bytea)", "end_upload(bigint, int)", "append_rows(text, text, bigint, text, bigint, text)")) {
    name <- sub("[(].*", "", before)
    n <- lengths(strsplit(before, ","))
    type <- postgres_sql("SELECT pg_get_function_result('slow_upload.", before, "'::regprocedure)")[[1]]
    postgres_sql(
      "ALTER FUNCTION slow_upload.", name, " RENAME TO now_", name, "; CREATE FUNCTION slow_upload.", before, " RETURNS ", type,
      " LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN slow_upload.now_", name, "(", paste0("$", seq_len(n), collapse = ", "), "); END'; ",
      "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA slow_upload TO hasty_sender"
    )
    stop_postgres("fast")
    run_postgres(options = "-c wal_writer_delay=10s")
    hasty <- ledger_postgres(postgres_connect("hasty_sender"), team$name, schema = "slow_upload")
    job <- parallel::mcparallel(log_run(hasty, list(), list(m = 2), artifacts = list(x = list(before))), silent = TRUE)
    wait_until(is_waiting("wait_event = 'PgSleep'"), "the call to come so far")
    stop_postgres("immediate")
    run_postgres()
    id <- parallel::mccollect(job)[[1]]
    postgres_sql("DROP FUNCTION slow_upload.", name, "; ALTER FUNCTION slow_upload.now_", name, " RENAME TO ", name)
    another_machine()
    expect_identical(read_artifact(team, id, "x"), list(before))
  }
})

test_that("a session's row is waited for where nothing else is", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  job <- while_others_write(team, quote({
    options(fitledger.sync = "none")
    log_run(team, list(), list(m = 2))
    stop_postgres("immediate")
    run_postgres()
    log_run(team, list(), list(m = 3))
  }))
  expect_type(parallel::mccollect(job)[[1]], "character")
  verified <- verify_ledger(team)
  expect_identical(verified$status, "ok")
  expect_identical(verified$problems$problem, character())
})

test_that("a wait for the server that follows is not given up without a word", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  postgres_role("deaf")
  postgres_sql("ALTER ROLE deaf SET client_min_messages = error")
  share_ledger(team, "deaf")
  stop_postgres("fast")
  run_postgres(options = "-c synchronous_standby_names=nobody")
  withr::defer({
    stop_postgres("fast")
    run_postgres()
  })
  deaf <- ledger_postgres(postgres_connect("deaf"), team$name)
  for (call in list(quote(log_run(team, list(), list(m = 2))), quote(log_run(deaf, list(), list(m = 3))), quote(read_runs(team)))) {
    job <- parallel::mcparallel(tryCatch(rlang::eval_bare(call), error = identity), silent = TRUE)
    said <- NULL
    # Somebody who is tired of waiting.
    wait_until(
      {
        postgres_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        !is.null(said <- parallel::mccollect(job, wait = FALSE))
      },
      "a call that is not waited for to end"
    )
    suppressWarnings(parallel::mccollect(job))
    expect_s3_class(said[[1]], "fitledger_error_durability_unknown")
    expect_match(conditionMessage(said[[1]]$parent), "synchronous replication")
  }
})

test_that("a mirror that was lost or damaged while R runs costs no row", {
  team <- local_postgres()
  harm <- list(
    function(path) unlink(dirname(path), recursive = TRUE),
    function(path) writeLines(character(), path),
    function(path) writeLines("garbage", path),
    function(path) writeLines(readLines(path)[-1], path),
    function(path) cat("9,x\n", file = path, append = TRUE),
    function(path) writeBin(raw(file.size(path)), path)
  )
  n <- 0
  for (harm_it in harm) {
    another_machine()
    run <- start_run(team)
    log_run(team, list(), list(m = n <- n + 1))
    read_runs(team)
    path <- open_ledger(team)$path
    harm_it(path)
    suppressMessages(log_run(team, list(), list(m = n <- n + 1)))
    harm_it(path)
    suppressMessages(log_run(team, list(), list(m = n <- n + 1), artifacts = list(x = list(n))))
    harm_it(path)
    suppressMessages(end_run(run, list(m = n <- n + 1)))
    expect_identical(sort(suppressMessages(read_runs(team))$m), as.numeric(seq_len(n)))
    expect_identical(suppressMessages(verify_ledger(team))$status, "ok")
  }
})

test_that("a row that is on record is acknowledged, whatever becomes of the mirror", {
  team <- local_postgres(schema = "slow_hash")
  log_run(team, list(), list(m = 1))
  path <- open_ledger(team)$path
  postgres_sql(
    "ALTER FUNCTION slow_hash.row_hash RENAME TO hash_now; CREATE FUNCTION slow_hash.row_hash(previous text, body text) RETURNS text ",
    "LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); RETURN slow_hash.hash_now(previous, body); END'"
  )
  job <- parallel::mcparallel(silent = TRUE, {
    wait_until(is_waiting("wait_event = 'PgSleep'"), "rows to be on their way")
    # As on a disk that is full, nothing can be written there.
    unlink(dirname(path), recursive = TRUE)
    writeLines("", dirname(path))
  })
  expect_type(log_run(team, list(), list(m = 2)), "character")
  parallel::mccollect(job)
  expect_false(dir.exists(dirname(path)))
  unlink(dirname(path))
  log_run(team, list(), list(m = 3))
  expect_identical(read_runs(team)$m, c(1, 2, 3))
})

test_that("a folder in which others could have put a mirror is not used", {
  skip_on_os("windows")
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  another_machine()
  path <- open_ledger(team)$path
  Sys.chmod(dirname(path), "0777", use_umask = FALSE)
  writeLines(sub("\"\"m\"\":1", "\"\"m\"\":2", readLines(path), fixed = TRUE), path)
  new_session()
  expect_identical(read_runs(team)$m, 1)
  expect_true(startsWith(normalizePath(open_ledger(team)$path), normalizePath(tempdir())))
})

test_that("what was noted of a ledger and can't be read says nothing of the database", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  for (lines in list(c("a", "b", "c"), c("", "", ""), strrep("0", 32))) {
    writeLines(lines, open_ledger(team)$seen_path)
    new_session()
    expect_identical(expect_silent(read_runs(team))$m, 1)
  }
})

test_that("a server that gives other rows than it says it has is found out", {
  another_machine()
  team <- local_postgres(schema = "two_faced")
  for (i in 1:4) log_run(team, list(i = i), list(m = i))
  before <- read_runs(team)
  postgres_sql(
    "ALTER TABLE two_faced.rows DISABLE TRIGGER ALL; ALTER TABLE two_faced.ledgers DISABLE TRIGGER ALL; ",
    "CREATE TABLE two_faced.old AS SELECT * FROM two_faced.rows; DO $do$ DECLARE r record; h text; body text; BEGIN ",
    "SELECT two_faced.hash_of(line) INTO h FROM two_faced.rows WHERE seq = 2; FOR r IN SELECT * FROM two_faced.rows WHERE seq > 2 ORDER BY seq LOOP ",
    "body := replace(convert_from(substr(r.line, 1, length(r.line) - 65), 'UTF8'), '\"\"m\"\":2', '\"\"m\"\":0'); h := two_faced.row_hash(h, body); ",
    "UPDATE two_faced.rows SET line = convert_to(body || ',' || h, 'UTF8') WHERE seq = r.seq; END LOOP; ",
    "UPDATE two_faced.ledgers SET hash = h; END $do$; ",
    "CREATE OR REPLACE FUNCTION two_faced.hash_at(name_ text, seq_ bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS ",
    "'SELECT two_faced.hash_of(line) FROM two_faced.old WHERE seq = seq_'; ",
    "CREATE OR REPLACE FUNCTION two_faced.look(name_ text, seq_ bigint) RETURNS text[] LANGUAGE sql SECURITY DEFINER AS $$ ",
    "SELECT ARRAY['ok', id, seq::text, hash, coalesce(two_faced.hash_at(name_, seq_), ''), 'true', 'false', '', '", setup_version, "'] ",
    "FROM two_faced.ledgers WHERE name = name_ $$"
  )
  new_session()
  expect_identical(read_runs(team), before)
  expect_identical(expect_error(verify_ledger(team), class = "fitledger_error_forked")$row, 4)
  # What was seen is known where the mirror went with the cache.
  unlink(Sys.getenv("R_USER_CACHE_DIR"), recursive = TRUE)
  new_session()
  for (i in 1:2) {
    expect_error(read_runs(team), class = "fitledger_error_forked")
    expect_error(log_run(team, list(), list(m = 9)), class = "fitledger_error_forked")
  }
})

test_that("a server that gives none of the rows or parts that it says it has is asked no more", {
  another_machine()
  team <- local_postgres(schema = "giving_nothing")
  id <- log_run(team, list(), list(m = 1), artifacts = list(a = 1:3))
  log_run(team, list(), list(m = 2))
  on_a_new_machine <- function() {
    unlink(c(Sys.getenv("R_USER_CACHE_DIR"), Sys.getenv("R_USER_DATA_DIR")), recursive = TRUE)
    new_session()
  }
  give <- function(fun, arguments, sql) {
    postgres_sql(
      "CREATE OR REPLACE FUNCTION giving_nothing.", fun, "(", arguments, ") RETURNS bytea LANGUAGE sql SECURITY DEFINER AS $$ ", sql, " $$"
    )
  }
  postgres_sql("ALTER TABLE giving_nothing.uploads DISABLE TRIGGER ALL; UPDATE giving_nothing.uploads SET parts = 2000000000")
  for (nothing in c("NULL", "''")) {
    give("get_part", "upload_ bigint, part_ int", paste0("SELECT ", nothing, "::bytea"))
    on_a_new_machine()
    expect_error(read_artifact(team, id, "a"), class = "fitledger_error")
  }

  first <- "SELECT line || '\\x0a'::bytea FROM giving_nothing.rows ORDER BY seq LIMIT 1"
  for (sql in c("SELECT NULL::bytea", "SELECT ''::bytea", first)) {
    give("read_rows", "name_ text, after bigint, up_to bigint, most_bytes bigint", sql)
    on_a_new_machine()
    error <- expect_error(read_runs(team), "doesn't have it", class = "fitledger_error_forked")
    expect_identical(error$row, if (sql == first) 2 else 1)
  }
})

test_that("a question that ends each connection is given up", {
  another_machine()
  team <- local_postgres(schema = "fatal")
  log_run(team, list(), list(m = 1))
  unlink(c(Sys.getenv("R_USER_CACHE_DIR"), Sys.getenv("R_USER_DATA_DIR")), recursive = TRUE)
  new_session()
  postgres_sql(
    "CREATE OR REPLACE FUNCTION fatal.read_rows(name_ text, after bigint, up_to bigint, most_bytes bigint) RETURNS bytea ",
    "LANGUAGE sql SECURITY DEFINER AS $$ SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())::text::bytea $$"
  )
  expect_error(read_runs(team), "is lost each time", class = "fitledger_error_database")
})

test_that("a call has a connection of its own ledger where others of the same name are closed", {
  skip_without_postgres()
  name <- basename(tempfile("ledger-"))
  run <- NULL
  for (i in 1:3) {
    connection <- postgres_connect()()
    team <- ledger_postgres(connection, name)
    log_run(team, list(), list(m = i), artifacts = list(x = list(i)))
    run <- start_run(team)
    log_metrics(run, m = 10 * i)
    end_run(run)
    DBI::dbDisconnect(connection)
  }
  expect_identical(read_runs(ledger_postgres(postgres_connect(), name))$m, c(1, 10, 2, 20, 3, 30))
})

test_that("a ledger that is made anew in each call leaves no connection for each", {
  team <- local_postgres()
  log_run(team, list(), list(m = 0))
  postgres_role("maker")
  share_ledger(team, "maker")
  connections <- function() postgres_sql("SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'maker'")[[1]]
  made_anew <- function() {
    connect <- postgres_connect("maker")
    ledger_postgres(function() connect(), team$name)
  }
  run <- start_run(made_anew())
  for (i in 1:20) {
    log_run(made_anew(), list(), list(m = i))
    expect_lte(connections(), 6)
  }
  # Who has one still goes on with it.
  log_metrics(run, loss = 1)
  end_run(run)
  expect_identical(read_run(team, run)$status, "finished")
  expect_identical(sort(read_runs(made_anew())$m), as.numeric(0:20))

  # A connection that somebody uses, too, stays theirs.
  connection <- postgres_connect("maker")()
  withr::defer(DBI::dbDisconnect(connection))
  through <- function(connection) ledger_postgres(function() connection, team$name)
  for (i in 21:30) log_run(through(connection), list(), list(m = i))
  expect_identical(suppressWarnings(DBI::dbGetQuery(connection, "SELECT 1 AS one")$one), 1L)
  expect_identical(sort(read_runs(team)$m), as.numeric(0:30))
})

test_that("an answer that somebody left open on a connection is no fault of the server's", {
  skip_without_postgres()
  connection <- postgres_connect()()
  withr::defer(DBI::dbDisconnect(connection))
  team <- ledger_postgres(connection, basename(tempfile("ledger-")))
  log_run(team, list(), list(m = 1))
  left_open <- function() suppressWarnings(DBI::dbSendQuery(connection, "SELECT generate_series(1, 10)"))
  left <- left_open()
  expect_type(log_run(team, list(), list(m = 2)), "character")
  left <- left_open()
  expect_identical(read_runs(team)$m, c(1, 2))
})

test_that("a call that is cut short once its rows are committed says that they are on record", {
  team <- local_postgres(schema = "cut_short")
  postgres_role("in_a_hurry")
  share_ledger(team, "in_a_hurry")
  hurried <- ledger_postgres(postgres_connect("in_a_hurry"), team$name, schema = team$schema)
  log_run(hurried, list(), list(m = 1))
  postgres_sql(
    "ALTER FUNCTION cut_short.flush RENAME TO flush_now; CREATE SEQUENCE cut_short.calls; CREATE FUNCTION cut_short.flush() RETURNS void ",
    "LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN IF nextval(''cut_short.calls'') <= 1 THEN PERFORM pg_sleep(60); END IF; ",
    "PERFORM cut_short.flush_now(); END'; GRANT EXECUTE ON FUNCTION cut_short.flush TO in_a_hurry"
  )
  # The rows of a call that waited for others are committed before it waits for the disk.
  cut <- function(code, times) {
    holds <- withr::local_tempfile()
    job <- parallel::mcparallel(silent = TRUE, {
      connection <- postgres_connect()()
      DBI::dbExecute(connection, "BEGIN")
      DBI::dbExecute(connection, "SELECT FROM cut_short.ledgers FOR UPDATE")
      writeLines("", holds)
      wait_until(is_waiting("wait_event_type = 'Lock'"), "a call to wait for the lock")
      DBI::dbExecute(connection, "COMMIT")
      for (i in seq_len(times)) {
        wait_until(is_waiting("wait_event = 'PgSleep'"), "rows to be there, and not on disk")
        postgres_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
      }
    })
    wait_until(file.exists(holds), "the lock to be held")
    result <- tryCatch(code, error = identity)
    parallel::mccollect(job)
    result
  }
  expect_type(cut(log_run(hurried, list(), list(m = 2)), 1), "character")
  expect_identical(read_runs(hurried)$m, c(1, 2))
  postgres_sql("CREATE OR REPLACE FUNCTION cut_short.flush() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); END'")
  expect_s3_class(cut(log_run(hurried, list(), list(m = 3)), 2), "fitledger_error_durability_unknown")
  postgres_sql("DROP FUNCTION cut_short.flush; ALTER FUNCTION cut_short.flush_now RENAME TO flush")
  expect_identical(read_runs(team)$m, c(1, 2, 3))
})

test_that("an object that isn't what its name says keeps nobody from storing the real one", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  postgres_role("poisoner")
  share_ledger(team, "poisoner")
  connection <- postgres_connect("poisoner")()
  withr::defer(DBI::dbDisconnect(connection))
  ask <- function(...) DBI::dbGetQuery(connection, paste0("SELECT fitledger.", ...), immediate = TRUE)[[1]]
  upload_as <- function(bytes, parts) {
    path <- withr::local_tempfile()
    writeBin(bytes, path)
    upload <- ask("begin_upload('", team$name, "', '", call_native(native_hash_file, path, NULL)$sha256, "')::text")
    for (part in parts) ask("put_part(", upload, ", ", part, ", '\\xbad0'::bytea)")
    upload
  }
  bytes <- charToRaw("what somebody will store")
  for (parts in list(0, 0:1, integer(), c(-1, 0))) {
    upload <- upload_as(bytes, parts)
    expect_false(ask("end_upload(", upload, ", ", length(parts), ")"))
  }
  # What is too large for the database to hash is believed by who reads it least.
  large <- c(bytes, raw(2^26))
  ask("put_part(", upload <- upload_as(large, integer()), ", 0, pg_catalog.decode(pg_catalog.repeat('00', 67108865), 'hex'))")
  expect_true(ask("end_upload(", upload, ", 1)"))
  path <- withr::local_tempfile()
  for (stored in list(bytes, large)) {
    writeBin(stored, path)
    id <- log_run(team, list(), list(), artifacts = list(x = path))
    machine <- another_machine()
    expect_identical(read_artifact(team, id, "x"), stored)
  }
})

test_that("functions that somebody has planted are not called", {
  team <- local_postgres()
  log_run(team, list(), list(m = 1))
  postgres_role("planter")
  postgres_sql("GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE TABLE public.told (what text); GRANT INSERT ON public.told TO PUBLIC")
  withr::defer(postgres_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC; DROP TABLE public.told CASCADE; DROP OWNED BY planter CASCADE"))
  connection <- postgres_connect("planter")()
  withr::defer(DBI::dbDisconnect(connection))
  # Each fits better than what is meant.
  for (what in c(
    "array_to_string(text[], text) RETURNS text", "cat(text[], text) RETURNS text[]", "hashtextextended(text, int) RETURNS bigint",
    "has_schema_privilege(oid, name) RETURNS boolean"
  )) {
    DBI::dbExecute(connection, paste0("CREATE FUNCTION public.", what, " LANGUAGE sql AS 'INSERT INTO public.told VALUES (''", what, "''); SELECT NULL::", sub(".* ", "", what), "'"), immediate = TRUE)
  }
  DBI::dbExecute(connection, "CREATE OPERATOR public.|| (LEFTARG = text[], RIGHTARG = text, FUNCTION = public.cat)", immediate = TRUE)
  another_machine()
  id <- log_run(team, list(), list(m = 2), artifacts = list(x = 1))
  expect_identical(read_runs(team)$m, c(1, 2))
  log_run(ledger_postgres(postgres_connect(), "a", schema = "after_planting"), list(), list(m = 1))
  expect_identical(postgres_sql("SELECT count(*)::int FROM public.told")[[1]], 0L)
})

test_that("a page shows a ledger in a database, and a live view follows what others log there", {
  skip_if_not_installed("httpuv")
  team <- local_postgres()
  log_run(team, list(a = 1), list(m = 1))
  page <- view_runs(team, withr::local_tempfile(fileext = ".html"), open = FALSE)
  expect_match(readChar(page, file.size(page), useBytes = TRUE), team$name, fixed = TRUE)
  view <- local_view(team, where = a < 3)
  expect_equal(told(view)$runs$n, 1)
  # Their mirror is another one, and ours isn't looked at meanwhile.
  log_elsewhere <- function(a) {
    another_machine()
    log_run(team, list(a = a), list(m = 2))
  }
  log_elsewhere(2)
  log_elsewhere(3)
  expect_equal(told(view)$runs$n, 2)
  expect_equal(told(view)$seq, 7)
  expect_identical(view_runs(team, where = a < 3, live = TRUE, open = FALSE), paste0("http://127.0.0.1:", view$port, view$path))
})

test_that("how a live view connects goes with it, or is said to be missing", {
  skip_if_not_installed("httpuv")
  team <- local_postgres()
  log_run(team, list(a = 1), list(m = 1))
  withr::defer(rm("connect_to_team", envir = globalenv()))
  assign("connect_to_team", team$connect, globalenv())
  through <- ledger_postgres(rlang::new_function(list(), quote(connect_to_team()), globalenv()), team$name)
  view <- local_view(through)
  expect_equal(told(view)$runs$n, 1)
  connection <- team$connect()
  withr::defer(DBI::dbDisconnect(connection))
  error <- expect_error(
    view_runs(ledger_postgres(connection, team$name), live = TRUE, open = FALSE),
    "has a connection of its own", class = "fitledger_error_argument"
  )
  expect_identical(error$arg, "live")
  suppressMessages(stop_view())
  may_connect <- TRUE
  once <- function() {
    if (!may_connect) stop("not today")
    team$connect()
  }
  short <- ledger_postgres(once, team$name)
  read_runs(short)
  may_connect <- FALSE
  expect_error(view_runs(short, live = TRUE, open = FALSE), "Can't connect", class = "fitledger_error_server")
})
