"""Smooth stand-ins for dear functions."""
