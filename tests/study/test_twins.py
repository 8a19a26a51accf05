"""Twin experiments: pieces of runs, hidden variables, analyses, and where the law starts.

Seeds are fixed; the stated false-alarm rate is that of a right system with a seed at random.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from geobench import GeobenchError, Law, Noise
from geobench.cli.settings import Settings
from geobench.contracts.experiment import Event
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.study import run as running
from geobench.study.file import Study
from geobench.study.graph import StudyGraph
from geobench.twin import probabilities
from geobench_catalog import Catalog, Entry
from geobench_plugins.simulators.two_scale import TwoScale

SMALL: dict[str, Any] = {
    "simulator": {"use": "lorenz95", "sites": 8},
    "spin_up": 10,
    "train": {"trajectories": 4, "steps": 10},
    "validation": {"trajectories": 2, "steps": 10},
    "test": {"trajectories": 4},
    "leads": 3,
}


def _simulate(session: Session, **changes: Any) -> Entry:
    return session.simulate("small", session.registry.experiment({**SMALL, **changes}, "small"))


def _members(session: Session, dataset: Entry, members: int) -> np.ndarray:
    """Draws of the oracle `(init, lead, member, x)`."""
    fitted = session.train(dataset, session.registry.model("oracle"))
    drawn = session.forecast(fitted, members=members).load()
    return drawn["q"].transpose("init_time", "lead_time", "member", "x").to_numpy()


def test_pieces_of_a_run_are_the_run(session: Session) -> None:
    whole = _simulate(session, train={"trajectories": 2, "steps": 23}).load("train")["q"]
    split = {"trajectories": 6, "runs": 2, "steps": 5, "gap": 4}
    pieces = _simulate(session, train=split).load("train")["q"]
    for piece in range(6):
        start = piece % 3 * 9
        expected = whole[piece // 3, start : start + 5].to_numpy()
        assert np.array_equal(pieces[piece].to_numpy(), expected)


@pytest.mark.slow
def test_a_hidden_state_starts_the_law(session: Session) -> None:
    # Without noise, and with the fast variables known, the future is what happened.
    dataset = _simulate(
        session,
        simulator={"use": "lorenz95-two-scale", "sites": 5, "fast": 4},
        shown=["q"],
        test={"trajectories": 3, "inits": 2, "every": 2},
    )
    test, law = dataset.load("test"), dataset.load("law")
    assert list(test.data_vars) == ["q"]
    assert dict(law.sizes) == {"init_time": 6, "sample": 1, "x": 5}
    inits = dataset.load("inits")
    happened = np.stack(
        [
            test["q"].to_numpy()[int(t), int(p) + 1 : int(p) + 4]
            for t, p in zip(inits["trajectory"], inits["position"], strict=True)
        ]
    )
    drawn = _members(session, dataset, 2)
    assert np.abs(drawn - happened[:, :, None]).max() < 1e-4  # float32, three days


def _riccati(memory: float, error: float) -> float:
    """Analysis variance of x' = memory x + sqrt(1 - memory²) N(0, 1) observed with N(0, error²)."""
    variance = 1.0
    for _ in range(200):
        forecast = memory**2 * variance + 1 - memory**2
        variance = forecast * error**2 / (forecast + error**2)
    return variance


DECAY = """
from geobench import hookimpl
from geobench.testing import Decay

@hookimpl
def geobench_simulators():
    return [Decay]
"""


