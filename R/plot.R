#' Plot a metric against a parameter
#'
#' Draws the chapter's figure from the log: a metric against a parameter, the
#' best finished run marked. With `x = "step"` or `x = "time"` it draws the curves of a
#' series, one for each run. Base graphics; `...` goes to [plot()].
#'
#' @inheritParams read_runs
#' @param x Name of a parameter (numbers are drawn on an axis, anything else as
#'   groups), or `"step"` or `"time"` for the curves of a series.
#' @param y Name of a metric.
#' @param ... Further arguments of [plot()], such as `log = "x"` or `main`.
#' @param maximize `TRUE` if larger is better.
#' @returns The runs or points that were drawn, a data frame, invisibly.
#' @section Errors:
#' `fitledger_error_unknown` for a name that isn't there, and where no run has something to draw;
#' `fitledger_error_sealed` for a metric that is sealed, `fitledger_error_where` as in [read_runs()], and those of the file, see
#' [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' grid <- data.frame(lambda = c(0.01, 0.1, 1, 10, 100))
#' grid$rmse <- 2 + (log10(grid$lambda) + 0.3)^2 / 10
#' log_runs(file, grid, params = "lambda", metrics = "rmse")
#' plot_runs(file, "lambda", "rmse", log = "x")
#'
#' for (eta in c(0.05, 0.2)) {
#'   with_run(file, list(eta = eta), function(run) {
#'     for (step in 1:30) log_metrics(run, loss = exp(-eta * step), step = step)
#'   })
#' }
#' plot_runs(file, "step", "loss")
plot_runs <- function(file, x, y, ..., where = NULL, maximize = FALSE) {
  file <- check_ledger(file, "file")
  check_name(x, "x")
  check_name(y, "y")
  check_flag(maximize, "maximize")
  where <- enquo(where)
  table <- run_table(file, NULL, where_columns(where) %||% TRUE, void = FALSE)
  if (!rlang::quo_is_null(where)) {
    table <- filter_table(table, where)
  }
  if (x %in% c("step", "time") && !x %in% table$names) {
    return(invisible(plot_curves(file, table$frame$run_id, x, y, ...)))
  }
  y <- metric_column(table, y)
  if (!x %in% names(table$frame)) {
    abort_unknown("column", x, c(table$names, "step", "time"))
  }
  runs <- table$frame
  drawn <- !is.na(runs[[y]]) & !vapply(runs[[x]], anyNA, logical(1))
  runs <- take_rows(runs, which(drawn))
  if (!nrow(runs)) {
    abort("unknown", paste0("No run has both `", x, "` and `", y, "`."), name = y)
  }
  check_drawable(runs[[y]], y)
  if (is.numeric(runs[[x]])) {
    check_drawable(runs[[x]], x)
  }
  best <- best_row(file, table, runs, y, maximize)
  draw(plot_points(runs[[x]], runs[[y]], best, x, y, ...))
  invisible(runs)
}

# What the graphics refuse is mostly an argument that was handed on to them.
draw <- function(code, call = rlang::caller_env()) {
  tryCatch(code, error = function(e) {
    abort(
      "argument", "The plot can't be drawn.",
      "What is given by other names than ours goes to `plot()`, such as `log`, `xlim` or `col`.",
      arg = "...", parent = without_our_call(e), call = call
    )
  })
}

check_drawable <- function(values, name, call = rlang::caller_env()) {
  if (!is.numeric(values)) {
    abort(
      "argument", paste0("`", name, "` holds values that aren't numbers, and can't be drawn."),
      "`read_runs()` shows them.",
      arg = "y", call = call
    )
  }
  if (!any(is.finite(values))) {
    abort("unknown", paste0("No run has a finite `", name, "`."), "`read_runs()` shows what they have.", name = name, call = call)
  }
}

# The row of the best of some runs; none where none is finished.
best_row <- function(file, table, runs, metric, maximize) {
  if (is.null(table$metrics)) {
    return(best_plain(runs, metric, status_column(runs), metric, maximize, 1))
  }
  best <- run_table(file, character(), character(), void = FALSE, best = list(metric, maximize, 1, runs$run_id, NULL))
  match(best$frame$run_id, runs$run_id)
}

plot_points <- function(x, y, best, xname, yname, ...) {
  numeric <- is.numeric(x) || inherits(x, c("Date", "POSIXct"))
  text <- function(value) without_controls(paste(format(value), collapse = " "))
  groups <- if (!numeric) factor(vapply(x, text, character(1)))
  at <- if (numeric) x else as.integer(groups)
  order <- order(at)
  # A line says that one follows from the other, which it doesn't where something else varies, too.
  is_curve <- numeric && !anyDuplicated(at[!is.na(at)])
  draw_frame(
    at[order], y[order],
    type = if (is_curve) "b" else "p", pch = 19, xlab = without_controls(xname), ylab = without_controls(yname),
    xaxt = if (numeric) "s" else "n", ...
  )
  if (!numeric) {
    graphics::axis(1, seq_along(levels(groups)), levels(groups))
  }
  if (length(best)) {
    graphics::points(at[best], y[best], col = "red", pch = 19, cex = 1.8)
    label <- paste0("best: ", without_controls(xname), " = ", if (numeric) format(x[best]) else groups[best])
    graphics::legend("top", label, pch = 19, col = "red", bty = "n")
  }
}

# A plot over a grid. What the user gives takes the place of what we would.
draw_frame <- function(...) {
  arguments <- list(...)
  names <- rlang::names2(arguments)
  arguments <- arguments[!(duplicated(names, fromLast = TRUE) & nzchar(names))]
  do.call(graphics::plot, c(arguments, alist(panel.first = graphics::grid())))
}

plot_curves <- function(file, run_ids, x, y, ..., call = rlang::caller_env()) {
  points <- as_frame(call_native(native_read_series, file, run_ids, y, call = call))
  points <- take_rows(points, order(match(points$run_id, run_ids), points[[x]]))
  check_drawable(as.numeric(points[[x]]), x, call = call)
  check_drawable(points$value, y, call = call)
  draw(draw_curves(points, x, y, ...), call)
  points
}

draw_curves <- function(points, x, y, ..., most = 8) {
  ids <- unique(points$run_id)
  colours <- grDevices::hcl.colors(max(length(ids), 2), "Dark 3")
  draw_frame(points[[x]], points$value, type = "n", xlab = x, ylab = without_controls(y), ...)
  for (i in seq_along(ids)) {
    curve <- points$run_id == ids[[i]]
    graphics::lines(points[[x]][curve], points$value[curve], col = colours[[i]], lwd = 2)
  }
  shown <- utils::head(ids, most)
  more <- length(ids) - length(shown)
  graphics::legend(
    "topright", c(shown, if (more > 0) paste("and", more, "more")),
    col = c(utils::head(colours, length(shown)), if (more > 0) NA), lwd = 2, bty = "n", cex = 0.8
  )
}
