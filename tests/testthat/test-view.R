# The page of a ledger, as a file and live.

skip_if_not_installed("jsonlite")

test_that("columns have their types, and every value its digits", {
  file <- local_ledger()
  log_run(
    file,
    list(x = 0.1 + 0.2, n = 5L, on = TRUE, day = as.Date("2026-11-23"), model = "ridge", any = 1, v = 1:3, f = y ~ x),
    list(rmse = NaN)
  )
  log_run(file, list(x = -Inf, n = NA, model = NA_character_, any = "text"), list(rmse = 1e300))
  log_run(file, list(x = 5, model = "ridge", t = as.POSIXct(1.5, origin = "1970-01-01"), d = as.difftime(2, units = "mins")), list())
  data <- shown(file)
  values <- function(...) column(data, ...)$values

  expect_equal(data$format, 1)
  expect_equal(data$runs$n, 3)
  expect_equal(unlist(data$runs$id), read_runs(file)$run_id)
  expect_equal(unlist(data$runs$began), floor(as.numeric(read_runs(file)$timestamp) * 1000 + 1e-3))
  expect_identical(values("x"), list(0.1 + 0.2, "-Inf", 5L))
  expect_identical(values("n"), list(5L, list(na = "logical"), NULL))
  expect_identical(values("rmse", "metric"), list("NaN", 1e300, NULL))
  expect_identical(values("day")[[1]], "2026-11-23")
  expect_identical(values("t")[[3]], 1500L)
  expect_identical(values("d")[[3]], 120L)
  expect_identical(values("any")[1:2], list(list(t = "double", v = 1L), list(t = "character", v = "text")))
  expect_identical(values("v")[[1]], list(t = "vector", v = "1, 2, 3", json = list(1L, 2L, 3L)))
  expect_identical(column(data, "model")[c("levels", "codes")], list(levels = list("ridge"), codes = list(0L, -3L, 0L)))
  expect_identical(column(data, "f")$levels, list("y ~ x"))
})

test_that("what many runs have in common, or few have, is said once", {
  file <- local_ledger()
  log_runs(file, data.frame(a = 1:20, b = rep(c(1, 2), each = 10), rmse = 0.5), params = c("a", "b"), metrics = "rmse")
  for (i in 1:3) {
    log_run(file, list(c = 2, d = "x"), list(rmse = 1))
    log_runs(file, data.frame(a = 1:5), params = "a", metrics = character())
  }
  data <- shown(file)
  expect_identical(column(data, "b")[c("times", "values")], list(times = list(10L, 10L, 18L), values = list(1L, 2L, NULL)))
  for (i in seq_along(data$runs$columns)) {
    column <- data$runs$columns[[i]]
    expect_equal(length(spread(column, if (is.null(column$codes)) "values" else "codes", data$runs$n)), data$runs$n, info = column$name)
  }
  expect_identical(which(lengths(values_of(data, "c")) > 0), c(21L, 27L, 33L))
  expect_identical(unlist(values_of(data, "d")), rep("x", 3))
  expect_identical(unlist(values_of(data, "status", "detail")), rep("finished", 38))
})

test_that("names that collide are made different, none is lost", {
  file <- local_ledger()
  log_run(file, list(x = 1, params.x = 2, seed = 3, details.seed = 4), list(x = 5), seed = 6)
  labels <- vapply(shown(file)$runs$columns, `[[`, "", "label")
  frame <- read_runs(file, details = TRUE)
  expect_identical(anyDuplicated(names(frame)), 0L)
  expect_identical(labels, setdiff(names(frame), c("run_id", "timestamp", "tags")))
  expect_identical(frame[c("params.x.1", "params.x", "metrics.x", "seed", "details.seed", "details.seed.1")], data.frame(
    params.x.1 = 1, params.x = 2, metrics.x = 5, seed = 3, details.seed = 4, details.seed.1 = 6L
  ))
  expect_identical(nrow(read_runs(file, where = details.seed.1 == 6)), 1L)
  expect_identical(read_runs(file, columns = "details.seed.1")$details.seed.1, 6L)
})

test_that("everything else on record is there", {
  file <- local_ledger()
  id <- log_run(file, list(x = 1), list(rmse = 1), data = mtcars, seed = 42, tags = list(by = "ann"), artifacts = list(model = 1:3))
  register_model(file, "m", id)
  promote_model(file, "m", 1, gate = function(candidate, current) list(pass = TRUE, figures = list(rmse = 0.5)), why = "best")
  try(promote_model(file, "m", 1, "staging", gate = function(candidate, current) FALSE), silent = TRUE)
  log_note(file, id, "looks odd")
  bad <- log_run(file, list(x = 2), list(rmse = 0))
  void_run(file, bad, "leak")
  try(with_run(file, list(x = 3), function(run) stop("no")), silent = TRUE)
  run <- start_run(file, list(x = 4))
  log_metrics(run, loss = 0.5, step = 1)
  log_metrics(run, loss = Inf, step = 2)
  data <- shown(file)

  expect_equal(facts_of(data, 0)[["data data"]], hash_data(mtcars))
  expect_equal(values_of(data, "seed", "seed"), list(42L, NULL, NULL, NULL))
  expect_equal(values_of(data, "by", "tag"), list("ann", NULL, NULL, NULL))
  expect_equal(data$runs$notes$`0`[[1]]$text, "looks odd")
  expect_equal(data$runs$void_reason, list(`1` = "leak"))
  expect_equal(unlist(values_of(data, "status", "detail")), c("finished", "void", "failed", "running"))
  expect_equal(data$series$`3`$loss[c("step", "value")], list(step = list(1L, 2L), value = list(0.5, "Inf")))
  expect_equal(data$models[[1]][c("model", "version", "run", "stages")], list(model = "m", version = 1L, run = 0L, stages = list("production")))
  expect_equal(vapply(data$stages, `[[`, "", "event"), c("promote", "refuse"))
  expect_equal(data$stages[[1]]$figures$rmse$v, 0.5)
  expect_equal(data$integrity$status, "ok")
  expect_equal(data$sessions[[of_runs(data$runs$session, 4)[[1]] + 1]]$context$user, Sys.info()[["user"]])
  end_run(run)
})