@pytest.mark.slow
def test_analyses_and_law_are_those_of_kalman(tmp_path: Path) -> None:
    # 8 independent sites, 128 members: sampling errors of the gain make the analysis 1.4 to 4 %
    # worse than Kalman's in variance, and the filter 1.6 % too sure of it (read over 5 seeds).
    (tmp_path / "decay.py").write_text(DECAY)
    registry = Registry([tmp_path / "decay.py"])
    session = Session(Engine(Catalog(tmp_path / "catalog", create=True), registry))
    memory, error = 0.8, 0.5
    dataset = _simulate(
        session,
        simulator={"use": "decay", "memory": memory},
        filter_spin_up=6,  # what is left of the start is divided by 5 or so in each step
        train={"trajectories": 20, "steps": 10},
        test={"trajectories": 300},
        given="analysis",
        observation={"error": error},
        assimilation={"use": "etkf", "members": 128, "inflation": 1.0},
    )
    exact = _riccati(memory, error)
    given, truth = dataset.load("test")["q"], dataset.load("test_truth")["q"]
    mistakes = (given - truth).to_numpy()
    assert mistakes.size == 300 * 5 * 8
    # 2,400 sites, five correlated times: the mean square has an error below sqrt(2/2400) = 2.9 %.
    assert float((mistakes**2).mean()) == pytest.approx(exact, rel=5 * 0.029)
    law = dataset.load("law")["q"]
    assert float(law.var("sample", ddof=1).mean()) == pytest.approx(exact, rel=0.04)
    drawn = _members(session, dataset, 32)
    last = truth.to_numpy()[:, 2:]
    for lead in (1, 2, 3):
        wanted = memory ** (2 * lead) * exact + 1 - memory ** (2 * lead)
        now = drawn[:, lead - 1]
        assert float(now.var(1, ddof=1).mean()) == pytest.approx(wanted, rel=0.04)
        missed = ((now.mean(1) - last[:, lead - 1]) ** 2).mean() / (1 + 1 / 32)
        assert float(missed) == pytest.approx(wanted, rel=5 * 0.029)


def test_events_have_their_exact_probability(tmp_path: Path) -> None:
    # From x, a site of Decay is N(m^k x, 1 - m^(2k)) k steps ahead: the probability of passing a
    # threshold is known. 2,000 members, 20 inits x 3 leads x 2 quantiles x 8 sites: a share is off
    # by 6 standard errors once in 5e5 seeds.
    (tmp_path / "decay.py").write_text(DECAY)
    registry = Registry([tmp_path / "decay.py"])
    session = Session(Engine(Catalog(tmp_path / "catalog", create=True), registry))
    event = {"name": "high", "of": "q", "quantiles": [0.8, 0.95]}
    dataset = _simulate(
        session, simulator={"use": "decay"}, test={"trajectories": 20}, events=[event]
    )
    fitted = session.train(dataset, registry.model("oracle"))
    counted = session.events(session.forecast(fitted, members=2000)).load()
    assert counted.attrs["members"] == 2000
    start = dataset.load("test")["q"].to_numpy()[:, 1]
    limits = counted["high_threshold"].to_numpy()
    train = dataset.load("train")["q"].to_numpy().reshape(-1, 8)
    assert np.allclose(limits, np.quantile(train, [0.8, 0.95], axis=0), atol=1e-6)
    for lead in (1, 2, 3):
        size = math.sqrt(1 - 0.8 ** (2 * lead))
        z = (limits[None] - 0.8**lead * start[:, None]) / size
        exact = 0.5 * torch.erfc(torch.from_numpy(z) / math.sqrt(2)).numpy()
        share = counted["high"].to_numpy()[:, lead - 1]
        error = np.sqrt(exact * (1 - exact) / 2000) + 1 / 2000
        assert (np.abs(share - exact) < 6 * error).all()
    within = counted["high_within"].to_numpy()
    assert (np.diff(within, axis=1) >= 0).all()
    assert session.events(session.forecast(fitted, members=2000)).reference.version == 1


