"""Tell other systems, such as one for work orders, that alarms opened and closed."""
