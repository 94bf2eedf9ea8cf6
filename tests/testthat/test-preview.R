# What R objects look like, as it is recorded when they are stored.

skip_if_not_installed("jsonlite")

# The previews of a ledger's artifacts, by their names, as the rows have them.
previews_of <- function(file) {
  cells <- read_ledger(file)$artifacts
  entries <- unlist(lapply(cells[!is.na(cells)], jsonlite::parse_json), recursive = FALSE)
  lapply(entries, `[[`, "preview")
}

preview_of <- function(object, file = local_ledger(env = parent.frame())) {
  log_run(file, list(), list(), artifacts = list(object = object))
  previews_of(file)$object
}

# An object whose print method does something.
printing <- function(fun) {
  registerS3method("print", "fitledger_printing", function(x, ...) fun(x), envir = asNamespace("base"))
  structure(list(1), class = "fitledger_printing")
}

test_that("what an object prints stands in its row, and on the page", {
  local_patient_previews()
  file <- local_ledger()
  fit <- lm(dist ~ speed, cars)
  text <- paste(utils::capture.output(print(fit)), collapse = "\n")
  text <- sub("\n+$", "", gsub("[ \t]+\n", "\n", text))
  log_fit(file, fit)
  log_call(file, lm(dist ~ speed, cars), artifact = "called")
  with_run(file, list(), function(run) log_artifact(run, "logged", fit))
  previews <- previews_of(file)
  expect_identical(previews$model, list(text = text))
  expect_match(previews$called$text, "lm(formula = dist ~ speed, data = cars)", fixed = TRUE)
  expect_identical(previews$logged, list(text = text))

  data <- shown(file)
  entry <- data$runs$artifacts$`0`$model
  expect_named(entry, c("content", "size", "file", "stored", "outcome"), ignore.order = TRUE)
  expect_identical(data$previews[[content(data, entry)]], list(kind = "text", text = text, cut = FALSE))
  expect_named(read_artifacts(file), c("run_id", "artifact", "file", "size", "sha256", "stored", "path"))
  expect_identical(read_artifact(file, read_runs(file)$run_id[[1]], "model")$call, fit$call)
})

test_that("of what is large the beginning is there, and it says that it was cut", {
  local_patient_previews()
  for (object in list(
    mtcars, as.list(1:1000), seq_len(1e6), matrix(0, 1e3, 1e3), strrep("long ", 1e6),
    as.data.frame(matrix(0, 3, 1000)), rep(list(mtcars), 100), factor(seq_len(1e4)), printing(function(x) writeLines(as.character(1:1e5)))
  )) {
    # A single string is a path.
    preview <- preview_of(if (is.character(object)) c(object, object) else object)
    expect_lte(nchar(preview$text, "bytes"), 2000)
    expect_lte(length(strsplit(preview$text, "\n")[[1]]), 40)
    if (!is.list(object) || is.object(object)) expect_true(isTRUE(preview$cut) || is.factor(object), info = class(object)[[1]])
  }
  expect_null(preview_of(c(a = 1))$cut)
  expect_match(preview_of(list(a = 1, b = list(c = "x")))$text, "$ b:List of 1", fixed = TRUE)
  expect_match(preview_of(mean)$text, "UseMethod(\"mean\")", fixed = TRUE)
})

test_that("printing that fails, hangs or jumps away costs nobody the object", {
  run <- function(fun) {
    file <- local_ledger()
    log_run(file, list(), list(), artifacts = list(object = printing(fun)))
    expect_s3_class(read_artifact(file, last_run_id(file), "object"), "fitledger_printing")
    previews_of(file)$object
  }
  expect_null(run(function(x) stop("no")))
  expect_null(run(function(x) {
    cat("some\n")
    stop("no")
  }))
  expect_null(run(function(x) repeat Sys.sleep(0.01)))
  expect_null(run(function(x) repeat sqrt(2)))
  expect_null(run(function(x) print(x) || run(x)))
  expect_null(run(function(x) invokeRestart("abort")))
  other <- structure(list(message = "other", call = NULL), class = c("other", "condition"))
  utils::capture.output(type = "message", expect_null(run(function(x) stop(other))))
  expect_null(run(function(x) invisible()))
  # No limit is left behind.
  expect_no_error(Sys.sleep(1.5))
})