def test_the_law_of_several_samples_has_their_mean_and_covariance() -> None:
    from geobench.testing import Decay

    states = Noise.rows(0, "samples", 2).normal(6, 1, 8, dtype=torch.float64)
    law = Law(Decay(), None, states)
    rows = 6000
    noise = Noise(0, "draws", torch.arange(rows) % 2, torch.arange(rows) // 2)
    drawn = law.start(torch.zeros(rows, 1, 8, dtype=torch.float64), noise)[:, 0]
    for init in range(2):
        own, samples = drawn[init::2], states[init, :, 0]
        scale = samples.std(0)
        # 3,000 draws of 8 sites: none off by 6 standard errors, but once in 3e7 seeds.
        assert bool(((own.mean(0) - samples.mean(0)).abs() < 6 * scale / 3000**0.5).all())
        close = 6 * math.sqrt(2 / 3000) * scale[:, None] * scale
        assert bool(((torch.cov(own.T) - torch.cov(samples.T)).abs() < close).all())


def test_a_forecast_in_pieces_is_the_forecast(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _simulate(session, test={"trajectories": 20})
    whole = _members(session, dataset, 11)
    fitted = session.train(dataset, session.registry.model("oracle"), label="again", seed=1)
    monkeypatch.setattr("geobench.forecasts.layout.CHUNK", 2000)
    small = Session(Engine(session.catalog, session.registry, memory=8000))
    again = small.forecast(fitted, members=11, seed=0)
    opened = again.open()["q"]
    assert opened.encoding["chunks"] == (4, 3, 4, 8)
    assert np.array_equal(opened.to_numpy(), whole)


def test_the_law_is_conditioned_on_what_is_given_exactly() -> None:
    # Two channels at one site, (s, h) with var s = 1, var h = 1, cov .8: given s = 2, h is
    # N(1.6, .36). The samples are many, so their covariance is that to 3 % (5,000 of them).
    s, other = Noise.rows(0, "samples", 1).normal(5_000, 2, 1, dtype=torch.float64)[0].unbind(1)
    states = torch.stack([s, 0.8 * s + 0.6 * other], 1)[None]
    law = Law(TwoScale(sites=4, fast=3), (0,), states, exact=True)
    rows = 1000
    noise = Noise(1, "draws", torch.zeros(rows, dtype=torch.long), torch.arange(rows))
    drawn = torch.cat(
        [
            law.start(torch.full((500, 1, 1), 2.0, dtype=torch.float64), part)
            for part in (
                Noise(1, "draws", noise.init[i : i + 500], noise.member[i : i + 500])
                for i in range(0, rows, 500)
            )
        ]
    )
    assert bool((drawn[:, 0] == 2).all())
    hidden = drawn[:, 1, 0]
    # 5 standard errors of 1,000 draws, and 5 of the samples' own covariance.
    assert abs(float(hidden.mean()) - 1.6) < 5 * 0.6 / 1000**0.5 + 2 * 5 * 0.6 / 5_000**0.5
    assert float(hidden.std()) == pytest.approx(0.6, rel=5 / 2000**0.5 + 5 / 10_000**0.5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"filter_spin_up": 3}, "filter_spin_up is for an assimilation"),
        ({"shown": []}, "shown must name one variable or more"),
        (
            {"events": [{"name": "a", "of": "foo"}]},
            "event 'a' is of 'foo', which lorenz95 does not have",
        ),
        ({"events": [{"name": "a", "of": "q", "quantiles": [2]}]}, "event a: quantiles must rise"),
        ({"test": {"trajectories": 10**7}}, "do not fit between 2000-01-01 and 2262-01-01"),
        ({"test": {"trajectories": 10**12}}, "TB of numbers before compression"),
        (
            {"observation": {"stride": 8}, "assimilation": {"use": "etkf"}},
            "observation.stride = 8 leaves one cell along x, which has 8",
        ),
        (
            {"observation": {}, "assimilation": {"use": "3dvar"}},
            "3dvar carries one state. Give it members",
        ),
        ({"observation": {}}, "observation and assimilation go together"),
        ({"given": "analysis"}, "models are given an analysis, but there is no assimilation"),
        ({"shown": ["w"]}, "shown: there is no variable 'w'. There are: q."),
        (
            {"train": {"trajectories": 5, "runs": 2, "steps": 3}},
            "5 trajectories cannot be cut from 2 runs",
        ),
        (
            {"observation": {"variables": ["p"]}, "assimilation": {"use": "etkf"}},
            "observation.variables names 'p', which is no variable",
        ),
        (
            {"observation": {"error": 0}, "assimilation": {"use": "etkf"}},
            "observation.error",
        ),
        (
            {"simulator": {"use": "lorenz95", "amplitude": 80}},
            "the simulator lorenz95 blew up",
        ),
        (
            {
                "observation": {"error": 30.0, "every": 10},
                "assimilation": {"use": "etkf", "members": 2, "rotation": False},
            },
            "the assimilation etkf lost the truth",
        ),
    ],
)
def test_what_cannot_be_is_told_on_one_line_and_leaves_nothing(
    session: Session, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        _simulate(session, **changes)
    assert "\n" not in str(error.value)
    assert not list(session.catalog.path.glob("entries/*"))
    assert not list(session.catalog.path.glob("tmp/*"))


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 5), (4, 2, 3, 5)])
def test_what_is_hidden_from_models_is_nan_in_whole_states(shape: tuple[int, ...]) -> None:
    whole = probabilities.Whole(TwoScale(sites=5, fast=4), ("q",))
    shown = torch.randn(*shape[:-1], 1, shape[-1], generator=torch.Generator().manual_seed(0))
    states = whole.widened(shown)
    variables = whole.simulator.spec.variables
    assert states.shape == (*shape[:-1], len(variables), shape[-1])
    for channel, variable in enumerate(variables):
        values = states[..., channel, :]
        if variable.name == "q":
            assert torch.equal(values, shown[..., 0, :])
        else:
            assert values.isnan().all()
    everything = probabilities.Whole(TwoScale(sites=5, fast=4), None)
    assert everything.widened(states) is states


