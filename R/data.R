# Versions of data: which rows and columns a run was fitted to, by their hash.

#' The hash of a data set
#'
#' The same data have the same hash, on every platform, in every locale, and
#' whether they are held in a data.frame, a tibble or a data.table. It is what
#' [log_run()] and its like record for `data`.
#'
#' Covered are types, values, names, factor levels, dimensions and their names,
#' row names other than `1, 2, 3 …`, the time zone of date-times, the units of
#' time differences and the slots of S4 classes. Other attributes and classes aren't. As for [identical()],
#' `0` and `-0` are one, all `NaN`s are one, and `NA` is another. Columns in another
#' order are other data.
#'
#' Several files, as in `log_run(data = c("a.csv", "b.csv"))`, have the hash of their hashes in that order:
#' `hash_data(c(hash_data("a.csv"), hash_data("b.csv")))`. Several strings that are given to `hash_data()` are
#' themselves hashed. Those that are given as `data` are too if they stand in `I()` or can't be meant as paths; what
#' looks like paths is an error where there are no such files.
#'
#' @section Encoding:
#' `fl1:` is followed by the SHA-256 of the *value* in this encoding, in which all
#' numbers are little-endian. A value is a letter, the number of elements in 8
#' bytes, the elements, the attributes that it has in the order below, and `;`.
#'
#' | letter | type | an element |
#' |---|---|---|
#' | `0` | `NULL` | |
#' | `l` | logical | 1 byte: 0, 1, or 2 for `NA` |
#' | `i` | integer, codes of a factor | 4 bytes; `NA` is the smallest integer |
#' | `d` | double | 8 bytes; `NA` is `7ff00000000007a2`, `NaN` `7ff8000000000000`, `-0` is 0 |
#' | `I` | `bit64::integer64` | 8 bytes; `NA` is the smallest integer |
#' | `c` | complex | two doubles; both are `NA` where one is |
#' | `s` | character | the number of bytes in 4 bytes, UTF-8; `NA` is `ffffffff` |
#' | `r` | raw | 1 byte |
#' | `v` | list, data frame | a value |
#'
#' An attribute is a letter and a value: `N` names, `F` levels of a factor, `D`
#' dimensions, `M` their names, `R` row names (as text), `Z` the time zone of a
#' `POSIXct` unless it is `""`, `U` the units of a `difftime`, `S` the list of those slots
#' of a vector of an S4 class that are data, such as the months of lubridate's periods, in
#' the order of their names. A sparse matrix of the package Matrix counts as the list of
#' its class and its slots but `factors`, in the order of their names.
#'
#' @param x A vector, factor, matrix, data frame, a list of them, a sparse matrix of
#'   the package Matrix, or the path of a file, a single string (to hash a string
#'   itself, put it into `list()`).
#' @returns A string: `fl1:` and 64 hex digits, or for a file `sha256:` and those of
#'   its bytes.
#' @section Errors:
#' `fitledger_error_value` for what isn't data: functions, environments, pointers,
#' text that isn't valid; `fitledger_error_not_found` for a path where no file is.
#' @export
#' @examples
#' hash_data(cars)
#' hash_data(cars) == hash_data(as.list(cars))
#' hash_data(cars) == hash_data(cars[50:1, ])
hash_data <- function(x) {
  if (missing(x)) {
    abort_argument("x", "data or a path")
  }
  if (rlang::is_string(x) && !is.object(x)) hash_path(x, "x")$hash else hash_value(x)
}

hash_value <- function(x, call = rlang::caller_env()) {
  call_native(native_hash_data, if (is_sparse(x)) sparse_parts(x) else x, call = call)
}

hash_path <- function(path, arg, call = rlang::caller_env()) {
  path <- check_path(path, arg, call)
  if (!file.exists(path) || dir.exists(path)) {
    is <- if (dir.exists(path)) "is a folder" else "is not there"
    abort(
      "not_found", paste0("'", path, "' ", is, "."),
      c(
        if (dir.exists(path) && arg != "x") "Give its files: `list.files(folder, full.names = TRUE)`.",
        "A single string is a path. `I(\"snapshot 2026-11\")` is a label of data that are kept elsewhere."
      ),
      path = path, call = call
    )
  }
  # Nothing is stored of it, so a link leads to data as its target does.
  hashed <- hash_file(normalizePath(path, winslash = "/"), call)
  list(hash = paste0("sha256:", hashed$sha256), size = hashed$size, file = as_utf8(path))
}

# Several files are one version: the hash of their hashes, in this order.
hash_paths <- function(paths, arg, call = rlang::caller_env()) {
  files <- lapply(unname(paths), hash_path, arg = arg, call = call)
  hashes <- vapply(files, function(file) file$hash, "")
  paths <- vapply(files, function(file) file$file, "")
  shown <- paste(utils::head(paths, 5), collapse = ", ")
  list(
    hash = hash_value(hashes, call),
    size = sum(vapply(files, function(file) as.numeric(file$size), 0)),
    file = if (length(paths) > 5) paste(shown, "and", length(paths) - 5, "more") else shown,
    files = utils::head(unname(Map(function(file, hash) list(file = file, hash = hash), paths, hashes)), most_files)
  )
}

