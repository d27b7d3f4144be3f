"""The hyperparameters' posterior, whatever the engine."""
