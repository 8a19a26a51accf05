"""query, reindex: entries by what they are and how good they are."""

import difflib
import inspect
from typing import TYPE_CHECKING

import click

from geobench_catalog.commands import documents, tables
from geobench_catalog.commands.one_line import tell
from geobench_catalog.commands.options import here, json_option
from geobench_catalog.errors import CatalogError
from geobench_catalog.vocabulary import registered

if TYPE_CHECKING:
    from geobench_catalog.catalog import Catalog

_ALWAYS = ("reference",)
_SHORT = ("created", "size", "origin")


class _Documented(click.Command):
    """A command whose help ends with the words of the query language."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the grammar as it is written, and what is registered beside it."""
        from geobench_catalog import expression as language

        text = (inspect.getdoc(language) or "").partition("\n\n")[2].rstrip()
        guide = inspect.cleandoc(registered().guide)
        formatter.write("\n" + "\n\n".join(filter(None, (text, guide))) + "\n")


@click.command(cls=_Documented)
@click.argument("expression", nargs=-1)
@click.option("--sql", help="Query the index in SQL instead. The index is opened read-only.")
@click.option("--columns", help="Columns to print, separated by commas.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def query(
    expression: tuple[str, ...],
    sql: str | None,
    columns: str | None,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Find entries by configuration, measures, dates, tags."""
    catalog = here()
    form = tables.form(as_json=as_json, as_csv=as_csv)
    if as_json and as_csv:
        raise CatalogError("give --json or --csv, not both.")
    if sql is not None and expression:
        raise CatalogError("give an expression or --sql, not both.")
    if sql is not None:
        names, rows = catalog.index.sql(sql)
    else:
        names, rows = catalog.index.query(" ".join(expression))
        if form == "table" and columns is None:
            kept = [
                name
                for index, name in enumerate(names)
                if name in _ALWAYS or not _hidden(catalog, rows, index, name)
            ]
            names, rows = _select(names, rows, kept)
    for reason in [*catalog.damaged.values(), *catalog.index.aside()]:
        tell(CatalogError(reason))
    if columns is not None:
        names, rows = _select(names, rows, [name.strip() for name in columns.split(",")])
    tables.show(
        names,
        rows,
        form=form,
        minor=None if columns is not None else _minor(catalog),
        others="--columns, --csv or --json",
    )
    if form == "table":
        what = "row" if sql is not None else "entry" if len(rows) == 1 else "entrie"
        click.echo(f"{len(rows)} {what}{'s' * (len(rows) != 1)}", err=True)


def _minor(catalog: "Catalog") -> dict[str, int]:
    """What a narrow terminal leaves out first; what was asked for comes last."""
    columns = [column.name for column in catalog.vocabulary.columns]
    return dict.fromkeys(columns, 1) | {"created": 2, "size": 3, "origin": 2}


def _hidden(catalog: "Catalog", rows: list[tuple[object, ...]], index: int, name: str) -> bool:
    """Whether a table for people leaves a column out: the reference says it, or it is empty."""
    if name in ("kind", "name", "version", "id", "seconds"):
        return True
    columns = [column.name for column in catalog.vocabulary.columns]
    return name in (*_SHORT, *columns) and {row[index] for row in rows} <= {None, "own"}


def _select(
    names: list[str], rows: list[tuple[object, ...]], kept: list[str]
) -> tuple[list[str], list[tuple[object, ...]]]:
    unknown = [name for name in kept if name not in names]
    if unknown:
        close = difflib.get_close_matches(unknown[0], names, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(names)}."
        raise CatalogError(f"there is no column '{unknown[0]}'. {hint}")
    indices = [names.index(name) for name in kept]
    return kept, [tuple(row[index] for index in indices) for row in rows]


@click.command()
@json_option
def reindex(*, as_json: bool) -> None:
    """Make the index anew, e.g. after restoring a copy."""
    count = here().index.rebuild()
    if as_json:
        documents.show({"entries": count})
    else:
        click.echo(f"{count} entries")
