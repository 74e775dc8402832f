"""A plugin that came without its environment."""
