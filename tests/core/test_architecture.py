"""The documents on structure and words say what the code says."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from geobench.tables import glossary

ROOT = Path(__file__).parents[2]
WORDS = [term.word for chapter in glossary.chapters() for term in chapter.terms]


def test_the_picture_is_that_of_the_import_contract() -> None:
    path = ROOT / "docs/architecture.py"
    spec = importlib.util.spec_from_file_location("architecture", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = module.drawing((ROOT / "pyproject.toml").read_text("utf-8"))
    assert (ROOT / "docs/architecture.svg").read_text("utf-8") == drawn


def test_every_package_of_the_core_is_in_the_table() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = {name for line in re.findall(r"^\| (`.*?) \|", text, re.M) for name in line.split("`")}
    packages = {path.parent.name for path in (ROOT / "geobench").glob("*/__init__.py")}
    assert packages - table == set()


def test_the_core_is_a_house_of_small_rooms() -> None:
    """At most 24 entries at its top, 350 lines a file, 50 lines a body."""
    core = ROOT / "geobench"
    top = [path for path in core.iterdir() if path.name != "__pycache__"]
    assert len(top) <= 24
    files = {path: path.read_text("utf-8") for path in core.rglob("*.py")}
    assert {path.name for path, text in files.items() if text.count("\n") > 350} == set()
    bodies = {
        node.name: _lines(node)
        for text in files.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for name, lines in bodies.items() if lines > 50} == set()


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) and function.body[1:] else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def _headings() -> set[str]:
    """Constant headings of every table that the core writes."""
    headings: set[str] = set()
    for path in (ROOT / "geobench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                headings |= _of_call(node)
    return {glossary.word_of(heading) for heading in headings if heading}


def _of_call(call: ast.Call) -> set[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    arguments: list[ast.expr] = []
    if name == "Column" and call.args:
        arguments = [call.args[0]]
    elif name == "of_texts" and call.args and isinstance(call.args[0], ast.List):
        arguments = call.args[0].elts
    return {
        argument.value
        for argument in arguments
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def test_every_heading_of_a_table_is_in_the_glossary() -> None:
    headings = _headings()
    assert {"excess", "rank range", "skill"} <= headings
    assert headings - set(WORDS) == set()


def test_the_glossary_defines_each_word_once_and_names_what_it_was_called() -> None:
    assert len(WORDS) == len(set(map(glossary.anchor, WORDS)))
    assert "share" in glossary.SOURCE.read_text("utf-8")


def test_the_glossary_of_the_docs_is_a_copy() -> None:
    """To mend it: cp geobench/tables/glossary.md docs/."""
    assert (ROOT / "docs/glossary.md").read_bytes() == glossary.SOURCE.read_bytes()


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/decisions/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text("utf-8")
    assert [path.name for path in sorted(folder.glob("0*.md")) if path.name not in index] == []
