"""Settings: params.yaml as strict, frozen models, the project folder, and URIs."""
