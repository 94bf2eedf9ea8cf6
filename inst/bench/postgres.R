# Rscript postgres.R HOST PORT USER DATABASE [small] [--csv FILE]
#
# Times a ledger in a PostgreSQL database beside what the database does by itself, over the same kind of connection. It makes
# a schema of its own, `fitledger_bench`, and drops it. `small` is a form to see that all of it runs.

arguments <- commandArgs(trailingOnly = TRUE)
is_small <- "small" %in% arguments
csv <- if ("--csv" %in% arguments) arguments[[match("--csv", arguments) + 1]]
sizes <- if (is_small) list(calls = 10, each = 5, rows = 2000, rounds = 1) else list(calls = 300, each = 200, rows = 1e6, rounds = 5)

suppressPackageStartupMessages(library(fitledger))
options(fitledger.context = character())
folder <- tempfile("bench-")
dir.create(folder)
Sys.setenv(R_USER_CACHE_DIR = file.path(folder, "cache"), R_USER_DATA_DIR = file.path(folder, "data"), TZ = "UTC")
connect <- rlang::new_function(list(), bquote(DBI::dbConnect(
  RPostgres::Postgres(),
  host = .(arguments[[1]]), port = .(arguments[[2]]), user = .(arguments[[3]]), dbname = .(arguments[[4]]), timezone_out = "UTC"
)), globalenv())
connection <- connect()
run_sql <- function(...) suppressWarnings(DBI::dbGetQuery(connection, paste0(...), immediate = TRUE))
drop_all <- function() run_sql("DROP SCHEMA IF EXISTS fitledger_bench CASCADE; DROP TABLE IF EXISTS fitledger_bench_plain")
invisible(drop_all())
invisible(run_sql("CREATE TABLE fitledger_bench_plain (line bytea)"))
ledger <- function(name) ledger_postgres(connect, name, schema = "fitledger_bench")
elapsed <- function(code) system.time(code)[[3]]
median_of <- function(code) {
  code <- substitute(code)
  caller <- parent.frame()
  stats::median(vapply(seq_len(sizes$rounds), function(i) elapsed(eval(code, caller)), 0))
}

team <- ledger("one")
log_run(team, list(model = "ridge", lambda = 0.1), list(rmse = 1.5))
bytes <- paste0("'\\x", paste(rep("41", 330), collapse = ""), "'")
insert <- function(connection) DBI::dbExecute(connection, paste0("INSERT INTO fitledger_bench_plain VALUES (", bytes, ")"), immediate = TRUE)
results <- data.frame()
add <- function(what, ours, theirs, beside, unit) {
  line <- data.frame(what = what, fitledger = signif(ours, 3), beside = signif(theirs, 3), ratio = signif(ours / theirs, 2), unit = unit, `beside it` = beside, check.names = FALSE)
  results <<- rbind(results, line)
  print(line, row.names = FALSE)
}

# One durable run, and an INSERT of as many bytes. Alternating, so that both see the same disk.
ours <- theirs <- numeric()
for (round in seq_len(sizes$rounds)) {
  theirs[[round]] <- elapsed(for (i in seq_len(sizes$calls)) insert(connection)) / sizes$calls
  ours[[round]] <- elapsed(for (i in seq_len(sizes$calls)) log_run(team, list(model = "ridge", lambda = i), list(rmse = 1.5))) / sizes$calls
}
add("log_run(), durable", 1e3 * stats::median(ours), 1e3 * stats::median(theirs), "INSERT of the same bytes", "ms")

