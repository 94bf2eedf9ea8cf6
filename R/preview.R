# What an R object looks like, made when it is stored: who looks at a ledger later must not unpack what somebody else
# has put there.

# What is longer is cut, in bytes of UTF-8 and lines; a larger picture isn't kept.
most_preview_bytes <- 2000
most_preview_lines <- 40
most_picture_bytes <- 200 * 1024

# So many objects of one call have a preview at most, since all stand in one row.
most_previews <- 50

# In seconds: so long may what one call stores take to be printed, all together, and to draw a plot once more.
previewing <- new.env(parent = emptyenv())
previewing$patience <- 1

# Until when previews may be made, as `now()` tells the time.
preview_until <- function() now() + previewing$patience
no_preview <- -Inf

now <- function() proc.time()[["elapsed"]]

# The classes of plots, and the packages that draw them.
drawn_by <- c(ggplot = "ggplot2", trellis = "lattice")

# The preview of an object as the entry of its artifact says it, NULL where there is none. Whatever showing it does, it
# costs nobody the object: only an interrupt gets through.
object_preview <- function(file, x, until) {
  if (isFALSE(getOption("fitledger.preview")) || now() >= until) {
    return(NULL)
  }
  drawn <- drawn_by[inherits(x, names(drawn_by), which = TRUE) > 0]
  nothing_lost(
    if (!length(drawn)) {
      text_preview(x, until)
    } else if (brought_out(requireNamespace(drawn[[1]], quietly = TRUE))) {
      # The first plot of a session takes longer than text.
      picture_preview(file, x, until + previewing$patience)
    }
  )
}

# The value of code, NULL where it fails. By the restart R leaves code for the console, on an error that no handler for
# errors sees, and on an interrupt, which is nothing for us.
nothing_lost <- function(code) {
  interrupted <- FALSE
  withRestarts(
    withCallingHandlers(
      tryCatch(code, error = function(e) NULL),
      interrupt = function(e) interrupted <<- TRUE
    ),
    abort = function() if (interrupted) invokeRestart("abort")
  )
}

# The limit holds for `code` alone: what tidies up after it must not be cut short.
in_time <- function(code, until) {
  on.exit(setTimeLimit())
  setTimeLimit(elapsed = max(until - now(), 0.01), transient = TRUE)
  code
}

# ---- Text -----------------------------------------------------------------

text_preview <- function(x, until) {
  printed <- undisturbed(printed_bytes(x, until))
  lines <- strsplit(plain_text(printed$bytes), "\n", fixed = TRUE)[[1]]
  lines <- sub("[ \t]+$", "", lines)
  lines <- utils::head(lines, max(which(nzchar(lines)), 0))
  if (!length(lines)) {
    return(NULL)
  }
  is_cut <- printed$is_cut || length(lines) > most_preview_lines
  text <- paste(utils::head(lines, most_preview_lines), collapse = "\n")
  if (nchar(text, "bytes") > most_preview_bytes) {
    is_cut <- TRUE
    text <- first_bytes(charToRaw(text), most_preview_bytes)
  }
  c(list(text = text), if (is_cut) list(cut = TRUE))
}

# The first bytes of what an object prints, more than are kept, as escape sequences don't count.
printed_bytes <- function(x, until, most = 50 * most_preview_bytes) {
  connection <- file(open = "w+b")
  on.exit(try(close(connection), silent = TRUE))
  show <- function() in_time(show_beginning(x), until)
  is_part <- sunk(connection, with_plain_output(with_own_device(is.object(x) || is.list(x), NULL, show())))
  seek(connection, 0, rw = "read")
  bytes <- readBin(connection, "raw", most)
  list(bytes = bytes, is_cut = is_part || length(bytes) == most)
}

# Prints it, and says whether that was only its beginning.
show_beginning <- function(x) {
  if (is.list(x) && !is.object(x)) {
    utils::str(x, max.level = 2, list.len = 20, give.attr = FALSE, nchar.max = 100)
    return(FALSE)
  }
  part <- beginning(x)
  print(part)
  !identical(dim(part), dim(x)) || is.atomic(x) && length(part) < length(x)
}

