# What can't be put on record once there is, or may be, a fit: it is left out and named by a warning, and nothing loses
# the fit.

new_notes <- function() {
  notes <- new.env(parent = emptyenv())
  notes$text <- character()
  notes
}

note <- function(notes, text) {
  notes$text <- c(notes$text, text)
  NULL
}

# What an error says, and its causes, whatever somebody has made of it.
said_by <- function(e) tryCatch(as_utf8(rlang::cnd_message(e, prefix = FALSE)), error = function(failure) message_of(e))

# An interrupt here only ends the piece of work that it meets, also where interrupts are suspended between pieces. By the
# restart R leaves code for the console, also on an error that no handler for errors sees.
attempt <- function(code, what, notes) {
  withRestarts(
    tryCatch(
      allowInterrupts(code),
      error = function(e) note(notes, paste0(what, ": ", said_by(e))),
      interrupt = function(e) note(notes, paste0(what, ": interrupted."))
    ),
    abort = function() note(notes, paste0(what, ": it was left without an error."))
  )
}

# The same for each of some: one that fails keeps none of the others. `what` is a function of one. To prepare for what may
# happen takes longer than most of the work, so that it is done once for all that go well.
attempt_each <- function(x, work, what, notes) {
  at <- 0
  while (at < length(x)) {
    attempt(
      while (at < length(x)) {
        at <- at + 1
        work(x[[at]])
      },
      what(x[[at]]), notes
    )
  }
}

warn_of <- function(notes, head = "The call is done, but not all of it is on record.") {
  if (length(notes$text)) {
    warn("not_recorded", c(head, rlang::set_names(notes$text, rep("x", length(notes$text)))))
  }
}

# Those of some values that the ledger takes. `what` they are: `"params"`, `"metrics"`, `"sealed"`, `"tags"`.
recordable <- function(values, what, notes) {
  is_metric <- what %in% c("metrics", "sealed")
  values <- with_own_names(values, what, notes)
  kept <- vapply(names(values), function(name) {
    place <- paste0(what, "$", abridged(name))
    why <- if (name %in% reserved_names) {
      reserved(place)
    } else if (nchar(name, "bytes") > longest_name) {
      paste0("`", place, "` can't be recorded: its name takes ", count_text(nchar(name, "bytes")), " bytes.")
    } else {
      refusal(values[[name]], place, metric = is_metric)
    }
    if (!is.null(why)) {
      note(notes, why)
    }
    is.null(why)
  }, logical(1))
  values[kept]
}

# Those that have a name by which nothing else is called.
with_own_names <- function(values, what, notes) {
  names <- rlang::names2(values)
  is_name <- validEnc(names) & Encoding(names) != "bytes"
  is_name[is_name] <- nzchar(names[is_name])
  if (!all(is_name)) {
    how_many <- counted(sum(!is_name), "value")
    note(notes, paste0(how_many, " of `", what, "` can't be recorded: a name is missing, or can't be read."))
  }
  twice <- unique(names[is_name][duplicated(names[is_name])])
  for (name in twice) {
    note(notes, paste0("`", what, "$", abridged(name), "` can't be recorded: the name stands twice."))
  }
  values[is_name & !names %in% twice]
}

# In bytes: of those that a row has room for, and no person wrote.
longest_name <- 1e6

# A name as a message has room for it.
abridged <- function(name, most = 200) {
  if (nchar(name) > most) paste0(substr(name, 1, most), "\u2026") else name
}

# The elements of something that should be a list or a vector with names.
named_elements <- function(x, what, notes) {
  # Since R 4.4 NULL isn't atomic any more.
  if (!(is.null(x) || is.list(x) || is.atomic(x)) || length(x) > 0 && is.null(names(x))) {
    is <- describe(x)
    return(note(notes, paste0("`", what, "` can't be recorded: it is no list or vector with names, but ", is, ".")))
  }
  elements_of(x, what)
}

reserved_names <- c("run_id", "timestamp")

reserved <- function(place) {
  paste0("`", place, "` can't be recorded: every run has a column of that name.")
}

# ---- Within `with_run()` --------------------------------------------------

# Logs something of a live run. Within `with_run()` there may be a fit already, so that there a failure is a warning, of
# what `failed` notes of it. Nobody else's code runs in `code`.
report <- function(run, code, failed = note_failure) {
  if (!is_enclosing(run)) {
    return(code)
  }
  unless_recorded(code, function(e) {
    notes <- new_notes()
    failed(e, notes)
    warn_of(notes, "The run goes on, but not all of it is on record.")
  })
}

# The same of values, in lists by what they are, which `log` logs: those that can be recorded are. `elements` takes one
# of these lists apart.
report_values <- function(run, values, log, elements = named_elements) {
  force(values)
  report(run, log(values), function(e, notes) {
    kept <- Map(function(values, what) {
      attempt(recordable(elements(values, what, notes), what, notes), paste0("`", what, "`"), notes)
    }, values, names(values))
    if (length(notes$text)) {
      unless_recorded(log(kept), function(e) note_failure(e, notes))
    } else {
      note_failure(e, notes)
    }
  })
}

# That the run isn't this one's any more, or that somebody wants to be back, is an error for the code that reports, too. A vector
# that isn't in memory may fail as it is read, by an error of whoever made it.
unless_recorded <- function(code, failed) {
  tryCatch(code, error = function(e) {
    if (inherits(e, "fitledger_error_ended") || is_time_limit(e)) {
      stop(e)
    }
    failed(e)
  })
}

note_failure <- function(e, notes) {
  note(notes, said_by(e))
}
