# Capturing a call's arguments: the function is run as a copy whose first line hands over
# its frame, so that afterwards we can read what the arguments were. Nothing is
# evaluated that the function didn't evaluate.
#
# A capture is an environment of
# - `call`: the call to evaluate, whose head is the copy until it begins to run
# - `called`: the function that was called
# - `fun`, `frame`: the function that ran, and its frame
# - `received`: the promises of the arguments, which stay what they are when the function
#   gives its variables other values
# - `given`: the names of the arguments that were not missing
# - `past`: of arguments that may be read past what the function received, what that takes
# - `tables`: those of them that are variables with data frames, and their versions before the call
# - `formula`: the value of the argument of that name, once the arguments were read
# - `method`: the name of the S3 or S4 method that ran, if any; then `fun` and the
#   others are the method's

capture_call <- function(expr, fun, caller) {
  capture <- new.env(parent = emptyenv())
  capture$called <- fun
  capture$fun <- fun
  capture$expr <- expr
  capture$caller <- caller
  first_line <- function() {
    if (is.null(capture$frame)) {
      as_typed(capture)
      take_over(capture, fun, parent.frame())
    }
  }
  copy <- if (methods::is(fun, "genericFunction")) capture_s4_generic(capture, fun) else fun
  copy <- with_first_line(copy, first_line, capture_dispatch(capture, fun, caller))
  expr[[1]] <- copy
  capture$call <- expr
  # What is wrong with an argument is for the call to say.
  capture$past <- tryCatch(codes_to_read(expr, caller), error = function(e) list())
  capture$tables <- tables_before(capture$past)
  capture
}

# Functions that are made for data.tables, and a few others, change a data frame in place: for whoever holds it, before and after
# the call it is one object.
tables_before <- function(past) {
  tables <- lapply(past, function(read) {
    table <- if (is.symbol(read$code)) value_of(as.character(read$code), read)
    version <- if (is.data.frame(table)) tryCatch(value_version(table, NULL), fitledger_error = function(e) NULL)
    if (!is.null(version)) list(table = table, version = version)
  })
  drop_null(tables)
}

# The value of a variable; if that is a promise which nobody has evaluated, of the variable that it names, and so on.
value_of <- function(name, read) {
  for (step in 1:20) {
    if (name %in% names(read$variables)) {
      return(read$variables[[name]])
    }
    promise <- read$promises[[name]]
    if (is.null(promise) || has_injection(list(eval(as.call(list(base::substitute, as.name(name))), promise)))) {
      return(NULL)
    }
    quosure <- eval(as.call(list(rlang::enquo, as.name(name))), promise)
    code <- rlang::quo_get_expr(quosure)
    env <- rlang::quo_get_env(quosure)
    if (identical(env, emptyenv())) {
      return(code)
    }
    if (!is.symbol(code)) {
      return(NULL)
    }
    name <- as.character(code)
    read <- plain_variables(name, env)
  }
}

version_before <- function(tables, value) {
  Find(function(known) rlang::is_reference(known$table, value), tables)$version
}

# From now on the call is what was typed: for `match.call()`, `sys.call()` and whoever
# prints an error.
as_typed <- function(capture) {
  call_native(native_set_call_head, capture$call, capture$expr[[1]])
}

take_over <- function(capture, fun, frame) {
  capture$fun <- fun
  capture$frame <- frame
  capture$given <- given_names(fun, frame)
  dots <- if ("..." %in% names(formals(fun))) "..."
  capture$received <- share_promises(c(capture$given, dots), frame)
}

# An environment with the same promises under the same names: what the frame evaluates is
# evaluated in both. Since R 4.6 there is no C function for it that packages may use, and
# what `rlang::env_clone()` makes there are new promises, which would have to be evaluated
# once more. The imports of namespaces must not force what is loaded lazily, so that R
# itself hands promises on there, in each version; for that the frame passes as a namespace
# for a moment, in which no code of anybody else runs.
share_promises <- function(names, frame) {
  shared <- new.env(parent = emptyenv())
  if (!length(names)) {
    return(shared)
  }
  exports <- list2env(as.list(rlang::set_names(names)), parent = emptyenv())
  spec <- c(name = "frame", version = "0")
  assign(".__NAMESPACE__.", list2env(list(spec = spec, exports = exports), parent = emptyenv()), frame)
  on.exit(rm(".__NAMESPACE__.", envir = frame))
  importIntoEnv(shared, names, frame, names)
  shared
}

