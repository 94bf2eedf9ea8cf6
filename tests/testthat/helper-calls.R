# Calls of every kind, whose record must not depend on the version of R: see
# test-call.R, and dev/test-r, which hands their ledgers from version to version.

log_calls <- function(file) {
  fit <- function(x, a = 1, ...) {
    x
    a
    structure(list(n = NROW(x)), class = "fit")
  }
  n <- function(fit) list(n = as.double(fit$n))
  d <- data.frame(y = c(1.5, 2, 4, 4.5, 7, 7.5), x = 1:6, g = factor(rep(c("a", "b"), 3)))

  # Values as they are typed.
  log_call(file, fit(d, 2L), metrics = n)
  log_call(file, fit(d, 2 + 1), metrics = n)
  log_call(file, fit(d, "text"), metrics = n)
  log_call(file, fit(d, NA), metrics = n)
  log_call(file, fit(d, NULL), metrics = n)
  log_call(file, fit(d, c(one = 1, two = 2)), metrics = n)
  log_call(file, fit(d, as.Date("2026-11-23")), metrics = n)
  log_call(file, fit(d, list(depth = 3L, rates = c(0.1, 0.3))), metrics = n)
  log_call(file, fit(d, as.difftime(90, units = "secs")), metrics = n)
  log_call(file, fit(d, y ~ x + g), metrics = n)
  log_call(file, fit(d, function(x) x + 1), metrics = n)

  # Defaults, and what the function makes of its arguments.
  defaults <- function(x, k = 5L, neg = -1, kind = c("one", "two"), twice = k * 2, never = stop("evaluated"), by) {
    kind <- match.arg(kind)
    k <- k + 0L
    twice
    x <- as.matrix(x["x"])
    list(n = nrow(x))
  }
  log_call(file, defaults(d), metrics = n)
  log_call(file, defaults(d, 3 - 1, kind = "two"), metrics = n)
  log_call(file, defaults(x = d[d$g == "a", ], neg = -(2)), metrics = n)
  late <- function(x, a, b) {
    if (missing(b)) b <- "made up"
    if (!missing(a)) a <- "changed"
    list(n = length(x))
  }
  log_call(file, late(1:3, never_evaluated), metrics = n)

  # Dots, some of them never evaluated.
  dots <- function(...) {
    ..1
    list(n = ...length())
  }
  log_call(file, dots(1 + 1, k = 2 * 3, stop("not me")), metrics = n)
  handed_on <- function(...) log_call(file, dots(...), metrics = n)
  handed_on(d, size = 10L)

  # Data by hash: frames, matrices, long vectors, variables that the learner evaluates itself.
  log_call(file, lm(y ~ x, data = d), metrics = function(fit) list(n = as.double(length(fit$residuals))), artifact = "model")
  log_call(file, lm(y ~ x, data = d, weights = x, subset = g == "b"), metrics = NULL)
  for (degree in 0:1) log_call(file, loess(dist ~ speed, cars, span = 0.8, degree = degree), metrics = NULL)
  log_call(file, glm(x ~ y, family = poisson(), data = d[1:5, ]), metrics = NULL)
  log_call(file, fit(as.matrix(d[1:2]), seq_len(6) * 1.5), metrics = n)
  log_call(file, fit(seq(0, 1, length.out = 2000)), metrics = n)
  log_call(file, fit(complex(3, real = c(1, NA, 2), imaginary = c(0, 0, NA))), metrics = n, data = list(z = list(as.complex(NA))))

  # Methods.
  train <- function(x, ...) UseMethod("train")
  train.default <- function(x, k = 2, ...) list(n = k)
  train.data.frame <- function(x, k = ncol(x), ...) {
    force(k)
    NextMethod()
  }
  log_call(file, train(1:3), metrics = n)
  log_call(file, train(d, 4), metrics = n)
  log_call(file, train(d), metrics = n)
  where <- environment()
  suppressMessages(methods::setGeneric(
    "trainS4", function(object, ...) standardGeneric("trainS4"),
    where = where, package = "nowhere"
  ))
  on.exit(methods::removeGeneric("trainS4", where = where))
  methods::setMethod("trainS4", "numeric", function(object, k = 3, j = k + 1, ...) {
    j
    object <- NULL
    list(n = k)
  }, where = where)
  log_call(file, trainS4(c(1, 2), k = 1 + 3), metrics = n)

  # Pipes, injections, errors, warnings.
  d |> lm(y ~ x, data = _) |> log_call(file = file, metrics = NULL)
  wrapper <- function(column) {
    log_call(file, fit(d, rlang::as_label(rlang::quo({{ column }}))), metrics = n)
  }
  wrapper(x)
  rlang::inject(log_call(file, lm(!!!list(y ~ g, data = d)), metrics = NULL))
  fails <- function(x, k = 3) {
    k
    stop("no such luck")
  }
  try(log_call(file, fails(d, 1 / 4)), silent = TRUE)
  try(log_call(file, fails(stop("in an argument"), 1 / 4)), silent = TRUE)
  suppressWarnings(log_call(file, fit(d, as.numeric("x")), metrics = n))
  register_model(file, "line", read_runs(file, where = learner == "stats::lm")$run_id[[1]])
  invisible(file)
}

# What must be the same: a line a run, of its parameters, its data and its metrics.
facts_of_calls <- function(file) {
  events <- read_ledger(file)
  of <- function(id) {
    rows <- events[events$run_id == id, ]
    data <- regmatches(rows$context, regexpr("\"hash\":\"[^\"]*\"(,\"rows\":[0-9]+,\"cols\":[0-9]+)?", rows$context))
    status <- regmatches(rows$context, regexpr("\"status\":\"[a-z]*\"", rows$context))
    cells <- c(rows$params, rows$metrics, data, status)
    paste(cells[!is.na(cells) & nzchar(cells)], collapse = " ")
  }
  vapply(unique(events$run_id[nzchar(events$run_id) & !is.na(events$run_id)]), of, "", USE.NAMES = FALSE)
}
