# What an object holds that `saveRDS()` doesn't keep or takes along unasked, and what a model says that it predicts.

# The external pointers in an object, and the environments that it drags along: those that only a function or a formula
# in it leads to. Each is a list of its `value` and its `place`, the code that leads to it. Of what is dragged along the
# object takes only what the function or the formula names, so other pointers there are no loss. Nothing is evaluated:
# promises and active bindings are passed by. No more than `most` parts are looked at: a large nested list must not take
# longer to look at than to store.
object_parts <- function(x, name, most = 20000) {
  seen <- new.env(parent = emptyenv())
  is_new <- function(...) {
    key <- paste(...)
    if (exists(key, seen, inherits = FALSE)) FALSE else assign(key, TRUE, seen)
  }
  found <- list(list(value = x, place = name))
  scopes <- pointers <- dragged <- list()
  # A function is what its environment makes of it, which isn't dragged along.
  if (is.function(x) && is_stored(environment(x))) is_new(rlang::obj_address(environment(x)))
  at <- 0
  while (at < most) {
    if (at == length(found)) {
      if (!length(scopes)) break
      scope <- scopes[[1]]
      scopes <- scopes[-1]
      if (!is_stored(scope$value)) next
      address <- rlang::obj_address(scope$value)
      if (is_new(address)) dragged[[length(dragged) + 1]] <- scope
      named <- intersect(as.character(scope$names), plain_bindings(scope$value))
      new <- named[vapply(named, function(name) is_new(address, name), NA)]
      for (more in parts_worth(mget(new, envir = scope$value), function(names, at) paste0(scope$place, "$", names))) {
        found[[length(found) + 1]] <- more
      }
      outer <- list(value = parent.env(scope$value), place = paste0("parent.env(", scope$place, ")"), names = setdiff(as.character(scope$names), named))
      scopes <- c(list(outer), scopes)
      next
    }
    at <- at + 1
    part <- found[[at]]
    if (typeof(part$value) == "externalptr") {
      pointers[[length(pointers) + 1]] <- part
    } else if (typeof(part$value) != "environment" || is_stored(part$value) && is_new(rlang::obj_address(part$value))) {
      inside <- inside_of(part$value, part$place, most)
      for (more in inside$found) found[[length(found) + 1]] <- more
      scopes <- c(scopes, inside$scopes)
    }
  }
  list(pointers = pointers, dragged = dragged)
}

# Other environments are stored by their names.
is_stored <- function(env) {
  typeof(env) == "environment" && !identical(env, globalenv()) && !identical(env, baseenv()) && !identical(env, emptyenv()) &&
    !isNamespace(env) && !any(startsWith(as.character(attr(env, "name")), "package:"))
}

# The parts of one value, as far as there may be something in them, and the environments in which code in it looks for
# names.
inside_of <- function(x, place, most) {
  # A class has pointers of its own, which say nothing of its objects.
  if (typeof(x) == "S4" && identical(attr(class(x), "package"), "methods")) {
    return(list())
  }
  scopes <- values <- list()
  attributes <- attributes(x)
  if (typeof(x) == "environment") {
    scopes <- list(list(value = parent.env(x), place = paste0("parent.env(", place, ")")))
    values <- mget(utils::head(plain_bindings(x), most), envir = x)
  } else if (is.function(x)) {
    code <- list(body(x), unname(formals(x)))
    scopes <- list(list(value = environment(x), place = paste0("environment(", place, ")"), names = names_in(code)))
  } else if (typeof(x) %in% c("list", "pairlist", "expression", "language")) {
    values <- if (typeof(x) == "list") unclass(x) else as.list(x)
    names <- rlang::names2(values)
    attributes(values) <- NULL
    values <- utils::head(rlang::set_names(values, names), most)
  }
  # Such as xgboost and lightgbm keep beside their pointer, to make it anew from when it is dead.
  if (is.raw(values[["raw"]]) && length(values[["raw"]])) {
    return(list())
  }
  found <- parts_worth(values, function(names, at) {
    paste0(place, ifelse(nzchar(names), paste0("$", names), paste0("[[", at, "]]")))
  })
  if (is.environment(attributes$.Environment)) {
    scope <- list(value = attributes$.Environment, place = paste0("environment(", place, ")"), names = names_in(x))
    scopes <- c(scopes, list(scope))
  }
  attributes <- attributes[setdiff(names(attributes), plain_attributes)]
  if (is.data.frame(x)) {
    # Of data.table's and readr's own; the values are in the columns.
    attributes <- attributes[vapply(attributes, typeof, "") != "externalptr"]
  }
  more <- parts_worth(attributes, function(names, at) {
    if (isS4(x)) paste0(place, "@", names) else paste0("attr(", place, ", \"", names, "\")")
  })
  list(found = c(found, more), scopes = scopes)
}

