# Seconds of processor time, warm, of glmer with nAGQ = 10 and every group's conditional sd: Rscript glmer_groups.R CSV...
suppressMessages(library(lme4))
run <- function(d) {
  before <- proc.time()
  fit <- suppressMessages(suppressWarnings(glmer(cbind(y, n - y) ~ 1 + (1 | g), data = d, family = binomial, nAGQ = 10)))
  ranef(fit, condVar = TRUE)
  sum((proc.time() - before)[1:2])
}
for (path in commandArgs(TRUE)) {
  d <- read.csv(path)
  d$g <- factor(d$g)
  run(d)
  cat(path, median(replicate(5, run(d))), "\n")
}
