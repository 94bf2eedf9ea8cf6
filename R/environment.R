# The packages that a run was made with: a lockfile for each environment, and how
# today's differs from it.

# The lockfile of the session's packages, in renv's format.
lockfile_text <- function() {
  names <- setdiff(session_packages(), c("base", "fitledger"))
  records <- lapply(rlang::set_names(names), package_record)
  call_native(native_json, list(
    R = list(Version = r_version(), Repositories = repositories()),
    Packages = drop_null(records)
  ), pretty = TRUE)
}

r_version <- function() {
  paste(R.version$major, R.version$minor, sep = ".")
}

repositories <- function() {
  repos <- unlist(getOption("repos"))
  repos <- repos[nzchar(repos)]
  if (!length(repos)) {
    repos <- c(CRAN = "@CRAN@")
  }
  repos[repos == "@CRAN@"] <- "https://cloud.r-project.org"
  names <- rlang::names2(repos)
  names[!nzchar(names)] <- "CRAN"
  unname(Map(function(name, url) list(Name = without_credentials(name), URL = without_credentials(url)), names, repos))
}

# A URL's scheme, host and path. What may be a secret goes: user and password, query, fragment
# and parameters, and parts of the path that look like a token. A password may hold `/` and `@`,
# so that all up to the last `@` counts as one, unless the host comes before any colon.
without_credentials <- function(url) {
  url <- trimws(as_utf8(url))
  scheme <- regmatches(url, regexpr("^([A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]*:/+", url))
  if (!length(scheme)) {
    # As ssh has it, `user@host:path`; a mistyped address may have a password before the host; anything else is none.
    return(sub("^.*[^:@]:[^:@][^@]*@", "", sub("^[^/]*@(?=[^/@:]+:)", "", url, perl = TRUE)))
  }
  rest <- sub("[?#;&].*", "", substring(url, nchar(scheme) + 1))
  if (!grepl("^[^/@:]*(/|$)", rest)) {
    rest <- sub("^.*@", "", rest)
  }
  parts <- strsplit(rest, "/", fixed = TRUE)[[1]]
  secret <- is_token(parts) | c(FALSE, utils::head(names_a_secret(parts), -1))
  parts[secret & seq_along(parts) > 1] <- "redacted"
  paste0(scheme, paste(parts, collapse = "/"), if (endsWith(rest, "/")) "/")
}

# What the hosts of code and packages give out: known by how it begins, a UUID, many hexadecimal digits, but not the 40 or 64 of
# a commit, or letters and digits that change from one sort to another more often than words and years do. A snapshot of a
# repository has a number or a day first, and a plus.
is_token <- function(parts) {
  is_known <- grepl("^(gh[a-z]_|github_pat_|glpat-|xox[a-z]-|sk-|npm_|pypi-|hf_|AKIA|eyJ)", parts)
  is_hex <- grepl("^([0-9A-Fa-f]{20,}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$", parts) & !nchar(parts) %in% c(40, 64)
  pieces <- regmatches(parts, gregexpr("[A-Za-z0-9]{12,}", parts))
  is_random <- function(pieces) {
    sorts <- grepl("[0-9]", pieces) + grepl("[a-z]", pieces) + grepl("[A-Z]", pieces)
    any(!grepl("^[0-9a-f]+$", pieces) & (sorts == 3 | sorts == 2 & nchar(pieces) >= 24) & changes(pieces) >= nchar(pieces) / 4)
  }
  is_mixed <- vapply(pieces, is_random, logical(1))
  is_long <- nchar(parts) >= 24 & grepl("[0-9]", parts) & grepl("[a-z]", parts) & grepl("[A-Z]", parts) &
    !grepl("[^A-Za-z0-9_=-]", parts)
  is_known | is_hex | (is_mixed | is_long) & !grepl("^[0-9-]+[+]", parts)
}

