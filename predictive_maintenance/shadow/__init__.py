"""The candidate beside the version in production: it scores the same readings from the log, and both are compared."""
