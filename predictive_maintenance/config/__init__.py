"""params.yaml as frozen, strict models; the project folder; URIs in settings."""
