# Checks the chain of a fitledger ledger with R, none of its packages, and sha256sum, shasum or openssl:
#     Rscript verify.R ledger.csv [checkpoint.txt]
# prints a verdict; its exit status is 0 for "ok", else 1. Or source() it for verify(file, checkpoint).
# The first line is HEADER. The n-th line after it begins with n and a comma; it ends with a comma and
# 64 hex digits, the SHA-256 of those of the line before (of HEADER's SHA-256 for the first) and the
# line's own bytes up to that last comma. A checkpoint is "fitledger/1 <ledger id>", the number of a row
# and that row's hash, each on a line. That is the chain, not every rule of the format: a row formed
# badly but hashed well passes here. The package's verify_ledger() checks the rest.

HEADER <- "seq,time,event,run_id,params,metrics,artifacts,context,hash"
TOOLS <- list("sha256sum", c("shasum", "-a", "256"), c("openssl", "dgst", "-sha256", "-r"))

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

# list(status, rows, row, byte): the verdict, how many rows hold, and where the first fault is.
verify <- function(file, checkpoint = NULL) {
  kept <- if (!is.null(checkpoint)) readLines(checkpoint, warn = FALSE)
  form <- "^fitledger/1 [0-9a-f]{32}\n[1-9][0-9]{0,14}\n[0-9a-f]{64}(\n|$)"
  if (!is.null(kept) && !grepl(form, paste(kept, collapse = "\n"))) stop(checkpoint, " is no checkpoint")
  if (!file.exists(file) || dir.exists(file)) stop("there is no file ", file)
  bytes <- readBin(file, "raw", file.size(file))
  same <- bytes[seq_len(nchar(HEADER) + 1)] == charToRaw(paste0(HEADER, "\n"))
  if (!all(same)) return(list(status = "corrupt", rows = 0, row = 0, byte = which(!same)[1] - 1))
  feeds <- which(bytes == as.raw(10)) # a row stands between two of them
  size <- diff(feeds) - 1
  line <- function(n) bytes[seq.int(feeds[n] + 1, length.out = size[n])]
  starts <- function(line, text) identical(head(line, nchar(text)), charToRaw(text))
  ends <- function(line, text) identical(tail(line, nchar(text)), charToRaw(text))
  before <- charToRaw(sha256(list(charToRaw(HEADER))))
  rows <- 0 # that hold
  # In batches of up to 500 rows and about 64 MiB. If a row holds, the hash that it states is its hash.
  for (batch in split(seq_along(size), (seq_along(size) - 1) %/% 500 + cumsum(size) %/% 2^26)) {
    lines <- lapply(batch, line)
    stated <- c(list(before), lapply(lines, tail, 64))
    hashes <- sha256(Map(c, stated[seq_along(lines)], lapply(lines, head, -65)))
    bad <- which(!mapply(starts, lines, sprintf("%d,", batch)) | !mapply(ends, lines, paste0(",", hashes)))
    rows <- rows + min(length(lines), bad - 1)
    if (length(bad)) break else before <- stated[[length(stated)]]
  }
  at <- feeds[rows + 1] # how many bytes the header and these rows are
  status <- if (rows < length(size)) "corrupt" else if (at < length(bytes)) "torn" else "ok"
  if (!is.null(kept) && status != "corrupt") {
    n <- as.numeric(kept[2])
    id <- paste0('"{""format"":1,""id"":""', substring(kept[1], 13), '""')
    other <- rows > 0 && !length(grepRaw(id, line(1), fixed = TRUE))
    if (!other && rows < n) status <- "truncated"
    else if (other || !ends(line(n), kept[3])) status <- "forked"
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
