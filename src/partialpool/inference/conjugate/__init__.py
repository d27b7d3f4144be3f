"""Conjugate groups in closed form: beta populations with binomial counts, gamma with Poisson."""
