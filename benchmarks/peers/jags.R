# JAGS (rjags, its default modules): 1,000 adaptation steps, then the draws, in one chain.
# Eight schools is non-centred: centred, JAGS gets 70 effective draws of 4,000 where this gets about 1,000; the
# slopes of sleepstudy are centred (600 against 70) and those of radon are not (350 against 3 to 15).

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "protocol.R"))
suppressPackageStartupMessages(library(rjags))

known_error_model <- "model {
  for (j in 1:J) { y[j] ~ dnorm(mu + tau * z[j], precision[j]); z[j] ~ dnorm(0, 1) }
  mu ~ dnorm(prior_mu[1], pow(prior_mu[2], -2))
  tau ~ dt(0, pow(prior_tau, -2), 1) T(0, )
}"

centred_effects <- "
  for (j in 1:J) { theta[j, 1:2] ~ dmnorm(beta[1:2], precision[1:2, 1:2]) }
  precision[1, 1] <- pow(tau[1], -2) / (1 - rho * rho)
  precision[2, 2] <- pow(tau[2], -2) / (1 - rho * rho)
  precision[1, 2] <- -rho / (tau[1] * tau[2] * (1 - rho * rho))
  precision[2, 1] <- precision[1, 2]"

non_centred_effects <- "
  for (j in 1:J) {
    for (k in 1:2) { z[j, k] ~ dnorm(0, 1) }
    theta[j, 1] <- beta[1] + tau[1] * z[j, 1]
    theta[j, 2] <- beta[2] + tau[2] * (rho * z[j, 1] + sqrt(1 - rho * rho) * z[j, 2])
  }"

# LKJ(eta) on a 2 x 2 correlation matrix is Beta(eta, eta) on (rho + 1) / 2
slope_model <- function(effects) paste0("model {
  for (i in 1:N) { y[i] ~ dnorm(theta[g[i], 1] + theta[g[i], 2] * x[i], pow(sigma, -2)) }
  for (k in 1:2) {
    beta[k] ~ dnorm(prior_beta[k, 1], pow(prior_beta[k, 2], -2))
    tau[k] ~ dnorm(0, pow(prior_tau[k], -2)) T(0, )
  }
  half ~ dbeta(prior_eta, prior_eta)
  rho <- 2 * half - 1
  sigma ~ dnorm(0, pow(prior_sigma, -2)) T(0, )", effects, "
}")

task <- read_task()
group <- as.integer(task$data[[task$group]])
n_groups <- max(group)
y <- task$data[[task$response]]
tau <- function(coefficient) prior_numbers(task, scale_name(task, coefficient))

if (task$predictor == "") {
  model <- known_error_model
  monitored <- c("mu", "tau")
  data <- list(y = y[order(group)], precision = task$data[[task$standard_error]][order(group)]^-2, J = n_groups,
               prior_mu = prior_numbers(task, "Intercept"), prior_tau = tau("Intercept"))
} else {
  model <- slope_model(if (task$parametrisation == "centred") centred_effects else non_centred_effects)
  monitored <- c("beta", "tau", "rho", "sigma")
  data <- list(y = y, x = task$data[[task$predictor]], g = group, N = length(y), J = n_groups,
               prior_beta = rbind(prior_numbers(task, "Intercept"), prior_numbers(task, task$predictor)),
               prior_tau = c(tau("Intercept"), tau(task$predictor)),
               prior_eta = prior_numbers(task, sprintf("cor(%s, Intercept, %s)", task$group, task$predictor)),
               prior_sigma = prior_numbers(task, "sigma"))
}

fit <- function(seed) {
  inits <- list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = seed + 1)
  compiled <- jags.model(textConnection(model), data, inits, n.chains = 1, n.adapt = 1000, quiet = TRUE)
  coda.samples(compiled, monitored, task$draws, progress.bar = "none")
}

timed <- time_fits(fit, task)
chain <- timed$result[[1]][, if (task$predictor == "") monitored else
  c("beta[1]", "beta[2]", "tau[1]", "tau[2]", "rho", "sigma")]
colnames(chain) <- names(task$priors)
report_draws(task, "jags", as.character(packageVersion("rjags")), timed$seconds, list(chain))
