# Checks the chain of a fitledger ledger with R, none of its packages, and sha256sum, shasum or openssl:
#     Rscript verify.R ledger.csv [checkpoint.txt]
# prints a verdict; its exit status is 0 for "ok", else 1. Or source() it for verify(file, checkpoint).
# The first line is HEADER. The n-th line after it is a row: UTF-8 without control characters, at most 16 MiB with its
# line feed, nine cells, the first of which is n. The last one is 64 hex digits, the SHA-256 of those of the line
# before (of HEADER's SHA-256 for the first) and the line's own bytes up to the last comma. The last row may lack its
# line feed, and zeros may follow it. Row 1 says which ledger it is. A checkpoint is "fitledger/1 <ledger id>", the
# number of a row and that row's hash, each on a line. That is the chain, not every rule of the format: a row that says
# something odd and is hashed well passes here. The package's verify_ledger() names such rows.

HEADER <- "seq,time,event,run_id,params,metrics,artifacts,context,hash"
TOOLS <- list("sha256sum", c("shasum", "-a", "256"), c("openssl", "dgst", "-sha256", "-r"))
FIRST <- '^1,[^,]*,ledger,,,,,"[{]""format"":[1-9][0-9]*,""id"":""[0-9a-f]{32}""[,}]'

# The SHA-256 of each of many raw vectors, by one call of a tool.
sha256 <- function(messages) {
  tools <- Filter(function(tool) Sys.which(tool[1]) != "", TOOLS)
  if (!length(tools)) stop("there is no sha256sum, shasum or openssl")
  dir.create(folder <- tempfile("verify-"))
  home <- setwd(folder)
  on.exit(unlink(setwd(home), recursive = TRUE))
  files <- sprintf("row-%d", seq_along(messages))
  Map(writeBin, messages, files)
  out <- system2(tools[[1]][1], c(tools[[1]][-1], files), stdout = TRUE)
  if (length(out) != length(files) || !all(grepl("^[0-9a-f]{64} ", out))) stop(tools[[1]][1], " failed")
  substr(out, 1, 64)
}

# What stands outside of quotes.
unquoted <- function(line) gsub('"[^"]*"', "", rawToChar(line), useBytes = TRUE)

# Whether a line has the form of a row.
is_row <- function(line) {
  length(line) < 2^24 && !any(line < as.raw(32)) && validUTF8(rawToChar(line)) &&
    grepl('^[1-9][0-9]{0,15},([^,"]*,){7}[0-9a-f]{64}$', unquoted(line), useBytes = TRUE)
}

# Whether lines are rows from the n-th on, the first of which follows one with the hash `before`.
hold <- function(lines, n, before) {
  stated <- lapply(lines, tail, 64)
  previous <- c(list(before), stated)[seq_along(lines)]
  hashes <- sha256(Map(c, previous, lapply(lines, head, -65)))
  ends <- mapply(function(hash, own) identical(charToRaw(hash), own), hashes, stated)
  numbers <- sprintf("%.0f,", n + seq_along(lines) - 1)
  begins <- mapply(function(line, number) identical(head(line, nchar(number)), charToRaw(number)), lines, numbers)
  good <- ends & begins & vapply(lines, is_row, NA)
  if (n == 1) good[1] <- good[1] && grepl(FIRST, rawToChar(lines[[1]]), useBytes = TRUE)
  good
}

# Whether what stands from the byte `at` on, where the n-th row should, is the rest of a write that never finished.
is_torn <- function(rest, at, n) {
  cuts <- rest == 10 | rest == 0
  if (any(vapply(split(rest[!cuts], cumsum(cuts)[!cuts]), is_row, NA))) return(FALSE)
  open <- !any(rest == 10)
  # The beginning of a row that doesn't get as far as its hash; the file may have got its size before all of its bytes.
  start <- charToRaw(sprintf("%.0f,", n))
  shown <- head(rest, max(0, which(rest != 0)))
  k <- seq_len(min(length(start), length(shown)))
  shown[shown == 0] <- as.raw(1)
  hashed <- grepl("^([^,]*,){8}[0-9a-f]{64}", sub('".*', "", unquoted(shown), useBytes = TRUE), useBytes = TRUE)
  if (open && identical(shown[k], start[k]) && !hashed) return(TRUE)
  # Sectors of 512 bytes that never reached the disk, in the row that is broken.
  line <- if (open) rest else head(rest, which(rest == 10)[1] - 1)
  sector <- (at + seq_along(line) - 1) %/% 512
  whole <- open | sector < (at + length(line)) %/% 512
  any(tapply(line == 0 & whole, sector, all))
}

