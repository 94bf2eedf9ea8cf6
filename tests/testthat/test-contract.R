# What R answers to questions about the contract's ledger. The core and the page are held against the same answers.

skip_if_not_installed("jsonlite")

contract <- function(name) test_path("fixtures", "contract", name)
ask <- function(call) eval(call, rlang::env(file = contract("runs.csv"), rlang::global_env()))

answers <- jsonlite::read_json(contract("answers.json"))
rows <- function(frame) as.list(match(frame$run_id, unlist(answers$runs)) - 1L)
condition <- function(question) if (!is.null(question$where)) str2lang(question$where)

test_that("runs, statuses and columns", {
  runs <- read_runs(contract("runs.csv"), details = TRUE, void = TRUE)
  expect_identical(as.list(runs$run_id), answers$runs)
  expect_identical(as.list(runs$status), answers$statuses)
  expect_identical(as.list(names(runs)), answers$labels)
})

test_that("conditions", {
  for (question in answers$where) {
    found <- suppressWarnings(ask(bquote(read_runs(file, where = .(condition(question))))))
    expect_identical(rows(found), question$rows, info = question$where)
  }
})

test_that("regular expressions", {
  texts <- unlist(answers$texts)
  for (question in answers$grepl) {
    found <- which(grepl(question$pattern, texts, ignore.case = question$ignore)) - 1L
    expect_identical(as.list(found), question$found, info = question$pattern)
  }
})

test_that("orders", {
  runs <- read_runs(contract("runs.csv"), details = TRUE)
  for (question in answers$sort) {
    key <- runs[[question$by]]
    if (is.character(key)) key <- tolower(key)
    order <- order(key, decreasing = question$descending, na.last = TRUE, method = "radix")
    expect_identical(rows(runs[order, ]), question$rows, info = paste(question$by, question$descending))
  }
})

test_that("the best", {
  for (question in answers$best) {
    found <- ask(bquote(best_run(
      file, .(question$metric), .(question$maximize),
      n = .(question$n), where = .(condition(question))
    )))
    expect_identical(rows(found), question$rows, info = paste(unlist(question[-5]), collapse = " "))
  }
})

test_that("the best over series", {
  for (question in answers$over) {
    found <- ask(bquote(best_run(
      file, .(question$metric), .(question$maximize),
      over = .(question$over), where = .(condition(question))
    )))
    expect_identical(rows(found), question$rows, info = paste(unlist(question[-5]), collapse = " "))
  }
})

test_that("the page's tests have the page that R writes", {
  page <- page_json(view_runs(contract("runs.csv"), open = FALSE))
  committed <- paste(readLines(contract("page.json"), encoding = "UTF-8"), collapse = "\n")
  without_time <- function(json) sub('"written":[0-9]+,"version":"[^"]*"', "", json)
  expect_identical(without_time(page), without_time(committed))
})
