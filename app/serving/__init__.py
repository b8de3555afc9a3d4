"""Serving: loads and caches the production model, follows promotions, and assesses readings."""
