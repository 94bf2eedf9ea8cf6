# The stored bytes of artifacts; lockfiles of sessions are JSON.
object_files <- function(file) {
  files <- list.files(paste0(file, ".objects"), recursive = TRUE, full.names = TRUE, all.files = TRUE)
  first <- vapply(files, function(file) readBin(file, "raw", 1), raw(1))
  unname(files[first != charToRaw("{")])
}

# A folder with files and folders of all sorts of names.
local_folder <- function(env = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = env)
  for (name in c("graph.txt", "variables/w.txt", "~/notes.txt", ".hidden", "a b/\u00e9.txt", paste0(strrep("long", 40), ".txt"))) {
    path <- file.path(folder, name)
    dir.create(dirname(path), showWarnings = FALSE)
    writeLines(name, path)
  }
  dir.create(file.path(folder, "empty"))
  folder
}

content <- function(folder) {
  inside <- list.files(folder, all.files = TRUE, recursive = TRUE, include.dirs = TRUE, no.. = TRUE)
  sapply(inside, function(name) {
    path <- file.path(folder, name)
    if (dir.exists(path)) "a folder" else readLines(path, encoding = "UTF-8")
  })
}

test_that("objects and files come back as they were", {
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".txt", lines = c("a", "b"))
  fit <- lm(dist ~ speed, cars)
  id <- log_run(file, list(a = 1), list(m = 1), artifacts = list(model = fit, notes = path, text = list("x")))
  expect_equal(predict(read_artifact(file, id, "model")), predict(fit))
  expect_identical(read_artifact(file, id, "notes"), bytes(path))
  expect_identical(read_artifact(file, id, "text"), list("x"))
  copy <- artifact_path(file, id, "notes")
  expect_identical(basename(copy), basename(path))
  expect_identical(readLines(copy), c("a", "b"))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_equal(nrow(verify_ledger(file)$problems), 0)
})

test_that("what is stored twice is kept once, read-only, without leftovers", {
  file <- local_file()
  run <- start_run(file)
  log_artifact(run, "a", 1:10)
  log_artifact(run, "b", 1:10)
  log_artifact(run, "c", 11:20)
  end_run(run)
  expect_length(object_files(file), 2)
  expect_identical(read_artifact(file, run$run_id, "c"), 11:20)
  expect_identical(read_artifact(file, run$run_id, "b"), 1:10)
  skip_on_os("windows")
  expect_true(all(file.mode(object_files(file)) == as.octmode("444")))
})

test_that("the bytes of paths are kept unless one says not to", {
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".txt", lines = "a")
  run <- start_run(file)
  log_artifact(run, "first", path)
  writeLines("b", path)
  log_artifact(run, "second", path)
  log_artifact(run, "third", path, keep = FALSE)
  end_run(run)
  called <- log_call(file, identity(path), artifact = "value")
  folder <- local_folder()
  log_call(file, identity(folder), artifact = "value")
  unlink(path)
  expect_identical(rawToChar(read_artifact(file, run$run_id, "first")), "a\n")
  expect_identical(rawToChar(read_artifact(file, run$run_id, "second")), "b\n")
  expect_error(read_artifact(file, run$run_id, "third"), class = "fitledger_error_artifact")
  ids <- read_runs(file)$run_id
  expect_identical(rawToChar(read_artifact(file, ids[[2]], "value")), "b\n")
  expect_identical(content(artifact_path(file, ids[[3]], "value")), content(folder))
  log_call(file, identity("no file"), artifact = "value")
  expect_identical(read_artifact(file, last_run_id(file), "value"), "no file")
})

test_that("over 1 GiB somebody has to say so", {
  skip_on_cran()
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".bin")
  writeBin(raw(1), path)
  con <- file(path, "r+b")
  seek(con, 2^30, rw = "write")
  writeBin(raw(1), con)
  close(con)
  folder <- withr::local_tempdir()
  file.rename(path, file.path(folder, "large.bin"))
  path <- file.path(folder, "large.bin")
  run <- start_run(file)
  before <- bytes(file)
  for (x in c(path, folder)) {
    e <- expect_error(log_artifact(run, "large", x), "takes 1 GiB; over 1 GiB `keep` has to be said", class = "fitledger_error_argument")
    expect_identical(e$arg, "keep")
  }
  expect_error(log_run(file, list(), list(), artifacts = list(large = path)), "`keep` has to be said", class = "fitledger_error_argument")
  expect_identical(bytes(file), before)
  expect_length(object_files(file), 0)
  expect_error(check_bytes(2^31, most_unasked_bytes, "x"), "takes 2 GiB")
})

