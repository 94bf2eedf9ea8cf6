# What README, help, vignettes and the cheat sheet say is so: their code runs, their calls are those of the package, and
# their links lead somewhere. The vignettes and the examples run when the package is checked.

doc_path <- function(...) normalizePath(test_path("..", "..", ...), winslash = "/", mustWork = FALSE)

read_doc <- function(...) {
  path <- doc_path(...)
  skip_if(!file.exists(path), "the sources of the documents are not here")
  readLines(path, encoding = "UTF-8")
}

# The chunks of a language in lines of markdown, each a vector of lines.
chunks_of <- function(lines, fence) {
  begins <- grep(paste0("^```", fence, "$"), lines)
  lapply(begins, function(at) {
    end <- at + which(lines[-seq_len(at)] == "```")[[1]]
    lines[seq(at + 1, length.out = end - at - 1)]
  })
}

# The cells of the tables' rows, without headings.
cells_of <- function(lines) {
  rows <- grep("^\\| ", lines, value = TRUE)
  # A bar within code is none of the table.
  lapply(strsplit(rows, " \\| ?|^\\| | ?\\|$"), function(cells) trimws(cells[nzchar(cells)]))
}

section_of <- function(lines, heading) {
  from <- match(paste("##", heading), lines)
  to <- c(grep("^## ", lines), length(lines) + 1)
  lines[seq(from + 1, to[to > from][[1]] - 1)]
}

code_in <- function(text) {
  gsub("`", "", regmatches(text, gregexpr("`[^`]+`", text))[[1]], fixed = TRUE)
}

test_that("README's code runs as it stands", {
  skip_on_cran()
  skip_if_not_installed("rpart")
  chunks <- chunks_of(read_doc("README.md"), "r")
  expect_gt(length(chunks), 3)
  # Some packages warn of a system without a time zone.
  tidy <- suppressWarnings(vapply(c("parsnip", "rsample", "tune", "workflows"), requireNamespace, NA, quietly = TRUE))
  withr::local_dir(withr::local_tempdir())
  withr::local_seed(1)
  env <- new.env(parent = globalenv())
  for (chunk in chunks) {
    if (all(tidy) || !any(grepl("tune::", chunk, fixed = TRUE))) {
      expect_no_error(utils::capture.output(suppressMessages(eval(parse(text = chunk), env))))
    }
  }
  runs <- read_runs("runs.csv")
  # What it shows below the call.
  printed <- unlist(lapply(chunks, grep, pattern = "^#> [12] ", value = TRUE))
  shown <- best_run("runs.csv", "rmse", n = 2, where = !is.na(maxdepth), columns = c("maxdepth", "rmse"))
  expect_identical(sub(".* rpart::rpart +([0-9]).*", "\\1", printed), as.character(shown$maxdepth))
  expect_identical(sub(".* ([0-9.]+)$", "\\1", printed), format(shown$rmse, digits = 7))
  expect_identical(read_models("runs.csv")$stages[[1]], "production")
})

test_that("what one types here in place of MLflow's calls does that", {
  cells <- cells_of(section_of(read_doc("README.md"), "If you know MLflow"))
  here <- unlist(lapply(cells, function(row) if (grepl("^`(with\\()?mlflow_", row[[1]])) code_in(row[[2]])[[1]]))
  expect_length(here, 15)
  withr::local_dir(withr::local_tempdir())
  withr::local_options(fitledger.experiment = NULL)
  writeLines("as good as it gets", "report.txt")
  file <- local_file()
  fit <- lm(dist ~ speed, cars)
  run <- start_run(file, list(model = "line"))
  id <- run$run_id
  env <- list2env(list(file = file, run = run, id = id, fit = fit), parent = globalenv())
  ended <- FALSE
  for (code in here) {
    # A finished run is what is registered.
    if (!ended && grepl("^(tag_run|read_runs|register_model)", code)) {
      end_run(run)
      ended <- TRUE
    }
    if (grepl("^view_runs", code)) code <- sub(")", ", open = FALSE)", code, fixed = TRUE)
    expect_no_error(suppressMessages(eval(parse(text = code), env)))
  }
  expect_identical(read_runs(file, void = TRUE, columns = "status")$status[[1]], "void")
  expect_identical(stage_history(file, "price")$stage, "production")
  expect_identical(getOption("fitledger.experiment"), "ridge")
})

# That calls of ours have arguments of theirs.
expect_our_calls <- function(text) {
  exports <- getNamespaceExports("fitledger")
  for (code in calls_in(as.list(parse(text = text, keep.source = FALSE)))) {
    head <- code[[1]]
    name <- if (is.symbol(head)) as.character(head) else if (rlang::is_call(head, "::") && identical(head[[2]], quote(fitledger))) as.character(head[[3]])
    if (!is.null(name) && name %in% exports) {
      fun <- getExportedValue("fitledger", name)
      expect_no_error(match.call(fun, code))
      # Values of any name are what these take.
      open <- c("log_metrics", "log_params", "log_tags", "tag_run", "plot_runs", "describe_fit")
      if (!name %in% open) {
        # More than the formals, some functions know.
        known <- c(names(formals(fun)), unlist(lapply(calls_in(body(fun)), function(call) {
          if (rlang::is_call(call, "check_no_dots")) eval(rlang::call_args(call)$known %||% character())
        })))
        expect_identical(setdiff(rlang::names2(as.list(code)[-1]), c("", known)), character(), label = rlang::expr_deparse(code)[[1]])
      }
    }
  }
}

