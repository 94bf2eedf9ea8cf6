# With what the rows are made: looked at in each call, recorded when it changed.

# What is remembered stands there together with what it was worked out from, by one assignment: an interrupt may come between
# any two, and what was half remembered would be believed by each call that follows.
session_memory <- new.env(parent = emptyenv())

context_groups <- c("user", "host", "script", "git", "packages")

# What can be asked for beside them.
context_words <- c(context_groups, "code")

#' What a ledger records of its surroundings
#'
#' Each row of a ledger names a *session*: a row that says with what the runs
#' after it were made. It is written once, and again when something in it has
#' changed. You choose what it holds with
#' `options(fitledger.context = c("user", "host", "script", "git", "packages"))`,
#' which is the default; `character()` turns it all off.
#'
#' - `user`: the name of the user.
#' - `host`: the name of the machine, its boot, the process and when it began,
#'   the platform, the locale and the time zone.
#' - `script`: the script or document that is run, relative to the repository,
#'   or its base name outside one, and the SHA-256 of its bytes (`script_sha256`).
#' - `git`: commit, branch, whether files differ from the commit (`dirty`), and if
#'   so the SHA-256 of the difference (`diff_sha256`). It covers the files that git
#'   tracks, staged or not, binary ones by their hash; a new file that git doesn't
#'   track makes a work tree dirty and is no part of the difference. Git is asked
#'   at most every 10 seconds, and less often where it is slow. What it can't say
#'   within a second each is absent, as it is where the repository's own
#'   configuration names filters, which would be run, or something that one of your
#'   filters may run, as git-lfs does. Nothing that a repository names is run. The
#'   ledger and the files beside it don't count. In CI also the commit and the run's
#'   number as CI names them.
#' - `packages`: R's version, the loaded packages with theirs (but for those that only
#'   [describe_fit()] has loaded), and the kinds of random number generators; and a
#'   lockfile, stored beside the ledger once for each environment, see [write_lockfile()].
#'
#' Script and work tree of an R that was started with a script are recorded as they
#' were when the first run was logged, and again when the commit or the working
#' directory is another one: who edits files while a script runs doesn't change what it does. Otherwise,
#' as where files are sourced or knitted, they are recorded again when they have
#' changed.
#'
#' One more word, `"code"`, keeps the bytes too of what `script` and `git` record
#' as hashes: of the script and of the difference, up to 1 MiB each, more is left
#' out. They are stored beside the ledger under their hash, once, as artifacts are,
#' and [verify_ledger()] checks them. Nothing shows them; [compare_session()] says
#' where they are. Mind that they can't be taken out of a ledger that is handed on
#' with its `.objects` but by removing them there, and that scripts and changes may
#' hold what isn't meant for others.
#'
#' Never recorded: other environment variables, command-line arguments, addresses
#' of remote repositories. A chain of hashes can't forget, so keep what must be
#' erasable out of the ledger.
#'
#' R's own random stream is never touched.
#'
#' @section Options:
#' - `fitledger.context`: what is recorded, as above, `"code"` included.
#' - `fitledger.sync`: `"none"` doesn't wait until a row is on disk, for those
#'   who would rather lose the last moments in a power cut. The default waits.
#' - `fitledger.experiment`: the experiment of runs that don't say theirs, a string.
#' - `fitledger.preview`: `FALSE` records of stored R objects nothing of what they look like, see
#'   [log_artifact()].
#' - `fitledger.stream`: `FALSE` doesn't record the state of R's random stream of a
#'   [log_call()] or [with_run()] that draws from it without a seed.
#' - `fitledger.network`: `"allow"` writes to a ledger on a network file system,
#'   which is refused otherwise, since locks there can't be relied on. NFS version
#'   4 is not refused; the first write to such a ledger warns.
#'
#' @name fitledger_context
#' @examples
#' old <- options(fitledger.context = character())
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(lambda = 1), list(rmse = 2))
#' cat(readLines(file)[3], "\n")
#' options(old)
NULL

# The session and the number of its version, which grows with each change.
current_session <- function(file, call = rlang::caller_env(3)) {
  option <- getOption("fitledger.context", context_groups)
  if (!identical(option, session_memory$chosen$option)) {
    check_context(option, call)
    records <- rlang::set_names(as.list(context_words %in% option), context_words)
    session_memory$chosen <- list(option = option, records = records)
  }
  records <- session_memory$chosen$records
  in_folder <- records$git || records$script
  folder <- if (in_folder) getwd()
  script <- if (records$script || records$git) current_script()
  # R has read the script that it was started with, and mostly what that needs, by the time that somebody
  # changes it.
  once <- identical(script, session_memory$started)
  key <- list(
    records, Sys.getpid(),
    if (records$packages) session_packages(),
    if (records$packages) random_kinds(),
    if (records$script) script,
    if (records$script && !once && !is.null(script)) call_native(native_script_look, script, FALSE),
    folder,
    if (in_folder) call_native(native_git_look, folder, file, records$git, once)
  )
  if (!identical(key, session_memory$current$key)) {
    session_memory$current <- list(
      key = key,
      context = call_native(native_json, session_context(records), FALSE),
      lockfile = if (records$packages) lockfile_text(),
      code = if (records$code) kept_code(records),
      version = (session_memory$current$version %||% 0) + 1
    )
  }
  session_memory$current
}

