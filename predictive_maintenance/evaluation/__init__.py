"""Metrics with intervals, comparison with the champion, and the quality gate."""
