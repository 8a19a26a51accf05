"""Where the templates of pages are rendered: names are escaped, and what is missing is an error."""

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from geobench.board.model import Board
from geobench.board.slugs import slug
from geobench.board.text import lead_names, rank_range, remarks, seeds
from geobench.tables.numbers import number, with_interval

if TYPE_CHECKING:
    from markupsafe import Markup


@cache
def environment() -> Any:
    """Return the environment of all templates."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("geobench.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "with_interval": with_interval,
        "rank_range": rank_range,
        "remarks": remarks,
        "seeds": seeds,
        "lead_names": lead_names,
        "slug": slug,
        "with_code": with_code,
    }
    return made


def render(template: str, **values: Any) -> "Markup":
    """Render a template of this package."""
    from markupsafe import Markup

    return Markup(environment().get_template(template).render(values))  # noqa: S704 # it escapes


def with_code(text: str) -> "Markup":
    """Escape a text and mark what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("`")]
    code = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    parts[1::2] = code
    return Markup().join(parts)


def p_value(p: float) -> str:
    """Write a p-value."""
    return number(p) if p >= 0.001 else "<0.001"


class LogScale:
    """A log scale that holds every mean excess of a board which can be drawn on one."""

    def __init__(self, board: Board) -> None:
        shown = [
            value
            for row in board.rows
            for value in (row.excess.value, row.excess.high)
            if math.isfinite(value) and value > 0
        ]
        self.low = math.floor(math.log10(min(shown))) if shown else -3
        self.high = math.ceil(math.log10(max(shown)) + 1e-9) if shown else 0

    @property
    def decades(self) -> int:
        """Powers of ten between its ends."""
        return self.high - self.low

    def ticks(self) -> list[float]:
        """Powers of ten to write at it."""
        return [10.0**n for n in range(self.low, self.high + 1, 1 if self.decades < 4 else 2)]

    def at(self, value: float) -> float:
        """Place of a value, per cent; what is not positive stands at the left end."""
        if not value > 0:
            return 0.0
        return round(100 * min(1.0, max(0.0, (math.log10(value) - self.low) / self.decades)), 2)
