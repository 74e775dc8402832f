"""Environments: definitions, locks, and the store of built generations.

`visiontrain.environments.store.EnvironmentStore` is where to start.
"""
