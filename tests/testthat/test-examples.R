test_that("the search goes on where it was killed and repeats nothing that was finished", {
  skip_on_cran()
  skip_on_os(c("windows", "mac"))
  script <- system.file("examples", "search.R", package = "fitledger")
  file <- local_ledger()
  libraries <- paste(.libPaths(), collapse = .Platform$path.sep)
  withr::local_envvar(R_LIBS = libraries)
  search <- function(wait) {
    command <- paste(shQuote(c("Rscript", "--vanilla", script, file, "2")), collapse = " ")
    system(paste("setsid", command, "> /dev/null 2>&1", if (!wait) "& echo $!"), intern = !wait)
  }
  finished <- function() {
    if (!file.exists(file)) return(0)
    nrow(read_runs(file, where = status == "finished"))
  }

  group <- search(wait = FALSE)
  deadline <- Sys.time() + 30
  while (finished() < 4 && Sys.time() < deadline) Sys.sleep(0.02)
  expect_equal(system(paste0("kill -KILL -", group)), 0)
  Sys.sleep(0.2)
  before <- finished()
  expect_gte(before, 4)
  expect_lt(before, 24)

  expect_equal(search(wait = TRUE), 0)
  runs <- read_runs(file, details = TRUE)
  done <- runs[runs$status == "finished", ]
  expect_equal(nrow(done), 24)
  expect_false(anyDuplicated(done[c("span", "degree")]) > 0)
  expect_true(all(runs$status %in% c("finished", "lost")))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_false(anyNA(done$cv_rmse))
})
