# The R side of protocol.py: the same folder in, the same JSON line out.

read_task <- function() {
  folder <- commandArgs(trailingOnly = TRUE)[1]
  lines <- read.dcf(file.path(folder, "problem.txt"))[1, ]
  fields <- c("name", "formula", "response", "predictor", "group", "standard_error", "parametrisation", "seed",
              "repeats", "draws")
  task <- as.list(lines[fields])
  task$folder <- folder
  task$seed <- as.integer(task$seed)
  task$repeats <- as.integer(task$repeats)
  task$draws <- as.integer(task$draws)
  task$priors <- lines[setdiff(names(lines), fields)]
  task$data <- read.csv(file.path(folder, "data.csv"))
  task$data[[task$group]] <- factor(task$data[[task$group]])
  task
}

# 'Normal(250, 100)' gives c(250, 100)
prior_numbers <- function(task, parameter) {
  text <- task$priors[[parameter]]
  as.numeric(regmatches(text, gregexpr("-?[0-9.]+", text))[[1]])
}

scale_name <- function(task, coefficient) {
  if (task$predictor == "") sprintf("sd(%s)", task$group) else sprintf("sd(%s, %s)", task$group, coefficient)
}

# One warm-up fit, then the timed ones; the seconds and the last result
time_fits <- function(fit, task) {
  result <- fit(task$seed)
  seconds <- numeric(0)
  for (seed in task$seed + seq_len(task$repeats)) {
    start <- Sys.time()
    result <- fit(seed)
    seconds <- c(seconds, as.numeric(Sys.time() - start, units = "secs"))
  }
  list(seconds = seconds, result = result)
}

json_numbers <- function(x) paste0("[", paste(sprintf("%.8g", x), collapse = ", "), "]")
json_object <- function(x) paste0("{", paste(sprintf('"%s": %.10g', names(x), x), collapse = ", "), "}")

report <- function(task, peer, kind, version, seconds, estimates, more = "") {
  cat(sprintf(
    '{"peer": "%s", "problem": "%s", "kind": "%s", "version": "%s", "warm_seconds": %s, "estimates": %s%s}\n',
    peer, task$name, kind, version, json_numbers(seconds), json_object(estimates), more
  ))
}

# draws: one matrix of a chain's draws, columns in the order of the task's priors, for each chain
report_draws <- function(task, peer, version, seconds, draws) {
  parameters <- names(task$priors)
  array <- simplify2array(lapply(draws, function(chain) as.matrix(chain)[, parameters]))
  writeBin(as.double(aperm(array, c(1, 3, 2))), file.path(task$folder, "draws.f64"))
  more <- sprintf(', "parameters": ["%s"], "chains": %d, "draws": %d',
                  paste(parameters, collapse = '", "'), length(draws), dim(array)[1] * length(draws))
  report(task, peer, "bayes", version, seconds, apply(array, 2, mean), more)
}
