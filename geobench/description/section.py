"""A section of a report: a heading, a table, notes; and how its numbers are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from geobench.intervals import Interval
from geobench.leaderboard.text import number


@dataclass(frozen=True)
class Section:
    """A heading, a table (it may be empty) and notes to read it by."""

    title: str
    headers: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether the columns have names; else the first of two names the row."""
        return any(self.headers)


def told(value: Interval | None, digits: int = 3, factor: float = 1.0) -> str:
    """Write `value [low, high]`; an end that lies beyond what was run is open."""
    if value is None or not math.isfinite(value.value):
        return "–"
    value = value.times(factor)
    ends = [number(each, digits) if math.isfinite(each) else "…" for each in value[1:]]
    return f"{number(value.value, digits)} [{', '.join(ends)}]"


def sized(value: Interval) -> str:
    """Write with digits that suit the interval."""
    width = value.high - value.low
    digits = 3 if not width > 0 else min(6, max(0, 1 - math.floor(math.log10(width / 2))))
    return told(value, digits)


def units_of(units: str) -> str:
    """Write units after a number or a heading; nothing for a plain number."""
    return "" if units in ("", "1") else f" {units}"