test_that("what is sealed or redacted isn't there", {
  file <- local_ledger()
  id <- log_run(file, list(x = 1), list(rmse = 1), sealed = list(test = 0.987654321))
  log_call(file, identity(c(secret = "hunter2")), redact = "x")
  text <- page_json(view_runs(file, open = FALSE))
  expect_no_match(text, "0.987654321", fixed = TRUE)
  expect_no_match(text, "hunter2", fixed = TRUE)
  expect_equal(shown(file)$runs$sealed, list(`0` = list("test")))
  expect_equal(values_of(shown(file), "x")[[2]], list(redacted = TRUE))

  reveal_run(file, id, "report")
  expect_equal(values_of(shown(file), "test", "metric")[[1]], 0.987654321)
})

test_that("no text of a ledger leaves the element that holds the data", {
  file <- local_ledger()
  hostile <- c("</script><script>alert(1)</script>", "<!--", "\u2028\u2029", "\\u0000", "\"'&{{title}}", "]]>", strrep("long", 250000))
  for (text in hostile) {
    log_run(file, rlang::set_names(list(text), substr(text, 1, 100)), list(rmse = 1), tags = list(by = text))
  }
  page <- view_runs(file, open = FALSE)
  json <- page_json(page)
  expect_no_match(json, "<|\u2028|\u2029")
  data <- jsonlite::parse_json(json)
  expect_equal(unlist(values_of(data, "by", "tag")), hostile)
  expect_equal(length(gregexpr("<script", readChar(page, file.size(page), useBytes = TRUE), fixed = TRUE)[[1]]), 2)
})

test_that("artifacts are previewed if their bytes are right", {
  local_patient_previews()
  file <- local_file()
  folder <- withr::local_tempdir()
  path <- function(name, lines) {
    path <- file.path(folder, name)
    writeLines(lines, path)
    path
  }
  grDevices::png(plot <- file.path(folder, "plot.png"))
  plot(1)
  grDevices::dev.off()
  run <- start_run(file, list())
  log_artifact(run, "table", path("table.csv", c("a,b", rep("1,x", 150))))
  log_artifact(run, "text", path("text.txt", rep("</script> hello", 1e4)))
  log_artifact(run, "drawing", path("drawing.svg", "<svg onload='alert(1)'/>"))
  log_artifact(run, "plot", plot)
  log_artifact(run, "folder", folder)
  log_artifact(run, "elsewhere", path("secret.txt", "not kept"), keep = FALSE)
  log_artifact(run, "object", mtcars)
  log_artifact(run, "damaged", path("damaged.txt", "as it was"))
  end_run(run)
  data <- shown(file)
  entries <- data$runs$artifacts$`0`
  hash <- content(data, entries$damaged)
  object <- file.path(paste0(file, ".objects"), substr(hash, 1, 2), hash)
  Sys.chmod(object, "0600")
  writeLines("as it wasn", object)
  data <- shown(file)
  preview <- function(name) data$previews[[content(data, entries[[name]])]]

  expect_equal(preview("table")[c("kind", "names", "of")], list(kind = "table", names = list("a", "b"), of = 150L))
  expect_length(preview("table")$rows, 100)
  expect_equal(preview("text")$kind, "text")
  expect_true(preview("text")$cut)
  expect_equal(preview("drawing")$kind, "text")
  expect_equal(jsonlite::base64_dec(preview("plot")$base64), readBin(plot, "raw", 1e6))
  expect_setequal(vapply(preview("folder")$rows, `[[`, "", 1), c("table.csv", "text.txt", "drawing.svg", "plot.png"))
  expect_null(preview("elsewhere"))
  expect_match(preview("object")$text, "Mazda RX4", fixed = TRUE)
  expect_match(preview("damaged")$why, "changed")
  expect_equal(data$integrity$problems[[1]]$kind, "artifact")
})

test_that("more than a page can hold is left out, aloud", {
  file <- local_ledger()
  images <- lapply(1:20, function(i) {
    path <- withr::local_tempfile(.local_envir = parent.frame(2))
    writeBin(c(as.raw(c(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)), as.raw(rep(i, 1e6))), path)
    path
  })
  for (i in 1:20) {
    log_run(file, list(i = i), list(m = i), artifacts = list(image = images[[i]]))
  }
  page <- view_runs(file, open = FALSE)
  data <- jsonlite::parse_json(page_json(page))
  newest <- content(data, data$runs$artifacts$`19`$image)
  expect_equal(data$previews[[newest]]$kind, "image")
  expect_lt(length(data$previews), 20)
  expect_match(data$omitted[[1]], "Previews of [0-9] of 20 artifacts")
})

