"""How numbers are written for people, in every table alike."""

import math
from collections.abc import Sequence
from typing import Protocol

from geobench.tables.table import Cell, Mark


class WithInterval(Protocol):
    """A number with the ends of its interval."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


def number(value: float, digits: int = 3) -> str:
    """Write a number with `digits` decimals; what is not finite is a dash."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def small(value: float) -> str:
    """Write a number that may be small: four decimals, or more for two significant digits."""
    if not math.isfinite(value) or value == 0:
        return number(value, 4)
    return number(value, max(4, 1 - math.floor(math.log10(abs(value)))))


def with_interval(value: WithInterval | None, digits: int = 3, factor: float = 1.0) -> str:
    """Write a number times `factor` as `value [low, high]`; an end that is not finite is open."""
    if value is None or not math.isfinite(value.value):
        return "–"
    ends = (
        number(factor * end, digits) if math.isfinite(end) else "…"
        for end in (value.low, value.high)
    )
    return f"{number(factor * value.value, digits)} [{', '.join(ends)}]"


def in_fitting_digits(value: WithInterval) -> str:
    """Write `value [low, high]` with decimals that suit the width of the interval."""
    width = value.high - value.low
    digits = 3 if not width > 0 else min(6, max(0, 1 - math.floor(math.log10(width / 2))))
    return with_interval(value, digits)


def number_cell(value: float, digits: int = 3) -> Cell:
    """Make a cell of a number."""
    return Cell(number(value, digits), value)


def count_cell(value: int | None) -> Cell:
    """Make a cell of a count; None is a dash: it is not known."""
    return Cell("–" if value is None else f"{value:,}", value)


def interval_cell(value: WithInterval | None, digits: int = 3, marks: Sequence[Mark] = ()) -> Cell:
    """Make a cell of a number with its interval; None, or what is not finite, is a dash."""
    if value is None or not math.isfinite(value.value):
        return Cell("–", None if value is None else value.value, marks=marks)
    return Cell(
        number(value.value, digits),
        value.value,
        (value.low, value.high),
        (number(value.low, digits), number(value.high, digits)),
        marks,
    )