# Rows and columns of a table.
shown_of_table <- c(10, 20)

# As much of a table or vector as is shown: to print all of it might take long, and nobody could stop R in that.
beginning <- function(x) {
  if (is.data.frame(x)) {
    x <- utils::head(x, shown_of_table[[1]])
    if (ncol(x) > shown_of_table[[2]]) x[seq_len(shown_of_table[[2]])] else x
  } else if (is.atomic(x) && length(dim(x)) == 2) {
    x[seq_len(min(nrow(x), shown_of_table[[1]])), seq_len(min(ncol(x), shown_of_table[[2]])), drop = FALSE]
  } else if (is.atomic(x) && !is.object(x) && is.null(dim(x))) {
    x <- utils::head(x, 200)
    if (is.character(x)) first_characters(x, most_preview_bytes) else x
  } else {
    x
  }
}

# Texts that aren't valid are as they were.
first_characters <- function(x, most) {
  valid <- validEnc(x)
  x[valid] <- substr(x[valid], 1, most)
  x
}

# Evaluates what prints without colours, as wide as a page, and without opening a viewer or a browser.
with_plain_output <- function(code) {
  nowhere <- function(...) invisible()
  old <- options(
    width = 80, max.print = 200, cli.num_colors = 1L, cli.hyperlink = FALSE, crayon.enabled = FALSE,
    viewer = nowhere, browser = nowhere, pager = nowhere, device = function(...) grDevices::pdf(NULL)
  )
  on.exit(options(old))
  with_plain_numbers(code)
}

# Bytes as lines of text that no terminal and no browser takes for more.
plain_text <- function(bytes) {
  text <- as_utf8(rawToChar(bytes[bytes != 0]))
  text <- gsub("\033\\][^\a\033]*(\a|\033\\\\)?", "", text, perl = TRUE)
  text <- gsub("\033\\[[0-?]*[ -/]*[@-~]", "", text, perl = TRUE)
  text <- gsub("\r\n?", "\n", text, perl = TRUE)
  text <- gsub("[\\x{01}-\\x{08}\\x{0b}\\x{0c}\\x{0e}-\\x{1f}\\x{7f}-\\x{9f}]", "", text, perl = TRUE)
  # What turns the direction of text makes it read as it isn't written.
  gsub("[\\x{061c}\\x{200e}\\x{200f}\\x{2028}-\\x{202e}\\x{2066}-\\x{2069}]", "\ufffd", text, perl = TRUE)
}

# The text of the first bytes, without the part of a character.
first_bytes <- function(bytes, most) {
  iconv(rawToChar(utils::head(bytes, most)), "UTF-8", "UTF-8", sub = "")
}

# ---- Picture --------------------------------------------------------------

picture_preview <- function(file, x, until) {
  path <- tempfile(fileext = ".png")
  on.exit(unlink(path))
  undisturbed(with_plain_output(with_own_device(TRUE, path, in_time(print(x), until))))
  size <- file.size(path)
  if (is.na(size) || size == 0 || size > most_picture_bytes) {
    return(NULL)
  }
  store_file(file, path, "preview.png", NULL)
}

# Evaluates what may draw, on a device of ours: a file's at `path`, or one that shows nothing. The session's devices are
# as they were.
with_own_device <- function(may_draw, path, code) {
  if (!may_draw) {
    return(code)
  }
  before <- grDevices::dev.list()
  current <- grDevices::dev.cur()
  on.exit(suspendInterrupts({
    for (device in setdiff(grDevices::dev.list(), before)) grDevices::dev.off(device)
    if (current %in% grDevices::dev.list()) grDevices::dev.set(current)
  }))
  if (is.null(path)) {
    grDevices::pdf(NULL)
  } else if (isTRUE(capabilities("cairo")[[1]])) {
    grDevices::png(path, 600, 400, type = "cairo")
  } else {
    grDevices::png(path, 600, 400)
  }
  code
}
