# lme4: the point estimate (REML) of a linear mixed model, as its users call it.

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))
suppressPackageStartupMessages(library(lme4))

task <- read_task()
formula <- as.formula(task$formula)
timed <- time_fits(function(seed) suppressMessages(lmer(formula, task$data)), task)
estimates <- c(fixef(timed$result), as.data.frame(VarCorr(timed$result))$sdcor)
names(estimates) <- names(task$priors)
report(task, "lme4", "point", as.character(packageVersion("lme4")), timed$seconds, estimates)
