"""Compares production with training and evaluation: drift of readings and predictions, performance, silent machines."""
