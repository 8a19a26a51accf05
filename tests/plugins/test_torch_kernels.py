"""The kernels for accelerators against the compiled ones, here on the CPU."""

import numpy as np
import numpy.typing as npt
import pytest

from geobench_plugins.kernels import fields, fields_torch, marginals, marginals_torch

Numbers = npt.NDArray[np.floating]


def _data(
    kind: str, count: int, dtype: npt.DTypeLike
) -> tuple[Numbers, Numbers, npt.NDArray[np.float64], Numbers]:
    """Members `(7, count, 30)`, outcomes, weights of three regions (one empty), two thresholds."""
    rng = np.random.default_rng(0)
    members, outcome = rng.normal(size=(7, count, 30)), rng.normal(size=(7, 30))
    if kind == "tied":
        members, outcome = (np.round(2 * each) / 2 for each in (members, outcome))
    if kind == "constant":
        members, outcome = 0 * members + 1, 0 * outcome + 1
    if kind == "offset":
        members, outcome = members + 1e5, outcome + 1e5
    if kind == "broken":
        members[2, 0, 4], outcome[5, 7], members[6, -1, 29] = np.nan, np.inf, -np.inf
    weights = np.stack([np.ones(30), np.arange(30.0) % 3, np.zeros(30)])
    weights[:, 11] = 0  # land
    limits = np.stack([np.full(30, 0.3), np.full(30, 1.2)])
    return members.astype(dtype), outcome.astype(dtype), weights, limits.astype(dtype)


def assert_same_marginals(kind: str, count: int, dtype: npt.DTypeLike, device: str) -> None:
    """Compare with the compiled kernel."""
    members, outcome, weights, limits = _data(kind, count, dtype)
    keys = np.arange(7, dtype=np.int64) * 10**15 - 3
    one = marginals.marginals(members, outcome, weights, limits, keys)
    other = marginals_torch.marginals(members, outcome, weights, limits, keys, device)
    rtol, atol = (1e-6, 1e-7) if dtype == np.float32 else (1e-12, 1e-12)
    if kind == "offset":
        atol = 1e-6 if dtype == np.float32 else 1e-9
    for name, mine, theirs in zip(one._fields, one, other, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol, atol, err_msg=name)


def assert_same_fields(kind: str, count: int, dtype: npt.DTypeLike, device: str) -> None:
    """Compare distances and variograms with those of the compiled kernels."""
    members, outcome, weights, _ = _data(kind, count, dtype)
    rtol, atol = (3e-6, 1e-6) if dtype == np.float32 else (1e-12, 1e-12)
    mine = fields.energy_score(members, outcome, weights[1])
    theirs = fields_torch.energy_score(members, outcome, weights[1], device)
    np.testing.assert_allclose(theirs, mine, rtol, atol)
    pairs = np.stack(np.triu_indices(12, 1), -1)
    given = members[..., :12], outcome[:, :12], pairs, np.full(len(pairs), 1 / len(pairs))
    for power in (0.5, 2.0):
        for mine, theirs in zip(
            fields.variogram(*given, power),
            fields_torch.variogram(*given, power, device),
            strict=True,
        ):
            np.testing.assert_allclose(theirs, mine, rtol, atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("kind", ["normal", "tied", "constant", "offset", "broken"])
def test_marginals_are_the_same(kind: str, count: int, dtype: npt.DTypeLike) -> None:
    assert_same_marginals(kind, count, dtype, "cpu")


def test_slabs_do_not_matter_and_no_threshold_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    members, outcome, weights, limits = _data("tied", 5, np.float64)
    keys = np.arange(7, dtype=np.int64)
    whole = marginals_torch.marginals(members, outcome, weights, limits[:0], keys, "cpu")
    assert whole.table.shape == (7, 3, 0, 6, 2)
    monkeypatch.setattr(marginals_torch, "_SLAB", 2 * 5 * 29)
    for mine, theirs in zip(
        whole,
        marginals_torch.marginals(members, outcome, weights, limits[:0], keys, "cpu"),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("kind", ["normal", "tied", "constant", "broken"])
def test_distances_and_variograms_are_the_same(kind: str, count: int, dtype: npt.DTypeLike) -> None:
    assert_same_fields(kind, count, dtype, "cpu")
