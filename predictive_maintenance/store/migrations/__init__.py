"""The migrations of the store's tables. `migrating` runs them; Alembic reads `env` and the modules in `versions`."""
