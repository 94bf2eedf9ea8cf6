# Ledgers that aren't a file, and the mirrors from which they are read.

is_ledger <- function(x) {
  inherits(x, "fitledger_ledger")
}

# The file of a ledger: its path, or its mirror's, with the rows that have come since. `create` is for who is about to write,
# and sees under the lock what has come: the mirror is looked at only if there is none. A ledger that isn't there is no error
# yet, as with a file: it is begun by its first row, see `brought()`, perhaps by another argument of the call.
check_ledger <- function(x, arg, create = FALSE, call = rlang::caller_env()) {
  if (missing(x) || !is_ledger(x)) {
    return(check_path(x, arg, call))
  }
  is_new <- is.null(known_ledger(x)$head)
  open <- open_ledger(x, call)
  if (!create && !is_new) {
    refresh_mirror(open, call)
  }
  open$path
}

# The file of a ledger as it is.
path_of <- function(x, call = rlang::caller_env()) {
  if (is_ledger(x)) open_ledger(x, call)$path else x
}

# What stands for a ledger in a run: its path, which doesn't change its meaning with the working folder, or itself.
lasting_ledger <- function(x, path) {
  if (is_ledger(x)) x else path
}

# The ledger in a database that a path mirrors, if it does. Where there are several, each with a connection of its own, the one
# that was used last: another one's connection may be closed.
mirrored <- function(path) {
  for (open in opened$ledgers) {
    if (identical(open$path, path) && open$pid == Sys.getpid()) {
      return(open)
    }
  }
}

# What a ledger is called in a message.
shown_ledger <- function(path) {
  open <- mirrored(path)
  if (is.null(open)) paste0("'", path, "'") else paste0("the ledger `", open$ledger$name, "`")
}

# A ledger in a database that was looked at: `path` of its mirror, and, where it is there (`began`), `head`, the last row that
# is known of it, a list of `seq` and `hash`.
open_ledger <- function(ledger, call = rlang::caller_env()) {
  open <- known_ledger(ledger)
  if (is.null(open$path)) {
    set_up(open, call)
    key <- rlang::hash(open$address)
    folder <- mirror_folder(key)
    open$seen_path <- file.path(tools::R_user_dir("fitledger", "data"), "seen", key)
    open$path <- file.path(folder, paste0(gsub("[^A-Za-z0-9_-]", "_", ledger$name), ".mirror.csv"))
    close_older(open)
  }
  if (is.null(open$began)) {
    if (is.null(look_at(open, 0, call))) {
      if (file.exists(open$path)) {
        abort_gone(open, call)
      }
      return(open)
    }
    open$began <- TRUE
  }
  if (is.null(open$head)) {
    refresh_mirror(open, call)
  }
  open
}

# Whoever needs the rows of a ledger that isn't there says so.
check_there <- function(path, call) {
  open <- mirrored(path)
  if (!is.null(open) && is.null(open$began)) {
    abort(
      "not_found", paste0("There is no ledger `", open$ledger$name, "` in the database."),
      "A ledger begins with its first `log_run()`. Check the name.",
      path = path, call = call
    )
  }
}

abort_gone <- function(open, call) {
  abort("not_found", paste0("There is no ledger `", open$ledger$name, "` in the database any more."), path = open$path, call = call)
}

# Where mirrors are: in the user's cache, or, where that can't be, for this session only. What others could have put there isn't
# believed.
mirror_folder <- function(key) {
  for (cache in c(tools::R_user_dir("fitledger", "cache"), tempdir())) {
    folder <- file.path(cache, "mirrors", key)
    if ((dir.exists(folder) || suppressWarnings(dir.create(folder, recursive = TRUE, mode = "0700"))) && is_private(folder)) {
      return(folder)
    }
  }
  folder
}

# Whether a folder is this user's, and nobody else writes to it.
is_private <- function(folder) {
  info <- file.info(folder, tempdir())
  others_write <- bitwAnd(as.integer(info$mode[[1]]), strtoi("022", 8)) != 0
  .Platform$OS.type == "windows" || isTRUE(info$uid[[1]] == info$uid[[2]] && !others_write)
}

# Who may write to a folder above that of a mirror may have put another folder in its place since it was chosen.
check_folder <- function(open, call) {
  folder <- dirname(open$path)
  dir.create(folder, FALSE, TRUE, "0700")
  if (dir.exists(folder) && !is_private(folder)) {
    abort(
      "io", paste0("Others may write to '", folder, "', where the mirror of the ledger is: it isn't believed."),
      "Start R anew: if the folder is not yours alone then, the mirror is kept elsewhere.",
      path = open$path, call = call
    )
  }
}

