"""Lossy forecasts: what is rounded, how much, and that the record tells what it does to scores."""

import numpy as np
import pytest
import xarray as xr

from geobench.forecasts.rounding import bits_of
from geobench.nodes.engine import Engine
from geobench.nodes.forecast import ForecastNode
from geobench.nodes.session import Session
from geobench.nodes.stored import Stored
from geobench.registry import Registry
from geobench_catalog import Entry

FIELDS = {
    "use": "lorenz95",
    "spin_up": 5,
    "train": {"trajectories": 20, "steps": 20},
    "validation": {"trajectories": 4, "steps": 10},
    "test": {"trajectories": 30},
    "leads": 3,
}


@pytest.fixture
def fitted(session: Session, registry: Registry) -> Entry:
    dataset = session.simulate("tiny", registry.experiment(FIELDS, "tiny"))
    return session.train(dataset, registry.model("climatology"))


def test_the_record_tells_how_much_each_score_changes(
    session: Session, registry: Registry, fitted: Entry
) -> None:
    """The changes told are those between the scores of the exact and of the rounded forecast."""
    exact = session.forecast(fitted, members=5)
    rounded = session.forecast(fitted, members=5, keep_bits=3)
    assert str(rounded.reference) == "forecast/tiny.climatology.s0@2"
    told = rounded.record.summary["rounding"]
    headline = registry.headline_scorers()
    assert [scorer.name for scorer in headline] == ["crps", "rmse", "spread-skill", "brier"]
    for scorer in headline:
        one, other = (
            session.score(each, scorer).record.summary["scores"] for each in (exact, rounded)
        )
        for column, values in one.items():
            change = np.array(other[column]) - np.array(values)
            np.testing.assert_allclose(told["score_changes"][column], change, atol=1e-6)
    assert any(abs(each) > 1e-5 for each in told["score_changes"]["CRPS"])


def test_what_is_stored_is_rounded_to_the_bits_that_are_told(
    session: Session, fitted: Entry
) -> None:
    exact, rounded = (
        session.forecast(fitted, members=5),
        session.forecast(fitted, members=5, keep_bits=8),
    )
    told = rounded.record.summary["rounding"]
    bits = told["keep_bits"]["q"]
    one, other = exact.load()["q"], rounded.load()["q"]
    assert other.attrs["keep_bits"] == bits
    mantissa = np.ascontiguousarray(other.to_numpy()).view(np.uint32)
    assert not (mantissa & ((1 << (23 - bits)) - 1)).any()
    assert (abs(other - one) <= 2.0 ** -(bits + 1) * abs(one) * (1 + 1e-6)).all()
    assert told["largest_error"]["q"] == pytest.approx(float(abs(other - one).max()), rel=1e-6)
    assert rounded.size < 0.85 * exact.size


def test_members_that_come_in_parts_are_rounded_alike(session: Session, fitted: Entry) -> None:
    whole = session.forecast(fitted, members=9, keep_bits=6)
    small = Session(Engine(session.catalog, session.registry, memory=2**16))
    parts = small.forecast(fitted, members=9, seed=0, keep_bits=7, label="parts")
    bits = parts.record.summary["rounding"]["keep_bits"]["q"]
    assert bits == whole.record.summary["rounding"]["keep_bits"]["q"] + 1
    assert parts.load()["q"].shape == whole.load()["q"].shape


def test_what_counts_is_the_spread_and_not_the_size() -> None:
    def climate(mean: float, std: float) -> xr.Dataset:
        return xr.Dataset({"h_mean": ("x", [mean] * 4), "h_std": ("x", [std] * 4)})

    assert bits_of(climate(0.0, 30.0), ["h"], 12) == {"h": 12}
    assert bits_of(climate(1000.0, 30.0), ["h"], 12) == {"h": 18}  # 1000 is 2^5.06 x 30
    assert bits_of(climate(5.0, 0.0), ["h"], 12) == {"h": 23}  # it never changes: kept as it is
    assert bits_of(climate(1e6, 1.0), ["h"], 12) == {"h": 23}


def test_a_rounded_forecast_is_another_computation(session: Session, fitted: Entry) -> None:
    rounded = session.forecast(fitted, members=5, keep_bits=12)
    node = Stored(fitted, session.catalog)
    assert session.engine.find(ForecastNode(node, 5)) is None
    found = session.engine.find(ForecastNode(node, 5, keep_bits=12))
    assert found
    assert found.id == rounded.id
    assert session.forecast(fitted, members=5, keep_bits=12).id == rounded.id
