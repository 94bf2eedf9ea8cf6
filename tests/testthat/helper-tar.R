# An entry of a tar archive, which may say anything. `size` may lie.
tar_entry <- function(name, type, content = "", link = "", size = nchar(content, "bytes")) {
  force(size)
  content <- charToRaw(content)
  header <- raw(512)
  put <- function(at, text) header[at + seq_along(text)] <<- text
  put(0, utils::head(charToRaw(name), 100))
  put(100, charToRaw("0000644"))
  put(108, charToRaw("0000000"))
  put(116, charToRaw("0000000"))
  put(124, charToRaw(octal(size, 11)))
  put(136, charToRaw("00000000000"))
  put(148, charToRaw("        "))
  put(156, charToRaw(type))
  put(157, utils::head(charToRaw(link), 100))
  put(257, c(charToRaw("ustar"), as.raw(0), charToRaw("00")))
  put(148, c(charToRaw(octal(sum(as.integer(header)), 6)), as.raw(0)))
  c(header, content, raw(-length(content) %% 512))
}

octal <- function(number, digits) {
  text <- format(as.octmode(as.integer(number)))
  paste0(strrep("0", digits - nchar(text)), text)
}

# Stores bytes as the archive of the folder `net` of a run, as only somebody else could; the run's id.
log_archive <- function(file, archive) {
  path <- tempfile()
  on.exit(unlink(path))
  writeBin(archive, path)
  run <- start_run(file)
  stored <- call_native(native_store_file, append_request(file), path, NULL)
  entry <- c(stored, list(file = "net.tar", stored = TRUE, folder = TRUE))
  log_event_native(file, "log", run$run_id, artifacts = list(net = entry))
  end_run(run)
  run$run_id
}
