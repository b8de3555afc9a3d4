"""From split rows to a fitted, calibrated, exported model."""
