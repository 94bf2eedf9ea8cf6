# A raw file, cleaned by one run, fitted by another, registered and promoted.
local_chain <- function(env = parent.frame()) {
  file <- local_ledger(env)
  raw <- withr::local_tempfile(fileext = ".csv", .local_envir = env)
  utils::write.csv(cars, raw, row.names = FALSE)
  clean <- cars[-1, ]
  log_run(file, list(step = "clean"), list(), artifacts = list(clean = clean), data = raw)
  fit <- lm(dist ~ speed, clean)
  id <- log_run(file, list(model = "line"), list(), artifacts = list(model = fit), data = list(train = clean))
  register_model(file, "stopping", id)
  promote_model(file, "stopping", 1)
  list(file = file, raw = raw, clean = clean, runs = read_runs(file)$run_id)
}

no_ids_or_hashes <- function(lines) {
  lines <- gsub("(sha256|fl1):[0-9a-f]{8}", "\\1:<hash>", lines)
  no_ids(gsub("session \\w{12}", "session <id>", lines))
}

test_that("up from a stage to data, over the runs whose artifacts it used", {
  chain <- local_chain()
  lineage <- trace_lineage(chain$file, "stopping@production")
  edges <- as.data.frame(lineage)
  expect_identical(edges$from[1:2], c("stopping@production", "stopping/1"))
  used <- edges[edges$relation == "used", ]
  expect_identical(used$from, rev(chain$runs))
  expect_identical(used$to, c(hash_data(chain$clean), hash_data(chain$raw)))
  expect_true(all(is.na(lineage$nodes$problem)))
  expect_identical(
    as.data.frame(trace_lineage(chain$file, chain$runs[[2]]))$relation,
    edges$relation[-(1:3)]
  )
})

test_that("a run rests on every session that worked on it", {
  file <- local_ledger()
  withr::local_options(fitledger.context = character())
  run <- start_run(file, list(k = 1))
  options(fitledger.context = "user")
  log_metrics(start_run(file, resume = run$run_id), m = 1)
  options(fitledger.context = "host")
  end_run(start_run(file, resume = run$run_id))
  edges <- as.data.frame(trace_lineage(file, run$run_id))
  events <- read_ledger(file)
  sessions <- sub('.*"id":"(\\w{12})".*', "\\1", events$context[events$event == "session"])
  expect_identical(edges$to[edges$relation == "ran in"], paste0("session:", sessions))
})

test_that("an interrupted run is marked, as a failed one is", {
  file <- local_ledger()
  ids <- vapply(c("interrupted", "failed"), function(status) {
    run <- start_run(file)
    end_run(run, status = status)
    run$run_id
  }, "")
  problems <- vapply(ids, function(id) {
    nodes <- trace_lineage(file, id)$nodes
    nodes$problem[nodes$id == id]
  }, "")
  expect_identical(unname(problems), c("the run was interrupted", "the run has failed"))
})

test_that("it prints as a tree, in 80 columns", {
  withr::local_options(fitledger.context = character(), width = 80)
  local_reproducible_output(unicode = FALSE)
  chain <- local_chain()
  expect_snapshot(print(trace_lineage(chain$file, "stopping@production")), transform = no_ids_or_hashes)
  expect_snapshot(print(trace_lineage(chain$file, data = chain$raw)), transform = no_ids_or_hashes)
})

test_that("a copy of a stored file says where it came from", {
  chain <- local_chain()
  found <- withr::local_tempfile(fileext = ".rds")
  file.copy(artifact_path(chain$file, chain$runs[[2]], "model"), found)
  lineage <- trace_lineage(chain$file, artifact = found)
  edges <- as.data.frame(lineage)
  expect_identical(edges$to[edges$relation == "was made by"][[1]], chain$runs[[2]])
  packages <- edges$to[edges$relation == "loaded"]
  expect_true(paste0("package:rlang ", getNamespaceVersion("rlang")) %in% packages)
  expect_true(hash_data(chain$raw) %in% edges$to)
  cat("x", file = found, append = TRUE)
  expect_error(trace_lineage(chain$file, artifact = found), "these bytes", class = "fitledger_error_unknown")
})

