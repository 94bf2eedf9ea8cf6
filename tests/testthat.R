library(testthat)
library(fitledger)

test_check("fitledger")
