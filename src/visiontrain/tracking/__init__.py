"""Runs are sent to a tracker: from their records, by a process beside them, so that no training waits for it."""
