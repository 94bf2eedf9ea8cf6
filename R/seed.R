# Seeds, and the state of R's random stream.

# A seed is a whole number, or the state of the stream as `.Random.seed` has it.
check_seed <- function(x, call = rlang::caller_env()) {
  x <- tryCatch(x, error = function(e) {
    abort(
      "argument", "`seed` can't be evaluated.",
      "R's stream has no state before the first `set.seed()` or the first random number.",
      arg = "seed", parent = without_our_call(e), call = call
    )
  })
  if (is.null(x)) {
    return(NULL)
  }
  if (is_stream(x)) {
    return(x)
  }
  whole <- is.numeric(x) && !is.object(x) && length(x) == 1 && !is.na(x) &&
    abs(x) <= .Machine$integer.max && x == trunc(x)
  if (!whole) {
    abort_argument("seed", "a whole number, as `set.seed()` takes it, or `.Random.seed`", x, call = call)
  }
  as.integer(x)
}

is_stream <- function(seed) {
  is.integer(seed) && length(seed) > 1 && !is.object(seed)
}

store_stream <- function(file, stream, call = rlang::caller_env()) {
  store_artifacts(file, list(random_stream = stream), keep = FALSE, call)
}

current_stream <- function() {
  globalenv()[[".Random.seed"]]
}

start_stream <- function(seed) {
  if (is_stream(seed)) restore_stream(seed) else set.seed(seed)
}

restore_stream <- function(stream) {
  if (is.null(stream)) {
    rm(".Random.seed", envir = globalenv())
  } else {
    assign(".Random.seed", stream, envir = globalenv())
  }
}
