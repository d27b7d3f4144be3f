# metafor: the REML point estimate of a random-effects meta-analysis with known standard errors.

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))
suppressPackageStartupMessages(library(metafor))

task <- read_task()
effect <- task$data[[task$response]]
standard_error <- task$data[[task$standard_error]]
timed <- time_fits(function(seed) rma(yi = effect, sei = standard_error), task)
estimates <- c(as.numeric(timed$result$beta), sqrt(timed$result$tau2))
names(estimates) <- c("Intercept", scale_name(task, "Intercept"))
report(task, "metafor", "point", as.character(packageVersion("metafor")), timed$seconds, estimates)