# How often a capital, a small letter or a digit follows on one of another sort; not where a word begins with a capital.
changes <- function(texts) {
  lengths(regmatches(texts, gregexpr("(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])", texts, perl = TRUE)))
}

names_a_secret <- function(parts) {
  grepl(
    "^[_-]*((access|api|auth|private)?[_-]*(token|key|auth|secret|password|bearer)s?|priv|oauth2?|basic)[_-]*$", parts,
    ignore.case = TRUE
  )
}

# What renv needs to find a package again; NULL for those that come with R.
package_record <- function(name) {
  version <- unname(getNamespaceVersion(name))
  path <- getNamespaceInfo(name, "path")
  known <- session_memory$packages[[name]]
  if (is.null(known) || !identical(known$version, version) || !identical(known$path, path)) {
    known <- list(version = version, path = path, record = describe_package(name, version, path))
    session_memory$packages[[name]] <- known
  }
  known$record
}

# When the packages that are loaded by now were installed, by their folders.
note_installed <- function() {
  paths <- lapply(setdiff(loadedNamespaces(), "base"), getNamespaceInfo, "path")
  session_memory$installed <- lapply(rlang::set_names(paths, as.character(paths)), installed_at)
}

installed_at <- function(path) {
  file.mtime(file.path(path, "Meta", "package.rds"))
}

describe_package <- function(name, version, path) {
  description <- tryCatch(
    as.list(readRDS(file.path(path, "Meta", "package.rds"))$DESCRIPTION),
    error = function(e) list()
  )
  if (identical(description$Priority, "base")) {
    return(NULL)
  }
  # Installed anew since it was loaded: where the loaded one came from is gone.
  known <- session_memory$installed[[path]]
  if (!identical(description$Version, version) || !is.null(known) && !identical(known, installed_at(path))) {
    description <- list()
  }
  remote <- description[grep("^Remote(Type|Host|Username|Repo|Subdir|Ref|Sha|Url)$", names(description))]
  source <- if (length(remote) && !identical(remote$RemoteType, "standard")) {
    types <- c(github = "GitHub", gitlab = "GitLab", bitbucket = "Bitbucket", git2r = "git", xgit = "git")
    type <- remote$RemoteType %||% "git"
    known <- if (type %in% names(types)) types[[type]]
    c(list(Source = known %||% type), lapply(remote, without_credentials))
  } else if (!is.null(description$biocViews)) {
    list(Source = "Bioconductor")
  } else if (!is.null(description$Repository)) {
    list(Source = "Repository", Repository = without_credentials(description$Repository))
  } else {
    list(Source = "unknown")
  }
  c(list(Package = name, Version = version), source)
}

