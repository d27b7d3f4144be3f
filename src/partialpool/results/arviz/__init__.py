"""Fits as ArviZ trees."""
