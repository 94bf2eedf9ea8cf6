# What rests on what.

#' Trace lineage
#'
#' From a model that serves to the run that made it and on to data, code, session and
#' packages, and from there to the runs whose artifacts were its data: `direction = "up"`.
#' Or the other way, from data, a commit, a package or a run to everything that rests on
#' it: `"down"`.
#'
#' Runs are connected by content: a file that one run logged as an artifact and another
#' one used as `data` has one hash in both, and so has a data frame. So a copy of a stored
#' file, found anywhere, says where it came from (`artifact =`).
#'
#' Stored bytes are hashed again on the way. What doesn't verify any more, and runs that are
#' void, failed or interrupted, are marked.
#'
#' @param file Path of the ledger, or a ledger in a database, see [ledger_postgres()].
#' @param what Where to begin: `"name@stage"` or `"name/version"` of a model, or the id of a
#'   run. Or give one of the next four.
#' @param ... Must be empty: arguments after it are given by name.
#' @param artifact Path of a copy of a stored file, or `"sha256:..."`.
#' @param data Data as in [log_run()]: a data frame, a matrix, the path of a file, a hash, or
#'   a label in `I()`.
#' @param commit A git commit, or its first characters, at least 4.
#' @param package A package, `"glmnet"` or `"glmnet 4.1-8"`; `"R 4.5.0"` for R itself.
#' @param direction `"up"` to what it rests on, `"down"` to what rests on it. By default
#'   `"down"` for data, commits and packages, else `"up"`.
#' @returns An object of class `fitledger_lineage`, which prints as a tree. `as.data.frame()`
#'   gives a row for each edge: `from`, `relation`, `to`; `from` is what rests on `to`.
#'   `plot()` draws it. Nodes are written as `name@stage`, `name/version`, `sha256:...` and
#'   `fl1:...` (content), `label:...`, the id of a run, `commit:...`, `session:...`,
#'   `lockfile:...`, `package:name version`.
#' @section Errors:
#' `fitledger_error_unknown` where the ledger doesn't know what was asked for, and those of
#' the file, see [fitledger_error].
#' @export
#' @examples
#' file <- tempfile(fileext = ".csv")
#' log_run(file, list(step = "clean"), list(), artifacts = list(clean = cars[-1, ]))
#' fit <- lm(dist ~ speed, cars[-1, ])
#' id <- log_run(file, list(step = "fit"), list(), artifacts = list(model = fit), data = cars[-1, ])
#' register_model(file, "stopping", id)
#' promote_model(file, "stopping", 1)
#'
#' lineage <- trace_lineage(file, "stopping@production")
#' lineage
#' plot(lineage)
#' trace_lineage(file, data = cars[-1, ])
trace_lineage <- function(file, what = NULL, ..., artifact = NULL, data = NULL, commit = NULL,
                          package = NULL, direction = NULL) {
  check_no_dots(..., known = c("artifact", "data", "commit", "package", "direction"))
  file <- check_ledger(file, "file")
  given <- c(
    what = !is.null(what), artifact = !is.null(artifact), data = !is.null(data), commit = !is.null(commit),
    package = !is.null(package)
  )
  if (sum(given) != 1) {
    abort(
      "argument", paste0("One thing to begin at is needed, not ", sum(given), "."),
      "Give `what`, `artifact`, `data`, `commit` or `package`.",
      arg = if (any(given)) names(which(given))[[2]] else "what"
    )
  }
  start <- switch(names(which(given)),
    what = start_at(file, what),
    artifact = start_at_content(artifact, "artifact"),
    data = start_at_content(data, "data"),
    commit = start_at_commit(commit),
    package = start_at_package(package)
  )
  down <- check_direction(direction, given[["data"]] || given[["commit"]] || given[["package"]])
  found <- call_native(native_trace, file, start$kind, start$id, start$partial, down)
  if (is.null(found)) {
    abort("unknown", paste0("The ledger knows nothing of ", start$words, "."), start$hint, name = start$id)
  }
  new_lineage(found, down)
}

