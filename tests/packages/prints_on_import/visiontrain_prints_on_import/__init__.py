"""A plugin that talks while it is loaded."""
