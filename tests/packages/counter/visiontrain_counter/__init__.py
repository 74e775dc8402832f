"""A framework that needs nothing: what a training looks like, without one."""
