"""Batch scoring of files, explanations and what-if analysis."""
