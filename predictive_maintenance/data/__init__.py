"""From sources to clean, split rows."""
