"""Events over windows, and control runs: what they count, checked by brute force."""

import itertools
from fractions import Fraction
from math import comb

import numpy as np
import pytest
import torch

from geobench import Dimension, Event, GeobenchError, StateSpec, Variable
from geobench.contracts.experiment import Control, Experiment
from geobench.registry import Registry
from geobench.testing import Decay
from geobench.twin import control, events
from geobench.twin.simulating import trajectories

SMALL = {
    "simulator": {"use": "lorenz95", "sites": 8},
    "spin_up": 10,
    "train": {"trajectories": 10, "steps": 20},
    "validation": {"trajectories": 2, "steps": 12},
    "test": {"trajectories": 2},
    "leads": 2,
}


class Sea(Decay):
    """Two dims, of which the second closes on itself, and an island."""

    @property
    def spec(self) -> StateSpec:
        dims = (Dimension(name="y", size=4), Dimension(name="x", size=5, periodic=True))
        return StateSpec(variables=(Variable(name="q"),), dims=dims, land=(7,))


def _by_loops(
    event: Event, field: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
) -> list[float]:
    """Every window of the sea, by definition."""
    assert event.window is not None
    found = []
    for y, x in itertools.product(range(4), range(5)):
        rows = range(y, y + event.window[0])
        columns = [(x + shift) % 5 for shift in range(event.window[1])]
        cells = [(row, column) for row in rows for column in columns]
        if rows.stop > 4 or (1, 2) in cells:
            continue
        values = [field[cell] for cell in cells]
        reduced = {
            "mean": sum(values) / len(values),
            "max": max(values),
            "min": min(values),
            "count": float(sum(value > (event.level or 0) for value in values)),
        }
        found.append(reduced[event.reduce])
    return found


@pytest.mark.parametrize("reduce", ["mean", "max", "min", "count"])
@pytest.mark.parametrize("window", [(1, 1), (2, 3), (1, 5), (4, 2)])
def test_windows_are_those_of_the_sea_and_go_round_where_the_grid_does(
    reduce: str, window: tuple[int, int]
) -> None:
    level = {"level": 0.3} if reduce == "count" else {}
    event = Event.model_validate(
        {"name": "a", "of": "q", "reduce": reduce, "window": window, **level}
    )
    states = torch.randn(3, 1, 4, 5, generator=torch.Generator().manual_seed(1)).double()
    found = events.measure(event, Sea(), states)
    expected = [_by_loops(event, state[0].numpy()) for state in states]
    assert found.shape == (3, len(expected[0]))
    assert np.allclose(found.numpy(), expected, rtol=1e-12, atol=0)


