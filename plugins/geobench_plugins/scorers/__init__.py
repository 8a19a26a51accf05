"""Built-in scorers, one idea per file."""