def test_an_event_of_hidden_variables_has_no_threshold() -> None:
    simulator = TwoScale(sites=5, fast=4)
    fast = simulator.spec.variables[1].name
    values = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0)).numpy()
    train = xr.Dataset(dict.fromkeys(("q", fast), (("trajectory", "time", "x"), values)))
    event = Event(name="high", of="q", quantiles=(0.5,))
    shown, hidden = (probabilities.Whole(simulator, (name,)) for name in ("q", fast))
    limits = probabilities.thresholds((event,), shown, train)
    medians = np.median(values, axis=(0, 1))
    assert limits["high"].numpy() == pytest.approx(medians[None], rel=1e-6)
    with pytest.raises(GeobenchError, match="'high': 'q' is not finite on the train states"):
        probabilities.thresholds((event,), hidden, train)


def test_the_board_says_where_the_law_is_not_exact(session: Session) -> None:
    observed = {
        **SMALL,
        "filter_spin_up": 10,
        "given": "analysis",
        "observation": {},
        "assimilation": {"use": "etkf", "members": 12},
    }
    study = Study.model_validate(
        {
            "experiments": {"exact": SMALL, "observed": observed},
            "models": {"oracle": {"use": "oracle"}},
            "members": 4,
            "scorers": ["crps"],
            "reference": {"members": 8},
        }
    )
    graph = StudyGraph(study, session.registry)
    lawful = [node.name for node, _ in running.plan(graph, None) if node.name.endswith("law-crps")]
    assert lawful == ["exact.climatology.s0.law-crps", "exact.oracle.s0.law-crps"]
    settings = Settings(session.catalog.url)
    experiments = {name: graph.experiments[name] for name in ("exact", "observed")}
    assert settings.known(experiments["observed"]) is None  # it is not there yet
    outcome = running.run(graph, session.engine)
    assert not outcome.failures
    assert settings.known(experiments["exact"]) is None
    assert Settings(f"{session.catalog.url}-none").known(experiments["observed"]) is None
    known = settings.known(experiments["observed"])
    assert known is not None
    law, given = known
    stored = session.catalog.get("dataset/observed@1")
    assert law.states is not None
    assert len(law.states) == stored.load("inits").sizes["init_time"] == len(given) == 4
    assert not law.exact
    analyses = torch.from_numpy(stored.load("test")["q"].to_numpy())  # what models are given
    assert torch.equal(given[:, 0], analyses[:, 1])
    exact, inexact = outcome.boards
    assert exact.columns[0].excess_from == "law-crps"
    assert inexact.columns[0].excess_from == "outcome"
    assert not any("approximation" in note for note in exact.notes)
    assert any("the ensemble of etkf at init time" in note for note in inexact.notes)
    assert any(note.startswith("Analyses of the test split are off by") for note in inexact.notes)
