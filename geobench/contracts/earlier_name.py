"""`geobench.interfaces`, which is what this package was called before.

The documentation of that time pointed to its docstrings, and numba's caches of functions that use
`normal_lanes` name its modules: a plugin that was compiled then could not be loaded without it.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

_EARLIER, _NOW = "geobench.interfaces", "geobench.contracts"


class EarlierName:
    """Gives the modules of today under their earlier names: the same ones, not copies.

    A finder and loader of imports (PEP 451). `importlib.abc` has classes for them, but is slow to
    import.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what has the earlier name."""
        package = fullname == _EARLIER or fullname.startswith(f"{_EARLIER}.")
        return ModuleSpec(fullname, self) if package else None  # type: ignore[arg-type] # it is one

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of the one that was asked for."""
        sys.modules[module.__name__] = import_module(_NOW + module.__name__[len(_EARLIER) :])
