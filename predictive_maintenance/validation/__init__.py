"""Validate cells and times, identify rows, clean tables and quarantine bad rows."""
