"""Weighted points: lattices, maps, mixtures, walks, and what they miss."""
