"""Built-in simulators, one system per file."""
