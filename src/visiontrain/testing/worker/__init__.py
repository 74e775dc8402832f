"""The half of the kit that runs inside environments: standard library only."""
