"""The engine of other likelihoods and populations: effects leave by quadrature."""
