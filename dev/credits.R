# Rscript dev/credits.R METADATA AUTHORS LICENSES: who wrote the vendored crates, and under which licences.
args <- commandArgs(trailingOnly = TRUE)
packages <- jsonlite::fromJSON(args[1], simplifyVector = FALSE)$packages
crates <- Filter(function(crate) !is.null(crate$source), packages)
key <- vapply(crates, function(crate) paste(crate$name, crate$version), "")
crates <- crates[order(key, method = "radix")]

# Newer crates name no authors: then their repository is where to look.
authors <- function(crate) {
  if (length(crate$authors) == 0) return(sprintf("the authors of %s", crate$repository))
  paste(sub(" *<[^>]*>", "", unlist(crate$authors)), collapse = ", ")
}

writeLines(c(
  "The authors of the Rust crates that are compiled into this package:",
  "",
  vapply(crates, function(crate) sprintf("%s %s: %s", crate$name, crate$version, authors(crate)), "")
), args[2])

writeLines(c(
  "The Rust crates in src/rust/vendor.tar.xz are compiled into this package. Each is",
  "under its own licence; the texts that it ships are in the archive, in its folder.",
  vapply(crates, function(crate) paste(
    "",
    sprintf("Name:        %s", crate$name),
    sprintf("Version:     %s", crate$version),
    sprintf("Repository:  %s", crate$repository),
    sprintf("Authors:     %s", authors(crate)),
    sprintf("License:     %s", crate$license),
    sep = "\n"
  ), ""),
  "",
  "The libraries that are bundled into the page of view_runs() are under their own",
  "licences, too: see inst/view/LICENSES."
), args[3])
