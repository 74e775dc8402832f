"""What a person sees of a run: on a terminal, in a notebook, or as plain lines where neither is there."""
