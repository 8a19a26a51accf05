"""Scores against other libraries."""

import itertools
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist
from shaped_ensembles import KINDS, ensembles

from geobench.testing import small_case
from geobench_plugins.kernels.fields import energy_score, variogram
from geobench_plugins.kernels.marginals import Array, Numbers, marginals
from geobench_plugins.scorers.brier import RPS, Brier
from geobench_plugins.scorers.calibration import Coverage, RankHistogram
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.crps_parts import CRPSParts


# They compile for seconds when they are imported: by the one process that runs these tests.
@pytest.fixture(scope="module")
def xskillscore() -> Any:
    return import_module("xskillscore")


@pytest.fixture(scope="module")
def scoringrules() -> Any:
    return import_module("scoringrules")


@pytest.fixture(scope="module")
def probability() -> Any:
    return import_module("scores.probability")


def _half_apart(members: Numbers) -> Array:
    """Half the mean |x - x'| over pairs of members, `(case, point)`."""
    pairs = itertools.combinations(range(members.shape[1]), 2)
    return np.mean([abs(members[:, j] - members[:, k]) for j, k in pairs], 0) / 2


def _run(members: Numbers, outcome: Numbers, thresholds: Array) -> Any:
    weights, keys = np.ones((1, members.shape[-1])), np.arange(len(members))
    return marginals(members, outcome, thresholds=thresholds, weights=weights, keys=keys)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.3, 0.0), (1.0, 2.0)])
def test_parts_of_the_crps_add_up_to_the_plain_one(
    scale: float, shift: float, xskillscore: Any
) -> None:
    forecast, truth, context = small_case(200, 6)
    forecast = scale * forecast + shift
    parts = CRPSParts().metric(CRPSParts().statistics(forecast, truth, context).mean("init_time"))
    plain = xskillscore.crps_ensemble(truth, forecast, dim=["init_time", "x"])
    total = parts["CRPS reliability"] + parts["potential CRPS"]
    xr.testing.assert_allclose(total.transpose(*plain.dims), plain, rtol=1e-5)


def test_the_rps_is_xskillscores(xskillscore: Any) -> None:
    forecast, truth, context = small_case(60, 5)
    found = RPS().metric(RPS().statistics(forecast, truth, context).mean("init_time"))["RPS"]
    edges = xr.DataArray([-100, 0.5, 1.0, 100], dims="category_edge")
    theirs = xskillscore.rps(
        truth, forecast, category_edges=edges, dim=["init_time", "x"], fair=True
    )
    np.testing.assert_allclose(found.isel(variable=0), theirs.isel(variable=0), rtol=1e-6)
    brier = Brier().metric(Brier().statistics(forecast, truth, context).mean("init_time"))["Brier"]
    xr.testing.assert_allclose(found, brier.sum("quantile"), rtol=1e-9)


def test_ranks_are_those_of_xskillscore(xskillscore: Any) -> None:
    forecast, truth, context = small_case(20, 7)
    counts = xskillscore.rank_histogram(truth, forecast, dim=["init_time", "x"])
    shares = counts.isel(variable=0) / counts.isel(variable=0).sum("rank")
    expected = abs(shares - 1 / 8).sum("rank")
    ranks, coverage = (
        each.metric(each.statistics(forecast, truth, context).mean("init_time"))
        for each in (RankHistogram(), Coverage())
    )
    np.testing.assert_allclose(ranks["rank deviation"].isel(variable=0), expected)
    inside = shares.isel(rank=slice(1, 7)).sum("rank")
    np.testing.assert_allclose(coverage["coverage"].isel(variable=0), inside / (6 / 8))


def test_fair_crps_plus_the_missing_spread_is_xskillscores(xskillscore: Any) -> None:
    forecast, truth, context = small_case()
    m = forecast.sizes["member"]
    metric = CRPS().metric(CRPS().statistics(forecast, truth, context).mean("init_time"))
    other = forecast.rename(member="other")
    pairs = abs(forecast - other).sum(("member", "other"))
    spread = (pairs / (2 * m * (m - 1))).mean(("init_time", "x"))
    plain = xskillscore.crps_ensemble(truth, forecast, dim=["init_time", "x"])
    # spread / M is what the biased estimator charges too much.
    xr.testing.assert_allclose(metric["CRPS"] + spread / m, plain, rtol=1e-6)


