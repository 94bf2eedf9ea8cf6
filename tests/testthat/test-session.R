sessions <- function(file) {
  rows <- cells(file)
  lapply(rows$context[rows$event == "session"], function(json) {
    jsonlite::fromJSON(json, simplifyVector = TRUE)
  })
}

events <- function(file) cells(file)$event

test_that("a session is written once and names its surroundings", {
  skip_if_not_installed("jsonlite")
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  log_run(file, list(a = 2), list(m = 1))
  expect_identical(events(file), c("ledger", "session", "run", "run"))
  session <- sessions(file)[[1]]
  expect_identical(session$r, paste(R.version$major, R.version$minor, sep = "."))
  expect_identical(session$pid, Sys.getpid())
  expect_identical(session$user, Sys.info()[["user"]])
  expect_identical(session$packages$fitledger, as.character(utils::packageVersion("fitledger")))
  expect_identical(session$rng, RNGkind())
  expect_false(any(grepl("commandArgs|PATH|HOME", names(session))))
})

test_that("a fresh process writes one session", {
  skip_on_cran()
  file <- local_file()
  code <- c(
    "library(fitledger)",
    sprintf("for (i in 1:3) log_run(%s, list(i = i), list(m = 1))", deparse(file)),
    "cat('done\\n')"
  )
  run_apart(code)
  expect_identical(events(file), c("ledger", "session", "run", "run", "run"))
})

test_that("a change gives a session of its own", {
  skip_if_not_installed("jsonlite")
  file <- local_ledger()
  log_run(file, list(a = 1), list(m = 1))
  withr::with_dir(withr::local_tempdir(), log_run(file, list(a = 2), list(m = 1)))
  expect_identical(sum(events(file) == "session"), 2L)

  log_run(file, list(a = 3), list(m = 1))
  before <- length(sessions(file))
  withr::local_seed(1, .rng_kind = "Wichmann-Hill")
  log_run(file, list(a = 4), list(m = 1))
  expect_length(sessions(file), before + 1)
  expect_identical(sessions(file)[[before + 1]]$rng[[1]], "Wichmann-Hill")
})

test_that("a new ledger after file.remove() has its own session row", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = 1))
  file.remove(file)
  log_run(file, list(a = 1), list(m = 1))
  expect_identical(events(file), c("ledger", "session", "run"))
})

test_that("the option turns any of it off", {
  skip_if_not_installed("jsonlite")
  file <- local_ledger()
  withr::local_options(fitledger.context = character())
  log_run(file, list(a = 1), list(m = 1))
  expect_named(sessions(file)[[1]], "id")
  options(fitledger.context = "user")
  log_run(file, list(a = 1), list(m = 1))
  expect_named(sessions(file)[[2]], c("id", "user"))
  options(fitledger.context = c("user", "hosts"))
  expect_snapshot_conditions(log_run(file, list(a = 1), list(m = 1)))
  expect_identical(sum(events(file) == "run"), 2L)
})

test_that("git's commit, branch and changes are seen, the ledger aside", {
  skip_on_cran()
  skip_if_not_installed("jsonlite")
  local_repository()
  writeLines("1", "a.R")
  commit_all()
  dir.create("runs")
  last <- function() utils::tail(sessions("runs/log.csv"), 1)[[1]]
  # Git has a second to say whether files differ. A busy machine may take longer, and is asked again.
  wait_until(
    {
      log_run("runs/log.csv", list(a = 1), list(m = 1))
      !is.null(last()$git$dirty)
    },
    "git to say whether files differ"
  )
  before <- length(sessions("runs/log.csv"))
  log_run("runs/log.csv", list(a = 2), list(m = 1))
  expect_length(sessions("runs/log.csv"), before)
  expect_identical(last()$git$commit, git("rev-parse", "HEAD"))
  expect_identical(last()$git$branch, "main")
  expect_identical(last()$git$dirty, FALSE)

  writeLines("2", "a.R")
  git("commit", "-q", "-a", "-m", "two")
  writeLines("3", "a.R")
  log_run("runs/log.csv", list(a = 3), list(m = 1))
  expect_length(sessions("runs/log.csv"), before + 1)
  expect_identical(last()$git$commit, git("rev-parse", "HEAD"))
  runs <- read_runs("runs/log.csv", details = TRUE)
  expect_identical(runs$commit[[nrow(runs)]], git("rev-parse", "HEAD"))

  code <- c(
    "library(fitledger)", "log_run('runs/log.csv', list(a = 4), list(m = 1))", "cat('done\\n')"
  )
  writeLines(code, "fit.R")
  wait_until(
    {
      run_script("fit.R")
      !is.null(last()$git$dirty)
    },
    "git to say whether files differ"
  )
  expect_identical(last()$script, "fit.R")
  expect_identical(last()$script_sha256, hash_file("fit.R")$sha256)
  expect_identical(last()$git$dirty, TRUE)
})