check_direction <- function(direction, down, call = rlang::caller_env()) {
  if (is.null(direction)) {
    return(down)
  }
  if (!is_text_string(direction) || !direction %in% c("up", "down")) {
    abort_argument("direction", "`\"up\"` or `\"down\"`", direction, call = call)
  }
  direction == "down"
}

# ---- Where to begin -------------------------------------------------------

start_of <- function(kind, id, words, partial = FALSE, hint = NULL) {
  list(kind = kind, id = id, words = words, partial = partial, hint = hint)
}

start_at <- function(file, what, call = rlang::caller_env()) {
  if (is_text_string(what) && grepl("[@/]", what)) {
    found <- find_version(file, what, call)
    kind <- if (grepl("@", what, fixed = TRUE)) "stage" else "version"
    id <- if (kind == "stage") what else paste0(found$name, "/", found$version)
    return(start_of(kind, id, paste0("`", what, "`")))
  }
  what <- known_run_id(file, what, "what", call)
  start_of("run", what, paste0("the run `", what, "`"))
}

start_at_content <- function(x, arg, call = rlang::caller_env()) {
  version <- data_version(x, arg, call)
  hint <- if (arg == "artifact") "It was not logged here as an artifact, or its bytes have changed since."
  start_of("content", version$hash, if (arg == "data") "these data" else "these bytes", hint = hint)
}

start_at_commit <- function(commit, call = rlang::caller_env()) {
  if (!is_text_string(commit) || !grepl("^[0-9a-f]{4,64}$", commit)) {
    abort_argument("commit", "a commit, at least its first 4 characters", commit, call = call)
  }
  start_of("commit", commit, paste0("the commit `", commit, "`"), partial = TRUE)
}

start_at_package <- function(package, call = rlang::caller_env()) {
  if (!is_text_string(package) || !nzchar(package)) {
    abort_argument("package", "`\"name\"` or `\"name version\"`", package, call = call)
  }
  whole <- grepl(" ", package, fixed = TRUE)
  start_of("package", if (whole) package else paste0(package, " "), paste0("the package `", package, "`"), partial = !whole)
}

# ---- The object -----------------------------------------------------------

new_lineage <- function(found, down) {
  structure(
    list(nodes = as_frame(found$nodes), direction = if (down) "down" else "up", edges = as_frame(found$edges)),
    class = "fitledger_lineage"
  )
}

#' @export
as.data.frame.fitledger_lineage <- function(x, ...) {
  as_frame(list(
    from = x$nodes$name[x$edges$from], relation = x$edges$relation, to = x$nodes$name[x$edges$to]
  ), nrow(x$edges))
}

#' @export
print.fitledger_lineage <- function(x, ...) {
  lines <- unlist(lapply(which(x$nodes$start), function(node) lineage_tree(x, node)))
  cat(lines, sep = "\n")
  wrong <- x$nodes$problem[!is.na(x$nodes$problem)]
  if (length(wrong)) {
    cat("\n", length(wrong), if (length(wrong) == 1) " node is" else " nodes are", " marked: see above.\n", sep = "")
  }
  invisible(x)
}

# So many branches of one node are shown, and so many packages in one line; the rest is counted.
most_branches <- 20
most_packages <- 8