# Where the ledger is, as `look()` in the database says: NULL if there is none.
look_at <- function(open, seq, call) {
  look <- query_texts(open, "look", open$ledger$name, seq, call = call)
  check_durable(open, call)
  if (look[[1]] == "unknown") {
    return(NULL)
  }
  if (look[[1]] == "forbidden") {
    abort(
      "database", paste0("You have no right to read the ledger `", open$ledger$name, "`."),
      "Its owner can give it to you by `share_ledger()`.",
      call = call
    )
  }
  check_outside(look[[1]], call)
  look <- rlang::set_names(as.list(look[2:9]), c("id", "seq", "hash", "has", "may_write", "follows", "unsafe", "version"))
  if (look$version != setup_version) {
    abort(
      "newer_format", paste0("The schema `", open$ledger$schema, "` was set up by another version of fitledger."),
      "Update fitledger.",
      call = call
    )
  }
  look$seq <- as.numeric(look$seq)
  if (nzchar(look$unsafe) && is.null(open$told)) {
    open$told <- TRUE
    inform(NULL, paste0("The database's server runs with ", look$unsafe, ": a power cut may lose what it has acknowledged."))
  }
  look
}

check_outside <- function(status, call) {
  if (status == "in_transaction") {
    abort(
      "database", "The connection is inside a transaction, which could take back what is logged.",
      "Commit it first, or give `ledger_postgres()` a function that connects.",
      call = call
    )
  }
}

# Adds the rows to the mirror that have come since, each checked as it arrives.
refresh_mirror <- function(open, call = rlang::caller_env()) {
  check_folder(open, call)
  head <- mirror_head(open)
  seen <- read_seen(open)
  look <- look_at(open, head$seq, call)
  if (is.null(look)) {
    abort_gone(open, call)
  }
  if (!is.null(seen) && seen$id != look$id) {
    abort_forked(open, 1, "It is another ledger of the same name.", call)
  }
  known <- if (!is.null(seen) && seen$seq > head$seq) seen else head
  open$ends <- look$seq
  if (look$seq < known$seq) {
    check_behind(open, look, known, call)
    # A mirror that went with the cache has fewer still.
    open$head <- fetch_rows(open, open$path, head, look$seq, call)
    return(invisible())
  }
  has <- if (known$seq == head$seq) look$has else query(open, "hash_at", open$ledger$name, known$seq, call = call)
  if (known$seq > 0 && !identical(has, known$hash)) {
    return(settle_difference(open, known, call))
  }
  if (known$seq > head$seq) {
    # What the database says of a row need not be what it gives.
    fetch_rows(open, open$path, head, known$seq, call)
    if (!identical(call_native(native_mirror_hash, open$path, known$seq, call = call), known$hash)) {
      file.rename(open$path, file.path(dirname(open$path), "differs.csv"))
      abort_forked(open, known$seq, NULL, call)
    }
    head <- mirror_head(open)
  }
  note_seen(open, c(look["id"], fetch_rows(open, open$path, head, look$seq, call)))
}

# Adds rows to a mirror, from the one after its head up to another; its head then.
fetch_rows <- function(open, path, head, up_to, call) {
  while (head$seq < up_to) {
    rows <- query(open, "read_rows", open$ledger$name, head$seq, up_to, 2^23, bytes = TRUE, call = call)
    came <- if (is.raw(rows)) call_native(native_mirror_extend, path, rows, call = call)
    if (is.null(came) || came$seq <= head$seq) {
      abort_forked(open, head$seq + 1, "The database doesn't have it.", call)
    }
    head <- came
  }
  head
}

# The last row of the mirror. One that is damaged is the fault of this machine's disk: it is set aside, and comes again.
mirror_head <- function(open) {
  none <- list(seq = 0, hash = "")
  tryCatch(
    call_native(native_mirror_head, open$path) %||% none,
    fitledger_error = function(e) {
      set_mirror_aside(open)
      none
    }
  )
}

