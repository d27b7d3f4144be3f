"""From a model to its posterior: marginal likelihood, hyperparameter posterior, group posterior, choice of engine."""
