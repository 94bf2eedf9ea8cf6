# The JSON in a page, and what it says.
page_json <- function(page) {
  text <- readChar(page, file.size(page), useBytes = TRUE)
  Encoding(text) <- "UTF-8"
  parts <- strsplit(text, '<script id="ledger" type="application/json">', fixed = TRUE)[[1]]
  sub("</script>.*", "", parts[[2]])
}

shown <- function(file, ...) {
  jsonlite::parse_json(page_json(view_runs(file, ..., open = FALSE)), bigint_as_char = TRUE)
}

column <- function(data, name, kind = "params") {
  columns <- data$runs[[kind]]
  columns[[match(name, vapply(columns, `[[`, "", "name"))]]
}

# The server of a live view, gone with the test: its port, and the path of its page.
local_view <- function(file, env = parent.frame()) {
  withr::defer(suppressMessages(stop_view()), env)
  address <- view_runs(file, live = TRUE, open = FALSE)
  list(
    port = as.integer(sub("^http://127[.]0[.]0[.]1:([0-9]+)/.*", "\\1", address)),
    path = sub("^http://[^/]*", "", address)
  )
}

# Sends bytes as they are; what came back until the other side closed.
talk <- function(port, bytes) {
  connection <- socketConnection("127.0.0.1", port, open = "r+b", blocking = TRUE, timeout = patience)
  on.exit(close(connection))
  writeBin(if (is.raw(bytes)) bytes else charToRaw(bytes), connection)
  answer <- raw()
  while (length(more <- readBin(connection, "raw", 1e6))) answer <- c(answer, more)
  answer
}

is_listening <- function(port) {
  connection <- suppressWarnings(try(socketConnection("127.0.0.1", port), silent = TRUE))
  if (inherits(connection, "try-error")) return(FALSE)
  close(connection)
  TRUE
}

request <- function(view, path = view$path, method = "GET", host = paste0("127.0.0.1:", view$port), more = character()) {
  lines <- c(paste(method, path, "HTTP/1.1"), if (length(host)) paste("Host:", host), more, "Connection: close", "", "")
  answer <- talk(view$port, paste(lines, collapse = "\r\n"))
  end <- grepRaw("\r\n\r\n", answer, fixed = TRUE)
  head <- rawToChar(answer[seq_len(end + 1)])
  body <- rawToChar(utils::tail(answer, -(end + 3)))
  Encoding(body) <- "UTF-8"
  list(status = as.integer(sub("^HTTP/1.1 ([0-9]+).*", "\\1", head)), head = head, body = body)
}

told <- function(view, since = NULL) {
  query <- if (!is.null(since)) paste0("?since=", since)
  answer <- request(view, paste0(view$path, "data", query))
  if (answer$status == 200) jsonlite::parse_json(answer$body) else answer$status
}
