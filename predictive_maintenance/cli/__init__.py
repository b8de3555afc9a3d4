"""The command line, `predictive-maintenance` or `python -m predictive_maintenance`."""
