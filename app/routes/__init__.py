"""The HTTP routes, one module for each tag of the API."""
