"""Private names of libraries that geobench uses: which they are, and that they still do it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOORS = {("geobench/nodes/processes.py", "_run_finalizers")}
PUBLIC = {"_asdict", "_exit", "_fields", "_replace"}
"""What is documented: of named tuples, and of `os`."""


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for package in ("geobench", "plugins/geobench_plugins"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _defined(tree: ast.Module) -> Iterator[str]:
    """Private names that a module gives to something of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls"):
            yield from [node.attr] * isinstance(node.ctx, ast.Store)


def _used(tree: ast.Module) -> Iterator[str]:
    """Private names that a module takes from something else."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = [*node.module.split("."), *(each.name for each in node.names)]
            yield from (part for part in parts if _is_private(part))


def test_no_other_private_name_of_a_library_is_used() -> None:
    trees = dict(_trees())
    own = {name for tree in trees.values() for name in _defined(tree)} | PUBLIC
    used = {(path, name) for path, tree in trees.items() for name in _used(tree)}
    found = {(path, name) for path, name in used if name not in own}
    assert found == DOORS


def test_multiprocessing_still_runs_finalizers_before_a_process_ends_at_once() -> None:
    """`geobench.nodes.processes` ends a process by `os._exit`, which runs none of them."""
    code = (
        "from multiprocessing import util\n"
        "util.Finalize(None, print, args=('let go',), exitpriority=0)\n"
        "util._run_finalizers(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("let go\n", 0), (
        "multiprocessing.util._run_finalizers is gone or does something else. `_end_with` of "
        "geobench/nodes/processes.py calls it to free semaphores before os._exit: find "
        f"another way there. {done.stderr}"
    )