#' The environment of a run
#'
#' Each distinct environment that a ledger has seen is kept once, as a lockfile in
#' the format of the package renv: R's version, the repositories, and of each
#' loaded package the version and where it came from. It is stored beside the
#' ledger under its hash, and the session of a run names it.
#'
#' `write_lockfile()` writes it to a file that `renv::restore()` takes.
#' `compare_session()` says what differs today, and whether script and work tree
#' are still what they were.
#'
#' Passwords in addresses are left out. fitledger itself isn't in the lockfile.
#' `options(fitledger.context)` without `"packages"` records no lockfile; of the
#' code it records hashes, and keeps the bytes if you ask for that, see
#' [fitledger_context].
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param run_id A run: its id, a data frame with one row and a column `run_id`, a live
#'   run, or a version of a model (`"price/3"`).
#' @param path Path of the new file, usually `"renv.lock"`.
#' @returns `write_lockfile()`: `path`, invisibly. `compare_session()`: a data frame
#'   of class `fitledger_session_comparison` with a row for each difference, and in
#'   any case one for the script and one for the work tree, if they are on record:
#'   - `kind`: `"code"`, `"package"`, `"environment"`.
#'   - `field`: what is compared. A package that isn't loaded now counts with the
#'     version that is installed; packages that are loaded only now don't count.
#'     `script` is the hash of the file, looked for from the top of the repository,
#'     in the working directory and beside the ledger. `work tree` is the hash of
#'     the difference of the tracked files from the commit of the run, `none` where
#'     there was none; so it is the same if the changes have been committed since.
#'   - `then`, `now`: as text; `NA` is none.
#'   - `status`: `"same"`, `"changed"`, `"gone"`, or `"unknown"` where it wasn't
#'     recorded then or git can't say today, as in a repository that doesn't have
#'     the commit.
#'   - `kept`: the path of the bytes as they were then, if they were kept and are
#'     what they were. For the work tree that is what `git apply` takes, files that
#'     aren't text aside.
#' @section Errors:
#' `fitledger_error_unknown` for a run that isn't there, `fitledger_error_exists`
#' where a file would be overwritten, `fitledger_error_artifact` where the stored
#' lockfile is missing or damaged, `fitledger_error_argument` for a run whose
#' environment wasn't recorded, and those of the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' id <- log_run(file, list(k = 3), list(rmse = 1.2))
#' compare_session(file, id)
#'
#' path <- file.path(tempdir(), "renv.lock")
#' write_lockfile(file, id, path)
#' cat(head(readLines(path), 12), sep = "\n")
write_lockfile <- function(file, run_id, path) {
  file <- check_ledger(file, "file")
  path <- check_path(path, "path")
  run_id <- known_run_id(file, run_id, "run_id")
  lockfile <- call_native(native_session_of, file, run_id)$lockfile
  if (is.null(lockfile)) {
    abort(
      "argument", paste0("The run `", run_id, "` has no lockfile on record."),
      "It was made with `options(fitledger.context)` without \"packages\", or where none could be stored.",
      arg = "run_id"
    )
  }
  if (file.exists(path)) {
    abort("exists", paste0("'", path, "' is there already."), "Choose another path.", path = path)
  }
  call_stored(native_copy_object, file, lockfile, path)
  invisible(path)
}

#' @rdname write_lockfile
#' @export
compare_session <- function(file, run_id) {
  file <- check_ledger(file, "file")
  run_id <- known_run_id(file, run_id, "run_id")
  then <- call_native(native_session_of, file, run_id)
  recorded <- list(then$packages, then$platform, then$git, then$script_sha256)
  if (!length(drop_null(recorded))) {
    abort(
      "argument", paste0("The run `", run_id, "` has no environment on record."),
      "It was made with `options(fitledger.context)` without \"packages\", \"host\", \"git\" and \"script\".",
      arg = "run_id"
    )
  }
  call_native(native_git_look, getwd(), file, FALSE, FALSE)
  git <- call_native(native_git_state)
  packages <- names(then$packages)
  without <- if (is.null(git)) "gone" else "unknown"
  rows <- rbind(
    script_row(file, then, git),
    work_tree_row(file, then, git),
    session_rows("code", "commit", then$git$commit, git$commit, without),
    session_rows("code", "dirty", then$git$dirty, git$dirty, without),
    session_rows("package", "R", then$r, r_version()),
    session_rows("package", packages, then$packages, lapply(packages, version_now)),
    session_rows("environment", "platform", then$platform, R.version$platform),
    session_rows("environment", "locale", then$locale, Sys.getlocale("LC_CTYPE")),
    session_rows("environment", "timezone", then$timezone, time_zone()),
    session_rows("environment", "rng", then$rng, RNGkind())
  )
  shown <- rows$status != "same" | rows$field %in% c("script", "work tree") & rows$kind == "code"
  structure(take_rows(rows, which(shown)), class = c("fitledger_session_comparison", "data.frame"))
}