test_that("calls that aren't run, on the cheat sheet and in vignettes, are calls of the package", {
  html <- paste(read_doc("dev", "cheatsheet.html"), collapse = "\n")
  blocks <- regmatches(html, gregexpr("(?<=<pre>)[^<]*(<(?!/pre>)[^<]*)*(?=</pre>)", html, perl = TRUE))[[1]]
  expect_gt(length(blocks), 10)
  for (block in blocks) expect_our_calls(block)
  # Each export is on it, but those that are of use to packages, or come in pairs.
  named <- all.names(parse(text = blocks))
  expect_identical(setdiff(getNamespaceExports("fitledger"), c(named, "fit_description", "read_ledger", "last_run_id")), character())

  for (path in dir(doc_path("vignettes"), "[.]Rmd$")) {
    lines <- read_doc("vignettes", path)
    for (chunk in chunks_of(lines, "\\{r.*\\}")) {
      expect_our_calls(gsub("`r ''`", "", chunk, fixed = TRUE))
    }
  }
})

# What the site lists under a key, by the titles there.
listed <- function(lines, key) {
  from <- match(paste0(key, ":"), lines)
  to <- c(grep("^[a-z]+:", lines), length(lines) + 1)
  lines <- lines[seq(from + 1, to[to > from][[1]] - 1)]
  titles <- grep("^- title: ", lines)
  items <- grep("^  - ", lines)
  of_title <- factor(findInterval(items, titles), seq_along(titles))
  rlang::set_names(unname(split(sub("^  - ", "", lines[items]), of_title)), sub("^- title: ", "", lines[titles]))
}

test_that("every export stands among README's calls and in the site's reference, in the same group", {
  lines <- section_of(read_doc("README.md"), "The calls")
  group <- cumsum(grepl("^\\*\\*", lines))
  titles <- gsub("*", "", grep("^\\*\\*", lines, value = TRUE), fixed = TRUE)
  at <- grep("^\\| `", lines)
  in_readme <- lapply(split(lines[at], group[at]), function(rows) {
    sub("()", "", unlist(lapply(cells_of(rows), function(cells) code_in(cells[[1]]))), fixed = TRUE)
  })
  expect_setequal(unlist(in_readme), getNamespaceExports("fitledger"))
  expect_identical(anyDuplicated(unlist(in_readme)), 0L)
  site <- read_doc("_pkgdown.yml")
  reference <- listed(site, "reference")
  for (i in seq_along(titles)) expect_identical(reference[[titles[[i]]]], in_readme[[i]])
  # All pages are listed.
  pages <- sub("[.]Rmd$", "", dir(doc_path("vignettes"), "[.]Rmd$", recursive = TRUE))
  expect_setequal(unlist(listed(site, "articles")), pages)
})

test_that("links lead somewhere, and what is referred to is there", {
  documents <- c("README.md", "NEWS.md", ".github/CONTRIBUTING.md", "dev/design.md", "dev/ui/README.md")
  documents <- c(documents, file.path("vignettes", dir(doc_path("vignettes"), "[.]Rmd$", recursive = TRUE)))
  topics <- sub("[.]Rd$", "", dir(doc_path("man"), "[.]Rd$"))
  aliases <- unlist(lapply(topics, function(topic) {
    sub("\\\\alias\\{(.*)\\}", "\\1", grep("^\\\\alias", read_doc("man", paste0(topic, ".Rd")), value = TRUE))
  }))
  vignettes <- sub("[.]Rmd$", "", dir(doc_path("vignettes"), "[.]Rmd$"))
  for (document in documents) {
    text <- paste(read_doc(document), collapse = "\n")
    targets <- regmatches(text, gregexpr("(?<=\\]\\()[^)\\s]+(?=\\))", text, perl = TRUE))[[1]]
    targets <- sub("#.*", "", targets[!grepl("^(https?:|mailto:|#)", targets)])
    missing <- targets[nzchar(targets) & !file.exists(file.path(dirname(doc_path(document)), targets))]
    expect_identical(missing, character(), label = paste("broken links of", document))
    named <- regmatches(text, gregexpr("(?<=vignette\\(\")[^\"]+", text, perl = TRUE))[[1]]
    expect_identical(setdiff(named, vignettes), character(), label = paste("vignettes that", document, "names"))
    asked <- regmatches(text, gregexpr("(?<=`\\?)[a-z_]+(?=`)", text, perl = TRUE))[[1]]
    expect_identical(setdiff(asked, aliases), character(), label = paste("help pages that", document, "names"))
  }
})

test_that("help says of each function which errors it has", {
  for (path in dir(doc_path("man"), "[.]Rd$")) {
    lines <- read_doc("man", path)
    if (any(grepl("^\\\\usage", lines)) && !path %in% "stop_view.Rd") {
      expect_true(any(grepl("^\\\\section\\{Errors\\}", lines)), label = path)
      expect_true(any(grepl("^\\\\examples", lines)), label = path)
    }
  }
})
