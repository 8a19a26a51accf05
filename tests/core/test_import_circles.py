"""No module imports another that imports it: neither at its top, nor inside a function."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import geobench

ROOT = Path(__file__).parents[2]
PACKAGES = ("geobench", "plugins/geobench_plugins", "catalog/geobench_catalog")

KNOWN: tuple[set[str], ...] = ()
"""Circles that are still there. One that is gone must leave this list."""

Graph = dict[str, set[str]]


def _modules() -> dict[str, Path]:
    """Path of each module, by its name."""
    found = {}
    for package in PACKAGES:
        folder = ROOT / package
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def _statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import within a node, but for those that only type checkers see."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for child in node.orelse:
            yield from _statements(child)
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _statements(child)


def _imported(tree: ast.Module, modules: Iterable[str]) -> set[str]:
    """Which of the modules a module names in its imports."""
    found = set()
    for statement in _statements(tree):
        if isinstance(statement, ast.Import):
            found |= {each.name for each in statement.names}
            continue
        assert not statement.level, "relative imports are banned"
        package = statement.module or ""
        whole = {f"{package}.{each.name}" for each in statement.names}
        found |= {name if name in modules else package for name in whole}
    return found & set(modules)


def _graph() -> Graph:
    modules = _modules()
    graph = {
        name: _imported(ast.parse(path.read_text("utf-8")), modules.keys()) - {name}
        for name, path in modules.items()
    }
    # What `from geobench import Name` imports when the name is first used.
    graph["geobench"] |= {f"geobench.{home}" for home in geobench._HOME.values()} & set(modules)
    return graph


def _circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Largest groups of modules each of which reaches all others of its group (Tarjan, 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        path.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
            if other in path:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            group = set(path[path.index(name) :])
            del path[path.index(name) :]
            if len(group) > 1:
                found.append(group)

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def _way_around(graph: Mapping[str, set[str]], circle: set[str]) -> str:
    """A shortest way through a circle and back to its first module."""
    first = min(circle)
    ways = [[first]]
    while True:
        way = ways.pop(0)
        for other in sorted(graph[way[-1]] & circle):
            if other == first:
                return " -> ".join([*way, first])
            if other not in way:
                ways.append([*way, other])


def test_the_search_finds_a_circle_and_names_it() -> None:
    graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": set()}
    (circle,) = _circles(graph)
    assert circle == {"a", "b", "c"}
    assert _way_around(graph, circle) == "a -> b -> c -> a"


def test_imports_inside_functions_count_and_those_for_types_do_not() -> None:
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import one
def function():
    from two import Name
    import three.part
    from package import four
"""
    modules = {"one", "two", "three.part", "package", "package.four"}
    assert _imported(ast.parse(source), modules) == {"two", "three.part", "package.four"}


def test_no_module_imports_one_that_imports_it() -> None:
    graph = _graph()
    assert graph["geobench_plugins.networks.backbones"], "imports inside methods are not seen"
    circles = _circles(graph)
    new = [_way_around(graph, circle) for circle in circles if circle not in KNOWN]
    assert not new, f"modules import one another: {'; '.join(new)}"
    gone = [sorted(circle) for circle in KNOWN if circle not in circles]
    assert not gone, f"these circles are mended; take them from KNOWN: {gone}"
