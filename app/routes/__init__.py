"""The routes, by subject. A route reads the request, asks someone who knows, and answers."""
