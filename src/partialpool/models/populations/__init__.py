"""Distributions of groups' parameters on the linear predictor's scale."""
