"""Rows reduced once to the sums that a likelihood needs."""
