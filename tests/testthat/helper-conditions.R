# A snapshot of what each expression of `code` signals, and of the code. The text is made here, since testthat and
# rlang print conditions in another way from version to version. `transform` is given the lines of the conditions.
expect_snapshot_conditions <- function(code, transform = identity) {
  code <- substitute(code)
  env <- parent.frame()
  expressions <- if (rlang::is_call(code, "{")) as.list(code)[-1] else list(code)
  signalled <- lapply(expressions, function(expression) {
    c(
      "Code", paste0("  ", deparse(expression, width.cutoff = 500)),
      transform(unlist(lapply(conditions_of(expression, env), condition_lines)))
    )
  })
  expect_snapshot_output(writeLines(unlist(signalled)))
}

# The messages and warnings of an expression, and its error, in the order in which they come.
conditions_of <- function(expression, env) {
  conditions <- list()
  note <- function(condition) {
    conditions <<- c(conditions, list(condition))
    rlang::cnd_muffle(condition)
  }
  tryCatch(withCallingHandlers(eval(expression, env), message = note, warning = note), error = note)
  conditions
}

# A condition as its user meets it: its kind, the classes of ours, the call it is said to come from, the message, and
# the same of what caused it, but for the call, which R gives to its own errors in some versions only.
condition_lines <- function(condition, heading = kind_of(condition)) {
  classes <- grep("^fitledger_", class(condition), value = TRUE)
  call <- if (heading != "Cause") conditionCall(condition)
  cause <- condition[["parent"]]
  # conditionMessage() would add the cause's message, in rlang's own way.
  condition[["parent"]] <- NULL
  c(
    paste0(
      heading,
      if (length(classes)) paste0(" <", paste(classes, collapse = "/"), ">"),
      if (!is.null(call)) paste0(" in `", deparse1(call[[1]]), "()`")
    ),
    paste0("  ", strsplit(conditionMessage(condition), "\n")[[1]]),
    if (!is.null(cause)) condition_lines(cause, "Cause")
  )
}

kind_of <- function(condition) {
  if (inherits(condition, "error")) "Error" else if (inherits(condition, "warning")) "Warning" else "Message"
}
