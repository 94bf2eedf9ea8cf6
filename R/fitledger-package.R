# A function is imported from each package, so that both are loaded with this one
# and not in the middle of the first call, which would change the session.

#' @keywords internal
#' @useDynLib fitledger, .registration = TRUE
#' @importFrom cli cli_inform
#' @importFrom rlang enquo
"_PACKAGE"
