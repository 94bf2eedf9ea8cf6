# others.R WHAT FOLDER: files that others may have put there, and processes that others began. Says `case text` after each,
# `column text` for each fault it sees, and `skip text` where the means are missing.
library(fitledger)

args <- commandArgs(TRUE)
folder <- args[[2]]
say <- function(...) cat(gsub("\\s+", " ", paste(c(...), collapse = " ")), "\n", sep = "")
options(fitledger.context = character())
shell <- function(...) stopifnot(system2("sh", c("-c", shQuote(paste(...)))) == 0)

# ---- An index answers in the ledger's place -------------------------------

# Each index is of a ledger in which the first run is the best: one digit was another, and the hashes were left.
indexes <- function() {
  file <- file.path(folder, "log.csv")
  cache <- file.path(folder, "cache")
  kept <- file.path(folder, "kept.csv")
  n <- 18000
  log_runs(file, data.frame(text = strrep("x", 1000), rmse = c(3.25, 2.25, rep(4.5, n - 2))), "text", "rmse")
  file.copy(file, kept, copy.date = TRUE)
  shell("touch -r", shQuote(file), shQuote(kept))
  forged <- readBin(file, "raw", file.size(file))
  forged[grepRaw("3.25", forged, fixed = TRUE)] <- charToRaw("0")
  writeBin(forged, file)
  shell("touch -r", shQuote(kept), shQuote(file))
  # In a session that has kept nothing.
  ask <- function() {
    code <- sprintf(
      "library(fitledger); options(fitledger.cache = '%s'); cat(best_run('%s', 'rmse')$rmse, read_runs('%s', columns = 'rmse')$rmse[[1]], '\\n')",
      cache, file, file
    )
    answer <- suppressWarnings(system2("timeout", c("300", file.path(R.home("bin"), "Rscript"), "--vanilla", "-e", shQuote(code)),
      stdout = TRUE, stderr = FALSE
    ))
    c(answer, attr(answer, "status"))
  }
  if (!identical(ask(), "0.25 0.25 ")) say("other an index isn't made")
  index <- list.files(cache, full.names = TRUE)
  aside <- file.path(folder, "aside")
  file.copy(index, aside, copy.mode = TRUE)
  shell("cat", shQuote(kept), ">", shQuote(file), "; touch -r", shQuote(kept), shQuote(file))

  case <- function(what, prepare, expected = "2.25 3.25 ") {
    unlink(cache, recursive = TRUE)
    dir.create(cache, mode = "0700")
    file.copy(aside, index, copy.mode = TRUE)
    prepare()
    answer <- ask()
    if ("124" %in% answer) {
      say("hangs", what)
    } else if (!identical(answer, expected)) {
      say("wrong", what, "says", answer)
    }
    say("case", what)
  }
  case("ours alone, which is believed", function() NULL, "0.25 0.25 ")
  for (mode in c("620", "602", "666")) case(paste("mode", mode), function() Sys.chmod(index, mode, FALSE))
  for (mode in c("770", "707", "1777")) case(paste("folder of mode", mode), function() Sys.chmod(cache, mode, FALSE))
  case("a link", function() {
    unlink(index)
    file.symlink(aside, index)
  })
  case("a FIFO", function() {
    unlink(index)
    shell("mkfifo", shQuote(index))
  })
  case("a folder", function() {
    unlink(index)
    dir.create(index)
  })
  case("a device", function() {
    unlink(index)
    file.symlink("/dev/zero", index)
  })
  if (Sys.info()[["effective_user"]] == "root") {
    case("another user's", function() shell("chown 65534", shQuote(index)))
    case("another user's folder", function() shell("chown 65534", shQuote(cache)))
  }
  # Sizes that no file has, under a digest that is right, would need the digest; half a file needs none.
  for (part in c(0.1, 0.5, 0.999)) {
    case(paste("cut at", part), function() {
      shell("truncate -s", format(trunc(part * file.size(index)), scientific = FALSE), shQuote(index))
    })
  }
  case("a terabyte of nothing", function() shell("truncate -s 1T", shQuote(index)))
}

# ---- An export replaces only an export ------------------------------------

