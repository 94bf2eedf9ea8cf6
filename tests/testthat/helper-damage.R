# A file "ledger.csv", the name that printed reports show, with these bytes in it.
local_copy <- function(bytes, env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  file <- file.path(folder, "ledger.csv")
  writeBin(bytes, file)
  file
}

# The header and the rows, each with its line feed.
lines_of <- function(bytes) {
  ends <- which(bytes == as.raw(10))
  Map(function(from, to) bytes[from:to], c(1, ends[-length(ends)] + 1), ends)
}

joined <- function(lines) do.call(c, unname(lines))

# The byte, from 0, at which a row begins.
row_start <- function(bytes, row) {
  sum(lengths(lines_of(bytes)[seq_len(row)]))
}

replaced <- function(bytes, old, new) {
  at <- grepRaw(old, bytes, fixed = TRUE)
  stopifnot(length(at) == 1)
  c(bytes[seq_len(at - 1)], charToRaw(new), bytes[-seq_len(at + nchar(old, "bytes") - 1)])
}

# As somebody would forge it: every row's hash computed anew, without the package.
resealed <- function(bytes) {
  sha256 <- base_verifier()$sha256
  lines <- lines_of(bytes)
  hash <- sha256(list(utils::head(lines[[1]], -1)))
  for (i in seq_along(lines)[-1]) {
    body <- utils::head(lines[[i]], -66)
    hash <- sha256(list(c(charToRaw(hash), body)))
    lines[[i]] <- c(body, charToRaw(paste0(",", hash, "\n")))
  }
  joined(lines)
}

base_verifier_file <- function() {
  system.file("verify", "verify.R", package = "fitledger")
}

base_verifier <- function() {
  verifier <- new.env()
  sys.source(base_verifier_file(), verifier)
  verifier
}

skip_without_sha256 <- function() {
  skip_if(!any(nzchar(Sys.which(c("sha256sum", "shasum", "openssl")))), "no tool for SHA-256")
}
