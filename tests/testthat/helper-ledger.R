# A ledger of the kind that the suite is run over: a file, or one in a database.
local_ledger <- function(env = parent.frame()) {
  if (ledger_kind() == "postgres") local_postgres(env = env) else local_file(env)
}

ledger_kind <- function() Sys.getenv("FITLEDGER_TEST_LEDGERS", "file")

# For tests of what no other kind of ledger has, or does in another way, that take long, or whose ledger a helper makes.
skip_unless_file <- function() {
  skip_if(ledger_kind() != "file", "this is about the file itself")
}

# For what is about the file itself.
local_file <- function(env = parent.frame()) {
  withr::local_tempfile(fileext = ".csv", .local_envir = env)
}

# The file of a ledger of any kind, as it is now.
file_of <- function(ledger) {
  if (inherits(ledger, "fitledger_ledger")) check_ledger(ledger, "ledger") else ledger
}

# The code for a ledger in another process.
code_of <- function(ledger) {
  if (!inherits(ledger, "fitledger_ledger")) {
    return(encodeString(ledger, quote = "'"))
  }
  connect <- paste(deparse(body(ledger$connect), width.cutoff = 500), collapse = " ")
  sprintf("fitledger::ledger_postgres(function() %s, '%s')", connect, ledger$name)
}

golden <- function() {
  test_path("fixtures", "format-1.csv")
}

# A ledger with every event and every key that we write.
ledger_of_everything <- function(env = parent.frame()) {
  file <- local_ledger(env)
  loaded <- options(fitledger.context = c("user", "host", "script", "git", "packages", "code"))
  withr::defer(options(loaded))
  path <- withr::local_tempfile(lines = "by its path", .local_envir = env)
  id <- log_run(
    file, list(k = 3L, text = "a", rates = c(0.1, 0.2), formula = y ~ x), list(rmse = 1.5),
    artifacts = list(model = lm(dist ~ speed, cars), path = path), keep = FALSE, name = "first", experiment = "e", data = list(train = cars),
    seed = 1, tags = list(by = "ann"), sealed = list(test = 2)
  )
  run <- start_run(file, list(eta = 0.1), seed = c(10403L, 1:3), parent = id)
  for (step in 1:2) log_metrics(run, loss = 1 / step, step = step)
  log_artifact(run, "frame", cars)
  end_run(run, list(rmse = 2))
  try(with_run(file, list(k = 4L), function(run) stop("no such luck")), silent = TRUE)
  log_call(file, lm(dist ~ speed, cars))
  with_run(file, list(), function(run) stats::runif(1))
  log_note(file, id, "a note")
  void_run(file, run, "by mistake")
  restore_run(file, run, "it was right")
  reveal_run(file, id, "for the report")
  register_model(file, "price", id, signature = cars["speed"])
  register_model(file, "price", id, signature = data.frame(f = factor("a")))
  promote_model(file, "price", 1, gate = function(candidate, current) list(pass = TRUE, figures = list(rmse = 1), data = cars))
  try(promote_model(file, "price", 2, gate = function(candidate, current) list(pass = FALSE, figures = list(rmse = 1))), silent = TRUE)
  promote_model(file, "price", 2, why = "better")
  rollback_model(file, "price")
  log_tags(start_run(file), open = TRUE)
  file
}

# Everything of the file, to see that nothing has changed.
bytes <- function(file) {
  file <- file_of(file)
  readBin(file, "raw", file.size(file))
}

# The cells of a ledger as any reader of CSV sees them.
cells <- function(file) {
  utils::read.csv(file_of(file), colClasses = "character", encoding = "UTF-8")
}

# Whether each row is sealed by the one before it, computed without the package.
chain_holds <- function(file) {
  lines <- readLines(file_of(file), encoding = "UTF-8")
  sha256 <- function(text) {
    input <- withr::local_tempfile()
    writeBin(charToRaw(text), input)
    substr(system2("sha256sum", input, stdout = TRUE), 1, 64)
  }
  hash <- sha256(lines[[1]])
  for (line in lines[-1]) {
    body <- substr(line, 1, nchar(line) - 65)
    hash <- sha256(paste0(hash, body))
    if (hash != substr(line, nchar(line) - 63, nchar(line))) {
      return(FALSE)
    }
  }
  TRUE
}

# Printed lines without the ids of runs, which differ each time.
no_ids <- function(lines) {
  gsub("[0-9]{8}-[0-9]{6}-[0-9a-z]{12}", "<id>", lines)
}

# Runs R code in processes of their own, at the same time, and waits until each has said that it is done;
# the last one has ended by then, unless it is not waited for.
run_apart <- function(code, times = 1, env = character(), wait = TRUE) {
  script <- withr::local_tempfile(fileext = ".R", lines = code)
  logs <- replicate(times, tempfile())
  # Drivers of databases ask for the time zone, of which R warns where the system doesn't know it.
  if (!nzchar(Sys.getenv("TZ")) && !"TZ" %in% names(env)) {
    env <- c(env, TZ = "UTC")
  }
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  for (i in seq_len(times)) {
    withr::with_envvar(c(env, R_LIBS = libraries), {
      system2(
        file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script), i),
        stdout = logs[[i]], stderr = logs[[i]], wait = wait && i == times, timeout = if (wait && i == times) patience else 0
      )
    })
  }
  done <- function(log) file.exists(log) && any(readLines(log, warn = FALSE) %in% c("done", "Execution halted"))
  wait_until(all(vapply(logs, done, logical(1))), "other R processes to be done")
  output <- lapply(logs, readLines, warn = FALSE)
  unlink(logs)
  output
}