# What wasn't recorded then can't differ now. `without` is the status of what isn't there now.
session_rows <- function(kind, field, then, now, without = "gone", kept = NA_character_) {
  if (is.null(then)) {
    field <- character()
  }
  text <- function(x) {
    if (is.list(x)) vapply(x, as.character, "") else paste(x %||% NA, collapse = ", ")
  }
  then <- if (length(field)) unname(text(then)) else character()
  now <- if (length(field)) unname(text(now)) else character()
  then[then == "NA"] <- NA
  now[now == "NA"] <- NA
  status <- ifelse(is.na(now), without, ifelse(then == now, "same", "changed"))
  as_frame(list(
    kind = rep(kind, length(field)), field = field, then = then, now = now,
    status = as.character(status), kept = rep(kept, length(field))
  ))
}

# The script as it stands in the repository, the working directory or beside the ledger today.
script_row <- function(file, then, git) {
  if (is.null(then$script_sha256) || is.null(then[["script"]])) {
    return(NULL)
  }
  folders <- c(if (!is.null(git$root)) untranslated(git$root), getwd(), dirname(file))
  places <- file.path(folders, untranslated(then[["script"]]))
  found <- utils::head(places[file.exists(places)], 1)
  now <- if (length(found)) {
    tryCatch(hash_file(normalizePath(found))$sha256, fitledger_error = function(e) NULL)
  }
  session_rows(
    "code", "script", sha256_text(then$script_sha256), sha256_text(now),
    without = if (length(found)) "unknown" else "gone", kept = kept_path(file, then$code$script)
  )
}

# The work tree then and now, each as its difference from the commit that was checked out then, so that
# it doesn't matter what has been committed since.
work_tree_row <- function(file, then, git) {
  if (is.null(then$git)) {
    return(NULL)
  }
  was <- if (isFALSE(then$git$dirty)) sha256_of_nothing else then$git$diff_sha256
  now <- if (!is.null(git) && !is.null(then$git$commit)) call_native(native_git_diff_from, then$git$commit)
  row <- session_rows(
    "code", "work tree", sha256_text(was) %||% NA, sha256_text(now),
    without = if (is.null(git)) "gone" else "unknown", kept = kept_path(file, then$code$diff)
  )
  row$status[is.na(row$then)] <- "unknown"
  row
}

sha256_of_nothing <- "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

sha256_text <- function(hex) {
  if (!is.null(hex)) if (identical(hex, sha256_of_nothing)) "none" else paste0("sha256:", hex)
}

# The path of bytes that were kept, if they are still what they were.
kept_path <- function(file, entry) {
  if (is.null(entry)) {
    return(NA_character_)
  }
  tryCatch(call_stored(native_object_path, file, entry), fitledger_error = function(e) NA_character_)
}

# A row may name anything as a package, a path too.
is_package_name <- function(name) grepl("^[[:alpha:]][[:alnum:].]*$", name)

version_now <- function(name) {
  if (!is_package_name(name)) {
    return(NA_character_)
  }
  if (isNamespaceLoaded(name)) {
    return(unname(getNamespaceVersion(name)))
  }
  path <- system.file("Meta", "package.rds", package = name)
  if (nzchar(path)) unname(readRDS(path)$DESCRIPTION[["Version"]]) else NA_character_
}

#' @export
print.fitledger_session_comparison <- function(x, ...) {
  if (all(x$status == "same")) {
    cat("Nothing that is on record of the session differs today.\n")
  }
  columns <- lapply(unclass(x)[c("field", "then", "now")], shorten_hashes)
  today <- ifelse(
    x$status == "changed", paste0("now ", columns$now),
    c(same = "the same", gone = "gone", unknown = "not known today")[x$status]
  )
  for (kind in unique(x$kind)) {
    cat(kind, "\n", sep = "")
    rows <- x$kind == kind
    kept <- ifelse(is.na(x$kept), "", paste0("\n    as it was: ", x$kept))[rows]
    fields <- format(columns$field)[rows]
    cat(paste0("  ", fields, "  ", format(columns$then)[rows], "  ", today[rows], kept, "\n"), sep = "")
  }
  invisible(x)
}
