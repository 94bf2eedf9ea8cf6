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

  # One that is done before it is killed is started anew.
  wait_until(
    {
      unlink(file)
      group <- search(wait = FALSE)
      wait_until(finished() >= 4, "four finished runs")
      system(paste0("kill -KILL -", group), ignore.stderr = TRUE)
      wait_until(!"running" %in% read_runs(file, details = TRUE)$status, "every process to be gone")
      finished() < 24
    },
    "a search to be killed in its midst"
  )

  expect_equal(search(wait = TRUE), 0)
  runs <- read_runs(file, details = TRUE)
  done <- runs[runs$status == "finished", ]
  expect_equal(nrow(done), 24)
  expect_false(anyDuplicated(done[c("span", "degree")]) > 0)
  expect_true(all(runs$status %in% c("finished", "lost")))
  expect_identical(verify_ledger(file)$status, "ok")
  expect_false(anyNA(done$cv_rmse))
})
