"""A run on one page: what is shown of it, in which order, and the page itself."""
