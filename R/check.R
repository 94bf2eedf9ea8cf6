# Checks of arguments. Each names the argument and the call that the user made.

check_no_dots <- function(..., known = NULL, call = rlang::caller_env()) {
  if (...length() == 0) {
    return(invisible())
  }
  named <- if (length(known)) paste0("The arguments by name are ", enumerate(known, 20), ".")
  names <- rlang::names2(rlang::enexprs(...))
  name <- names[nzchar(names)]
  if (!length(name)) {
    abort(
      "argument", "There are more arguments than expected.",
      named %||% "Every argument of the call has its place.",
      arg = "...", call = call
    )
  }
  # One that stands before `...` may be mistyped, too.
  before <- setdiff(names(formals(sys.function(sys.parent()))), "...")
  near <- near_names(name[[1]], unique(c(known, before)))
  abort(
    "argument", paste0("There is no argument `", name[[1]], "`."),
    if (length(near)) paste0("Did you mean ", or(near), "?") else named,
    arg = name[[1]], call = call
  )
}

check_path <- function(x, arg, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(arg, "a path", call = call)
  }
  # Nearly all are, and every call of ours asks.
  if (native_is_plain_path(x)) {
    return(x)
  }
  if (!is.character(x) || length(x) != 1 || is.na(x) || !nzchar(x) || !is_text(x)) {
    abort_argument(arg, "a path", x, call = call)
  }
  if (nchar(x, "bytes") > longest_path) {
    abort_argument(arg, paste("a path of at most", longest_path, "bytes"), x, call = call)
  }
  path <- untranslated(x)
  if (!validEnc(path)) {
    abort_argument(arg, "a path that the encoding of this session can hold", x, call = call)
  }
  path.expand(path)
}

# Paths that the session's encoding can't hold, as their bytes in UTF-8, under which the compiled code knows them: R's
# own functions would translate them, and fail. A path from anywhere goes through here before they get it, one from the
# compiled code too. In an encoding of several bytes a character these may be no text, which some of R's functions refuse.
untranslated <- function(paths) {
  # Nearly all are, and every call of ours asks.
  if (all(Encoding(paths) == "unknown")) {
    return(paths)
  }
  lost <- which(Encoding(paths) != "unknown" & .Platform$OS.type != "windows")
  lost <- lost[is.na(iconv(enc2utf8(paths[lost]), "UTF-8", ""))]
  paths[lost] <- enc2utf8(paths[lost])
  Encoding(paths[lost]) <- "unknown"
  paths
}

# In bytes. R and Linux take 4095, of which the working directory and the names of files beside a ledger need some.
longest_path <- 3000L

# Whether there are files or folders of these names, texts of anybody's making: R warns of what is too long for a
# path.
is_there <- function(x) {
  x <- untranslated(x)
  there <- !is.na(x) & nchar(x, "bytes") <= longest_path
  there[there] <- file.exists(path.expand(x[there]))
  there
}

is_folder <- function(x) {
  folder <- is_there(x)
  folder[folder] <- dir.exists(path.expand(untranslated(x[folder])))
  folder
}

# Whether every character of some strings can be read, in the encoding that they say they have.
is_text <- function(x) {
  all(validEnc(x)) && !any(Encoding(x) == "bytes")
}

# Whether a value is one string that can be read.
is_text_string <- function(x) {
  rlang::is_string(x) && is_text(x)
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
  x <- evaluated(x, arg, call)
  if (!is.character(x) || length(x) != 1 || is.na(x) || !is_text(x)) {
    abort_argument(arg, "a name", x, call = call)
  }
}

# The value of an argument that people forget the quotes of.
evaluated <- function(x, arg, call) {
  tryCatch(x, error = function(e) {
    abort(
      "argument", paste0("`", arg, "` can't be evaluated."),
      "Give the name in quotes.",
      arg = arg, parent = without_our_call(e), call = call
    )
  })
}

# NULL for all of them.
check_names <- function(x, arg, must, call = rlang::caller_env()) {
  if (!is.null(x) && (!is.character(x) || anyNA(x) || !is_text(x))) {
    abort_argument(arg, must, x, call = call)
  }
}

check_choice <- function(x, choices, arg, call = rlang::caller_env()) {
  if (!rlang::is_string(x) || !x %in% choices) {
    abort_argument(arg, or(paste0("\"", choices, "\"")), x, call = call)
  }
}

check_count <- function(x, arg, call = rlang::caller_env()) {
  if (!is.numeric(x) || length(x) != 1 || is.na(x) || x < 1 || (is.finite(x) && x != trunc(x))) {
    abort_argument(arg, "a whole number from 1 on", x, call = call)
  }
}

check_text <- function(x, arg, call = rlang::caller_env()) {
  if (missing(x)) {
    abort_argument(arg, "a string", call = call)
  }
  if (!rlang::is_string(x) || is.na(x) || !is_text(x) || !nzchar(trimws(x))) {
    abort_argument(arg, "a string that says something", x, call = call)
  }
}

# Looks for a package without loading it: what is loaded goes on record.
check_package <- function(package, what, call = rlang::caller_env()) {
  if (!length(find.package(package, quiet = TRUE))) {
    abort(
      "package", paste0(what, " takes the package ", package, ", which is not installed."),
      paste0("`install.packages(\"", package, "\")`"),
      package = package, call = call
    )
  }
}
