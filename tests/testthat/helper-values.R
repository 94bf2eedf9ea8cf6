# Random values of every type that comes back identical.
random_values <- function(n) {
  double <- function() {
    bits <- as.raw(sample(0:255, 8, replace = TRUE))
    readBin(bits, "double")
  }
  code_points <- c(1:0xd7ff, 0xe000:0xfffd, 0x10000:0x10ffff)
  text <- function() intToUtf8(code_points[sample.int(length(code_points), sample(0:20, 1), replace = TRUE)])
  instant <- function() {
    as.POSIXct(round(stats::runif(1, -6e10, 2.5e11), sample(0:6, 1)), origin = "1970-01-01", tz = "UTC")
  }
  kinds <- list(
    logical = function() sample(c(TRUE, FALSE, NA), 1),
    integer = function() sample(c(NA, -.Machine$integer.max, .Machine$integer.max, 0L, sample.int(1e6, 1)), 1),
    double = function() sample(list(double(), 0, -0, NA_real_, NaN, Inf, -Inf, 1e-5, 1e16, 5e-324, stats::runif(1)), 1)[[1]],
    character = function() sample(list(text(), NA_character_, "", "NA"), 1)[[1]],
    date = function() as.Date(sample(c(NA, -719528, 2932896, sample.int(1e5, 1)), 1), origin = "1970-01-01"),
    datetime = instant,
    difftime = function() as.difftime(stats::runif(1, -1e6, 1e6), units = "secs")
  )
  vector_of <- function(kind) {
    n <- sample(2:5, 1)
    x <- do.call(c, replicate(n, kind(), simplify = FALSE))
    if (inherits(x, "POSIXct")) attr(x, "tzone") <- "UTC"
    if (sample(2, 1) == 1) names(x) <- paste0("n", seq_along(x))
    x
  }
  lapply(seq_len(n), function(i) {
    kind <- kinds[[sample(length(kinds), 1)]]
    switch(sample(4, 1),
      kind(),
      vector_of(kind),
      list(a = kind(), `$b` = vector_of(kind), c = NULL, d = list()),
      list(kind(), list(vector_of(kind)))
    )
  })
}

# Identical down to the sign of zero. NA and NaN are one value each, whatever their bits.
same_bits <- function(x, y) {
  if (is.list(x) && is.list(y)) {
    elements <- length(x) == length(y) && all(as.logical(mapply(same_bits, x, y)))
    return(elements && identical(names(x), names(y)))
  }
  bits <- function(v) if (is.double(v)) writeBin(as.vector(unclass(v))[!is.na(v)], raw())
  identical(x, y) && identical(bits(x), bits(y))
}
