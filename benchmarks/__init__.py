"""Speed and memory against peers; every command prints JSON lines."""
