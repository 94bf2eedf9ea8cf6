# How a row is timed: ours and its peers take turns in one process, a few calls
# each, for several rounds, each on fresh files. One call each would be unfair:
# who follows a peer that does much finds the processor's caches full of that.

# Something to be timed. `prepare` gets an empty folder and returns the function
# that is called; `close`, if any, gets that function's result of `prepare`.
# `lacking` says why it can't run here.
contender <- function(name, prepare, aim = NA, lacking = NULL) {
  list(name = name, prepare = prepare, aim = aim, lacking = lacking)
}

# `calls`: how often each is called in a round. `sync`: whether rows are durable.
# `between` is called before each call, untimed. `unit` is "us", microseconds, or
# what the calls themselves say with `measured()`.
bench_row <- function(work, calls, ours, peers, sync = FALSE, between = NULL, unit = "us") {
  list(
    work = work, calls = calls, ours = ours, peers = peers, sync = sync, between = between,
    unit = unit
  )
}

# What a call measured itself, in the unit of its row, in place of how long it took.
measured <- function(x) {
  structure(x, class = "measured")
}

turn <- 20

measure <- function(name, row, size, durable) {
  old <- options(fitledger.sync = if (!row$sync) "none")
  on.exit(options(old))
  present <- vapply(row$peers, function(peer) is.null(peer$lacking), logical(1))
  contenders <- c(list(row$ours), row$peers[present])
  folder <- tempfile("bench", if (row$sync) durable else tempdir())
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE), add = TRUE)

  times <- t(vapply(
    seq_len(size$rounds),
    function(round) time_round(contenders, row, file.path(folder, round), round),
    numeric(length(contenders))
  ))
  dim(times) <- c(size$rounds, length(contenders))
  ratios <- times[, 1] / times[, -1, drop = FALSE]

  column <- ifelse(present, cumsum(present), NA)
  summarise <- function(values, by) {
    vapply(column, function(i) if (is.na(i)) NA_real_ else by(values[, i]), numeric(1))
  }
  data.frame(
    name = name,
    work = row$work,
    unit = row$unit,
    ours = stats::median(times[, 1]),
    theirs = summarise(times[, -1, drop = FALSE], stats::median),
    peer = vapply(row$peers, `[[`, character(1), "name"),
    ratio = summarise(ratios, stats::median),
    ratio_low = summarise(ratios, min),
    ratio_high = summarise(ratios, max),
    aim = vapply(row$peers, function(peer) as.numeric(peer$aim), numeric(1)),
    note = vapply(row$peers, function(peer) paste0("", peer$lacking), character(1))
  )
}

# The median of the calls of each, in the row's unit.
time_round <- function(contenders, row, folder, round) {
  timed <- lapply(seq_along(contenders), function(i) {
    own <- file.path(folder, i)
    dir.create(own, recursive = TRUE)
    contenders[[i]]$prepare(own)
  })
  on.exit({
    for (call in timed) {
      close <- attr(call, "close")
      if (!is.null(close)) close()
    }
    unlink(folder, recursive = TRUE)
  })
  turns <- split(seq_len(row$calls), (seq_len(row$calls) - 1) %/% turn)
  values <- matrix(NA_real_, row$calls, length(timed))
  for (t in seq_along(turns)) {
    for (k in (seq_along(timed) + t + round) %% length(timed) + 1) {
      # Nobody pays for the garbage of another.
      gc()
      for (i in turns[[t]]) {
        values[i, k] <- time_call(timed[[k]], row$between)
      }
    }
  }
  apply(values, 2, stats::median)
}

time_call <- function(call, between) {
  if (!is.null(between)) between()
  start <- unclass(Sys.time())
  value <- call()
  elapsed <- unclass(Sys.time()) - start
  if (inherits(value, "measured")) unclass(value) else elapsed * 1e6
}

print_table <- function(table) {
  number <- function(x, digits) {
    formatted <- vapply(
      x, function(x) format(signif(x, digits), big.mark = ",", scientific = FALSE), character(1)
    )
    ifelse(is.na(x), "-", formatted)
  }
  range <- paste0(number(table$ratio_low, 2), "-", number(table$ratio_high, 2))
  shown <- data.frame(
    name = table$name,
    work = table$work,
    unit = table$unit,
    ours = number(table$ours, 3),
    peer = number(table$theirs, 3),
    "peer's name" = ifelse(nzchar(table$note), paste0(table$peer, ": ", table$note), table$peer),
    ratio = number(table$ratio, 3),
    range = ifelse(is.na(table$ratio), "-", range),
    aim = number(table$aim, 2),
    check.names = FALSE
  )
  left <- c("name", "work", "unit", "peer's name")
  cells <- Map(
    function(column, title) {
      format(c(title, column), justify = if (title %in% left) "left" else "right")
    },
    shown, names(shown)
  )
  writeLines(trimws(do.call(paste, c(unname(cells), sep = "  ")), "right"))
}

# The ratios on a logarithmic axis, with the range of the rounds, and the aims.
plot_table <- function(table) {
  table <- table[!is.na(table$ratio), ]
  table <- table[rev(seq_len(nrow(table))), ]
  old <- graphics::par(mar = c(4, 19, 1, 1), las = 1, cex = 0.8)
  on.exit(graphics::par(old))
  y <- seq_len(nrow(table))
  graphics::plot(
    table$ratio, y,
    log = "x", xlim = range(table$ratio_low, table$ratio_high, table$aim, 1, na.rm = TRUE),
    type = "n", yaxt = "n", ylab = "", xlab = "ratio to the peer: below 1 is better than it"
  )
  graphics::axis(2, y, paste0(table$name, " / ", sub(",.*", "", table$peer)), tick = FALSE)
  graphics::abline(h = y, col = "grey90")
  graphics::abline(v = 1, col = "grey60", lty = 2)
  graphics::segments(table$ratio_low, y, table$ratio_high, y, lwd = 2)
  met <- is.na(table$aim) | signif(table$ratio, 2) <= signif(table$aim, 2)
  graphics::points(table$ratio, y, pch = 21, cex = 1.3, bg = ifelse(met, "black", "white"))
  graphics::points(table$aim, y, pch = "|", cex = 1.3, col = "firebrick")
  graphics::legend(
    "topright", c("measured", "aim not met", "aim"),
    pch = c(19, 1, 124), col = c("black", "black", "firebrick"), bg = "white"
  )
}
