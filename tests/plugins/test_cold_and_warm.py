"""A compiled function gives the same bits in the process that compiles it and in later ones."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from geobench_plugins import kernels

DIGESTS = Path(__file__).parents[1] / "digests.py"


@pytest.mark.slow  # everything is compiled: some two minutes
def test_numbers_do_not_depend_on_who_compiled(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    cold, warm = (
        json.loads(subprocess.check_output([sys.executable, str(DIGESTS)], env=environment))
        for _ in range(2)
    )
    assert len(cold) > 200
    assert cold == warm


def test_what_may_be_added_in_another_order_is_inlined() -> None:
    # Else the process that compiles calls the function that it compiled first, and later ones the
    # copy that was optimised for its caller.
    modules = [
        importlib.import_module(f"{kernels.__name__}.{each.name}")
        for each in pkgutil.iter_modules(kernels.__path__)
    ]
    compiled = {
        id(each): each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, Dispatcher)
    }
    called = {
        id(found): found
        for each in compiled.values()
        for name in each.py_func.__code__.co_names
        if isinstance(found := each.py_func.__globals__.get(name), Dispatcher)
    }
    loose = [each for each in called.values() if each.targetoptions.get("fastmath")]
    assert len(loose) > 30
    assert [each.__name__ for each in loose if not each.targetoptions.get("forceinline")] == []