# A row of the ledger doesn't name more of them.
most_files <- 1000

# Whether texts, more than one, are the paths of files; an error where they seem to be meant for that and aren't. What
# stands twice is no list of files, unless each is one.
are_paths <- function(x, arg, call = rlang::caller_env()) {
  if (!is_text(x)) {
    return(FALSE)
  }
  there <- is_there(x)
  folder <- is_folder(x)
  if (all(there & !folder)) {
    return(TRUE)
  }
  # A name with a slash or an ending; or none, where a path is missing.
  looks <- is.na(x) | grepl("[[:alpha:]].*[/\\]|[/\\].*[[:alpha:]]|\\.[[:digit:]]?[[:alpha:]][[:alnum:]]{0,9}$", x)
  if (anyDuplicated(x) || !any(there) && !all(looks)) {
    return(FALSE)
  }
  first <- which(if (all(there)) folder else !there)[[1]]
  if (is.na(x[[first]])) {
    abort_argument(arg, "the paths of files, or data", NA, "Texts that are the data themselves stand in `I()`.", call)
  }
  abort(
    "not_found",
    paste0("`", arg, "` holds '", x[[first]], "', which is ", if (there[[first]]) "a folder." else "not there."),
    "Give the paths of files. Texts that are the data themselves stand in `I()`.",
    path = path.expand(untranslated(x[[first]])), call = call
  )
}

is_sparse <- function(x) {
  isS4(x) && methods::is(x, "Matrix")
}

sparse_parts <- function(x) {
  slots <- sort(setdiff(methods::slotNames(x), "factors"), method = "radix")
  c(list(class = class(x)[[1]]), sapply(slots, methods::slot, object = x, simplify = FALSE))
}

# What `data =` names, as the ledger records it.
data_versions <- function(data, call = rlang::caller_env()) {
  if (is.null(data)) {
    return(NULL)
  }
  if (!is.list(data) || is.data.frame(data)) {
    return(list(data = data_version(data, "data", call)))
  }
  names <- rlang::names2(data)
  if (is.object(data) || !all(nzchar(names)) || anyDuplicated(names)) {
    abort_argument(
      "data", "a data frame, a matrix, paths, a label in `I()`, or a list of them, each with a name of its own",
      data,
      call = call
    )
  }
  Map(function(x, name) data_version(x, paste0("data$", name), call), data, names)
}

data_version <- function(x, arg, call) {
  if (rlang::is_string(x)) {
    if (inherits(x, "AsIs") || grepl("^(sha256|fl1):[0-9a-f]{64}$", x, useBytes = TRUE)) {
      return(list(hash = as_utf8(unclass(x))))
    }
    return(hash_path(x, arg, call))
  }
  is_one <- is.character(x) && is.null(dim_of(x)) || is.atomic(x) && length(unclass(x)) == 1
  is_missing <- is_one && length(unclass(x)) > 0 && all(is.na(unclass(x)))
  if (is.null(x) || is_missing || inherits(x, "connection")) {
    abort_argument(arg, "a data frame, a matrix, paths or a label in `I()`", x, call = call)
  }
  if (is.character(x) && !inherits(x, "AsIs") && is.null(attr(x, "dim"))) {
    texts <- as.vector(unclass(x))
    if (!length(texts)) {
      abort_argument(arg, "paths, or data", x, "There is no file among them: does the folder have any?", call = call)
    }
    if (are_paths(texts, arg, call)) {
      return(hash_paths(texts, arg, call))
    }
  }
  value_version(x, call)
}

# What is recorded of a value that is no path.
value_version <- function(x, call) {
  c(list(hash = hash_value(x, call)), data_shape(x))
}

# Wider data have too many columns to name them all in a row of the ledger.
most_columns <- 1000

data_shape <- function(x) {
  dim <- dim_of(x)
  shape <- list(rows = if (length(dim)) dim[[1]] else length(unclass(x)))
  if (length(dim) == 2) {
    shape$cols <- dim[[2]]
  }
  if (is.data.frame(x)) {
    types <- vapply(unclass(x), value_type, character(1))
    names <- names(x)
  } else {
    shape$type <- value_type(x)
    names <- tryCatch(colnames(x), error = function(e) NULL)
    types <- rep(shape$type, length(names))
  }
  if (length(names) && length(names) <= most_columns) {
    shape$columns <- rlang::set_names(as.list(unname(types)), column_labels(names))
  }
  shape
}

value_type <- function(x) {
  if (is_sparse(x) || (is.object(x) && is.null(dim_of(x)))) class(x)[[1]] else typeof(x)
}

# The dimensions of a value, whose class may have a method for them that fails.
dim_of <- function(x) {
  if (is.object(x)) tryCatch(dim(x), error = function(e) NULL) else dim(x)
}

column_labels <- function(names) {
  names <- as_utf8(names)
  unnamed <- is.na(names) | !nzchar(names)
  names[unnamed] <- paste0("V", which(unnamed))
  make.unique(names)
}
