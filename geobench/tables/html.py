"""Tables on a page, from a template; every text is escaped, and names are isolated.

The texts of a table may be `Markup`, which is written as it is.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from geobench.tables.glossary import anchor, word_of
from geobench.tables.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from markupsafe import Markup


def html(
    table: Table,
    label: str = "",
    *,
    sortable: bool = False,
    style: str = "",
    id: str = "",
    described_by: str = "",
    data: Mapping[str, object] | None = None,
    definition: Callable[[str], str] | None = None,
) -> "Markup":
    """Return the table in a region that scrolls sideways.

    `label` names the region for readers who do not see it, by default with the title;
    `described_by` is the id of what explains it. `sortable`: the script of the page may sort it.
    `definition`: where the glossary has the definition with an anchor; each heading leads to it.
    """
    from markupsafe import Markup

    classes = [name for name in ("sortable" if sortable else "", style) if name]
    rendered = _template().render(
        table=table,
        label=label or table.title,
        described_by=described_by,
        id=id,
        attributes=_attributes(classes, data or {}),
        sortable=sortable,
        head=_head,
        definition=definition,
        anchor_of=_anchor,
        row_attributes=_row,
        cell_attributes=_cell,
        below=_below,
    )
    return Markup(rendered)  # noqa: S704 # the template escapes what is in it


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geobench.tables"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("table.html")


def _head(column: Column, *, sortable: bool) -> "Markup":
    data = dict(column.data)
    if sortable:
        kind = "text" if column.align == "left" else "number"
        data["kind"] = kind if column.sortable else "none"
    return _attributes(["left"] if column.align == "left" else [], data)


def _anchor(column: Column) -> str:
    return anchor(column.word or word_of(column.heading))


def _row(row: Row) -> "Markup":
    return _attributes([row.style] if row.style else [], row.data)


def _cell(column: Column, cell: Cell, *, names_row: bool, sortable: bool) -> "Markup":
    classes = [*([column.style] if column.style else []), *cell.marks]
    if column.align == "left" and not names_row:
        classes.insert(0, "left")
    data = dict(cell.data)
    if sortable and column.align == "right":
        data["sort"] = _sorted_by(cell)
    return _attributes(classes, data, cell.shade)


def _sorted_by(cell: Cell) -> str:
    """The number that a cell is sorted by; "" if it has none."""
    if isinstance(cell.value, float):
        return f"{cell.value:.8g}" if math.isfinite(cell.value) else ""
    return "" if cell.value is None else str(cell.value)


def _below(cell: Cell) -> list[str]:
    """Lines below the text: the interval, then the small print."""
    interval = [" to ".join(cell.ends_text)] if cell.ends_text else []
    return [*interval, *cell.small]


def _attributes(
    classes: Iterable[str], data: Mapping[str, object], shade: float | None = None
) -> "Markup":
    """Write attributes, each with a space before it."""
    from markupsafe import Markup

    names = " ".join(classes)
    written = Markup(' class="{}"').format(names) if names else Markup()
    for key, value in data.items():
        written += Markup(' data-{}="{}"').format(key, value)
    if shade is not None:
        written += Markup(' style="--depth: {}"').format(f"{shade:.3g}")
    return written