test_that("the changes that aren't committed are recorded by their hash", {
  skip_on_cran()
  local_repository()
  writeLines("1", "a.R")
  commit_all()
  git_now <- function() session_of("log.csv", log_with_git())$git
  expect_named(git_now(), c("commit", "branch", "dirty"))

  writeLines("2", "a.R")
  changed <- git_now()
  expect_identical(changed$diff_sha256, diff_by_git())
  git("add", "a.R")
  expect_identical(git_now(), changed)
  writeLines("3", "a.R")
  expect_identical(git_now()$diff_sha256, diff_by_git())
  expect_false(identical(git_now(), changed))

  # What git doesn't track is no part of it.
  commit_all()
  writeLines("new", "b.R")
  new <- git_now()
  expect_true(new$dirty)
  expect_identical(new$diff_sha256, sha256_of_nothing)
})

test_that("the code is hashed again when it has changed, and makes a session of its own", {
  skip_on_cran()
  file <- local_file()
  script <- withr::local_tempfile(fileext = ".R")
  hash_now <- function() {
    source(script, local = TRUE)
    session_of(file, last_run_id(file))$script_sha256
  }
  withr::local_options(fitledger.context = "script")
  local_no_script()
  call <- sprintf("log_run(%s, list(), list())", deparse(file))
  writeLines(call, script)
  first <- hash_now()
  expect_identical(first, hash_file(script)$sha256)
  expect_identical(hash_now(), first)
  expect_identical(sum(events(file) == "session"), 1L)
  writeLines(c("# Another one.", call), script)
  expect_identical(hash_now(), hash_file(script)$sha256)
  expect_identical(sum(events(file) == "session"), 2L)
})

test_that("a script that is edited while it runs is the one that R was started with", {
  skip_on_cran()
  local_repository()
  dir.create("elsewhere")
  code <- c(
    "library(fitledger)",
    "log_run('log.csv', list(), list())",
    "cat('# Edited.', file = 'fit.R', append = TRUE)",
    "log_run('log.csv', list(), list())",
    "setwd('elsewhere')",
    "requireNamespace('splines')",
    "log_run('../log.csv', list(), list())"
  )
  writeLines(code, "fit.R")
  commit_all()
  before <- hash_file("fit.R")$sha256
  run_script("fit.R")
  expect_false(hash_file("fit.R")$sha256 == before)
  ids <- read_runs("log.csv")$run_id
  expect_length(ids, 3)
  for (id in ids) {
    expect_identical(session_of("log.csv", id)$script_sha256, before)
    expect_identical(session_of("log.csv", id)$script, "fit.R")
  }
})

test_that("a repository from elsewhere runs nothing, be it asked what differs", {
  skip_on_cran()
  skip_on_os("windows")
  folder <- local_repository()
  writeLines("1", "a.txt")
  writeLines("*.txt diff=x", ".gitattributes")
  commit_all()
  trap <- function(name) sprintf("touch '%s/ran-%s'; cat", folder, name)
  for (key in c("diff.external", "diff.x.command", "diff.x.textconv", "core.fsmonitor", "core.pager")) {
    git("config", key, trap(key))
  }
  writeLines("2", "a.txt")
  id <- log_with_git()
  expect_identical(session_of("log.csv", id)$git$dirty, TRUE)
  writeLines("3", "a.txt")
  compared <- compare_session("log.csv", id)
  expect_identical(compared$status[compared$field == "work tree"], "changed")

  writeLines("*.txt filter=x", ".gitattributes")
  for (key in c("filter.x.clean", "filter.x.process")) {
    git("config", key, trap(key))
  }
  ask_git_again()
  filtered <- log_run("log.csv", list(), list())
  expect_named(session_of("log.csv", filtered)$git, c("commit", "branch"))
  compared <- compare_session("log.csv", id)
  expect_identical(compared$status[compared$field == "work tree"], "unknown")
  expect_length(list.files(pattern = "^ran-"), 0)
})

test_that("without git there is no hash of the changes", {
  skip_on_cran()
  local_repository()
  writeLines("1", "a.R")
  commit_all()
  id <- log_with_git()
  withr::local_envvar(PATH = withr::local_tempdir())
  ask_git_again()
  without <- log_run("log.csv", list(), list())
  expect_named(session_of("log.csv", without)$git, c("commit", "branch"))
  for (run in c(id, without)) {
    compared <- compare_session("log.csv", run)
    expect_identical(compared$status[compared$field == "work tree"], "unknown")
  }
})

