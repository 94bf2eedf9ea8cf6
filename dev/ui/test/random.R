# A ledger with every sort of event, at random, and what R says of it: Rscript random.R FOLDER SEED
# Leaves page.html, what a live page is told meanwhile (live.json), runs.json, compare.json and lineage.json.
library(fitledger)
arguments <- commandArgs(TRUE)
folder <- arguments[[1]]
set.seed(as.integer(arguments[[2]]))
dir.create(folder, showWarnings = FALSE, recursive = TRUE)
file <- file.path(folder, "runs.csv")

one_of <- function(x) x[[sample.int(length(x), 1)]]
chance <- function(p) stats::runif(1) < p
values <- list(
  0.1, 5, 5L, -0.5, 1e300, 1e-7, Inf, NaN, NA, NA_real_, NA_character_, TRUE, FALSE, NULL, "ridge", "lasso", "", "NA", "5", "a, b", "</script>",
  c(1, 2), 1:2, c("a", "b"), c(a = 1), list(1, "x"), y ~ x, as.Date("2026-03-01"), as.POSIXct("2026-03-01 12:30:00", tz = "UTC"),
  as.difftime(90, units = "secs"), numeric()
)
plain <- list(0.1, 0.2, 1, 2L, 3L, "ridge", "lasso", TRUE)
some <- function(names, from) {
  names <- sample(names, sample.int(length(names), 1) - 1)
  stats::setNames(lapply(names, function(name) one_of(from)), names)
}
# Few odd values, so that most columns have one type.
params <- function() c(some(c("learner", "model", "lambda", "x", "params.x", "status", "tags.by", "2", "1"), plain), some(c("odd", "odder", "seed"), values))
metrics <- function() some(c("rmse", "x", "metrics.x", "looks"), list(0.5, 0.25, 1L, NA_real_, Inf))
tags <- function() if (chance(0.4)) some(c("by", "round", "tags$by"), list("ann", "bob", 1L, NA))
frames <- list(cars, cars[1:5, ], data.frame(a = 1:3, `b c` = c("x", "y", "z"), check.names = FALSE), data.frame(a = 1))
labels <- list(I("snapshot"), I("snapshot 2"))
data <- function() {
  if (chance(0.4)) one_of(list(one_of(frames), list(train = one_of(frames), test = one_of(frames)), one_of(labels), list(a = one_of(frames), `a b` = cars)))
}
artifacts <- function() {
  if (chance(0.4)) one_of(list(list(model = one_of(frames)), list(model = 1:3, fit = one_of(frames)), list(out = "text", again = "text")))
}

contexts <- list(character(), c("user", "host", "script", "git", "packages"), "packages", c("user", "host"))
live <- list()
# Run and name of each artifact.
stored <- list()
ids <- character()
told <- list()
mark <- NULL
for (i in 1:120) {
  # Another context is another session.
  if (chance(0.15)) options(fitledger.context = one_of(contexts))
  event <- one_of(c("run", "run", "run", "start", "log", "log", "end", "resume", "void", "note", "reveal", "register", "promote", "rollback", "call"))
  try(suppressMessages(suppressWarnings(switch(event,
    run = {
      kept <- artifacts()
      id <- log_run(
        file, params(), metrics(),
        artifacts = kept, data = data(), seed = if (chance(0.3)) i, tags = tags(), sealed = if (chance(0.1)) list(audit = i / 7),
        name = if (chance(0.3)) paste("run", i), experiment = if (chance(0.3)) one_of(c("a", "b")),
        parent = if (chance(0.3) && length(ids)) one_of(ids)
      )
      stored <- c(stored, lapply(names(kept), function(name) list(id, name)))
    },
    start = live <- c(live, list(start_run(file, params(), data = data(), tags = tags()))),
    log = {
      run <- one_of(live)
      one_of(list(
        quote(log_metrics(run, loss = stats::runif(1), step = i)), quote(do.call(log_params, c(list(run), params()))),
        quote(log_artifact(run, paste0("a", i), one_of(frames))), quote(log_tags(run, by = "bob"))
      )) |> eval()
    },
    end = end_run(one_of(live), metrics(), status = one_of(c("finished", "failed", "interrupted"))),
    resume = start_run(file, resume = one_of(live)$run_id),
    void = void_run(file, one_of(ids), "a reason"),
    note = log_note(file, one_of(ids), "a note"),
    reveal = reveal_run(file, one_of(ids), "why not"),
    register = register_model(file, one_of(c("m", "other model")), (of <- one_of(stored))[[1]], of[[2]]),
    promote = promote_model(file, one_of(c("m", "other model")), one_of(1:3), one_of(c("production", "staging"))),
    rollback = rollback_model(file, one_of(c("m", "other model"))),
    call = log_call(file, lm(dist ~ speed, data = cars), metrics = function(fit) list(rmse = 1), tags = tags())
  ))), silent = TRUE)
  if (file.exists(file)) {
    ids <- read_runs(file, void = TRUE)$run_id
    news <- fitledger:::signal_failure(fitledger:::native_page_data(file, mark, character(), NULL, TRUE), NULL)
    if (!is.null(news)) {
      told <- c(told, rawToChar(news))
      mark <- jsonlite::parse_json(rawToChar(news))$mark
    }
  }
}
writeLines(paste0("[", paste(told, collapse = ",\n"), "]"), file.path(folder, "live.json"), useBytes = TRUE)

write <- function(x, name) writeLines(jsonlite::toJSON(x, auto_unbox = TRUE, null = "null", na = "null", digits = NA), file.path(folder, name), useBytes = TRUE)
invisible(view_runs(file, file.path(folder, "page.html"), open = FALSE))

runs <- read_runs(file, details = TRUE, void = TRUE)
ours <- grep("tags.", setdiff(names(runs), names(read_runs(file, void = TRUE))), value = TRUE, fixed = TRUE, invert = TRUE)
details <- stats::setNames(lapply(ours, function(name) runs[[name]]), ours)
write(list(labels = I(names(runs)), details = lapply(details[!vapply(details, is.list, NA)], I)), "runs.json")

compared <- lapply(1:25, function(i) {
  chosen <- sample(ids, min(length(ids), one_of(c(1, 2, 2, 3, 5))))
  all <- chance(0.4)
  fields <- compare_runs(file, chosen, only_different = !all)
  cells <- unname(as.list(unclass(fields)[-(1:2)]))
  list(runs = I(chosen), all = all, kind = I(fields$kind), field = I(fields$field), cells = lapply(cells, I))
})
write(compared, "compare.json")

models <- read_models(file)
stages <- unlist(lapply(seq_len(nrow(models)), function(i) if (length(models$stages[[i]])) paste0(models$model[[i]], "@", models$stages[[i]])))
starts <- c(ids, if (nrow(models)) paste0(models$model, "/", models$version), stages)
traced <- unlist(lapply(starts, function(start) {
  lapply(c("up", "down"), function(direction) {
    lineage <- trace_lineage(file, start, direction = direction)
    nodes <- lineage$nodes
    edges <- lineage$edges[nodes$kind[lineage$edges$to] != "package", ]
    list(
      kind = if (start %in% ids) "run" else if (grepl("@", start)) "stage" else "version", id = start, direction = direction,
      nodes = nodes[nodes$kind != "package", c("kind", "id", "label", "problem")],
      edges = lapply(seq_len(nrow(edges)), function(i) {
        list(nodes$kind[edges$from[i]], nodes$id[edges$from[i]], edges$relation[i], nodes$kind[edges$to[i]], nodes$id[edges$to[i]])
      })
    )
  })
}), recursive = FALSE)
write(traced, "lineage.json")
