# A function is imported from each package, so that both are loaded with this one
# and not in the middle of the first call, which would change the session.

#' @keywords internal
#' @useDynLib fitledger, .registration = TRUE
#' @importFrom cli cli_inform
#' @importFrom rlang enquo
"_PACKAGE"

.onLoad <- function(libname, pkgname) {
  native_prepare_process()
  note_started_in()
  note_installed()
  reg.finalizer(views, function(...) end_all(), onexit = TRUE)
  checking <- nzchar(Sys.getenv("_R_CHECK_PACKAGE_NAME_"))
  # R warns of a home that isn't there; without one there is no index.
  native_use_cache(if (!checking) suppressWarnings(tools::R_user_dir("fitledger", "cache")))
}

.onUnload <- function(libpath) {
  end_all()
}

end_all <- function() {
  tryCatch(write_buffered(), error = function(e) NULL)
  native_stop_writing()
  end_views()
}
