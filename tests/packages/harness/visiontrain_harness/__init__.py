"""What tests drive supervisors and workers with, in their own process and in others."""