test_that("a ledger without runs, with failed ones alone, with many columns", {
  file <- local_file()
  try(with_run(file, list(x = 1), function(run) stop("no")), silent = TRUE)
  data <- shown(file)
  expect_equal(values_of(data, "status", "detail"), list("failed"))
  kinds <- function(data) vapply(data$runs$columns, `[[`, "", "kind")
  expect_false("metric" %in% kinds(data))

  wide <- local_file()
  log_run(wide, rlang::set_names(as.list(1:10000), paste0("p", 1:10000)), list(m = 1))
  expect_equal(sum(kinds(shown(wide)) == "parameter"), 10000)

  empty <- local_file()
  writeLines("seq,time,event,run_id,params,metrics,artifacts,context,hash", empty)
  data <- shown(empty)
  expect_equal(data$runs$n, 0)
  expect_equal(data$seq, 0)
})

test_that("a plain CSV is shown as it stands", {
  file <- local_file()
  writeLines(c(
    '"run_id","timestamp","model","lambda","test_rmse"',
    '"20261123-042047-0042","2026-11-23T04:20:47Z","ridge",0.1,1.96',
    '"20261123-042048-7731","2026-11-23T04:20:48Z","ridge",1,1.98'
  ), file)
  before <- bytes(file)
  expect_silent(data <- shown(file))
  expect_equal(data$file, basename(file))
  expect_null(data$ledger)
  expect_null(data$integrity)
  expect_equal(data$runs$id, list("20261123-042047-0042", "20261123-042048-7731"))
  expect_equal(values_of(data, "test_rmse", "metric"), list(1.96, 1.98))
  expect_match(data$omitted[[1]], "test_rmse")
  expect_equal(bytes(file), before)
  expect_false(file.exists(paste0(file, ".objects")))
})

test_that("a plain CSV without a run is an error that says so", {
  file <- local_file()
  writeLines('"run_id","timestamp","lambda","rmse"', file)
  expect_error(view_runs(file, open = FALSE), "without a run", class = "fitledger_error_argument")
})

test_that("the page of a ledger that doesn't verify says so; one that can't be read is an error", {
  file <- local_file()
  log_run(file, list(lambda = 1), list(rmse = 2))
  good <- rawToChar(bytes(file))
  writeBin(charToRaw(sub('rmse"":2.0', 'rmse"":1.0', good)), file)
  data <- shown(file)
  expect_equal(data$integrity$status, "corrupt")
  expect_equal(data$integrity$row, verify_ledger(file)$row)
  expect_equal(values_of(data, "rmse", "metric"), list(1L))

  writeBin(charToRaw(sub(",run,", ",r_n,", good)), file)
  expect_error(view_runs(file, open = FALSE), class = "fitledger_error_corrupt")
})

test_that("a page is put where it was asked for, in one step, over an earlier page alone", {
  file <- local_file()
  log_run(file, list(lambda = 1), list(rmse = 2))
  folder <- withr::local_tempdir()
  to <- file.path(folder, "a page.html")
  expect_equal(expect_invisible(view_runs(file, to, open = FALSE)), to)
  log_run(file, list(lambda = 2), list(rmse = 2))
  view_runs(file, to, open = FALSE)
  expect_match(page_json(to), '"n":2', fixed = TRUE)
  expect_equal(list.files(folder, all.files = TRUE, no.. = TRUE), "a page.html")

  writeLines("mine", mine <- file.path(folder, "mine.html"))
  expect_error(view_runs(file, mine, open = FALSE), class = "fitledger_error_exists")
  expect_error(view_runs(file, file, open = FALSE), class = "fitledger_error_exists")
  expect_error(view_runs(file, folder, open = FALSE), class = "fitledger_error_io")
  expect_error(view_runs(file, file.path(folder, "no", "page.html"), open = FALSE), class = "fitledger_error_io")
  expect_error(view_runs(local_file(), open = FALSE), class = "fitledger_error_not_found")
  expect_equal(readLines(mine), "mine")
  skip_on_os("windows")
  file.symlink(file.path(folder, "nowhere"), link <- file.path(folder, "link.html"))
  expect_error(view_runs(file, link, open = FALSE), class = "fitledger_error_exists")
  expect_equal(basename(Sys.readlink(link)), "nowhere")
})

