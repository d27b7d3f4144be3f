"""Elimination of the factors beside the leading one, block by block."""