test_that("a path alone gives the artifact its name", {
  file <- local_ledger()
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  dir.create("net.v1")
  for (name in c("model.rds", "data.tar.gz", ".profile", "plain", "net.v1/w.bin", "a.b.csv")) writeLines(name, name)
  run <- start_run(file)
  named <- c(
    model = "model.rds", data = "data.tar.gz", .profile = ".profile", plain = file.path(folder, "plain"), w = "net.v1/w.bin",
    a.b = "a.b.csv"
  )
  for (path in named) log_artifact(run, path)
  log_artifact(run, "net.v1")
  log_artifact(run, name = "./net.v1/", keep = TRUE) |> expect_error("has an artifact `net.v1` already", class = "fitledger_error_argument")
  for (name in names(named)[-1]) expect_identical(rawToChar(read_artifact(file, run$run_id, name)), paste0(c(named[-4], plain = "plain")[[name]], "\n"))
  expect_identical(content(artifact_path(file, run$run_id, "net.v1")), c(w.bin = "net.v1/w.bin"))
})

test_that("a run has one artifact of a name, whoever is faster", {
  file <- local_file()
  run <- start_run(file)
  log_artifact(run, "model", 1)
  before <- list(bytes(file), object_files(file))
  expect_error(log_artifact(run, "model", 2), "has an artifact `model` already", class = "fitledger_error_argument")
  # Nothing of it was stored.
  expect_identical(list(bytes(file), object_files(file)), before)
  # Another process has logged one since this one looked.
  run_apart(c(
    "library(fitledger)",
    sprintf("run <- structure(list(file = %s, run_id = %s), class = 'fitledger_run')", deparse(file), deparse(run$run_id)),
    "log_artifact(run, 'other', 'theirs' |> list())",
    "cat('done\\n')"
  ))
  entry <- store_artifacts(file, list(other = "ours" |> list()), keep = TRUE)
  before <- bytes(file)
  expect_error(log_event_native(file, "log", run$run_id, artifacts = entry), "has an artifact `other` already", class = "fitledger_error_argument")
  expect_identical(bytes(file), before)
  expect_identical(read_artifact(file, run$run_id, "other"), list("theirs"))
  # Another run may have one of the same name, and a resumed one has what it had.
  again <- start_run(file)
  log_artifact(again, "model", 3)
  end_run(again, status = "failed")
  again <- start_run(file, resume = again)
  expect_error(log_artifact(again, "model", 4), "already", class = "fitledger_error_argument")
  end_run(run)
  expect_error(log_artifact(run, "late", 4), class = "fitledger_error_ended")
})

test_that("a file recorded by its path is found from the working directory, then beside the ledger", {
  folder <- withr::local_tempdir()
  file <- file.path(folder, "log.csv")
  dir.create(file.path(folder, "reports"))
  withr::local_dir(folder)
  dir.create("plots")
  writeLines("plot", "plots/plot.txt")
  whole <- file.path(withr::local_tempdir(), "whole.txt")
  writeLines("whole", whole)
  id <- log_run(file, list(), list(), artifacts = list(plot = "plots/plot.txt", whole = whole), keep = FALSE)
  setwd("reports")
  expect_identical(rawToChar(read_artifact(file, id, "plot")), "plot\n")
  expect_identical(readLines(artifact_path("../log.csv", id, "plot")), "plot")
  # Something else of that name is in the way.
  dir.create("plots")
  writeLines("another", "plots/plot.txt")
  expect_identical(rawToChar(read_artifact(file, id, "plot")), "plot\n")
  expect_identical(readLines(artifact_path(file, id, "plot")), "plot")
  unlink("plots/plot.txt")
  dir.create("plots/plot.txt")
  expect_identical(rawToChar(read_artifact(file, id, "plot")), "plot\n")
  # Both were sent to somebody who put them into one folder.
  file.rename(whole, file.path(folder, "whole.txt"))
  expect_identical(rawToChar(read_artifact(file, id, "whole")), "whole\n")
  writeLines("changed", file.path(folder, "whole.txt"))
  expect_error(read_artifact(file, id, "whole"), "have changed", class = "fitledger_error_artifact")
  unlink(file.path(folder, "whole.txt"))
  expect_error(read_artifact(file, id, "whole"), "there is no file '.*/whole.txt' or '.*/whole.txt'", class = "fitledger_error_artifact")
})

