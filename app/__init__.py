"""The service: one HTTP API over the model that is in production, which it follows without a restart."""
