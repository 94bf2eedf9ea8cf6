# Writes tests/testthat/fixtures/contract: a ledger, its page, and what R answers to questions about it. What the
# core and the page compute of the same, their tests hold against these answers: Rscript contract.R
library(fitledger)
options(fitledger.context = character())
folder <- "../../../tests/testthat/fixtures/contract"
unlink(folder, recursive = TRUE)
dir.create(folder)
file <- file.path(folder, "runs.csv")

run <- function(params, metrics, ...) log_run(file, params, metrics, ...)
day <- as.Date("2026-03-01")
when <- as.POSIXct("2026-03-01 12:30:00", tz = "UTC")
for (i in 1:24) {
  run(
    params = c(
      list(
        lambda = c(0, 0.1, 1, 10, NA, Inf, NaN, -2.5)[[(i - 1) %% 8 + 1]],
        model = c("ridge", "lasso", NA, "Tree")[[(i - 1) %% 4 + 1]],
        k = c(1L, 2L, NA, 4L, 5L)[[(i - 1) %% 5 + 1]],
        scaled = c(TRUE, FALSE, NA)[[(i - 1) %% 3 + 1]],
        day = day + i, when = when + 3600 * i, `odd name` = i / 2, x = i, naïve = i %% 2
      ),
      if (i %% 6 == 0) list(rare = "a \"quoted\" text")
    ),
    metrics = list(rmse = 1 + i / 10, x = -i, score = c(0.5, Inf, -Inf, NaN, NA, 0.5)[[(i - 1) %% 6 + 1]]),
    tags = if (i %% 2 == 0) list(by = c("ann", "bob")[[i %% 4 / 2 + 1]]),
    seed = if (i %% 3 == 0) i
  )
}
void_run(file, read_runs(file)$run_id[[24]], "for the test")

# The best are tied, or better but not finished.
run(list(k = 1.5), list(rmse = 1.1))
run(list(k = 2L), list(rmse = 3.3))
run(list(k = 3L), list(rmse = NA_real_))
for (status in c("failed", "interrupted")) {
  live <- start_run(file, list(k = 4L))
  log_metrics(live, rmse = 0.5)
  end_run(live, list(rmse = 9), status = status)
}
running <- start_run(file, list(k = 5L))
log_metrics(running, rmse = 0.2)
void_run(file, run(list(k = 6L), list(rmse = 0.1)), "too good")

# Names that collide, with each other and with ours.
run(list(y = 1, params.y = 2, host = "mine", details.host = "mine, too"), list(y = 3, rmse = 2))
run(list(v = 1:3), list(rmse = 2.5))
run(list(v = "text"), list(rmse = 2.5))

# What runs are called and belong to, and what was said of them.
parent <- run(list(k = 6), list(rmse = 3.9), name = "the outer one", experiment = "folds")
for (k in 7:8) run(list(k = k), list(rmse = 3.7), name = paste("fold", k), experiment = "folds", parent = parent)
log_note(file, parent, "twice as slow")

# Series: the best on the way isn't the best at the end; some have nothing that is a number; one failed.
series <- function(values, last = NULL, status = "finished") {
  live <- start_run(file, list(k = 9L))
  for (step in seq_along(values)) log_metrics(live, loss = values[[step]], step = step)
  end_run(live, c(list(), loss = last), status = status)
}
series(c(4, 1, 6, 3))
series(c(2, 2.5, 9, 2))
series(c(5, NaN, NA, 0.5, 7))
series(c(NaN, NaN))
series(c(NaN, NA), last = 2.75)
series(c(-Inf, 3))
series(c(3, Inf), last = 1.5)
series(c(0.1, 100), status = "failed")
run(list(k = 9L), list(loss = 2.25))