# list(status, rows, row, byte): the verdict, how many rows hold, and where the first fault is.
verify <- function(file, checkpoint = NULL) {
  kept <- if (!is.null(checkpoint)) readLines(checkpoint, warn = FALSE)
  form <- "^fitledger/1 [0-9a-f]{32}\n[1-9][0-9]{0,14}\n[0-9a-f]{64}(\n|$)"
  if (!is.null(kept) && !grepl(form, paste(kept, collapse = "\n"))) stop(checkpoint, " is no checkpoint")
  if (sum(startsWith(as.character(kept), "fitledger/1 ")) > 1) stop(checkpoint, " holds several checkpoints")
  if (!file.exists(file) || dir.exists(file)) stop("there is no file ", file)
  bytes <- readBin(file, "raw", file.size(file))
  header <- charToRaw(paste0(HEADER, "\n"))
  same <- head(bytes, length(header)) == head(header, length(bytes))
  if (!all(same)) return(list(status = "corrupt", rows = 0, row = 0, byte = which(!same)[1] - 1))
  feeds <- which(bytes == as.raw(10)) # a row stands between two of them
  size <- diff(feeds) - 1
  line <- function(n) bytes[seq.int(feeds[n] + 1, length.out = size[n])]
  before <- charToRaw(sha256(list(charToRaw(HEADER))))
  hashes <- list() # of the rows that hold
  # In batches of up to 500 rows and about 64 MiB.
  for (batch in split(seq_along(size), (seq_along(size) - 1) %/% 500 + cumsum(size) %/% 2^26)) {
    lines <- lapply(batch, line)
    good <- cumprod(hold(lines, batch[1], before)) == 1
    hashes <- c(hashes, lapply(lines[good], tail, 64))
    if (all(good)) before <- hashes[[length(hashes)]] else break
  }
  rows <- length(hashes)
  at <- if (length(feeds)) feeds[rows + 1] else 0 # how many bytes the header and these rows are
  rest <- tail(bytes, -at)
  if (at == 0) rest <- bytes
  # The last row may stand there without a line feed.
  last <- head(rest, min(which(rest == 10 | rest == 0), length(rest) + 1) - 1)
  if (at > 0 && length(last) > 65 && !identical(rest[length(last) + 1], as.raw(10))) {
    if (rows) before <- hashes[[rows]]
    if (hold(list(last), rows + 1, before)) {
      hashes <- c(hashes, list(tail(last, 64)))
      rows <- rows + 1
      at <- at + length(last)
      rest <- tail(rest, -length(last))
    }
  }
  status <- if (!length(rest)) "ok" else if (at == 0 || is_torn(rest, at, rows + 1)) "torn" else "corrupt"
  if (!is.null(kept) && status != "corrupt") {
    n <- as.numeric(kept[2])
    id <- paste0('"{""format"":1,""id"":""', substring(kept[1], 13), '""')
    other <- rows > 0 && !length(grepRaw(id, bytes[seq_len(min(at, 500))], fixed = TRUE))
    if (!other && rows < n) status <- "truncated"
    else if (other || rawToChar(hashes[[n]]) != kept[3]) status <- "forked"
  }
  fault <- if (status == "truncated" || at < length(bytes)) c(rows + 1, at) else c(NA_real_, NA)
  list(status = status, rows = rows, row = fault[1], byte = fault[2])
}

if (sys.nframe() == 0) { # run, not sourced
  args <- commandArgs(trailingOnly = TRUE)
  if (!length(args) %in% 1:2) stop("give a ledger and, if you have one, a checkpoint of it")
  result <- do.call(verify, as.list(args))
  means <- switch(result$status,
    ok = if (length(args) == 2) "extends the checkpoint" else "unanchored: no checkpoint was given",
    corrupt = "a row was changed, moved, put in or taken out",
    torn = "the end is unfinished, or being written at this moment",
    truncated = "rows that the checkpoint covers are missing",
    forked = "the rows are not those of the checkpoint"
  )
  cat(sprintf("%s: %.0f rows hold (%s)\n", result$status, result$rows, means))
  if (!is.na(result$row)) cat(sprintf("first fault: row %.0f, at byte %.0f\n", result$row, result$byte))
  quit(status = as.integer(result$status != "ok"))
}