set_mirror_aside <- function(open) {
  aside <- tempfile("damaged-", dirname(open$path), ".csv")
  if (!suppressWarnings(file.rename(open$path, aside))) {
    abort("io", paste0("The mirror '", open$path, "' is damaged, and can't be moved aside."), "Remove it: it is fetched anew.", path = open$path)
  }
  inform(NULL, paste0("The mirror of the ledger `", open$ledger$name, "` on this machine was damaged, and is fetched anew."))
}

# Fetches a mirror anew that has less than this process left there, as where somebody emptied the cache; whether it did.
mend_mirror <- function(open, call) {
  # What fails in mending isn't mended.
  if (isTRUE(open$is_mending)) {
    return(FALSE)
  }
  on.exit(open$is_mending <- FALSE)
  open$is_mending <- TRUE
  if (mirror_head(open)$seq >= open$head$seq) {
    return(FALSE)
  }
  refresh_mirror(open, call)
  TRUE
}

# Before a ledger is verified. What is damaged in its mirror says nothing of the ledger; and all rows are asked for anew, since
# one that was changed in the database, but for the hash that it states, shows by itself alone. A server that follows another
# one may have fewer of them.
check_mirror <- function(ledger, call = rlang::caller_env()) {
  open <- known_ledger(ledger)
  if (call_native(native_verify, open$path, NULL, NULL, call = call)$status != "ok") {
    set_mirror_aside(open)
    refresh_mirror(open, call)
  }
  again <- tempfile(fileext = ".csv")
  on.exit(unlink(again))
  last <- tryCatch(
    fetch_rows(open, again, list(seq = 0, hash = ""), min(open$head$seq, open$ends), call)$seq,
    fitledger_error_forked = function(e) abort_forked(open, e$row, NULL, call)
  )
  of_row <- function(path) function(seq) call_native(native_mirror_hash, path, seq, call = call)
  if (last > 0 && !identical(of_row(again)(last), of_row(open$path)(last))) {
    abort_forked(open, first_difference(last, of_row(open$path), of_row(again)), NULL, call)
  }
}

# The database has fewer rows than this machine has seen. A server that follows another one may be late.
check_behind <- function(open, look, known, call) {
  hash <- if (file.exists(open$path)) call_native(native_mirror_hash, open$path, look$seq, call = call)
  if (!is.null(hash) && hash != look$hash) {
    abort_forked(open, first_rewritten(open, look$seq, call), NULL, call)
  }
  if (look$follows != "true") {
    abort(
      "behind",
      paste0(
        "The ledger in the database ends with row ", look$seq, ", and this machine has seen row ", known$seq,
        ": rows were lost, as when an older backup is restored."
      ),
      "Nothing was written. `vignette(\"teams\")` says how to bring back what only this machine has.",
      path = open$path, row = known$seq, call = call
    )
  }
}

# Whether the mirror or the database is another than it was.
settle_difference <- function(open, known, call) {
  there <- file.exists(open$path)
  if (there && call_native(native_verify, open$path, NULL, NULL, call = call)$status != "ok") {
    set_mirror_aside(open)
    return(refresh_mirror(open, call))
  }
  abort_forked(open, if (there) first_rewritten(open, known$seq, call) else known$seq, NULL, call)
}

# The first row that is another one in the database. Where two rows are equal, all rows before them are: each hash covers them.
# `ours` and `theirs` give the hash of a row.
first_difference <- function(differs, ours, theirs) {
  equal <- 0
  while (differs - equal > 1) {
    middle <- floor((equal + differs) / 2)
    if (identical(ours(middle), theirs(middle))) equal <- middle else differs <- middle
  }
  differs
}

first_rewritten <- function(open, differs, call) {
  first_difference(
    differs, function(seq) call_native(native_mirror_hash, open$path, seq, call = call),
    function(seq) query(open, "hash_at", open$ledger$name, seq, call = call)
  )
}

abort_forked <- function(open, row, what, call) {
  abort(
    "forked",
    paste0(
      "Row ", row, " of the ledger `", open$ledger$name, "` in the database is not the one that this machine has seen. ",
      what %||% "Somebody rewrote the record there."
    ),
    c(
      # A mirror may be gone, and what was seen noted alone.
      if (file.exists(open$path)) paste0("What this machine has seen is in '", open$path, "'."),
      "`vignette(\"teams\")` says how to find out what happened, and how to go on."
    ),
    path = open$path, row = row, call = call
  )
}

