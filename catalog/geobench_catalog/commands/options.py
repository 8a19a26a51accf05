"""Which catalog a command is about, and references that complete themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from geobench_catalog.catalog import Catalog

Completing = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]
_F = TypeVar("_F", bound=Callable[..., Any])

catalog_option = click.option(
    "--catalog",
    "catalog_url",
    default="geobench-catalog",
    show_default=True,
    envvar="GEOBENCH_CATALOG",
    help="Folder or URL (s3://…) of the catalog, where all results are kept.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def here(*, create: bool = False) -> "Catalog":
    """Open the catalog that `--catalog` names."""
    from geobench_catalog.catalog import Catalog

    root = click.get_current_context().find_root()
    return Catalog(root.params["catalog_url"], create=create)


def completes(kind: str | None = None) -> Completing:
    """Complete the references (of one kind) that begin so; none where there is no catalog."""

    def complete(
        ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in _known(ctx, kind) if name.startswith(incomplete)]

    return complete


def _known(ctx: click.Context, kind: str | None) -> list[str]:
    from geobench_catalog.catalog import Catalog
    from geobench_catalog.errors import CatalogError

    try:
        names = Catalog(ctx.find_root().params["catalog_url"]).names
        aliases = [str(alias) for alias in names.aliases() if kind in (None, alias.kind)]
        return [*map(str, sorted(names.references(kind))), *aliases]
    except (CatalogError, OSError, KeyError):
        return []


def reference_argument(name: str, kind: str | None = None, **more: Any) -> Callable[[_F], _F]:
    """An argument that is a reference, `kind/name@version`; it completes those of one kind."""
    return click.argument(name, shell_complete=completes(kind), **more)
