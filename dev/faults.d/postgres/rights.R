# Those who may not, and names that may do harm.

# All that is set up, and on record, in the schema, but for uploads, which writers may begin.
fingerprint <- function(schema = "fitledger") {
  paste(postgres_sql(
    "SELECT md5(string_agg(x, '' ORDER BY x)) FROM (SELECT row(r.*)::text FROM ", schema, ".rows r UNION ALL ",
    "SELECT row(l.*)::text FROM ", schema, ".ledgers l UNION ALL SELECT row(r.*)::text FROM ", schema, ".rights r UNION ALL ",
    "SELECT proname::text || prosrc || coalesce(proacl::text, '') FROM pg_proc WHERE pronamespace = '", schema, "'::regnamespace UNION ALL ",
    "SELECT relname::text || coalesce(relacl::text, '') || relowner::text FROM pg_class WHERE relnamespace = '", schema, "'::regnamespace UNION ALL ",
    "SELECT coalesce(nspacl::text, '') || nspowner::text FROM pg_namespace WHERE nspname = '", schema, "' UNION ALL ",
    "SELECT tgname::text || tgenabled::text FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = '", schema, "'::regnamespace) AS f (x)"
  )[[1]])
}

as_literal <- function(x) paste0("E'", gsub("'", "''", gsub("\\", "\\\\", x, fixed = TRUE), fixed = TRUE), "'")

# A random value of a type, of those that may do harm.
hostile_value <- function(type, names) {
  text <- function() {
    pick(c(
      names, "", "'", "\\", "$$", "'); DROP TABLE fitledger.rows; --", "%I", "%s", strrep("x", 300), strrep("0", 64), "\u2603",
      "2026-11-23T04:20:47.123456Z", "\x1f", "owner", "public", "{}", "run"
    ))
  }
  switch(type,
    text = as_literal(text()),
    `text[]` = paste0("ARRAY[", paste(as_literal(replicate(sample.int(8, 1), text())), collapse = ","), "]::text[]"),
    bytea = pick(c("''::bytea", "'\\x00ff'::bytea")),
    boolean = pick(c("true", "false")),
    pick(c("0", "1", "2", "-1", "2147483647", "NULL"))
  )
}

