"""MLflow for visiontrain: a manifest for the host, a tracker for the environment."""
