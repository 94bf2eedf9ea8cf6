# A repository in a new folder, which is the working directory until the test ends.
local_repository <- function(env = parent.frame()) {
  skip_if(!nzchar(Sys.which("git")), "git is not installed")
  folder <- normalizePath(withr::local_tempdir(.local_envir = env))
  withr::local_dir(folder, .local_envir = env)
  git("init", "-q", "-b", "main")
  folder
}

git <- function(...) {
  settings <- c("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
  system2("git", c(settings, shQuote(c(...))), stdout = TRUE, stderr = TRUE)
}

commit_all <- function() {
  git("add", ".")
  git("commit", "-q", "-m", "as it is now")
}

# Git is asked at most every few seconds: as if they had passed.
ask_git_again <- function() {
  call_native(native_git_look, NULL, "log.csv", FALSE, FALSE)
}

# What is on record of the session of a run.
session_of <- function(file, run_id) {
  said <- function(x) if (is.list(x)) Filter(Negate(is.null), lapply(x, said)) else x
  session <- said(call_native(native_session_of, file, run_id))
  Filter(function(x) !is.list(x) || length(x), session)
}

# Logs a run once git has answered: it has a second to say what differs, and a busy machine may take longer.
log_with_git <- function(file = "log.csv") {
  wait_until(
    {
      ask_git_again()
      id <- log_run(file, list(), list())
      said <- session_of(file, id)$git
      isFALSE(said$dirty) || isTRUE(said$dirty) && !is.null(said$diff_sha256)
    },
    "git to say what differs"
  )
  id
}

# As if R had been started without a script, so that the one that is sourced counts.
local_no_script <- function(env = parent.frame()) {
  started <- session_memory$started
  session_memory$started <- character()
  withr::defer(session_memory$started <- started, envir = env)
}

# What git prints of the changes, hashed apart from us.
diff_by_git <- function() {
  file <- withr::local_tempfile()
  system2("git", c("diff", "--full-index", "HEAD", "--", "':!log.csv*'"), stdout = file)
  hash_file(file)$sha256
}

# Runs a script as its user would.
run_script <- function(script) {
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  withr::with_envvar(
    c(R_LIBS = libraries),
    system2(file.path(R.home("bin"), "Rscript"), script, stdout = TRUE, stderr = TRUE)
  )
}
