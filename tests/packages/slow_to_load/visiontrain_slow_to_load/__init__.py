"""A framework that does not get done with loading."""
