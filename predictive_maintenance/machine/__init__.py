"""The kind of machine: its sensors, headers and units, features and operating limits."""
