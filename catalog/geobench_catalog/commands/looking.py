"""list, show, diff, du: what there is."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from geobench_catalog.commands import documents, tables
from geobench_catalog.commands.one_line import tell
from geobench_catalog.commands.options import here, json_option, reference_argument
from geobench_catalog.errors import CatalogError
from geobench_catalog.vocabulary import quoted

if TYPE_CHECKING:
    from geobench_catalog.catalog import Catalog
    from geobench_catalog.entry import Entry

_LISTED = ("reference", "size", "created", "seconds", "tags")
_MINOR = {"seconds": 3, "created": 2, "size": 1}


@click.command("list")
@click.option("--kind", metavar="KIND", help="List only entries of this kind.")
@json_option
def list_entries(kind: str | None, *, as_json: bool) -> None:
    """List entries.

    The table shows size, date, seconds and tags. If any entry was imported, a column says so.
    """
    catalog = here()
    columns, rows = catalog.index.sql(
        "SELECT e.*, (SELECT group_concat(tag, ', ') FROM (SELECT t.tag FROM tags t "
        "WHERE t.entry = e.entry ORDER BY t.tag)) AS tags FROM entries e"
    )
    listed = [dict(zip(columns, row, strict=True)) for row in rows]
    entries = [entry for entry in listed if kind in (None, entry["kind"])]
    if kind is not None and not entries:
        catalog.vocabulary.check_kind(kind)
    order = catalog.vocabulary.order
    entries.sort(key=lambda entry: (order(entry["kind"]), entry["name"], entry["version"]))
    for reason in [*catalog.damaged.values(), *catalog.index.aside()]:
        tell(CatalogError(reason))
    if as_json:
        records = [
            {
                **json.loads(entry["record"]),
                **{
                    key: entry[key]
                    for key in ("reference", "id", "version", "tags", "origin", "door")
                },
            }
            for entry in entries
        ]
        documents.show(records)
        return
    shown: tuple[str, ...] = _LISTED
    if any(entry["origin"] != "own" for entry in entries):
        shown += ("origin",)
    cells = [[entry[name] or "" for name in shown] for entry in entries]
    tables.show(shown, cells, minor=_MINOR)


@click.command()
@reference_argument("reference")
@json_option
def show(reference: str, *, as_json: bool) -> None:
    """Show an entry: its lineage, what it holds, its record."""
    catalog = here()
    entry = catalog.get(reference)
    if as_json:
        origin = {"origin": entry.origin, "door": entry.door}
        documents.show(documents.of_entry(entry) | origin)
        return
    import yaml

    record = entry.record.model_dump(mode="json")
    click.echo(click.style(str(entry.reference), bold=True))
    click.echo(f"id: {entry.id}\nat: {entry.location}\nsize: {entry.size:,} bytes")
    if entry.origin != "own":
        click.echo(f"origin: {_origin(entry, catalog.vocabulary.doors)}")
    tags = catalog.names.tags().get(entry.reference)
    if tags:
        click.echo(f"tags: {', '.join(tags)}")
    click.echo("lineage:")
    _tree(catalog, entry, 1)
    _children(catalog, entry)
    _holds(entry)
    left_out = ("kind", "name", "parents", "size")
    shown = {key: value for key, value in record.items() if key not in left_out}
    click.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())


_DOORS = {
    "archive": "from an archive",
    "pull": "from another catalog",
    "push": "from another catalog, where it was imported",
}


def _origin(entry: "Entry", doors: Mapping[str, str]) -> str:
    """Where an imported entry came from, in words, and what that means."""
    door = entry.door or "archive"
    way = (_DOORS | {**doors}).get(door, f"by the door '{door}'")
    if entry.origin == "trusted":
        return f"imported {way}, and trusted: it counts as if it were made here"
    return (
        f"imported {way}: it is never used in place of work done here "
        f"(geobench catalog trust {entry.reference} changes that)"
    )


def _tree(catalog: "Catalog", entry: "Entry", depth: int, role: str = "") -> None:
    click.echo(f"{'  ' * depth}{f'{role}: ' if role else ''}{entry.reference}  {entry.id[:12]}")
    for parent_role, parent in entry.record.parents.items():
        try:
            _tree(catalog, catalog.parent(entry, parent_role), depth + 1, parent_role)
        except CatalogError:
            click.echo(f"{'  ' * (depth + 1)}{parent_role}: {parent.reference} (not here)")


def _children(catalog: "Catalog", entry: "Entry") -> None:
    children = catalog.index.children(entry.id)
    if children:
        click.echo("made from it:")
        for child in children[:20]:
            click.echo(f"  {child}")
        if len(children) > 20:
            click.echo(f"  and {len(children) - 20} more")


def _holds(entry: "Entry") -> None:
    arrays = entry.contents()
    if arrays:
        click.echo("holds:")
    for path, sizes, kind in arrays:
        dims = ", ".join(f"{dim}: {size}" for dim, size in sizes.items())
        click.echo(f"  {path} ({dims}) {kind}")
    for group in sorted({path.rpartition("/")[0] for path, _, _ in arrays}):
        chosen = f", group={group!r}" if group else ""
        click.echo(f"  xarray.open_zarr('{entry.location}/data.zarr'{chosen}, consolidated=False)")


@click.command()
@reference_argument("first")
@reference_argument("second")
@json_option
def diff(first: str, second: str, *, as_json: bool) -> None:
    """Show the differences between two entries.

    It compares how they were made, and their numbers array by array.

    For example: geobench catalog diff KIND/NAME@1 KIND/NAME@2
    """
    from geobench_catalog import difference

    catalog = here()
    both = catalog.get(first), catalog.get(second)
    changes = difference.configuration(*both)
    arrays = list(difference.data(*both))
    if as_json:
        document = {
            "configuration": [change._asdict() for change in changes],
            "data": [array._asdict() for array in arrays],
        }
        documents.show(document)
        return
    for change in changes:
        click.echo(f"{change.field}: {_value(change.first)} | {_value(change.second)}")
    for array in arrays:
        detail = array.state
        if array.differing:
            detail += f" in {array.differing:,} of {array.size:,} values"
            detail += f", by {array.largest:.4g} at most" if array.largest is not None else ""
        click.echo(f"{array.array}: {detail}")


def _value(value: object) -> str:
    return "–" if value is None else json.dumps(value)


@click.command("du")
@json_option
def usage(*, as_json: bool) -> None:
    """Show how many bytes entries take, and how many gc would free."""
    from geobench_catalog.removal import collect

    catalog = here()
    of = [column.name for column in catalog.vocabulary.columns if column.type == "reference"]
    groups = ", ".join(["kind", *(f"coalesce({quoted(name)}, '–')" for name in of)])
    positions = ", ".join(str(position) for position in range(1, len(of) + 2))
    _, rows = catalog.index.sql(
        f"SELECT {groups}, count(*), sum(size) FROM entries GROUP BY {positions} "  # noqa: S608 # ours
        "ORDER BY sum(size) DESC"
    )
    debris, none = list(collect(catalog, dry_run=True)), ["–"] * len(of)
    rows.append(("debris", *none, len(debris), sum(size for _, size in debris)))
    rows.append(("all", *none, sum(row[-2] for row in rows), sum(row[-1] for row in rows)))
    form = "json" if as_json else "table"
    minor = {name: place for place, name in enumerate(of, 1)}
    tables.show(("kind", *of, "entries", "bytes"), rows, form=form, minor=minor)
