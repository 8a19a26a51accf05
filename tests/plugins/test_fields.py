"""The energy and the variogram score of whole fields: definitions, scipy."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.spatial.distance import pdist

from geobench import Context, Noise
from geobench_plugins.kernels.ensembles import lattice
from geobench_plugins.kernels.fields import Array, Numbers, energy_score, variogram
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.variogram import Variogram

PRECISIONS = [(np.float32, 1e-6), (np.float64, 1e-12)]


def _case(
    count: int, points: int, dtype: Any, cases: int = 70, offset: float = 0.0
) -> tuple[Numbers, Numbers]:
    random = np.random.Generator(np.random.Philox(key=3))
    values = (offset + random.standard_normal((cases, count + 1, points))).astype(dtype)
    return values[:, 1:], values[:, 0]


def _by_definition(members: Numbers, outcome: Numbers, weights: Array) -> Array:
    found = []
    for x, y in zip(members.astype(np.float64), outcome.astype(np.float64), strict=True):
        far = np.linalg.norm((x - y) * weights, axis=1).mean()
        found.append(far - (pdist((x - y) * weights).mean() / 2 if len(x) > 1 else 0))
    return np.array(found)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("points", [1, 40, 64, 200])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_energy_scores_are_what_their_definition_says(
    count: int, points: int, dtype: Any, tolerance: float
) -> None:
    members, outcome = _case(count, points, dtype)
    weights = 0.5 + np.arange(points) / points
    found = energy_score(members, outcome, weights)
    expected = _by_definition(members, outcome, weights)
    assert np.allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_an_offset_costs_no_digits() -> None:
    near = _case(10, 40, np.float64)
    members, outcome = (np.round(each * 2**20) / 2**20 for each in near)  # sums with 2^17 are exact
    far = energy_score(members + 2.0**17, outcome + 2.0**17, np.ones(40))
    assert np.array_equal(far, energy_score(members, outcome, np.ones(40)))


@pytest.mark.parametrize("bias", [0.0, 1000.0])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_neither_offset_nor_bias_costs_digits_of_single_precision(
    offset: float, bias: float
) -> None:
    members, outcome = _case(10, 700, np.float32, cases=3, offset=offset)
    outcome = outcome + np.float32(bias)
    weights = 0.1 + np.arange(700) / 700
    found = energy_score(members, outcome, weights)
    exact = energy_score(members.astype(np.float64), outcome.astype(np.float64), weights)
    assert np.allclose(found, exact, rtol=1e-6, atol=0)


def test_squares_may_be_too_large_for_single_precision() -> None:
    near = _case(10, 40, np.float32)
    far = energy_score(*(each * np.float32(2.0**80) for each in near), np.ones(40))
    assert np.allclose(far, energy_score(*near, np.ones(40)) * 2.0**80, rtol=1e-6, atol=0)


@pytest.mark.parametrize("unit", [1e-36, 1e-25, 1e25, 1e36])
def test_so_may_units(unit: float) -> None:
    """A second variable whose units are far from the first one's."""
    members, outcome = _case(10, 40, np.float32)
    size = np.where(np.arange(40) < 20, 1.0, unit)
    found = energy_score(
        (members * size).astype(np.float32), (outcome * size).astype(np.float32), 1 / size
    )
    assert np.allclose(found, energy_score(members, outcome, np.ones(40)), rtol=1e-5, atol=0)


def test_of_points_without_weight_nothing_is_read() -> None:
    members, outcome = _case(10, 300, np.float32)
    weights = np.where(np.arange(300) % 7 < 3, 0.0, 2.0)
    sea = weights > 0
    expected = energy_score(members[..., sea], outcome[..., sea], weights[sea])
    members[..., ~sea], outcome[..., ~sea] = np.nan, np.inf
    assert np.array_equal(energy_score(members, outcome, weights), expected)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 50])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_variogram_score_is_what_its_definition_says(
    power: float, count: int, dtype: Any, tolerance: float
) -> None:
    members, outcome = _case(count, 9, dtype)
    pairs = np.array(list(itertools.combinations(range(9), 2)))
    weights = 1.0 + np.arange(len(pairs))
    plain, fair = variogram(members, outcome, pairs, weights, power)
    x, y = members.astype(np.float64), outcome.astype(np.float64)
    drawn = abs(x[..., pairs[:, 0]] - x[..., pairs[:, 1]]) ** power
    seen = abs(y[..., pairs[:, 0]] - y[..., pairs[:, 1]]) ** power
    squared = (seen - drawn.mean(1)) ** 2
    assert np.allclose(plain, (weights * squared).sum(1), rtol=3 * tolerance, atol=0)
    sampled = drawn.var(1, ddof=1) / count if count > 1 else 0
    expected = (weights * (squared - sampled)).sum(1)
    assert np.abs(fair - expected).max() < 3 * tolerance * plain.mean()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["member", "outcome"])
def test_a_value_that_is_not_finite_fails_its_case_and_no_other(value: float, where: str) -> None:
    pairs, weights = np.stack(np.triu_indices(20, 1), -1), np.ones(190)
    members, outcome = _case(6, 20, np.float32)

    def run() -> list[Any]:
        of_pairs = variogram(members, outcome, pairs, weights, 0.5)
        return [energy_score(members, outcome, np.ones(20)), *of_pairs]

    whole = run()
    (members[:, 3] if where == "member" else outcome)[33, 19] = value
    for own, other in zip(run(), whole, strict=True):
        assert np.isnan(own[33])
        assert np.array_equal(np.delete(own, 33), np.delete(other, 33))


