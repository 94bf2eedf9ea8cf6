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
  whole <- !is.object(x) && is.numeric(x) && length(x) == 1 && !is.na(x) &&
    abs(x) <= .Machine$integer.max && x == trunc(x)
  if (!whole) {
    abort_argument("seed", "a whole number, as `set.seed()` takes it, or `.Random.seed`", x, call = call)
  }
  as.integer(x)
}

is_stream <- function(seed) {
  is.integer(seed) && !is.object(seed) && length(seed) > 1
}

store_stream <- function(file, stream, call = rlang::caller_env()) {
  store_artifacts(file, list(random_stream = stream), keep = FALSE, call, until = no_preview)
}

# R passes over what has that name and is no state of a generator.
current_stream <- function() {
  stream <- globalenv()[[".Random.seed"]]
  if (is.integer(stream) && length(stream)) stream
}

# Sets a seed, if there is one, and remembers how the stream was before.
begin_stream <- function(seed = NULL) {
  before <- current_stream()
  if (!is.null(seed)) {
    start_stream(seed)
  } else if (is.null(before) && records_stream()) {
    # As R begins one at the first random number.
    set.seed(NULL)
    before <- current_stream()
  }
  list(seed = seed, before = before)
}

# A seed is no matter of what comes afterwards.
end_stream <- function(stream) {
  if (!is.null(stream$seed)) {
    suspendInterrupts(restore_stream(stream$before))
  }
}

# What is recorded of a stream that nobody seeded and from which numbers were drawn.
drawn_from <- function(stream) {
  if (is.null(stream$seed) && records_stream() && !identical(stream$before, current_stream())) {
    list(stream = call_native(native_stream_text, stream$before))
  }
}

records_stream <- function() {
  !isFALSE(getOption("fitledger.stream"))
}

# A seed that was not set, or from which numbers were drawn since, repeats nothing.
tell_other_stream <- function(seed) {
  if (is.null(seed) || is_stream(seed)) {
    return(invisible())
  }
  stream <- current_stream()
  as_seeded <- stream_of(seed)
  if (!identical(stream, as_seeded)) {
    inform(
      "seed",
      c(
        paste0("The seed ", seed, " is on record, but R's random stream isn't as `set.seed(", seed, ")` leaves it."),
        i = "Set it just before `start_run()`; `with_run(seed = )` sets it by itself."
      )
    )
  }
}

# The state that a seed sets. The stream stays as it is.
stream_of <- function(seed) {
  before <- current_stream()
  on.exit(suspendInterrupts(restore_stream(before)))
  set.seed(seed)
  current_stream()
}

start_stream <- function(seed) {
  if (is_stream(seed)) restore_stream(seed) else set.seed(seed)
}

restore_stream <- function(stream) {
  if (is.null(stream)) {
    # Who had it begun may have removed it, of which R would warn.
    suppressWarnings(rm(".Random.seed", envir = globalenv()))
  } else {
    assign(".Random.seed", stream, envir = globalenv())
  }
}

# Evaluates code that draws nothing while the stream is as it was at another time.
with_stream <- function(stream, code) {
  before <- current_stream()
  if (!identical(before, stream)) {
    on.exit(suspendInterrupts(restore_stream(before)))
    restore_stream(stream)
  }
  code
}