test_that("somebody's file that comes into an earlier page's or export's place stays", {
  skip_on_cran()
  skip_on_os(c("windows", "mac", "solaris"))
  skip_unless_file()
  file <- local_file()
  log_run(file, list(lambda = 1), list(rmse = 2))
  folder <- withr::local_tempdir()
  verbs <- list(function(to) view_runs(file, to, open = FALSE), function(to) export_runs(file, to))
  for (verb in verbs) {
    to <- file.path(folder, "to")
    verb(earlier <- file.path(folder, "earlier"))
    # Another process puts files of its own and earlier ones of ours in the place, and says which of its own were gone.
    script <- withr::local_tempfile(lines = c(
      sprintf("setwd(%s)", deparse1(folder)),
      "gone <- 0",
      "for (i in 1:300) {",
      "  file.copy('earlier', 'ours')",
      "  file.rename('ours', 'to')",
      "  Sys.sleep(0.0005 * (i %% 20))",
      "  writeLines(as.character(i), 'theirs')",
      "  file.rename('theirs', 'to')",
      "  Sys.sleep(0.002)",
      # For a moment ours may stand there, until what it took the place of was looked at.
      "  is_theirs <- function() identical(tryCatch(readLines('to', n = 1, warn = FALSE), error = identity), as.character(i))",
      "  waited <- 0",
      "  while (!is_theirs() && waited < 500) { Sys.sleep(0.01); waited <- waited + 1 }",
      "  if (waited == 500) gone <- gone + 1",
      "}",
      "writeLines(as.character(gone), 'gone')"
    ))
    unlink(file.path(folder, "gone"))
    system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script)), wait = FALSE, stdout = FALSE, stderr = FALSE)
    wait_until({
      tryCatch(verb(to), fitledger_error_exists = identity)
      file.exists(file.path(folder, "gone"))
    }, "the other process")
    expect_identical(readLines(file.path(folder, "gone")), "0")
    unlink(file.path(folder, c("earlier", "to")))
  }
})

test_that("arguments are checked, and errors say what to do", {
  file <- "runs.csv"
  expect_snapshot_conditions({
    view_runs()
    view_runs(file, TRUE)
    view_runs(file, liv = TRUE)
    view_runs(file, live = NA)
    view_runs(file, open = "yes")
    view_runs(file, context = NA)
    view_runs(file, live = TRUE, port = 0)
    view_runs(file, live = TRUE, port = 65536)
    view_runs(file, live = TRUE, port = 80.5)
    view_runs(file, live = TRUE, port = "http")
    view_runs(file, port = 8000)
    view_runs(file, "page.html", live = TRUE)
    view_runs(file, "no/such/folder/page.html")
    view_runs(file)
    view_runs("runs", open = FALSE)
  })
})

test_that("a page holds the runs for which a condition holds, and says so", {
  file <- local_ledger()
  a <- log_run(file, list(x = 1, hidden_name = "b"), list(rmse = 1), artifacts = list(model = 1:3))
  b <- log_run(file, list(x = 2), list(rmse = 2), tags = list(by = "ann"), artifacts = list(model = 4:6))
  with_run(file, list(x = 3), function(run) {
    log_metrics(run, loss = 0.5, step = 1)
    log_run(file, list(x = 4), list(rmse = 4))
  })
  register_model(file, "m", a)
  register_model(file, "m", b)
  void_run(file, b, "leak")
  promote_model(file, "m", 1)
  x <- function(...) unlist(values_of(shown(file, ...), "x"))

  expect_identical(x(where = x > 1), 2:4)
  expect_identical(x(where = x > 1 & status != "void"), 3:4)
  expect_identical(x(where = tags$by == "ann"), 2L)
  least <- 3
  expect_identical(x(where = x >= least), 3:4)
  stored <- quote(x == 1)
  expect_identical(x(where = !!stored), 1L)
  handed <- function(condition) x(where = {{ condition }})
  expect_identical(handed(x < .env$least), 1:2)
  expect_identical(shown(file, where = x > 10)$runs$n, 0L)
  expect_length(x(where = NULL), 4)

  page <- view_runs(file, where = x > 1, open = FALSE)
  expect_no_match(page_json(page), "hidden_name", fixed = TRUE)
  data <- shown(file, where = x > 1)
  expect_identical(unlist(data$omitted), "Only runs for which `x > 1` holds are on this page.")
  expect_identical(lapply(data$models, `[[`, "run"), list(NULL, 0L))
  expect_identical(lapply(data$models, `[[`, "run_id"), list(a, b))
  expect_identical(data$stages[[1]]$version, 1L)
  expect_identical(names(data$series), "1")
  expect_null(values_of(shown(file, where = x == 4), "parent", "detail")[[1]])

  expect_snapshot_conditions({
    view_runs(file, where = y > 1)
    view_runs(file, where = "x > 1")
    view_runs(file, where = X > 1)
  })
  plain <- local_file()
  writeLines(c('"run_id","timestamp","x","rmse"', '"a","2026-11-23T04:20:47Z",1,2', '"b","2026-11-23T04:20:48Z",2,2'), plain)
  expect_identical(shown(plain, where = x == 2)$runs$id, list("b"))
})

