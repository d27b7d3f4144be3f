"""Designs: population columns, group columns, what they confound, new rows."""
