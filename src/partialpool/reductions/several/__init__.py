"""The sums of several factors: cells, couplings, and the order in which effects leave."""
