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
  file <- local_ledger()
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
  file <- local_ledger()
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
  skip_if(!nzchar(Sys.which("git")), "git is not installed")
  skip_if_not_installed("jsonlite")
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  git <- function(...) {
    system2("git", c("-c", "user.name=a", "-c", "user.email=a@example.com", ...), stdout = TRUE, stderr = TRUE)
  }
  git("init", "-q", "-b", "main")
  writeLines("1", "a.R")
  git("add", ".")
  git("commit", "-q", "-m", "one")
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
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  wait_until(
    {
      withr::with_envvar(c(R_LIBS = libraries), system2(file.path(R.home("bin"), "Rscript"), "fit.R", stdout = TRUE))
      !is.null(last()$git$dirty)
    },
    "git to say whether files differ"
  )
  expect_identical(last()$script, "fit.R")
  expect_identical(last()$git$dirty, TRUE)
})

test_that("a script that is sourced is recorded by its base name outside a repository", {
  skip_on_cran()
  skip_if_not_installed("jsonlite")
  folder <- withr::local_tempdir()
  script <- file.path(folder, "train.R")
  file <- local_ledger()
  writeLines(sprintf("library(fitledger); log_run(%s, list(a = 1), list(m = 1))", deparse(file)), script)
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  withr::with_envvar(c(R_LIBS = libraries), system2(
    file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(sprintf("source(%s)", deparse(script))))
  ))
  expect_identical(sessions(file)[[1]]$script, "train.R")
})
