"""Which modules are libraries, and which are code of one's own."""

import functools
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

_OURS = ("geobench", "geobench_plugins", "geobench_catalog")


def is_library(module: ModuleType) -> bool:
    """Whether a module is geobench's, Python's or installed, and no code of one's own."""
    first = module.__name__.partition(".")[0]
    file = getattr(module, "__file__", None)
    if first in _OURS or first in sys.stdlib_module_names - {"__main__"}:
        return True
    if file is None:
        return module.__name__ != "__main__"
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & {*path.parts}:  # also of another environment
        return True
    return any(path.is_relative_to(folder) for folder in _installed())


@functools.cache
def _installed() -> tuple[Path, ...]:
    import site

    folders = [sysconfig.get_path(key) for key in ("purelib", "platlib", "stdlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple(dict.fromkeys(Path(folder).resolve() for folder in folders))
