# Stored objects that aren't what their names say.

poisoned <- function() {
  ledger <- new_ledger()
  postgres_role("mallory")
  honest <- member("honest")
  at(honest, share_ledger(ledger, "mallory"))
  connection <- postgres_connect("mallory")()
  ask <- function(...) DBI::dbGetQuery(connection, paste0("SELECT fitledger.", ...), immediate = TRUE)[[1]]
  part <- function(upload, n, bytes) ask("put_part(", upload, ", ", n, ", '\\x", paste(bytes, collapse = ""), "'::bytea)")
  path <- file.path(folder, "stored")
  # Each is given an upload, the bytes and how many parts there are to be.
  poisons <- list(
    `other bytes` = function(upload, bytes) part(upload, 0, rev(bytes)),
    `no bytes` = function(upload, bytes) part(upload, 0, raw()),
    `fewer bytes` = function(upload, bytes) part(upload, 0, utils::head(bytes, -1)),
    `more bytes` = function(upload, bytes) part(upload, 0, c(bytes, bytes[[1]])),
    `no parts` = function(upload, bytes) NULL,
    `parts the wrong way round` = function(upload, bytes) {
      part(upload, 1, utils::head(bytes, 1))
      part(upload, 0, bytes[-1])
    },
    `parts before the first one` = function(upload, bytes) {
      part(upload, -1, utils::head(bytes, 1))
      part(upload, 0, bytes[-1])
    },
    `a part after the end` = function(upload, bytes) {
      part(upload, 0, bytes)
      ask("end_upload(", upload, ", 1)")
      part(upload, 0, rev(bytes))
      part(upload, 1, rev(bytes))
    },
    `too large to be hashed` = function(upload, bytes) {
      ask("put_part(", upload, ", 0, decode(repeat('00', 67108865), 'hex'))")
    },
    `changed afterwards, by who owns the server` = function(upload, bytes) NULL
  )
  for (round in seq_len(rounds)) {
    for (kind in names(poisons)) {
      if (kind == "too large to be hashed" && round %% 10 != 0) next
      what <- paste0("round ", round, ", ", kind)
      bytes <- as.raw(sample.int(255, sample(c(2, 100, 5000), 1), TRUE))
      writeBin(bytes, path)
      sha256 <- call_native(native_hash_file, path, NULL)$sha256
      poison <- function() {
        upload <- ask("begin_upload('", ledger$name, "', '", sha256, "')::text")
        poisons[[kind]](upload, bytes)
        for (parts in 0:2) ask("end_upload(", upload, ", ", parts, ")")
      }
      store <- function() {
        attempt(function(key) at(honest, log_run(ledger, list(key = key), list(), artifacts = stats::setNames(list(path), key))))
      }
      first <- sample.int(2, 1) == 1
      if (first) poison()
      store()
      if (!first) poison()
      id <- at(honest, utils::tail(read_runs(ledger)$run_id, 1))
      name <- at(honest, utils::tail(read_artifacts(ledger, id)$artifact, 1))
      if (kind == "changed afterwards, by who owns the server") {
        postgres_sql(
          "BEGIN; SET LOCAL session_replication_role = replica; UPDATE fitledger.parts SET bytes = bytes || '\\x00' ",
          "WHERE upload IN (SELECT upload FROM fitledger.uploads WHERE sha256 = '", sha256, "'); COMMIT"
        )
      }
      reader <- member(paste0("reader-", round, "-", match(kind, names(poisons))))
      got <- tryCatch(at(reader, read_artifact(ledger, id, name)), error = identity)
      if (kind == "changed afterwards, by who owns the server") {
        if (!inherits(got, "fitledger_error_artifact")) say("missed", what, ": ", if (inherits(got, "error")) text_of(got) else "handed out")
        postgres_sql(
          "BEGIN; SET LOCAL session_replication_role = replica; UPDATE fitledger.parts SET bytes = substr(bytes, 1, length(bytes) - 1) ",
          "WHERE upload IN (SELECT upload FROM fitledger.uploads WHERE sha256 = '", sha256, "'); COMMIT"
        )
        got <- tryCatch(at(reader, read_artifact(ledger, id, name)), error = identity)
      }
      if (!identical(got, bytes)) say("wrong", what, ": ", if (inherits(got, "error")) text_of(got) else "other bytes are handed out")
      stored <- list.files(reader$home, "^[0-9a-f]{64}$", recursive = TRUE, full.names = TRUE)
      for (file in stored) {
        if (call_native(native_hash_file, file, NULL)$sha256 != basename(file)) say("wrong", what, ": other bytes are stored")
      }
      restart(reader)
      over()
    }
  }
  judge(ledger, "in the end")
}