# Functions stand in these calls as themselves, since an argument may have their name.
given_names <- function(fun, frame) {
  names <- setdiff(names(formals(fun)), "...")
  asked <- lapply(names, function(name) as.call(list(base::missing, as.name(name))))
  are_missing <- function(asked) unlist(eval(as.call(c(base::list, asked)), frame))
  # R has no answer for some; then each is asked for itself.
  missing <- tryCatch(are_missing(asked), error = function(e) {
    vapply(asked, function(one) tryCatch(are_missing(list(one)), error = function(e) FALSE), NA)
  })
  names[!as.logical(missing)]
}

with_first_line <- function(fun, first_line, code = body(fun)) {
  copy <- as.function(
    c(formals(fun), list(call("{", as.call(list(first_line)), code))),
    envir = environment(fun)
  )
  kept <- attributes(fun)
  attributes(copy) <- kept[setdiff(names(kept), "srcref")]
  if (isS4(fun)) asS4(copy) else copy
}

# ---- S3 -------------------------------------------------------------------

# The body of a function in which each `UseMethod()` comes after a look at which
# method it will find.
capture_dispatch <- function(capture, fun, caller) {
  rewrite <- function(code) {
    if (identical(code[[1]], quote(`function`))) {
      return(code)
    }
    if (identical(code[[1]], quote(UseMethod))) {
      return(capture_use_method(capture, code, fun, caller))
    }
    for (i in seq_along(code)) {
      if (is.call(code[[i]])) {
        code[[i]] <- rewrite(code[[i]])
      }
    }
    code
  }
  code <- body(fun)
  if ("UseMethod" %in% all.names(code)) rewrite(code) else code
}

capture_use_method <- function(capture, code, fun, caller) {
  known <- length(code) %in% 2:3 && is.character(code[[2]]) && (length(code) == 2 || is.symbol(code[[3]]))
  if (!known) {
    return(code)
  }
  object <- if (length(code) == 3) code[[3]] else as.name(names(formals(fun))[1])
  # The object is evaluated where `UseMethod()` would, so that an error says the same.
  # With one argument R takes what the function was given, whatever became of it since.
  first <- length(code) == 2
  look <- function(object) {
    name <- as.character(substitute(object))
    if (!first || name %in% capture$given) {
      capture_method(capture, code[[2]], if (first) capture$received[[name]] else object, parent.frame(), caller)
    }
  }
  is_there <- function() !first || as.character(object) %in% capture$given
  call("{", call("if", as.call(list(is_there)), object), as.call(list(look, object)), code)
}

# `UseMethod()` looks in the frame of the caller first. The copy of the method stands
# there from now until its first line, and nothing else runs in between.
capture_method <- function(capture, generic, object, frame, caller) {
  found <- find_method(generic, .class2(object), frame, caller)
  if (is.null(found) || is.primitive(found$method) || !is_free(found$name, caller)) {
    return(invisible())
  }
  was_there <- exists(found$name, caller, inherits = FALSE)
  before <- caller[[found$name]]
  capture$put_back <- function() {
    if (was_there) {
      assign(found$name, before, caller)
    } else if (exists(found$name, caller, inherits = FALSE)) {
      rm(list = found$name, envir = caller)
    }
    # Only now, since an interrupt may come in between.
    capture$put_back <- NULL
  }
  first_line <- function() {
    if (!is.null(capture$put_back)) {
      capture$put_back()
      capture$method <- found$name
      take_over(capture, found$method, parent.frame())
    }
  }
  assign(found$name, with_first_line(found$method, first_line), caller)
}

# Whether a name can be given another value for a moment.
is_free <- function(name, env) {
  if (!exists(name, env, inherits = FALSE)) {
    return(!environmentIsLocked(env))
  }
  !bindingIsLocked(name, env) && !bindingIsActive(name, env)
}

