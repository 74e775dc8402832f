"""Environments: definitions, locks, and the store of built generations.

`visiontrain.environment.store.EnvironmentStore` is where to start.
"""
