"""Scores: statistics of a forecast, their means, and how sure the means are."""

from geobench.scoring.apply import (
    applied,
    check,
    joined,
    of_piece,
    shaped_by_members,
    statistics,
    stored_size,
)
from geobench.scoring.by_column import (
    checked_metric,
    columns,
    contributions,
    means,
    overall,
    scores,
)
from geobench.scoring.cutting import CASE_DIMS, Piece, cut, pieces, verifying

__all__ = [
    "CASE_DIMS",
    "Piece",
    "applied",
    "check",
    "checked_metric",
    "columns",
    "contributions",
    "cut",
    "joined",
    "means",
    "of_piece",
    "overall",
    "pieces",
    "scores",
    "shaped_by_members",
    "statistics",
    "stored_size",
    "verifying",
]
