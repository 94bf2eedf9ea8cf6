# others.R WHAT FOLDER: files that others may have put there. Says `case text` after each, and `column text` for each
# fault it sees.
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

switch(args[[1]], indexes = indexes(), exports = exports())
