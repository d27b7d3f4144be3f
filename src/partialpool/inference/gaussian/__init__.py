"""The engine of normal likelihoods: effects leave by algebra."""