test_that("the bytes of script and changes are kept only when that is asked for", {
  skip_on_cran()
  local_repository()
  local_no_script()
  log_here <- function() {
    source("a.R", local = TRUE)
    id
  }
  writeLines("id <- log_with_git()", "a.R")
  writeLines("log.csv*", ".gitignore")
  commit_all()
  cat("# 2\n", file = "a.R", append = TRUE)
  withr::local_options(fitledger.context = c("script", "git"))
  without <- log_here()
  expect_null(session_of("log.csv", without)$code)
  expect_false(dir.exists("log.csv.objects"))
  expect_identical(compare_session("log.csv", without)$kept, c(NA_character_, NA))

  options(fitledger.context = c("script", "git", "code"))
  with <- log_here()
  session <- session_of("log.csv", with)
  expect_identical(session$code$script$sha256, session$script_sha256)
  expect_identical(session$code$diff$sha256, session$git$diff_sha256)
  compared <- compare_session("log.csv", with)
  expect_identical(readLines(compared$kept[compared$field == "script"]), readLines("a.R"))
  expect_true("+# 2" %in% readLines(compared$kept[compared$field == "work tree"]))
  expect_identical(nrow(verify_ledger("log.csv")$problems), 0L)

  # Only what is recorded is kept.
  options(fitledger.context = c("git", "code"))
  expect_named(session_of("log.csv", log_here())$code, "diff")
  options(fitledger.context = "code")
  expect_named(session_of("log.csv", log_run("log.csv", list(), list())), "id")

  # More than 1 MiB is hashed and not kept.
  options(fitledger.context = c("script", "git", "code"))
  cat(strrep("#", rep(100, 12000)), file = "a.R", sep = "\n", append = TRUE)
  much <- session_of("log.csv", log_here())
  expect_identical(much$script_sha256, hash_file("a.R")$sha256)
  expect_identical(much$git$diff_sha256, diff_by_git())
  expect_null(much$code)

  Sys.chmod(compared$kept[[1]], "644")
  cat("x", file = compared$kept[[1]], append = TRUE)
  expect_match(verify_ledger("log.csv")$problems$problem, "a script have changed")
  expect_identical(is.na(compare_session("log.csv", with)$kept), c(TRUE, FALSE))
})

test_that("kept code has the ledger's rights, whatever the umask", {
  skip_on_cran()
  skip_on_os("windows")
  file <- local_file()
  local_no_script()
  script <- withr::local_tempfile(lines = "log_run(file, list(), list())")
  local_umask <- function(mode, env = parent.frame()) {
    old <- Sys.umask(mode)
    withr::defer(Sys.umask(old), envir = env)
  }
  withr::local_options(fitledger.context = character())
  local_umask("022")
  source(script, local = TRUE)
  options(fitledger.context = c("script", "code"))
  local_umask("077")
  source(script, local = TRUE)
  kept <- list.files(paste0(file, ".objects"), recursive = TRUE, full.names = TRUE)
  expect_length(kept, 1)
  expect_identical(format(file.mode(kept)), "444")
  expect_identical(format(file.mode(dirname(kept))), "755")
})

test_that("a script that is sourced is recorded by its base name outside a repository", {
  skip_on_cran()
  skip_if_not_installed("jsonlite")
  folder <- withr::local_tempdir()
  script <- file.path(folder, "train.R")
  file <- local_file()
  writeLines(sprintf("library(fitledger); log_run(%s, list(a = 1), list(m = 1))", deparse(file)), script)
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  withr::with_envvar(c(R_LIBS = libraries), system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(sprintf("source(%s)", deparse(script))))
  ))
  expect_identical(sessions(file)[[1]]$script, "train.R")
})

