"""Charts, tables, reports, exported results, and what a run logs to MLflow."""
