# In seconds: what takes longer hangs, on a busy machine too.
patience <- 900

# Waits until a condition, asked again and again, is TRUE, or fails with what it waited for.
wait_until <- function(condition, what) {
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
