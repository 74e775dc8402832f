"""Predictions drawn into copies of the images, for looking at."""