# The names that stand in code.
names_in <- function(code) {
  if (is.list(code)) unique(unlist(lapply(code, names_in))) else if (is.language(code)) all.names(code)
}

plain_attributes <- c(".Environment", "class", "dim", "dimnames", "levels", "names", "row.names", "srcref", "tsp")

# The names of what is in an environment and can be looked at without evaluating anything.
plain_bindings <- function(env) {
  names <- ls(env, all.names = TRUE, sorted = FALSE)
  if (!length(names)) {
    return(names)
  }
  names[!rlang::env_binding_are_lazy(env, names) & !rlang::env_binding_are_active(env, names)]
}

may_hold <- function(x) {
  is.recursive(x) || typeof(x) %in% c("externalptr", "S4", "object") || !is.null(attributes(x))
}

# `place_of`: the code for parts of these names at these places.
parts_worth <- function(values, place_of) {
  # A missing argument is a symbol, too, and can't be handed on.
  at <- which(!vapply(unname(values), is.symbol, NA))
  at <- at[vapply(unname(values[at]), may_hold, NA)]
  if (length(at)) {
    part <- function(value, place) list(value = value, place = place)
    Map(part, unname(values[at]), place_of(names(values)[at], at))
  }
}

# ---- What isn't kept ------------------------------------------------------

# The pointers that are dead in the copy. Some objects bring theirs back by themselves, so the copy is asked.
lost_pointers <- function(parts, path, name) {
  if (!length(parts$pointers)) {
    return(character())
  }
  back <- tryCatch(readRDS(path), error = function(e) NULL)
  pointers <- if (is.null(back)) parts$pointers else Filter(function(part) is_dead(part$value), object_parts(back, name)$pointers)
  vapply(pointers, function(part) part$place, "")
}

is_dead <- function(pointer) {
  grepl("^<pointer: (\\(nil\\)|(0x)?0*)>$", deparse(pointer, control = NULL)[[1]])
}

warn_of_pointers <- function(places, name, call = rlang::caller_env()) {
  if (length(places)) {
    warn(
      "pointers",
      c(
        paste0("What is stored as the artifact `", name, "` can't come back as it is: ", enumerate(places, 3), if (length(places) > 1) " are external pointers." else " is an external pointer."),
        i = "Save the object to a file by the function that its package has for that, and log the file. `register_model()` refuses this artifact."
      ),
      call
    )
  }
}

# ---- What is taken along --------------------------------------------------

say_dragged <- function(parts, x, bytes, name) {
  own <- as.numeric(utils::object.size(x))
  if (bytes <= 2^20 || bytes <= 2 * own || !length(parts$dragged)) {
    return(invisible())
  }
  sizes <- unlist(lapply(parts$dragged, function(part) {
    vapply(mget(plain_bindings(part$value), envir = part$value), binding_size, 0)
  }))
  if (sum(sizes) <= 2^20) {
    return(invisible())
  }
  sizes <- sort(sizes, decreasing = TRUE)
  things <- paste0("`", names(sizes), "`", ifelse(sizes > 1e5, paste0(" (", vapply(sizes, size_text, ""), ")"), ""))
  more <- length(things) - 5
  inform(
    "dragged",
    c(
      paste0(
        "The artifact `", name, "` takes ", size_text(bytes), ", ", number_text(round(bytes / own)),
        " times the object. It drags along `",
        parts$dragged[[1]]$place, "`, with ", paste(utils::head(things, 5), collapse = ", "), if (more > 0) paste(" and", more, "more"), "."
      ),
      i = "Whoever has the ledger's folder can read all of that. Make the object in a function that holds nothing else, or set the environment of its formula to `globalenv()`."
    )
  )
}

binding_size <- function(x) {
  if (is.symbol(x)) 0 else as.numeric(utils::object.size(x))
}

# ---- What a model predicts ------------------------------------------------

# The columns that a model predicts and doesn't predict from, as far as it or a formula in it says so.
outcome_of <- function(x) {
  if (!is.list(x)) {
    return(NULL)
  }
  # A workflow of tidymodels says it by itself.
  outcomes <- x
  for (name in c("pre", "mold", "blueprint", "ptypes", "outcomes")) outcomes <- element(outcomes, name)
  if (is.data.frame(outcomes)) {
    return(names(outcomes))
  }
  x <- unclass(x)
  call <- if (is.call(x[["call"]])) as.list(x[["call"]])[-1]
  code <- c(list(x[["terms"]], x[["formula"]], call[["formula"]]), unname(call))
  formulas <- Filter(function(code) rlang::is_call(code, "~"), Filter(is.call, code))
  if (length(formulas)) outcome_in(formulas[[1]])
}

outcome_in <- function(formula) {
  if (rlang::is_call(formula, "~") && length(formula) == 3) {
    setdiff(all.vars(formula[[2]]), all.vars(formula[[3]]))
  }
}