def test_neither_blocks_of_cases_nor_threads_change_a_bit() -> None:
    pairs, weights = np.stack(np.triu_indices(20, 1), -1), np.ones(190)
    members, outcome = _case(6, 20, np.float32)

    def run(own: slice) -> Any:
        of_pairs = variogram(members[own], outcome[own], pairs, weights, 0.5)
        return np.stack([energy_score(members[own], outcome[own], np.ones(20)), *of_pairs])

    whole = run(slice(None))
    parts = [run(own) for own in (slice(0, 1), slice(1, 50), slice(50, None))]
    assert np.array_equal(np.concatenate(parts, -1), whole)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert np.array_equal(run(slice(None)), whole)
    finally:
        torch.set_num_threads(threads)


# -- the scorer


def _ring(inits: int, count: int, *, length: float) -> tuple[xr.DataArray, xr.DataArray, Context]:
    """Members and outcomes of one normal law on a ring of 40, correlated over `length` sites."""
    place = np.arange(40)
    apart = abs(place[:, None] - place)
    covariance = np.exp(-np.minimum(apart, 40 - apart) / length)
    root = torch.from_numpy(np.linalg.cholesky(covariance))
    rows = Noise.rows(0, "ring", inits)
    drawn = rows.normal(1, count + 1, 1, 40, dtype=torch.float64) @ root.T
    dims = ("init_time", "lead_time", "member", "variable", "x")
    values = xr.DataArray(drawn.numpy(), {"variable": ["q"]}, dims)
    sea = xr.DataArray(np.ones(40, bool), dims="x")
    std = xr.DataArray(np.ones((1, 40)), {"variable": ["q"]}, ("variable", "x"))
    limits = std.expand_dims(quantile=[0.9])
    return values.isel(member=slice(1, None)), values.isel(member=0), Context(limits, sea, std)


@pytest.mark.parametrize("count", [2, 20])
def test_a_perfect_ensemble_scores_the_same_with_any_number_of_members(count: int) -> None:
    """Its expectation is the mean variance of |y_i - y_k|^0.5, whatever the number of members."""
    forecast, truth, context = _ring(3000, count, length=4)
    found = Variogram().statistics(forecast, truth, context)["variogram"].to_numpy().ravel()
    # |d|^0.5 of d ~ N(0, s²): variance s (E|z| - (E|z|^0.5)²).
    place = np.arange(40)
    apart = np.minimum(abs(place[:, None] - place), 40 - abs(place[:, None] - place))
    s = np.sqrt(2 * (1 - np.exp(-apart / 4)))[np.triu_indices(40, 1)]
    half = 2**0.25 * math.gamma(0.75) / math.sqrt(math.pi)
    exact = s.mean() * (math.sqrt(2 / math.pi) - half**2)
    # Five standard errors: a false alarm in 2 million.
    assert abs(found.mean() - exact) < 5 * found.std() / math.sqrt(3000)
    assert found.std() / math.sqrt(3000) < 0.02 * exact


def test_it_sees_members_that_are_shuffled_at_every_site() -> None:
    forecast, truth, context = _ring(300, 10, length=4)
    shift = xr.DataArray(np.arange(40) % 10, dims="x")
    shuffled = forecast.isel(member=(xr.DataArray(np.arange(10), dims="member") + shift) % 10)
    shuffled = shuffled.transpose(*forecast.dims)
    right, wrong = (
        Variogram().statistics(each, truth, context)["variogram"].to_numpy().ravel()
        for each in (forecast, shuffled)
    )
    gap = wrong - right
    assert gap.mean() > 5 * gap.std() / math.sqrt(300)
    marginals = [CRPS().statistics(each, truth, context) for each in (shuffled, forecast)]
    xr.testing.assert_allclose(*marginals, rtol=1e-6)


def test_a_narrow_sea_is_not_missed() -> None:
    sea = xr.DataArray(np.zeros((8, 100), bool), dims=("y", "x"))
    sea[0] = True
    chosen = lattice(sea, 64)
    assert 16 <= len(chosen) <= 64
    assert bool(sea.to_numpy().ravel()[chosen].all())


def test_one_point_has_no_variogram() -> None:
    members, outcome = _case(5, 1, np.float32)
    for each in variogram(members, outcome, np.empty((0, 2), np.int64), np.empty(0), 0.5):
        assert np.isnan(each).all()


def test_cells_are_thinned_to_a_lattice() -> None:
    sea = xr.DataArray(np.ones((64, 64), bool), dims=("y", "x"))
    chosen = np.stack(np.unravel_index(lattice(sea, 64), (64, 64)), -1)
    assert len(chosen) == 64
    assert set(np.unique(chosen)) == set(range(4, 64, 8))


@pytest.mark.parametrize("most", [1, 2, 3, 5, 64])
def test_a_lattice_is_never_empty(most: int) -> None:
    every_fourth = xr.DataArray(np.arange(12) % 4 == 1, dims="x")
    square = xr.DataArray(np.ones((8, 8), bool), dims=("y", "x"))
    for sea in (every_fourth, square):
        chosen = lattice(sea, most)
        assert min(2, most) <= len(chosen) <= max(most, 2)
        assert sea.to_numpy().ravel()[chosen].all()
