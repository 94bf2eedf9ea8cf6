test_that("each environment is stored once and named by its sessions", {
  file <- local_ledger()
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
})

test_that("compare_session() says what differs today", {
  file <- local_ledger()
  id <- log_run(file, list(), list())
  expect_output(print(compare_session(file, id)), "Nothing that is on record")
  # A run as another machine with older packages would have recorded it.
  context <- session_context(rlang::set_names(as.list(context_groups == "packages"), context_groups))
  context$packages$cli <- "0.9.0"
  context$packages$gone <- "1.2.3"
  context$r <- "3.6.3"
  old <- local_ledger()
  target <- list(old, 1e9, call_native(native_json, context, FALSE), NULL, TRUE, FALSE)
  id <- native_log_event(target, "run", NULL, list(), list(), NULL, NULL, NULL, NULL, NULL, FALSE)
  compared <- compare_session(old, id)
  expect_identical(compared$field, c("R", "cli", "gone"))
  expect_identical(compared$then, c("3.6.3", "0.9.0", "1.2.3"))
  expect_identical(compared$now, c(r_version(), unname(getNamespaceVersion("cli")), NA))
  expect_snapshot(print(compared), transform = function(lines) gsub("now [0-9.]+", "now <version>", lines))
})

test_that("a run without an environment on record says so", {
  file <- local_ledger()
  withr::local_options(fitledger.context = character())
  id <- log_run(file, list(), list())
  expect_error(compare_session(file, id), class = "fitledger_error_argument")
  expect_error(write_lockfile(file, id, tempfile()), class = "fitledger_error_argument")
  expect_false(dir.exists(paste0(file, ".objects")))
})

test_that("a lockfile that can't be stored is a warning, a damaged one is found", {
  skip_on_os("windows")
  file <- local_ledger()
  writeLines("in the way", paste0(file, ".objects"))
  withr::defer(unlink(paste0(file, ".objects")))
  expect_warning(id <- log_run(file, list(a = 1), list()), "lockfile is not on record", class = "fitledger_warning")
  expect_identical(read_runs(file)$run_id, id)
  expect_error(write_lockfile(file, id, tempfile()), class = "fitledger_error_argument")

  file <- local_ledger()
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
    "https://host/aB3dE6gH9jK2mN5pQ8rS1tU4/cran" = "https://host/redacted/cran"
  )
  for (url in names(kept)) {
    expect_identical(without_credentials(url), kept[[url]], label = url)
  }
})
