"""geobench catalog: what is kept."""

import json

import click

from geobench.cli.settings import Settings, json_option, pass_settings

_KINDS = ("dataset", "forecaster", "forecast", "score", "events")


@click.group()
def catalog() -> None:
    """Show the entries of the catalogue."""


@catalog.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only this kind.")
@json_option
@pass_settings
def list_entries(settings: Settings, kind: str | None, *, as_json: bool) -> None:
    """List entries: reference, size, when it was made, how long that took."""
    from geobench_catalog.references import check_kind

    opened = settings.catalog()
    entries = list(opened.entries(check_kind(kind) if kind else None))
    for told in opened.damaged.values():
        click.echo(f"geobench: {told}", err=True)
    if as_json:
        listed = [{**entry.record.model_dump(mode="json"), "id": entry.id} for entry in entries]
        click.echo(json.dumps(listed, indent=1))
        return
    width = max((len(str(entry.reference)) for entry in entries), default=0)
    for entry in entries:
        record = entry.record
        click.echo(
            f"{entry.reference!s:{width}}  {entry.size / 1e6:9.2f} MB  "
            f"{record.created:%Y-%m-%d %H:%M}  {record.seconds:8.1f} s"
        )


@catalog.command()
@click.argument("reference")
@json_option
@pass_settings
def show(settings: Settings, reference: str, *, as_json: bool) -> None:
    """Show where REFERENCE comes from and what it holds."""
    entry = settings.catalog().get(reference)
    if as_json:
        click.echo(entry.record.model_dump_json(indent=1))
        return
    import yaml

    record = entry.record.model_dump(mode="json")
    click.echo(click.style(str(entry.reference), bold=True))
    click.echo(f"id: {entry.id}\nfolder: {entry.path}\nsize: {entry.size:,} bytes")
    arrays = entry.contents()
    groups = sorted({path.rpartition("/")[0] for path, _, _ in arrays})
    click.echo("holds:")
    for path, sizes, kind in arrays:
        dims = ", ".join(f"{dim}: {size}" for dim, size in sizes.items())
        click.echo(f"  {path} ({dims}) {kind}")
    for group in groups:
        chosen = f", group={group!r}" if group else ""
        click.echo(f"  xarray.open_zarr('{entry.path}/data.zarr'{chosen}, consolidated=False)")
    shown = {k: v for k, v in record.items() if k not in ("kind", "name", "version")}
    click.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())
