"""Models whose effects leave by quadrature or conjugacy, group by group."""