test_that("printing leaves the session as it was", {
  local_patient_previews()
  file <- local_ledger()
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  withr::local_options(viewer = function(...) stop("the viewer was opened"))
  set.seed(1)
  before <- list(.Random.seed, sink.number(), grDevices::dev.list(), getOption("width"), getOption("digits"))
  printed <- utils::capture.output(
    expect_no_condition(preview <- preview_of(printing(function(x) {
      set.seed(2)
      sink(tempfile())
      sink()
      graphics::plot(stats::runif(3))
      message("a message")
      warning("a warning")
      getOption("viewer")("page.html")
      sink(tempfile())
      sink()
      cat("printed\n")
    }), file))
  )
  expect_identical(preview, list(text = "printed"))
  expect_identical(printed, character())
  expect_identical(list(.Random.seed, sink.number(), grDevices::dev.list(), getOption("width"), getOption("digits")), before)
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), character())

  # Not even a sink that is left open.
  preview_of(printing(function(x) sink(tempfile())), file = local_ledger())
  expect_identical(sink.number(), before[[2]])

  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  device <- grDevices::dev.cur()
  preview_of(printing(function(x) graphics::plot(1)))
  expect_identical(grDevices::dev.cur(), device)
})

test_that("options, the working directory, and where output goes stay as they were", {
  local_patient_previews()
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  withr::local_options(warn = 0, fitledger.test = "as it was")
  seen <- function() list(options()[names(before)], getwd(), sink.number("message"), sink.number())
  before <- options()
  is <- seen()
  preview <- preview_of(printing(function(x) {
    options(warn = 2, fitledger.test = NULL, max.print = 3, stringsAsFactors = FALSE)
    setwd(tempdir())
    sink(stdout(), type = "message")
    cat("printed\n")
  }))
  expect_identical(preview$text, "printed")
  expect_identical(seen(), is)

  # Sinks that aren't its own are taken away; none more is.
  kept <- textConnection(NULL, "w")
  withr::defer(close(kept))
  sinks <- sink.number()
  sink(kept)
  expect_no_condition(preview_of(printing(function(x) {
    sink()
    sink()
  })))
  expect_identical(sink.number(), sinks + 1L)
  sink()
})

test_that("a device that a part of a list opens is closed, and none of the session's is drawn on", {
  local_patient_previews()
  registerS3method("str", "fitledger_drawing", function(object, ...) {
    graphics::plot(1)
    cat("drawn\n")
  }, envir = asNamespace("utils"))
  object <- list(structure(list(1), class = "fitledger_drawing"))
  before <- grDevices::dev.list()
  expect_match(preview_of(object)$text, "drawn", fixed = TRUE)
  expect_identical(grDevices::dev.list(), before)
})

test_that("texts that aren't valid have a preview, too", {
  local_patient_previews()
  expect_match(preview_of(c("\xff\xfe", "valid"))$text, "valid", fixed = TRUE)
})

test_that("many empty lines are tidied up in no time", {
  local_patient_previews()
  preview <- preview_of(printing(function(x) cat("first", strrep("\n", 99990))))
  expect_identical(preview$text, "first")
  expect_null(preview_of(printing(function(x) cat(strrep("\n", 99990)))))
})

test_that("a preview is text that no terminal and no browser takes for more", {
  local_patient_previews()
  noise <- as.raw(c(0x66, 0xff, 0xfe, 0x1b, 0x5b, 0x33, 0x31, 0x6d, 0x72, 0x65, 0x64, 0x1b, 0x5b, 0x30, 0x6d, 0x07, 0x0a))
  preview <- preview_of(printing(function(x) {
    cat(rawToChar(noise))
    cat("\u001b]8;;http://x\u0007link\u001b]8;;\u0007 \u202etxet\u2066 </pre><script>\r\nlast\n")
  }))
  lines <- strsplit(preview$text, "\n")[[1]]
  expect_length(lines, 3)
  expect_match(lines[[1]], "^f.*red$")
  expect_match(lines[[2]], "link .*txet.* </pre><script>$")
  expect_no_match(preview$text, "[\u001b\u0007\r\u202e\u2066]|http://x")
  expect_true(validUTF8(preview$text))
  expect_identical(lines[[3]], "last")
})

test_that("what may print what is sealed, or isn't wanted, has no preview", {
  local_patient_previews()
  file <- local_ledger()
  show <- function(password, more = 1) list(password = password, more = more)
  log_call(file, show("open"), NULL, artifact = "sealed", sealed = function(value) list(test = 0.987))
  log_run(file, list(), list(), artifacts = list(result = list(test = 0.987)), sealed = list(test = 0.987))
  withr::with_options(list(fitledger.preview = FALSE), log_run(file, list(), list(), artifacts = list(off = 1:3)))
  withr::with_seed(1, log_run(file, list(), list(), seed = .Random.seed))
  expect_length(unlist(previews_of(file)), 0)
  expect_no_match(paste(read_ledger(file)$artifacts, collapse = ""), "0.987")
  log_call(file, show("open"), NULL, artifact = "plain")
  expect_match(previews_of(file)$plain$text, "open", fixed = TRUE)
})

