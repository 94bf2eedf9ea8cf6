# What R answers to conditions: writes where.json, which where.test.mjs compares the page's answers with.
library(fitledger)
options(fitledger.context = character())
file <- tempfile(fileext = ".csv")
run <- function(...) log_run(file, list(...)[["params"]], list(...)[["metrics"]], tags = list(...)[["tags"]], seed = list(...)[["seed"]])
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
    metrics = list(rmse = 1 + i / 10, x = -i),
    tags = if (i %% 2 == 0) list(by = c("ann", "bob")[[i %% 4 / 2 + 1]]),
    seed = if (i %% 3 == 0) i
  )
}
void_run(file, read_runs(file)$run_id[[24]], "for the test")

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
  "tags$by == \"ann\"", "tags$by != \"ann\"", "is.na(tags$by)", "tags$by %in% c(\"bob\")", "seed > 10", "is.na(seed)", "status == \"finished\"", "status != 'finished'", "looks == 0", "is.na(user)",
  "1e-1 == lambda", "0x10 < params.x", "params.x == 10L", "5. < params.x & .5 < params.x", " lambda>1&k<5 ", "lambda > 1 &\n k < 5", "T", "lambda>-1", "k<4|k>4", "((k)) == (4)", "TRUE == scaled",
  "k == 4 & TRUE", "lambda * 0 == 0", "scaled + 1 == 2", "!k", "model == \"ridge\" | TRUE & k == 1"
)
runs <- read_runs(file)
answers <- lapply(conditions, function(where) {
  rows <- eval(bquote(read_runs(file, where = .(str2lang(where)))))
  list(where = where, rows = I(match(rows$run_id, runs$run_id) - 1L))
})
page <- view_runs(file, open = FALSE)
html <- paste(readLines(page, encoding = "UTF-8", warn = FALSE), collapse = "\n")
data <- regmatches(html, regexpr("(?<=type=\"application/json\">)[^<]*(?=</script>)", html, perl = TRUE))
json <- vapply(answers, jsonlite::toJSON, character(1), auto_unbox = TRUE, digits = NA)
writeLines(c("{\"data\":", data, ",\"answers\":[", paste0(json, c(rep(",", length(json) - 1), "")), "]}"), "where.json", useBytes = TRUE)