test_that("a ledger without its folder says what is missing", {
  file <- local_file()
  id <- log_run(file, list(), list(), artifacts = list(model = 1:3))
  moved <- file.path(withr::local_tempdir(), "moved.csv")
  file.rename(file, moved)
  e <- expect_error(read_artifact(moved, id, "model"), "nor is the folder", class = "fitledger_error_artifact")
  expect_match(conditionMessage(e), ".objects` behind it", fixed = TRUE)
  expect_error(register_model(moved, "m", id), "nor is the folder", class = "fitledger_error_artifact")
  expect_match(verify_ledger(moved)$problems$problem, "nor is the folder")
  file.rename(paste0(file, ".objects"), paste0(moved, ".objects"))
  expect_identical(read_artifact(moved, id, "model"), 1:3)
})

test_that("a file is recorded by its hash, and a changed one is refused", {
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".txt", lines = "a")
  id <- log_run(file, list(), list(), artifacts = list(notes = path), keep = FALSE)
  expect_identical(read_artifact(file, id, "notes"), bytes(path))
  expect_length(object_files(file), 0)
  writeLines("b", path)
  expect_error(read_artifact(file, id, "notes"), "have changed", class = "fitledger_error_artifact")
  unlink(path)
  expect_error(read_artifact(file, id, "notes"), "keep = TRUE", class = "fitledger_error_artifact")
})

test_that("bytes that aren't those that were stored are refused and listed", {
  skip_on_os("windows")
  damage <- list(
    changed = function(object) {
      whole <- bytes(object)
      whole[[20]] <- xor(whole[[20]], as.raw(1))
      writeBin(whole, object)
    },
    truncated = function(object) writeBin(utils::head(bytes(object), -1), object),
    gone = function(object) unlink(object, force = TRUE),
    link = function(object) {
      copy <- withr::local_tempfile(.local_envir = parent.frame(2))
      file.copy(object, copy)
      unlink(object, force = TRUE)
      file.symlink(copy, object)
    }
  )
  for (kind in names(damage)) {
    file <- local_file()
    id <- log_run(file, list(), list(), artifacts = list(model = as.list(1:50)))
    object <- object_files(file)
    Sys.chmod(object, "644")
    damage[[kind]](object)
    expect_error(read_artifact(file, id, "model"), class = "fitledger_error_artifact", info = kind)
    expect_error(artifact_path(file, id, "model"), class = "fitledger_error_artifact", info = kind)
    result <- verify_ledger(file)
    expect_identical(result$status, "ok")
    expect_identical(result$problems$kind, "artifact", info = kind)

    log_run(file, list(), list(), artifacts = list(model = as.list(1:50)))
    expect_identical(read_artifact(file, id, "model"), as.list(1:50), info = kind)
  }
})

test_that("models of common packages predict the same", {
  file <- local_ledger()
  models <- list(
    lm = lm(mpg ~ wt + hp, mtcars),
    glm = glm(am ~ wt, binomial, mtcars)
  )
  if (rlang::is_installed("rpart")) models$rpart <- rpart::rpart(mpg ~ ., mtcars)
  if (rlang::is_installed("glmnet")) models$glmnet <- glmnet::glmnet(as.matrix(mtcars[-1]), mtcars$mpg)
  if (rlang::is_installed("ranger")) {
    models$ranger <- ranger::ranger(mpg ~ ., mtcars, num.trees = 20, seed = 1, num.threads = 1)
  }
  id <- log_run(file, list(), list(), artifacts = models)
  for (name in names(models)) {
    new <- if (name == "glmnet") as.matrix(mtcars[-1]) else mtcars
    back <- predict(read_artifact(file, id, name), new)
    expect_identical(back, predict(models[[name]], new), info = name)
  }
})