test_that("down from data, a commit, a package or a run to what rests on it", {
  repository <- withr::local_tempdir()
  git <- function(...) system2("git", c("-C", shQuote(repository), ...), stdout = TRUE, stderr = TRUE)
  skip_if(Sys.which("git") == "")
  git("init", "-q")
  writeLines("x", file.path(repository, "x"))
  git("add", "x")
  git("-c user.name=a -c user.email=b commit -q -m m")
  commit <- git("rev-parse", "HEAD")
  withr::local_dir(repository)
  chain <- local_chain()
  reaches <- function(lineage) "stopping@production" %in% lineage$nodes$id
  expect_true(reaches(trace_lineage(chain$file, data = chain$raw)))
  expect_true(reaches(trace_lineage(chain$file, data = hash_data(chain$clean))))
  expect_true(reaches(trace_lineage(chain$file, chain$runs[[1]], direction = "down")))
  expect_true(reaches(trace_lineage(chain$file, commit = substr(commit, 1, 7))))
  expect_true(reaches(trace_lineage(chain$file, package = "rlang")))
  expect_true(reaches(trace_lineage(chain$file, package = paste("R", r_version()))))
  expect_true(reaches(trace_lineage(chain$file, package = paste("rlang", getNamespaceVersion("rlang")))))
  expect_error(trace_lineage(chain$file, package = "rlang 0.0.1"), class = "fitledger_error_unknown")
  expect_error(trace_lineage(chain$file, package = "rlan"), class = "fitledger_error_unknown")
  expect_error(trace_lineage(chain$file, commit = "0000000"), class = "fitledger_error_unknown")
})

test_that("what no longer holds is marked", {
  skip_unless_file()
  withr::local_options(fitledger.context = character(), width = 80)
  local_reproducible_output(unicode = FALSE)
  chain <- local_chain()
  void_run(chain$file, chain$runs[[1]], "wrong unit")
  sha256 <- read_models(chain$file)$sha256
  path <- file.path(paste0(chain$file, ".objects"), substr(sha256, 1, 2), sha256)
  Sys.chmod(path, "644")
  cat("x", file = path, append = TRUE)
  expect_snapshot(print(trace_lineage(chain$file, "stopping/1")), transform = no_ids_or_hashes)
})

test_that("circles end, and what many share is shown once", {
  file <- local_ledger()
  a <- data.frame(a = 1)
  b <- data.frame(b = 1)
  first <- log_run(file, list(), list(), artifacts = list(a = a), data = b)
  log_run(file, list(), list(), artifacts = list(b = b), data = a)
  own <- log_run(file, list(), list(), artifacts = list(own = cars), data = cars)
  for (direction in c("up", "down")) {
    expect_output(print(trace_lineage(file, first, direction = direction)), "see above")
    expect_output(print(trace_lineage(file, own, direction = direction)), "see above")
  }
})

test_that("long chains, wide stars and ladders stay readable", {
  withr::local_options(fitledger.context = character(), fitledger.sync = "none", width = 80)
  file <- local_ledger()
  data <- data.frame(x = 0)
  for (i in 1:60) {
    made <- data.frame(x = i)
    last <- log_run(file, list(i = i), list(), artifacts = list(out = made), data = list(a = data, b = data.frame(y = i)))
    data <- made
  }
  for (i in 1:60) log_run(file, list(i = i), list(), data = cars)
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  for (lineage in list(trace_lineage(file, last), trace_lineage(file, data = data.frame(x = 0)), trace_lineage(file, data = cars))) {
    lines <- utils::capture.output(print(lineage))
    expect_true(all(nchar(lines, "width") <= 80))
    expect_lt(length(lines), 250)
    expect_silent(plot(lineage))
  }
  expect_match(lines, "and 40 more", all = FALSE)
})

test_that("a version names the run that it was registered from, of several that made its bytes", {
  withr::local_options(fitledger.context = character())
  file <- local_ledger()
  first <- log_run(file, list(i = 1), list(), artifacts = list(model = 1))
  second <- log_run(file, list(i = 2), list(), artifacts = list(model = 1))
  register_model(file, "m", second)
  edges <- as.data.frame(trace_lineage(file, "m/1"))
  expect_identical(edges$to[edges$relation == "was registered from"], second)
  expect_setequal(edges$to[edges$relation == "was made by"], c(first, second))
})

