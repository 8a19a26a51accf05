"""The node of each kind of entry: every module of this package may define one."""

from functools import cache
from importlib import import_module
from inspect import isabstract, isclass
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from geobench import nodes
from geobench.errors import GeobenchError
from geobench.nodes.node import Computed
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine


@cache
def node_classes() -> dict[str, type[Computed]]:
    """Return the class of nodes that computes each kind of entry."""
    modules = [
        import_module(module_info.name)
        for module_info in iter_modules(nodes.__path__, "geobench.nodes.")
    ]
    return {
        value.kind: value
        for module in modules
        for value in vars(module).values()
        if isclass(value) and issubclass(value, Computed) and not isabstract(value)
    }


def node_of(entry: Entry, engine: "Engine") -> Computed:
    """Return the node that makes an entry again, from the parents that it has."""
    kind = entry.record.kind
    if kind not in node_classes():
        raise GeobenchError(
            f"{entry.reference} is a {kind}, and nothing here makes one: geobench makes "
            f"{', '.join(sorted(node_classes()))}."
        )
    return node_classes()[kind].of(entry, engine)