lineage_tree <- function(x, root) {
  utf8 <- cli::is_utf8_output()
  fork <- if (utf8) c("\u251c\u2500 ", "\u2514\u2500 ") else c("|- ", "`- ")
  below <- if (utf8) c("\u2502  ", "   ") else c("|  ", "   ")
  arrow <- if (utf8) "\u2192 " else "> "
  down <- x$direction == "down"
  near <- if (down) x$edges$to else x$edges$from
  far <- if (down) x$edges$from else x$edges$to
  of_node <- split(seq_along(near), factor(near, seq_len(nrow(x$nodes))))
  shown <- logical(nrow(x$nodes))
  deepest <- max(30, getOption("width") - 40)
  lines <- list()
  say <- function(...) lines[[length(lines) + 1]] <<- wrap_branch(...)

  visit <- function(node, indent) {
    shown[[node]] <<- TRUE
    # What has one branch goes on below it, without another step to the right.
    start <- indent
    repeat {
      rows <- branches_of(x, of_node[[node]], far)
      if (length(rows) != 1 || length(rows[[1]]) != 1) {
        break
      }
      node <- far[[rows[[1]]]]
      again <- shown[[node]]
      say(edge_words(x, rows[[1]], far, down, again && length(of_node[[node]])), paste0(start, arrow), paste0(start, "  "))
      if (again) {
        return()
      }
      shown[[node]] <<- TRUE
      indent <- paste0(start, "  ")
    }
    if (nchar(indent, "width") > deepest && length(rows)) {
      return(say("... and what is behind: `as.data.frame()` has it all", paste0(indent, fork[[2]]), indent))
    }
    more <- length(rows) - most_branches
    for (i in seq_len(min(length(rows), most_branches))) {
      last <- i == length(rows)
      edge <- rows[[i]]
      other <- far[edge]
      again <- length(edge) == 1 && shown[[other]]
      say(
        edge_words(x, edge, far, down, again && length(of_node[[other]])),
        paste0(indent, fork[[1 + last]]), paste0(indent, below[[1 + last]])
      )
      if (length(edge) == 1 && !again) {
        visit(other, paste0(indent, below[[1 + last]]))
      }
    }
    if (more > 0) {
      say(paste("... and", more, "more: `as.data.frame()` has them all"), paste0(indent, fork[[2]]), indent)
    }
  }
  visit(root, "")
  c(node_words(x$nodes[root, ]), unlist(lines))
}

# The edges of a node, those to packages together.
branches_of <- function(x, edges, far) {
  packages <- x$nodes$kind[far[edges]] == "package"
  c(as.list(edges[!packages]), if (any(packages)) list(edges[packages]))
}

edge_words <- function(x, edge, far, down, again) {
  words <- if (down) x$edges$backwards else x$edges$relation
  paste0(words[[edge[[1]]]], " ", node_words(x$nodes[far[edge], ]), if (again) " (see above)")
}

# Long lines, such as those of packages, go on below.
wrap_branch <- function(text, first, rest) {
  lines <- strwrap(text, width = max(30, getOption("width") - nchar(first, "width")))
  paste0(c(first, rep(paste0(rest, "  "), length(lines) - 1)), lines)
}

node_words <- function(nodes) {
  nodes$id <- without_controls(nodes$id)
  if (nrow(nodes) > 1 || nodes$kind[[1]] == "package") {
    more <- nrow(nodes) - most_packages
    shown <- paste(utils::head(nodes$id, most_packages), collapse = ", ")
    return(if (more > 1) paste0(shown, " and ", more, " more: `as.data.frame()` has them all") else paste(nodes$id, collapse = ", "))
  }
  name <- switch(nodes$kind,
    run = paste("run", nodes$id),
    content = shorten_hashes(nodes$id),
    commit = paste("commit", substr(nodes$id, 1, 10)),
    session = paste("session", nodes$id),
    environment = paste0("environment ", substr(nodes$id, 1, 8), "..."),
    nodes$id
  )
  label <- without_controls(nodes$label)
  label <- trimws(pad(label, min(60, nchar(label, "width"))), "right")
  paste0(
    name, if (nzchar(label)) paste0(" (", label, ")"),
    if (!is.na(nodes$problem)) paste0("  <- ", nodes$problem)
  )
}