check_context <- function(option, call) {
  if (!is.character(option) || !all(option %in% context_words)) {
    among <- paste("among", enumerate(context_words, most = length(context_words)))
    abort_argument("options(fitledger.context)", among, option, call = call)
  }
}

session_context <- function(records) {
  git <- if (records$git || records$script) call_native(native_git_state)
  script <- if (records$script) current_script()
  context <- drop_null(c(
    if (records$user) list(user = user_name()),
    if (records$host) host_context(),
    if (records$packages) package_context(),
    if (!is.null(script)) list(script = script_path(script, git$root), script_sha256 = call_native(native_script_look, script, TRUE)),
    if (records$git) list(git = drop_null(git[c("commit", "branch", "dirty", "diff_sha256")]), ci = ci_context())
  ))
  context[lengths(context) > 0]
}

# The number in which R keeps the kinds of its generators; asking `RNGkind()`
# would cost more than writing the row. Before the first draw they are R's own.
random_kinds <- function() {
  stream <- current_stream()
  if (is.integer(stream)) stream[[1]] else 10403L
}

drop_null <- function(x) {
  x[!vapply(x, is.null, logical(1))]
}

user_name <- function() {
  as_utf8(Sys.info()[["user"]])
}

host_context <- function() {
  process <- call_native(native_process)
  list(
    host = process$host,
    pid = Sys.getpid(),
    boot = process$boot,
    pids = process$pids,
    started = process$started,
    platform = R.version$platform,
    locale = Sys.getlocale("LC_CTYPE"),
    timezone = time_zone()
  )
}

# `Sys.timezone()` may start a process to find this out.
time_zone <- function() {
  set <- Sys.getenv("TZ")
  if (nzchar(set)) {
    return(as_utf8(set))
  }
  link <- Sys.readlink("/etc/localtime")
  if (grepl("zoneinfo/", link, fixed = TRUE)) {
    return(sub(".*zoneinfo/", "", link))
  }
  Sys.timezone(location = FALSE)
}

# Evaluates code that looks at a fit. The packages that it brings out aren't what the runs are made with.
brought_out <- function(code) {
  before <- loadedNamespaces()
  on.exit(session_memory$brought <- union(session_memory$brought, setdiff(loadedNamespaces(), before)))
  code
}

# The packages that are loaded; of those that we have brought out the ones that the session uses, too, which are
# attached, or imported by one of these packages. Each call asks, so that it is worked out only when something changed.
session_packages <- function() {
  seen <- list(loadedNamespaces(), session_memory$brought, search())
  if (!identical(seen, session_memory$used$seen)) {
    packages <- setdiff(seen[[1]], setdiff(seen[[2]], sub("^package:", "", seen[[3]])))
    repeat {
      imported <- unlist(lapply(packages, function(package) names(getNamespaceImports(package))))
      more <- setdiff(intersect(imported, seen[[1]]), packages)
      if (!length(more)) break
      packages <- c(packages, more)
    }
    session_memory$used <- list(seen = seen, packages = sort(packages, method = "radix"))
  }
  session_memory$used$packages
}

package_context <- function() {
  names <- session_packages()
  versions <- lapply(names, function(name) unname(getNamespaceVersion(name)))
  list(
    r = r_version(),
    rng = RNGkind(),
    packages = rlang::set_names(versions, names)
  )
}

ci_context <- function() {
  known <- list(
    commit = c("GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1"),
    run = c("GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILDKITE_BUILD_NUMBER", "CIRCLE_BUILD_NUM")
  )
  drop_null(lapply(known, function(names) {
    values <- Sys.getenv(names)
    values <- values[nzchar(values)]
    if (length(values)) as_utf8(values[[1]])
  }))
}

# What isn't valid text can't be recorded, and must not keep a run from being logged. As in the compiled code, text that
# says no encoding is UTF-8 if it is valid as that.
as_utf8 <- function(x) {
  unmarked <- which(Encoding(x) == "unknown" & validUTF8(x))
  Encoding(x[unmarked]) <- "UTF-8"
  iconv(enc2utf8(x), "UTF-8", "UTF-8", sub = "byte")
}

