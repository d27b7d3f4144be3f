"""Results of models whose effects leave by quadrature or conjugacy: the same tables, on two scales."""
