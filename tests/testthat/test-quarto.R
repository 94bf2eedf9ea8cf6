# Pages as Quarto has knitr run them: each in a fresh R process, from its own folder.

skip_if_not_installed("knitr")
skip_on_cran()

# A book with one folder of chapters; its path.
local_book <- function(..., env = parent.frame()) {
  book <- withr::local_tempdir(.local_envir = env)
  chapters <- file.path(book, "chapters")
  dir.create(chapters)
  file.copy(test_path("fixtures", "quarto", c(...)), chapters)
  book
}

# Renders a chapter; the lines of what came out.
render <- function(book, page) {
  code <- sprintf(
    "setwd('%s'); knitr::knit('%s', 'page.md', quiet = TRUE)",
    normalizePath(file.path(book, "chapters"), winslash = "/"), page
  )
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  output <- withr::with_envvar(
    c(R_LIBS = libraries),
    system2(
      file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(code)),
      stdout = TRUE, stderr = TRUE
    )
  )
  if (!is.null(attr(output, "status"))) {
    stop(paste(output, collapse = "\n"))
  }
  readLines(file.path(book, "chapters", "page.md"), encoding = "UTF-8")
}

# The script of the session that each run names.
scripts <- function(ledger) {
  rows <- read.csv(ledger)
  field <- function(rows, name) sub(sprintf('.*"%s":"([^"]*)".*', name), "\\1", rows$context)
  sessions <- rows[rows$event == "session", ]
  runs <- rows[rows$event == "run", ]
  field(sessions, "script")[match(field(runs, "session"), field(sessions, "id"))]
}

test_that("a chapter logs to a path relative to itself, and draws from the log", {
  book <- local_book("ridge.qmd")
  page <- render(book, "ridge.qmd")

  expect_equal(scripts(file.path(book, "experiments.csv")), rep("ridge.qmd", 3))
  expect_match(page, "The best run has lambda 0.", fixed = TRUE, all = FALSE)
  expect_match(page, "figure/fig-ridge-1.png", fixed = TRUE, all = FALSE)
  expect_true(file.exists(file.path(book, "chapters", "figure", "fig-ridge-1.png")))
})

test_that("a render repeated appends its runs again, and the answer stays", {
  book <- local_book("ridge.qmd")
  ledger <- file.path(book, "experiments.csv")
  page <- render(book, "ridge.qmd")
  before <- readLines(ledger)

  expect_equal(render(book, "ridge.qmd"), page)
  expect_equal(head(readLines(ledger), length(before)), before)
  expect_equal(read_runs(ledger)$lambda, c(0, 1, 10, 0, 1, 10))
  expect_equal(best_run(ledger, "rmse")$run_id, read_runs(ledger)$run_id[[1]])
})

test_that("two chapters log to one file", {
  book <- local_book("ridge.qmd", "tree.qmd")
  render(book, "ridge.qmd")
  page <- render(book, "tree.qmd")

  expect_equal(scripts(file.path(book, "experiments.csv")), rep(c("ridge.qmd", "tree.qmd"), c(3, 1)))
  expect_match(page, "The best run of all is a tree.", fixed = TRUE, all = FALSE)
})

test_that("a chapter embeds the view of its runs, and renders it anew", {
  skip_if_not_installed("jsonlite")
  book <- local_book("view.qmd")
  runs <- function() jsonlite::parse_json(page_json(file.path(book, "chapters", "runs.html")))$runs$n
  page <- render(book, "view.qmd")

  expect_match(page, '<iframe src="runs.html" width="100%" height="600" title="Runs"></iframe>', fixed = TRUE, all = FALSE)
  expect_equal(runs(), 3)
  expect_equal(render(book, "view.qmd"), page)
  expect_equal(runs(), 6)
})

test_that("the session names the page, not the copy that Quarto hands to knitr", {
  book <- local_book("tree.qmd")
  chapters <- file.path(book, "chapters")
  file.copy(file.path(chapters, "tree.qmd"), file.path(chapters, "tree.rmarkdown"))
  render(book, "tree.rmarkdown")

  expect_equal(scripts(file.path(book, "experiments.csv")), "tree.qmd")
})

test_that("a cached chunk appends nothing when it is rendered again", {
  book <- local_book("cached.qmd")
  page <- render(book, "cached.qmd")
  expect_match(page, "## [1] 1", fixed = TRUE, all = FALSE)

  ledger <- file.path(book, "chapters", "experiments.csv")
  before <- readLines(ledger)
  expect_equal(render(book, "cached.qmd"), page)
  expect_equal(readLines(ledger), before)
})

test_that("a cached chunk whose ledger was temporary: the reader says that it is gone", {
  book <- local_book("temporary.qmd")
  page <- render(book, "temporary.qmd")
  expect_match(page, "## [1] 1", fixed = TRUE, all = FALSE)

  again <- paste(render(book, "temporary.qmd"), collapse = "\n")
  expect_match(again, "There is no file '.*experiments.csv'")
  expect_match(again, "temporary folder", ignore.case = TRUE)
  expect_match(again, "cached chunk", ignore.case = TRUE)
})