# The document that knitr is at, else the script that R was started with, else
# the file that is being sourced.
current_script <- function() {
  if (isTRUE(getOption("knitr.in.progress"))) {
    input <- knitr::current_input(dir = TRUE)
    if (!is.null(input)) {
      return(quarto_source(input))
    }
  }
  started_script() %||% sourced_script()
}

# Quarto hands knitr a copy of the document under another ending.
quarto_source <- function(input) {
  qmd <- sub("\\.rmarkdown$", ".qmd", input)
  if (file.exists(qmd)) qmd else input
}

# The bytes that are stored beside the ledger, of what is recorded.
kept_code <- function(records) {
  code <- call_native(native_code)
  list(if (records$script) code$script, if (records$git) code$diff)
}

started_script <- function() {
  if (is.null(session_memory$started)) {
    arguments <- commandArgs(trailingOnly = FALSE)
    # What is no text in the session's encoding can't be recorded, and R's functions refuse it.
    arguments <- arguments[validEnc(arguments)]
    until <- match("--args", arguments, nomatch = length(arguments) + 1)
    arguments <- arguments[seq_len(until - 1)]
    script <- sub("^--file=", "", grep("^--file=", arguments, value = TRUE))
    after_f <- match("-f", arguments)
    if (!length(script) && !is.na(after_f)) {
      script <- arguments[after_f + 1]
    }
    script <- setdiff(gsub("~+~", " ", script, fixed = TRUE), "-")
    started <- paths_in(session_memory$started_in, as.character(utils::head(script, 1)))
    session_memory$started <- started[validEnc(started)]
  }
  if (length(session_memory$started)) session_memory$started
}

# The folder in which R was started: the script may be in another one before it loads us. On Unix a shell starts R, and hands on
# where it is, perhaps by a link that will lead elsewhere soon.
note_started_in <- function() {
  shell <- if (.Platform$OS.type == "unix") Sys.getenv("PWD") else ""
  is_told <- startsWith(shell, "/") && validEnc(shell)
  session_memory$started_in <- if (is_told) normalizePath(shell, winslash = "/", mustWork = FALSE) else getwd()
}

# A path as it is meant in each of some folders.
paths_in <- function(folders, path) {
  is_whole <- grepl("^(/|~|\\\\|[A-Za-z]:)", path)
  normalizePath(if (any(is_whole) || is.null(folders)) path else file.path(folders, path), winslash = "/", mustWork = FALSE)
}

sourced_script <- function() {
  for (frame in sys.frames()) {
    file <- frame[["ofile"]]
    if (is.character(file) && length(file) == 1 && validEnc(file) && identical(parent.env(frame), asNamespace("base"))) {
      return(sourced_from(file, frame))
    }
  }
  NULL
}

# `source(chdir = TRUE)` and `setwd()` leave the folder in which a file is meant, and in others there may be one of its name. So it
# is the one whose code is being run; NULL where none is any more, or it came from an address, which may have a token in it.
sourced_from <- function(file, frame) {
  known <- session_memory$sourced
  if (identical(known$file, file) && rlang::is_reference(known$code, frame[["exprs"]])) {
    return(known$path)
  }
  paths <- paths_in(Filter(validEnc, c(frame[["owd"]], getwd(), session_memory$started_in)), file)
  path <- Find(function(path) is_there(path) && is_source_of(path, frame), unique(paths[validEnc(paths)]))
  session_memory$sourced <- list(file = file, code = frame[["exprs"]], path = path)
  path
}

is_source_of <- function(path, frame) {
  # A pipe has been read, and would have nothing more to say.
  if (!call_native(native_is_regular, path)) {
    return(FALSE)
  }
  tryCatch(
    {
      file <- file(path, "r", encoding = frame[["enc"]] %||% getOption("encoding"))
      on.exit(close(file))
      if (isTRUE(frame[["keep.source"]])) {
        identical(readLines(file, warn = FALSE), frame[["lines"]])
      } else {
        identical(parse(file, keep.source = FALSE, encoding = frame[["encoding"]]), frame[["exprs"]])
      }
    },
    error = function(e) FALSE
  )
}

script_path <- function(script, root) {
  full <- normalizePath(script, winslash = "/", mustWork = FALSE)
  root <- if (!is.null(root)) normalizePath(untranslated(root), winslash = "/", mustWork = FALSE)
  inside <- !is.null(root) && startsWith(full, paste0(root, "/"))
  as_utf8(if (inside) substring(full, nchar(root) + 2) else basename(full))
}

`%||%` <- function(x, y) if (is.null(x)) y else x