test_that("a script is the one that runs, in whatever folder it works", {
  skip_on_cran()
  skip_if_not_installed("jsonlite")
  folder <- withr::local_tempdir()
  file <- local_file()
  # In each folder there are scripts of the same names.
  log <- c("log_run(Sys.getenv('LEDGER'), list(), list())")
  scripts <- list(
    "early.R" = c("library(fitledger)", "setwd('other')", log), "late.R" = c("setwd('other')", "library(fitledger)", log),
    "moved.R" = c("setwd('other')", log), "sub/inner.R" = c(log, "# here")
  )
  for (script in names(scripts)) {
    for (place in c("", "other/", "sub/", "sub/other/")) {
      path <- file.path(folder, paste0(place, script))
      dir.create(dirname(path), FALSE, TRUE)
      writeLines(enc2utf8(c(paste0("place <- '\u00fc", place, "'"), scripts[[script]])), path, useBytes = TRUE)
    }
  }
  in_folder <- function(...) {
    code <- paste(c("library(fitledger)", ...), collapse = "; ")
    c("-e", shQuote(code))
  }
  calls <- list(
    list("early.R", "early.R"), list("late.R", "late.R"), list("./early.R", "early.R"), list(file.path(folder, "late.R"), "late.R"),
    list(in_folder("source('moved.R')"), "moved.R"),
    list(in_folder("options(keep.source = TRUE)", "source('moved.R', local = new.env())"), "moved.R"),
    list(in_folder("source('moved.R', encoding = 'UTF-8')"), "moved.R"),
    list(in_folder("source('moved.R', encoding = 'latin1', keep.source = TRUE)"), "moved.R"),
    list(in_folder("source('sub/inner.R', chdir = TRUE)"), "sub/inner.R"),
    list(in_folder("setwd('sub')", "source('inner.R')"), "sub/inner.R"),
    # Where it was is not known any more.
    list(in_folder("setwd('sub')", "source('moved.R')"), NULL),
    list(in_folder("source('pipe')"), NULL),
    list(in_folder("source(paste0('file://', normalizePath('sub/inner.R')))"), NULL)
  )
  withr::local_dir(folder)
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep), LEDGER = file)
  if (.Platform$OS.type == "unix" && nzchar(Sys.which("mkfifo"))) {
    system2("mkfifo", "pipe")
    system("cat early.R > pipe", wait = FALSE)
  } else {
    calls <- Filter(function(call) !identical(call, list(in_folder("source('pipe')"), NULL)), calls)
  }
  for (call in calls) {
    output <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", call[[1]]), stdout = TRUE, stderr = TRUE)
    found <- session_of(file, last_run_id(file))
    expect_identical(found$script_sha256, if (!is.null(call[[2]])) hash_file(call[[2]])$sha256, info = c(call[[1]], output))
  }
})

test_that("an interrupt anywhere while the session is looked at leaves nothing half remembered", {
  file <- local_file()
  memory <- as.list(session_memory, all.names = TRUE)
  forget <- function() rm(list = ls(session_memory, all.names = TRUE), envir = session_memory)
  withr::defer({
    forget()
    list2env(memory, session_memory)
  })
  # The package's functions, before whose nth call of one of base R's an interrupt comes.
  looking <- c(
    "current_session", "session_context", "session_packages", "package_context", "host_context", "started_script",
    "lockfile_text", "package_record", "describe_package"
  )
  ours <- mget(looking, asNamespace("fitledger"))
  env <- new.env(parent = asNamespace("fitledger"))
  called <- unique(unlist(lapply(ours, function(f) all.names(body(f)))))
  calls <- 0
  at <- Inf
  for (name in setdiff(called, c("environment", "parent.frame"))) {
    base <- get0(name, baseenv(), mode = "function")
    if (typeof(base) %in% c("closure", "builtin") && grepl("^[[:alpha:]]", name)) {
      env[[name]] <- local({
        base <- base
        function(...) {
          calls <<- calls + 1
          if (calls == at) rlang::interrupt()
          base(...)
        }
      })
    }
  }
  for (name in looking) {
    env[[name]] <- rlang::set_env(ours[[name]], env)
  }
  forget()
  said <- c("context", "lockfile", "code")
  expected <- env$current_session(file)[said]
  all_calls <- calls
  expect_gt(all_calls, 50)
  for (i in seq_len(all_calls)) {
    forget()
    calls <- 0
    at <- i
    expect_identical(tryCatch(env$current_session(file), interrupt = function(e) "interrupted"), "interrupted")
    at <- Inf
    if (!identical(current_session(file)[said], expected)) {
      fail(paste("After an interrupt at call", i, "the session says something else."))
    }
  }
})

test_that("a working folder whose name is no text keeps no run from being logged", {
  skip_on_os(c("windows", "mac"))
  skip_if(!l10n_info()[["UTF-8"]], "Any name is text in this locale")
  file <- local_file()
  base <- withr::local_tempdir()
  # R itself can't name it.
  folder <- paste0("$(printf '", base, "/bad\\377dir')")
  link <- file.path(base, "link")
  system2("sh", c("-c", shQuote(paste0("mkdir \"", folder, "\" && ln -s \"", folder, "\" ", shQuote(link)))))
  skip_if(!dir.exists(link), "Such a folder can't be made here")
  withr::local_dir(link)
  log_run(file, list(), list(m = 1))
  expect_identical(log_call(file, identity(2)), 2)
  expect_identical(with_run(file, list(), function(run) 3), 3)
  expect_identical(read_runs(file, details = TRUE)$status, rep("finished", 3))
  expect_error(start_run("log.csv", list()), "working folder", class = "fitledger_error_argument")
})