test_that("a page for others holds nothing of people and machines", {
  file <- local_file()
  folder <- withr::local_tempdir("a-folder-of-mine")
  writeLines("x", path <- file.path(folder, "part.csv"))
  log_run(file, list(x = 1), list(rmse = 1), artifacts = list(part = path), keep = FALSE, data = path)
  try(with_run(file, list(x = 2), function(run) stop("there is no ", folder)), silent = TRUE)
  log_call(file, lm(dist ~ speed, data = cars), artifact = "model")
  register_model(file, "m", last_run_id(file))
  promote_model(file, "m", 1)
  running <- start_run(file, list(x = 3))
  # Names that are no words of the page itself.
  session <- shown(file)$sessions[[1]]$context
  rows <- rows_of(file)
  at <- rows[, "event"] == "session"
  replace <- function(key, by) sub(paste0('"', key, '":"[^"]*"'), paste0('"', key, '":"', by, '"'), rows[at, "context"])
  rows[at, "context"] <- replace("user", "a-person-of-ours")
  rows[at, "context"] <- replace("host", "a-machine-of-ours")
  other <- local_file()
  write_rows(rows, other)
  page <- function(...) {
    path <- view_runs(other, ..., open = FALSE)
    readChar(path, file.size(path), useBytes = TRUE)
  }
  holds <- function(page, text) grepl(text, page, fixed = TRUE, useBytes = TRUE)
  ours <- c(
    "a-person-of-ours", "a-machine-of-ours", basename(folder), session$boot, session$pids, session$git$commit,
    '"script_sha256"', '"rlang"', session$platform
  )
  with <- page()
  without <- page(context = FALSE)
  for (text in c("a-person-of-ours", "a-machine-of-ours", basename(folder))) expect_true(holds(with, text), info = text)
  for (text in ours) expect_false(holds(without, text), info = text)

  data <- shown(other, context = FALSE)
  expect_equal(data$runs$n, 4)
  expect_equal(unlist(data$omitted), "What the ledger says of people and machines is not on this page.")
  expect_true(holds(without, "part.csv"))
  # What runs are is the same.
  status <- unlist(values_of(shown(other), "status", "detail"))
  expect_equal(unlist(values_of(data, "status", "detail")), status)
  expect_null(data$stages[[1]]$who)
  for (column in c("user", "host", "script", "commit", "dirty", "error")) {
    expect_length(unlist(values_of(data, column, "detail")), 0)
  }
  asked <- shown(other, context = FALSE, where = user == "a-person-of-ours")
  expect_equal(asked$runs$n, 4)
  expect_equal(unlist(asked$omitted)[[1]], "Only runs that were chosen are on this page.")
  expect_false(holds(page(context = FALSE, where = user == "a-person-of-ours"), "a-person-of-ours"))
  end_run(running)
})

test_that("a page is opened in the viewer, elsewhere in the browser", {
  file <- local_ledger()
  log_run(file, list(lambda = 1), list(rmse = 2))
  seen <- NULL
  withr::local_options(
    viewer = function(url) seen <<- c("viewer", url),
    browser = function(url) seen <<- c("browser", url)
  )
  page <- view_runs(file, open = TRUE)
  expect_equal(seen, c("viewer", page))
  withr::local_options(viewer = NULL)
  page <- view_runs(file, open = TRUE)
  expect_equal(seen, c("browser", page))
})

test_that("100,000 runs make a page", {
  skip_on_cran()
  skip_unless_file()
  file <- local_file()
  n <- 1e5
  runs <- data.frame(model = rep(c("ridge", "lasso"), n / 2), lambda = seq_len(n) / 7, rmse = sqrt(seq_len(n)))
  log_runs(file, runs, params = c("model", "lambda"), metrics = "rmse")
  took <- system.time(page <- view_runs(file, open = FALSE))[["elapsed"]]
  cat(sprintf("\n100,000 runs: a page of %.1f MB in %.2f s\n", file.size(page) / 1e6, took))
  data <- jsonlite::fromJSON(page_json(page))
  expect_equal(data$runs$n, n)
  rmse <- which(data$runs$columns$name == "rmse")
  expect_identical(as.numeric(data$runs$columns$values[[rmse]]), runs$rmse)
})

# ---- Live --------------------------------------------------------------------

skip_on_cran()
skip_if_not_installed("httpuv")

test_that("the live page is told what is new, and no more than that", {
  file <- local_ledger()
  log_runs(file, data.frame(i = 1:1000, m = sqrt(1:1000)), params = "i", metrics = "m")
  view <- local_view(file)
  page <- request(view)
  expect_equal(page$status, 200)
  live <- jsonlite::parse_json(sub("</script>.*", "", strsplit(page$body, '<script id="ledger" type="application/json">', fixed = TRUE)[[1]][[2]]))
  expect_equal(names(live), c("format", "live"))

  whole <- told(view)
  expect_equal(whole$runs$n, 1000)
  expect_equal(whole$integrity$rows, whole$seq)
  expect_equal(told(view, whole$mark), 204)

  log_run(file, list(i = 1001L), list(m = 7))
  answer <- request(view, paste0(view$path, "data?since=", whole$mark))
  patch <- jsonlite::parse_json(answer$body)
  expect_equal(names(patch$patch$runs), "1000")
  expect_equal(patch$patch$runs$`1000`$metric$m, list(t = "double", v = 7L))
  size <- c(whole = nchar(jsonlite::toJSON(whole, auto_unbox = TRUE)), patch = nchar(answer$body))
  cat(sprintf("\n1000 runs: %d bytes; one more: %d bytes\n", size[["whole"]], size[["patch"]]))
  expect_lt(size[["patch"]], size[["whole"]] / 10)

  run <- start_run(file, list(eta = 0.1))
  mark <- told(view, patch$mark)$mark
  sizes <- vapply(1:5, function(i) {
    log_metrics(run, loss = 1 / i, step = i)
    read_runs(file)
    answer <- request(view, paste0(view$path, "data?since=", mark))
    patch <- jsonlite::parse_json(answer$body)
    mark <<- patch$mark
    expect_equal(patch$patch$series$`1001`$loss$step, list(i))
    nchar(answer$body)
  }, 1)
  # The first brings a new column.
  expect_lt(max(sizes[-1]), 1000)
  end_run(run)
})

