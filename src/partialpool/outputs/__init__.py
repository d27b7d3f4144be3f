"""Pictures, reports and the command line."""