test_that("a folder is stored whole and unpacked", {
  file <- local_ledger()
  folder <- local_folder()
  expect_error(log_run(file, list(), list(), artifacts = list(net = folder), keep = FALSE), "keep = TRUE", class = "fitledger_error_argument")
  id <- log_run(file, list(), list(), artifacts = list(net = folder))
  unpacked <- artifact_path(file, id, "net")
  expect_identical(basename(unpacked), "net")
  expect_identical(content(unpacked), content(folder))
  expect_identical(dirname(dirname(unpacked)), normalizePath(tempdir(), "/"))

  # What it contains is what counts.
  before <- object_files(file)
  Sys.setFileTime(file.path(folder, "graph.txt"), as.POSIXct("2001-01-01"))
  log_run(file, list(), list(), artifacts = list(again = folder))
  expect_identical(object_files(file), before)
  withr::local_dir(folder)
  id <- log_run(file, list(), list(), artifacts = list(here = "."))
  expect_identical(object_files(file), before)

  skip_on_os("windows")
  Sys.chmod("graph.txt", "711")
  id <- log_run(file, list(), list(), artifacts = list(net = folder))
  unpacked <- artifact_path(file, id, "net")
  expect_identical(unname(file.access(file.path(unpacked, c("graph.txt", ".hidden")), 1)), c(0L, -1L))
})

test_that("what a folder can't be stored with is named before anything is stored", {
  skip_on_os("windows")
  plants <- list(
    list("link", function(path) file.symlink("graph.txt", path), "a symbolic link"),
    # Who follows these is never done.
    list("link", function(path) file.symlink(".", paste0(path, c("", 2, 3))), "a symbolic link"),
    list("variables/pipe", function(path) system2("mkfifo", shQuote(path)), "a pipe"),
    list("a\\b", function(path) writeLines("", path), "a backslash"),
    list("a\tb", function(path) writeLines("", path), "a control character")
  )
  for (plant in plants) {
    file <- local_file()
    run <- start_run(file)
    before <- object_files(file)
    path <- file.path(local_folder(), plant[[1]])
    plant[[2]](path)
    folder <- if (basename(dirname(path)) == "variables") dirname(dirname(path)) else dirname(path)
    e <- expect_error(log_artifact(run, "net", folder), plant[[3]], class = "fitledger_error_unstorable")
    expect_identical(e$path, path)
    expect_identical(object_files(file), before)
    end_run(run)
  }
  link <- withr::local_tempfile()
  file.symlink(local_folder(), link)
  # Before anything is stored, and so before the ledger begins.
  file <- local_file()
  expect_error(log_run(file, list(), list(), artifacts = list(net = link)), "a symbolic link", class = "fitledger_error_unstorable")
  expect_false(file.exists(file))
})

test_that("an archive that somebody else made stays in its folder, or is refused", {
  skip_unless_file()
  outside <- withr::local_tempfile()
  hostile <- list(
    tar_entry(outside, "0", "evil"),
    tar_entry("../escaped", "0", "evil"),
    c(tar_entry("lnk", "2", link = dirname(outside)), tar_entry(paste0("lnk/", basename(outside)), "0", "evil")),
    c(tar_entry("h", "1", link = outside), tar_entry("h", "0", "evil")),
    tar_entry("p", "6"),
    c(tar_entry("a", "0", "1"), tar_entry("a", "0", "2")),
    c(tar_entry("a", "0", "1"), tar_entry("a/b", "0", "2")),
    tar_entry("a", "0", "1", size = 1e6),
    as.raw(rep(1:250, 10))
  )
  for (i in seq_along(hostile)) {
    file <- local_file()
    id <- log_archive(file, hostile[[i]])
    folders <- list.files(tempdir(), "^artifact-")
    e <- expect_error(artifact_path(file, id, "net"), "can't be unpacked", class = "fitledger_error_artifact", info = i)
    new <- setdiff(list.files(tempdir(), "^artifact-"), folders)
    expect_length(list.files(file.path(tempdir(), new), all.files = TRUE, no.. = TRUE), 0)
    expect_false(file.exists(outside), info = i)
    # The page says why it shows nothing.
    page <- view_runs(file, open = FALSE)
    expect_match(paste(readLines(page), collapse = ""), "The folder can't be unpacked", fixed = TRUE, info = i)
  }
})

