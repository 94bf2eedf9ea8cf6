# folders.R WHAT ROUNDS FOLDER: artifacts that somebody means us harm with, and what a session has too little of.
# Says `cases n`, and `column text` for each fault that it sees.
arguments <- commandArgs(trailingOnly = TRUE)
rounds <- as.integer(arguments[[2]])
folder <- normalizePath(arguments[[3]])
suppressPackageStartupMessages(library(fitledger))
options(fitledger.cache = FALSE, fitledger.sync = "none")
environment <- new.env(parent = asNamespace("fitledger"))
sys.source("tests/testthat/helper-tar.R", environment)
tar_entry <- environment$tar_entry
set.seed(1)
setwd(folder)
cases <- 0
say <- function(column, ...) cat(column, " ", gsub("\n", " ", paste0(...)), "\n", sep = "")
pick <- function(x) x[[sample.int(length(x), 1)]]

inside <- function(path) list.files(path, all.files = TRUE, recursive = TRUE, include.dirs = TRUE, no.. = TRUE)

# Everything below a folder, each with what it is and holds.
content <- function(path) {
  names <- inside(path)
  is <- vapply(file.path(path, names), function(path) {
    if (nzchar(Sys.readlink(path))) {
      "a link"
    } else if (dir.exists(path)) {
      "a folder"
    } else if (system2("test", c("-f", shQuote(path))) != 0) {
      "no file"
    } else {
      unname(tools::md5sum(path))
    }
  }, "")
  unname(sort(paste(names, is)))
}

# Archives that aren't ours: entries that lead elsewhere, and archives of ours with bytes changed.
archives <- function() {
  dir.create("precious")
  writeLines("secret", "precious/file")
  dir.create("good/sub/empty", recursive = TRUE)
  for (name in c("a", "sub/b", paste0("sub/", strrep("n", 120)))) writeLines(strrep(name, 30), file.path("good", name))
  id <- log_run("good.csv", list(), list(), artifacts = list(net = "good"))
  stored <- list.files("good.csv.objects", recursive = TRUE, full.names = TRUE)
  good <- stored[[which.max(file.size(stored))]]
  good <- readBin(good, "raw", file.size(good))
  before <- content(".")
  outside <- file.path(folder, "precious", c("file", "new"))
  names <- c("a", "a/b", "a/b/c", "./a", "..", "../precious/new", "a/../../precious/new", "/", "", "a/", "a//b", "sub", "~", outside)
  for (round in seq_len(rounds)) {
    archive <- if (round %% 2) {
      entries <- lapply(seq_len(sample.int(5, 1)), function(i) {
        type <- pick(c("0", "0", "0", "1", "2", "3", "4", "5", "6", "7", "K", "L", "S", "g", "x", "Z"))
        text <- pick(c("", "evil", paste0(pick(names), "\n"), strrep("x", 600), "30 path=../precious/new\n"))
        size <- pick(list(nchar(text), nchar(text), nchar(text), 1e6, 1))
        tar_entry(pick(names), type, text, pick(c("", "..", outside, "precious")), size)
      })
      c(unlist(entries), if (round %% 3) raw(1024))
    } else {
      at <- sample.int(length(good), sample.int(6, 1))
      bytes <- good
      bytes[at] <- as.raw(sample(c(0, 0, 46, 47, 48, 50, 255), length(at), TRUE))
      if (round %% 4) bytes else bytes[seq_len(sample.int(length(good), 1))]
    }
    # Some flips of bytes would be caught by a header's sum alone.
    for (start in if (round %% 2 == 0) seq(1, by = 512, length.out = length(archive) %/% 512)) {
      header <- archive[start + 0:511]
      if (identical(header[258:262], charToRaw("ustar"))) {
        header[149:156] <- charToRaw(" ")
        archive[start + 148:155] <- c(charToRaw(environment$octal(sum(as.integer(header)), 6)), as.raw(c(0, 32)))
      }
    }
    unlink(c("log.csv", "log.csv.objects"), recursive = TRUE, force = TRUE)
    id <- environment$log_archive("log.csv", archive)
    outcome <- tryCatch(artifact_path("log.csv", id, "net"), error = identity)
    if (is.character(outcome)) {
      odd <- grep(" (a link|no file)$", content(outcome), value = TRUE)
      if (length(odd)) say("wrong", "round ", round, ": unpacked ", odd[[1]])
      unlink(dirname(outcome), recursive = TRUE)
    } else if (!inherits(outcome, "fitledger_error")) {
      say("other", "round ", round, ": ", conditionMessage(outcome))
    }
    tryCatch(view_runs("log.csv", "page.html", open = FALSE), error = function(e) say("other", "round ", round, ": ", conditionMessage(e)))
    unlink(c("log.csv", "log.csv.objects", "page.html"), recursive = TRUE, force = TRUE)
    if (!identical(content("."), before)) {
      say("wrong", "round ", round, ": wrote outside of its folder")
      before <- content(".")
    }
    cases <<- cases + 1
  }
}

