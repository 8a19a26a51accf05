"""Events of fields against the law: exact arithmetic on small ensembles."""

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Control, Event
from geobench.testing import Decay
from geobench.twin.field_events import FieldEvents
from geobench_plugins.scorers.law_events import LawEvents

SITES = 4
HIGH = Event(name="high", of="q", quantiles=(0.9,))
PEAK = Event(name="peak", of="q", reduce="max", quantiles=(0.9,))


def _case(
    members: Any, law: Any, events: tuple[Event, ...] = (PEAK,)
) -> tuple[LawEvents, tuple[xr.DataArray, xr.DataArray, Context]]:
    """Cases of one lead time: `(init, member)` values of the first site; the limit is 0.5."""
    given = []
    for hits in (members, law):
        array = np.asarray(hits, float)
        values = np.zeros((*array.shape, 1, SITES))
        values[..., 0, 0] = array
        dims = ("init_time", "member", "variable", "x")
        given.append(
            xr.DataArray(values, {"variable": ["q"]}, dims).expand_dims(lead_time=[1], axis=1)
        )
    one = given[0].isel(member=0, init_time=0, lead_time=0, drop=True)
    sea = xr.DataArray(np.ones(SITES, bool), dims="x")
    scorer = LawEvents(events=events)
    limits = {
        (event, Control()): xr.DataArray(
            np.full(len(event.quantiles), 0.5), {"quantile": list(event.quantiles)}, ("quantile",)
        )
        for event in events
    }
    context = Context(
        one.expand_dims(quantile=[0.9]),
        sea,
        one + 1,
        given[1],
        measure=FieldEvents(Decay(sites=SITES)),
        limits=limits,
    )
    return scorer, (given[0], given[0].isel(member=0, drop=True), context)


def _scores(found: xr.Dataset, scorer: LawEvents, cases: int | None = None) -> dict[str, float]:
    means = found.mean("init_time", skipna=False)
    if cases:
        means = means.assign_attrs(cases=cases)
    return {str(k): float(v[0]) for k, v in scorer.metric(means).data_vars.items()}