# As R looks: from the caller's frame to its top level, among the methods that are
# registered where the generic is defined, then further up, but not among the packages
# that are attached.
find_method <- function(generic, classes, frame, caller) {
  definition <- get0(generic, frame, mode = "function")
  home <- if (is.function(definition) && !is.primitive(definition)) environment(definition) else baseenv()
  registered <- home[[".__S3MethodsTable__."]]
  top <- topenv(caller)
  beyond <- if (identical(top, globalenv())) baseenv() else parent.env(top)
  for (class in c(classes, "default")) {
    name <- paste0(generic, ".", class)
    method <- function_from(name, caller, top) %||% registered[[name]] %||% function_from(name, beyond, baseenv())
    if (!is.null(method)) {
      return(list(name = name, method = method))
    }
  }
  NULL
}

function_from <- function(name, from, to) {
  repeat {
    found <- get0(name, from, mode = "function", inherits = FALSE)
    if (!is.null(found) || identical(from, to) || identical(from, emptyenv())) {
      return(found)
    }
    from <- if (identical(from, globalenv())) baseenv() else parent.env(from)
  }
}

# ---- S4 -------------------------------------------------------------------

# A copy of a generic with tables of its own, in which each method hands over its frame.
capture_s4_generic <- function(capture, fun) {
  tables <- rlang::env_clone(environment(fun))
  for (table in intersect(c(".MTable", ".AllMTable"), names(tables))) {
    methods <- as.list(tables[[table]], all.names = TRUE)
    copies <- Map(function(method, name) capture_s4_method(capture, method, name), methods, names(methods))
    tables[[table]] <- list2env(copies, parent = emptyenv())
  }
  copy <- fun
  environment(copy) <- tables
  copy
}

capture_s4_method <- function(capture, method, signature) {
  if (is.primitive(method)) {
    return(method)
  }
  enter <- function() {
    if (is.null(capture$method)) {
      capture$method <- signature
      take_over(capture, method, parent.frame())
    }
  }
  code <- body(method)
  # A method with more arguments than its generic has them in a function inside.
  inside <- is.call(code) && length(code) > 1 && rlang::is_call(code[[2]], "<-") &&
    identical(code[[2]][[2]], as.name(".local")) && is.function(code[[2]][[3]])
  if (inside) {
    local <- code[[2]][[3]]
    enter_local <- function() {
      if (identical(capture$method, signature) && is.null(capture$inner)) {
        capture$inner <- new.env(parent = emptyenv())
        take_over(capture$inner, local, parent.frame())
      }
    }
    code[[2]][[3]] <- with_first_line(local, enter_local)
  }
  with_first_line(method, enter, code)
}

# ---- Reading --------------------------------------------------------------

# For each argument a list of its `code`, whether it was `given`, and, if the function
# has evaluated it, it is a constant or can be read past it, its `value`. What the call gave
# may have a formula.
captured_arguments <- function(capture, value) {
  if (!is.null(capture$put_back)) {
    capture$put_back()
  }
  if (is.null(capture$frame)) {
    return(typed_arguments(capture$expr))
  }
  arguments <- frame_arguments(capture)
  if (!is.null(capture$inner)) {
    inner <- frame_arguments(capture$inner)
    for (name in names(inner)) {
      arguments[[name]] <- override(inner[[name]], arguments[[name]])
    }
  }
  read_past(arguments, capture$past, formula_kept(value))
}

frame_arguments <- function(capture) {
  formals <- formals(capture$fun)
  readable <- readable_names(setdiff(names(formals), c("...", capture$given)), capture$frame)
  arguments <- list()
  for (name in names(formals)) {
    if (name == "...") {
      arguments <- c(arguments, dot_arguments(capture$received))
    } else if (name %in% capture$given) {
      arguments[[name]] <- given_argument(name, capture$received)
    } else {
      arguments[[name]] <- default_argument(name, formals, if (name %in% readable) capture$frame)
    }
  }
  arguments
}

# What was typed, where the function never began.
typed_arguments <- function(expr) {
  codes <- as.list(expr)[-1]
  rlang::set_names(lapply(codes, argument, given = TRUE), dot_names(rlang::names2(codes)))
}

# A constant is its own value.
argument <- function(code, given) {
  argument <- list(code = code, given = given)
  if (!is.call(code) && !is.symbol(code)) {
    argument["value"] <- list(code)
  }
  argument
}

given_argument <- function(name, received) {
  name <- as.name(name)
  found <- argument(eval(as.call(list(base::substitute, name)), received), given = TRUE)
  if (has_injection(list(found$code))) {
    evaluated <- !rlang::env_binding_are_lazy(received, as.character(name))
    return(c(found, if (evaluated) list(value = received[[as.character(name)]])))
  }
  with_value(found, eval(as.call(list(rlang::enquo, name)), received), received[[as.character(name)]])
}

