"""The small process that owns one run: its worker, its lock, its record, its events. Standard library only."""
