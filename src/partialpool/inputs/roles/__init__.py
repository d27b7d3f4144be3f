"""What columns are to a model: response, trials, standard errors, limits, sizes, selection."""