test_that("a live page shows runs as they begin to hold a condition, and nothing of people and machines", {
  skip_if_not_installed("httpuv")
  file <- local_ledger()
  least <- 2
  is_large <- function(x) x >= least
  log_run(file, list(x = 1), list(m = 1))
  log_run(file, list(x = 2), list(m = 1))
  view <- local_view(file, where = is_large(x), context = FALSE)
  data <- told(view)
  expect_identical(unlist(values_of(data, "x")), 2L)
  expect_length(data$omitted, 2)
  expect_null(data$sessions[[1]]$context$user)

  run <- log_run(file, list(x = 3), list(m = 1))
  log_run(file, list(x = 0), list(m = 1))
  news <- told(view, data$mark)
  expect_identical(lapply(unname(news$patch$runs), `[[`, "id"), list(c(run)))
  # One that began without it, and has it now: the page begins anew.
  late <- start_run(file)
  mark <- told(view, news$mark)$mark %||% news$mark
  log_params(late, x = 4)
  expect_identical(told(view, mark), list(reset = TRUE))
  expect_identical(unlist(values_of(told(view), "x")), 2:4)
  end_run(late)

  expect_error(view_runs(file, live = TRUE, where = y > 1, open = FALSE), class = "fitledger_error_where")
})

test_that("what is wrong with runs that aren't shown isn't said", {
  file <- local_file()
  for (x in 1:2) log_run(file, list(x = x), list(m = 1), artifacts = rlang::set_names(list(list(x)), paste0("artifact-", x)))
  unlink(paste0(file, ".objects"), recursive = TRUE)
  problems <- function(...) vapply(shown(file, ...)$integrity$problems, `[[`, "", "problem")
  expect_match(problems(), "artifact-1", all = FALSE)
  expect_match(problems(), "artifact-2", all = FALSE)
  expect_match(problems(where = x == 2), "artifact-2", all = FALSE)
  expect_no_match(problems(where = x == 2), "artifact-1")
})

test_that("no page without context names a path, whatever can't be read", {
  # Of a name that is too long for the folder of what is stored the bytes can't be read.
  folder <- withr::local_tempdir("a-folder-of-ours")
  file <- file.path(folder, paste0(strrep("a", 246), ".csv"))
  short <- local_file()
  log_run(short, list(x = 1), list(m = 1), artifacts = list(text = list(1), file = system.file("DESCRIPTION", package = "fitledger")))
  file.copy(short, file)
  path <- view_runs(file, context = FALSE, open = FALSE)
  page <- readChar(path, file.size(path), useBytes = TRUE)
  expect_false(grepl("a-folder-of-ours", page, fixed = TRUE, useBytes = TRUE))
  why <- lapply(shown(file, context = FALSE)$previews, `[[`, "why")
  expect_match(unlist(why), "Its bytes can't be read", fixed = TRUE, all = FALSE)

  skip_if_not_installed("httpuv")
  secret <- "a-person-of-ours"
  followed <- file.path(folder, "runs.csv")
  file.copy(short, followed)
  view <- local_view(followed, where = if (all(x < 2)) TRUE else stop(secret), context = FALSE)
  expect_equal(told(view)$runs$n, 1)
  log_run(followed, list(x = 2), list(m = 1))
  answer <- request(view, paste0(view$path, "data"))
  expect_equal(answer$status, 503)
  expect_no_match(answer$body, secret, fixed = TRUE)
  unlink(followed)
  answer <- request(view, paste0(view$path, "data"))
  expect_equal(answer$status, 503)
  expect_no_match(answer$body, "a-folder-of-ours", fixed = TRUE)
})

test_that("a live view is used again only for the same question", {
  skip_if_not_installed("httpuv")
  file <- local_ledger()
  log_run(file, list(x = 1), list(m = 1))
  withr::defer(suppressMessages(stop_view()))
  view <- function(...) view_runs(file, live = TRUE, open = FALSE, ...)
  least <- 0
  first <- view(where = x > least)
  expect_identical(view(where = x > least), first)
  least <- 1
  others <- c(view(where = x > least), view(), view(context = FALSE))
  expect_length(unique(c(first, others)), 4)
})

test_that("a port is the one that was asked for, and one that is taken is an error", {
  skip_if_not_installed("httpuv")
  file <- local_ledger()
  log_run(file, list(x = 1), list(m = 1))
  port <- httpuv::randomPort()
  view <- local_view(file, port = port)
  expect_equal(view$port, port)
  expect_equal(told(view)$runs$n, 1)
  expect_identical(view_runs(file, live = TRUE, port = port, open = FALSE), view_runs(file, live = TRUE, open = FALSE))
  expect_snapshot_conditions(
    view_runs(file, where = x > 0, live = TRUE, port = port, open = FALSE),
    transform = function(lines) gsub(port, "<port>", lines, fixed = TRUE)
  )
})

test_that("a value shows soon after it was logged", {
  file <- local_ledger()
  run <- start_run(file, list(eta = 0.1))
  view <- local_view(file)
  mark <- told(view)$mark
  late <- vapply(1:5, function(i) {
    start <- Sys.time()
    log_metrics(run, loss = 1 / i, step = i)
    wait_until(
      {
        log_metrics(run, tick = 1, step = i)
        patch <- told(view, mark)
        if (is.list(patch)) mark <<- patch$mark
        # A look in the middle of a write may take the file for another one: then all is told anew.
        is.list(patch) && (length(patch$patch$series$`0`$loss) > 0 || length(patch$series$`0`$loss$value) >= i)
      },
      "the value to show"
    )
    as.numeric(Sys.time() - start, units = "secs")
  }, 1)
  cat(sprintf("\nA value logged is told after %.2f s at most\n", max(late)))
  expect_length(told(view)$series$`0`$loss$value, 5)
  end_run(run)
})

