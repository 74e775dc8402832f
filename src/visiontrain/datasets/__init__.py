"""Datasets of any accepted layout, read once into one neutral index; never written to."""
