"""The contracts between the framework and its plugins."""
