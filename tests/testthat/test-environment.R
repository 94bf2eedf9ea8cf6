test_that("each environment is stored once and named by its sessions", {
  file <- local_file()
  withr::local_options(fitledger.context = "packages")
  id <- log_run(file, list(), list())
  before <- RNGkind()
  suppressWarnings(RNGkind(sample.kind = "Rounding"))
  withr::defer(RNGkind(before[1], before[2], before[3]))
  log_run(file, list(), list())
  events <- read_ledger(file)
  named <- lapply(events$context[events$event == "session"], function(json) jsonlite::fromJSON(json)$lockfile$sha256)
  expect_length(named, 2)
  expect_identical(named[[1]], named[[2]])
  expect_length(list.files(paste0(file, ".objects"), recursive = TRUE), 1)
})

test_that("a lockfile is what renv reads", {
  file <- local_ledger()
  withr::local_options(repos = c(CRAN = "https://ann:secret@cran.example.org/path", "https://b.example.org"))
  requireNamespace("rpart")
  id <- log_run(file, list(), list())
  path <- withr::local_tempfile()
  expect_identical(write_lockfile(file, id, path), path)
  expect_false(any(grepl("secret", readLines(path))))
  lock <- jsonlite::fromJSON(path, simplifyVector = FALSE)
  expect_identical(lock$R$Version, r_version())
  expect_identical(lock$R$Repositories[[1]], list(Name = "CRAN", URL = "https://cran.example.org/path"))
  expect_identical(lock$Packages$rpart$Version, unname(getNamespaceVersion("rpart")))
  expect_true(all(c("Package", "Version", "Source") %in% names(lock$Packages$cli)))
  expect_false(any(c("base", "stats", "fitledger") %in% names(lock$Packages)))
  expect_error(write_lockfile(file, id, path), class = "fitledger_error_exists")
})

test_that("packages from elsewhere say where they came from", {
  package <- withr::local_tempdir()
  dir.create(file.path(package, "Meta"))
  described <- function(...) {
    saveRDS(list(DESCRIPTION = c(Package = "x", Version = "1.0", ...)), file.path(package, "Meta", "package.rds"))
    describe_package("x", "1.0", package)[-(1:2)]
  }
  expect_identical(
    described(RemoteType = "github", RemoteRepo = "x", RemoteUsername = "ann", RemoteSha = "abc")[1:2],
    list(Source = "GitHub", RemoteType = "github")
  )
  expect_identical(
    described(RemoteType = "xgit", RemoteUrl = "https://ann:secret@example.org/x.git"),
    list(Source = "git", RemoteType = "xgit", RemoteUrl = "https://example.org/x.git")
  )
  expect_identical(described(RemoteType = "standard", Repository = "CRAN"), list(Source = "Repository", Repository = "CRAN"))
  expect_identical(described(biocViews = "x"), list(Source = "Bioconductor"))
  expect_identical(described(), list(Source = "unknown"))
  expect_null(described(Priority = "base"))
  # What is installed now is of another version than what is loaded.
  described(RemoteType = "github", RemoteSha = "abc")
  expect_identical(describe_package("x", "0.9", package), list(Package = "x", Version = "0.9", Source = "unknown"))
})