# rlang tells an argument that was evaluated, a quosure without environment, from one that
# wasn't, also where one promise wraps another, as those of S4 methods do before R 4.6. It
# would also carry out an injection, which must not happen. The value itself is the one that was received, of which rlang has a
# copy.
with_value <- function(argument, quosure, value) {
  if (rlang::quo_is_missing(quosure)) {
    argument["value"] <- list(rlang::missing_arg())
  } else if (identical(rlang::quo_get_env(quosure), emptyenv())) {
    argument["value"] <- list(value)
  }
  argument
}

# Those of a frame's names whose values can be read without evaluating anything.
readable_names <- function(names, frame) {
  names <- intersect(names, names(frame))
  names[!rlang::env_binding_are_active(frame, names) & !rlang::env_binding_are_lazy(frame, names)]
}

# Without a default there is something to say only if the function made up a value. `frame` is NULL where that can't be read.
default_argument <- function(name, formals, frame) {
  no_default <- identical(formals[[name]], quote(expr = ))
  found <- if (no_default) list(given = FALSE) else argument(formals[[name]], given = FALSE)
  if (!"value" %in% names(found) && !is.null(frame) && !identical(frame[[name]], quote(expr = ))) {
    found["value"] <- list(frame[[name]])
  }
  if (!no_default || "value" %in% names(found)) found
}

dot_arguments <- function(received) {
  codes <- as.list(eval(as.call(list(base::substitute, quote(list(...)))), received))[-1]
  if (!length(codes)) {
    return(list())
  }
  found <- lapply(unname(codes), argument, given = TRUE)
  quosures <- dots_unevaluated(received)
  if (!is.null(quosures)) {
    value_at <- function(i) eval(as.call(list(base::...elt, i)), received)
    found <- lapply(seq_along(found), function(i) with_value(found[[i]], quosures[[i]], value_at(i)))
  }
  rlang::set_names(found, dot_names(rlang::names2(codes)))
}

# `!!` and `{{` are two of the same operator, one within the other.
has_injection <- function(codes) {
  operators <- all.names(as.call(c(quote(list), unname(codes))))
  twice <- operators == c(operators[-1], "")
  any(twice & operators %in% c("!", "{"))
}

dot_names <- function(names) {
  unnamed <- !nzchar(names)
  names[unnamed] <- paste0("..", which(unnamed))
  make.unique(names)
}

# ---- Past the argument ----------------------------------------------------

# `lm()` and its like evaluate `data` and a formula anew, past the arguments. Where these are
# variables, or made of such by what has no effect, they are read once more: from the
# variables as they were before the call, of which the call may have evaluated a promise.

# For each argument that can be read so its `code`, the `env` of that, and the `variables`
# and `promises` that it names.
codes_to_read <- function(expr, caller) {
  found <- lapply(typed_quosures(expr, caller), function(quosure) {
    code <- rlang::quo_get_expr(quosure)
    env <- rlang::quo_get_env(quosure)
    is_evaluated <- identical(env, emptyenv())
    is_code <- is.symbol(code) || is.call(code) && !is_formula(code)
    if (is_code && !is_evaluated && is_harmless(code, env)) {
      c(list(code = code, env = env), plain_variables(variables_in(code), env))
    }
  })
  Filter(function(read) "variables" %in% names(read), found)
}

# What was typed as arguments, and what came to be arguments by dots, none of it evaluated.
typed_quosures <- function(expr, caller) {
  codes <- Filter(Negate(rlang::is_missing), unname(as.list(expr)[-1]))
  quosures <- lapply(codes, function(code) {
    if (identical(code, quote(...))) unclass(dots_unevaluated(caller)) else list(rlang::new_quosure(code, caller))
  })
  do.call(c, quosures)
}

# NULL where there is an injection among them, which must not be carried out.
dots_unevaluated <- function(frame) {
  codes <- as.list(eval(as.call(list(base::substitute, quote(list(...)))), frame))[-1]
  if (!has_injection(codes)) {
    eval(as.call(list(rlang::enquos, quote(...), .ignore_empty = "none", .unquote_names = FALSE)), frame)
  }
}