test_that("many objects of one call have previews together, and the row has room", {
  local_patient_previews()
  file <- local_ledger()
  objects <- rep(list(rep("text ", 1e4)), 60)
  log_run(file, list(), list(), artifacts = rlang::set_names(objects, paste0("a", 1:60)))
  expect_identical(sum(lengths(previews_of(file)) > 0), 50L)
})

test_that("an interrupt gets through", {
  file <- local_ledger()
  log_run(file, list(), list())
  stopped <- tryCatch(
    log_run(file, list(), list(), artifacts = list(object = printing(function(x) rlang::interrupt()))),
    interrupt = function(e) "stopped"
  )
  expect_identical(stopped, "stopped")
  expect_identical(nrow(read_runs(file)), 1L)
  expect_no_error(Sys.sleep(1.5))
})

test_that("of a plot the picture is stored, comes along, and is verified", {
  skip_if_not(capabilities("png"))
  # Neither package is one that we name.
  plots <- list(
    lattice = function() getExportedValue("lattice", "xyplot")(dist ~ speed, cars),
    ggplot2 = function() getExportedValue("ggplot2", "qplot")(speed, dist, data = cars)
  )
  known <- Filter(function(package) requireNamespace(package, quietly = TRUE), names(plots))
  skip_if(!length(known), "no package for plots is installed")
  local_patient_previews()
  file <- local_file()
  withr::local_dir(withr::local_tempdir())
  plots <- suppressWarnings(lapply(plots[known], function(make) make()))
  log_run(file, list(), list(), artifacts = rlang::set_names(plots, c("plot", "other")[seq_along(plots)]))
  for (preview in previews_of(file)) expect_named(preview, c("sha256", "size", "file", "stored"), ignore.order = TRUE)
  expect_null(grDevices::dev.list())
  expect_identical(list.files(), character())
  preview <- previews_of(file)$plot
  expect_identical(preview[c("file", "stored")], list(file = "preview.png", stored = TRUE))
  path <- function(file) file.path(paste0(file, ".objects"), substr(preview$sha256, 1, 2), preview$sha256)
  bytes <- readBin(path(file), "raw", 1e6)
  expect_length(bytes, preview$size)
  expect_identical(bytes[2:4], charToRaw("PNG"))

  shown_of <- function(file) {
    data <- shown(file)
    data$previews[[content(data, data$runs$artifacts$`0`$plot)]]
  }
  expect_identical(shown_of(file)[c("kind", "type")], list(kind = "image", type = "image/png"))
  expect_identical(jsonlite::base64_dec(shown_of(file)$base64), bytes)

  other <- local_file()
  suppressMessages(import_runs(file, other))
  expect_identical(readBin(path(other), "raw", 1e6), bytes)
  expect_identical(shown_of(other), shown_of(file))

  Sys.chmod(path(other), "0600")
  writeBin(bytes[-1], path(other))
  expect_identical(shown_of(other)$kind, "none")
  problems <- verify_ledger(other)$problems
  expect_match(problems$problem, "the preview of the artifact 'plot'", fixed = TRUE, all = FALSE)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("what another program wrote as a preview is shown if it is one", {
  local_patient_previews()
  file <- local_file()
  log_run(file, list(), list(), artifacts = list(object = c(a = 1)))
  rows <- rows_of(file)
  said <- rows[3, "artifacts"]
  shown_with <- function(preview) {
    rows[3, "artifacts"] <- sub('"preview":\\{.*?\\}', paste0('"preview":', preview), said)
    write_rows(rows, file)
    data <- shown(file)
    data$previews[[content(data, data$runs$artifacts$`0`$object)]]
  }
  expect_identical(shown_with('{"text":"<b>"}')$text, "<b>")
  long <- shown_with(paste0('{"text":"', strrep("\u00fc", 1e5), '"}'))
  expect_true(long$cut)
  expect_lt(nchar(long$text, "bytes"), 1e4)
  for (odd in c("1", "[]", "null", '{"text":1}', '{"sha256":"../../x","size":1,"stored":true}', paste0('{"sha256":"', strrep("a", 64), '","size":1,"file":"preview.png","stored":true}'))) {
    expect_identical(shown_with(odd)$kind, "none")
  }
})
