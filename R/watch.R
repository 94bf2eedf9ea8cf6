# Watching a call: the function is run as a copy whose first line hands over its
# frame, so that afterwards we can read what the arguments were. Nothing is
# evaluated that the function didn't evaluate.
#
# A watch is an environment of
# - `call`: the call to evaluate, whose head is the copy until it begins to run
# - `fun`, `frame`, `received`: the function that ran, its frame, and a copy of the
#   frame as it was at the start, whose promises are those of the frame
# - `given`: the names of the arguments that were not missing
# - `method`: the name of the S3 or S4 method that ran, if any; then `fun` and the
#   others are the method's

watch_call <- function(expr, fun, caller) {
  watch <- new.env(parent = emptyenv())
  watch$fun <- fun
  watch$expr <- expr
  watch$caller <- caller
  head <- expr[[1]]
  first_line <- function() {
    frame <- parent.frame()
    if (is.null(watch$frame)) {
      # From here on the call is what was typed: for `match.call()`, `sys.call()` and
      # whoever prints an error.
      set_call_head(watch$call, head)
      take_over(watch, fun, frame)
    }
  }
  copy <- if (methods::is(fun, "genericFunction")) watch_s4_generic(watch, fun) else fun
  copy <- with_first_line(copy, first_line, watch_dispatch(watch, fun, caller))
  expr[[1]] <- copy
  watch$call <- expr
  watch
}

