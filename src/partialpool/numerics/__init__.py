"""Numerical methods that know no statistics: small factorisations, mode search, grids, importance sampling."""