test_that("a package that was installed anew while it is loaded isn't said to come from where the new one does", {
  skip_on_cran()
  folder <- withr::local_tempdir()
  source <- file.path(folder, "somepkg")
  dir.create(source)
  said <- c("Package: somepkg", "Version: 1.0", "Title: X", "Description: X.", "License: GPL-3", "Author: A", "Maintainer: A <a@example.org>",
    "RemoteType: github", "RemoteSha: %s")
  writeLines(sprintf(paste(said, collapse = "\n"), "loaded"), file.path(source, "DESCRIPTION"))
  file.create(file.path(source, "NAMESPACE"))
  library <- withr::local_tempdir()
  install <- sprintf("%s CMD INSTALL --library=%s %s", shQuote(file.path(R.home("bin"), "R")), shQuote(library), shQuote(source))
  lines <- run_apart(c(
    sprintf("folder <- %s", deparse1(source)),
    sprintf("install <- function() system(%s, ignore.stdout = TRUE, ignore.stderr = TRUE)", deparse1(install)),
    "source_on_record <- function() {",
    "  file <- tempfile(fileext = '.csv')",
    "  id <- fitledger::log_run(file, list(), list())",
    "  record <- jsonlite::fromJSON(fitledger::write_lockfile(file, id, tempfile()))$Packages$somepkg",
    "  c(record$Source, record$RemoteSha)",
    "}",
    "stopifnot(install() == 0)",
    sprintf("invisible(loadNamespace('somepkg', %s))", deparse1(library)),
    # Whatever the file system rounds times to.
    sprintf("Sys.setFileTime(file.path(%s, 'somepkg', 'Meta', 'package.rds'), Sys.time() - 60)", deparse1(library)),
    "invisible(loadNamespace('fitledger'))",
    "description <- file.path(folder, 'DESCRIPTION')",
    "writeLines(sub('loaded', 'new', readLines(description)), description)",
    "stopifnot(install() == 0)",
    "print(source_on_record())", "cat('done\n')"
  ))[[1]]
  expect_identical(lines, c('[1] "unknown"', "done"))
})

test_that("compare_session() says what differs today", {
  # Where git isn't installed, nobody knows of a work tree.
  withr::local_options(fitledger.context = c("user", "host", "packages"))
  file <- local_file()
  id <- log_run(file, list(), list())
  expect_output(print(compare_session(file, id)), "Nothing that is on record")
  # A run as another machine with older packages would have recorded it.
  context <- session_context(rlang::set_names(as.list(context_words == "packages"), context_words))
  context$packages$cli <- "0.9.0"
  context$packages$gone <- "1.2.3"
  context$r <- "3.6.3"
  old <- local_file()
  target <- list(old, 1e9, call_native(native_json, context, FALSE), NULL, NULL, TRUE, FALSE, FALSE)
  id <- native_log_event(target, list("run", NULL, list(), list(), NULL, NULL, NULL, NULL, NULL, FALSE))
  compared <- compare_session(old, id)
  expect_identical(compared$field, c("R", "cli", "gone"))
  expect_identical(compared$then, c("3.6.3", "0.9.0", "1.2.3"))
  expect_identical(compared$now, c(r_version(), unname(getNamespaceVersion("cli")), NA))
  expect_snapshot(print(compared), transform = function(lines) gsub("now [0-9.]+", "now <version>", lines))
})

test_that("compare_session() says whether script and work tree are still what they were", {
  skip_on_cran()
  local_repository()
  local_no_script()
  writeLines("id <- log_with_git()", "fit.R")
  writeLines("log.csv*", ".gitignore")
  commit_all()
  status <- function(id) {
    compared <- compare_session("log.csv", id)
    rlang::set_names(compared$status, compared$field)
  }
  withr::local_options(fitledger.context = c("script", "git"))
  source("fit.R", local = TRUE)
  clean <- id
  expect_identical(status(clean), c(script = "same", "work tree" = "same"))

  cat("# Changed.\n", file = "fit.R", append = TRUE)
  source("fit.R", local = TRUE)
  dirty <- id
  expect_identical(status(clean), c(script = "changed", "work tree" = "changed", dirty = "changed"))
  expect_identical(status(dirty), c(script = "same", "work tree" = "same"))
  git("add", "fit.R")
  expect_identical(status(dirty)[["work tree"]], "same")

  # Committed meanwhile, it is still the same.
  commit_all()
  wait_until(
    {
      ask_git_again()
      "dirty" %in% names(status(dirty)) && status(dirty)[["dirty"]] == "changed"
    },
    "git to say that nothing differs"
  )
  expect_identical(status(dirty), c(script = "same", "work tree" = "same", commit = "changed", dirty = "changed"))
  expect_identical(status(clean)[1:3], c(script = "changed", "work tree" = "changed", commit = "changed"))
  compared <- compare_runs("log.csv", c(clean, dirty))
  expect_identical(compared$field, c("script hash", "dirty", "diff hash"))

  unlink("fit.R")
  expect_identical(status(clean)[1:2], c(script = "gone", "work tree" = "changed"))
  repository <- getwd()
  withr::local_dir(withr::local_tempdir())
  file.copy(file.path(repository, "log.csv"), "log.csv")
  expect_identical(status(clean)[1:2], c(script = "gone", "work tree" = "gone"))
  git("init", "-q")
  ask_git_again()
  expect_identical(status(clean)[1:2], c(script = "gone", "work tree" = "unknown"))
})

