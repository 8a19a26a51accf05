"""A project for a plugin: a small one that works, with its tests, to be changed."""

import importlib.metadata
import importlib.util
import keyword
import re
from collections.abc import Sequence
from pathlib import Path

from geobench.errors import GeobenchError
from geobench.registry import Registry

KINDS = {
    "model": "a model",
    "simulator": "a simulator",
    "scorer": "a scorer",
    "assimilation": "a data assimilation",
    "experiment": "an experiment",
}
"""What a project may hold, and how it is called in a sentence."""

_TEMPLATES = Path(__file__).parent / "scaffold_files"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ALWAYS = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".github/workflows/test.yaml": "test.yaml",
    "study.yaml": "study.yaml",
    "src/{module}/__init__.py": "__init__.py",
    "tests/test_plugin.py": "test_plugin.py",
}
"""Files of every project, and their templates."""


def new_project(name: str, kinds: Sequence[str], folder: Path, registry: Registry) -> list[Path]:
    """Write a project that offers `name`, as each of these kinds of plugin; return its files.

    Nothing is overwritten: `GeobenchError` if the folder is there, or if the name is taken.
    """
    module = name.replace("-", "_")
    _check(name, module, kinds, registry)
    files = {
        path.format(module=module): _written(template, name, module, kinds)
        for path, template in {**_ALWAYS, **_of_kinds(name, kinds)}.items()
    }
    try:
        folder.mkdir(parents=True)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
    except FileExistsError:
        raise GeobenchError(
            f"{folder} is there already, and nothing was written. Choose another name, or another "
            f"folder by --out."
        ) from None
    except OSError as error:
        raise GeobenchError(
            f"{folder} cannot be written ({error.strerror}). Choose another folder by --out."
        ) from error
    return [folder / path for path in files]


def _of_kinds(name: str, kinds: Sequence[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for kind in kinds:
        files[f"src/{{module}}/{_file(name, kind)}"] = Path(_file(kind, kind)).name
        files[f"tests/test_{kind}.py"] = f"test_{kind}.py"
    return files


def _file(name: str, kind: str) -> str:
    return f"experiments/{name}.yaml" if kind == "experiment" else f"{kind}.py"


def _written(template: str, name: str, module: str, kinds: Sequence[str]) -> str:
    """Fill in a template. The marks are << and <%, so that no code has to be escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 # code, not HTML
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    stem = "".join(word.capitalize() for word in name.split("-"))
    text = (_TEMPLATES / f"{template}.jinja").read_text("utf-8")
    *first, last = (KINDS[kind] for kind in kinds)
    sentence = f"{', '.join(first)} and {last}" if first else last
    return environment.from_string(text).render(
        name=name,
        module=module,
        kinds=kinds,
        files={kind: _file(name, kind) for kind in kinds},
        classes={kind: f"{stem}{kind.capitalize()}" for kind in kinds},
        what=sentence[0].upper() + sentence[1:],
        version=importlib.metadata.version("geobench-twin"),
    )


def _check(name: str, module: str, kinds: Sequence[str], registry: Registry) -> None:
    """Raise unless the name is legal, and free, as distribution, module and plugin."""
    if not _NAME.fullmatch(name) or len(name) > 40 or keyword.iskeyword(module):
        raise GeobenchError(
            f"'{name}' cannot name a project. Use at most 40 lower-case letters, digits and single "
            f"'-' between them, starting with a letter, and no word of Python."
        )
    for kind in kinds:
        if (kind, name) in registry.offers:
            owner = registry.offers[kind, name].plugin
            raise GeobenchError(f"{owner} already offers the {kind} '{name}'. Choose another name.")
    if importlib.util.find_spec(module) is not None:
        raise GeobenchError(
            f"a Python module is already called '{module}', and a project of that name would hide "
            f"it. Choose another name."
        )
