"""Compiled kernels compute what their source says: Python runs it, line by line, on little."""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from numba.core.dispatcher import Dispatcher

from geobench import Noise, Scorer, Simulator
from geobench.contracts import compiled_noise
from geobench.registry import Registry
from geobench.testing import small_case
from geobench_plugins import kernels
from geobench_plugins.simulators.lorenz95 import Lorenz95
from geobench_plugins.simulators.shallow_water import ShallowWater
from geobench_plugins.simulators.two_scale import TwoScale

REGISTRY = Registry()
MODULES: list[ModuleType] = [
    importlib.import_module(f"{kernels.__name__}.{each.name}")
    for each in pkgutil.iter_modules(kernels.__path__)
]


@contextmanager
def _interpreted(*others: ModuleType) -> Iterator[None]:
    """Python in place of every compiled function of the kernels, and of other modules."""
    modules = {module.__name__: module for module in (*MODULES, *others)}
    with pytest.MonkeyPatch.context() as patch:
        for module in modules.values():
            for name, each in vars(module).copy().items():
                if isinstance(each, Dispatcher) and each.py_func.__module__ in modules:
                    patch.setattr(module, name, each.py_func)
        with np.errstate(all="ignore"):  # compiled code does not warn
            yield


@pytest.mark.parametrize(
    "scorer",
    [REGISTRY.scorer(name) for kind, name in REGISTRY.offers if kind == "scorer"],
    ids=lambda scorer: scorer.name,
)
@pytest.mark.parametrize("far", [False, True])
def test_scores(scorer: Scorer, *, far: bool) -> None:
    forecast, truth, context = small_case(2, 5)
    if far:
        forecast = forecast.copy()
        forecast[dict.fromkeys(forecast.dims, 0)] = 1e15
    compiled = scorer.statistics(forecast, truth, context)
    with _interpreted():
        found = scorer.statistics(forecast, truth, context)
    xr.testing.assert_allclose(found, compiled, rtol=1e-5, atol=1e-7)


SIX_HOURS: Any = {"output_hours": 6, "backend": "numba"}
TWO_HOURS: Any = {"n": 6, "length": 3.6e5, "output_days": 1 / 12, "backend": "numba"}


@pytest.mark.parametrize(
    "simulator",
    [
        Lorenz95(sites=5, **SIX_HOURS),
        Lorenz95(sites=5, multiplicative=0.5, tails=0.2, threshold=1.0, **SIX_HOURS),
        Lorenz95(sites=5, rank=2, **SIX_HOURS),
        TwoScale(sites=5, fast=4, **SIX_HOURS),
        ShallowWater(scheme="energy", walls="no-slip", **TWO_HOURS),
        ShallowWater(scheme="enstrophy", nu2=5e3, **TWO_HOURS),
        ShallowWater(scheme="een", nu4=0.0, **TWO_HOURS),
    ],
)
def test_simulators(simulator: Simulator) -> None:
    noise = Noise.rows(0, "interpreted", 2)
    state = simulator.initial(noise)
    compiled = simulator.advance(state, 1, noise.at(1))
    with _interpreted(compiled_noise):
        found = simulator.advance(state, 1, noise.at(1))
    torch.testing.assert_close(found, compiled, rtol=1e-4, atol=1e-5)


def test_noise() -> None:
    rows = np.arange(2, dtype=np.uint32), np.arange(5, 7, dtype=np.uint32)
    key = np.uint32(3), np.uint32(2**32 - 5), np.uint32(7)
    compiled, found = np.empty((2, 2, 9)), np.empty((2, 2, 9))
    for out, patched in ((compiled, nullcontext()), (found, _interpreted(compiled_noise))):
        with patched:
            compiled_noise.fill_normal(out[0], *rows, *key)
            words = np.empty((2, 9), np.uint32)
            compiled_noise.fill_words(words, *rows, *key)
            compiled_noise.normal_from_words(words.ravel(), out[1].ravel())
    np.testing.assert_array_equal(found, compiled)
    np.testing.assert_array_equal(found[0], found[1])
