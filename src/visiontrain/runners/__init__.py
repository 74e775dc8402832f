"""The host's side of a run: which framework, with which command, under which supervisor."""
