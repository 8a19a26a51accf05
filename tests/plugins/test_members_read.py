"""Every member and every draw counts, in any order; a single member is a point mass."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr

from geobench import Context, GeobenchError, Scorer, scoring
from geobench.registry import Registry
from geobench.testing import small_case
from geobench_plugins.kernels import wasserstein
from geobench_plugins.kernels.splits import over_splits
from geobench_plugins.scorers.law_extremes import LawReliability, LawValue
from geobench_plugins.scorers.law_joint import (
    LawDependence,
    LawSlicedWasserstein,
    LawWasserstein,
)
from geobench_plugins.scorers.law_parts import LawParts

BY_GROUPS = [
    LawWasserstein(),
    LawSlicedWasserstein(),
    LawParts(),
    LawDependence(),
    LawReliability(),
    LawValue(),
]


def _case(count: int, draws: int, inits: int = 4) -> tuple[xr.DataArray, xr.DataArray, Context]:
    """Members and draws of one normal law, none of them equal."""
    every, truth, context = small_case(inits, count + draws)
    every = every.astype(float)
    law = every.isel(member=slice(count, None))
    return every.isel(member=slice(count)), truth.astype(float), replace(context, law=law)


def _apart(one: Sequence[Fraction], other: Sequence[Fraction]) -> Fraction:
    pairs = zip(sorted(one), sorted(other), strict=True)
    return sum((abs(x - y) for x, y in pairs), Fraction(0)) / len(one)


def _by_all_groups(x: list[Fraction], y: list[Fraction]) -> Fraction:
    """Wasserstein distance of groups of members and of draws, less half that within each."""
    size = (len(y) if len(x) == 1 else min(len(x), len(y))) // 2

    def within(values: list[Fraction]) -> tuple[list[list[Fraction]], Fraction]:
        if len(values) == 1:
            return [values * size], Fraction(0)
        groups = list(itertools.combinations(range(len(values)), size))
        named = [[values[place] for place in group] for group in groups]
        apart = [
            _apart(named[a], named[b])
            for a, b in itertools.product(range(len(groups)), repeat=2)
            if not set(groups[a]) & set(groups[b])
        ]
        return named, sum(apart, Fraction(0)) / len(apart)

    (xs, own), (ys, other) = within(x), within(y)
    across = [_apart(a, b) for a, b in itertools.product(xs, ys)]
    return sum(across, Fraction(0)) / len(across) - own / 2 - other / 2


@pytest.mark.parametrize(
    ("count", "draws"), [(1, 2), (1, 5), (2, 2), (2, 7), (3, 4), (4, 9), (6, 5), (7, 4)]
)
def test_wasserstein_distances_are_means_over_all_groups(count: int, draws: int) -> None:
    """By enumeration, in fractions."""
    rng = np.random.Generator(np.random.Philox(key=count))
    x, y = ([Fraction(int(k), 8) for k in rng.integers(-30, 30, n)] for n in (count, draws))
    found = wasserstein.excess(*(np.array(each, float).reshape(1, -1, 1) for each in (x, y)))
    assert found.item() == pytest.approx(float(_by_all_groups(x, y)), rel=1e-12, abs=1e-12)


def test_a_member_far_away_costs_no_digits() -> None:
    """The largest of eight members counts as little as in a fair CRPS, at 10 as at 1e30."""
    x, y = np.arange(8.0).reshape(1, 8, 1), np.linspace(0, 9, 12).reshape(1, 12, 1)
    x[0, -1] = 10
    near = wasserstein.excess(x, y)
    x[0, -1] = 1e30
    np.testing.assert_array_equal(wasserstein.excess(x, y), near)


@pytest.mark.parametrize("scorer", BY_GROUPS, ids=lambda each: each.name)
@pytest.mark.parametrize(("count", "draws"), [(16, 32), (16, 16), (7, 32)])
def test_members_that_are_off_or_failed_count_wherever_they_are(
    scorer: Scorer, count: int, draws: int
) -> None:
    """The last six of sixteen were not read with 32 draws: 1000 too high they changed nothing."""
    forecast, truth, context = _case(count, draws, inits=7)
    bad = forecast.copy()
    for init, place in enumerate((0, count - 6, count - 1)):
        bad[{"init_time": init, "member": place}] += 1000 * (1 + np.arange(8))
        bad[{"init_time": 3 + init, "lead_time": 1, "member": place, "x": 3}] = np.nan
    good, found = (scorer.statistics(each, truth, context) for each in (forecast, bad))
    same = [found.isel(init_time=init).equals(good.isel(init_time=init)) for init in range(7)]
    assert same == [False] * 6 + [True]
    missing = next(iter(found.data_vars.values())).isel(variable=0, missing_dims="ignore").isnull()
    case = missing.any([dim for dim in missing.dims if dim not in ("init_time", "lead_time")])
    failed = [(int(init), int(lead)) for init, lead in np.argwhere(case.to_numpy())]
    assert failed == [(3, 1), (4, 1), (5, 1)]


@pytest.mark.parametrize("scorer", BY_GROUPS, ids=lambda each: each.name)
@pytest.mark.parametrize(("count", "draws"), [(5, 16), (5, 12), (5, 8)])
def test_the_law_scores_zero_with_any_number_of_draws(
    scorer: Scorer, count: int, draws: int
) -> None:
    """Means over 240 cases of what is 0 in expectation: five standard errors, of 12 batches.

    Student's t with 11 degrees of freedom: a false alarm in 2,500 for each of 60 columns.
    """
    forecast, truth, context = _case(count, draws, inits=120)
    found = scorer.statistics(forecast, truth, context)
    batch = found.assign_coords(init_time=np.arange(120) % 12).groupby("init_time").mean()
    scores = scorer.metric(batch.rename(init_time="draw")).mean("lead_time")
    for values in scores.data_vars.values():
        mean, error = values.mean("draw"), values.std("draw", ddof=1) / 12**0.5
        assert bool((abs(mean) <= 5 * error + 1e-12).all())


@pytest.mark.parametrize(
    ("count", "draws", "groups", "parts", "size"),
    [(16, 48, 2, 1, 16), (16, 32, 2, 2, 8), (16, 32, 1, 1, 16), (16, 16, 1, 2, 8), (7, 9, 2, 3, 3)],
)
def test_groups_are_equal_and_hold_everybody(
    count: int, draws: int, groups: int, parts: int, size: int
) -> None:
    forecast, _, context = _case(count, draws, inits=1)
    seen: list[tuple[int, list[int], np.ndarray]] = []

    def of(members: xr.DataArray, drawn: list[xr.DataArray]) -> xr.Dataset:
        sizes = [each.sizes["member"] for each in drawn]
        values = np.concatenate([each.isel(lead_time=0).to_numpy().ravel() for each in drawn])
        assert len(np.unique(values)) == draws * 8  # no draw is in two groups
        seen.append((members.sizes["member"], sizes, members.isel(lead_time=0).to_numpy()))
        return xr.Dataset({"one": xr.zeros_like(context.sea, float) + 1.0})

    assert float(over_splits("it", forecast, context, groups, of)["one"][0]) == 1
    assert [each[:2] for each in seen] == [
        (size, [size] * groups + [draws - groups * size]) for _ in range(parts)
    ]
    read = np.unique(np.concatenate([each[2].ravel() for each in seen]))
    np.testing.assert_array_equal(read, np.unique(forecast.isel(lead_time=0)))


def test_who_is_in_a_group_is_another_matter_in_each_case() -> None:
    """Over cases every member is in the first of two groups as often as not (six errors)."""
    forecast, _, context = _case(16, 32, inits=200)
    named = forecast * 0 + xr.DataArray(np.arange(16.0), dims="member") + 1e-3 * forecast
    groups: list[xr.DataArray] = []

    def of(members: xr.DataArray, _: list[xr.DataArray]) -> xr.Dataset:
        groups.append(members)
        return xr.Dataset({"one": members.isel(member=0)})

    over_splits("it", named, context, 2, of)
    first = groups[0].mean("x").round().astype(int).to_numpy().ravel()
    share = np.bincount(first, minlength=16) / 400
    np.testing.assert_allclose(share, 0.5, atol=6 * (0.25 / 400) ** 0.5)


@pytest.mark.parametrize(
    ("scorer", "least"),
    [(LawWasserstein(), 2), (LawDependence(), 6), (LawParts(), 6), (LawValue(), 4)],
    ids=lambda each: getattr(each, "name", str(each)),
)
def test_too_few_draws_are_refused(scorer: Scorer, least: int) -> None:
    forecast, truth, context = _case(10, least)
    assert scorer.statistics(forecast, truth, context).data_vars
    assert context.law is not None
    fewer = replace(context, law=context.law.isel(member=slice(least - 1)))
    with pytest.raises(GeobenchError, match=f"{scorer.name} needs {least} draws of the law"):
        scorer.statistics(forecast, truth, fewer)


def _of_one(recipe: dict[str, object], draws: int = 9) -> tuple[dict[str, np.ndarray], Context]:
    """Scores of one member x = 3 of an outcome y = 1 and of draws 0, 1, … of the law."""
    forecast, truth, context = _case(1, draws, inits=2)
    law = context.law
    assert law is not None
    context = replace(context, law=law * 0 + xr.DataArray(np.arange(float(draws)), dims="member"))
    scorer = Registry().scorer(recipe)
    found = scoring.applied(scorer, forecast * 0 + 3, truth * 0 + 1, context)
    scores = scorer.metric(found.mean("init_time", skipna=False))
    return {str(k): v.to_numpy().ravel() for k, v in scores.data_vars.items()}, context


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("crps", 2.0),
        ("rmse", 2.0),
        ("bias", 2.0),
        ("energy", 2.0),
        ("kernel-score", 1 - (np.exp(-200) + np.exp(-2 / 0.09) + np.exp(-2)) / 3),
        ("brier", 0.0),  # y and x are above 0.5; of the limit 1 below
        ("variogram", 0.0),  # both fields are constant
        ("law-crps", 21 / 9 - 10 / 3 / 2),  # E|3 - k| less half the E|k - k'|, k of 0 to 8
        ("law-wasserstein", None),
        ("law-mean", 1 - 7.5 / 9),  # (3 - 4)² less the variance of nine draws over nine
        ("law-energy", 21 / 9 - 10 / 3 / 2),
    ],
)
def test_a_single_member_is_a_point_mass(name: str, expected: float | None) -> None:
    found, _ = _of_one({"use": name})
    ((label, values),) = found.items()
    if expected is None:
        exact = _by_all_groups([Fraction(3)], [Fraction(k) for k in range(9)])
        expected = float(exact)
    if name == "brier":
        np.testing.assert_allclose(values.reshape(-1, 2)[:, 0], expected)
        np.testing.assert_allclose(values.reshape(-1, 2)[:, 1], 1.0)  # 3 > 1, and 1 is not
        return
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12, err_msg=label)


@pytest.mark.parametrize(
    "name",
    [
        "spread-skill",
        "coverage",
        "rank-histogram",
        "multivariate-ranks",
        "tail-calibration",
        "law-spread",
        "law-spectrum",
        "law-covariance",
        "law-dependence",
        "law-parts",
    ],
)
def test_a_single_member_has_no_spread_and_the_scorer_says_so(name: str) -> None:
    found, _ = _of_one({"use": name})
    assert all(np.isnan(values).all() for values in found.values())
    least = Registry().scorer({"use": name}).least_members
    told = Registry().scorer({"use": name}).no_score(1)
    assert told == f"{name} needs {least} members or more, and a single member has no spread"
    assert Registry().scorer({"use": name}).no_score(least) is None