def test_all_four_numbers_are_those_of_exact_arithmetic() -> None:
    generator = np.random.Generator(np.random.Philox(key=7))
    rate = generator.random((9, 1)) ** 2
    members = generator.random((9, 5)) < rate
    law = generator.random((9, 7)) < rate
    scorer, case = _case(members, law)
    found = _scores(scorer.statistics(*case), scorer)
    p = [Fraction(int(row.sum()), 5) for row in members]
    q = [Fraction(int(row.sum()), 7) for row in law]
    both = list(zip(p, q, strict=True))
    mean_p, mean_q = sum(p) / 9, sum(q) / 9
    error = sum((a - b) ** 2 - a * (1 - a) / 4 - b * (1 - b) / 6 for a, b in both) / 9
    variance = sum(b**2 - b * (1 - b) / 6 for b in q) / 9 - mean_q**2
    assert found == pytest.approx(
        {
            "log p/p* peak 90%": math.log(mean_p / mean_q),
            "p/p* peak 90%": float(mean_p / mean_q),
            "squared error of p peak 90%": float(error),
            "explained variance of p* peak 90%": float(1 - error / variance),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize(("members", "draws"), [(2, 2), (3, 5), (6, 2)])
def test_squares_have_no_bias_at_any_number_of_members_and_draws(members: int, draws: int) -> None:
    """Expectations over all outcomes of M members and K draws, with their exact probabilities."""
    p, q = Fraction(3, 10), Fraction(1, 7)

    def chance(hits: tuple[int, ...], rate: Fraction) -> Fraction:
        return rate ** sum(hits) * (1 - rate) ** (len(hits) - sum(hits))

    rows = list(product(product((0, 1), repeat=members), product((0, 1), repeat=draws)))
    scorer, case = _case([one for one, _ in rows], [other for _, other in rows])
    found = scorer.statistics(*case).isel(lead_time=0, event=0)
    weights = [chance(one, p) * chance(other, q) for one, other in rows]
    assert sum(weights) == 1
    exact = {"members": p, "law": q, "squared": (p - q) ** 2, "square": q**2}
    for name, value in exact.items():
        mean = float((found[name] * np.array([float(w) for w in weights])).sum())
        assert mean == pytest.approx(float(value), abs=1e-13), name


def test_of_an_event_with_places_all_are_counted() -> None:
    scorer, case = _case([[1, 1, 0, 0]], [[1, 0]], (HIGH, PEAK))
    found = scorer.statistics(*case).isel(init_time=0, lead_time=0)
    assert found["event"].to_numpy().tolist() == ["high 90%", "peak 90%"]
    assert found["members"].to_numpy() == pytest.approx([0.5 / SITES, 0.5])
    assert found["law"].to_numpy() == pytest.approx([0.5 / SITES, 0.5])


def test_events_below_are_strictly_below() -> None:
    low = Event(name="low", of="q", reduce="min", side="below", quantiles=(0.9,))
    scorer, case = _case([[-1, 0.5, 0.2, 1]], [[1, 1]], (low,))
    # Other sites are at 0, below the limit of 0.5, in all of them.
    assert scorer.statistics(*case)["members"].item() == 1
    cut = low.model_copy(update={"region": ((0, 0.25),)})
    scorer, case = _case([[-1, 0.5, 0.2, 1]], [[1, 1]], (cut,))
    assert scorer.statistics(*case)["members"].item() == 0.5


def test_no_hit_gives_an_upper_limit_and_none_at_all_nothing() -> None:
    scorer, case = _case(np.zeros((10, 4)), [[1, 0]] * 10)
    found = _scores(scorer.statistics(*case), scorer, cases=10)
    # At a mean p of 3 / 40, no hit among 40 independent members comes in exp(-3), 5 %.
    assert found["log p/p* peak 90%"] == pytest.approx(math.log(3 / 40 / 0.5))
    assert found["p/p* peak 90%"] == 0
    scorer, case = _case([[1, 0, 0, 0]] * 10, np.zeros((10, 2)))
    found = _scores(scorer.statistics(*case), scorer, cases=10)
    assert found["p/p* peak 90%"] == pytest.approx(0.25 / (3 / 20))
    scorer, case = _case(np.zeros((10, 4)), np.zeros((10, 2)))
    found = _scores(scorer.statistics(*case), scorer, cases=10)
    assert math.isnan(found["log p/p* peak 90%"])
    assert math.isnan(found["explained variance of p* peak 90%"])
    assert found["squared error of p peak 90%"] == 0


def test_the_law_is_ideal_when_it_is_compared_with_itself() -> None:
    scorer, case = _case([[1, 0, 0, 0]] * 10, np.zeros((10, 2)))
    found = _scores(scorer.statistics(*case) * 0, scorer, cases=10)
    assert list(found.values()) == [0, 1, 0, 1]
    ways = [scorer.orientation(column) for column in found]
    assert ways == ["zero", "one", "lower", "one"]


@pytest.mark.parametrize("failed", [0, 1, 3])
def test_a_failed_member_makes_the_case_nan_and_no_other(failed: int) -> None:
    scorer, case = _case([[1, 0, 1, 0], [0, 0, 1, 0]], [[1, 0]] * 2)
    case[0][0, 0, failed, 0, 2] = float("nan")
    found = scorer.statistics(*case)
    for statistic in found.data_vars.values():
        assert statistic.isnull().any(("lead_time", "event")).to_numpy().tolist() == [True, False]


def test_a_member_that_is_far_off_counts_as_one_member() -> None:
    scorer, case = _case([[9.97e36, 0, 0, 0]], [[1, 0]])
    assert scorer.statistics(*case)["members"].item() == 0.25


def test_one_member_has_a_ratio_and_no_squared_error() -> None:
    scorer, case = _case([[1]], [[1, 0]])
    found = _scores(scorer.statistics(*case), scorer, cases=1)
    assert found["p/p* peak 90%"] == 2
    assert math.isnan(found["squared error of p peak 90%"])


def test_events_have_names_of_their_own_and_no_region_but_theirs() -> None:
    with pytest.raises(ValueError, match="names of their own"):
        LawEvents(events=(HIGH, HIGH))
    with pytest.raises(ValueError, match="within is not for events"):
        LawEvents(events=(HIGH,), within=((0, 0.5),))
