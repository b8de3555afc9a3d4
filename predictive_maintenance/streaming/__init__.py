"""Messages of a broker, such as MQTT, sent to the running service as readings and events."""