test_that("compare_session() prints what became of the code", {
  compared <- rbind(
    session_rows("code", "script", paste0("sha256:", strrep("ab", 32)), NULL, kept = "log.csv.objects/ab/abab"),
    session_rows("code", "work tree", "none", paste0("sha256:", strrep("cd", 32))),
    session_rows("code", "dirty", TRUE, NULL, without = "unknown"),
    session_rows("package", "R", "4.2.0", "4.2.0")
  )
  class(compared) <- c("fitledger_session_comparison", "data.frame")
  expect_snapshot(print(compared))
})

test_that("a session that says something else of its code is read all the same", {
  file <- local_file()
  odd <- list(git = 5L, script = "x", script_sha256 = 7L, code = "none", platform = R.version$platform)
  target <- list(file, 1e9, call_native(native_json, odd, FALSE), NULL, NULL, TRUE, FALSE, FALSE)
  id <- native_log_event(target, list("run", NULL, list(), list(), NULL, NULL, NULL, NULL, NULL, FALSE))
  expect_identical(nrow(compare_session(file, id)), 0L)
  expect_identical(nrow(verify_ledger(file)$problems), 0L)
})

test_that("a run without an environment on record says so", {
  file <- local_file()
  withr::local_options(fitledger.context = character())
  id <- log_run(file, list(), list())
  expect_error(compare_session(file, id), class = "fitledger_error_argument")
  expect_error(write_lockfile(file, id, tempfile()), class = "fitledger_error_argument")
  expect_false(dir.exists(paste0(file, ".objects")))
})

test_that("a lockfile that can't be stored is a warning, a damaged one is found", {
  skip_on_os("windows")
  file <- local_file()
  writeLines("in the way", paste0(file, ".objects"))
  withr::defer(unlink(paste0(file, ".objects")))
  expect_warning(id <- log_run(file, list(a = 1), list()), "lockfile is not on record", class = "fitledger_warning")
  expect_identical(read_runs(file)$run_id, id)
  expect_error(write_lockfile(file, id, tempfile()), class = "fitledger_error_argument")

  file <- local_file()
  id <- log_run(file, list(a = 1), list())
  object <- list.files(paste0(file, ".objects"), recursive = TRUE, full.names = TRUE)
  Sys.chmod(object, "644")
  cat("x", file = object, append = TRUE)
  expect_error(write_lockfile(file, id, tempfile()), class = "fitledger_error_artifact")
  expect_match(verify_ledger(file)$problems$problem, "lockfile")
})