# What was seen of a ledger outlasts the mirror, which is in a cache: the id of the ledger, and the last row.
read_seen <- function(open) {
  if (is.null(open$seen) && file.exists(open$seen_path)) {
    lines <- tryCatch(readLines(open$seen_path, warn = FALSE), error = function(e) NULL, warning = function(w) NULL)
    # What a disk made of it says nothing of the database.
    if (grepl("^[0-9a-f]{32}\n[0-9]{1,15}\n[0-9a-f]{64}$", paste(lines, collapse = "\n"))) {
      open$seen <- list(id = lines[[1]], seq = as.numeric(lines[[2]]), hash = lines[[3]])
    }
  }
  open$seen
}

note_seen <- function(open, seen) {
  open$head <- seen[c("seq", "hash")]
  if (!identical(open$seen, seen)) {
    dir.create(dirname(open$seen_path), FALSE, TRUE, "0700")
    temporary <- tempfile("seen-", dirname(open$seen_path))
    lines <- c(seen$id, format(seen$seq, scientific = FALSE), seen$hash)
    # On a disk that is full R says nothing of what is lost as a file is closed.
    try(silent = TRUE, {
      writeLines(lines, temporary)
      if (identical(readLines(temporary, warn = FALSE), lines)) file.rename(temporary, open$seen_path)
    })
    unlink(temporary)
    # Not before: an interrupt would keep it from being noted for good.
    open$seen <- seen
  }
  invisible()
}

# ---- Appending --------------------------------------------------------------

# Where others write of the same run or model meanwhile, is decided anew: at least so often, and for so many seconds. Each time
# one of those who are at it gets through, but on a busy machine one may be outrun by many.
most_conflicts <- 20
longest_race <- 60

# Seconds of waiting for others of which nothing is said.
untold_wait <- 2

# So many rows of others may have come before the mirror is refreshed: a decision rests on those that it has, and the
# database looks through the others. Who logs what rests on no other row needn't read what others log.
most_rows_behind <- 200
most_rows_unread <- 10000

# A value of PostgreSQL's takes at most 1 GiB, as does a question; quotes are doubled in it.
most_bytes_at_once <- 2^28

# Sends the rows that a call has drafted. Where they rest on what somebody has changed meanwhile, the call is made again.
send_draft <- function(result, native, ..., call) {
  open <- mirrored(..1[[1]])
  if (is.null(open$head)) {
    open <- open_ledger(open$ledger, call)
  }
  began <- Sys.time()
  conflicts <- 0
  told <- FALSE
  while (conflicts < most_conflicts || difftime(Sys.time(), began, units = "secs") < longest_race) {
    draft <- attr(result, "draft", exact = TRUE)
    attr(result, "draft") <- NULL
    # Of what is imported, bytes that couldn't be had are left out, and named.
    if (is.null(draft) || append_rows(open, draft, call, may_lack = is.list(result) && !is.null(result$left_out))) {
      return(result)
    }
    conflicts <- conflicts + 1
    told <- told || (difftime(Sys.time(), began, units = "secs") > untold_wait && tell_waiting(open))
    step_back(conflicts)
    refresh_mirror(open, call)
    result <- native(...)
    if (inherits(result, "fitledger_failure")) {
      return(result)
    }
  }
  abort(
    "conflict", "Others write of the same runs or models without a pause.", "Nothing was written. Try again.",
    path = open$path, call = call
  )
}

# A pause before the next try, of up to a second, the longer the more often somebody was outrun, so that those who are at it
# don't all decide at once. How long, the clock's microseconds say: R's random numbers are the user's.
step_back <- function(conflicts) {
  longest <- min(1, 0.001 * 2^conflicts)
  Sys.sleep(longest * (as.numeric(Sys.time()) * 1e6) %% 1000 / 1000)
}

