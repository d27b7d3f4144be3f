# One of lme4's data sets as binary columns: Rscript lme4_export.R folder dataset response column...
# Factors become the integers of their levels; a nested factor is given as its own column.
suppressPackageStartupMessages(library(lme4))
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
data <- get(arguments[2])
lines <- character(0)
for (name in arguments[-(1:2)]) {
  values <- data[[name]]
  kind <- if (is.factor(values)) "integer" else "double"
  writeBin(if (is.factor(values)) as.integer(values) else as.double(values), file.path(folder, paste0(name, ".bin")))
  lines <- c(lines, paste(name, kind))
}
writeLines(lines, file.path(folder, "columns.txt"))