conditions <- c(
  "lambda > 1", "lambda >= 1", "lambda < 1", "lambda <= 0", "lambda == 0.1", "lambda != 0.1", "1 < lambda", "lambda == Inf", "lambda > -Inf",
  "lambda > 1 & model == \"ridge\"", "lambda > 1 | model == 'ridge'",
  "!(lambda > 1)", "!lambda > 1", "!is.na(lambda)", "is.na(lambda)", "is.na(model) | is.na(k)", "is.na(model) & !is.na(k)",
  "model %in% c(\"ridge\", \"Tree\")", "!model %in% c('ridge')", "k %in% c(1, 2, NA)", "k %in% 4", "!(k %in% c(1L, 5L))", "model %in% c(\"ridge\", NA)",
  "scaled", "!scaled", "scaled == TRUE", "scaled != FALSE", "is.na(scaled)", "scaled | k > 3", "scaled & k > 3", "xor(scaled, k > 2)", "TRUE", "FALSE", "NA", "T & F",
  "NA & FALSE", "NA | TRUE", "lambda == NA", "k + 1 == 3", "k * 2 - 1 > rmse", "k / 2 == 1", "-k < -3", "--k == 4", "2^k == 16", "-2^2 == -4", "2^-1 == 0.5", "2^3^1 == 8",
  "k %% 2 == 0", "k %/% 2 == 1", "-k %% 3 == 1", "k ^ 2 > 10 & !scaled", "abs(lambda) > 2", "sqrt(lambda) < 1", "log10(lambda) >= 0", "log(lambda) < 0", "exp(k) > 50",
  "floor(rmse) == 2", "ceiling(rmse) == 2", "round(rmse) == 2", "round(`odd name`) == 2", "log2(k) == 2", "log1p(k) > 1.5",
  "`odd name` > 3", "`odd name` == 2.5 | `lambda` == 1", "params.x > 20", "metrics.x < -20", "params.x + metrics.x == 0", "naïve == 1",
  "day > \"2026-03-10\"", "day == '2026-03-05'", "\"2026-03-05\" > day",
  "rare == \"a \\\"quoted\\\" text\"", "rare == 'a \"quoted\" text'", "startsWith(model, \"ri\")", "endsWith(model, \"o\") & k > 1", "model == \"lasso\" & (k == 2 | lambda > 1)",
  "tags$by == \"ann\"", "tags$by != \"ann\"", "is.na(tags$by)", "tags$by %in% c(\"bob\")", "tags.by == \"ann\"", "name == \"fold 7\"", "experiment == \"folds\"", "is.na(experiment) & k > 4",
  "is.na(parent) & k > 5", "!is.na(parent)", "!is.na(notes)", "startsWith(notes, \"twice\")", "is.na(void_reason)", "!is.na(error)", "seed > 10", "is.na(seed)", "status == \"finished\"", "status != 'finished'", "looks == 0", "is.na(user)",
  "1e-1 == lambda", "0x10 < params.x", "params.x == 10L", "5. < params.x & .5 < params.x", " lambda>1&k<5 ", "lambda > 1 &\n k < 5", "T", "lambda>-1", "k<4|k>4", "((k)) == (4)", "TRUE == scaled",
  "k == 4 & TRUE", "lambda * 0 == 0", "scaled + 1 == 2", "!k", "model == \"ridge\" | TRUE & k == 1",
  "grepl(\"i\", model)", "grepl(\"^r.*e$\", model)", "grepl(\"LASSO\", model, ignore.case = TRUE)", "grepl(\".\", model, fixed = TRUE)", "!grepl(\"a\", model)",
  "grepl(pattern = \"T\", x = model)", "grepl(x = model, \"T\")", "grepl(\"ann|bob\", tags$by)", "grepl(\"\\\"quo\", rare)", "grepl(\"[0-9]+$\", name) & k > 7", "grepl(\"a\\\\.b\", model)",
  "is.finite(lambda)", "!is.finite(lambda)", "is.infinite(score)", "is.infinite(-lambda)", "trunc(lambda) == -2", "sign(lambda) == -1", "nchar(model) == 5", "is.na(nchar(model))",
  "day == as.Date(\"2026-03-05\")", "day > as.Date(\"2026-03-05\") + 10", "day - 1 == \"2026-03-05\"", "1 + day == \"2026-03-05\"", "day - as.Date(\"2026-03-01\") > 10", "day %in% as.Date(\"2026-03-05\")",
  "day %in% c(as.Date(\"2026-03-05\"), as.Date(\"2026-03-07\"))", "as.Date(when) == as.Date(\"2026-03-02\")", "when > as.Date(\"2026-03-01\")", "when == day", "when > as.POSIXct(\"2026-03-02 01:30\", tz = \"UTC\")",
  "when + 1800 > as.POSIXct(\"2026-03-02 02:00:00\", tz = \"UTC\")", "when - 86400 >= \"2026-03-01 00:30\"", "when > \"2026-03-02 01:30\"", "when >= \"2026-03-02T01:30:00+02:00\"", "when == \"2026-03-01T13:30:00Z\"",
  "timestamp < Sys.time() + 1e9", "timestamp > Sys.time() - 1e10", "Sys.Date() - day < Inf", "timestamp <= Sys.Date() + 10000", "k %in% (1 + 1)", "k * (1 + 1) == 4"
)

