# What is said of a run about itself: its name, what it is a part of, its seed.

# As it is recorded, in the order in which it stands in a row; NULL where nothing is said.
about_run <- function(file, name = NULL, experiment = NULL, parent = NULL, seed = NULL,
                      call = rlang::caller_env()) {
  if (is.null(experiment)) {
    experiment <- getOption("fitledger.experiment")
  }
  if (is.null(parent) && length(enclosing$runs)) {
    parent <- enclosing_run(file)
  } else if (!is.null(parent)) {
    parent <- parent_id(file, parent, call)
  }
  if (!is.null(name)) {
    check_text(name, "name", call)
  }
  if (!is.null(experiment)) {
    check_text(experiment, "experiment", call)
  }
  c(
    if (!is.null(name)) list(name = name), if (!is.null(experiment)) list(experiment = experiment),
    if (!is.null(parent)) list(parent = parent), if (!is.null(seed)) list(seed = seed)
  )
}

# NA says that a run belongs to none, also within `with_run()`.
parent_id <- function(file, parent, call) {
  if (is.atomic(parent) && !is.object(parent) && length(parent) == 1 && is.na(parent)) {
    return(NULL)
  }
  known_run_id(file, parent, "parent", call)
}

# The runs within whose `with_run()` we are, the innermost last, each with its file.
enclosing <- new.env(parent = emptyenv())
enclosing$runs <- list()

enclosing_run <- function(file) {
  file <- absolute_path(file)
  for (run in rev(enclosing$runs)) {
    if (identical(path_of(run$file), file)) {
      return(run$run_id)
    }
  }
}

is_enclosing <- function(run) {
  for (enclosing in enclosing$runs) {
    if (identical(enclosing$run_id, run$run_id) && identical(enclosing$file, run$file)) {
      return(TRUE)
    }
  }
  FALSE
}

# Evaluates code whose runs are children of a run.
within_parent <- function(run, code) {
  before <- enclosing$runs
  on.exit(enclosing$runs <- before)
  enclosing$runs <- c(before, list(run))
  code
}
