"""Ensembles of several shapes, for the tests of kernels."""

from typing import Any

import numpy as np

from geobench_plugins.kernels.marginals import Numbers

KINDS = ["normal", "tied", "constant", "offset", "skewed"]


def ensembles(
    kind: str, count: int, points: int, dtype: Any = np.float64, cases: int = 5
) -> tuple[Numbers, Numbers]:
    """Members `(case, member, point)` and outcomes `(case, point)`."""
    random = np.random.Generator(np.random.Philox(key=7))
    values = random.standard_normal((cases, count + 1, points))
    if kind == "tied":
        values = np.round(values)
    if kind == "constant":
        values[:] = 2.5
    if kind == "offset":
        values = 1e5 + 0.1 * values
    if kind == "skewed":
        values = np.exp(2 * values)
    values = values.astype(dtype)
    return values[:, 1:], values[:, 0]
