"""The machine: sensors, column headers and units, features and operating limits."""
