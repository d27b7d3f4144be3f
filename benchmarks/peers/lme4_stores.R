# glmer or glmmTMB of the stores: Rscript lme4_stores.R folder logit_normal fits task
# task: nAGQ of glmer (1 is the Laplace approximation; 0 does not integrate the coefficients' estimate in), or glmmTMB.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
fits <- as.integer(arguments[3])
task <- if (length(arguments) > 3) arguments[4] else "1"
suppressPackageStartupMessages(library(if (task == "glmmTMB") "glmmTMB" else "lme4", character.only = TRUE))
read <- function(name) readBin(file.path(folder, paste0(name, ".bin")), "integer", 1e8)
data <- data.frame(y = read("y"), n = read("n"), store = factor(read("store")))
model <- cbind(y, n - y) ~ 1 + (1 | store)
seconds <- cpu <- numeric(0)
for (k in seq_len(fits)) {
  spent <- system.time(fit <- if (task == "glmmTMB") glmmTMB(model, data, family = binomial) else
    suppressMessages(glmer(model, data, family = binomial, nAGQ = as.integer(task))))
  seconds <- c(seconds, spent[["elapsed"]])
  cpu <- c(cpu, spent[["user.self"]] + spent[["sys.self"]])
}
variances <- if (task == "glmmTMB") VarCorr(fit)$cond$store else VarCorr(fit)$store
coefficient <- if (task == "glmmTMB") fixef(fit)$cond else fixef(fit)
errors <- if (task == "glmmTMB") sqrt(vcov(fit)$cond) else sqrt(as.matrix(vcov(fit)))
status <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
peak <- as.numeric(sub("VmHWM:\\s*(\\d+) kB", "\\1", status)) / 1e6
# glmer gives no standard error of a sd: glmmTMB has that of log sd
sd_error <- if (task == "glmmTMB") attr(variances, "stddev") * sqrt(vcov(fit, full = TRUE)[2, 2]) else NA
sd_text <- if (is.na(sd_error)) "" else sprintf(', "sd(store)": %.8g', sd_error)
cat(sprintf(paste0('{"seconds": [%s], "cpu": [%s], "gigabytes": %.4f, "version": "%s", ',
                   '"estimate": {"Intercept": %.10g, "sd(store)": %.10g}, "sd": {"Intercept": %.8g%s}}\n'),
            paste(seconds, collapse = ", "), paste(cpu, collapse = ", "), peak,
            packageVersion(if (task == "glmmTMB") "glmmTMB" else "lme4"), coefficient, attr(variances, "stddev"),
            errors[1, 1], sd_text))
