"""The fused pass over an ensemble's marginals: its definitions."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from shaped_ensembles import KINDS, ensembles

from geobench_plugins.kernels import marginals as kernel
from geobench_plugins.kernels.marginals import Array, Marginals, Numbers, marginals

POINTS = 150  # two blocks of lanes and a bit, so that cases share a block


def _case(kind: str, count: int, dtype: Any, cases: int = 5) -> tuple[Numbers, Numbers]:
    return ensembles(kind, count, POINTS, dtype, cases)


def _run(members: Numbers, outcome: Numbers, **changed: Any) -> Marginals:
    points = members.shape[-1]
    if "thresholds" not in changed:
        changed["thresholds"] = np.quantile(outcome, [0.5, 0.9], axis=0).astype(outcome.dtype)
    options = {"weights": np.ones((1, points)), "keys": np.arange(len(members))}
    return marginals(members, outcome, **(options | changed))


def _by_definition(members: Numbers, outcome: Numbers, thresholds: Numbers) -> dict[str, Array]:
    """Of each point, in double precision: `(case, point)` or `(case, point, threshold)`."""
    x, y = members.astype(np.float64), outcome.astype(np.float64)
    count = x.shape[1]

    def crps(x: Array, y: Array) -> Array:
        pairs = [abs(x[:, j] - x[:, k]) for j, k in itertools.combinations(range(count), 2)]
        error: Array = abs(x - y[:, None]).mean(1)
        return error - np.mean(pairs, 0) / 2 if pairs else error

    bias = (x - y[:, None]).mean(1)
    variance = x.var(1, ddof=1) if count > 1 else np.full(y.shape, np.nan)
    tails = [
        crps(np.maximum(x, limit), np.maximum(y, limit)) for limit in thresholds.astype(np.float64)
    ]
    return {
        "crps": crps(x, y),
        "bias": bias,
        "squared": bias**2,
        "debiased": bias**2 - (variance / count if count > 1 else 0.0),
        "variance": variance,
        "tail_crps": np.stack(tails, -1),
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9, 10, 50])  # they are summed by fours
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_every_mean_is_what_its_definition_says(
    kind: str, count: int, dtype: Any, tolerance: float
) -> None:
    members, outcome = _case(kind, count, dtype)
    thresholds = np.quantile(outcome, [0.5, 0.9], axis=0).astype(dtype)
    found = _run(members, outcome, thresholds=thresholds)
    for name, expected in _by_definition(members, outcome, thresholds).items():
        # Relative to the size of the terms: a bias, a sum of both signs, may be near 0.
        difference = getattr(found, name)[:, 0] - expected.mean(1)
        if count == 1 and name == "variance":
            assert np.isnan(getattr(found, name)).all()
        else:
            assert np.abs(difference).max() <= tolerance * np.abs(expected).mean(), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_of_members_above_are_counted(dtype: Any) -> None:
    members, outcome = _case("tied", 7, dtype)
    thresholds = np.stack([np.full(POINTS, 0.0), np.full(POINTS, 1.0)]).astype(dtype)
    found = _run(members, outcome, thresholds=thresholds)
    assert np.allclose(found.table.sum((-2, -1)), 1)
    for level, case in itertools.product(range(2), range(5)):
        above = (members[case] > thresholds[level]).sum(0)  # strictly: not the ties
        happened = outcome[case] > thresholds[level]
        expected = np.zeros((8, 2))
        np.add.at(expected, (above, happened.astype(int)), 1 / POINTS)
        assert np.allclose(found.table[case, 0, level], expected)


def test_ranks_are_counted_and_ties_are_drawn() -> None:
    members, outcome = _case("normal", 9, np.float64)
    found = _run(members, outcome)
    for case in range(5):
        below = (members[case] < outcome[case]).sum(0)
        assert np.allclose(found.ranks[case, 0], np.bincount(below, minlength=10) / POINTS)
    members, outcome = _case("constant", 9, np.float64, cases=400)
    keys = np.arange(400) * 86_400_000_000_000  # as times in nanoseconds are
    counts = _run(members, outcome, keys=keys).ranks.sum((0, 1)) * POINTS
    # Ten ranks, 60,000 draws: chi-square with 9 degrees of freedom is above 33.7 once in 10,000.
    assert ((counts - 6000) ** 2 / 6000).sum() < 33.7
    again = _run(members[7:9], outcome[7:9], keys=keys[7:9])
    assert np.array_equal(again.ranks, _run(members, outcome, keys=keys).ranks[7:9])


def test_regions_have_their_own_weights_and_land_is_not_read() -> None:
    members, outcome = _case("normal", 6, np.float64)
    weights = np.zeros((2, POINTS))
    weights[0, 20:] = 1
    weights[1, 50:90] = np.arange(40) + 1.0
    members[:, :, :20], outcome[:, :20] = np.nan, np.nan
    found = _run(members, outcome, weights=weights, thresholds=np.zeros((1, POINTS)))
    bias = (members - outcome[:, None]).mean(1)
    assert np.allclose(found.bias[:, 0], bias[:, 20:].mean(1))
    assert np.allclose(found.bias[:, 1], np.average(bias[:, 50:90], 1, weights[1, 50:90]))
    assert np.allclose(found.ranks.sum(-1), 1)
    assert np.allclose(found.table.sum((-2, -1)), 1)


def test_of_a_region_without_points_nothing_is_known() -> None:
    members, outcome = _case("normal", 6, np.float64)
    weights = np.stack([np.zeros(POINTS), np.ones(POINTS)])
    found = _run(members, outcome, weights=weights)
    for name, each in zip(Marginals._fields, found, strict=True):
        assert np.isnan(each[:, 0]).all(), name
        assert np.isfinite(each[:, 1]).all(), name


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["member", "outcome"])
def test_a_value_that_is_not_finite_fails_its_case_and_no_other(value: float, where: str) -> None:
    members, outcome = _case("normal", 6, np.float32)
    whole = _run(members, outcome, thresholds=np.zeros((1, POINTS), np.float32))
    (members[:, 3] if where == "member" else outcome)[2, 149] = value
    found = _run(members, outcome, thresholds=np.zeros((1, POINTS), np.float32))
    for name, own, other in zip(Marginals._fields, found, whole, strict=True):
        assert np.isnan(own[2]).all(), name
        assert np.array_equal(np.delete(own, 2, 0), np.delete(other, 2, 0)), name


def test_neither_blocks_of_cases_nor_threads_change_a_bit() -> None:
    members, outcome = _case("tied", 11, np.float32, cases=9)
    thresholds = np.zeros((1, POINTS), np.float32)
    whole = _run(members, outcome, thresholds=thresholds)
    keys = np.arange(9)
    parts = [
        _run(members[own], outcome[own], thresholds=thresholds, keys=keys[own])
        for own in (slice(0, 1), slice(1, 4), slice(4, 9))
    ]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        together = _run(members, outcome, thresholds=thresholds)
    finally:
        torch.set_num_threads(threads)
    for place, each in enumerate(whole):
        assert np.array_equal(np.concatenate([part[place] for part in parts]), each)
        assert np.array_equal(together[place], each)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 50, 64, 100])
def test_the_network_sorts(count: int) -> None:
    """All inputs of zeros and ones, of which some suffice: one sorted, so are all (Knuth)."""
    random = np.random.Generator(np.random.Philox(key=1))
    rows = (
        np.array(list(itertools.product((0, 1), repeat=count)))
        if count <= 13
        else (random.random((4000, count)) < random.random((4000, 1))).astype(int)
    )
    for first, second in kernel.comparators(count) // kernel.LANES:
        one, two = rows[:, first].copy(), rows[:, second].copy()
        rows[:, first], rows[:, second] = np.minimum(one, two), np.maximum(one, two)
    assert (np.diff(rows, axis=1) >= 0).all()
