"""The project file `geobench.toml`: settings of a folder and all folders in it.

    catalog = "results"          # a folder beside this file, or a URL
    device = "cuda"
    plugins = ["mine.py"]
    memory = "4GiB"
    processes = 4
    scheduler = "tcp://10.0.0.1:8786"

The nearest file counts, from the working folder upwards. Plugins are code, and so is what the
workers of a scheduler are sent: a file that names either must belong to the user or to root.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from geobench.errors import GeobenchError
from geobench.registry.sizes import read_size

NAME = "geobench.toml"
_RUN_CODE = ("plugins", "scheduler")


@dataclass(frozen=True)
class Project:
    """What a project file says; None or empty: it says nothing of it."""

    file: Path | None = None
    catalog: str | None = None
    device: str | None = None
    plugins: tuple[Path, ...] = ()
    scheduler: str | None = None
    memory: int | None = None
    processes: int | None = None

    def settings(self) -> dict[str, str | int]:
        """Return what it says, by key; plugins aside."""
        values = {key: getattr(self, key) for key in _READERS if key != "plugins"}
        return {key: value for key, value in values.items() if value is not None}


def read_project(folder: Path | None = None) -> Project:
    """Read the project file of a folder, by default the working folder; there may be none."""
    file = find_project(folder)
    if file is None:
        return Project()
    table = _load(file)
    keys = [field.name for field in fields(Project) if field.name != "file"]
    for key in table:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            cure = f"Did you mean '{close[0]}'?" if close else f"Keys: {', '.join(keys)}."
            raise GeobenchError(f"{file}: there is no key '{key}'. {cure}")
    return Project(file, **{key: _READERS[key](file, key, value) for key, value in table.items()})


def find_project(folder: Path | None = None) -> Path | None:
    """Return the nearest project file, from a folder upwards."""
    with suppress(OSError):  # a working folder that was removed, or may not be read
        start = (folder or Path.cwd()).absolute()
        for parent in (start, *start.parents):
            with suppress(OSError):
                if (parent / NAME).is_file():
                    return parent / NAME
    return None


def _load(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as opened:
            owners = {os.fstat(opened.fileno()).st_uid, file.lstat().st_uid}
            table = tomllib.load(opened)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GeobenchError(f"{file} is not TOML: {' '.join(str(error).split())}.") from error
    except OSError as error:
        raise GeobenchError(f"{file} cannot be read ({error.strerror}).") from error
    for key in _RUN_CODE:
        if key in table and not _trusted(owners):
            raise GeobenchError(
                f"{file} belongs to another user and names {key}, which run code. It is not used. "
                f"If you trust it, copy it into your own working folder; an empty {NAME} there "
                f"switches it off."
            )
    return table


def _trusted(owners: set[int]) -> bool:
    """Whether nobody but the user and root could have written the file, or the link to it."""
    return not hasattr(os, "getuid") or owners <= {0, os.getuid()}


def _text(file: Path, key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise GeobenchError(f"{file}: {key} = {value!r}: write text in quotation marks.")
    return value


def _address(file: Path, key: str, value: object) -> str:
    """Read a URL, or a path beside the file."""
    text = _text(file, key, value)
    return text if "://" in text else str((file.parent / Path(text).expanduser()).resolve())


def _files(file: Path, key: str, value: object) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise GeobenchError(f'{file}: {key} = {value!r}: write a list of files, such as ["a.py"].')
    paths = tuple(Path(_address(file, key, part)) for part in value)
    for path in paths:
        check_plugin_file(path, f"{file}: {key}")
    return paths


def check_plugin_file(path: Path, owner: str) -> None:
    """Raise unless a path is that of a Python file; `owner` names it."""
    if path.is_file() and path.suffix == ".py":
        return
    if path.is_file():
        raise GeobenchError(f"{owner}: {path} is not a Python file. Its name must end with .py.")
    names = [str(beside) for beside in path.parent.glob("*.py")]
    close = difflib.get_close_matches(str(path), names, n=1, cutoff=0.8)
    cure = f"Did you mean {close[0]}?" if close else "Check the path."
    raise GeobenchError(f"{owner}: there is no file {path}. {cure}")


def _size(file: Path, key: str, value: object) -> int:
    text = _text(file, key, value)
    try:
        return read_size(text)
    except GeobenchError as error:
        raise GeobenchError(f"{file}: {key}: {error}") from None


def _count(file: Path, key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise GeobenchError(f"{file}: {key} = {value!r}: write a whole number from 1.")
    return value


_READERS: Mapping[str, Callable[[Path, str, object], Any]] = {
    "catalog": _address,
    "device": _text,
    "plugins": _files,
    "scheduler": _text,
    "memory": _size,
    "processes": _count,
}
