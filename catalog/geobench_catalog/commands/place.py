"""Which catalogue a command is about, and references that complete themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from geobench_catalog.catalog import Catalog

_F = TypeVar("_F", bound=Callable[..., Any])

catalog_option = click.option(
    "--catalog",
    "catalog_url",
    default="geobench-catalog",
    show_default=True,
    envvar="GEOBENCH_CATALOG",
    help="Folder or URL (s3://…) that keeps datasets, forecasters, forecasts and scores.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def here(*, create: bool = False) -> "Catalog":
    """Open the catalogue that `--catalog`, before the command, names."""
    from geobench_catalog.catalog import Catalog

    root = click.get_current_context().find_root()
    return Catalog(root.params["catalog_url"], create=create)


def complete(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """References that begin so; none where there is no catalogue."""
    from click.shell_completion import CompletionItem

    from geobench_catalog.catalog import Catalog
    from geobench_catalog.errors import CatalogError

    try:
        names = Catalog(ctx.find_root().params["catalog_url"]).names
        known = [*map(str, sorted(names.references())), *map(str, names.aliases())]
    except (CatalogError, KeyError):
        return []
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def reference_argument(name: str, **more: Any) -> Callable[[_F], _F]:
    """An argument that is a reference, `kind/name@version`."""
    return click.argument(name, shell_complete=complete, **more)