# Folders of all sorts: what comes back is what was there, or it is refused before anything is stored.
folders <- function() {
  plant <- list(
    function(path) writeBin(as.raw(sample.int(255, sample(c(1, 511, 512, 513, 3e5), 1), TRUE)), path),
    function(path) writeBin(raw(), path),
    function(path) dir.create(path),
    function(path) file.symlink(pick(c(".", "..", "/etc/passwd", "nowhere")), path),
    function(path) system2("mkfifo", shQuote(path)),
    function(path) system2("mknod", c(shQuote(path), "c 1 3"), stderr = FALSE)
  )
  weights <- c(20, 5, 8, 1, 1, 1)
  names <- c("a", "b.txt", "~", "-rf", "a b", "*", "$(id)", "`id`", "'", "\"", ";", "\u00fc", strrep("n", 200), "CON", "a:b", "A", ".x")
  odd <- c("a\\b", "a\nb", "a\x01b")
  for (round in seq_len(rounds)) {
    unlink(c("tree", "log.csv", "log.csv.objects"), recursive = TRUE, force = TRUE)
    dir.create("tree")
    for (i in seq_len(sample.int(12, 1))) {
      below <- pick(c("tree", Filter(dir.exists, file.path("tree", inside("tree")))))
      path <- file.path(below, if (sample.int(40, 1) == 1) pick(odd) else pick(names))
      if (!file.exists(path) && !nzchar(Sys.readlink(path))) plant[[sample.int(6, 1, prob = weights)]](path)
    }
    was <- content("tree")
    storable <- !any(grepl(" (a link|no file)$", was)) && !any(grepl("[\\\\[:cntrl:]]", was))
    outcome <- tryCatch(
      {
        id <- log_run("log.csv", list(), list(), artifacts = list(net = "tree"))
        artifact_path("log.csv", id, "net")
      },
      error = identity
    )
    if (is.character(outcome)) {
      if (!storable) say("missed", "round ", round, ": stored what no archive holds")
      if (!identical(content(outcome), was)) say("lost", "round ", round, ": another folder came back")
      unlink(dirname(outcome), recursive = TRUE)
    } else if (storable || !inherits(outcome, "fitledger_error_unstorable")) {
      say("wrong", "round ", round, ": ", conditionMessage(outcome))
    } else if (file.exists("log.csv") || dir.exists("log.csv.objects")) {
      say("other", "round ", round, ": refused, and something was stored")
    }
    cases <<- cases + 1
  }
}

# Asks every question in a child with little memory, or without threads.
ask <- function(limits, may_fail) {
  n <- 40000
  log_runs("log.csv", data.frame(a = seq_len(n), b = strrep("x", 100), m = runif(n)), c("a", "b"), "m")
  run <- start_run("log.csv", list(a = 1))
  for (i in 1:5) log_metrics(run, l = as.list(runif(1))[[1]], step = i)
  end_run(run)
  id <- log_run("log.csv", list(a = 2), list(m = 2), artifacts = list(big = raw(4e7)))
  size <- file.size("log.csv")
  asked <- list(
    read = function() nrow(read_runs("log.csv", details = TRUE)), best = function() best_run("log.csv", "m"),
    verify = function() verify_ledger("log.csv"), events = function() read_ledger("log.csv"), metrics = function() read_metrics("log.csv"),
    view = function() view_runs("log.csv", tempfile(), open = FALSE), export = function() export_runs("log.csv", tempfile()),
    checkpoint = function() checkpoint_ledger("log.csv"), artifact = function() read_artifact("log.csv", id, "big"),
    path = function() artifact_path("log.csv", id, "big"), lineage = function() trace_lineage("log.csv", id),
    repair = function() repair_ledger("log.csv"),
    many = function() log_runs(tempfile(), data.frame(a = seq_len(n), m = 1), "a", "m")
  )
  for (what in names(asked)) for (limit in limits) {
    cases <<- cases + 1
    job <- parallel::mcparallel({
      limit()
      outcome <- tryCatch({
        asked[[what]]()
        "done"
      }, fitledger_error_memory = function(e) "refused", error = function(e) {
        if (grepl("cannot allocate", conditionMessage(e))) "refused" else conditionMessage(e)
      })
      outcome
    }, silent = TRUE)
    outcome <- NULL
    deadline <- Sys.time() + 300
    repeat {
      got <- parallel::mccollect(job, wait = FALSE, timeout = 1)
      if (is.list(got)) {
        outcome <- got[[1]]
        break
      }
      if (Sys.time() > deadline) break
    }
    if (is.null(outcome)) {
      say("crashes", what, ": R did not live on")
      tools::pskill(job$pid, 9)
    } else if (outcome != "done" && !(may_fail && outcome == "refused")) {
      say("wrong", what, ": ", outcome)
    }
  }
  if (file.size("log.csv") != size) say("other", "the ledger was changed")
}

prlimit <- function(...) system2("prlimit", c("--pid", Sys.getpid(), ...))

little_memory <- function() {
  virtual <- function() as.numeric(gsub("\\D", "", grep("VmSize", readLines("/proc/self/status"), value = TRUE)))
  room <- seq(2, 150, length.out = rounds)
  ask(lapply(1000 * room, function(kb) {
    function() prlimit(paste0("--as=", format(1024 * (virtual() + kb), scientific = FALSE)))
  }), may_fail = TRUE)
}

no_threads <- function() {
  ask(list(function() prlimit("--nproc=1")), may_fail = FALSE)
}

get(arguments[[1]])()
say("cases", cases)
