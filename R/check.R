# Checks of arguments. Each names the argument and the call that the user made.

check_no_dots <- function(..., known = NULL, call = rlang::caller_env()) {
  if (...length() == 0) {
    return(invisible())
  }
  names <- rlang::names2(rlang::enexprs(...))
  name <- names[nzchar(names)]
  if (!length(name)) {
    abort(
      "argument", "There are more arguments than expected.",
      "Name every argument after the first few.",
      arg = "...", call = call
    )
  }
  near <- near_names(name[[1]], known)
  abort(
    "argument", paste0("There is no argument `", name[[1]], "`."),
    if (length(near)) paste0("Did you mean ", or(near), "?") else paste0("There is ", enumerate(known, 20), "."),
    arg = name[[1]], call = call
  )
}

check_path <- function(x, arg, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(arg, "a path", call = call)
  }
  if (!is.character(x) || length(x) != 1 || is.na(x) || !nzchar(x)) {
    abort_argument(arg, "a path", x, call = call)
  }
  path.expand(x)
}

check_flag <- function(x, arg, call = rlang::caller_env()) {
  if (!is.logical(x) || length(x) != 1 || is.na(x)) {
    abort_argument(arg, "TRUE or FALSE", x, call = call)
  }
}

check_name <- function(x, arg, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(arg, "a name", call = call)
  }
  if (!is.character(x) || length(x) != 1 || is.na(x)) {
    abort_argument(arg, "a name", x, call = call)
  }
}

check_count <- function(x, arg, call = rlang::caller_env()) {
  if (!is.numeric(x) || length(x) != 1 || is.na(x) || x < 1 || (is.finite(x) && x != trunc(x))) {
    abort_argument(arg, "a whole number from 1 on", x, call = call)
  }
}

check_seed <- function(x, call = rlang::caller_env()) {
  if (is.null(x)) {
    return(NULL)
  }
  whole <- is.numeric(x) && !is.object(x) && length(x) == 1 && !is.na(x) &&
    abs(x) <= .Machine$integer.max && x == trunc(x)
  if (!whole) {
    abort_argument("seed", "a whole number, as `set.seed()` takes it", x, call = call)
  }
  as.integer(x)
}