# Eight clients, each in a process of its own.
crowd <- function(work) {
  script <- file.path(folder, "client.R")
  start <- file.path(folder, "start")
  unlink(c(start, Sys.glob(file.path(folder, "*.ready")), Sys.glob(file.path(folder, "*.done"))))
  lines <- c(
    "suppressPackageStartupMessages(library(fitledger)); options(fitledger.context = character())",
    paste("connect <-", paste(deparse(connect), collapse = "\n")), "connection <- connect()",
    "team <- ledger_postgres(connect, 'eight', schema = 'fitledger_bench')", paste("bytes <-", encodeString(bytes, quote = "\"")),
    paste("insert <-", paste(deparse(insert), collapse = "\n")), "invisible(read_runs(team)); name <- commandArgs(TRUE)",
    sprintf("file.create(file.path('%s', paste0(name, '.ready')))", folder),
    sprintf("while (!file.exists('%s')) Sys.sleep(0.001)", start), sprintf("for (i in seq_len(%d)) %s", sizes$each, work),
    sprintf("file.create(file.path('%s', paste0(name, '.done')))", folder)
  )
  writeLines(lines, script)
  for (i in 1:8) {
    system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script), i), wait = FALSE, stdout = FALSE, stderr = FALSE, env = paste0("R_LIBS=", paste(.libPaths(), collapse = ":")))
  }
  all_there <- function(what) length(Sys.glob(file.path(folder, paste0("*.", what)))) == 8
  while (!all_there("ready")) Sys.sleep(0.01)
  elapsed({
    file.create(start)
    while (!all_there("done")) Sys.sleep(0.005)
  })
}
log_run(ledger("eight"), list(), list(rmse = 1))
ours <- theirs <- numeric()
for (round in seq_len(min(sizes$rounds, 3))) {
  theirs[[round]] <- 8 * sizes$each / crowd("insert(connection)")
  ours[[round]] <- 8 * sizes$each / crowd("log_run(team, list(model = 'ridge', lambda = i), list(rmse = 1.5))")
}
add("eight clients, log_run()", stats::median(ours), stats::median(theirs), "eight that INSERT", "runs/s")

# The first mirror of a large ledger, and COPY of its rows to a file.
large <- ledger("large")
runs <- data.frame(model = "ridge", lambda = seq_len(sizes$rows), rmse = stats::runif(sizes$rows))
seconds <- elapsed(log_runs(large, runs, c("model", "lambda"), "rmse"))
copied <- file.path(folder, "copied")
copy <- function() {
  command <- sprintf(
    "psql -h %s -p %s -U %s %s -c \"\\copy (SELECT line FROM fitledger_bench.rows JOIN fitledger_bench.ledgers USING (ledger) WHERE name = 'large' ORDER BY rows.seq) TO '%s'\"",
    arguments[[1]], arguments[[2]], arguments[[3]], arguments[[4]], copied
  )
  system(command, ignore.stdout = TRUE)
}
theirs <- elapsed(copy())
Sys.setenv(R_USER_CACHE_DIR = file.path(folder, "cache-2"), R_USER_DATA_DIR = file.path(folder, "data-2"))
script <- file.path(folder, "mirror.R")
writeLines(c(
  "suppressPackageStartupMessages(library(fitledger))", paste("connect <-", paste(deparse(connect), collapse = "\n")),
  "team <- ledger_postgres(connect, 'large', schema = 'fitledger_bench')", "cat(system.time(fitledger:::check_ledger(team, 'file'))[[3]])"
), script)
ours <- as.numeric(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)), stdout = TRUE, stderr = FALSE, env = paste0("R_LIBS=", paste(.libPaths(), collapse = ":"))))
add(sprintf("first mirror of %s rows", format(sizes$rows, big.mark = ",", scientific = FALSE)), ours, theirs, "COPY to a file", "s")

# What is best, after one more run from elsewhere.
best_run(large, "rmse")
trip <- median_of(for (i in 1:50) run_sql("SELECT 1")) / 50
other <- ledger_postgres(rlang::new_function(list(), bquote({
  0
  .(body(connect))
}), globalenv()), "large", schema = "fitledger_bench")
ours <- vapply(seq_len(if (is_small) 3 else 20), function(i) {
  log_run(other, list(model = "ridge", lambda = i), list(rmse = 1))
  elapsed(best_run(large, "rmse"))
}, 0)
add("best_run() after one more run", 1e3 * stats::median(ours), 1e3 * trip, "one round trip", "ms")
add(sprintf("log_runs() of %s rows", format(sizes$rows, big.mark = ",", scientific = FALSE)), seconds, theirs, "COPY of them to a file", "s")

invisible(drop_all())
if (!is.null(csv)) utils::write.csv(results, csv, row.names = FALSE)
