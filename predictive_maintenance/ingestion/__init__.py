"""Fetch, read and merge the sources of a training run, and write tables."""
