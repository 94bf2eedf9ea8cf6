# What a run leaves behind: R objects and files, kept by the hash of their bytes.

#' Log an artifact of a live run
#'
#' R objects, and the bytes of files and folders, are stored beside the ledger, in
#' the folder `<ledger>.objects`, under the hash of their bytes: what is stored twice
#' is kept once, and a file that is overwritten later is still there as it was. With
#' `keep = FALSE` a file is recorded by its path and hash alone. Stored bytes are on
#' disk before the row that names them.
#'
#' A folder is stored as one tar archive of all that is in it, empty folders too. The
#' archive knows names, bytes and whether a file may be
#' executed, not times or owners: the same content has the same hash. Before
#' anything is stored all of it is looked at, and what an archive can't hold is
#' refused by name, as it is alone: symbolic links, pipes, sockets, devices, what
#' can't be read, what changes meanwhile, and names that are not UTF-8, hold
#' control characters or backslashes, or take more than 2048 bytes.
#'
#' Who may read or write the ledger's file may read or add what is stored beside
#' it, whatever the `umask` of the session that stores it.
#'
#' @section What `saveRDS()` keeps:
#' An object is stored as [saveRDS()] writes it, and that isn't always the object.
#'
#' Models that keep their state outside R (of torch, keras and the like) hold external
#' pointers, which don't come back. Each is named by a warning of the class
#' `fitledger_warning_pointers`, and [register_model()] refuses such an artifact. Save
#' the model to a file or a folder by its package's own function, and log that.
#'
#' A formula or function takes the environment along in which it was made, with all
#' that is there: data, and perhaps a password. Where that makes what is stored more
#' than a MiB, and more than twice the object, a message of the class
#' `fitledger_message_dragged` names what is dragged along.
#'
#' Looked at are the first 20,000 parts of an object.
#'
#' @section What an object looks like:
#' With an R object goes on record what it looks like, for the page of [view_runs()]: the first 40 lines, or
#' 2000 bytes, of what [print()] shows, of tables, vectors and lists only the
#' beginning; of a plot of ggplot2 or lattice a picture of up to 200 KiB, which is stored beside the
#' ledger, too. Printing has a second for all objects of a call, drawing a plot another; what takes longer, or fails, has no
#' preview, as have the results of a search. R has one limit for the time of a computation: one
#' that you set by [setTimeLimit()] ends where an object is shown.
#'
#' The text stands in the row, which can't be taken back: of data that must be erasable store none, or
#' say `options(fitledger.preview = FALSE)`, which makes no previews. There is none either where
#' metrics of the same call are sealed. Of metrics that [end_run()] will seal [log_artifact()] can't know: of an
#' object that prints them make no preview.
#'
#' @param .run A live run, as [start_run()] returns it.
#' @param name Name of the artifact, one that the run doesn't have yet. Where `x` isn't
#'   given, the path: the name is then that of the file without folder and extension,
#'   `model` for `log_artifact(run, "out/model.rds")`.
#' @param x An R object, or the path of a file or folder (a single string; to store
#'   a string itself, put it into a list).
#' @param ... Must be empty: arguments after it are given by name.
#' @param keep `FALSE` to record a file by its path and hash, without its bytes. What
#'   takes more than 1 GiB is stored only if you say `keep = TRUE`.
#' @returns The run, invisibly.
#' @section Errors:
#' `fitledger_error_argument` for a name that the run has an artifact of already, for a path where nothing is, and for
#' a file of more than 1 GiB if `keep` isn't said;
#' `fitledger_error_unstorable` for what can't be stored, such as a pipe, or a folder with a link that leads out of it;
#' `fitledger_error_ended` for a run that has ended, and those of the file, see [fitledger_error].
#' Then the run has no such artifact.
#' @seealso [read_artifact()]. [log_run()] takes `artifacts` too.
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' run <- start_run(file, list(formula = dist ~ speed))
#' log_artifact(run, "model", lm(dist ~ speed, cars))
#' end_run(run)
#' coef(read_artifact(file, run$run_id, "model"))
log_artifact <- function(.run, name, x, ..., keep = TRUE) {
  check_no_dots(..., known = "keep")
  check_run(.run)
  check_flag(keep, "keep")
  most <- if (missing(keep)) most_unasked_bytes else Inf
  code <- substitute(name)
  if (!missing(x)) {
    force(x)
  }
  call <- environment()
  report(.run, {
    if (missing(x)) {
      check_path_alone(name, code)
      check_path(name, "name")
      x <- untranslated(name)
      name <- name_of_path(x)
    } else {
      check_order(name, x, code)
      check_name(name, "name")
    }
    call_native(native_check_new_artifact, path_of(.run$file), .run$run_id, name, call = call)
    artifacts <- store_artifacts(path_of(.run$file), rlang::set_names(list(x), name), keep, call, most)
    log_event_native(path_of(.run$file), "log", .run$run_id, artifacts = artifacts, call = call)
  })
  invisible(.run)
}

