# Evaluates a call bare and logged, where it stands, from the same seed.
expect_same <- function(expr, file, strict = TRUE) {
  frame <- parent.frame()
  outcome <- function(expr) {
    set.seed(7)
    value <- withVisible(eval(expr, frame))
    c(value, list(stream = .Random.seed))
  }
  bare <- outcome(expr)
  logged <- outcome(rlang::inject(quote(log_call(file, !!expr)), env = frame))
  expect_true(
    identical(bare, logged, ignore.environment = !strict, ignore.bytecode = TRUE),
    label = paste(deparse(expr)[1], "as without us")
  )
  invisible(logged$value)
}

last_params <- function(file) {
  id <- last_run_id(file)
  runs <- read_runs(file, where = run_id == id, void = TRUE)
  lapply(runs[-(1:2)], function(x) if (is.list(x)) x[[1]] else x)
}

last_events <- function(file) {
  events <- read_ledger(file)
  events[events$run_id %in% last_run_id(file), ]
}

last_code <- function(file, name) {
  params <- lapply(stats::na.omit(last_events(file)$params), jsonlite::fromJSON)
  do.call(c, params)[[name]]$`$code`
}

test_that("the learners of R give what they give without us", {
  file <- local_ledger()
  d <- mtcars
  x <- as.matrix(d[-1])
  y <- d$mpg
  expect_same(quote(lm(mpg ~ wt, data = d, weights = hp)), file)
  expect_same(quote(stats::lm(mpg ~ ., d[1:20, ])), file)
  expect_same(quote(loess(mpg ~ wt, d, span = 0.8)), file)
  expect_same(quote(kmeans(d, 3)), file)
  # Their values hold functions of their own, which two bare calls don't share either.
  expect_same(quote(glm(am ~ wt, binomial, d)), file, strict = FALSE)
  expect_same(quote(nls(mpg ~ a + b * wt, d, start = list(a = 1, b = 1))), file, strict = FALSE)
  for (package in c("rpart", "ranger", "glmnet", "randomForest")) {
    skip_if_not_installed(package)
  }
  expect_same(quote(rpart::rpart(mpg ~ ., data = d, control = rpart::rpart.control(cp = 0.02))), file)
  expect_same(quote(ranger::ranger(mpg ~ ., data = d, num.trees = 10)), file)
  expect_same(quote(glmnet::glmnet(x, y, lambda = c(1, 0.1))), file)
  expect_same(quote(glmnet::cv.glmnet(x, y, nfolds = 4)), file)
  expect_same(quote(randomForest::randomForest(mpg ~ ., data = d, ntree = 5)), file)
  expect_same(quote(randomForest::randomForest(x, y, ntree = 5)), file)

  runs <- read_runs(file, details = TRUE)
  expect_true(all(runs$status == "finished"))
  expect_identical(
    runs$learner[c(1, 7, 12)], c("stats::lm", "rpart::rpart", "randomForest::randomForest")
  )
  # Each of them names its data, whether or not it evaluates the argument.
  expect_true(all(grepl(hash_data(d), runs$data[c(1, 3:8, 11)], fixed = TRUE)))
  expect_true(grepl(hash_data(x), runs$data[[12]], fixed = TRUE) && grepl(hash_data(y), runs$data[[12]], fixed = TRUE))
  expect_identical(runs$num.trees[[8]], 10)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("update() and predict() work on what comes back", {
  file <- local_ledger()
  fit <- log_call(file, lm(dist ~ speed, data = cars))
  expect_identical(fit$call, quote(lm(formula = dist ~ speed, data = cars)))
  expect_identical(coef(update(fit, . ~ . + I(speed^2))), coef(lm(dist ~ speed + I(speed^2), cars)))
})

fit_all <- function(x, a, const = 5L, neg = -1, choice = c("one", "two"), lazy = a * 2, never = stop("evaluated"),
                    by = nrow(x), f = mean, ...) {
  choice <- match.arg(choice)
  lazy
  by <- by + 1L
  a <- "changed"
  const <- "changed"
  neg
  if (...length()) ..1
  structure(list(call = match.call(), f = f), class = "fit_all")
}

test_that("each kind of argument is recorded as it should be", {
  file <- local_ledger()
  my_mean <- function(x) mean(x)
  log_call(file, fit_all(cars, 2 + 1, k = 1 + 1, z = stop("not me"), f = my_mean, j = quote(u + v)))
  params <- last_params(file)
  expect_identical(params$a, 3)
  expect_identical(params$const, 5L)
  expect_identical(params$neg, -1)
  expect_identical(params$choice, "one")
  expect_identical(params$lazy, 6)
  expect_identical(params$by, 51L)
  expect_identical(params$k, 2)
  expect_identical(last_code(file, "never"), "stop(\"evaluated\")")
  expect_identical(last_code(file, "z"), "stop(\"not me\")")
  expect_identical(last_code(file, "f"), "my_mean")
  expect_identical(last_code(file, "j"), "quote(u + v)")
  expect_identical(read_runs(file, columns = "data")$data, hash_data(cars))
  expect_false("x" %in% names(params))
})

test_that("nothing is evaluated that the function doesn't evaluate", {
  file <- local_ledger()
  touched <- character()
  touch <- function(what) {
    touched <<- c(touched, what)
    what
  }
  defaults <- function(a = touch("a"), b = touch("b"), ..., d = touch(b)) {
    if (FALSE) c(a, ...)
    b
  }
  log_call(file, defaults(touch("given a"), k = touch("k")))
  expect_identical(touched, "b")
  expect_identical(last_code(file, "d"), "touch(b)")
  expect_identical(last_code(file, "k"), "touch(\"k\")")
  touched <- character()
  with_data <- function(formula, data, weights) eval(substitute(weights), data)
  log_call(file, with_data(y ~ x, data = data.frame(w = 1:3), weights = w))
  expect_identical(last_code(file, "weights"), "w")
  log_call(file, with_data(y ~ x, data = list(w = touch("once")), weights = w))
  expect_identical(touched, "once")
})

test_that("data that the function evaluates past its argument is read where that has no effect", {
  file <- local_ledger()
  touched <- 0
  d <- cars
  past <- function(formula, data) invisible(eval(match.call()$data, parent.frame()))
  log_call(file, past(y ~ x, data = d[d$speed > 10, ]))
  expect_identical(read_runs(file, columns = "data")$data, hash_data(cars[cars$speed > 10, ]))
  touch <- function() {
    touched <<- touched + 1
    cars
  }
  log_call(file, past(y ~ x, data = touch()))
  expect_identical(touched, 1)
  expect_identical(last_code(file, "data"), "touch()")
  delayedAssign("slow", touch())
  ignore <- function(formula, data) NULL
  log_call(file, ignore(y ~ x, data = slow))
  expect_identical(touched, 1)
})

test_that("a formula is recorded as what it is, however it is given", {
  file <- local_ledger()
  fo <- mpg ~ wt
  fos <- list(mpg ~ wt, wt = mpg ~ hp, quoted = quote(mpg ~ qsec))
  v <- c("wt", "hp")
  i <- 2
  text <- "mpg ~ wt"
  is_recorded <- function(code, formula) {
    eval(substitute(code))
    expect_identical(last_code(file, "formula"), formula)
    expect_identical(read_runs(file, columns = "data")$data |> utils::tail(1), hash_data(mtcars))
  }
  is_recorded(log_call(file, lm(fo, mtcars)), "mpg ~ wt")
  is_recorded(log_call(file, lm((fo), mtcars)), "mpg ~ wt")
  is_recorded(log_call(file, lm(fos[[1]], mtcars)), "mpg ~ wt")
  is_recorded(log_call(file, lm(fos$wt, mtcars)), "mpg ~ hp")
  is_recorded(log_call(file, lm(fos[[i]], mtcars)), "mpg ~ hp")
  is_recorded(log_call(file, lm(fos$quoted, mtcars)), "mpg ~ qsec")
  is_recorded(log_call(file, lm(as.formula(text), mtcars)), "mpg ~ wt")
  is_recorded(log_call(file, lm(stats::as.formula(paste("mpg ~", paste(v, collapse = " + "))), mtcars)), "mpg ~ wt + hp")
  is_recorded(log_call(file, lm(reformulate(v, "mpg"), mtcars)), "mpg ~ wt + hp")
  is_recorded(log_call(file, lm(reformulate("wt", response = "mpg"), mtcars)), "mpg ~ wt")
  is_recorded(log_call(file, lm(update(fo, . ~ . + hp), mtcars)), "mpg ~ wt + hp")
  is_recorded(log_call(file, glm(fo, gaussian, mtcars)), "mpg ~ wt")
  is_recorded(log_call(file, lm(data = mtcars, fo)), "mpg ~ wt")
  log_call(file, lm(text, mtcars))
  expect_identical(last_params(file)$formula, text)
  for (fo in fos[1:2]) log_call(file, lm(fo, data = mtcars))
  expect_identical(utils::tail(read_runs(file)$formula, 2), c("mpg ~ wt", "mpg ~ hp"))
  fits <- lapply(fos[1:2], function(f) log_call(file, lm(f, data = mtcars)))
  expect_identical(utils::tail(read_runs(file)$formula, 2), c("mpg ~ wt", "mpg ~ hp"))

  # Through functions, whether or not they have looked at what they were given.
  wrappers <- list(
    function(formula, data) log_call(file, lm(formula, data = data)),
    function(formula, data) {
      force(formula)
      force(data)
      log_call(file, lm(formula, data = data))
    },
    function(fo, d, ...) log_call(file, lm(fo, d, ...)),
    function(...) log_call(file, lm(...)),
    function(first, second) (function(formula, data) log_call(file, lm(formula, data = data)))(first, second),
    function(first, second) (function(...) log_call(file, lm(...)))(first, second)
  )
  for (wrapper in wrappers) {
    is_recorded(wrapper(mpg ~ wt, mtcars), "mpg ~ wt")
    is_recorded(wrapper(fo, mtcars), "mpg ~ hp")
  }
  # By another name, unless that may be a column's.
  second <- function(model, fixed, weights, data) invisible(eval(match.call()$fixed, parent.frame()))
  wt <- ~hp
  log_call(file, second(1, fo, wt, head(mtcars)))
  expect_identical(last_code(file, "fixed"), "mpg ~ hp")
  data <- head(mtcars)
  forced <- function(fixed, weights, data) NROW(data)
  log_call(file, forced(fo, wt, data))
  expect_identical(last_code(file, "weights"), "wt")
})

test_that("to record a formula nothing is evaluated that has an effect", {
  file <- local_ledger()
  touched <- 0
  touch <- function() {
    touched <<- touched + 1
    mpg ~ wt
  }
  ignore <- function(formula, data) NULL
  past <- function(formula, data) invisible(eval(match.call()$formula, parent.frame()))
  log_call(file, past(touch(), mtcars))
  expect_identical(touched, 1)
  expect_identical(last_code(file, "formula"), "touch()")
  # What a model keeps of it has no effect to look at.
  log_call(file, lm(touch(), mtcars))
  expect_identical(touched, 2)
  expect_identical(last_code(file, "formula"), "mpg ~ wt")
  log_call(file, lm(cyl ~ ., mtcars))
  expect_identical(last_code(file, "formula"), "cyl ~ .")
  touched <- 0
  delayedAssign("slow", touch())
  makeActiveBinding("active", touch, environment())
  for (wrapper in list(
    function(formula) log_call(file, ignore(formula, mtcars)),
    function(...) log_call(file, ignore(..., data = mtcars))
  )) {
    wrapper(touch())
    expect_identical(touched, 0)
    wrapper(active)
    expect_identical(touched, 0)
  }
  log_call(file, ignore(slow, mtcars))
  expect_identical(touched, 0)
  expect_identical(last_code(file, "formula"), "slow")
  as.formula <- function(x) touch()
  log_call(file, ignore(as.formula("mpg ~ wt"), mtcars))
  expect_identical(touched, 0)
  # As it was when the call began.
  fo <- mpg ~ wt
  changes <- function(formula, data) {
    used <- eval(match.call()$formula, parent.frame())
    fo <<- mpg ~ hp
    used
  }
  log_call(file, changes(fo, mtcars))
  expect_identical(last_code(file, "formula"), "mpg ~ wt")
  # What is wrong with an argument is the call's error.
  expect_error(log_call(file, lm(fo, )), "object 'mpg' not found")
  expect_error(log_call(file, ignore(...)), "'...' used in an incorrect context")
  expect_identical(utils::tail(read_runs(file, columns = "status")$status, 2), c("failed", "failed"))
})

test_that("the family of a model is recorded by its name, and of what nobody gave nothing is missed", {
  file <- local_ledger()
  withr::local_options(warn = 2)
  d <- data.frame(y = c(1, 3, 2, 5, 4, 7), x = 1:6, z = c(0, 1, 0, 1, 1, 0))
  usual <- binomial()
  other <- binomial("probit")
  family_of <- function(call) {
    eval(substitute(call))
    last_code(file, "family")
  }
  expect_identical(family_of(log_call(file, glm(y ~ x, data = d))), "gaussian")
  expect_identical(family_of(log_call(file, glm(z ~ x, data = d, family = usual))), "binomial")
  expect_identical(family_of(log_call(file, glm(z ~ x, data = d, family = other))), "binomial(link = \"probit\")")
  expect_identical(family_of(log_call(file, glm(z ~ x, data = d, family = binomial))), "binomial")
  expect_identical(family_of(log_call(file, glm(z ~ x, data = d, family = binomial()))), "binomial()")
  for (family in list(poisson(), Gamma("log"))) log_call(file, glm(y ~ x, data = d, family = family))
  expect_identical(utils::tail(read_runs(file)$family, 2), c("poisson", "Gamma(link = \"log\")"))
  odd <- structure(list(family = 1), class = "family")
  default <- odd
  takes <- function(x, family = default) list(x, family)
  log_call(file, takes(1))
  expect_identical(last_code(file, "family"), "default")
  expect_warning(log_call(file, takes(1, odd)), "`family` can't be recorded", class = "fitledger_warning_not_recorded")
})

test_that("an S3 method is watched, and named", {
  file <- local_ledger()
  fit3 <- function(x, ...) UseMethod("fit3")
  fit3.default <- function(x, k = 2, ...) list(match.call(), parent.frame(), k)
  fit3.data.frame <- function(x, k = ncol(x), ...) {
    force(k)
    NextMethod()
  }
  expect_same(quote(fit3(1:3)), file)
  expect_identical(last_params(file)$k, 2)
  expect_same(quote(fit3(cars, 3)), file)
  expect_identical(last_params(file)$k, 3)
  expect_same(quote(fit3(cars)), file)
  expect_identical(last_events(file)$params[[2]], "{\"k\":2}")
  expect_match(last_events(file)$context, "fit3.data.frame", all = FALSE)
  expect_identical(environmentName(environment(stats::predict)), "stats")
  expect_setequal(
    setdiff(ls(), "file"), c("fit3", "fit3.default", "fit3.data.frame")
  )
})

test_that("an S4 method is watched, and named", {
  file <- local_ledger()
  where <- environment()
  suppressMessages(setGeneric("fit4", function(object, ...) standardGeneric("fit4"), where = where))
  setMethod("fit4", "numeric", function(object, k = 3, j = k + 1, ...) {
    j
    list(sum(object) * k, match.call())
  }, where = where)
  withr::defer(removeGeneric("fit4", where = where))
  expect_same(quote(fit4(c(1, 2), k = 4)), file)
  params <- last_params(file)
  expect_identical(params[c("k", "j")], list(k = 4, j = 5))
  expect_match(last_events(file)$context, "\"method\":\"numeric\"", all = FALSE)
})

test_that("it works within functions, loops, pipes and injections", {
  file <- local_ledger()
  fits <- lapply(1:2, function(i) log_call(file, lm(dist ~ poly(speed, i), data = cars)))
  expect_length(fits, 2)
  for (span in c(0.5, 0.7)) log_call(file, loess(dist ~ speed, cars, span = span))
  expect_identical(read_runs(file, where = learner == "stats::loess")$span, c(0.5, 0.7))
  outer <- function(...) log_call(file, lm(...))
  expect_identical(coef(outer(dist ~ speed, cars)), coef(lm(dist ~ speed, cars)))
  fit <- cars |> lm(dist ~ speed, data = _) |> log_call(file = file)
  expect_identical(fit$call$data, quote(cars))
  args <- list(formula = dist ~ speed, data = cars)
  expect_identical(coef(rlang::inject(log_call(file, lm(!!!args)))), coef(lm(dist ~ speed, cars)))
  by_name <- function(data, var) {
    column <- rlang::enquo(var)
    mean(rlang::eval_tidy(column, data))
  }
  wrapper <- function(v) log_call(file, by_name(cars, {{ v }}))
  expect_identical(wrapper(speed), mean(cars$speed))
  handed_on <- function(x) rlang::inject(log_call(file, !!substitute(x)))
  expect_identical(coef(handed_on(lm(dist ~ speed, cars))), coef(lm(dist ~ speed, cars)))
})

test_that("what isn't one function call is refused before anything runs", {
  file <- local_file()
  model <- list(fit = function(x) stop("ran"))
  expect_snapshot_conditions({
    log_call(file, fit <- lm(dist ~ speed, cars))
    log_call(file, cars %>% lm(dist ~ speed, data = .))
    log_call(file, cars %>% nrow())
    log_call(file, {
      x <- 1
      lm(dist ~ speed, cars)
    })
    log_call(file, (lm(dist ~ speed, cars)))
    log_call(file, do.call(lm, list(dist ~ speed, cars)))
    log_call(file, do.call("lm", args))
    log_call(file, d %>% head(2) %>% lm(dist ~ ., data = .))
    log_call(file, d %>% lm(dist ~ ., data = subset(., speed > 1)))
    log_call(file, d %>% base::summary)
    log_call(file, base::do.call(function(x) x, list(1)))
    log_call(file, model$fit(cars))
    log_call(file, factory(1)(2))
    log_call(file, fit)
    log_call(file, 3)
    log_call(file)
    log_call(file, no_such_function(1))
    log_call(file, sum(1:3))
    log_call(file, if (TRUE) lm(dist ~ speed, cars))
    log_call(file, lm(dist ~ speed, cars), metrics = list(a = 1))
    log_call(file, lm(dist ~ speed, cars), param = 1, artefact = "model")
  })
  expect_false(file.exists(file))
})

test_that("an error is on record and goes on as it was", {
  file <- local_ledger()
  fails <- function(x, k = 3) {
    k
    stop("no such luck: ", x)
  }
  bare <- rlang::catch_cnd(fails("%s"), "error")
  logged <- rlang::catch_cnd(log_call(file, fails("%s")), "error")
  expect_identical(logged, bare)
  run <- read_runs(file, details = TRUE)
  expect_identical(run$status, "failed")
  expect_identical(run$k, 3)
  expect_identical(run$x, "%s")
  expect_match(last_events(file)$context, "no such luck", all = FALSE)
  expect_identical(
    conditionMessage(rlang::catch_cnd(log_call(file, lm(dist ~ nope, cars)), "error")),
    conditionMessage(rlang::catch_cnd(lm(dist ~ nope, cars), "error"))
  )
  interrupted <- function() rlang::interrupt()
  expect_identical(tryCatch(log_call(file, interrupted()), interrupt = function(e) "stopped"), "stopped")
  expect_identical(read_runs(file, details = TRUE)$status, c("failed", "failed", "interrupted"))
})

test_that("metrics, parameters, artifacts and sealed metrics come from the value", {
  file <- local_ledger()
  fit <- log_call(
    file, lm(dist ~ speed, data = cars),
    metrics = function(fit) list(sigma = sigma(fit)), sealed = function(fit) c(aic = AIC(fit)),
    params = function(fit) list(rank = fit$rank, method = "overridden"),
    artifact = "model", tags = list(by = "ann"), seed = 3, data = list(snapshot = I("2026-11"))
  )
  run <- read_runs(file, details = TRUE)
  expect_identical(run$sigma, sigma(fit))
  expect_identical(run$rank, 2L)
  expect_identical(run$method, "overridden")
  expect_identical(run$seed, 3L)
  expect_identical(read_artifact(file, run$run_id, "model"), fit, ignore_attr = TRUE)
  expect_match(run$data, "snapshot=2026-11")
  expect_identical(reveal_run(file, run$run_id, "to see"), list(aic = AIC(fit)))
  log_call(file, paste("a", "string"), artifact = "text")
  expect_identical(read_artifact(file, last_run_id(file), "text"), "a string")
})

test_that("nothing loses a value: what can't be recorded is one warning", {
  file <- local_ledger()
  odd <- function(e, z) list(e, z)
  somewhere <- globalenv()
  expect_snapshot_conditions(
    value <- log_call(
      file, odd(somewhere, as.raw(1)),
      metrics = function(fit) list(good = 1, bad = "x"), params = function(fit) stop("oh %s {no}"),
      sealed = function(fit) mean
    )
  )
  expect_identical(value, list(globalenv(), as.raw(1)))
  run <- read_runs(file, details = TRUE)
  expect_identical(as.list(run[c("e", "z", "good", "status")]), list(e = "somewhere", z = "as.raw(1)", good = 1, status = "finished"))
})

test_that("a ledger that is gone or full when the fit is done doesn't lose the fit", {
  skip_on_os("windows")
  file <- local_file()
  replaced <- function() {
    unlink(file)
    dir.create(file)
    "the fit"
  }
  withr::defer(unlink(file, recursive = TRUE))
  expect_warning(value <- log_call(file, replaced(), metrics = function(fit) list(a = 1)), class = "fitledger_warning_not_recorded")
  expect_identical(value, "the fit")
})

test_that("the end is on record even if the metrics can't be", {
  file <- local_ledger()
  f <- function() 1
  for (metrics in list(function(v) c(a = 1, a = 2), function(v) 3, function(v) list(run_id = 1, b = 2), function(v) stop("no"))) {
    expect_warning(log_call(file, f(), metrics = metrics), class = "fitledger_warning_not_recorded")
  }
  expect_identical(read_runs(file, details = TRUE)$status, rep("finished", 4))
  expect_identical(read_runs(file, columns = "b")$b, c(NA, NA, 2, NA))
})

test_that("a call that is interrupted again while its arguments are recorded has come to an end", {
  file <- local_ledger()
  run <- start_run(file)
  notes <- new_notes()
  capture <- capture_call(quote(lm(dist ~ speed, cars)), lm, environment())
  again <- FALSE
  interrupt <- function() {
    again <<- TRUE
    rlang::interrupt()
  }
  how <- list(status = "interrupted")
  tryCatch(end_early(run, capture, how, NULL, NULL, NULL, redact = interrupt(), notes), interrupt = function(e) NULL)
  expect_true(again)
  expect_identical(read_runs(file, details = TRUE)$status, "interrupted")
  expect_identical(notes$text, character())
})

test_that("neither an interrupt after the fit nor warnings as errors lose the value", {
  file <- local_ledger()
  f <- function() "the fit"
  expect_warning(value <- log_call(file, f(), metrics = function(v) rlang::interrupt()), "interrupted")
  expect_identical(value, "the fit")
  withr::local_options(warn = 2)
  expect_warning(value <- log_call(file, f(), metrics = function(v) stop("no")), class = "fitledger_warning_not_recorded")
  expect_identical(value, "the fit")
  expect_identical(read_runs(file, details = TRUE)$status, rep("finished", 2))
})

test_that("a time limit that comes after the fit leaves no run that seems to go on", {
  # On the way to a database it comes before the fit as well.
  skip_unless_file()
  file <- local_ledger()
  slow <- function() {
    Sys.sleep(0.3)
    1
  }
  withr::defer(setTimeLimit())
  for (try in 1:5) {
    setTimeLimit(elapsed = 0.1, transient = TRUE)
    suppressWarnings(try(log_call(file, slow()), silent = TRUE))
    setTimeLimit(elapsed = 0.1, transient = TRUE)
    suppressWarnings(try(with_run(file, list(), function(run) slow()), silent = TRUE))
    setTimeLimit()
  }
  expect_false("running" %in% read_runs(file, details = TRUE)$status)
})

test_that("what leaves the code of others for the console after the fit doesn't lose the value", {
  odd <- structure(list(message = "odd", call = NULL), class = c("odd", "condition"))
  f <- function() structure(list(1), class = "fitledger_odd")
  for (leave in list(function(...) invokeRestart("abort"), function(...) stop(odd))) {
    registerS3method("describe_fit", "fitledger_odd", leave, envir = asNamespace("fitledger"))
    file <- local_ledger()
    kept <- function(code) suppressWarnings(withRestarts(code, abort = function() "lost"), "fitledger_warning_not_recorded")
    # R itself says what the condition has to say.
    utils::capture.output(type = "message", {
      for (metrics in list(leave, NULL)) expect_s3_class(kept(log_call(file, f(), metrics = metrics)), "fitledger_odd")
      expect_s3_class(kept(log_fit(file, f())), "fitledger_odd")
    })
    expect_identical(read_runs(file, columns = "status")$status, rep("finished", 3))
  }
})

test_that("the call finds its callers where they would be", {
  file <- local_ledger()
  grandparent <- function() parent.frame(2)
  outer <- function(call) eval(call, environment())
  bare <- function() grandparent()
  logged <- function() log_call(file, grandparent())
  expect_identical(logged(), bare())
  parent <- function(env) env
  expect_identical(suppressWarnings(log_call(file, parent(parent.frame()))), parent(parent.frame()))
  returns <- function() {
    log_call(file, identity(return(5)))
    6
  }
  expect_identical(returns(), 5)
  caller <- function(a) log_call(file, identity(sys.call()))
  expect_identical(caller(1), quote(caller(1)))
})

test_that("an argument may have the name of a function that we use", {
  file <- local_ledger()
  f <- function(x, missing, substitute, list, ...) x
  expect_identical(log_call(file, f(1, stop("not evaluated"), stop("nor this"), stop("nor that"), k = stop("or this"))), 1)
  expect_identical(last_code(file, "missing"), "stop(\"not evaluated\")")
  g <- function(timestamp, ...) timestamp
  expect_warning(log_call(file, g(1, )), "timestamp", class = "fitledger_warning_not_recorded")
})

test_that("the method that R would choose runs, and is the one on record", {
  file <- local_ledger()
  m <- structure(matrix(1:4, 2), class = "test")
  expect_identical(suppressWarnings(log_call(file, t(m))), t(m))
  changed <- function(x, y, ...) {
    y <- structure(1, class = "foo")
    UseMethod("changed", y)
  }
  changed.bar <- function(x, y, k = 99, ...) "bar"
  changed.foo <- function(x, y, j = 5, ...) changed.bar(1, 2)
  expect_identical(suppressWarnings(log_call(file, changed(1, structure(1, class = "bar")))), "bar")
  expect_identical(last_params(file)$j, 5)
  expect_match(last_events(file)$context, "changed.foo", all = FALSE)
  # A variable of the method's name stays, whatever it holds.
  kept <- function(x, ...) UseMethod("kept")
  kept.default <- function(x, k = 1, ...) k
  within <- function() {
    kept.default <- NULL
    log_call(file, kept(1))
    exists("kept.default", inherits = FALSE) && is.null(kept.default)
  }
  expect_true(within())
  expect_match(last_events(file)$context, "kept.default", all = FALSE)
})

test_that("data are those from before the call", {
  file <- local_ledger()
  d <- cars
  shrinks <- function(x, data) d <<- d[1:3, ]
  log_call(file, shrinks(1, data = d))
  expect_identical(tail(read_runs(file, columns = "data")$data, 1), hash_data(cars))
  ignores <- function(x, data) NULL
  log_call(file, ignores(1, data = not_there))
  expect_identical(last_code(file, "data"), "not_there")
  looked <- 0
  makeActiveBinding("active", function() {
    looked <<- looked + 1
    cars
  }, environment())
  log_call(file, ignores(1, data = active))
  log_call(file, ignores(1, data = active[1:2, ]))
  expect_identical(looked, 0)
})

test_that("a ledger that was deleted meanwhile isn't begun anew", {
  skip_on_os("windows")
  file <- local_file()
  gone <- function() {
    unlink(file)
    "the fit"
  }
  expect_warning(value <- log_call(file, gone()), class = "fitledger_warning_not_recorded")
  expect_identical(value, "the fit")
  expect_false(file.exists(file))
})

test_that("an endless recursion has failed, and a jump out of the call is an interruption", {
  file <- local_ledger()
  endless <- function() endless()
  try(log_call(file, endless()), silent = TRUE)
  jumps <- function() invokeRestart("away")
  withRestarts(log_call(file, jumps()), away = function() NULL)
  expect_identical(read_runs(file, details = TRUE)$status, c("failed", "interrupted"))
})

test_that("of a data frame that a function changes in place the version before the call is recorded", {
  skip_if_not_installed("data.table")
  file <- local_ledger()
  changes <- function(data, more = NULL) {
    data.table::set(data, j = "x", value = rev(data$x))
    data.table::setorderv(data, "y")
    nrow(data)
  }
  for (as in list(identity, data.table::as.data.table)) {
    table <- as(data.frame(x = c(1, 2, 3), y = c(3, 1, 2)))
    before <- hash_data(table)
    id <- {
      log_call(file, changes(table), name = "a")
      last_run_id(file)
    }
    expect_false(hash_data(table) == before)
    expect_identical(read_run(file, id)$data$data$hash, before)
    # Also where it fails, and where it came by dots.
    before <- hash_data(table)
    hands_on <- function(...) log_call(file, changes(...))
    expect_error(hands_on(table, stop("not evaluated")), NA)
    expect_identical(read_run(file, last_run_id(file))$data$data$hash, before)
    before <- hash_data(table)
    not_yet <- function(d, ...) log_call(file, changes(d, ...))
    through <- function(x) not_yet(x)
    through(table)
    expect_identical(read_run(file, last_run_id(file))$data$data$hash, before)
    # Another one of the same name is another one.
    two <- function(data, other) nrow(other)
    another <- function(...) {
      table <- data.frame(z = 1)
      log_call(file, two(table, ...))
    }
    another(table)
    expect_identical(
      lapply(read_run(file, last_run_id(file))$data, `[[`, "hash"),
      list(data = hash_data(data.frame(z = 1)), other = hash_data(table))
    )
    before <- hash_data(table)
    fails <- function(data) changes(data) + stop("no")
    expect_error(log_call(file, fails(table)), "no")
    expect_identical(read_run(file, last_run_id(file))$data$data$hash, before)
  }
})

test_that("redaction reaches what is handed on, what is made of it, and what errors say", {
  file <- local_file()
  generic <- function(x, ...) UseMethod("generic")
  generic.default <- function(x, token, ...) x
  log_call(file, generic(1, "s3cr3t-token"), redact = "token")
  log_call(file, generic(1, tok = "s3cr3t-token"), redact = "token")
  forwards <- function(x, ...) derives(...)
  derives <- function(token, auth = paste("Bearer", token)) auth
  log_call(file, forwards(1, tok = "s3cr3t-token"), redact = "token")
  log_call(file, derives("s3cr3t-token"), redact = "token", params = list(token = "s3cr3t-token"))
  fails <- function(x, token) stop(strrep("x", 1995), token)
  try(log_call(file, fails(1, "s3cr3t-token"), redact = "token"), silent = TRUE)
  bytes <- "s3cr3t-token\xff"
  expect_error(log_call(file, fails(1, token = bytes), redact = "token"), "xxxx")
  expect_error(log_call(file, fails(1, "s3cr3t-token", 3), redact = "token"), "unused argument")
  expect_false(any(grepl("s3cr3t", readLines(file), fixed = TRUE)))
  expect_error(log_call(file, fails(1, 2), redact = "tokn"), "token", class = "fitledger_error_unknown")
  # A function of any arguments may have one this time or not, but not one of nearly the name.
  any <- function(...) list(...)
  hands_on <- function(...) log_call(file, any(...), redact = "tokn")
  expect_error(hands_on(1, token = "s3cr3t-token"), "Did you mean `token`", class = "fitledger_error_unknown")
  either <- function(x, password, ...) x
  for (call in expression(either(1, password = "s3cr3t"), either(1, "s3cr3t"), either(1, passw = "s3cr3t"))) {
    for (redact in c("pasword", "passwrod", "password1")) {
      expect_error(eval(bquote(log_call(file, .(call), redact = .(redact)))), "Did you mean `password`", class = "fitledger_error_unknown")
    }
  }
  expect_identical(log_call(file, any(port = 1, id = 2, x = 3), redact = c("host", "uid", "y", "passphrase")), list(port = 1, id = 2, x = 3))
  expect_error(log_call(file, any(1, token = "s3cr3t-token"), redact = "tokn"), "Did you mean `token`", class = "fitledger_error_unknown")
  expect_error(log_call(file, fails(1, 2), redact = "token", artifact = "m"), class = "fitledger_error_argument")
})

test_that("redaction reaches the runs around a call, and within it, in whatever words its error goes on", {
  file <- local_file()
  fetch <- function(query, key) stop("401 for key ", key)
  fails <- function() log_call(file, fetch("q", key = "s3cr3t-token"), redact = "key")
  garbled <- function(key) stop(paste0("\xff", key))
  bytes <- function() log_call(file, garbled("s3cr3t-token"), redact = "key")
  unnamed <- function() log_call(file, (function(key) stop(key))("s3cr3t-token"), redact = "key")
  asking <- function(key) {
    with_run(file, list(), function(run) stop("no ", key))
  }
  own <- function(code, redact) log_call(file, fetch("q", key = "other"), redact = redact, artifact = "m")
  suppressed <- function(code) code
  in_run <- function(code) with_run(file, list(), function(run) code)
  caught <- function(on) in_run(tryCatch(fails(), error = on))
  many <- function() {
    errors <- lapply(1:120, function(i) tryCatch(log_call(file, fetch(i, paste0("s3cr3t-", i)), redact = "key"), error = identity))
    stop(errors[[1]])
  }
  for (code in list(
    quote(in_run(fails())),
    quote(in_run(bytes())),
    quote(in_run(unnamed())),
    quote(in_run(suppressed(log_call(file, fetch("q", key = "s3cr3t-token"), redact = "key")))),
    quote(with(start_run(file, list()), fails())),
    quote(log_call(file, fails())),
    quote(log_call(file, identity(log_call(file, fetch("q", key = "s3cr3t-token"), redact = "key")))),
    quote(caught(function(e) stop(e))),
    quote(caught(function(e) stop("failed: ", conditionMessage(e)))),
    quote(caught(function(e) stop(gsub("-", "\n", conditionMessage(e))))),
    quote(caught(function(e) stop(errorCondition("other", class = "s3cr3t-class")))),
    quote(caught(function(e) rlang::abort("failed", parent = e))),
    quote(in_run(many())),
    quote(in_run(own(fetch("q", key = "s3cr3t-token"), redact = "key"))),
    quote(log_call(file, asking("s3cr3t-token"), redact = "key"))
  )) {
    expect_error(eval(code))
  }
  # The call itself went well.
  works <- function(key) TRUE
  expect_error(in_run(lapply(1, function(i) {
    log_call(file, works(key = "s3cr3t-token"), redact = "key")
    stop("another")
  })))
  expect_no_match(readLines(file), "s3cr3t", fixed = TRUE)
  runs <- read_runs(file, details = TRUE)
  expect_identical(sum(runs$status == "finished"), 1L)
  expect_match(utils::tail(runs$error[!is.na(runs$error)], 1), "another")

  # Once none of them is evaluated, errors are recorded as they are.
  expect_error(in_run(stop("of its own")))
  expect_match(utils::tail(read_runs(file, details = TRUE)$error, 1), "of its own")
})

test_that("no error that somebody has made up costs a fit", {
  file <- local_file()
  made_up <- list(
    list(message = list(code = 403, text = "refused"), call = NULL), list(message = quote(symbol), call = NULL),
    list(message = function() 1, call = NULL), list(message = globalenv(), call = NULL), list(message = "\xff", call = NULL)
  )
  for (content in made_up) {
    condition <- structure(content, class = c("http_error", "error", "condition"))
    expect_warning(fit <- log_call(file, identity(7), metrics = function(x) stop(condition)), class = "fitledger_warning")
    expect_identical(fit, 7)
    expect_warning(fit <- log_call(file, identity(8), metrics = NULL, params = function(x) stop(condition)), class = "fitledger_warning")
    expect_identical(fit, 8)
    expect_error(with_run(file, list(), function(run) stop(condition)), class = "http_error")
  }
  expect_identical(sum(read_runs(file, details = TRUE)$status == "finished"), 2L * length(made_up))
})

test_that("a session without a connection left keeps its fits", {
  file <- local_file()
  log_run(file, list(), list(m = 1))
  fit <- lm(dist ~ speed, cars)
  used <- list()
  withr::defer(lapply(used, close))
  repeat {
    more <- tryCatch(rawConnection(raw()), error = function(e) NULL)
    if (is.null(more)) break
    used[[length(used) + 1]] <- more
  }
  called <- suppressWarnings(log_call(file, lm(dist ~ speed, cars), artifact = "model"))
  logged <- suppressWarnings(log_fit(file, fit))
  kept <- suppressWarnings(with_run(file, list(), function(run) {
    try(log_artifact(run, fit), silent = TRUE)
    fit
  }))
  lapply(used, close)
  used <- list()
  expect_identical(coef(called), coef(fit))
  expect_identical(logged, fit)
  expect_identical(kept, fit)
  expect_identical(verify_ledger(file)$status, "ok")
})

test_that("redaction reaches what the function makes of it in arguments that nobody gave", {
  file <- local_file()
  chain <- function(token, auth = paste("Bearer", token), header = c(Authorization = auth)) header
  log_call(file, chain("s3cr3t-token"), redact = "token")
  closure <- function(token, auth = make(), tries = 3, modes = c("a", "b")) {
    make <- function() paste("Bearer", token)
    modes <- match.arg(modes)
    auth
  }
  log_call(file, closure("s3cr3t-token"), redact = "token")
  made_up <- function(token, auth, x = list(), header = -1) {
    if (missing(auth)) auth <- paste("Bearer", token)
    x$token <- token
    header <- auth
  }
  log_call(file, made_up("s3cr3t-token"), redact = "token")
  expect_false(any(grepl("s3cr3t", readLines(file), fixed = TRUE)))
  # What was given, and a constant, are what they are.
  log_call(file, closure("s3cr3t-token", modes = "b"), redact = "token")
  params <- read_run(file, last_run_id(file))$params
  expect_identical(params[c("tries", "modes")], list(tries = 3, modes = "b"))
})

test_that("redaction reaches an argument that a method calls otherwise than its generic", {
  file <- local_file()
  generic <- function(x, token) UseMethod("generic")
  generic.default <- function(x, password, ...) x
  secret <- "s3cr3t-token"
  log_call(file, generic(1, "s3cr3t-token"), redact = "token")
  log_call(file, generic(1, secret), redact = "token")
  handed_on <- function(...) log_call(file, generic(...), redact = "token")
  handed_on(1, secret)
  expect_false(any(grepl("s3cr3t", readLines(file), fixed = TRUE)))
  expect_identical(read_runs(file, columns = "x")$x, c(1, 1, 1))
})

test_that("what is redacted is nowhere", {
  file <- local_file()
  client <- function(x, api_key, ...) if (x) stop("key ", api_key, " is refused") else x
  secret <- "s3cr3t-token"
  log_call(file, client(FALSE, "s3cr3t-token"), redact = "api_key")
  log_call(file, client(FALSE, api_key = secret), redact = "api_key")
  log_call(file, client(FALSE, "other", token = "s3cr3t-token"), redact = c("api_key", "token"))
  try(log_call(file, client(TRUE, "s3cr3t-token"), redact = "api_key"), silent = TRUE)
  expect_false(any(grepl("s3cr3t-token", readLines(file), fixed = TRUE)))
  expect_match(readLines(file), "$redacted", fixed = TRUE, all = FALSE)
  expect_identical(read_runs(file, columns = "api_key")$api_key, rep(NA, 4))
})

test_that("a user's own function is told from its next version", {
  file <- local_ledger()
  mine <- rlang::new_function(alist(x = ), quote(x + 1), globalenv())
  log_call(file, mine(1))
  mine <- rlang::new_function(alist(x = ), quote(x + 2), globalenv())
  log_call(file, mine(1))
  compared <- compare_runs(file, read_runs(file))
  expect_true("body" %in% compared$field)
})

test_that("the chapter's failure shows: a package was updated and a default shifted", {
  skip_on_cran()
  install <- function(version, rate) {
    source <- file.path(withr::local_tempdir(), "tinyboost")
    dir.create(file.path(source, "R"), recursive = TRUE)
    writeLines(c("Package: tinyboost", paste("Version:", version), "Title: T", "License: MIT"), file.path(source, "DESCRIPTION"))
    writeLines("export(boost)", file.path(source, "NAMESPACE"))
    writeLines(sprintf("boost <- function(x, rounds = 10L, learning_rate = %s) sum(x) * learning_rate^rounds", rate), file.path(source, "R", "boost.R"))
    library <- withr::local_tempdir(.local_envir = parent.frame(2))
    system2(file.path(R.home("bin"), "R"), c("CMD", "INSTALL", "--no-docs", "--no-byte-compile", paste0("--library=", shQuote(library)), shQuote(source)), stdout = FALSE, stderr = FALSE)
    library
  }
  file <- local_file()
  code <- function(library) {
    c(
      sprintf(".libPaths(c(%s, .libPaths()))", deparse(library)),
      "library(fitledger)", "library(tinyboost)",
      sprintf("log_call(%s, boost(1:3, rounds = 5L), metrics = function(fit) list(score = fit))", deparse(file)),
      "cat('done\\n')"
    )
  }
  run_apart(code(install("1.0.0", "0.3")))
  run_apart(code(install("1.1.0", "0.1")))
  runs <- read_runs(file)
  expect_identical(runs$learning_rate, c(0.3, 0.1))
  compared <- compare_runs(file, runs)
  shown <- function(kind, field) unlist(compared[compared$kind == kind & compared$field == field, 3:4], use.names = FALSE)
  expect_identical(shown("parameter", "learning_rate"), c("0.3", "0.1"))
  expect_identical(shown("package", "tinyboost"), c("1.0.0", "1.1.0"))
  expect_false("rounds" %in% compared$field)
})

test_that("what a call leaves on record doesn't depend on the version of R", {
  file <- local_ledger()
  log_calls(file)
  facts <- facts_of_calls(file)
  expect_gte(length(facts), 30)
  expect_identical(facts, readLines(test_path("fixtures", "calls.txt"), encoding = "UTF-8"))
})
