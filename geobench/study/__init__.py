"""A study: read from its file, run to the end, and compared."""
