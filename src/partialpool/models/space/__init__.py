"""The space of the hyperparameters: coordinates, charts, covariance blocks, gradients."""
