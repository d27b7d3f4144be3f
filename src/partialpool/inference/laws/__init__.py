"""Laws of groups' parameters given the hyperparameters."""
