"""Compiled kernels, and what they share."""
