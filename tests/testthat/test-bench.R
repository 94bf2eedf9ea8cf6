run_bench <- function(...) {
  withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep), R_TESTS = "")
  script <- system.file("bench", "bench.R", package = "fitledger")
  out <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), c(shQuote(script), ...),
    stdout = TRUE, stderr = FALSE
  ))
  list(out = out, status = attr(out, "status"))
}

test_that("the benchmark times each row beside each peer", {
  skip_on_cran()
  csv <- tempfile(fileext = ".csv")
  on.exit(unlink(csv))
  plot <- tempfile(fileext = ".png")
  on.exit(unlink(plot), add = TRUE)
  bench <- run_bench("small", "--csv", shQuote(csv), "--plot", shQuote(plot))
  expect_null(bench$status)
  expect_gt(file.size(plot), 1000)

  table <- read.csv(csv)
  peers <- c(
    "log-one" = 4, "log-fitted" = 4, "log-durable" = 2, "log-grown" = 1,
    "log-many" = 1, import = 1, best = 3, "best-first" = 2, "best-memory" = 1, "best-again" = 1, verify = 1,
    read = 1, "read-first" = 2, writers = 1
  )
  expect_identical(table$name, rep(names(peers), peers))
  printed <- sub(" .*", "", bench$out)
  expect_identical(printed[printed %in% names(peers)], table$name)

  positive <- function(x) is.finite(x) & x > 0
  expect_true(all(positive(table$ours)))
  missing <- !is.na(table$note) & nzchar(table$note)
  expect_identical(positive(table$theirs), !missing)
  expect_identical(positive(table$ratio), !missing)
})

test_that("a row is chosen by its name", {
  skip_on_cran()
  bench <- run_bench("small", "--only", "log-grown")
  expect_null(bench$status)
  expect_length(grep("^log-grown ", bench$out), 1)
  expect_length(grep("^(log-one|best) ", bench$out), 0)
  expect_identical(run_bench("small", "--only", "no-such-row")$status, 1L)
})