test_that("addresses are recorded without what may be a secret", {
  kept <- c(
    "https://cloud.r-project.org" = "https://cloud.r-project.org",
    "https://packagemanager.posit.co/cran/__linux__/jammy/2024-01-01" =
      "https://packagemanager.posit.co/cran/__linux__/jammy/2024-01-01",
    "https://host:8080/cran/" = "https://host:8080/cran/",
    "https://host/a/@v/1.0" = "https://host/a/@v/1.0",
    "https://github.com/o/r/archive/0123456789abcdef0123456789abcdef01234567.tar.gz" =
      "https://github.com/o/r/archive/0123456789abcdef0123456789abcdef01234567.tar.gz",
    "file:///srv/cran" = "file:///srv/cran",
    "HEAD" = "HEAD", "o/r@v1.0" = "o/r@v1.0", "v1@x" = "v1@x",
    "https://user:pass@host/cran" = "https://host/cran",
    "HTTPS://user:pass@host/cran" = "HTTPS://host/cran",
    "https://user:p@ss@host/cran" = "https://host/cran",
    "https://user:p/w@host/cran" = "https://host/cran",
    "https://user:1/2@host/cran" = "https://host/cran",
    "https://u:p%40@h" = "https://h",
    " https://u:p@h" = "https://h",
    "git2+https://u:p@h" = "git2+https://h",
    "git+ssh://git:pw@host/x" = "git+ssh://host/x",
    "git@host:o/r.git" = "host:o/r.git",
    "user:pass@host:repo.git" = "host:repo.git",
    "https://user:pass@host:8080/x" = "https://host:8080/x",
    "https://host/cran?token=SECRET" = "https://host/cran",
    "https://host/cran;auth=SECRET" = "https://host/cran",
    "https://host/cran#SECRET" = "https://host/cran",
    "https://host/__token__/S3CR/cran" = "https://host/__token__/redacted/cran",
    "https://host/api_key/S3CR" = "https://host/api_key/redacted",
    "https://host/ghp_SECRET/cran" = "https://host/redacted/cran",
    "https://host/aB3dE6gH9jK2mN5pQ8rS1tU4/cran" = "https://host/redacted/cran",
    "https://dl.host/Xk3vQ9mZ7bT2sLwE/acme/cran/" = "https://dl.host/redacted/acme/cran/",
    "https://host/basic/acme/cran/" = "https://host/basic/redacted/cran/",
    "https://host/3f0c1c1e-9d3b-4c59-9f0e-0a4f7c2b6d11/cran" = "https://host/redacted/cran",
    "https://host/priv/1fd49a4e5b5c/acme" = "https://host/priv/redacted/acme",
    "https://host/1fd49a4e5b5c8f8e8e0b3d1fd49a4e5b5c8f8e8e0b3d1234/x" = "https://host/redacted/x",
    "https://host/npm_abc/src" = "https://host/redacted/src",
    "https://host/cran&token=SECRET" = "https://host/cran",
    "https:/user:pass@host/cran" = "https:/host/cran",
    "git::https://user:pass@host/x" = "git::https://host/x",
    "a::b::https://user:pass@host/x" = "a::b::https://host/x",
    "//user:pass@host/cran" = "host/cran", "https:user:pass@host" = "host", "https//user:pass@host" = "host",
    "http;//user:pass@host/x" = "host/x", "https:\\\\user:pass@host" = "host", "user:pass@host/cran" = "host/cran",
    "github::o/r@v1" = "github::o/r@v1",
    "https://codeload.github.com/o/r/tar.gz/0123456789abcdef0123456789abcdef01234567" =
      "https://codeload.github.com/o/r/tar.gz/0123456789abcdef0123456789abcdef01234567"
  )
  for (url in names(kept)) {
    expect_identical(without_credentials(url), kept[[url]], label = url)
  }
  for (part in c(
    "CRAN-2023-Q4-approved", "Bioconductor_3_18", "MyCompanyTeamRepo2024", "CRAN2023Q4Approved", "x86_64-pc-linux-gnu",
    "cran-validated-2024q1", "datascience2024team7", "x86_64w64mingw32", "cran2024q3v4.1.2linux64", "2021-02-16+Y3JhbixxLDE2Nzg", "4245+MTo0MjQ1LDI6NDUyNjIxNTtEQTM3RjEzMA", "__linux__"
  )) {
    url <- paste0("https://host/", part, "/latest")
    expect_identical(without_credentials(url), url)
  }
})
