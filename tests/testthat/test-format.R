# vignette("format") is the format as users get it: what it says and shows has to be so.

skip_if_not_installed("jsonlite")

# In the sources, or as it is installed.
page_files <- normalizePath(
  c(test_path("..", "..", "vignettes", "format.Rmd"), system.file("doc", "format.Rmd", package = "fitledger")),
  mustWork = FALSE
)

page <- function() {
  files <- page_files[file.exists(page_files)]
  skip_if(!length(files), "the vignette is not here")
  readLines(files[[1]], encoding = "UTF-8")
}

# The lines of each block that begins with such a fence. Where its end stands in the page is the attribute `end`.
fenced <- function(page, fence) {
  lapply(which(page == fence), function(start) {
    end <- start + match("```", page[-seq_len(start)])
    structure(page[seq_len(end - start - 1) + start], end = end)
  })
}

run_chunk <- function(label, env) {
  code <- fenced(page(), paste0("```{r ", label, "}"))
  eval(parse(text = code[[1]]), env)
}

# What the page's reader makes of a ledger, beside what we do.
expect_same_runs <- function(file) {
  reader <- new.env()
  run_chunk("reader", reader)
  plain <- reader$read_without(file_of(file))
  ours <- read_runs(file, void = TRUE, details = TRUE)
  expect_identical(names(plain), ours$run_id)
  for (id in names(plain)) {
    run <- read_run(file, id)
    void <- run$status == "void"
    expect_identical(plain[[id]]$void, void)
    if (!void) expect_identical(plain[[id]]$status, run$status)
    for (part in c("params", "metrics", "tags")) {
      x <- by_name(plain[[id]][[part]])
      y <- by_name(run[[part]])
      expect_true(same_bits(without_instants(x), without_instants(y)), info = paste(id, part))
    }
  }
}

# We give them in the order of the columns.
by_name <- function(x) {
  if (length(x)) x[order(names(x), method = "radix")] else list()
}

# `strptime()` may round the last digits of a second otherwise than it is written.
without_instants <- function(x) {
  if (inherits(x, "POSIXct")) {
    return(round(as.numeric(x), 3))
  }
  if (is.list(x)) lapply(x, without_instants) else x
}

test_that("the reader in base R reads what we read", {
  skip_on_cran()
  expect_same_runs(golden())

  file <- local_ledger()
  values <- withr::with_seed(1, random_values(60))
  for (value in values) {
    log_run(file, list(`$x` = value, y = 1), list(m = 0.1, `$n` = NaN), tags = list(`$t` = "a"))
  }
  run <- start_run(file, list(k = 1L, none = NULL))
  log_params(run, k = 2L)
  for (step in 1:3) log_metrics(run, loss = 1 / step, step = step)
  log_metrics(run, loss = 5)
  end_run(run, status = "failed")
  again <- start_run(file, list(more = "a"), resume = run)
  end_run(again, list(m = 1))
  tag_run(file, run, late = TRUE)
  log_note(file, run, "a note")
  ids <- log_runs(file, data.frame(k = 1:3, m = 1:3), "k", "m")
  void_run(file, ids, "all of them")
  restore_run(file, ids[[2]], "but this one")
  expect_same_runs(file)
})

test_that("the reader in base R keeps to what counts", {
  skip_on_cran()
  file <- local_file()
  id <- log_run(file, list(k = 1L), list(m = 1))
  run <- start_run(file, list(k = 1L))
  end_run(run, list(m = 1))
  rows <- rows_of(file)
  late <- rows[rows[, "run_id"] == id, , drop = FALSE]
  late[, "event"] <- "log"
  late[, "params"] <- '{"k":9}'
  late[, "context"] <- sub("}$", ',"tags":{"late":1}}', late[, "context"])
  of_live <- late
  of_live[, "run_id"] <- run$run_id
  unborn <- late
  unborn[, "run_id"] <- "nobody"
  rows <- rbind(rows, late, of_live, unborn)
  rows[, "seq"] <- seq_len(nrow(rows))
  write_rows(rows, file)
  expect_equal(verify_ledger(file)$problems$kind, rep("without effect", 3))
  expect_identical(read_run(file, id)$params, list(k = 1L))
  expect_identical(read_run(file, id)$tags, list(late = 1L))
  expect_same_runs(file)
})

test_that("the programs in other languages print what stands there", {
  skip_on_cran()
  skip_on_os("windows")
  page <- page()
  withr::local_dir(withr::local_tempdir())
  run_chunk("ledger", rlang::env(rlang::global_env()))
  expect_identical(nrow(read_ledger("experiments.csv")), 7L)
  languages <- list(python = "python3", sh = "sh")
  languages <- languages[nzchar(Sys.which(unlist(languages)))]
  skip_if(!length(languages), "neither Python nor a shell")
  for (language in names(languages)) {
    programs <- fenced(page, paste0("```", language))
    expect_length(programs, 2)
    for (program in programs) {
      end <- attr(program, "end")
      expect_identical(page[end + 2], "```text")
      stated <- fenced(page[-seq_len(end)], "```text")[[1]]
      writeLines(program, "program")
      printed <- system2(languages[[language]], "program", stdout = TRUE, stderr = TRUE, env = "LC_ALL=C")
      expect_identical(printed, c(stated), info = paste(program, collapse = "\n"))
    }
  }
})

test_that("the page's check of the chain in Python finds a change", {
  skip_on_cran()
  skip_on_os("windows")
  skip_if(Sys.which("python3") == "", "Python is not here")
  checks <- Filter(function(program) any(grepl("hashlib", program)), fenced(page(), "```python"))
  expect_length(checks, 1)
  good <- bytes(golden())
  withr::local_dir(withr::local_tempdir())
  writeLines(checks[[1]], "program")
  check <- function(bytes) {
    writeBin(bytes, "experiments.csv")
    utils::tail(suppressWarnings(system2("python3", "program", stdout = TRUE, stderr = TRUE)), 1)
  }
  expect_identical(check(good), "22 rows hold")
  expect_match(check(replaced(good, "penalty was", "penalty is ")), "row 14 doesn't hold")
  expect_match(check(joined(lines_of(good)[-5])), "row 4 doesn't hold")
})

test_that("every event and every key that we write stands on the page", {
  skip_on_cran()
  page <- paste(page(), collapse = "\n")
  named <- function(words) vapply(words, function(word) grepl(paste0("`", word, "`"), page, fixed = TRUE), NA)
  file <- ledger_of_everything()
  rows <- cells(file)
  json <- lapply(rows$context, jsonlite::fromJSON, simplifyVector = FALSE)
  # The names that users and packages gave, one level below the format's.
  by_name <- c("data", "columns")
  users <- c("tags", "sealed", "packages", "figures")
  keys_of <- function(object) {
    if (is.null(names(object))) {
      return(unlist(lapply(object, function(x) if (is.list(x)) keys_of(x))))
    }
    below <- Map(function(key, x) {
      if (!is.list(x) || key %in% users) {
        return(NULL)
      }
      keys_of(if (key %in% by_name) unname(x) else x)
    }, names(object), object)
    c(names(object), unlist(below))
  }
  entries <- lapply(rows$artifacts[nzchar(rows$artifacts)], jsonlite::fromJSON, simplifyVector = FALSE)
  keys <- unique(c(unlist(lapply(json, keys_of)), unlist(lapply(entries, function(x) keys_of(unname(x))))))
  expect_gt(length(keys), 40)
  expect_identical(keys[!named(keys)], character())
  events <- unique(rows$event)
  expect_gt(length(events), 11)
  expect_identical(events[!named(events)], character())
})