#' @importFrom graphics plot
#' @export
plot.fitledger_lineage <- function(x, ..., main = "Lineage") {
  check_no_dots(...)
  aside <- x$nodes$kind == "package" & !x$nodes$start
  depth <- node_depths(x)
  nodes <- nodes_to_draw(depth, aside)
  edges <- x$edges[x$edges$from %in% nodes & x$edges$to %in% nodes, ]
  at <- node_places(depth, nodes)
  labels <- vapply(nodes, function(node) node_label(x$nodes[node, ]), character(1))
  old <- graphics::par(mar = c(1, 1, 3, 1), xpd = NA)
  on.exit(graphics::par(old))
  graphics::plot.new()
  graphics::plot.window(c(0, 1), c(max(at$y) + 0.5, min(at$y) - 0.5))
  graphics::title(main)
  tallest <- 0.6 / abs(graphics::strheight("Mg\nMg")) / 1.5
  size <- min(1, 0.9 / max(graphics::strwidth(labels)) / max(table(at$y)), tallest)
  left <- sum(!aside) - length(nodes)
  if (left > 0) {
    graphics::mtext(paste("and", left, "more nodes, see as.data.frame()"), 1, cex = 0.8)
  }
  width <- graphics::strwidth(labels, cex = size) / 2 + 0.01
  height <- graphics::strheight("Mg\nMg", cex = size) * 0.75
  place <- function(node) match(node, nodes)
  from <- place(if (x$direction == "down") edges$to else edges$from)
  to <- place(if (x$direction == "down") edges$from else edges$to)
  graphics::arrows(at$x[from], at$y[from], at$x[to], at$y[to] - abs(height) - 0.02, length = 0.08, col = "grey60")
  wrong <- !is.na(x$nodes$problem[nodes])
  graphics::rect(
    at$x - width, at$y - height, at$x + width, at$y + height,
    col = "white", border = ifelse(wrong, "red", "grey40")
  )
  graphics::text(at$x, at$y, labels, cex = size, col = ifelse(wrong, "red", "black"))
  invisible(x)
}

# A picture holds so many that one can still read them.
nodes_to_draw <- function(depth, aside, steps = 12, beside = 8) {
  near <- which(!aside & depth < steps)
  near[stats::ave(near, depth[near], FUN = seq_along) <= beside]
}

node_label <- function(node) {
  name <- switch(node$kind,
    content = sub("\\.\\.\\.$", "", shorten_hashes(node$id)),
    commit = substr(node$id, 1, 10),
    environment = "environment",
    run = sub("^[0-9]{8}-[0-9]{6}-(\\w{12})$", "\\1", node$id),
    node$id
  )
  label <- if (nzchar(node$label)) without_controls(node$label) else node$kind
  paste0(without_controls(name), "\n", trimws(pad(label, min(28, nchar(label, "width"))), "right"))
}

# How many steps each node is from where the trace began, by the longest way. Content can lead
# back to where one was: two runs, each with the other's artifact as its data. Such steps back
# don't count.
node_depths <- function(x) {
  down <- x$direction == "down"
  near <- if (down) x$edges$to else x$edges$from
  far <- if (down) x$edges$from else x$edges$to
  ahead <- split(far, factor(near, seq_len(nrow(x$nodes))))
  order <- topological_order(which(x$nodes$start), ahead)
  place <- match(seq_along(ahead), order)
  depth <- rep(0, length(ahead))
  for (node in order) {
    onward <- ahead[[node]][place[ahead[[node]]] > place[[node]]]
    depth[onward] <- pmax(depth[onward], depth[[node]] + 1)
  }
  depth
}

# The nodes that some lead to, each before those ahead of it but for steps back: the reverse of
# the order in which a depth-first search leaves them.
topological_order <- function(starts, ahead) {
  seen <- logical(length(ahead))
  tried <- left <- path <- integer(length(ahead))
  count <- 0
  for (start in starts[!seen[starts]]) {
    path[[1]] <- start
    steps <- 1
    while (steps > 0) {
      node <- path[[steps]]
      seen[[node]] <- TRUE
      tried[[node]] <- tried[[node]] + 1L
      if (tried[[node]] > length(ahead[[node]])) {
        count <- count + 1
        left[[count]] <- node
        steps <- steps - 1
      } else if (!seen[[ahead[[node]][[tried[[node]]]]]]) {
        steps <- steps + 1
        path[[steps]] <- ahead[[node]][[tried[[node]]]]
      }
    }
  }
  rev(left[seq_len(count)])
}

node_places <- function(depth, nodes) {
  y <- depth[nodes]
  x <- stats::ave(seq_along(nodes), y, FUN = function(i) (seq_along(i) - 0.5) / length(i))
  list(x = x, y = y)
}
