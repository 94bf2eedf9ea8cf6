# Ledgers whose rows are chained as they should be and say what no writer of ours would.

# The lines of a ledger, cell by cell: the JSON cells as their text.
rows_of <- function(file) {
  rows <- utils::read.csv(file_of(file), colClasses = "character", encoding = "UTF-8", na.strings = character())
  as.matrix(rows[names(rows) != "hash"])
}

# Writes such rows with their hashes computed anew.
write_rows <- function(rows, file) {
  header <- "seq,time,event,run_id,params,metrics,artifacts,context,hash"
  cells <- c("params", "metrics", "artifacts", "context")
  rows[, cells] <- ifelse(nzchar(rows[, cells]), paste0("\"", gsub("\"", "\"\"", rows[, cells], fixed = TRUE), "\""), "")
  bodies <- apply(rows, 1, paste, collapse = ",")
  part <- tempfile()
  on.exit(unlink(part))
  sha256 <- function(text) {
    writeBin(charToRaw(enc2utf8(text)), part)
    sub("sha256:", "", hash_data(part), fixed = TRUE)
  }
  hash <- sha256(header)
  lines <- vapply(bodies, function(body) {
    hash <<- sha256(paste0(hash, body))
    paste0(body, ",", hash)
  }, "")
  writeBin(charToRaw(paste0(c(header, enc2utf8(lines)), "\n", collapse = "")), file)
  invisible(file)
}

# Where the values of a JSON text begin and end, but for the whole: those of keys and elements at every depth.
json_values <- function(text) {
  chars <- strsplit(text, "")[[1]]
  found <- list()
  string_end <- function(i) {
    repeat {
      i <- i + 1
      if (chars[[i]] == "\"") {
        return(i)
      }
      i <- i + (chars[[i]] == "\\")
    }
  }
  value_end <- function(i) {
    if (chars[[i]] == "\"") {
      return(string_end(i))
    }
    if (!chars[[i]] %in% c("{", "[")) {
      while (!chars[[i + 1]] %in% c(",", "}", "]")) i <- i + 1
      return(i)
    }
    is_object <- chars[[i]] == "{"
    i <- i + 1
    while (!chars[[i]] %in% c("}", "]")) {
      if (is_object) {
        i <- string_end(i) + 2
      }
      end <- value_end(i)
      found <<- c(found, list(c(i, end)))
      i <- end + 1 + (chars[[end + 1]] == ",")
    }
    i
  }
  if (length(chars)) {
    value_end(1)
  }
  found
}

replace_value <- function(text, span, value) {
  paste0(substr(text, 1, span[[1]] - 1), value, substr(text, span[[2]] + 1, nchar(text)))
}

# What a call may not end with: an error of R's own or one that says it is a bug of ours, a warning of R's own. NULL if
# it ends otherwise.
unfit_outcome <- function(code) {
  warned <- NULL
  note <- function(w) {
    if (!inherits(w, "fitledger_warning")) {
      warned <<- w
    }
    invokeRestart("muffleWarning")
  }
  quietly <- function(code) suppressMessages(withCallingHandlers(code, warning = note))
  failed <- tryCatch(
    {
      utils::capture.output(quietly(force(code)))
      NULL
    },
    error = function(e) if (!inherits(e, "fitledger_error") || inherits(e, "fitledger_error_internal")) e
  )
  say <- function(condition) {
    paste0("<", class(condition)[[1]], "> ", message_bytes(condition), " in ", deparse(conditionCall(condition), nlines = 1)[[1]])
  }
  c(if (!is.null(failed)) say(failed), if (!is.null(warned)) say(warned))
}

# A message may hold what no locale can show.
message_bytes <- function(condition) {
  substr(iconv(conditionMessage(condition), "UTF-8", "UTF-8", sub = "byte"), 1, 200)
}
