"""Joint laws against the true one: exact for normal laws, blind to nothing they are made for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Noise, Scorer
from geobench.testing import small_case
from geobench_plugins.scorers.law import LawCRPS
from geobench_plugins.scorers.law_joint import (
    LawCovariance,
    LawDependence,
    LawSlicedWasserstein,
    LawWasserstein,
)
from geobench_plugins.scorers.law_parts import LawParts

Case = tuple[xr.DataArray, xr.DataArray, Context]


def _case(count: int, how: str = "law", inits: int = 400, draws: int = 60) -> Case:
    """A normal law with unit variance, correlated by 1/2 between all sites, and members."""
    _, truth, context = small_case(inits, 2)

    def drawn(stream: str, number: int) -> np.ndarray:
        rows = Noise.rows(1, stream, inits)
        own, common = rows.normal(2, number, 1, 8).numpy(), rows.use("c").normal(2, number, 1, 1)
        return (own + common.numpy()) / math.sqrt(2)

    members = drawn("members", count)
    if how == "shuffled":
        members = Noise.rows(2, "white", inits).normal(2, count, 1, 8).numpy()
    members = members * 1.5 if how == "wide" else members
    members = members + 0.5 if how == "shifted" else members
    if how == "skewed":  # the same mean and variance
        members = np.exp(members / 2) - math.exp(1 / 8)
        members = members / math.sqrt(math.exp(1 / 4) * (math.exp(1 / 4) - 1))
    dims = ("init_time", "lead_time", "member", "variable", "x")
    coords = {key: truth[key] for key in ("init_time", "lead_time", "variable")}
    forecast, law = (xr.DataArray(e, coords, dims) for e in (members, drawn("law", draws)))
    return forecast, truth, replace(context, law=law)


def _told(scorer: Scorer, case: Case) -> xr.DataArray:
    metric = scorer.metric(scorer.statistics(*case).mean("init_time"))
    (name,) = metric.data_vars
    return metric[name].mean("lead_time")


@pytest.mark.parametrize("count", [4, 20])
def test_covariances_are_compared_without_bias(count: int) -> None:
    """C has 1 on its diagonal and 1/2 beside it: |C|² = 8 + 56/4 = 22. Errors below .03."""
    atol = 0.25 if count == 4 else 0.05
    assert float(_told(LawCovariance(), _case(count))) == pytest.approx(0, abs=atol)
    wide = float(_told(LawCovariance(), _case(count, "wide")))
    assert wide == pytest.approx(1.25**2, abs=6 * atol)
    # Shuffled: C is 1, and what is lost is 56/4 of 22.
    assert float(_told(LawCovariance(), _case(count, "shuffled"))) == pytest.approx(
        14 / 22, abs=2 * atol
    )


def test_the_wasserstein_distance_of_a_shift_is_the_shift() -> None:
    assert float(_told(LawWasserstein(), _case(30, draws=90)).squeeze()) == pytest.approx(
        0, abs=0.01
    )
    # Much larger than the sampling, which then no longer adds: less what two groups of 15 have.
    forecast, truth, context = _case(30, draws=90)
    away = float(_told(LawWasserstein(), (forecast + 10, truth, context)).squeeze())
    assert context.law is not None
    one, other = (context.law.isel(member=slice(15 * k, 15 * k + 15)) for k in (0, 1))
    apart = abs(np.sort(one, 2) - np.sort(other, 2)).mean()
    assert 10 - away == pytest.approx(float(apart), abs=0.01)


def test_projections_see_dependence_and_single_sites_do_not() -> None:
    """By standard errors of 20 batches of 20 cases: 6 of them, a false alarm in 100,000."""
    for scorer, sees in ((LawWasserstein(), False), (LawSlicedWasserstein(), True)):
        for how in ("law", "shuffled"):
            found = scorer.statistics(*_case(20, how))["distance"].mean("lead_time")
            batches = found.to_numpy().reshape(20, 20).mean(1)
            z = batches.mean() / (batches.std(ddof=1) / 20**0.5)
            assert (z > 6) == (sees and how == "shuffled")


def test_dependence_is_lost_by_shuffling_alone() -> None:
    """Standard errors of the share are below .02."""
    found = {
        how: float(_told(LawDependence(), _case(20, how)))
        for how in ("law", "shuffled", "wide", "shifted")
    }
    for how in ("law", "wide", "shifted"):
        assert abs(found[how]) < 0.1
    assert found["shuffled"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("how", "part"),
    [("shifted", "bias"), ("wide", "dispersion"), ("skewed", "shape"), ("shuffled", "dependence")],
)
def test_parts_are_where_they_belong(how: str, part: str) -> None:
    found = _told(LawParts(window=4), _case(20, how)).squeeze()
    (own,) = found.sel(part=[part]).to_numpy()
    others = abs(found.drop_sel(part=part)).to_numpy()
    assert own > 0.003
    # Means and spreads of 20 members of a skewed law depend on one another.
    assert (others < (0.6 if how == "skewed" else 0.35) * own).all()


def test_parts_mix_no_more_than_is_said() -> None:
    """Standard errors of 1,500 cases are below .0006: tolerances are five of them, and more."""
    parts = _told(LawParts(window=4), _case(16, "shuffled", inits=1500, draws=64)).squeeze()
    total = float(parts.sum())
    shares = dict(zip(parts["part"].to_numpy(), (parts / total).to_numpy(), strict=True))
    assert shares["dependence"] == pytest.approx(1.14, abs=0.15)
    assert shares["dispersion"] == pytest.approx(-0.3, abs=0.15)


@pytest.mark.parametrize("how", ["narrow", "wide"])
@pytest.mark.parametrize("count", [4, 16])
def test_another_spread_is_not_nearer_to_the_law(count: int, how: str) -> None:
    """Of 2,000 cases: not below 0 by five standard errors, which are below .001."""
    forecast, truth, context = _case(count, inits=2000, draws=3 * count)
    scaled = forecast * (0.9 if how == "narrow" else 1.1)
    for scorer in (LawWasserstein(), LawSlicedWasserstein()):
        assert float(_told(scorer, (scaled, truth, context)).squeeze()) > -0.005


def test_equal_members_are_in_no_order() -> None:
    """Members that are all the same have no dependence to lend: shuffled, up to 5 %."""
    forecast, truth, context = _case(16, inits=600, draws=60)
    lost = float(_told(LawDependence(), (0 * forecast, truth, context)))
    assert lost == pytest.approx(1, abs=0.05 + 0.05)


def test_where_nothing_depends_there_is_nothing_to_lose() -> None:
    forecast, truth, context = _case(16, "shuffled")
    assert context.law is not None
    white = Noise.rows(8, "white", 400).normal(2, 60, 1, 8).numpy()
    own = replace(context, law=context.law.copy(data=white))
    assert np.isnan(float(_told(LawDependence(), (forecast, truth, own))))


@pytest.mark.parametrize("window", [1, 4])
def test_parts_of_the_law_are_nothing_and_add_up(window: int) -> None:
    """Errors of 400 cases are below .001; a part of .006 would be six of them."""
    assert bool((abs(_told(LawParts(window=window), _case(20))) < 0.006).all())
    case = _case(20, "shifted")
    parts = _told(LawParts(window=1), case).sum("part")
    np.testing.assert_allclose(parts, _told(LawCRPS(), case), atol=0.004)