@pytest.mark.parametrize("count", [2, 10, 50])
def test_the_energy_score_is_that_of_scoringrules(count: int, scoringrules: Any) -> None:
    members, outcome = ensembles("normal", count, 40)
    plain = scoringrules.es_ensemble(outcome, members, m_axis=1, v_axis=2, backend="numpy")
    spread = np.array([pdist(each).mean() / 2 for each in members])
    found = energy_score(members, outcome, np.ones(40))
    assert np.allclose(found + spread / count, plain, rtol=1e-12, atol=0)


@pytest.mark.parametrize("count", [2, 10, 50])
def test_the_plain_variogram_score_is_that_of_scoringrules(count: int, scoringrules: Any) -> None:
    members, outcome = ensembles("normal", count, 12)
    pairs = np.stack(np.triu_indices(12, 1), -1)
    plain, _ = variogram(members, outcome, pairs, np.full(len(pairs), 2.0), 0.5)
    other = scoringrules.vs_ensemble(outcome, members, m_axis=1, v_axis=2, p=0.5, backend="numpy")
    assert np.allclose(plain, other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("count", [2, 10, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_three_libraries(
    kind: str, count: int, xskillscore: Any, scoringrules: Any, probability: Any
) -> None:
    members, outcome = ensembles(kind, count, 150)
    thresholds = np.quantile(outcome, [0.5, 0.9], axis=0)
    found = _run(members, outcome, thresholds)
    fair = found.crps
    plain = fair + _half_apart(members).mean(1, keepdims=True) / count
    forecast = xr.DataArray(members, dims=("case", "member", "point"))
    truth = xr.DataArray(outcome, dims=("case", "point"))
    cut_apart = _half_apart(np.maximum(members, thresholds[0])).mean(1, keepdims=True)
    peers = {
        "xskillscore": (plain, xskillscore.crps_ensemble(truth, forecast, dim="point")),
        "scores": (
            fair,
            probability.crps_for_ensemble(
                forecast, truth, "member", method="fair", preserve_dims=["case"]
            ),
        ),
        "scoringrules": (
            fair,
            scoringrules.crps_ensemble(
                outcome, members, m_axis=1, estimator="fair", backend="numpy"
            ).mean(1),
        ),
        "scoringrules, above a threshold": (
            found.tail_crps[..., 0] + cut_apart / count,
            np.stack(
                [
                    scoringrules.twcrps_ensemble(
                        outcome[:, p], members[..., p], a=thresholds[0, p], m_axis=1,
                        estimator="qd", backend="numpy",
                    )
                    for p in range(150)
                ],
                -1,
            ).mean(1),
        ),
    }  # fmt: skip
    scale = abs(members - outcome[:, None]).mean((1, 2))
    for name, (own, other) in peers.items():
        assert np.abs(own[:, 0] - np.asarray(other)).max() <= 1e-12 * max(1.0, scale.max()), name


def test_a_failed_member_is_dropped_by_two_libraries_and_not_here(
    xskillscore: Any, probability: Any
) -> None:
    members, outcome = ensembles("normal", 6, 150)
    members[0, 2] = np.nan
    assert np.isnan(_run(members, outcome, np.zeros((1, 150))).crps[0, 0])
    forecast = xr.DataArray(members, dims=("case", "member", "point"))
    truth = xr.DataArray(outcome, dims=("case", "point"))
    theirs = [
        xskillscore.crps_ensemble(truth, forecast, dim="point"),
        probability.crps_for_ensemble(
            forecast, truth, "member", method="ecdf", preserve_dims=["case"]
        ),
    ]
    without = np.delete(members, 2, 1)
    plain = (
        _run(without, outcome, np.zeros((1, 150))).crps
        + _half_apart(without).mean(1, keepdims=True) / 5
    )
    for each in theirs:
        assert float(each[0]) == pytest.approx(plain[0, 0])
