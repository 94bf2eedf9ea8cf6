# What learners know of themselves beside what generics give: of each only what its object has.

#' @export
describe_fit.glmnet <- function(x, ...) {
  learned(
    x,
    metrics = list(train.nulldev = x$nulldev, train.nobs = x$nobs),
    curves = list(train.dev.ratio = x$dev.ratio, path.lambda = x$lambda, path.nzero = x$df)
  )
}

#' @export
describe_fit.cv.glmnet <- function(x, ...) {
  measure <- paste0("cv.", names(x$name) %||% "error")
  std_err <- paste0(measure, ".std_err")
  best <- match(x$lambda.min, x$lambda)
  metrics <- list(
    x$cvm[best], x$cvsd[best],
    lambda.min = x$lambda.min, lambda.1se = x$lambda.1se,
    nzero.min = x$nzero[best], nzero.1se = x$nzero[match(x$lambda.1se, x$lambda)]
  )
  names(metrics)[1:2] <- c(measure, std_err)
  curves <- list(x$cvm, x$cvsd, path.lambda = x$lambda, path.nzero = x$nzero)
  names(curves)[1:2] <- c(measure, std_err)
  learned(x, metrics = metrics, curves = curves)
}

#' @export
describe_fit.ranger <- function(x, ...) {
  error <- x$prediction.error
  oob <- switch(x$treetype %||% "",
    "Regression" = list(oob.mse = error, oob.r.squared = x$r.squared),
    "Probability estimation" = list(oob.brier = error),
    # Of the pairs whose order it predicts right, where the error is of those that it doesn't.
    "Survival" = list(oob.concordance = 1 - error),
    list(oob.error = error)
  )
  known <- c("num.trees", "mtry", "min.node.size", "max.depth", "splitrule", "replace", "treetype")
  learned(x, params = unclass(x)[known], metrics = c(oob, list(train.nobs = x$num.samples)))
}

#' @export
describe_fit.randomForest <- function(x, ...) {
  errors <- x$err.rate
  curves <- if (is.matrix(errors)) {
    # The first column is that of all, and one for each class follows.
    names <- c("oob.error", paste0("oob.error.", colnames(errors)[-1]))
    rlang::set_names(lapply(seq_along(names), function(i) errors[, i]), names)
  } else {
    list(oob.mse = x$mse, oob.r.squared = x$rsq)
  }
  learned(
    x,
    params = unclass(x)[c("type", "ntree", "mtry")],
    metrics = lapply(curves, function(curve) utils::tail(curve, 1)), curves = curves
  )
}

#' @export
describe_fit.rpart <- function(x, ...) {
  table <- x$cptable
  column <- function(name) if (name %in% colnames(table)) table[, name]
  curves <- list(
    train.rel.error = column("rel error"), cv.rel.error = column("xerror"), cv.rel.error.std_err = column("xstd"),
    path.cp = column("CP")
  )
  known <- c("cp", "minsplit", "minbucket", "maxdepth", "maxcompete", "maxsurrogate", "usesurrogate", "xval")
  learned(
    x,
    params = c(list(method = x$method), unclass(x$control)[known]),
    metrics = c(
      lapply(curves[1:3], function(curve) utils::tail(curve, 1)),
      list(leaves = if (is.data.frame(x$frame)) sum(x$frame$var == "<leaf>"))
    ),
    curves = curves, steps = column("nsplit")
  )
}

# A description by what an object has, as far as it is there: its `params`, beside those in its call, `metrics`, and
# `curves` over their steps.
learned <- function(x, params = list(), metrics = list(), curves = list(), steps = NULL) {
  curves <- Filter(is.numeric, curves)
  points <- lapply(names(curves), function(name) {
    values <- as.numeric(curves[[name]])
    data.frame(metric = rep(name, length(values)), step = as.numeric(steps %||% seq_along(values)), value = values)
  })
  fit_description(
    params = override(call_params(x), Filter(is_constant, params)),
    metrics = Filter(Negate(is.na), Filter(is_figure, metrics)),
    series = do.call(rbind, points),
    packages = version_of_home(learned)
  )
}

# ---- tidymodels -----------------------------------------------------------

#' @export
describe_fit.model_fit <- function(x, ...) {
  engine <- description_of(x$fit)
  failed <- if (inherits(x$fit, "try-error")) as.character(x$fit)
  # What parsnip called its engine with is its own code.
  given <- Filter(Negate(is_code), engine$params)
  fit_description(
    params = override(given, spec_params(x$spec)),
    metrics = engine$metrics, series = engine$series, sealed = engine$sealed, notes = c(engine$notes, failed),
    seconds = seconds_of(x$elapsed$elapsed), packages = engine$packages, prototype = engine$prototype
  )
}

#' @export
describe_fit.workflow <- function(x, ...) {
  asked <- override(preprocessor_params(x$pre$actions), spec_params(x$fit$actions$model$spec))
  if (is.null(x$fit$fit)) {
    return(fit_description(params = asked, notes = "The workflow isn't trained."))
  }
  described <- description_of(x$fit$fit)
  blueprint <- x$pre$mold$blueprint
  described$params <- override(described$params, asked)
  seconds <- c(described$seconds, seconds_of(blueprint$recipe$fit_times))
  described["seconds"] <- list(if (length(seconds)) sum(seconds))
  described["prototype"] <- list(blueprint$ptypes$predictors)
  described
}

is_code <- function(x) inherits(x, "fitledger_code")

# Of what `proc.time()` or a recipe's table of its steps says.
seconds_of <- function(times) {
  elapsed <- if (is.list(times)) unclass(times)[["elapsed"]] else times[names(times) %in% "elapsed"]
  if (is.numeric(elapsed) && length(elapsed) && !anyNA(elapsed)) sum(elapsed)
}

# What a model specification of parsnip asks for.
spec_params <- function(spec) {
  if (is.null(spec)) {
    return(list())
  }
  made_by <- spec$method$fit$func
  about <- list(
    learner = if (length(made_by)) paste(made_by[intersect(c("pkg", "fun"), names(made_by))], collapse = "::"),
    model = class(spec)[[1]], mode = spec$mode, engine = spec$engine
  )
  override(drop_null(about), quosure_params(c(spec$args, spec$eng_args)))
}

# What a quosure says: a constant, or the value of a variable, else its code. Nothing is evaluated.
quosure_params <- function(quosures) {
  params <- lapply(quosures, function(quosure) {
    if (!rlang::is_quosure(quosure)) {
      return(if (is_constant(quosure)) quosure)
    }
    code <- rlang::quo_get_expr(quosure)
    if (is.symbol(code)) {
      known <- plain_variables(as.character(code), rlang::quo_get_env(quosure))$variables
      if (length(known) && is_constant(known[[1]])) {
        return(known[[1]])
      }
    }
    code_param(code)
  })
  drop_null(params)
}

preprocessor_params <- function(actions) {
  formula <- actions$formula$formula
  steps <- vapply(actions$recipe$recipe$steps, function(step) class(step)[[1]], "")
  variables <- actions$variables$variables
  drop_null(list(
    preprocessor = if (length(actions)) names(actions)[[1]],
    formula = if (is_formula(formula)) as_code(formula),
    steps = if (length(steps)) paste(steps, collapse = " + "),
    outcomes = if (rlang::is_quosure(variables$outcomes)) as_code(rlang::quo_get_expr(variables$outcomes)),
    predictors = if (rlang::is_quosure(variables$predictors)) as_code(rlang::quo_get_expr(variables$predictors))
  ))
}