take_over <- function(watch, fun, frame) {
  watch$fun <- fun
  watch$frame <- frame
  watch$received <- rlang::env_clone(frame)
  names <- setdiff(names(formals(fun)), "...")
  missing <- vapply(names, function(name) eval(call("missing", as.name(name)), frame), logical(1))
  watch$given <- names[!missing]
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
watch_dispatch <- function(watch, fun, caller) {
  rewrite <- function(code) {
    if (identical(code[[1]], quote(`function`))) {
      return(code)
    }
    if (identical(code[[1]], quote(UseMethod))) {
      return(watch_use_method(watch, code, fun, caller))
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

watch_use_method <- function(watch, code, fun, caller) {
  known <- length(code) %in% 2:3 && is.character(code[[2]]) && (length(code) == 2 || is.symbol(code[[3]]))
  if (!known) {
    return(code)
  }
  object <- if (length(code) == 3) as.character(code[[3]]) else names(formals(fun))[1]
  given <- function() object %in% watch$given
  look <- function() watch_method(watch, code[[2]], object, fun, caller)
  # Evaluated where `UseMethod()` would, so that an error says the same.
  force <- call("if", as.call(list(given)), as.name(object))
  call("{", force, as.call(list(look)), code)
}

# `UseMethod()` looks in the frame of the caller first. The copy of the method stands
# there from now until its first line, and nothing else runs in between.
watch_method <- function(watch, generic, object, fun, caller) {
  if (!object %in% watch$given) {
    return(invisible())
  }
  found <- find_method(generic, .class2(watch$received[[object]]), environment(fun), caller)
  if (is.null(found) || is.primitive(found$method) || !is_free(found$name, caller)) {
    return(invisible())
  }
  before <- caller[[found$name]]
  watch$put_back <- function() {
    watch$put_back <- NULL
    if (is.null(before)) rm(list = found$name, envir = caller) else assign(found$name, before, caller)
  }
  first_line <- function() {
    if (!is.null(watch$put_back)) {
      watch$put_back()
      watch$method <- found$name
      take_over(watch, found$method, parent.frame())
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

# As R looks: from the caller's frame to its top level, among the registered
# methods, then on the search path.
find_method <- function(generic, classes, home, caller) {
  registered <- home[[".__S3MethodsTable__."]]
  top <- topenv(caller)
  for (class in c(classes, "default")) {
    name <- paste0(generic, ".", class)
    method <- get_up_to(name, caller, top) %||% registered[[name]] %||%
      get0(name, parent.env(top), mode = "function")
    if (!is.null(method)) {
      return(list(name = name, method = method))
    }
  }
  NULL
}

get_up_to <- function(name, from, to) {
  repeat {
    found <- get0(name, from, mode = "function", inherits = FALSE)
    if (!is.null(found) || identical(from, to) || identical(from, emptyenv())) {
      return(found)
    }
    from <- parent.env(from)
  }
}

# ---- S4 -------------------------------------------------------------------

# A copy of a generic with tables of its own, in which each method is watched.
watch_s4_generic <- function(watch, fun) {
  tables <- rlang::env_clone(environment(fun))
  for (table in intersect(c(".MTable", ".AllMTable"), names(tables))) {
    methods <- as.list(tables[[table]], all.names = TRUE)
    watched <- Map(function(method, name) watch_s4_method(watch, method, name), methods, names(methods))
    tables[[table]] <- list2env(watched, parent = emptyenv())
  }
  copy <- fun
  environment(copy) <- tables
  copy
}

watch_s4_method <- function(watch, method, signature) {
  if (is.primitive(method)) {
    return(method)
  }
  enter <- function(fun) {
    function() {
      if (is.null(watch$method) || identical(watch$method, signature)) {
        watch$method <- signature
        take_over(watch, fun, parent.frame())
      }
    }
  }
  code <- body(method)
  # A method with more arguments than its generic has them in a function inside.
  inside <- is.call(code) && length(code) > 1 && rlang::is_call(code[[2]], "<-") &&
    identical(code[[2]][[2]], as.name(".local")) && is.function(code[[2]][[3]])
  if (inside) {
    local <- code[[2]][[3]]
    code[[2]][[3]] <- with_first_line(local, enter(local))
  }
  with_first_line(method, enter(method), code)
}

# ---- Reading --------------------------------------------------------------

# For each argument a list of its `code`, whether it was `given`, and, if the function
# has evaluated it or it is a constant, its `value`.
watched_arguments <- function(watch) {
  if (!is.null(watch$put_back)) {
    watch$put_back()
  }
  if (is.null(watch$frame)) {
    return(typed_arguments(watch$expr))
  }
  formals <- formals(watch$fun)
  arguments <- list()
  for (name in names(formals)) {
    if (name == "...") {
      arguments <- c(arguments, dot_arguments(watch$received))
    } else if (name %in% watch$given) {
      arguments[[name]] <- given_argument(name, watch)
    } else {
      arguments[[name]] <- default_argument(name, formals, watch$frame)
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

given_argument <- function(name, watch) {
  found <- argument(eval(call("substitute", as.name(name), watch$received)), given = TRUE)
  if (!rlang::env_binding_are_lazy(watch$received, name)) {
    found["value"] <- list(watch$received[[name]])
  } else if (name == "data" && is_typed(found$code, watch$expr) && is_harmless(found$code, watch$caller)) {
    found["value"] <- list(tryCatch(eval(found$code, watch$caller), error = function(e) NULL))
  }
  found
}

# Whether code stands in the call itself, not in a call further out.
is_typed <- function(code, expr) {
  any(vapply(as.list(expr)[-1], identical, logical(1), code))
}

# `lm()` and its like evaluate `data` anew, past the argument. Where that is a variable
# or rows and columns of one, reading it once more has no effect.
is_harmless <- function(code, env) {
  harmless <- c(
    "[", "[[", "$", "(", ":", "-", "+", "*", "/", "!", "==", "!=", "<", ">", "<=", ">=", "&", "|", "%in%",
    "c", "which", "head", "tail", "is.na", "nrow", "ncol", "names", "seq_len", "setdiff"
  )
  if (is.symbol(code)) {
    name <- as.character(code)
    return(!nzchar(name) || is_variable(name, env))
  }
  if (!is.call(code)) {
    return(TRUE)
  }
  head <- code[[1]]
  if (!is.symbol(head) || !as.character(head) %in% harmless) {
    return(FALSE)
  }
  fun <- get0(as.character(head), env, mode = "function")
  home <- if (is.primitive(fun)) "base" else environmentName(topenv(environment(fun)))
  parts <- if (identical(head, quote(`$`))) code[2] else as.list(code)[-1]
  home %in% c("base", "utils") && all(vapply(seq_along(parts), function(i) is_harmless(parts[[i]], env), logical(1)))
}

# Whether a name has a value that is there already. One that has none may be a column.
is_variable <- function(name, env) {
  while (!identical(env, emptyenv())) {
    if (exists(name, env, inherits = FALSE)) {
      return(!rlang::env_binding_are_active(env, name) && !rlang::env_binding_are_lazy(env, name))
    }
    env <- parent.env(env)
  }
  TRUE
}

# Without a default there is something to say only if the function made up a value.
default_argument <- function(name, formals, frame) {
  no_default <- identical(formals[[name]], quote(expr = ))
  found <- if (no_default) list(given = FALSE) else argument(formals[[name]], given = FALSE)
  readable <- exists(name, frame, inherits = FALSE) && !rlang::env_binding_are_active(frame, name) &&
    !rlang::env_binding_are_lazy(frame, name) && !identical(frame[[name]], quote(expr = ))
  if (!"value" %in% names(found) && readable) {
    found["value"] <- list(frame[[name]])
  }
  if (!no_default || "value" %in% names(found)) found
}

# rlang tells an argument that was evaluated, a quosure without environment, from one
# that wasn't. It would also carry out an injection, which must not happen.
dot_arguments <- function(received) {
  codes <- as.list(eval(quote(substitute(list(...))), received))[-1]
  if (!length(codes)) {
    return(list())
  }
  found <- lapply(unname(codes), argument, given = TRUE)
  if (!has_injection(codes)) {
    quosures <- eval(quote(rlang::enquos(..., .ignore_empty = "none", .unquote_names = FALSE)), received)
    for (i in seq_along(codes)) {
      if (identical(rlang::quo_get_env(quosures[[i]]), emptyenv())) {
        found[[i]]["value"] <- list(rlang::quo_get_expr(quosures[[i]]))
      }
    }
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
  names
}
