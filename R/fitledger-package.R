#' @keywords internal
#' @useDynLib fitledger, .registration = TRUE
"_PACKAGE"