# Arguments with the values that the function has read past them: that of `data`, and formulas, of which the model may
# have kept one. What else isn't evaluated may be a column's name.
read_past <- function(arguments, past, kept) {
  columns <- unlist(lapply(arguments, function(argument) if (is_table(argument$value)) colnames(argument$value)))
  for (name in names(arguments)) {
    argument <- arguments[[name]]
    if (isTRUE(argument$given) && !"value" %in% names(argument)) {
      known <- Filter(function(read) identical(read$code, argument$code), past)
      value <- if (length(known)) value_past(known[[1]])
      if (name == "formula" && is.null(value) && !is_formula(argument$code)) {
        value <- kept
      }
      is_meant <- switch(name,
        data = is_table(value),
        formula = is_formula(value) || is_text_string(value),
        is_formula(value) && !any(variables_in(argument$code) %in% columns)
      )
      if (is_meant) {
        arguments[[name]]$value <- value
      }
    }
  }
  arguments
}

value_past <- function(read) {
  variables <- read$variables
  for (name in names(read$promises)) {
    if (rlang::env_binding_are_lazy(read$promises[[name]], name) || !is_plain_data(read$promises[[name]][[name]])) {
      return(NULL)
    }
    variables[name] <- list(read$promises[[name]][[name]])
  }
  tryCatch(eval(read$code, list2env(variables, parent = read$env)), error = function(e) NULL)
}

# What the formula of a model came to, as it keeps it.
formula_kept <- function(model) {
  terms <- if (is.list(model)) unclass(model)[["terms"]]
  if (is_formula(terms)) {
    attributes(terms) <- NULL
    terms
  }
}

# Also one that is only quoted.
is_formula <- function(x) {
  rlang::is_call(x, "~")
}

# A formula in code is the code that it is.
variables_in <- function(code) {
  if (is_formula(code)) {
    return(character())
  }
  if (!is.call(code)) {
    return(all.vars(code))
  }
  unique(unlist(lapply(as.list(code)[-1], variables_in)))
}

is_harmless <- function(code, env) {
  if (!is.call(code) || is_formula(code)) {
    return(TRUE)
  }
  operators <- c(
    "[", "[[", "$", "(", ":", "-", "+", "*", "/", "!", "==", "!=", "<", ">", "<=", ">=", "&", "|", "%in%",
    "c", "which", "head", "tail", "is.na", "nrow", "ncol", "names", "seq_len", "setdiff",
    "list", "paste", "paste0", "sprintf", "as.formula", "formula", "reformulate", "update"
  )
  packages <- c("base", "utils", "stats")
  name <- head_name(code[[1]])
  known <- isTRUE(name %in% operators) && (is.symbol(code[[1]]) || as.character(code[[1]][[2]]) %in% packages)
  if (!known) {
    return(FALSE)
  }
  fun <- if (is.symbol(code[[1]])) get0(name, env, mode = "function") else eval(code[[1]], baseenv())
  home <- if (is.primitive(fun)) "base" else environmentName(topenv(environment(fun)))
  home %in% packages && all(vapply(as.list(code)[-1], is_harmless, NA, env))
}

# The values of variables that are plain data, or promises that may become such; NULL if one is more. A name without a
# value may be that of a column.
plain_variables <- function(names, env) {
  found <- list(variables = list(), promises = list())
  for (name in names) {
    at <- home_of(name, env)
    if (is.null(at)) {
      next
    }
    # The data of packages are promises until somebody looks.
    is_lazy <- rlang::env_binding_are_lazy(at, name) && !startsWith(environmentName(at), "package:")
    if (rlang::env_binding_are_active(at, name) || is_lazy && (identical(at, globalenv()) || environmentIsLocked(at))) {
      return(NULL)
    }
    if (is_lazy) {
      found$promises[[name]] <- share_promises(name, at)
    } else if (is_plain_data(at[[name]])) {
      found$variables[name] <- list(at[[name]])
    } else if (!is.function(at[[name]])) {
      return(NULL)
    }
  }
  found
}

is_plain_data <- function(x) {
  plain <- list(
    "formula", "factor", "Date", "data.frame", c("tbl_df", "tbl", "data.frame"), c("data.table", "data.frame")
  )
  !is.object(x) && (is.null(x) || is.atomic(x) || is.list(x) || is_formula(x)) || any(vapply(plain, identical, logical(1), class(x)))
}
