"""Draft the description of a machine from a table of its readings."""