test_that("labels are text on one line", {
  file <- local_ledger()
  id <- log_run(file, list(model = strrep("long ", 200)), list(), data = I("a\n\033[31mRED"))
  lines <- utils::capture.output(print(trace_lineage(file, id)))
  expect_false(any(grepl("\033", lines)))
  expect_lt(length(lines), 30)
})

test_that("it can be drawn", {
  chain <- local_chain()
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_silent(plot(trace_lineage(chain$file, "stopping@production")))
  expect_silent(plot(trace_lineage(chain$file, data = chain$raw), main = "Down"))
})

test_that("what leads back to where one was can be drawn and printed, up and down", {
  withr::local_options(fitledger.context = character())
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  for (runs in c(1, 2, 3, 7)) {
    file <- local_ledger()
    content <- function(i) data.frame(i = i %% runs)
    ids <- vapply(seq_len(runs), function(i) {
      log_run(file, list(i = i), list(), artifacts = list(out = content(i)), data = content(i - 1))
    }, "")
    for (lineage in list(trace_lineage(file, ids[[1]]), trace_lineage(file, data = content(0)))) {
      expect_silent(plot(lineage))
      expect_match(utils::capture.output(print(lineage)), "see above", all = FALSE)
    }
  }
})

lineage_of <- function(from, to, count) {
  nodes <- data.frame(kind = "run", start = seq_len(count) == 1)
  list(nodes = nodes, edges = data.frame(from = from, to = to), direction = "up")
}

test_that("a node is as deep as the longest way to it", {
  set.seed(1)
  for (case in 1:50) {
    count <- sample(2:12, 1)
    from <- sample(count - 1, 2 * count, replace = TRUE)
    to <- from + ceiling(stats::runif(length(from)) * (count - from))
    names <- c(1, 1 + sample(count - 1))
    depth <- node_depths(lineage_of(names[from], names[to], count))
    longest <- c(0, rep(-Inf, count - 1))
    for (step in seq_len(count)) {
      for (edge in seq_along(from)) longest[to[edge]] <- max(longest[to[edge]], longest[from[edge]] + 1)
    }
    expect_identical(depth[names][is.finite(longest)], longest[is.finite(longest)])
  }
})

test_that("long chains and wide fans are drawn, as much as one can read", {
  count <- 20000
  expect_identical(node_depths(lineage_of(2:count - 1L, 2:count, count)), seq_len(count) - 1)
  expect_identical(node_depths(lineage_of(rep(1L, count - 1), 2:count, count)), c(0, rep(1, count - 1)))
})

test_that("what rests on a package can be drawn", {
  chain <- local_chain()
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  lineage <- trace_lineage(chain$file, package = "fitledger")
  depth <- node_depths(lineage)
  expect_true(all(depth[lineage$nodes$start] == 0))
  expect_true(all(depth[lineage$nodes$kind == "run"] > 0))
  expect_silent(plot(lineage))
})

test_that("there must be one thing to begin at", {
  chain <- local_chain()
  expect_snapshot_conditions({
    trace_lineage(chain$file)
    trace_lineage(chain$file, "stopping/1", commit = "abcdef")
    trace_lineage(chain$file, "stopping/1", direction = "sideways")
    trace_lineage(chain$file, "nope")
    trace_lineage(chain$file, data = 1:3)
    trace_lineage(chain$file, commit = "xyz")
    trace_lineage(chain$file, data = I("never named"))
  }, transform = no_ids_or_hashes)
})

test_that("the golden ledger has a lineage", {
  edges <- as.data.frame(trace_lineage(golden(), "ames_price_model@production"))
  expect_identical(edges$to[edges$relation == "was made by"][[1]], "20261123-042048-00000000000z")
  expect_true("commit:9fceb02d0ae598e95dc970b74767f19372d61af8" %in% edges$to)
})

test_that("text that can't be read is refused without a warning of R's own", {
  withr::local_options(warn = 2)
  file <- local_models()
  for (text in list("a\xff", "a\xff@b", "a\xff/1", "\xfe 1.0")) {
    expect_error(trace_lineage(file, text), class = "fitledger_error_argument")
    expect_error(trace_lineage(file, commit = text), class = "fitledger_error_argument")
    expect_error(trace_lineage(file, package = text), class = "fitledger_error_argument")
    expect_error(trace_lineage(file, text, direction = text), class = "fitledger_error_argument")
  }
})