test_that("a folder that utils::tar() packed is unpacked", {
  skip_on_os("windows")
  folder <- local_folder()
  archive <- withr::local_tempfile()
  # It says that long names aren't portable, and leaves the empty folder out.
  withr::with_dir(folder, suppressWarnings(utils::tar(archive, setdiff(list.files(all.files = TRUE, no.. = TRUE), "~"), tar = "internal")))
  file <- local_file()
  id <- log_archive(file, bytes(archive))
  unpacked <- content(artifact_path(file, id, "net"))
  expected <- content(folder)
  expect_identical(unpacked, expected[names(unpacked)])
  expect_gt(length(unpacked), 5)
})

test_that("a file that was recorded by its path is given as a copy of what was hashed", {
  file <- local_ledger()
  path <- withr::local_tempfile(fileext = ".txt", lines = "a")
  id <- log_run(file, list(), list(), artifacts = list(notes = path), keep = FALSE)
  copy <- artifact_path(file, id, "notes")
  expect_identical(basename(copy), basename(path))
  expect_false(copy == path)
  writeLines("b", path)
  expect_identical(readLines(copy), "a")
  folders <- list.files(tempdir(), "^artifact-")
  expect_error(artifact_path(file, id, "notes"), "have changed", class = "fitledger_error_artifact")
  new <- setdiff(list.files(tempdir(), "^artifact-"), folders)
  expect_length(list.files(file.path(tempdir(), new)), 0)
  unlink(path)
  expect_error(artifact_path(file, id, "notes"), "keep = TRUE", class = "fitledger_error_artifact")
})

test_that("who may use a ledger may use its artifacts, whatever the umask", {
  skip_on_os("windows")
  folder <- withr::local_tempdir()
  file <- file.path(folder, "log.csv")
  log_run(file, list(), list())
  unlink(paste0(file, ".objects"), recursive = TRUE, force = TRUE)
  Sys.chmod(file, "664", use_umask = FALSE)
  old <- Sys.umask("077")
  withr::defer(Sys.umask(old))
  log_run(file, list(), list(), artifacts = list(a = 1))
  objects <- paste0(file, ".objects")
  folders <- c(objects, list.dirs(objects, recursive = FALSE))
  expect_identical(unique(format(file.mode(folders))), "775")
  expect_identical(unique(format(file.mode(list.files(objects, recursive = TRUE, full.names = TRUE)))), "444")
})

test_that("without a working folder all that names whole paths works", {
  skip_on_os("windows")
  file <- local_ledger()
  path <- withr::local_tempfile(lines = "a")
  folder <- local_folder()
  gone <- withr::local_tempdir()
  withr::local_dir(gone)
  unlink(gone, recursive = TRUE)
  id <- log_run(file, list(a = 1), list(m = 1), artifacts = list(a = 1, net = folder, notes = path), data = path)
  expect_identical(read_artifact(file, id, "a"), 1)
  expect_identical(content(artifact_path(file, id, "net")), content(folder))
  with_run(file, list(b = 1), function(run) log_metrics(run, l = 1, step = 1))
  expect_identical(best_run(file, "m")$run_id, id)
  expect_identical(verify_ledger(file)$status, "ok")
  expect_true(file.exists(view_runs(file, open = FALSE)))
  relative <- list(
    function() log_run("log.csv", list(), list()),
    function() log_run("log.csv", list(), list(), artifacts = list(a = 1)),
    function() start_run("log.csv"),
    function() read_runs("log.csv"),
    function() verify_ledger("log.csv"),
    function() export_runs(file, "runs.csv"),
    function() view_runs(file, "runs.html", open = FALSE)
  )
  for (call in relative) expect_error(call(), class = "fitledger_error")
})

