"""A framework whose every text tries to move a terminal's cursor."""