test_that("a run is lost when its process is gone, which no row says", {
  skip_on_os(c("windows", "mac"))
  file <- local_file()
  log_run(file, list(x = 1), list(m = 1))
  view <- local_view(file)
  mark <- told(view)$mark
  alive <- withr::local_tempfile(lines = "")
  code <- c(
    "library(fitledger)",
    sprintf("run <- start_run('%s', list(x = 2))", file),
    "cat('done\\n')",
    sprintf("while (file.exists('%s')) Sys.sleep(0.01)", alive),
    "tools::pskill(Sys.getpid(), 9)"
  )
  run_apart(code, wait = FALSE)
  patch <- told(view, mark)
  expect_equal(patch$patch$runs$`1`$detail$status, "running")
  unlink(alive)
  wait_until(
    {
      new <- told(view, patch$mark)
      if (is.list(new)) patch <- new
      patch$patch$runs$`1`$detail$status == "lost"
    },
    "the run to be lost"
  )
  expect_equal(patch$patch$runs$`1`$detail$status, "lost")
  # By what a page that says nothing of processes doesn't show.
  expect_identical(values_of(shown(file, context = FALSE), "status", "detail")[[2]], "lost")
})

test_that("a file that is replaced or gone is no secret, and no end", {
  file <- local_file()
  log_run(file, list(x = 1), list(m = 1))
  view <- local_view(file)
  mark <- told(view)$mark
  unlink(file)
  answer <- request(view, paste0(view$path, "data?since=", mark))
  expect_equal(answer$status, 503)
  expect_match(jsonlite::parse_json(answer$body)$error, "There is no file")
  log_runs(file, data.frame(x = 1:50, m = 1), params = "x", metrics = "m")
  expect_equal(told(view, mark), list(reset = TRUE))
  expect_equal(told(view)$runs$n, 50)
})

test_that("only this machine's own names are answered, with the secret, to look", {
  file <- local_ledger()
  log_run(file, list(x = 1), list(m = 1))
  view <- local_view(file)
  status <- function(...) request(view, ...)$status
  ours <- paste0(c("127.0.0.1:", "localhost:"), view$port)

  expect_equal(vapply(ours, function(host) status(host = host), 1L), c(200L, 200L), ignore_attr = TRUE)
  for (host in c("evil.com", "10.evil.com", "localhost.evil", "127.0.0.1", "localhost", "")) {
    expect_equal(status(host = host), 403L, info = host)
    expect_equal(status(host = paste0(host, ".:", view$port)), 403L, info = host)
  }
  expect_equal(status(host = paste0("evil.com:", view$port)), 403L)
  expect_equal(status(host = paste0("127.0.0.1:", view$port + 1)), 403L)
  expect_equal(status(host = character()), 403L)
  expect_equal(status(host = c(ours[[1]], ours[[1]])), 403L)
  expect_equal(status(host = c("evil.com", ours[[1]])), 403L)
  expect_equal(status(host = c(ours[[1]], "evil.com")), 403L)

  token <- gsub("/", "", view$path)
  expect_gte(nchar(token), 32)
  wrong <- chartr("0123456789abcdef", "123456789abcdef0", token)
  for (path in c(
    "/", "/data", paste0("/", wrong, "/"), paste0("/", wrong, "/data"), paste0("/", token), paste0("/", token, "0/"),
    paste0(view$path, c("../../etc/passwd", "%2e%2e/data", "data/", "data%00", "config.rds", "artifact?run=0&name=x")),
    "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "*", paste0("/", strrep("a", 60000))
  )) {
    answer <- request(view, path)
    expect_equal(answer$status, 404L, info = substr(path, 1, 80))
    expect_equal(answer$body, "")
  }
  for (method in c("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")) {
    expect_equal(status(method = method), 405L, info = method)
  }
  expect_equal(request(view, method = "HEAD")[c("status", "body")], list(status = 200L, body = ""))
  expect_equal(status(more = "Content-Length: 99999999999"), 400L)
  expect_equal(status(more = c("Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13")), 400L)
  expect_equal(status(paste0(view$path, "data?since=1")), 400L)

  for (noise in list(as.raw(rep(0:255, 100)), as.raw(c(0x16, 3, 1, 2, 0, 1, 0)), charToRaw(strrep("A", 3e5)))) {
    try(talk(view$port, noise), silent = TRUE)
  }
  expect_equal(status(), 200L)

  head <- request(view)$head
  expect_match(head, "\r\nX-Content-Type-Options: nosniff", fixed = TRUE)
  expect_match(head, "\r\nReferrer-Policy: no-referrer", fixed = TRUE)
  expect_match(head, "\r\nCache-Control: no-store", fixed = TRUE)
  expect_match(head, "frame-ancestors 'self'", fixed = TRUE)
})

