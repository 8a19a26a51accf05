"""Parts of scores add up, and each is what it is called."""

import numpy as np
import xarray as xr

from geobench.testing import small_case
from geobench_plugins.scorers.calibration import Reliability, Resolution
from geobench_plugins.scorers.crps_parts import CRPSParts


def test_the_reliability_is_hersbachs_by_hand() -> None:
    """Two members 0 and 1, outcomes 0.25 and 3: gaps 0 (never), 1 and 2 (once, 2 away)."""
    forecast, truth, context = small_case(2, 2)
    forecast = forecast * 0 + xr.DataArray([0.0, 1.0], dims="member")
    truth = truth * 0 + xr.DataArray([0.25, 3.0], dims="init_time")
    parts = CRPSParts().metric(CRPSParts().statistics(forecast, truth, context).mean("init_time"))
    # From 0 to 1: below over .75 of the gap in one case of two, so o = .375, g = 1 and p = .5.
    # Above 1: out in one of two, so o = 1 - .5, g = 1 / .5 and p = 1.
    expected = 1 * (0.375 - 0.5) ** 2 + 2 * (0.5 - 1) ** 2
    np.testing.assert_allclose(parts["CRPS reliability"], expected, rtol=1e-6)
    potential = 1 * 0.375 * 0.625 + 2 * 0.5 * 0.5
    np.testing.assert_allclose(parts["potential CRPS"], potential, rtol=1e-6)


def test_a_bias_is_reliability_and_not_potential() -> None:
    scores = []
    for shift in (0.0, 2.0):
        forecast, truth, context = small_case(500, 10)
        found = CRPSParts().statistics(forecast + shift, truth, context).mean("init_time")
        scores.append(CRPSParts().metric(found).mean())
    assert float(scores[0]["CRPS reliability"]) < 0.02  # sampling of ten members
    assert float(scores[1]["CRPS reliability"]) > 0.8


def test_murphys_parts_add_up_to_the_plain_brier_score() -> None:
    forecast, truth, context = small_case(300, 5)
    forecast = forecast * 0.8 + truth.expand_dims(member=5).transpose(*forecast.dims) * 0.5
    case = forecast, truth, context
    parts = {
        scorer.name: scorer.metric(scorer.statistics(*case).mean("init_time"))[scorer.name]
        for scorer in (Reliability(), Resolution())
    }
    for quantile, limit in ((0.7, 0.5), (0.9, 1.0)):
        p, o = (forecast > limit).mean("member"), (truth > limit).astype(float)
        plain = ((p - o) ** 2).mean(("init_time", "x"))
        rate = o.mean(("init_time", "x"))
        own = {name: each.sel(quantile=quantile, drop=True) for name, each in parts.items()}
        total = own["reliability"] - own["resolution"] + rate * (1 - rate)
        xr.testing.assert_allclose(total, plain, rtol=1e-6)
