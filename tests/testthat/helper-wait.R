# Waits until a condition, asked again and again, is TRUE. The bound is for what hangs: five minutes
# are more than a busy machine takes.
wait_until <- function(condition, what, patience = 300) {
  condition <- substitute(condition)
  caller <- parent.frame()
  deadline <- Sys.time() + patience
  while (!isTRUE(eval(condition, caller))) {
    if (Sys.time() > deadline) {
      message <- paste0("Waited in vain for ", what, ".")
      stop(errorCondition(message, class = "waited_in_vain"))
    }
    Sys.sleep(0.005)
  }
}