# A file or folder whose name is its artifact's.
check_path_alone <- function(x, code, call = rlang::caller_env()) {
  must <- "the name of an artifact, or a path"
  if (missing(x)) {
    abort_argument("name", must, call = call)
  }
  x <- evaluated(x, "name", call)
  if (!rlang::is_string(x) || !is_text(x)) {
    abort_argument("name", must, x, paste0("Give the object a name: ", call_of("model", code), "."), call)
  }
  if (!is_there(x)) {
    abort(
      "argument", paste0("There is no file '", x, "', and no object is given."),
      paste0("Give both: ", call_of(x, quote(object)), "."),
      arg = "x", call = call
    )
  }
}

# What comes first is the name.
check_order <- function(name, x, code, call = rlang::caller_env()) {
  is_name <- function(x) rlang::is_string(x) && is_text(x)
  if (missing(name) || !is_name(x)) {
    return(invisible())
  }
  name <- evaluated(name, "name", call)
  if (!is_name(name) || is_there(name) && !is_there(x)) {
    abort(
      "argument", "The name of an artifact comes before what it is.",
      paste0("Write ", call_of(x, code), "."),
      arg = "name", call = call
    )
  }
}

call_of <- function(name, code) {
  typed <- code_text(code)
  paste0("`log_artifact(run, ", encodeString(name, quote = "\""), ", ", if (nchar(typed) > 60) "x" else typed, ")`")
}

name_of_path <- function(path) {
  name <- basename(path)
  if (is_folder(path)) name else tools::file_path_sans_ext(name, compression = TRUE)
}

# What takes more is stored only for who has said `keep = TRUE`.
most_unasked_bytes <- 2^30

# `most`: the bytes that an artifact may take. `until`: when their previews must be made.
store_artifacts <- function(file, artifacts, keep, call = rlang::caller_env(), most = Inf, until = preview_until()) {
  if (is.null(artifacts)) {
    return(NULL)
  }
  names <- if (is.list(artifacts)) rlang::names2(artifacts)
  if (is.list(artifacts) && !is.object(artifacts) && any(!nzchar(names))) {
    abort(
      "argument", "An artifact has no name.",
      "Give each its name: `artifacts = list(model = \"out/model.rds\")`.",
      arg = "artifacts", call = call
    )
  }
  if (!is.list(artifacts) || is.object(artifacts) || !all(nzchar(names)) || !is_text(names) || anyDuplicated(names)) {
    abort_argument("artifacts", "a named list of R objects and paths, each name once", artifacts, call = call)
  }
  call_native(native_check_ledger, file, call = call)
  until <- rep(c(until, no_preview), c(most_previews, length(artifacts)))[seq_along(artifacts)]
  entries <- Map(
    function(x, name, until) store_artifact(file, x, name, keep, most, call, until),
    unname(artifacts), names, until
  )
  rlang::set_names(entries, names)
}

