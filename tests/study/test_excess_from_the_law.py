"""Excess from draws of the true distribution: narrow, unbiased, and blind to no leak."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench import Context, GeobenchError, Scorer
from geobench.board import excess
from geobench.board.score_columns import better_than_law
from geobench.registry import Registry
from geobench.statistics.estimates import estimates
from geobench.statistics.resampling import Resampling
from geobench_plugins.scorers.crps import CRPS

INITS, LEADS, SITES, MEMBERS, DRAWS = 100, 2, 6, 8, 32
_DIMS = ("init_time", "lead_time", "member", "variable", "x")


class _Forecast:
    """A competitor of one run, with statistics of `crps` and of `law-crps`."""

    def __init__(self, members: xr.DataArray, truth: xr.DataArray, context: Context) -> None:
        self.runs = [self]
        self.against_law: dict[int, object] = {0: None}
        self._case = members, truth, context

    def statistics(self, _place: int, like: Any = None, *, against_law: bool = False) -> xr.Dataset:
        scorer: Scorer = CRPS()
        if against_law:
            form = scorer.law_form()
            assert isinstance(form, Scorer)
            scorer = form
        return scorer.statistics(*self._case)


def _world(key: int) -> dict[str, _Forecast]:
    """Forecasts of a normal law with a known mean in each case."""
    random = np.random.Generator(np.random.Philox(key=key))
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(INITS) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(LEADS)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    mean = random.normal(size=(INITS, LEADS, 1, 1, SITES))

    def drawn(count: int) -> xr.DataArray:
        noise = random.normal(size=(INITS, LEADS, count, 1, SITES))
        return xr.DataArray(mean + noise, coords, _DIMS)

    std = xr.DataArray(np.full((1, SITES), 2**0.5), {"variable": ["q"]}, ("variable", "x"))
    limits = std.expand_dims(quantile=[0.9])
    sea = xr.DataArray(np.ones(SITES, bool), dims="x")
    law, truth = drawn(DRAWS), drawn(1).isel(member=0, drop=True)
    context = Context(limits, sea, std, law)
    bad = drawn(MEMBERS) + 0.7
    seen = truth.expand_dims(member=MEMBERS).transpose(*_DIMS)
    members = {
        "reference": law,
        "oracle": drawn(MEMBERS),
        "biased": bad,
        "outcome": seen + 0.01 * drawn(MEMBERS),
        "biased and leaking": 0.7 * bad + 0.3 * seen,
        "copied draws": law.isel(member=slice(MEMBERS)),
    }
    return {name: _Forecast(own, truth, context) for name, own in members.items()}


def _excess(key: int = 5) -> tuple[list[str], excess.Excess]:
    forecasts = _world(key)
    every: Any = list(forecasts.values())
    resampling = Resampling(np.arange(INITS))
    from geobench import scoring

    scores = scoring.scores(CRPS(), [each.statistics(0) for each in every], resampling)
    form = CRPS().law_form()
    assert isinstance(form, Scorer)
    (found,) = excess.excesses(CRPS(), form, 0, every, scores, resampling, None)
    return list(forecasts)[1:], found


def test_a_model_that_knows_too_much_is_flagged_and_a_bad_one_is_not() -> None:
    """Beyond five standard errors of a hundred cases, in two tests at two lead times."""
    names, found = _excess()
    assert found.source == "law-crps"
    flags = [better_than_law(each[1:], 5.0 + further).any(-1) for each, further in found.too_good()]
    by_law, beyond = (dict(zip(names, each.tolist(), strict=True)) for each in flags)
    # The outcome leaks: to the draws such members look wrong, against the outcome too good.
    assert [name for name in names if beyond[name]] == ["outcome", "biased and leaking"]
    assert [name for name in names if by_law[name]] == ["copied draws"]
    leaking = names.index("biased and leaking") + 1
    assert estimates(found.runs[leaking])[0].low > 0  # though it is worse than the law


def test_the_excess_by_draws_is_that_by_outcomes_with_a_narrower_interval() -> None:
    names, found = _excess()
    assert found.beyond is not None
    for place, name in enumerate(names[:2], 1):
        by_law = estimates(found.runs[place])
        by_outcome = estimates(found.runs[place] + found.beyond[place])
        for one, other in zip(by_law, by_outcome, strict=True):
            assert other.low < one.value < other.high, name
            assert one.high - one.low < (other.high - other.low) / 2, name
    np.testing.assert_array_equal(found.runs[0], 0)  # the reference lies at no distance


@pytest.mark.slow
def test_intervals_of_fresh_oracles_hold_nothing_as_often_as_they_say() -> None:
    """Of 200 worlds' means 95 % +- 1.5 % cover: below 90 or above 99.5 % by chance at 0.2 %.

    No oracle is flagged: by chance one world in 10,000 has one.
    """
    from geobench import scoring

    resampling, covered = Resampling(np.arange(INITS)), 0
    form: Any = CRPS().law_form()
    for key in range(200):
        forecasts = _world(key)
        statistics = [forecasts["oracle"].statistics(0, against_law=True)]
        (own,) = scoring.scores(form, statistics, resampling).values()
        mean = own.mean(-1, keepdims=True)
        (told,) = estimates(mean[0])
        covered += told.low < 0 < told.high
        assert not better_than_law(mean, 4.0).any()
    assert 0.90 < covered / 200 < 0.995


def test_without_scores_by_the_law_form_the_outcome_serves_and_it_is_said() -> None:
    forecasts = _world(5)
    every: Any = list(forecasts.values())
    del every[2].against_law[0]
    resampling = Resampling(np.arange(INITS))
    from geobench import scoring

    scores = scoring.scores(CRPS(), [each.statistics(0) for each in every], resampling)
    form: Any = CRPS().law_form()
    (found,) = excess.excesses(CRPS(), form, 0, every, scores, resampling, None)
    assert (found.source, found.beyond) == (excess.OUTCOME, None)
    (values,) = scores.values()
    np.testing.assert_allclose(found.runs, values - values[0])
    told = excess.described([("CRPS", found.source)], 64, ["law-crps"])
    assert told == [
        "Excess and skill of all scores are estimated from the one outcome per case.",
        (
            "Scores against the true distribution are missing (law-crps). Run 'geobench run' with "
            "this study: it adds them alone, and narrows the intervals."
        ),
    ]


def test_a_law_form_has_the_columns_of_its_scorer() -> None:
    forecasts = _world(5)
    every: Any = list(forecasts.values())
    resampling = Resampling(np.arange(INITS))
    from geobench import scoring

    scores = scoring.scores(CRPS(), [each.statistics(0) for each in every], resampling)
    form: Any = CRPS().law_form()
    twice = scores | {"another": scores["CRPS"]}
    with pytest.raises(GeobenchError, match="crps has 2 columns and its law form law-crps 1"):
        excess.excesses(CRPS(), form, 0, every, twice, resampling, None)


def test_what_is_no_law_form_is_refused() -> None:
    from geobench.scoring.law_forms import form_of

    class Wrong(CRPS):
        name = "wrong"

        def law_form(self) -> Any:
            return {"use": "law-spread"}

    with pytest.raises(GeobenchError, match="wrong names law-spread as its law form"):
        form_of(Wrong(), Registry())
