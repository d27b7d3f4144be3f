"""What is believed: likelihood, population, priors, and the model that joins them to a design."""
