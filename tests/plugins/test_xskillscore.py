"""Scores by functions of xskillscore: values by hand, and relations to the built-in scorers."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from geobench import Context, GeobenchError, Scorer
from geobench.registry import Registry
from geobench.testing import small_case
from geobench_plugins.scorers.bias import Bias
from geobench_plugins.scorers.brier import RPS, Brier
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.xskillscore_metrics import XSkillScore

REGISTRY = Registry()


def _scorer(function: str, **options: object) -> Scorer:
    return REGISTRY.scorer({"use": "xskillscore", "function": function, "options": options})


def _score(
    scorer: Scorer, forecast: xr.DataArray, truth: xr.DataArray, context: Context
) -> xr.DataArray:
    found = scorer.metric(scorer.statistics(forecast, truth, context).mean("init_time"))
    (values,) = found.data_vars.values()
    return values


def _two_cells() -> tuple[xr.DataArray, xr.DataArray, Context]:
    """One case of two members on two cells, the second three times as large as the first."""
    forecast, truth, context = small_case(1, 2)
    one = {"lead_time": [0], "x": [0, 1]}
    members = forecast.isel(one).copy(data=np.array([[[[[1.0, 4.0]], [[3.0, 8.0]]]]]))
    outcome = truth.isel(one).copy(data=np.array([[[[1.0, 9.0]]]]))
    own = {"x": [0, 1]}
    limits, std = context.thresholds.isel(own), context.std.isel(own)
    areas = xr.DataArray([1.0, 3.0], dims="x")
    return (
        members,
        outcome,
        replace(context, thresholds=limits, std=std, sea=context.sea.isel(own), areas=areas),
    )


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        # The means of the members are 2 and 6, the outcomes 1 and 9, the weights 1/4 and 3/4.
        ("mae", {}, (1 + 3 * 3) / 4),
        ("mse", {}, (1 + 3 * 9) / 4),
        ("rmse", {}, 7**0.5),
        ("me", {}, (-1 + 3 * 3) / 4),
        ("mape", {}, (1 / 1 + 3 * 3 / 9) / 4),
        ("smape", {}, (1 / 3 + 3 * 3 / 15) / 4),
        ("pearson_r", {}, 1.0),
        ("linslope", {}, (6 - 2) / (9 - 1)),
        # The outcome varies by 64 times 1/4 times 3/4.
        ("r2", {}, 1 - 7 / 12),
        # Mean |x - y| is 1 and 3; a quarter of the sum of |x - x'| over pairs is 1/2 and 1.
        ("crps_ensemble", {}, (0.5 + 3 * 2) / 4),
        # One member of two is above 2, and the outcome is not; both and it are above in the other.
        ("threshold_brier_score", {"threshold": [2.0]}, (0.25 + 0) / 4),
    ],
)
def test_values_by_hand(function: str, options: dict[str, object], expected: float) -> None:
    found = _score(_scorer(function, **options), *_two_cells())
    assert float(found.squeeze()) == pytest.approx(expected)


def _uneven() -> tuple[xr.DataArray, xr.DataArray, Context]:
    forecast, truth, context = small_case(40, 7)
    areas = xr.DataArray([2.0, 1, 3, 1, 0.5, 4, 1, 1], dims="x")
    sea = context.sea.copy(data=[place != 2 for place in range(8)])
    return forecast, truth, replace(context, areas=areas, sea=sea)


def test_the_plain_crps_is_the_fair_one_and_a_part_of_the_spread() -> None:
    forecast, truth, context = _uneven()
    members = forecast.sizes["member"]
    apart = abs(forecast - forecast.rename(member="other")).sum(("member", "other"))
    spread = context.average(apart).mean("init_time") / (2 * members * (members - 1))
    expected = _score(CRPS(), forecast, truth, context) + spread / members
    found = _score(_scorer("crps_ensemble"), forecast, truth, context)
    xr.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("function", "own"), [("brier_score", Brier()), ("rps", RPS())])
def test_fair_scores_of_events_are_the_built_in_ones(function: str, own: Scorer) -> None:
    for count in (7, 1):
        forecast, truth, context = _uneven()
        case = forecast.isel(member=slice(count)), truth, context
        found = _score(_scorer(function, fair=True), *case)
        xr.testing.assert_allclose(found, _score(own, *case).transpose(*found.dims), rtol=1e-6)
        if count > 1:
            plain = _score(_scorer(function), *case)
            assert bool((plain > found).all()), "the plain estimator charges for few members"


def test_the_mean_error_is_the_outcome_less_the_members() -> None:
    found = _score(_scorer("me"), *_uneven())
    xr.testing.assert_allclose(found, -_score(Bias(), *_uneven()), rtol=1e-6)


def test_a_function_declares_its_orientation_units_and_fairness() -> None:
    declared = {
        "mae": ("lower", "of the variable", False),
        "mse": ("lower", "of the variable, squared", False),
        "me": ("zero", "of the variable", True),
        "r2": ("higher", "1", False),
        "pearson_r": ("higher", "1", False),
        "linslope": ("one", "1", False),
        "crps_ensemble": ("lower", "of the variable", False),
        "brier_score": ("lower", "1", False),
    }
    for function, expected in declared.items():
        scorer = _scorer(function)
        assert (scorer.better, scorer.units, scorer.fair) == expected, function
        assert scorer.orientation(f"xskillscore {function}") == expected[0]
    assert _scorer("brier_score", fair=True).fair
    assert XSkillScore.better == "lower"  # of the default, crps_ensemble
    assert not XSkillScore.headline


@pytest.mark.parametrize(
    ("function", "options", "told"),
    [
        ("roc", {}, "roc.*many cases at once.*Use one of brier_score, crps_ensemble, linslope"),
        ("rank_histogram", {}, "many cases at once"),
        ("spearman_r", {}, "cannot weigh cells by their areas"),
        ("crps_gaussian", {}, "takes a distribution and no members"),
        ("energy", {}, "xskillscore has no such score of a single case"),
        ("mae", {"fair": True}, "mae has no option fair"),
        ("rps", {"threshold": [1.0]}, "rps has no option threshold"),
        ("threshold_brier_score", {}, "threshold_brier_score needs options: {threshold"),
        ("mae", {"skipna": True}, "no key 'options.skipna'. Keys: fair, threshold"),
    ],
)
def test_what_fits_no_case_is_refused_on_one_line(
    function: str, options: dict[str, object], told: str
) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        _scorer(function, **options)
    assert "\n" not in str(error.value)
