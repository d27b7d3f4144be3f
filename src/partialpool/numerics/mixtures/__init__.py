"""Mixtures: of normals, of tables, and mixing distributions of maximum likelihood."""
