"""Errors of the user's, told as cause, evidence and cure."""

from geobench_catalog.errors import GeobenchError

__all__ = ["GeobenchError"]
