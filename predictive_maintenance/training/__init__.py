"""Splits, candidate training, tuning, calibration, thresholds and export."""
