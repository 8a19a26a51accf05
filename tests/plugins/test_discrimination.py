"""Scores of events: against their definitions and another library."""

import math
from itertools import product

import numpy as np
import pytest
import scores.categorical
import xarray as xr

from geobench import Context, Scorer
from geobench.testing import small_case
from geobench_plugins.scorers.crps import CRPS
from geobench_plugins.scorers.discrimination import ROC, SEDI, EconomicValue
from geobench_plugins.scorers.tail_crps import TailCRPS

Case = tuple[xr.DataArray, xr.DataArray, Context]


@pytest.fixture
def case() -> Case:
    """Members that know something of the outcome: 200 inits, 6 members, thresholds 0.5 and 1."""
    forecast, truth, context = small_case(200, 6)
    return 0.6 * forecast + 0.8 * truth, truth, context


def _score(scorer: Scorer, case: Case) -> xr.DataArray:
    """Scores of the first lead."""
    metric = scorer.metric(scorer.statistics(*case).mean("init_time"))
    (name,) = metric.data_vars
    return metric[name].isel(lead_time=0, variable=0)


def _events(case: Case, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Members above, and whether the outcome is, of every site of the first lead."""
    forecast, truth, _ = (
        each.isel(lead_time=0, variable=0) if isinstance(each, xr.DataArray) else each
        for each in case
    )
    above = (forecast > threshold).sum("member").to_numpy().ravel()
    return above, (truth > threshold).to_numpy().ravel()


@pytest.mark.slow
def test_the_area_is_the_chance_to_order_a_pair(case: Case) -> None:
    for place, threshold in enumerate((0.5, 1.0)):
        above, happened = _events(case, threshold)
        pairs = [
            (one > two) + 0.5 * (one == two)
            for one, two in product(above[happened], above[~happened])
        ]
        assert float(_score(ROC(), case)[place]) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_who_knows_nothing_has_half_the_area(case: Case) -> None:
    forecast, truth, context = case
    constant = forecast.copy(data=np.full(forecast.shape, 2.0))
    assert _score(ROC(), (constant, truth, context)).to_numpy() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("share", [0.5, 1 / 3])
def test_sedi_is_that_of_scores(case: Case, share: float) -> None:
    for place, threshold in enumerate((0.5, 1.0)):
        above, happened = _events(case, threshold)
        warned = above >= share * 6 - 1e-9
        contingency = scores.categorical.BinaryContingencyManager(
            xr.DataArray(warned.astype(float)), xr.DataArray(happened.astype(float))
        )
        other = contingency.transform().symmetric_extremal_dependence_index()
        assert float(_score(SEDI(share=share), case)[place]) == pytest.approx(float(other))


def test_sedi_of_a_rate_of_one_is_not_a_number() -> None:
    """Whatever rounding does to a sum of shares that is 1."""
    random = np.random.Generator(np.random.Philox(key=5))
    for _ in range(100):
        table = random.dirichlet(np.ones(14)).reshape(1, 7, 2)
        table[0, :3, 1] = 0  # no event without a warning
        means = xr.Dataset({"table": (("lead_time", "above", "happened"), table)})
        assert bool(SEDI().metric(means)["SEDI"].isnull().all())


@pytest.mark.parametrize("ratio", [0.02, 0.2, 0.7])
def test_economic_value_is_what_users_save(case: Case, ratio: float) -> None:
    for place, threshold in enumerate((0.5, 1.0)):
        above, happened = _events(case, threshold)
        expenses = [np.where(above >= k, ratio, happened).mean() for k in range(8)]  # 7: never acts
        climate, perfect = min(ratio, happened.mean()), ratio * happened.mean()
        expected = (climate - min(expenses)) / (climate - perfect)
        found = _score(EconomicValue(cost_loss=(ratio,)), case).isel(cost_loss=0)[place]
        assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_perfect_forecasts_have_all_the_value_and_know_all(case: Case) -> None:
    forecast, truth, context = case
    perfect = xr.ones_like(forecast) * truth
    assert _score(ROC(), (perfect, truth, context)).to_numpy() == pytest.approx([1, 1])
    value = _score(EconomicValue(), (perfect, truth, context))
    assert value.to_numpy() == pytest.approx(np.ones((2, 2)))


def test_without_an_event_nothing_is_known(case: Case) -> None:
    forecast, truth, context = case
    calm = truth.copy(data=np.full(truth.shape, -9.0))
    for scorer in (ROC(), SEDI(), EconomicValue()):
        assert bool(_score(scorer, (forecast, calm, context)).isnull().all())


def test_the_tail_and_what_lies_below_it_are_the_crps(case: Case) -> None:
    """For max(x, t) and min(x, t): |x - y| is the sum of both distances."""
    forecast, truth, context = case
    whole = _score(CRPS(), case)
    for place, threshold in enumerate((0.5, 1.0)):
        below = _score(CRPS(), (forecast.clip(max=threshold), truth.clip(max=threshold), context))
        assert float(_score(TailCRPS(), case)[place] + below) == pytest.approx(float(whole))


@pytest.mark.parametrize("count", [2, 20])
def test_the_tail_of_a_perfect_ensemble_is_the_same_with_any_number_of_members(count: int) -> None:
    """For N(0, 1) it is the integral of P (1 - P) above t: 0.0805 above 1."""
    found = TailCRPS().statistics(*small_case(3000, count))
    values = found["tail_crps"].isel(quantile=1, variable=0)
    x = np.linspace(1, 9, 20_001)
    above = np.array([0.5 * math.erfc(each / math.sqrt(2)) for each in x])
    exact = np.trapezoid(above * (1 - above), x)
    of_init = values.mean("lead_time").to_numpy()
    # Five standard errors: a false alarm in 2 million.
    assert abs(of_init.mean() - exact) < 5 * of_init.std() / math.sqrt(3000)
    assert of_init.std() / math.sqrt(3000) < 0.05 * exact