# Appends rows; FALSE if they would have been decided otherwise by now. An interrupt waits until it is known what became of
# them.
append_rows <- function(open, draft, call, may_lack = FALSE) {
  for (sha256 in if (length(draft$objects)) missing_objects(open, draft$objects, call)) {
    path <- object_path(open, sha256)
    if (!may_lack || file.exists(path)) send_object(open, sha256, path, call)
  }
  if (nchar(draft$cells, "bytes") > most_bytes_at_once) {
    abort(
      "value", paste0("More than ", size_text(most_bytes_at_once), " at once is too much for the database."),
      "Nothing was written. Log it in several calls.",
      call = call
    )
  }
  # On a session's row all rest that are of it.
  waits <- !identical(getOption("fitledger.sync"), "none") || grepl("^[^\x1f]*\x1fsession\x1f", draft$cells)
  told <- FALSE
  suspendInterrupts({
    repeat {
      decided_on <- if (draft$is_decided) draft$after else 0
      answer <- ask_append_surely(open, draft$request, open$head, decided_on, draft$cells, waits, call)
      if (answer[[1]] != "locked") {
        break
      }
      told <- told || tell_waiting(open)
      # Nothing of it is on its way now.
      allowInterrupts(Sys.sleep(0.01))
    }
    if (answer[[1]] == "conflict") {
      return(FALSE)
    }
    check_outside(answer[[1]], call)
    switch(answer[[1]],
      forbidden = abort_forbidden(open, call),
      unseen = {
        refresh_mirror(open, call)
        abort("database", "The database does not have the rows that this machine has seen.", call = call)
      },
      unknown = abort_gone(open, call)
    )
    check_durable(open, call)
    last <- list(seq = as.numeric(answer[[3]]), hash = answer[[4]])
    first <- as.numeric(answer[[2]])
    # The rows as they were drafted, if nobody was faster. Not before they are on disk.
    as_drafted <- answer[[5]] == "settled" && first == draft$after + 1 && last$hash == hash_of_last(draft$rows)
    # They are on record: that this machine's disk is full is the next question's affair.
    head <- native_appended(open$path, if (as_drafted) draft$rows)
    if (!is.null(head) && !inherits(head, "fitledger_failure")) {
      open$head <- head
    }
  })
  if (last$seq - open$head$seq > if (draft$is_decided) most_rows_behind else most_rows_unread) {
    or_null(refresh_mirror(open, call))
  }
  TRUE
}

# The value of code; NULL where it fails with an error of ours.
or_null <- function(code) {
  tryCatch(code, fitledger_error = function(e) NULL)
}

tell_waiting <- function(open) {
  inform("waiting", paste0("Waiting for others to finish writing to the ledger `", open$ledger$name, "`."))
  TRUE
}

# The hash that the last of some rows states, behind which is a line feed.
hash_of_last <- function(rows) {
  rawToChar(rows[length(rows) - 64:1])
}

# The server warns where it stops waiting for the server that follows it. Of nothing else it warns in these questions.
check_durable <- function(open, call) {
  if (!is.null(open$warned)) {
    abort_not_durable(
      open, simpleError(open$warned), "The server stopped waiting for the server that follows it.", "if the server is", call
    )
  }
}

abort_not_durable <- function(open, parent, what, lost, call) {
  abort(
    "durability_unknown", what, paste0("What was written is on record, but may be lost ", lost, "."),
    path = open$path, parent = parent, call = call
  )
}

object_path <- function(open, sha256) {
  file.path(paste0(open$path, ".objects"), substr(sha256, 1, 2), sha256)
}

# Brings what a call lacked that failed, if there is something to bring: a ledger where it was about to write the first row,
# stored bytes, or rows that have come since. What the call names first is the ledger.
brought <- function(failure, request, call) {
  path <- if (is.list(request)) request[[1]] else request
  open <- if (is.character(path)) mirrored(path)
  if (is.null(open)) {
    return(FALSE)
  }
  if (!is.null(open$head) && startsWith(failure$path %||% "", open$path) && mend_mirror(open, call)) {
    return(TRUE)
  }
  if (is_failure(failure, "not_begun")) {
    begin_ledger(open, call)
    return(TRUE)
  }
  if (is_failure(failure, "artifact")) {
    sha256 <- basename(failure$path)
    return(grepl("^[0-9a-f]{64}$", sha256) && !file.exists(failure$path) && fetch_object(open, sha256, call))
  }
  # Of these one may be another answer once the rows are here that have come since.
  if (!is_failure(failure, c("unknown", "rows_gone", "ended", "running", "conflict"))) {
    return(FALSE)
  }
  before <- open$head
  refresh_mirror(open, call)
  !identical(open$head, before)
}

# Brings all that a ledger has stored to this machine, for who looks at all of it.
fetch_all <- function(path, call = rlang::caller_env()) {
  open <- mirrored(path)
  if (!is.null(open)) {
    for (sha256 in call_native(native_stored, path, call = call)) {
      if (!file.exists(object_path(open, sha256))) {
        fetch_object(open, sha256, call)
      }
    }
  }
}
