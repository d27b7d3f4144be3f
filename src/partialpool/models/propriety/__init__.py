"""Whether a posterior exists and which of its moments do."""
