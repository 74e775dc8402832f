"""What runs inside an environment: standard library only, and nothing of the host."""
