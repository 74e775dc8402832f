"""Classifiers of any framework: what a plugin adds is how a model is built, and from which weights."""