store_artifact <- function(file, x, name, keep, most, call, until = no_preview) {
  if (is.character(x) && identical(as.vector(unclass(x)), NA_character_)) {
    abort_argument(paste0("artifacts$", name), "an R object or a path", NA, call = call)
  }
  if (!rlang::is_string(x)) {
    return(store_object(file, x, name, most, call, until))
  }
  path <- if (nzchar(x)) check_path(x, paste0("artifacts$", name), call) else x
  if (dir.exists(path)) {
    return(store_folder(file, path, name, keep, most, call))
  }
  if (!file.exists(path)) {
    abort(
      "argument", paste0("There is no file '", x, "' to record as the artifact `", name, "`."),
      "A single string is a path. To store the string itself, put it into a list.",
      arg = "artifacts", call = call
    )
  }
  if (keep) {
    check_bytes(file.size(path), most, name, call)
    return(store_file(file, path, basename(path), call))
  }
  c(hash_file(path, call), list(file = as_utf8(x), stored = FALSE))
}

check_bytes <- function(bytes, most, name, call) {
  if (bytes > most) {
    abort(
      "argument", paste0("The artifact `", name, "` takes ", size_text(bytes), "; over ", size_text(most), " `keep` has to be said."),
      "`keep = TRUE` stores it. `keep = FALSE` records a file by its path and hash.",
      arg = "keep", call = call
    )
  }
}

store_object <- function(file, x, name, most = Inf, call = rlang::caller_env(), until = no_preview) {
  path <- tempfile()
  on.exit(unlink(path))
  save_object(x, path, paste0("The artifact `", name, "`"), call)
  size <- file.size(path)
  check_bytes(size, most, name, call)
  parts <- object_parts(x, name)
  lost <- lost_pointers(parts, path, name)
  warn_of_pointers(lost, name, call)
  say_dragged(parts, x, size, name)
  stored <- store_file(file, path, paste0(safe_label(name), ".rds"), call)
  # What is stored here may be the data of another run, which is found by their hash.
  data <- if (is_table(x)) tryCatch(hash_value(x, call), fitledger_error = function(e) NULL)
  outcome <- outcome_of(x)
  preview <- object_preview(file, x, until)
  c(
    stored,
    if (!is.null(data)) list(data = data),
    if (length(lost)) list(pointers = TRUE),
    if (length(outcome)) list(outcome = as.list(as_utf8(outcome))),
    if (!is.null(preview)) list(preview = preview)
  )
}

# As `saveRDS()` does to a temporary file, but that says nothing of what is lost when it closes the file, on a disk that is
# full. `what` begins the error.
save_object <- function(x, path, what, call = rlang::caller_env()) {
  failed <- function(e = NULL) {
    if (!is.null(e) && is_time_limit(e)) {
      stop(e)
    }
    abort(
      "io", paste0(what, " can't be saved as an R object."),
      paste0("That is done in R's temporary folder: is '", dirname(path), "' there, and has it room?"),
      path = dirname(path), parent = e, call = call
    )
  }
  tryCatch(saveRDS(x, path), error = failed)
  if (!is_whole_gz(path)) {
    failed()
  }
}

# Whether a compressed file comes to its end, where it says how long its content is, modulo 2^32.
is_whole_gz <- function(path) {
  size <- file.size(path)
  # Of a file that isn't compressed R would read the content as it stands.
  if (is.na(size) || size < 18) {
    return(FALSE)
  }
  ending <- file(path, "rb")
  on.exit(close(ending))
  seek(ending, size - 4)
  # Four bytes, the lowest first. As an integer of R's one number of bytes would be missing.
  said <- sum(as.integer(readBin(ending, "raw", 4)) * 256^(0:3))
  content <- gzfile(path, "rb")
  on.exit(close(content), add = TRUE)
  read <- 0
  while (length(part <- readBin(content, "raw", 2^20))) read <- read + length(part)
  read %% 2^32 == said
}

store_file <- function(file, path, label, call) {
  on_progress <- progress_bar("Storing", path)
  stored <- call_native(native_store_file, append_request(file), path, on_progress, call = call)
  c(stored, list(file = as_utf8(label), stored = TRUE))
}

# The file name under which an artifact is given back, on any system.
safe_label <- function(name) {
  safe <- function(name) call_native(native_safe_name, name)
  safe(name) %||% safe(gsub("[^[:alnum:]_.-]", "_", name)) %||% "artifact"
}

