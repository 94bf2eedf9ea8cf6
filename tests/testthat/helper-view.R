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

column <- function(data, name, kind = "parameter") {
  is_it <- vapply(data$runs$columns, function(column) column$name == name && column$kind == kind, NA)
  data$runs$columns[[which(is_it)]]
}

# What a list with something for each of `n` runs has for each, NULL for none.
spread <- function(list, items, n) {
  items <- list[[items]]
  if (!is.null(list$at)) {
    all <- vector("list", n)
    all[unlist(list$at) + 1] <- items
    return(all)
  }
  if (is.null(list$times)) items else rep(items, unlist(list$times))
}

# What each run has of what many have in common.
of_runs <- function(levels, n) {
  lapply(spread(levels, "codes", n), function(code) {
    if (is.null(code)) NULL else if (code < 0) list(NULL, NULL, "NA", "NULL")[[-code]] else levels$levels[[code + 1]]
  })
}

# The values of a column, one a run.
values_of <- function(data, name, kind = "parameter") {
  column <- column(data, name, kind)
  if (is.null(column$codes)) spread(column, "values", data$runs$n) else of_runs(column, data$runs$n)
}

# What a run recorded of its data, its call and its sessions, by kind and name.
facts_of <- function(data, place) {
  facts <- of_runs(data$runs$facts, data$runs$n)[[place + 1]]
  # Kind and set, then names and values in turn.
  named <- lapply(facts, function(group) {
    pairs <- matrix(group[-(1:2)], 2)
    rlang::set_names(pairs[2, ], paste(group[[1]], unlist(pairs[1, ])))
  })
  unlist(named, recursive = FALSE)
}

# Lets objects take their time to be shown: this machine may be busy.
local_patient_previews <- function(env = parent.frame()) {
  usual <- previewing$patience
  withr::defer(previewing$patience <- usual, env)
  previewing$patience <- patience
}

# The hash of an artifact's content.
content <- function(data, entry) sub("sha256:", "", data$nodes[[entry$content + 1]][[2]])

# The server of a live view, gone with the test: its port, and the path of its page.
local_view <- function(file, ..., env = parent.frame()) {
  withr::defer(suppressMessages(stop_view()), env)
  address <- view_runs(file, ..., live = TRUE, open = FALSE)
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
