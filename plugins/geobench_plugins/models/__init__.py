"""Built-in ensemble models, one idea per file."""
