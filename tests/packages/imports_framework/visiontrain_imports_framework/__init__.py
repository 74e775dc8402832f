"""A plugin that is broken as its name says."""
