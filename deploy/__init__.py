"""Deployment to AWS and Azure. No other package imports it."""
