# The encoding of `?hash_data`, written a second time from its description.
encode_data <- function(x) {
  letter <- if (inherits(x, "integer64")) {
    "I"
  } else {
    c(
      "NULL" = "0", logical = "l", integer = "i", double = "d", complex = "c", character = "s",
      raw = "r", list = "v"
    )[[typeof(x)]]
  }
  little <- function(x, size) writeBin(as.integer(x), raw(), size = size, endian = "little")
  doubles <- function(x) {
    unlist(lapply(x, function(x) {
      hex <- if (is.nan(x)) "7ff8000000000000" else if (is.na(x)) "7ff00000000007a2"
      if (is.null(hex)) {
        return(writeBin(if (x == 0) 0 else x, raw(), endian = "little"))
      }
      rev(as.raw(strtoi(substring(hex, seq(1, 15, 2), seq(2, 16, 2)), 16)))
    }))
  }
  is_na <- function(x) is.na(x) && !is.nan(x)
  text <- function(x) {
    if (is.na(x)) as.raw(rep(255, 4)) else c(little(nchar(enc2utf8(x), "bytes"), 4), charToRaw(enc2utf8(x)))
  }
  elements <- switch(letter,
    "0" = NULL,
    l = as.raw(ifelse(is.na(x), 2, x)),
    i = writeBin(as.integer(x), raw(), endian = "little"),
    d = doubles(as.double(unclass(x))),
    I = writeBin(as.double(unclass(x)), raw(), endian = "little"),
    c = doubles(unlist(lapply(x, function(x) if (is_na(Re(x)) || is_na(Im(x))) c(NA_real_, NA) else c(Re(x), Im(x))))),
    s = unlist(lapply(as.vector(x), text)),
    r = as.vector(x),
    v = unlist(lapply(unclass(x), encode_data))
  )
  attribute <- function(letter, value) if (!is.null(value)) c(charToRaw(letter), encode_data(value))
  slots <- function(x) {
    slots <- attributes(x)
    slots <- slots[sort(setdiff(names(slots), c("class", "names", "dim", "dimnames")), method = "radix")]
    if (length(slots)) slots
  }
  rows <- if (is.data.frame(x)) as.character(attr(x, "row.names"))
  zone <- attr(x, "tzone")[1]
  c(
    charToRaw(letter), little(length(unclass(x)), 4), as.raw(rep(0, 4)), elements,
    attribute("N", if (is.null(dim(x)) || is.data.frame(x)) names(x)),
    if (is.factor(x)) attribute("F", levels(x)),
    if (!is.data.frame(x)) attribute("D", dim(x)),
    if (!is.data.frame(x)) attribute("M", dimnames(x)),
    if (!identical(rows, as.character(seq_along(rows)))) attribute("R", rows),
    if (inherits(x, "POSIXct") && !is.null(zone) && nzchar(zone)) attribute("Z", zone),
    if (inherits(x, "difftime")) attribute("U", attr(x, "units")),
    if (isS4(x)) attribute("S", slots(x)),
    charToRaw(";")
  )
}

hash_by_hand <- function(x) {
  file <- withr::local_tempfile()
  writeBin(encode_data(x), file)
  paste0("fl1:", substr(system2("sha256sum", file, stdout = TRUE), 1, 64))
}

# One value of each kind.
data_kinds <- function() {
  list(
    null = NULL,
    logical = c(TRUE, FALSE, NA),
    integer = c(a = 1L, b = NA, c = -5L),
    double = c(0.1, -0, NA, NaN, Inf, -Inf, 1e-300),
    complex = c(1 + 2i, NA),
    character = c("", "é", NA, "\U1F600"),
    raw = as.raw(0:3),
    factor = factor(c("b", NA, "a"), levels = c("b", "a", "c")),
    date = as.Date("2026-11-23") + 0:1,
    datetime = as.POSIXct(c(0, 1.5), origin = "1970-01-01", tz = "Pacific/Auckland"),
    difftime = as.difftime(c(1, 2), units = "mins"),
    matrix = matrix(1:6, 2, dimnames = list(NULL, c("x", "y", "z"))),
    array = array(0.5, c(2, 1, 2)),
    frame = data.frame(x = 1:3, y = c("a", NA, "c"), z = factor(c("u", "v", "u"))),
    named = mtcars[c(3, 1), ],
    nested = list(a = list(1, "x"), data.frame(k = 1)),
    empty = data.frame()
  )
}