exports <- function() {
  file <- file.path(folder, "log.csv")
  to <- file.path(folder, "to.csv")
  elsewhere <- file.path(folder, "elsewhere.csv")
  log_run(file, list(a = 1, text = "x\ny, \"z\""), list(m = 1))
  time <- "2026-11-23T04:20:47.123456Z"
  texts <- list(
    "", "\n", "precious", "run_id,timestamp", "run_id,timestamps,a\n",
    '"run_id","timestamp","model"\n"a","2026-11-23 04:20:47","ridge"\n',
    "run_id,timestamp,model\na,2026-11-23 04:20:47,ridge\n",
    sprintf('"run_id","timestamp","model"\n"a","%s","ridge"\n', time),
    sprintf("run_id,timestamp,model\na,%s,ridge\nb,%s,lasso,1\n", time, time),
    sprintf("run_id,timestamp,model\na,%s,ridge\nmy notes\n", time),
    sprintf("\ufeffrun_id,timestamp,model\na,%s,ridge\n", time),
    rawToChar(readBin(file, "raw", file.size(file)))
  )
  refused <- function(what, path = to) {
    before <- shell_state()
    class <- tryCatch({
      export_runs(file, path)
      "replaced"
    }, error = function(e) class(e)[[1]])
    if (class != "fitledger_error_exists") say("wrong", what, "ends with", class)
    if (!identical(shell_state(), before)) say("other", what, "has left the folder changed")
    say("case", what)
  }
  # Names, kinds and bytes of all that is there.
  shell_state <- function() {
    list(
      system2("ls", c("-l", "--time-style=full-iso", shQuote(folder)), stdout = TRUE),
      system2("sh", c("-c", shQuote(paste("cd", shQuote(folder), "&& find . -type f -exec cksum {} + | sort"))), stdout = TRUE)
    )
  }
  for (text in texts) {
    writeBin(charToRaw(text), to)
    refused(paste("a text that begins", encodeString(substr(text, 1, 40), quote = "'")))
  }
  unlink(to)
  refused("the ledger", file)
  export_runs(file, elsewhere)
  for (target in c(elsewhere, file, file.path(folder, "nothing"), to)) {
    file.symlink(target, to)
    refused(paste("a link to", basename(target)))
    unlink(to)
  }
  shell("mkfifo", shQuote(to))
  refused("a FIFO")
  unlink(to)
  dir.create(to)
  refused("a folder")
  unlink(to, recursive = TRUE)
  refused("a device", "/dev/null")

  # What is an export is replaced, whatever its cells hold.
  for (i in 1:3) {
    log_run(file, list(a = i, text = "run_id,timestamp\n\"\n"), list(m = 1))
    export_runs(file, elsewhere)
    if (nrow(utils::read.csv(elsewhere)) != i + 1) say("wrong an export has", nrow(utils::read.csv(elsewhere)), "rows")
    say("case an earlier export")
  }
}

# ---- What tools make of a ledger ------------------------------------------

