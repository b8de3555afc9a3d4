"""HTTP: media types, request bodies, batch requests and responses, and the fast path."""