test_that("a server is used again, touches no random stream, and ends when told to", {
  file <- local_ledger()
  log_run(file, list(x = 1), list(m = 1))
  set.seed(1)
  before <- .Random.seed
  address <- view_runs(file, live = TRUE, open = FALSE)
  expect_identical(.Random.seed, before)
  expect_equal(view_runs(file, live = TRUE, open = FALSE), address)
  other <- local_ledger()
  log_run(other, list(x = 1), list(m = 1))
  view <- local_view(other)
  expect_message(stopped <- stop_view(), "Stopped 2 live views")
  expect_equal(stopped, 2)
  wait_until(!is_listening(view$port), "the server to be gone")
  expect_message(expect_equal(stop_view(), 0), "no live view")
})

test_that("a process that was forked off leaves the server alone", {
  skip_on_os("windows")
  file <- local_ledger()
  log_run(file, list(x = 1), list(m = 1))
  view <- local_view(file)
  stopped <- parallel::mclapply(1:2, function(i) suppressMessages(stop_view()))
  expect_equal(stopped, list(0L, 0L))
  expect_equal(request(view)$status, 200L)
})

test_that("the server ends with the session that started it, however that ends", {
  skip_on_os(c("windows", "mac"))
  file <- local_ledger()
  log_run(file, list(x = 1), list(m = 1))
  for (end in c("quit()", "tools::pskill(Sys.getpid(), 9)")) {
    said <- run_apart(sprintf("library(fitledger); cat(view_runs(%s, live = TRUE, open = FALSE), '\\n'); cat('done\\n'); %s", code_of(file), end))
    port <- as.integer(sub(".*:([0-9]+)/.*", "\\1", said[[1]][[1]]))
    wait_until(!is_listening(port), paste("the server to end after", end))
    expect_false(is_listening(port), info = end)
  }
})

test_that("where no server can start the error says why", {
  file <- local_file()
  log_run(file, list(x = 1), list(m = 1))
  error <- expect_error(check_package("httpuv2", "`live = TRUE`"), class = "fitledger_error_package")
  expect_match(conditionMessage(error), "httpuv2")
  expect_error(start_view(list(file = file), NULL, rlang::current_env(), patience = 0), class = "fitledger_error_server")

  folder <- withr::local_tempdir()
  saveRDS(list(libraries = tempfile()), file.path(folder, "config.rds"))
  script <- system.file("view", "serve.R", package = "fitledger")
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", shQuote(script), shQuote(folder)), stdout = FALSE, stderr = FALSE, env = "R_LIBS=")
  expect_match(readRDS(file.path(folder, "state.rds"))$error, ".")
  expect_null(readRDS(file.path(folder, "state.rds"))$port)

  writeLines("cut short", file.path(folder, "state.rds"))
  expect_match(wait_for_state(file.path(folder, "state.rds"), 0)$error, "can't be read", fixed = TRUE)
  code <- sprintf(
    "library(fitledger); unlink(tempdir(), TRUE); tryCatch(view_runs('%s', live = TRUE, open = FALSE), fitledger_error_io = function(e) cat('io'))",
    file
  )
  said <- system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = TRUE, stderr = FALSE)
  expect_identical(said, "io")

  plain <- local_file()
  writeLines(c('"run_id","timestamp","x"', '"a","2026-11-23T04:20:47Z",1'), plain)
  expect_error(view_runs(plain, live = TRUE), "import_runs", class = "fitledger_error_argument")
})

test_that("a browser's command line doesn't hold the secret address", {
  skip_on_os("windows")
  file <- local_ledger()
  log_run(file, list(i = 1L), list(m = 7))
  said <- withr::local_tempfile()
  browser <- withr::local_tempfile(lines = c("#!/bin/sh", sprintf("echo \"$@\" > '%s-new' && mv '%s-new' '%s'", said, said, said)))
  Sys.chmod(browser, "0755")
  withr::local_options(viewer = NULL, browser = browser)
  withr::defer(suppressMessages(stop_view()))
  address <- view_runs(file, live = TRUE, open = TRUE)
  wait_until(file.exists(said), "the browser to be started")
  opened <- sub("^.*?(/[^'\"]*open[.]html).*$", "\\1", paste(readLines(said), collapse = " "), perl = TRUE)
  expect_false(any(grepl("127.0.0.1", readLines(said), fixed = TRUE)))
  expect_match(readLines(opened), address, fixed = TRUE, all = FALSE)
  expect_identical(as.character(file.mode(dirname(opened))), "700")
})

test_that("the server ends when the package is unloaded", {
  file <- local_file()
  log_run(file, list(i = 1L), list(m = 7))
  said <- run_apart(sprintf(
    "library(fitledger); view_runs('%s', live = TRUE, open = FALSE); s <- fitledger:::views[[ls(fitledger:::views)]]$server
    gone <- fitledger:::is_gone; unloadNamespace('fitledger'); while (!gone(s)) Sys.sleep(0.05); cat('done\\n')", file
  ))
  expect_match(unlist(said), "done", all = FALSE)
})

test_that("a live page asks its condition again as time goes by", {
  file <- local_file()
  log_run(file, list(a = 1), list(m = 1))
  asked <- 0
  where <- rlang::quo({
    asked <<- asked + 1
    a > 0
  })
  config <- list(where = where, last = new.env())
  followed_runs(file, config)
  followed_runs(file, config)
  expect_identical(asked, 1)
  # In seconds; backwards, too, as a clock is set back.
  for (ago in c(6, 61, 299, 3700, 4 * 3600, 100 * 86400, -3600)) {
    before <- asked
    config$last$time <- config$last$time - ago
    followed_runs(file, config)
    expect_identical(asked, before + 1)
  }
})