# What grepl() finds, of expressions that mean the same to every reader of them.
texts <- c("ridge", "lasso", "Tree 10", "a.b", "", "a\\b", "}x]", "x-y", "aab", "AAB", "na\u00efve \u00e9", "line\nline", "((", "$5 ^2", "a|b", "\U1F600")
expressions <- c(
  "r", "^r", "e$", "^$", "", "[0-9]+", "\\d", "a.b", "a\\.b", "(ri|la)", "a{2}", "a{2,}", "a{0,1}b", "^a{1,2}b$", "x|", "()", "[]x]", "[^]]", "[a-]", "[-y]", "}", "\\}", "]", "\\]", "[[:digit:]]", "[^[:digit:]a-z]",
  "\\\\", "x\\-y", "a\\/b", "(a|b)*b", "^(a|b)*$", "a^b", "$a", "T[^e]+e", "(^|x)-", "a?b$", "\\^", "\\$", "[.]", "[a-c]{2}", "(a+)+$", "(a*)*b", "((a|b)|(c|s))+", "\u00ef", "na.ve", "^.$", "e.l", "^.{10}$", "\\(\\(", "[$^]", "[A-Z]{3}",
  "o|T|5", "^(l|r).*(e|o)$", "(|a)b", "a(b|)$", "l.*l", "s+o", "^[^a-z]*$", "\\|"
)
found <- unlist(lapply(expressions, function(pattern) {
  lapply(c(FALSE, if (!any(utf8ToInt(pattern) > 127)) TRUE), function(ignore) {
    list(pattern = pattern, ignore = ignore, found = I(which(grepl(pattern, texts, ignore.case = ignore)) - 1L))
  })
}), recursive = FALSE)

all <- read_runs(file, details = TRUE, void = TRUE)
runs <- read_runs(file, details = TRUE)
rows <- function(frame) I(match(frame$run_id, all$run_id) - 1L)

where <- lapply(conditions, function(where) {
  list(where = where, rows = rows(eval(bquote(read_runs(file, where = .(str2lang(where)))))))
})

# Texts in the order of the alphabet, whatever the locale.
sorted <- setdiff(names(runs)[!vapply(runs, is.list, NA)], c("run_id", "timestamp"))
sort <- unlist(lapply(sorted, function(by) {
  key <- if (is.character(runs[[by]])) tolower(runs[[by]]) else runs[[by]]
  lapply(c(FALSE, TRUE), function(descending) {
    order <- order(key, decreasing = descending, na.last = TRUE, method = "radix")
    list(by = by, descending = descending, rows = rows(runs[order, ]))
  })
}), recursive = FALSE)

best <- unlist(lapply(c("rmse", "score", "x", "y"), function(metric) {
  unlist(lapply(c(FALSE, TRUE), function(maximize) {
    c(
      lapply(c(1L, 3L, 100L), function(n) {
        list(metric = metric, maximize = maximize, n = n, rows = rows(best_run(file, metric, maximize, n = n)))
      }),
      lapply(c("k > 2", "status == \"failed\"", "is.na(model)", "rmse > 1.1 & rmse < 3.3"), function(where) {
        found <- eval(bquote(best_run(file, metric, maximize, where = .(str2lang(where)))))
        list(metric = metric, maximize = maximize, n = 1L, where = where, rows = rows(found))
      })
    )
  }), recursive = FALSE)
}), recursive = FALSE)

over <- unlist(lapply(c("min", "max", "mean"), function(over) {
  unlist(lapply(c(FALSE, TRUE), function(maximize) {
    lapply(c("TRUE", "k == 9 & loss > 2", "is.na(loss)"), function(where) {
      found <- eval(bquote(best_run(file, "loss", maximize, over = over, where = .(str2lang(where)))))
      list(metric = "loss", maximize = maximize, over = over, where = where, rows = rows(found))
    })
  }), recursive = FALSE)
}), recursive = FALSE)

answers <- list(
  runs = all$run_id, statuses = all$status, labels = names(all), where = where, sort = sort, best = best,
  over = over, texts = texts, grepl = found
)
# One question a line, so that a change shows.
line <- function(x) jsonlite::toJSON(x, auto_unbox = TRUE, digits = NA)
lines <- function(x) paste0("[\n", paste(vapply(x, line, ""), collapse = ",\n"), "\n]")
parts <- vapply(answers, function(x) if (is.list(x)) lines(x) else line(x), "")
writeLines(paste0("{\n", paste0("\"", names(parts), "\": ", parts, collapse = ",\n"), "\n}"), file.path(folder, "answers.json"), useBytes = TRUE)

html <- paste(readLines(view_runs(file, open = FALSE), encoding = "UTF-8", warn = FALSE), collapse = "\n")
data <- regmatches(html, regexpr("(?<=type=\"application/json\">)[^<]*(?=</script>)", html, perl = TRUE))
writeLines(data, file.path(folder, "page.json"), useBytes = TRUE)
