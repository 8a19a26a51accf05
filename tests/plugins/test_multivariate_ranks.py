"""Multivariate ranks: flat under any law, and each order sees what it is for."""

from typing import Literal

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from geobench import Context, Noise
from geobench.testing import small_case
from geobench_plugins.scorers.multivariate_ranks import MultivariateRanks

By = Literal["average", "band-depth", "energy", "reference"]
ORDERS: tuple[By, ...] = ("average", "band-depth", "energy", "reference")


def _p(scale: float, shift: float, by: By, *, shuffled: bool = False, paths: bool = False) -> float:
    """Of a flat histogram, by chi-square, of 1,000 cases with members N(shift, scale²)."""
    forecast, truth, context = small_case(1000, 7)
    common = Noise.rows(3, "common", 1000).normal(2, 8, 1, 1).numpy()  # dependence between sites
    forecast = scale * (forecast + common[:, :, :7]) + shift
    truth = truth + common[:, :, 7]
    if shuffled:
        order = np.random.default_rng(0).permuted(np.tile(np.arange(7), (8, 1)), axis=1)
        values = forecast.to_numpy().copy()
        for site in range(8):
            values[..., site] = values[:, :, order[site]][..., site]
        forecast = forecast.copy(data=values)
    scorer = MultivariateRanks(by=by, paths=paths)
    ranks = scorer.statistics(forecast, truth, context)["ranks"].isel(lead_time=1)
    return float(stats.chisquare(ranks.sum("init_time")).pvalue)


@pytest.mark.parametrize("paths", [False, True])
@pytest.mark.parametrize("by", ORDERS)
def test_the_law_has_flat_ranks(by: By, paths: bool) -> None:
    """Eight tests of a fixed draw at 0.1 %: a false alarm in 125."""
    assert _p(1, 0, by, paths=paths) > 0.001


@pytest.mark.parametrize(
    ("by", "scale", "shift", "shuffled"),
    [
        ("average", 1.0, 0.5, False),
        ("band-depth", 0.7, 0.0, False),
        ("band-depth", 1.0, 0.0, True),
        ("energy", 0.7, 0.0, False),
        ("reference", 0.7, 0.0, False),
        ("reference", 1.0, 1.5, False),
    ],
)
def test_each_sees_what_it_is_for(by: By, scale: float, shift: float, shuffled: bool) -> None:
    assert _p(scale, shift, by, shuffled=shuffled) < 1e-6


def test_equal_members_are_ranked_at_random() -> None:
    """Of 2,000 cases each of six ranks has 333; five standard deviations are 83."""
    forecast, truth, context = small_case(1000, 5)
    same = forecast * 0 + 1, truth * 0 + 1, context
    ranks = MultivariateRanks().statistics(*same)["ranks"].sum(("init_time", "lead_time"))
    assert bool((abs(ranks - 2000 / 6) < 83).all())
    again = MultivariateRanks().statistics(*same)["ranks"].sum(("init_time", "lead_time"))
    assert ranks.equals(again)


def test_variables_count_alike_whatever_their_units() -> None:
    """A large variable in the unit of a small one would hide what is wrong with the small one."""
    forecast, truth, context = small_case(1000, 7)

    def both(small: xr.DataArray, large: xr.DataArray) -> xr.DataArray:
        return xr.concat([small, 1000 * large], xr.DataArray(["q", "h"], dims="variable"))

    one, other = {"variable": 0, "drop": True}, {"init_time": slice(None, None, -1)}
    turned = [
        each.isel(other).assign_coords(init_time=each["init_time"]) for each in (forecast, truth)
    ]
    wrong = [0.5 * forecast, truth]
    drawn, seen = (
        both(a.isel(**one), b.isel(**one)).transpose(*a.dims)  # type: ignore[arg-type] # keywords
        for a, b in zip(wrong, turned, strict=True)
    )
    std = both(context.std.isel(**one), context.std.isel(**one))  # type: ignore[arg-type] # keywords
    own = Context(std.expand_dims(quantile=[0.9]), context.sea, std.transpose("variable", ...))
    for by in ("energy", "reference", "band-depth"):
        ranks = MultivariateRanks(by=by).statistics(drawn, seen, own)["ranks"]  # type: ignore[arg-type] # of a tuple
        assert float(stats.chisquare(ranks.isel(lead_time=1).sum("init_time")).pvalue) < 1e-6


def test_the_rank_of_a_single_site_is_the_univariate_one() -> None:
    forecast, truth, context = small_case(50, 5)
    one = {"x": [2]}
    parts = [each.isel(one) for each in (context.thresholds, context.sea, context.std)]
    found = MultivariateRanks(by="average").statistics(
        forecast.isel(one), truth.isel(one), Context(*parts)
    )["ranks"]
    below = (forecast < truth).sum("member").isel(x=2, variable=0)
    assert bool((found.argmax("rank") == below).all())
