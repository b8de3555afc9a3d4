"""The rows of a training run in parts: ingested, cleaned, given features and split part by part, on any engine."""
