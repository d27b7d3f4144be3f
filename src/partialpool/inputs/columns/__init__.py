"""Columns of the data: kinds, labels, levels, numbers, missing values."""
