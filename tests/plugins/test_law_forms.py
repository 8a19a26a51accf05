"""Law forms: exactly the excess that every draw of the law, taken as the outcome, gives."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Scorer
from geobench.registry import Registry
from geobench.testing import small_case
from geobench_plugins.kernels.law_variogram import law_variogram

REGISTRY = Registry()
_NAMED = {
    "crps": "law-crps",
    "energy": "law-energy",
    "tail-crps": "law-tail-crps",
    "brier": "law-brier",
    "rps": "law-rps",
    "variogram": "law-variogram",
    "kernel-score": "law-kernel-score",
    "pooled-crps": "law-pooled-crps",
    "path-crps": "law-path-crps",
    "event-crps": "law-event-crps",
    "rmse": "law-rmse",
}
_VARIANTS: list[dict[str, object]] = [
    {"use": "variogram", "power": 1, "points": 3},
    {"use": "variogram", "power": 1.7},
    {"use": "kernel-score", "widths": [0.5]},
    {"use": "pooled-crps", "window": 2, "pool": "max"},
    {"use": "path-crps", "of": "mean"},
    {"use": "path-crps", "of": "maximum"},
    {"use": "event-crps", "of": "duration"},
    {"use": "event-crps", "of": "first-passage"},
]


def _scorers() -> Iterator[dict[str, object]]:
    yield from ({"use": name} for name in _NAMED)
    yield from _VARIANTS


def _form(scorer: Scorer) -> Scorer:
    form = scorer.law_form()
    assert isinstance(form, Scorer)
    return form


def _two_variables(
    count: int, *, areas: bool = False
) -> tuple[xr.DataArray, xr.DataArray, Context]:
    """Members unlike the law, of two variables with land, in double precision; 16 draws."""
    forecast, truth, context = small_case(4, count)
    assert context.law is not None

    def both(one: xr.DataArray) -> xr.DataArray:
        other = (one * 3 + 10).assign_coords(variable=["h"])
        return xr.concat([one, other], "variable").transpose(*one.dims).astype(float)

    sea = context.sea.copy(data=[place not in (0, 5) for place in range(8)])
    turned = both(context.law.roll(x=1))
    law = xr.concat([both(context.law).isel(variable=[0]), turned.isel(variable=[1])], "variable")
    std = both(context.std)
    std[{"variable": 1}] -= 10
    wrong = both(1.3 * forecast + 0.2) + 0.5 * both(forecast).roll(x=2)
    own = Context(both(context.thresholds), sea, std, law.transpose(*forecast.dims))
    weights = xr.DataArray(1.0 + np.arange(8) % 3, dims="x") if areas else None
    return wrong, both(truth), replace(own, areas=weights)


def _mean(
    scorer: Scorer, members: xr.DataArray, draws: xr.DataArray, context: Context
) -> xr.Dataset:
    """The score with every draw as the outcome; a draw that is a member, too, is left out."""
    parts = []
    for place in range(draws.sizes["member"]):
        others = members.drop_isel(member=place) if members is draws else members
        outcome = draws.isel(member=place, drop=True)
        parts.append(scorer.statistics(others, outcome, context).mean("init_time"))
    return scorer.metric(xr.concat(parts, "draw").mean("draw"))


@pytest.mark.parametrize("recipe", list(_scorers()), ids=lambda r: "-".join(map(str, r.values())))
@pytest.mark.parametrize(("count", "areas"), [(2, False), (7, True)], ids=["equal", "areas"])
def test_the_law_form_is_the_excess_with_every_draw_as_the_outcome(
    recipe: dict[str, object],
    count: int,
    areas: bool,
) -> None:
    scorer = REGISTRY.scorer({**recipe, "within": [[0.2, 1.0]]})
    members, truth, context = _two_variables(count, areas=areas)
    assert context.law is not None
    few = context.law.isel(member=slice(5))  # as exact an identity as with all of them
    context = replace(context, law=few).within(scorer.within)
    assert context.law is not None
    form = _form(scorer)
    own = form.statistics(members, truth, context).mean("init_time")
    found = list(form.metric(own).data_vars.values())
    scores = [_mean(scorer, each, context.law, context) for each in (members, context.law)]
    expected = list((scores[0] - scores[1]).data_vars.values())
    assert len(found) == len(expected) == 1
    assert abs(expected[0]).max() > 1e-3  # there is something to be found
    np.testing.assert_allclose(
        found[0].transpose(*expected[0].dims), expected[0], rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("recipe", list(_scorers()), ids=lambda r: "-".join(map(str, r.values())))
def test_a_law_form_keeps_the_fields_of_its_scorer(recipe: dict[str, object]) -> None:
    scorer = REGISTRY.scorer({**recipe, "within": [[0.2, 1.0]]})
    form = _form(scorer)
    assert form.name == _NAMED[scorer.name]
    assert REGISTRY.scorer(form.recipe()) == form
    assert (form.needs_law, form.fair, form.proper, form.better) == (True, True, True, "lower")
    assert (form.units, form.whole_paths) == (scorer.units, scorer.whole_paths)
    own, theirs = (each.model_dump() for each in (scorer, form))
    assert own == theirs


def test_scores_that_are_no_kernel_scores_have_no_law_form() -> None:
    scorers = [name for kind, name in REGISTRY.offers if kind == "scorer"]
    named = {name for name in scorers if REGISTRY.scorer(name).law_form() is not None}
    assert named == set(_NAMED)


def _exact_variogram(x: list[list[Fraction]], y: list[list[Fraction]]) -> Fraction:
    """The definition, by pairs of points with power 1: means of products over pairs of members."""
    total = Fraction(0)
    pairs = list(combinations(range(len(x[0])), 2))
    for i, k in pairs:
        v, w = ([abs(each[i] - each[k]) for each in drawn] for drawn in (x, y))
        among = [
            sum((a * b for a, b in combinations(own, 2)), Fraction(0))
            / (len(own) * (len(own) - 1) // 2)
            for own in (v, w)
        ]
        across = sum((a * b for a, b in product(v, w)), Fraction(0)) / (len(v) * len(w))
        total += among[0] + among[1] - 2 * across
    return total / len(pairs)


@pytest.mark.parametrize("far", [0.0, -9999.0, 1e6, 1e10, 1e20, 9.969209968386869e36])
@pytest.mark.parametrize("of", ["members", "draws"])
def test_a_member_far_away_costs_the_variogram_no_digits(far: float, of: str) -> None:
    generator = np.random.Generator(np.random.Philox(key=1))
    x, y = (generator.normal(size=(1, count, 4)).astype(np.float32) for count in (8, 16))
    if far:
        (x if of == "members" else y)[0, 2, 1] = far
    pairs = np.stack(np.triu_indices(4, 1), -1)
    found = law_variogram(x, y, pairs, np.full(len(pairs), 1 / len(pairs)), 1.0)
    exact = _exact_variogram(
        *([[Fraction(float(z)) for z in member] for member in each[0]] for each in (x, y))
    )
    assert float(found[0]) == pytest.approx(float(exact), rel=2e-6)


def test_a_single_member_is_a_point_mass_to_the_variogram() -> None:
    generator = np.random.Generator(np.random.Philox(key=2))
    x, y = (generator.normal(size=(1, count, 2)) for count in (1, 5))
    found = law_variogram(x, y, np.array([[0, 1]]), np.ones(1), 1.0)
    v, w = (abs(each[0, :, 0] - each[0, :, 1]) for each in (x, y))
    against = ((v[0] - w) ** 2).mean()
    own = np.mean([(a - b) ** 2 for a, b in combinations(w, 2)]) / 2
    assert found[0] == pytest.approx(against - own, rel=1e-12)


def test_a_failed_member_anywhere_at_sea_makes_every_law_form_nan() -> None:
    for recipe in _scorers():
        members, truth, context = _two_variables(5)
        members[2, 0, 4, 0, 3] = np.nan
        form = _form(REGISTRY.scorer(recipe))
        for found in form.statistics(members, truth, context).data_vars.values():
            bad = found.isel(variable=0) if "variable" in found.dims else found
            assert bool(bad.isel(init_time=2, lead_time=0).isnull().all()), form.name
            assert bool(bad.isel(init_time=[0, 1, 3]).notnull().all()), form.name


def test_a_law_form_does_not_read_the_outcome() -> None:
    for recipe in _scorers():
        members, truth, context = _two_variables(5)
        form = _form(REGISTRY.scorer(recipe))
        found = [
            form.statistics(members, each, replace(context)) for each in (truth, 3 * truth + 1)
        ]
        xr.testing.assert_allclose(*found, rtol=1e-9, atol=1e-12)
