"""The formula: its tokens, terms, grouping and expressions."""