store_folder <- function(file, path, name, keep, most, call) {
  if (!keep) {
    abort(
      "argument", paste0("'", path, "' is a folder, which can't be recorded by its path alone."),
      "Store it with `keep = TRUE`, or give a file.",
      arg = "artifacts", call = call
    )
  }
  if (is.finite(most)) {
    check_bytes(call_native(native_folder_size, path, call = call), most, name, call)
  }
  on_progress <- progress_bar("Storing", size = NA)
  stored <- call_native(native_store_folder, append_request(file), path, on_progress, call = call)
  c(stored, list(file = as_utf8(paste0(safe_label(name), ".tar")), stored = TRUE, folder = TRUE))
}

#' Read an artifact back
#'
#' The bytes are hashed again as they are read, always: what isn't what the run
#' recorded is refused. `read_artifact()` gives back an R object, or the bytes of a
#' kept file; they are those that were hashed. `artifact_path()` gives the path of
#' a copy under the file's own name, in a temporary folder, made from the bytes that
#' were hashed; a file that was recorded by its path alone is copied, too. Such a file
#' is looked for from the working directory, then beside the ledger. A folder
#' is unpacked into a new one, if everything in it stays there: an archive with
#' links, devices, the same name twice or names that lead elsewhere is refused.
#'
#' **Unpacking an R object can run code** that whoever made the object put into
#' it. The hash says that the bytes are those that the run recorded, not that the
#' run was your own: read artifacts of ledgers that you trust.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id A run: its id, a data frame with one row and a column `run_id`, a live
#'   run, or a version of a model (`"price/3"`).
#' @param name Name of the artifact.
#' @returns `read_artifact()`: the R object, or a raw vector. `artifact_path()`: a
#'   path.
#' @section Errors:
#' `fitledger_error_artifact` where the bytes are missing or aren't those that were
#' recorded, or a folder can't be unpacked, `fitledger_error_memory` where they are
#' more than the memory that there is, `fitledger_error_unknown` for a run or a name that isn't there, and
#' those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' id <- log_run(
#'   file, list(formula = dist ~ speed), list(),
#'   artifacts = list(model = lm(dist ~ speed, cars))
#' )
#' coef(read_artifact(file, id, "model"))
#' basename(artifact_path(file, id, "model"))
read_artifact <- function(file, run_id, name) {
  file <- check_ledger(file, "file")
  artifact <- find_artifact(file, run_id, name)
  bytes <- artifact_bytes(file, artifact, name)
  if (endsWith(tolower(artifact$file), ".rds")) unpack_object(bytes, name) else bytes
}

# As `saveRDS()` wrote it, whichever way it was compressed.
unpack_object <- function(bytes, what, call = rlang::caller_env()) {
  # What reading them signals is no failure to unpack them.
  force(bytes)
  begins <- function(...) identical(utils::head(bytes, ...length()), as.raw(c(...)))
  tryCatch(
    {
      if (begins(0xfd, 0x37, 0x7a, 0x58)) {
        bytes <- memDecompress(bytes, "xz")
      } else if (begins(0x42, 0x5a, 0x68)) {
        bytes <- memDecompress(bytes, "bzip2")
      }
      connection <- gzcon(rawConnection(bytes))
      on.exit(close(connection))
      readRDS(connection)
    },
    error = function(e) {
      abort(
        "artifact", paste0("`", what, "` is what was recorded, but can't be unpacked as an object that `saveRDS()` wrote."),
        "`artifact_path()` gives the file.",
        parent = e, call = call
      )
    }
  )
}

#' @rdname read_artifact
#' @export
artifact_path <- function(file, run_id, name) {
  file <- check_ledger(file, "file")
  artifact <- find_artifact(file, run_id, name)
  if (artifact$stored) {
    return(copy_artifact(file, artifact))
  }
  copy <- file.path(new_folder(), untranslated(safe_label(basename(untranslated(artifact$file)))))
  call_recorded(native_copy_file, file, artifact, name, copy)
  copy
}

# The path of a copy under the file's own name; a folder is unpacked.
copy_artifact <- function(file, artifact, what = NULL, call = rlang::caller_env()) {
  # The row may come from anywhere.
  copy <- file.path(new_folder(), untranslated(safe_label(artifact$file)))
  if (!artifact$folder) {
    call_stored(native_copy_object, file, artifact, copy, what = what, call = call)
    return(copy)
  }
  unpacked <- sub("\\.tar$", "", copy)
  call_stored(native_unpack_object, file, artifact, unpacked, what = what, call = call)
  unpacked
}

