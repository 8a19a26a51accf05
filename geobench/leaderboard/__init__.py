"""Comparing models with the truth: the board, and the ways to show it."""