def test_cells_above_a_level_are_counted_in_a_region_and_a_failed_cell_is_not_dropped() -> None:
    event = Event.model_validate(
        {"name": "a", "of": "q", "reduce": "count", "level": 1, "region": [[0, 0.5], [0, 1]]}
    )
    states = torch.zeros(3, 1, 4, 5)
    states[1, 0, 0, :3] = torch.tensor([1.0, 1.5, float("inf")])
    states[2, 0, 1, 0] = float("nan")
    found = events.measure(event, Sea(), states)[:, 0]
    assert found[:2].tolist() == [0, 2]
    assert bool(found[2].isnan())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"window": [2]}, "a window needs reduce"),
        ({"reduce": "count"}, "count and level go together"),
        ({"reduce": "mean", "level": 2.0}, "count and level go together"),
    ],
)
def test_events_that_mean_nothing_are_refused(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Event.model_validate({"name": "a", "of": "q", **fields})


def test_windows_that_fit_nowhere_are_refused() -> None:
    for window, told in (((5, 1), "no window of event 'a' fits"), ((2,), "along 1 dims of 2")):
        event = Event.model_validate({"name": "a", "of": "q", "reduce": "max", "window": window})
        with pytest.raises(GeobenchError, match=told):
            events.measure(event, Sea(), torch.zeros(1, 1, 4, 5))


def test_events_of_older_datasets_keep_their_identity() -> None:
    told = Event(name="high", of="q", reduce="max", quantiles=(0.9,)).model_dump(mode="json")
    assert told == {
        "name": "high",
        "of": "q",
        "reduce": "max",
        "region": None,
        "side": "above",
        "quantiles": [0.9],
    }


def test_places_that_differ_along_homogeneous_dims_alone_have_one_climate() -> None:
    event = Event(name="a", of="q")
    assert events.alike(event, Sea(), 19).tolist() == list(range(19))
    for rank, climates in ((None, 1), (3, 1), (4, 8), (8, 1)):
        ring = Registry().simulator({"use": "lorenz95", "sites": 8, "rank": rank})
        # Of an even rank the last mode is a cosine without its sine: some sites get more noise.
        assert len(events.alike(event, ring, 8).unique()) == climates


def _counted(
    series: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", event: Event, pooled: bool
) -> control.Thresholds:
    climates = np.arange(series.shape[2]) * (not pooled)
    tally = control.Tally(series[:, :50], climates)
    for piece in np.split(series, [7, 50, 51, 400], axis=1):
        tally.add(piece)
    return control.thresholds(event, tally.dataset())


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_threshold_rests_on_as_much_as_it_says(side: str, *, pooled: bool, whole: bool) -> None:
    """Exceedances and separate ones of the very series, counted by comparing each value."""
    generator = np.random.Generator(np.random.Philox(key=1))
    series = generator.standard_normal((6, 900, 4)).cumsum(1) / 30 + [0, 5, -3, 1]
    if whole:
        series = np.round(series * 4)
    event = Event.model_validate(
        {"name": "a", "of": "q", "side": side, "quantiles": [0.5, 0.9, 0.99]}
    )
    found = _counted(series, event, pooled)
    groups = [series] if pooled else [series[..., [place]] for place in range(4)]
    for climate, own in enumerate(groups):
        for place, quantile in enumerate(event.quantiles):
            limit = found.limits[place, climate]
            hits = own > limit if side == "above" else own < limit
            assert found.exceedances[place, climate] == hits.sum()
            begun = hits[:, :1].sum() + (hits[:, 1:] & ~hits[:, :-1]).sum()
            assert found.separate[place, climate] == begun
            # No other threshold is closer to the quantile than the width of a bin allows.
            wanted = (1 - quantile) * own.size
            lows = np.sort(own.ravel() if side == "above" else -own.ravel())[::-1]
            near = (lows >= lows[min(round(wanted), own.size - 1)]).sum()
            if not whole:
                assert abs(hits.sum() - wanted) <= max(2, abs(near - wanted), 0.01 * own.size)
            else:
                assert hits.mean() in {float((own > v).mean()) for v in np.unique(own)} | {
                    float((own < v).mean()) for v in np.unique(own)
                }


def test_thresholds_of_a_known_climate() -> None:
    """N(0, 1) at every site: within 5 standard errors, a false alarm in a million for each."""
    experiment = Experiment.model_validate(SMALL)
    event = Event(name="a", of="q", quantiles=(0.9, 0.99, 0.999))
    states, sites = 100_000, 8
    (counted,) = control.count(
        [event], experiment, Decay(sites=sites), states=states, rows=100, seed=3
    )
    found = control.thresholds(event, counted)
    # Values with a memory of 0.8 are worth (1 - 0.8) / (1 + 0.8) as many independent ones or more.
    worth = states * (1 - 0.8) / (1 + 0.8)
    for place, (quantile, exact, density) in enumerate(
        [(0.9, 1.281552, 0.175498), (0.99, 2.326348, 0.026652), (0.999, 3.090232, 0.003367)]
    ):
        error = (quantile * (1 - quantile) / worth) ** 0.5 / density
        assert np.abs(found.limits[place] - exact).max() < 5 * error
    assert found.values.tolist() == [states] * sites


def test_a_control_run_is_the_simulator_run_freely() -> None:
    """The very values that a run kept in memory has, above a threshold."""
    registry = Registry()
    simulator = registry.simulator(SMALL["simulator"])
    experiment = Experiment.model_validate(SMALL)
    event = Event(name="a", of="energy", quantiles=(0.8, 0.95))
    (counted,) = control.count([event], experiment, simulator, states=1000, rows=20, seed=5)
    noise = control.Noise.rows(5, "control", 20)
    run = trajectories(simulator, noise, spin_up=10, steps=50)
    energy = (run[:, :, 0].double() ** 2).mean(-1).numpy() / 2
    found = control.thresholds(event, counted)
    for place in range(2):
        assert found.exceedances[place, 0] == (energy > found.limits[place, 0]).sum()
        assert abs(found.exceedances[place, 0] - 1000 * (1 - event.quantiles[place])) <= 2


def test_a_longer_run_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_BLOCK", 4 * 8 * 10)
    simulator = Registry().simulator(SMALL["simulator"])

    def sizes(states: int) -> list[int]:
        run = control.blocks(simulator, spin_up=3, states=states, rows=4, seed=0)
        return [block.numel() for block in run]

    few, many = sizes(100), sizes(1000)
    assert max(few) == max(many) == 4 * 8 * 10
    assert (sum(few), sum(many)) == (100 * 8, 1000 * 8)
    event = Event(name="a", of="q")
    experiment = Experiment.model_validate(SMALL)
    stored = [
        control.count([event], experiment, simulator, states=n, rows=4, seed=0)[0].nbytes
        for n in (100, 1000)
    ]
    assert stored[0] == stored[1]


def test_a_threshold_that_rests_on_too_little_is_refused_with_the_cure() -> None:
    experiment = Experiment.model_validate(SMALL)
    simulator = Registry().simulator(SMALL["simulator"])
    event = Event(name="rare", of="energy", quantiles=(0.8, 0.999))
    (counted,) = control.count([event], experiment, simulator, states=2000, rows=20, seed=5)
    found = control.thresholds(event, counted)
    assert found.few.tolist() == [False, True]
    told = (
        r"event 'rare': the threshold at 99.9 % rests on [0-9] separate .* control: {states: \d+}"
    )
    with pytest.raises(GeobenchError, match=told):
        found.check(2000)


def test_a_run_that_is_not_asked_for_is_five_times_the_train_split() -> None:
    experiment = Experiment.model_validate(SMALL)
    assert control.states_of(experiment, Control().states) == 5 * 10 * 20
    assert control.states_of(experiment, 77) == 77
    # At most a third of the work is spin-up, but for a few trajectories at the least.
    assert control.rows_of(experiment, 1000) == 50
    assert control.rows_of(experiment, 10) == 4


def test_fifty_separate_exceedances_give_a_rate_to_some_fifteen_percent() -> None:
    """The relative error of a Poisson count of 50, exactly."""
    relative = Fraction(1, control.FEWEST)
    assert 0.14**2 < relative < 0.15**2
    assert comb(control.FEWEST, 1) == 50