# A writer goes on, a repair saves what holds, or nobody touches a byte; no run that holds is gone, and nothing is new.
rewritten <- function() {
  file <- file.path(folder, "log.csv")
  log_runs(file, data.frame(text = c("a", "b, \"c\"", "d", "e", "é"), m = 1:5 / 7), "text", "m")
  whole <- readBin(file, "raw", file.size(file))
  kept <- read_runs(file)
  unlink(list.files(folder, full.names = TRUE), recursive = TRUE)
  text <- rawToChar(whole)
  lines <- strsplit(text, "\n", fixed = TRUE)[[1]]
  rows <- length(lines)
  joined <- function(lines) charToRaw(paste0(paste(lines, collapse = "\n"), "\n"))
  damage <- function(row) sub('""m"":0', '""m"":9', row, fixed = TRUE)

  case <- function(what, bytes, goes_on = FALSE, whole_runs = kept$text) {
    unlink(list.files(folder, full.names = TRUE), recursive = TRUE)
    writeBin(bytes, file)
    written <- tryCatch({
      suppressMessages(log_run(file, list(text = "new"), list(m = 1)))
      TRUE
    }, fitledger_error = function(e) FALSE)
    now <- readBin(file, "raw", file.size(file))
    if (written != goes_on) say("wrong", what, if (written) "is written to" else "stops a writer")
    if (!written && !identical(now, bytes)) say("other", what, "was refused and isn't as it was")
    if (written) {
      runs <- read_runs(file)
      if (!identical(runs$text, c(whole_runs, "new"))) say("lost", what, "has left", nrow(runs), "runs")
      if (verify_ledger(file)$status != "ok") say("missed", what)
    } else {
      beside <- setdiff(list.files(folder), basename(file))
      if (length(beside)) say("other", what, "has left", beside)
      # What doesn't begin as a ledger says what would restore it.
      repaired <- tryCatch(suppressMessages(repair_ledger(file)), fitledger_error = function(e) {
        if (!inherits(e, "fitledger_error_not_a_ledger") && !identical(e$row, 0)) say("other", what, "can't be repaired")
      })
      aside <- repaired$set_aside
      if (length(aside)) {
        # The bytes from the first row on that didn't hold are kept as they were.
        kept_bytes <- readBin(aside, "raw", file.size(aside))
        if (!identical(kept_bytes, utils::tail(bytes, length(kept_bytes)))) say("lost", what, "is not what was kept aside")
        if (verify_ledger(file)$status != "ok") say("wrong", what, "doesn't verify after its repair")
        if (!all(read_runs(file)$text %in% kept$text)) say("falsely", what, "has runs after its repair that nobody logged")
      }
    }
    say("case", what)
  }
  case("as it was", whole, goes_on = TRUE)
  case("the last line feed gone", utils::head(whole, -1), goes_on = TRUE)
  case("half of the last row gone", utils::head(whole, -80), goes_on = TRUE, whole_runs = utils::head(kept$text, -1))
  case("CR LF", charToRaw(gsub("\n", "\r\n", text, fixed = TRUE)))
  case("a byte order mark", c(as.raw(c(0xef, 0xbb, 0xbf)), whole))
  case("UTF-16", unlist(iconv(text, "UTF-8", "UTF-16LE", toRaw = TRUE)))
  case("latin1", unlist(iconv(text, "UTF-8", "latin1", toRaw = TRUE)))
  case("semicolons", charToRaw(gsub(",", ";", text, fixed = TRUE)))
  case("tabs in some rows", joined(c(lines[1:4], gsub(",", "\t", lines[5:rows], fixed = TRUE))))
  case("every cell quoted", {
    quoted <- tempfile()
    utils::write.csv(utils::read.csv(text = text, colClasses = "character"), quoted, row.names = FALSE)
    readBin(quoted, "raw", file.size(quoted))
  })
  case("blanks behind the rows", joined(paste0(lines, " ")))
  case("dates of a spreadsheet", charToRaw(gsub("(20[0-9]{2})-([0-9]{2})-([0-9]{2})T", "\\3.\\2.\\1 ", text)))
  case("no hashes", joined(sub(",[0-9a-f]{64}$", "", lines)))
  case("sorted", joined(c(lines[1], sort(lines[-1], decreasing = TRUE))))
  case("a row twice", joined(append(lines, lines[[5]], 5)))
  case("a row less", joined(lines[-5]))
  case("marks of a merge", joined(c(lines, "<<<<<<< HEAD", lines[[rows]], "=======", lines[[rows]], ">>>>>>> theirs")))
  case("a line of text at the end", joined(c(lines, "# checked by me")))
  case("text at the end, no line feed", c(whole, charToRaw("# checked by me")))
  case("its own copy behind it", c(whole, whole))

  # Two faults at once: what is torn hides no damage before it.
  for (end in list(charToRaw(paste0(rows, ",2026")), raw(700))) {
    case("the last row changed, then a torn tail", c(joined(c(utils::head(lines, -1), damage(lines[[rows]]))), end))
    case("the last two changed, then a torn tail", c(joined(c(utils::head(lines, -2), damage(utils::tail(lines, 2)))), end))
  }
}

# ---- Names that could be foreseen -----------------------------------------

# Links and FIFOs under the names that the bytes or the process would give away; none is followed, or waited for.
planted <- function() {
  file <- file.path(folder, "log.csv")
  victim <- file.path(folder, "victim")
  log_run(file, list(a = 1), list(m = 1))
  whole <- readBin(file, "raw", file.size(file))
  torn <- charToRaw("4,2026-11-23T04:20:47.123456Z,run,")
  offset <- length(whole)
  case <- function(what, name, kind, call) {
    unlink(setdiff(list.files(folder, full.names = TRUE), paste0(file, ".objects")), recursive = TRUE)
    writeBin(whole, file)
    writeLines("precious", victim)
    path <- file.path(folder, name)
    switch(kind, link = file.symlink(victim, path), hard = file.link(victim, path), FIFO = shell("mkfifo", shQuote(path)))
    ended <- tryCatch({
      setTimeLimit(elapsed = 60)
      suppressMessages(call())
      "ended"
    }, error = function(e) class(e)[[1]])
    setTimeLimit()
    if (ended != "ended") say("hangs", what, kind, name, "ends with", ended)
    if (!identical(readLines(victim), "precious")) say("other", what, kind, name, "was followed")
    say("case", what, kind)
  }
  write_on <- function() {
    cat(rawToChar(torn), file = file, append = TRUE)
    log_run(file, list(a = 2), list(m = 2))
    stopifnot(nrow(read_runs(file)) == 2)
  }
  mend <- function() {
    bytes <- replace(whole, offset - 80, as.raw(33))
    writeBin(bytes, file)
    repair_ledger(file)
  }
  export <- function() export_runs(file, file.path(folder, "to.csv"))
  for (kind in c("link", "hard", "FIFO")) {
    for (end in c("", "-", sprintf("-%d", Sys.getpid()))) {
      case("a torn tail", sprintf("log.csv.torn-%d%s", offset, end), kind, write_on)
      case("a repair", sprintf("log.csv.repaired%s", end), kind, mend)
      case("a repair", sprintf("log.csv.torn-%d%s", offset, end), kind, mend)
    }
    case("an export", sprintf("to.csv.%d.tmp", Sys.getpid()), kind, export)
    case("an export", "to.csv.tmp", kind, export)
  }
}

