"""Stands for a framework: importing it is what belongs into the environment."""