rights <- function() {
  ledger <- new_ledger()
  other <- new_ledger()
  first <- member("first")
  id <- at(first, log_run(other, list(secret = "sesame"), list(m = 1), artifacts = list(model = list("sesame"))))
  at(first, log_run(ledger, list(), list(m = 1), artifacts = list(model = list(2))))
  for (role in c("stranger", "reader", "writer")) postgres_role(role)
  at(first, {
    share_ledger(ledger, "reader", write = FALSE)
    share_ledger(ledger, "writer")
  })
  functions <- postgres_sql(
    "SELECT proname::text AS name, ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) AS t)::text AS types, prokind = 'p' AS is_procedure FROM pg_proc ",
    "WHERE pronamespace = 'fitledger'::regnamespace"
  )
  types <- strsplit(gsub("[{}\"]", "", functions$types), ",")
  objects <- postgres_sql("SELECT sha256 FROM fitledger.uploads")[[1]]
  before <- fingerprint()
  outsiders <- c("SET ROLE owner", "SET SESSION AUTHORIZATION owner", "ALTER ROLE CURRENT_USER SUPERUSER", "CREATE SCHEMA fitledger")
  by_table <- c(
    "SELECT * FROM fitledger.%s", "DELETE FROM fitledger.%s", "TRUNCATE fitledger.%s CASCADE", "DROP TABLE fitledger.%s CASCADE",
    "ALTER TABLE fitledger.%s DISABLE TRIGGER ALL", "LOCK TABLE fitledger.%s", "COPY fitledger.%s TO STDOUT",
    "CREATE TRIGGER t BEFORE INSERT ON fitledger.%s EXECUTE FUNCTION fitledger.refuse_change()", "CREATE INDEX ON fitledger.%s ((1))",
    "GRANT ALL ON fitledger.%s TO CURRENT_USER", "CREATE VIEW pg_temp.v AS SELECT * FROM fitledger.%s; SELECT * FROM pg_temp.v"
  )
  tables <- c("rows", "ledgers", "rights", "uploads", "parts", "version")
  statements <- c(outsiders, unlist(lapply(by_table, sprintf, tables)))
  for (role in c("stranger", "reader", "writer")) {
    connection <- postgres_connect(role)()
    answers <- function(sql) {
      over()
      tryCatch(suppressWarnings(suppressMessages(DBI::dbGetQuery(connection, sql, immediate = TRUE))), error = identity)
    }
    for (sql in statements) {
      if (!inherits(answers(sql), "error")) say("missed", role, " may: ", sql)
    }
    for (round in seq_len(rounds)) {
      # What whoever is logged in has of their own comes first where names are looked up.
      if (round %% 10 == 1) {
        for (sql in c(
          "CREATE TEMP TABLE IF NOT EXISTS ledgers (ledger int, name text, id text, seq bigint, hash text, owner text)",
          "CREATE TEMP TABLE IF NOT EXISTS rows (ledger int)", "SET search_path = pg_temp, fitledger",
          "CREATE OR REPLACE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''\\x00''::bytea'",
          "CREATE OR REPLACE FUNCTION pg_temp.may(fitledger.ledgers, boolean) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )) {
          answers(sql)
        }
      }
      i <- sample.int(nrow(functions), 1)
      values <- vapply(types[[i]], hostile_value, "", c(ledger$name, other$name, objects, role, id))
      call <- paste0("fitledger.", functions$name[[i]], "(", paste(values, collapse = ", "), ")")
      answer <- answers(if (functions$is_procedure[[i]]) paste("CALL", call) else paste0("SELECT ", call, "::text"))
      if (role == "stranger" && !inherits(answer, "error")) say("missed", role, " may: ", functions$name[[i]])
      if (!inherits(answer, "error") && any(grepl("sesame|736573616d65", unlist(answer)))) {
        say("missed", role, " sees another ledger by ", functions$name[[i]])
      }
    }
    DBI::dbDisconnect(connection)
    if (fingerprint() != before) {
      say("wrong", role, " changed what is on record, or who may do what")
      before <- fingerprint()
    }
    # The package says so.
    who <- member(role)
    mine <- ledger_postgres(postgres_connect(role), ledger$name)
    theirs <- ledger_postgres(postgres_connect(role), other$name)
    outcome <- attempt(function(key) at(who, log_run(mine, list(key = key), list(m = 1))))
    if ((outcome == "acked") != (role == "writer")) say("wrong", role, " writing: ", outcome)
    read_model_of <- function(ledger) read_artifact(ledger, id, "model")
    for (asks in list(read_runs, verify_ledger, read_model_of, function(ledger) share_ledger(ledger, role))) {
      outcome <- tryCatch(at(who, asks(theirs)), error = identity)
      if (!inherits(outcome, "fitledger_error_database")) say("wrong", role, " with somebody else's ledger: ", format(outcome))
      over()
    }
    judge(ledger, role, "no right")
    before <- fingerprint()
  }
}

# Names of all sorts, of ledgers, schemas, roles, and all that is in a run.
names_of_all_sorts <- function() {
  bits <- c(
    "'", "\"", "\\", ";", "--", "/*", "$$", "%", "%s", "{}", "a", "\u00e4", "\u2603", "\U1F600", " ", "../", "/", "CON", ".", "~", "\\x41",
    "E'", "DROP SCHEMA fitledger CASCADE", "`", "$(id)", "\u200b", "\u202e", "NULL", ",", "=", "@schema@", "\ud7ff"
  )
  odd <- function() paste(sample(bits, sample.int(6, 1), TRUE), collapse = "")
  who <- member("names")
  for (round in seq_len(rounds)) {
    name <- odd()
    text <- paste0("x", odd())
    what <- paste("round", round, encodeString(name), "and", encodeString(text))
    tryCatch(
      {
        ledger <- ledger_postgres(postgres_connect(), name, schema = pick(c("fitledger", "select", "user", "_x1")))
        id <- at(who, {
          id <- log_run(ledger, list(text = text), list(m = 1), artifacts = list(model = list(text)), tags = list(a = text))
          log_note(ledger, id, text)
          register_model(ledger, "price", id)
          promote_model(ledger, "price", 1, why = text)
          id
        })
        reader <- member(paste0("names-", round))
        got <- at(reader, list(utils::tail(read_runs(ledger)$text, 1), read_artifact(ledger, id, "model"), verify_ledger(ledger)$status))
        if (!identical(got, list(enc2utf8(text), list(text), "ok"))) say("wrong", what, ": another answer")
        inside <- normalizePath(dirname(mirror_of(reader)))
        if (!startsWith(inside, normalizePath(reader$home))) say("wrong", what, ": a mirror elsewhere")
        role <- paste0(substr(odd(), 1, 20), round)
        postgres_sql("CREATE ROLE \"", gsub("\"", "\"\"", role), "\" LOGIN")
        at(who, share_ledger(ledger, role))
        theirs <- ledger_postgres(postgres_connect(role), name, schema = ledger$schema)
        guest <- member(paste0("guest-", round))
        expect_fine(at(guest, utils::tail(read_runs(theirs)$text, 1)), enc2utf8(text), what)
        restart(who, reader, guest)
      },
      error = function(e) say("other", what, ": ", text_of(e))
    )
  }
  for (role in c("public", "none", "nobody", "current_user", "")) {
    outcome <- tryCatch(at(who, share_ledger(ledger, role)), error = identity)
    if (!inherits(outcome, "fitledger_error")) say("wrong", "shared with ", role)
    over()
  }
}