# ---- Processes that can't be seen, or counted -----------------------------

# Whoever can't tell whether the process of a live run is there says that it runs, and takes it from nobody unasked.
unseen <- function() {
  # Without its process on record no run would be taken for lost.
  options(fitledger.context = NULL)
  file <- file.path(folder, "log.csv")
  run <- start_run(file, list(a = 1))
  Sys.chmod(c(folder, file), c("777", "666"), FALSE)
  rscript <- shQuote(file.path(R.home("bin"), "Rscript"))
  ways <- c(
    "pids of its own, the /proc of others" = "unshare --pid --fork",
    "time of its own" = "unshare --time --boottime 100000 --fork",
    "another user, and processes hidden" = paste(
      "unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc &&",
      "exec env HOME=/ setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"' sh"
    )
  )
  # Of a run that the other began itself, and of this one's.
  code <- paste(
    sprintf("library(fitledger); file <- '%s'; own <- start_run(file); status <- read_runs(file, details = TRUE)$status;", file),
    sprintf("taken <- tryCatch(class(start_run(file, resume = '%s')), error = class)[[1]]; end_run(own);", run$run_id),
    "cat(unique(status[status != 'finished']), taken)"
  )
  for (what in names(ways)) {
    ask <- function(code) suppressWarnings(system2("sh", c("-c", shQuote(paste(ways[[what]], rscript, "--vanilla -e", shQuote(code)))), stdout = TRUE, stderr = FALSE))
    if (!identical(ask("library(fitledger); cat('there')"), "there")) {
      say("skip", what, "is not to be had here")
      next
    }
    answer <- ask(code)
    if (!identical(answer, "running fitledger_error_running")) say("wrong", what, "says", answer)
    say("case", what)
  }
  log_metrics(run, m = 1)
  end_run(run)
}

# ---- Standard streams that aren't there -----------------------------------

# What R prints while a thread of ours writes is in no file of ours.
streams <- function() {
  file <- file.path(folder, "log.csv")
  script <- file.path(folder, "script.R")
  writeLines(c(
    paste0(".libPaths(", deparse1(.libPaths()), ")"),
    "library(fitledger)",
    sprintf("run <- start_run('%s')", file),
    "for (step in 1:1000) {",
    "  log_metrics(run, loss = 1, step = step)",
    "  cat('epoch', step, '\\n')",
    "  message('epoch ', step)",
    "  Sys.sleep(0.0005)",
    "}",
    "end_run(run)"
  ), script)
  begin <- paste(shQuote(file.path(R.home("bin"), "exec", "R")), "--vanilla --no-echo -f", shQuote(script))
  here <- c("</dev/null", ">/dev/null", "2>/dev/null")
  gone <- c("<&-", ">&-", "2>&-")
  for (i in 0:7) {
    is_gone <- bitwAnd(i, c(1, 2, 4)) != 0
    what <- paste(ifelse(is_gone, gone, here), collapse = " ")
    unlink(file)
    status <- system2("sh", c("-c", shQuote(paste("exec timeout 300", begin, what))))
    if (status == 124) say("hangs", what)
    if (verify_ledger(file)$status != "ok") say("wrong", what, "leaves", verify_ledger(file)$status)
    # Where messages go nowhere R itself may end.
    if (status == 0 && nrow(read_metrics(file)) != 1000) say("lost", what, "has", nrow(read_metrics(file)), "steps")
    say("case", what)
  }
}

switch(args[[1]],
  indexes = indexes(), exports = exports(), rewritten = rewritten(), planted = planted(), unseen = unseen(), streams = streams()
)
