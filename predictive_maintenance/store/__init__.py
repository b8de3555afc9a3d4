"""The store of a machine's readings: SQLite by default, PostgreSQL by URL (docs/adr/0021-a-store-of-readings.md).

It knows no model: it keeps what it is given, and reads what the windows of a reading need.
"""
