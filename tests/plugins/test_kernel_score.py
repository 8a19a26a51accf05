"""Kernel score and MMD against their definitions, by loops over pairs."""

import math
from itertools import product

import numpy as np
import pytest

from geobench.testing import small_case
from geobench_plugins.kernels.pairs import among, excess_energy, squared_distances
from geobench_plugins.scorers.kernel_score import KernelScore
from geobench_plugins.scorers.law import LawEnergy
from geobench_plugins.scorers.law_fields import LawMMD

WIDTHS = (0.3, 1.0)


def _kernel(x: np.ndarray, y: np.ndarray) -> float:
    squared = float(((x - y) ** 2).mean())
    return float(np.mean([math.exp(-squared / (2 * width**2)) for width in WIDTHS]))


def test_it_is_what_its_definition_says() -> None:
    forecast, truth, context = small_case(2, 4)
    found = KernelScore(widths=WIDTHS).statistics(forecast, truth, context)["score"]
    for case in product(range(2), range(2)):
        x = forecast.to_numpy()[case][:, 0].astype(float)
        y = truth.to_numpy()[case][0].astype(float)
        pairs = [_kernel(x[j], x[k]) for j, k in product(range(4), range(4)) if j != k]
        expected = 0.5 + np.mean(pairs) / 2 - np.mean([_kernel(each, y) for each in x])
        assert float(found[case]) == pytest.approx(float(expected), abs=1e-9)


def test_the_discrepancy_is_twice_the_excess_over_the_law() -> None:
    forecast, truth, context = small_case(3, 4)
    forecast = forecast * 1.3 + 0.2
    assert context.law is not None
    scorer = KernelScore(widths=WIDTHS)
    found = LawMMD(widths=WIDTHS).statistics(forecast, truth, context)["discrepancy"]
    # By every draw as the outcome, and the law's own score by every draw left out.
    count = context.law.sizes["member"]
    excess = 0.0
    for place in range(count):
        outcome = context.law.isel(member=place)
        others = context.law.drop_isel(member=place)
        scores = [scorer.statistics(e, outcome, context)["score"] for e in (forecast, others)]
        excess = excess + (scores[0] - scores[1]) / count
    np.testing.assert_allclose(found, 2 * excess, atol=1e-9)


def test_pairs_by_products_are_those_by_differences() -> None:
    drawn = np.random.default_rng(0).normal(1e4, 1, (2, 5, 30))
    found = squared_distances(drawn, drawn[:, :3])
    expected = ((drawn[:, :, None] - drawn[:, None, :3]) ** 2).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)
    assert among(expected[:, :3] * 0 + 2).tolist() == [2, 2]


def test_excess_energy_is_the_scorers() -> None:
    forecast, truth, context = small_case(4, 5)
    from geobench_plugins.kernels.ensembles import scaled

    assert context.law is not None
    x, y = (scaled(each, truth, context) for each in (forecast, context.law))
    expected = LawEnergy().statistics(forecast, truth, context)["excess"].to_numpy().ravel()
    np.testing.assert_allclose(excess_energy(x, y), expected, rtol=0, atol=1e-6)