test_that("an object that can't be saved whole is no artifact, and costs no fit", {
  skip_on_cran()
  skip_on_os("windows")
  file <- local_file()
  deep <- Reduce(function(x, i) list(x), 1:50000, 1)
  expect_error(log_run(file, list(), list(), artifacts = list(x = deep)), class = "fitledger_error_io")
  expect_warning(
    fit <- with_run(file, list(), function(run) {
      log_artifact(run, "x", deep)
      "the fit"
    }),
    class = "fitledger_warning_not_recorded"
  )
  expect_identical(fit, "the fit")

  # Of what doesn't compress, objects as small and as large as what R loses in silence, and more.
  small <- local_file()
  code <- c(
    "options(fitledger.context = character())",
    "library(fitledger)",
    sprintf("file <- %s", deparse(small)),
    "for (n in c(100, 1900, 2500, 5000, 50000)) {",
    "  x <- runif(n)",
    "  said <- tryCatch({ log_run(file, list(n = n), list(), artifacts = list(x = x)); 'stored' }, fitledger_error_io = function(e) 'refused')",
    "  fit <- suppressWarnings(with_run(file, list(n = n, live = TRUE), function(run) { log_artifact(run, 'x', x); 'the fit' }))",
    "  cat(n, said, fit, '\\n')",
    "}",
    "unlink(tempdir(), recursive = TRUE)",
    "cat(suppressWarnings(with_run(file, list(n = 0), function(run) { log_artifact(run, 'x', 1:3); 'the fit' })))"
  )
  script <- withr::local_tempfile(lines = code)
  said <- system2("sh", c("-c", shQuote(sprintf("trap '' XFSZ; ulimit -f 16; exec '%s/bin/Rscript' %s", R.home(), shQuote(script)))), stdout = TRUE)
  expect_identical(trimws(said), c("100 stored the fit", paste(c(1900, 2500, 5000, 50000), "refused the fit"), "the fit"))
  for (id in read_artifacts(small)$run_id) expect_length(read_artifact(small, id, "x"), 100)
})

test_that("too little memory is an error, and R lives on", {
  skip_on_cran()
  skip_on_os(c("windows", "mac", "solaris"))
  skip_if(!nzchar(Sys.which("prlimit")), "prlimit is not installed")
  file <- local_file()
  n <- 60000
  log_runs(file, data.frame(a = seq_len(n), b = strrep("x", 200), m = runif(n)), c("a", "b"), "m")
  id <- log_run(file, list(), list(), artifacts = list(a = raw(1e6)))
  code <- c(
    "library(fitledger)",
    "options(fitledger.cache = FALSE)",
    "size <- function() as.numeric(gsub('\\\\D', '', grep('VmSize', readLines('/proc/self/status'), value = TRUE)))",
    "works <- function(call) tryCatch({ call(); TRUE }, fitledger_error_memory = function(e) FALSE)",
    "calls <- list(",
    "  function() read_runs(file), function() best_run(file, 'm'), function() verify_ledger(file), function() read_ledger(file),",
    "  function() view_runs(file, open = FALSE), function() checkpoint_ledger(file), function() repair_ledger(file),",
    "  function() export_runs(file, tempfile()), function() read_artifact(file, id, 'a')",
    ")",
    # R ends by itself where there is no room for the code that it loads and compiles, so it does so before.
    "file <- tempfile(fileext = '.csv'); id <- log_run(file, list(a = 1), list(m = 1), artifacts = list(a = 1))",
    "for (call in calls) call()",
    "tryCatch(read_runs(tempfile()), error = format)",
    sprintf("file <- %s; id <- %s", deparse(file), deparse(id)),
    # A process that was begun before sets the limit: with little memory none can be begun for sure.
    "asked <- tempfile(); told <- tempfile()",
    "script <- sprintf(",
    "  'while :; do until [ -e %1$s ]; do kill -0 %3$d || exit; sleep 0.02; done; read -r limit < %1$s; rm %1$s; prlimit --pid %3$d \"--as=$limit:\"; touch %2$s; done',",
    "  asked, told, Sys.getpid()",
    ")",
    "system2('sh', c('-c', shQuote(script)), wait = FALSE, stdout = FALSE, stderr = FALSE)",
    "limit <- function(kb) {",
    "  unlink(told)",
    "  writeLines(format(1024 * kb, scientific = FALSE), paste0(asked, '.part'))",
    "  file.rename(paste0(asked, '.part'), asked)",
    "  while (!file.exists(told)) Sys.sleep(0.02)",
    "}",
    "limit(4e6)",
    "before <- size()",
    # Where so little is left, R's own code may be what finds no room.
    "for (room in c(6000, 12000, 17000, 25000, 40000)) {",
    "  limit(before + room)",
    "  for (call in calls) tryCatch(works(call), error = function(e) NULL)",
    "}",
    "limit(4e6)",
    "limit(size() + 17000)",
    "refused <- !vapply(calls, works, logical(1))",
    "limit(4e6)",
    "cat(sum(refused), 'refused\\n')",
    "cat(sum(vapply(calls, works, logical(1))), 'work\\n')",
    "cat('done\\n')"
  )
  output <- run_apart(code)[[1]]
  expect_true("done" %in% output, info = paste(output, collapse = "\n"))
  expect_true("9 work" %in% output, info = output)
  # A checkpoint reads the last row only.
  expect_true("8 refused" %in% output, info = output)
})