new_folder <- function() {
  folder <- tempfile("artifact-")
  dir.create(folder)
  folder
}

artifact_bytes <- function(file, artifact, name, call = rlang::caller_env()) {
  if (artifact$stored) {
    return(call_stored(native_read_object, file, artifact, call = call))
  }
  call_recorded(native_read_file, file, artifact, name, call = call)
}

# Calls what verifies a file that was recorded by its path, wherever the file is found.
call_recorded <- function(native, file, artifact, name, ..., call = rlang::caller_env()) {
  paths <- recorded_paths(artifact$file, file)
  results <- list()
  for (path in paths) {
    on_progress <- progress_bar("Verifying", size = artifact$size)
    result <- native(path.expand(path), artifact$sha256, ..., on_progress)
    if (!is_failure(result, c("not_found", "artifact", "unstorable"))) {
      return(signal_failure(result, call))
    }
    results <- c(results, list(result))
  }
  there <- !vapply(results, is_failure, NA, class = "not_found")
  if (!any(there)) {
    abort(
      "artifact",
      paste0("The artifact `", name, "` was recorded by its path, and there is no file ", paste0("'", paths, "'", collapse = " or "), "."),
      "Put the file back. What is logged with `keep = TRUE`, the default, is stored.",
      path = paths[[1]], call = call
    )
  }
  path <- paths[there][[1]]
  result <- results[there][[1]]
  if (is_failure(result, "artifact")) {
    abort(
      "artifact", paste0("'", path, "' is not what the run recorded as `", name, "`: its bytes have changed."),
      path = path, call = call
    )
  }
  signal_failure(result, call)
}

# Where a file may be that was recorded by this path: as seen from the working directory, then beside the ledger, which
# is the place that it shares with those who have both from somebody else.
recorded_paths <- function(path, file) {
  path <- untranslated(path)
  is_whole <- grepl("^([/\\\\~]|[A-Za-z]:)", path)
  below <- if (is_whole) basename(gsub("\\", "/", path, fixed = TRUE)) else path
  unique(c(path, file.path(dirname(absolute_path(file)), below)))
}

# Calls what verifies stored bytes. `what` says in an error whose bytes they are.
call_stored <- function(native, file, artifact, ..., what = NULL, call = rlang::caller_env()) {
  on_progress <- progress_bar("Verifying", size = artifact$size %||% NA)
  result <- native(file, artifact$sha256, artifact$size, ..., on_progress)
  result <- completed(result, native, file, artifact$sha256, artifact$size, ..., on_progress, call = call)
  if (!is.null(what) && is_failure(result, "artifact")) {
    result$message <- paste0("`", what, "` is not what was recorded. ", result$message)
  }
  signal_failure(result, call)
}

hash_file <- function(path, call = rlang::caller_env()) {
  call_native(native_hash_file, path, progress_bar("Hashing", path), call = call)
}

find_artifact <- function(file, run_id, name, call = rlang::caller_env()) {
  run_id <- known_run_id(file, run_id, "run_id", call)
  check_name(name, "name", call)
  artifacts <- call_native(native_artifacts, file, run_id, call = call)
  if (!name %in% artifacts$name) {
    abort_unknown("artifact", name, artifacts$name, call = call)
  }
  artifact <- lapply(artifacts, `[[`, match(name, artifacts$name))
  check_entry(artifact, name, file, call)
  artifact
}

# What a row has to say of bytes so that they can be given back. It may come from anywhere.
check_entry <- function(entry, what, file, call = rlang::caller_env()) {
  says <- function(x, form) rlang::is_string(x) && grepl(form, x)
  if (!says(entry$sha256, "^[0-9a-f]{64}$")) {
    abort("artifact", paste0("The ledger doesn't say which bytes `", what, "` has: there is no hash of them."), path = file, call = call)
  }
  if (!says(entry$file, ".")) {
    abort("artifact", paste0("The ledger doesn't say what kind of file `", what, "` is."), path = file, call = call)
  }
}
