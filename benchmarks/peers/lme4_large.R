# lmer's point estimate of a large problem: Rscript lme4_large.R data.csv formula
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
for (name in setdiff(names(data), c("y", "x"))) data[[name]] <- factor(data[[name]])
seconds <- system.time(fit <- suppressMessages(lmer(as.formula(arguments[2]), data)))[["elapsed"]]
sds <- as.data.frame(VarCorr(fit))
memory <- as.numeric(sub("VmHWM:\\s*(\\d+) kB", "\\1", grep("VmHWM", readLines("/proc/self/status"), value = TRUE)))
name <- ifelse(sds$grp == "Residual", "sigma", ifelse(is.na(sds$var2), paste0("sd(", sds$grp, ", ", sds$var1, ")"), paste0("cor(", sds$grp, ")")))
values <- c(fixef(fit), setNames(sds$sdcor, name))
cat(sprintf('{"seconds": %.3f, "gigabytes": %.3f, "estimate": {%s}}\n', seconds, memory / 1e6,
  paste(sprintf('"%s": %.10g', names(values), values), collapse = ", ")))
