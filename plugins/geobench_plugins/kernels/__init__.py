"""Compiled forms of the numerics; imported where they are run, never to list plugins."""
