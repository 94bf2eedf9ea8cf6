# Rscript bench.R [small|full|million] [--only NAME[,NAME]] [--csv FILE] [--plot FILE] [--durable FOLDER]
#
# Times fitledger beside its peers and prints a table, microseconds (us) a call. A row
# is in rows.R, how it is timed in measure.R. What is durable is written in FOLDER
# (else FITLEDGER_BENCH_DIR, else the session's temporary folder): where that is
# in memory, waiting for the disk costs nothing and the row means nothing.

library(fitledger)

here <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
here <- dirname(gsub("~+~", " ", here, fixed = TRUE))
source(file.path(here, "measure.R"))
source(file.path(here, "rows.R"))

sizes <- list(
  small = list(rounds = 2, calls = 10, grown = 1000, runs = 2000, each = 5),
  full = list(rounds = 7, calls = 200, grown = 100000, runs = 100000, each = 100),
  million = list(rounds = 3, calls = 200, grown = 1000000, runs = 1000000, each = 100)
)

parse_arguments <- function(arguments) {
  chosen <- list(
    size = "full", only = names(rows), csv = NULL, plot = NULL,
    durable = Sys.getenv("FITLEDGER_BENCH_DIR", tempdir())
  )
  while (length(arguments)) {
    key <- sub("^--", "", arguments[[1]])
    if (arguments[[1]] %in% c("--only", "--csv", "--plot", "--durable") && length(arguments) > 1) {
      chosen[[key]] <- arguments[[2]]
      arguments <- arguments[-1]
    } else if (arguments[[1]] %in% names(sizes)) {
      chosen$size <- arguments[[1]]
    } else {
      stop("Unknown argument or no value: ", arguments[[1]], call. = FALSE)
    }
    arguments <- arguments[-1]
  }
  chosen$only <- unlist(strsplit(chosen$only, ",", fixed = TRUE))
  unknown <- setdiff(chosen$only, names(rows))
  if (length(unknown)) {
    stop(
      "No row `", unknown[[1]], "`; there is ", toString(names(rows)), ".",
      call. = FALSE
    )
  }
  if (!dir.exists(chosen$durable)) {
    stop("There is no folder '", chosen$durable, "'.", call. = FALSE)
  }
  chosen
}

file_system <- function(folder) {
  type <- tryCatch(
    suppressWarnings(system2(
      "df", c("--output=fstype", shQuote(folder)),
      stdout = TRUE, stderr = FALSE
    )),
    error = function(e) character()
  )
  if (length(type) == 2) trimws(type[[2]]) else "unknown"
}

machine <- function() {
  known <- "/proc/cpuinfo"
  lines <- if (file.exists(known)) readLines(known)
  model <- sub(".*: ", "", grep("^model name", lines, value = TRUE))
  cores <- length(model)
  if (cores == 0) {
    return(paste(Sys.info()[c("sysname", "machine")], collapse = " "))
  }
  paste0(model[[1]], ", ", cores, if (cores == 1) " processor" else " processors")
}

version_of <- function(package) {
  if (requireNamespace(package, quietly = TRUE)) {
    paste(package, utils::packageVersion(package))
  } else {
    paste(package, "missing")
  }
}

chosen <- parse_arguments(commandArgs(trailingOnly = TRUE))
size <- sizes[[chosen$size]]
versions <- c(
  paste("R", getRversion()),
  vapply(c("fitledger", "data.table", "RSQLite"), version_of, character(1))
)
# Indexes of the benchmark's files are nobody else's.
options(fitledger.cache = tempfile("cache"))
type <- file_system(chosen$durable)
in_memory <- type %in% c("tmpfs", "ramfs")
cat(
  toString(versions), "\n",
  "size ", chosen$size, ": medians of ", size$rounds, " rounds; range: the ratios of the rounds\n",
  "durable rows on ", type, if (in_memory) ", IN MEMORY: the disk isn't measured", "\n\n",
  sep = ""
)

table <- do.call(rbind, lapply(chosen$only, function(name) {
  message(name, " ...")
  measure(name, rows[[name]](size), size, chosen$durable)
}))
rownames(table) <- NULL
print_table(table)
if (!is.null(chosen$plot)) {
  grDevices::png(chosen$plot, width = 1400, height = 200 + 44 * nrow(table), res = 130)
  plot_table(table)
  invisible(grDevices::dev.off())
}
if (!is.null(chosen$csv)) {
  table <- cbind(
    date = format(Sys.Date()), machine = machine(), versions = toString(versions),
    size = chosen$size, file_system = type, table
  )
  utils::write.csv(table, chosen$csv, row.names = FALSE)
}