test_that("links and pipes are not followed", {
  skip_on_os("windows")
  file <- local_ledger()
  target <- withr::local_tempfile(lines = "x")
  link <- withr::local_tempfile()
  file.symlink(target, link)
  pipe <- withr::local_tempfile()
  system2("mkfifo", pipe)
  for (path in c(link, pipe)) {
    for (keep in c(TRUE, FALSE)) {
      expect_error(log_run(file, list(), list(), artifacts = list(x = path), keep = keep), class = "fitledger_error_unstorable")
    }
  }
  expect_false(file.exists(file_of(file)))
})

test_that("names that could leave a folder are refused or made safe", {
  file <- local_ledger()
  id <- log_run(file, list(), list(), artifacts = list("../../evil" = 1, "CON" = 2, "a/b" = 3))
  for (name in c("../../evil", "CON", "a/b")) {
    path <- artifact_path(file, id, name)
    expect_identical(dirname(dirname(path)), normalizePath(tempdir(), winslash = "/"), info = name)
  }
  expect_identical(read_artifact(file, id, "../../evil"), 1)
})

test_that("a ledger behind a link has one folder of objects", {
  skip_on_os("windows")
  file <- local_file()
  id <- log_run(file, list(), list(), artifacts = list(a = 1))
  link <- withr::local_tempfile()
  file.symlink(file, link)
  expect_identical(read_artifact(link, id, "a"), 1)
  log_run(link, list(), list(), artifacts = list(b = 2))
  expect_false(dir.exists(paste0(link, ".objects")))
  expect_length(object_files(file), 2)
})

test_that("a ledger and its objects can be moved together", {
  file <- local_file()
  id <- log_run(file, list(), list(m = 1), artifacts = list(model = mtcars))
  folder <- withr::local_tempdir()
  file.copy(c(file, paste0(file, ".objects")), folder, recursive = TRUE)
  moved <- file.path(folder, basename(file))
  expect_identical(read_artifact(moved, id, "model"), mtcars)
  expect_identical(verify_ledger(moved)$status, "ok")
})

test_that("what is wrong with a call is said", {
  file <- local_ledger()
  id <- log_run(file, list(), list(), artifacts = list(model = 1))
  run <- start_run(file)
  fit <- lm(dist ~ speed, cars)
  withr::local_dir(withr::local_tempdir())
  writeLines("", "model.txt")
  expect_snapshot_conditions({
    log_run(file, list(), list(), artifacts = 1)
    log_run(file, list(), list(), artifacts = list(1))
    log_run(file, list(), list(), artifacts = list(a = "no such file"))
    log_run(file, list(), list(), artefacts = list(a = 1))
    read_artifact(file, id, "modle")
    read_artifact(file, "20261123-000000-abc", "model")
    log_artifact("log.csv", "model", 1)
    log_artifact(run, fit, "model")
    log_artifact(run, "model.txt", "model")
    log_artifact(run, fit)
    log_artifact(run, 3)
    log_artifact(run, "model")
    log_artifact(run, no_such_thing)
    log_artifact(run, no_such_thing, "model")
    log_artifact(run)
    log_artifact(run, x = fit)
    log_artifact(run, NA, fit)
    log_artifact(run, "model", "none.txt")
    log_artifact(run, "model", fit, FALSE)
    log_artifact(run, "model", fit, keep = "no")
    log_artifact(run, "model", fit, keep = NULL)
    log_run(file, list(), list(), artifacts = list(model = fit), keep = NA)
    log_run(file, list(), list(), keep = 3)
    log_artifact(run, "model.txt", keep = NA)
  }, transform = no_ids)
})

test_that("nothing is stored for a file that is no ledger", {
  file <- withr::local_tempfile(lines = "precious")
  expect_error(log_run(file, list(), list(), artifacts = list(a = 1)), class = "fitledger_error_not_a_ledger")
  expect_false(dir.exists(paste0(file, ".objects")))
})
