# lmer's REML point estimate of a large problem: Rscript lme4_large.R folder formula fits
# fits of 0 asks for one fit with a tight tolerance, to compare estimates and not seconds: nloptwrap, the default
# optimizer, stops short of the maximum (by 3e-5 of an sd on Penicillin) whatever the tolerances it is given; bobyqa not.
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
fits <- as.integer(arguments[3])
columns <- read.table(file.path(folder, "columns.txt"), col.names = c("name", "kind"))
data <- as.data.frame(Map(function(name, kind) {
  file <- file.path(folder, paste0(name, ".bin"))
  values <- readBin(file, kind, file.size(file) / ifelse(kind == "double", 8, 4))
  if (kind == "integer" && name != "y") factor(values) else values
}, columns$name, columns$kind))
names(data) <- columns$name
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
control <- if (fits == 0) tight else lmerControl()
seconds <- cpu <- numeric(0)
for (k in seq_len(max(fits, 1))) {
  spent <- system.time(fit <- suppressMessages(lmer(as.formula(arguments[2]), data, control = control)))
  seconds <- c(seconds, spent[["elapsed"]])
  cpu <- c(cpu, spent[["user.self"]] + spent[["sys.self"]])
}
status <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
peak <- as.numeric(sub("VmHWM:\\s*(\\d+) kB", "\\1", status)) / 1e6
table <- as.data.frame(VarCorr(fit))
plain <- function(text) sub("\\(Intercept\\)", "Intercept", text)
terms <- table(table$grp[is.na(table$var2)])
name <- ifelse(table$grp == "Residual", "sigma",
  ifelse(!is.na(table$var2), sprintf("cor(%s, %s, %s)", table$grp, plain(table$var1), plain(table$var2)),
    ifelse(terms[table$grp] > 1, sprintf("sd(%s, %s)", table$grp, plain(table$var1)), sprintf("sd(%s)", table$grp))))
coefficients <- fixef(fit)
values <- c(setNames(coefficients, plain(names(coefficients))), setNames(table$sdcor, name))
cat(sprintf(
  '{"seconds": [%s], "cpu": [%s], "gigabytes": %.4f, "version": "%s", "criterion": %.12g, "estimate": {%s}}\n',
  paste(seconds, collapse = ", "), paste(cpu, collapse = ", "), peak, packageVersion("lme4"), REMLcrit(fit),
  paste(sprintf('"%s": %.12g', names(values), values), collapse = ", ")))
