"""Cell and time validation, row identity, cleaning and quarantine."""
