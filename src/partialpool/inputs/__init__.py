"""From a data frame and a formula to a design: observations, formula, design."""
