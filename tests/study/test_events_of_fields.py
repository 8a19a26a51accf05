"""Events as a scorer's own: what a study makes for them, and what it leaves as it is."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from geobench.cli import main
from geobench.contracts.experiment import Control
from geobench.contracts.model import silent
from geobench.errors import GeobenchError
from geobench.nodes.engine import Engine
from geobench.nodes.scores import statistics
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.study import compare
from geobench.study import run as running
from geobench.study.file import Study, read_study
from geobench.study.graph import StudyGraph
from geobench.study.reproduction import reproduce
from geobench.twin.cases import Cases
from geobench_catalog import Catalog, Entry

TINY: dict[str, Any] = {
    "use": "lorenz95",
    "spin_up": 5,
    "train": {"trajectories": 20, "steps": 20},
    "validation": {"trajectories": 4, "steps": 16},
    "test": {"trajectories": 20},
    "leads": 3,
    "events": [],
}
ENERGY = {"name": "ring-energy", "of": "energy", "quantiles": [0.8]}
SITE = {"name": "site", "of": "q", "quantiles": [0.9]}


def _study(*scorers: Any) -> Study:
    return Study.model_validate(
        {
            "experiments": {"tiny": TINY},
            "models": {"oracle": {"use": "oracle"}, "climatology": {"use": "climatology"}},
            "members": 5,
            "scorers": ["crps", *scorers],
            "reference": {"members": 8},
        }
    )


def _events(*events: Any, **fields: Any) -> dict[str, Any]:
    return {"use": "law-events", "events": list(events), "control": {"states": 2000}, **fields}


def _run(session: Session, study: Study) -> StudyGraph:
    graph = StudyGraph(study, session.registry)
    outcome = running.run(graph, session.engine)
    assert not outcome.failures, outcome.failures
    return graph


@pytest.fixture
def session(once: Callable[..., Path], tmp_path: Path, registry: Registry) -> Session:
    """Steps in a catalog in which the study without events has run."""

    def make(folder: Path) -> None:
        _run(Session(Engine(Catalog(folder / "catalog", create=True), registry)), _study())

    ran = once("study-without-events", make) / "catalog"
    return Session(Engine(Catalog(shutil.copytree(ran, tmp_path / "catalog")), registry))


@pytest.fixture
def counted(once: Callable[..., Path], tmp_path: Path, session: Session) -> Session:
    """Steps where the study with two events has run, too."""

    def make(folder: Path) -> None:
        copy = shutil.copytree(session.catalog.path, folder / "catalog")
        _run(Session(Engine(Catalog(copy), session.registry)), _study(_events(ENERGY, SITE)))

    ran = once("study-of-two-events", make) / "catalog"
    return Session(Engine(Catalog(shutil.copytree(ran, tmp_path / "counted")), session.registry))


def _references(session: Session, *kinds: Any) -> set[str]:
    return {str(each.reference) for kind in kinds for each in session.catalog.entries(kind)}


@pytest.mark.slow
def test_a_new_event_adds_a_score_and_makes_nothing_else_again(session: Session) -> None:
    made = _references(session, "dataset", "forecaster", "forecast", "score")
    _run(session, _study(_events(ENERGY)))
    kept = ("dataset", "forecaster", "forecast")
    assert _references(session, *kept) == {each for each in made if not each.startswith("score/")}
    first = _references(session, "score") - made
    assert first == {
        f"score/tiny.{label}.law-events@1"
        for label in ("reference.s1000000", "climatology.s0", "oracle.s0")
    }
    assert _references(session, "control") == {"control/tiny.energy@1"}
    # One more event: another score, and the control run of what is new alone.
    _run(session, _study(_events(ENERGY, SITE)))
    assert _references(session, *kept) == {each for each in made if not each.startswith("score/")}
    assert len(_references(session, "score") - made - first) == 3
    assert _references(session, "control") == {"control/tiny.energy@1", "control/tiny.q@1"}
    # Another quantile, or another name: no further control run.
    _run(session, _study(_events({**ENERGY, "name": "burst", "quantiles": [0.7, 0.85]})))
    assert len(_references(session, "control")) == 2


def test_the_plan_names_control_runs_each_once(session: Session) -> None:
    study = _study(_events(ENERGY, {**ENERGY, "name": "again", "quantiles": [0.5]}, SITE))
    graph = StudyGraph(study, session.registry)

    def planned(known: Session | None) -> list[tuple[str, Entry | None]]:
        planned = running.plan(graph, known and known.engine)
        return [(node.name, entry) for node, entry in planned if node.kind == "control"]

    assert planned(None) == [("tiny.energy", None), ("tiny.q", None)]
    running.run(graph, session.engine)
    assert [entry and str(entry.reference) for _, entry in planned(session)] == [
        "control/tiny.energy@1",
        "control/tiny.q@1",
    ]


def test_the_board_has_all_four_numbers_and_the_law_is_ideal(session: Session) -> None:
    graph = _run(session, _study(_events(ENERGY)))
    (board,) = compare.boards(graph, session.engine).boards
    ways = {column.name: column.better for column in board.columns if column.scorer == "law-events"}
    assert ways == {
        "log p/p* ring-energy 80%": "zero",
        "p/p* ring-energy 80%": "one",
        "squared error of p ring-energy 80%": "lower",
        "explained variance of p* ring-energy 80%": "one",
    }
    reference = session.catalog.get("score/tiny.reference.s1000000.law-events@1")
    told = {k: set(v) for k, v in reference.record.summary["scores"].items()}
    assert [*told.values()] == [{0.0}, {1.0}, {0.0}, {1.0}]


def test_probabilities_are_those_counted_by_hand(counted: Session) -> None:
    session = counted
    limits = {}
    for event, kind in (("ring-energy", "energy"), ("site", "q")):
        run = session.catalog.get(f"control/tiny.{kind}@1").load()
        below = run["count"].cumsum("bin")[0].to_numpy()
        wanted = 0.2 if kind == "energy" else 0.1  # rate of exceedance
        # Two edges are as close to 10 % of q: 8,001 and 7,999 of 80,000. The lower counts.
        place = int(np.abs(below[-1] - below - wanted * below[-1]).argmin())
        limits[event] = float(run["low"][0] + run["width"][0] * (place + 1))
    for label in ("oracle.s0", "climatology.s0"):
        q = session.catalog.get(f"forecast/tiny.{label}@1").load()["q"].astype(float)
        found = session.catalog.get(f"score/tiny.{label}.law-events@1").load()["members"]
        energy = ((q**2).mean("x") / 2 > limits["ring-energy"]).mean("member")
        site = (q > limits["site"]).mean(("member", "x"))
        for place, own in enumerate((energy, site)):
            own = own.transpose("init_time", "lead_time")
            assert np.allclose(found.isel(event=place), own, rtol=1e-6, atol=1e-9)


def test_pieces_do_not_change_a_score(session: Session) -> None:
    law, drawn = (
        session.catalog.get(f"forecast/tiny.{label}@1")
        for label in ("reference.s1000000", "oracle.s0")
    )
    scorer = session.registry.scorer(_events(ENERGY, SITE))
    whole = session.score(drawn, scorer, law).load()
    small = Engine(session.catalog, session.registry, memory=2**18)  # two inits at once
    forecasts = (small.forecast(drawn), [scorer], small.forecast(law))
    (again,) = statistics(small, *forecasts, silent)
    for name in whole.data_vars:
        assert np.array_equal(whole[name], again.cases[name])


def test_thresholds_of_the_train_split_are_taken_only_if_that_is_said(session: Session) -> None:
    _run(session, _study(_events(ENERGY, SITE, control=None)))
    assert not _references(session, "control")
    train = session.catalog.get("dataset/tiny@1").load("train")["q"].astype(float)
    dataset = session.catalog.get("dataset/tiny@1")
    scorer = session.registry.scorer(_events(ENERGY, SITE, control=None))
    realised = session.engine.dataset(dataset)
    limits = {
        event.name: each
        for (event, _), each in session.engine.context(realised, [scorer]).limits.items()
    }
    energy, site = (train**2).mean("x") / 2, train
    assert limits["ring-energy"].item() == pytest.approx(np.quantile(energy, 0.8), rel=1e-6)
    # All sites of the ring have one climate, so they are pooled.
    assert np.allclose(limits["site"], np.quantile(site, 0.9), rtol=1e-6)


def test_a_threshold_that_rests_on_too_little_stops_the_score(session: Session) -> None:
    rare = {**ENERGY, "quantiles": [0.999]}
    graph = StudyGraph(_study(_events(rare)), session.registry)
    with_failures = running.run(graph, session.engine)
    assert "rests on" in str(with_failures.failures[0])
    assert "Use control: {states: " in str(with_failures.failures[0])


def test_control_runs_and_their_scores_can_be_made_again(counted: Session) -> None:
    session = counted
    for reference in (
        "control/tiny.q@1",
        "control/tiny.energy@1",
        "score/tiny.oracle.s0.law-events@1",
    ):
        assert reproduce(session.engine, session.catalog.get(reference)).same_bits, reference


def test_a_control_run_shares_no_noise_with_a_dataset(session: Session) -> None:
    """Nor with one of another seed."""
    dataset = session.simulate("tiny", session.registry.experiment(TINY, "tiny"))
    event = session.registry.scorer(_events(ENERGY)).events_counted()
    first, other = (
        session.control(dataset, event, Control(states=400, seed=seed))[0] for seed in (0, 1)
    )
    assert not np.array_equal(first.load()["count"], other.load()["count"])
    again = session.control(dataset, event, Control(states=400, seed=0))[0]
    assert again.reference == first.reference


def test_the_command_prints_what_thresholds_rest_on(session: Session) -> None:
    session.simulate("tiny", session.registry.experiment(TINY, "tiny"))
    given = ["--catalog", str(session.catalog.path), "-q", "control", "dataset/tiny@1"]
    run = CliRunner()
    told = run.invoke(
        main,
        [*given, "--states", "2000", "--event", "{name: e, of: energy, quantiles: [0.9, 0.999]}"],
    )
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0] == "control/tiny.energy@1"
    assert lines[1].split()[-2:] == ["separate", "exceedances"]
    assert lines[3].split()[:3] == ["e", "90", "%"]
    assert lines[3].split()[5:7] == ["2,000", "200"]  # values, and those beyond the threshold
    assert "too few" not in lines[3]
    assert lines[4].endswith("too few for a score")
    told = run.invoke(main, given)
    assert told.exit_code == 2
    assert "the experiment names no events. Give one: --event" in told.output


# -- forecasts of other cases


@pytest.fixture
def fitted(session: Session) -> Entry:
    dataset = session.simulate("tiny", session.registry.experiment(TINY, "tiny"))
    return session.train(dataset, session.registry.model("oracle"))


def test_a_forecast_of_some_inits_and_leads_is_a_part_of_the_whole(
    session: Session, fitted: Entry
) -> None:
    whole = session.forecast(fitted, members=6, seed=3)
    assert whole.record.recipe == {"members": 6, "seed": 3}
    part = session.forecast(fitted, members=6, seed=3, cases=Cases(inits=(5, 18), leads=2))
    assert part.record.recipe == {"members": 6, "seed": 3, "inits": [5, 18], "leads": 2}
    cut = whole.load()["q"].isel(init_time=slice(5, 18), lead_time=slice(2))
    assert cut.identical(part.load()["q"])
    same = session.forecast(fitted, members=6, seed=3, cases=Cases(inits=(0, 20), leads=3))
    assert same.reference == whole.reference
    crps = session.registry.scorer("crps")
    scores = [session.score(each, crps).load() for each in (whole, part)]
    own = scores[0].isel(init_time=slice(5, 18), lead_time=slice(2))
    for name in own.data_vars:
        assert np.allclose(own[name], scores[1][name], rtol=1e-6)
    assert reproduce(session.engine, part).same_bits


def test_forecasts_of_the_validation_split_are_of_its_states(
    session: Session, fitted: Entry
) -> None:
    dataset = session.catalog.parent(fitted, "dataset")
    states = dataset.load("validation")["q"]
    assert states.sizes["time"] == 16
    cases = Cases(split="validation")
    persisted = session.train(dataset, session.registry.model("persistence"))
    drawn = session.forecast(persisted, members=2, cases=cases)
    assert drawn.record.recipe["split"] == "validation"
    assert str(drawn.reference) == "forecast/tiny.persistence.s0.validation@1"
    # A history of 2, 3 lead times, one init in 3 steps: at 1, 4, 7, 10 and not 13.
    inits = session.engine.dataset(dataset).inits(cases)
    assert inits["position"].to_numpy().tolist() == [1, 4, 7, 10] * 4
    assert len(np.unique(inits["init_time"])) == 16
    truth = session.engine.dataset(dataset).outcome(cases=cases)["q"].to_numpy()
    for place in range(16):
        which, position = int(inits["trajectory"][place]), int(inits["position"][place])
        own = states.isel(trajectory=which).to_numpy()
        assert np.array_equal(truth[place], own[position + 1 : position + 4])
        assert np.array_equal(drawn.load()["q"][place, 0, 0], own[position])
    # The score of persistence is its absolute error, whose truth is of that split.
    last = np.stack([drawn.load()["q"].isel(member=0).to_numpy()])[0]
    found = session.score(drawn, session.registry.scorer("rmse")).record.summary["scores"]["RMSE"]
    expected = ((last - truth) ** 2).mean((0, 2)) ** 0.5
    assert found == pytest.approx(expected.tolist(), rel=1e-5)


def test_inits_of_the_validation_split_can_be_closer(session: Session, fitted: Entry) -> None:
    dense = session.forecast(fitted, members=2, cases=Cases(split="validation", every=1))
    assert dense.load().sizes["init_time"] == 4 * 12
    assert dense.record.recipe["every"] == 1
    usual = session.forecast(fitted, members=2, cases=Cases(split="validation", every=3))
    assert "every" not in usual.record.recipe


def test_splits_share_no_noise(session: Session, fitted: Entry) -> None:
    """Of a simulator that is noise alone, draws of one split are no draws of the other."""
    experiment = {**TINY, "use": "ou", "simulator": {"memory": 1e-3}}
    dataset = session.simulate("noise", session.registry.experiment(experiment, "noise"))
    oracle = session.train(dataset, session.registry.model("oracle"))
    one, other = (
        session.forecast(oracle, members=4, cases=Cases(split=split)).load()["q"].to_numpy()
        for split in ("test", "validation")
    )
    size = min(len(one), len(other))
    together = np.corrcoef(one[:size].ravel(), other[:size].ravel())[0, 1]
    # Six standard errors of the correlation of independent numbers.
    assert abs(together) < 6 / one[:size].size ** 0.5


def test_cases_that_are_not_there_are_refused(session: Session, fitted: Entry) -> None:
    for cases, told in (
        (Cases(inits=(3, 21)), "has inits 0 to 19, and --inits asks for 3:21"),
        (Cases(inits=(4, 4)), "asks for 4:4"),
        (Cases(leads=4), "--leads can be 1 to 3"),
        (Cases(every=2), "--every is for the validation split"),
    ):
        with pytest.raises(GeobenchError, match=told):
            session.forecast(fitted, members=2, cases=cases)


def test_no_board_or_score_mixes_cases(session: Session, fitted: Entry) -> None:
    graph = _run(session, _study())
    law = session.catalog.get("forecast/tiny.reference.s1000000@1")
    part = session.forecast(fitted, members=5, cases=Cases(inits=(0, 12)))
    with pytest.raises(GeobenchError, match="inits 0:12 of the test split, and a board compares"):
        graph.invite(session.engine, [str(part.reference)])
    lawful = session.registry.scorer("law-crps")
    with pytest.raises(GeobenchError, match="Make a forecast of the law with the options"):
        session.score(part, lawful, law)
    drawn = session.forecast(fitted, members=8, seed=77, cases=Cases(inits=(0, 12)))
    assert len(session.score(part, lawful, drawn).load()["init_time"]) == 12


def test_the_law_of_another_split_is_refused_where_its_states_are_not_kept(
    session: Session,
) -> None:
    experiment = {
        **TINY,
        "use": "lorenz95-two-scale",
        "simulator": {"sites": 6, "fast": 4},
        "spin_up": 3,
    }
    dataset = session.simulate("hidden", session.registry.experiment(experiment, "hidden"))
    oracle = session.train(dataset, session.registry.model("oracle"))
    with pytest.raises(GeobenchError, match="Leave out --split validation"):
        session.forecast(oracle, members=2, cases=Cases(split="validation"))


def test_the_commands_take_the_options(session: Session, fitted: Entry) -> None:
    run = CliRunner()
    given = ["--catalog", str(session.catalog.path), "-q", "forecast", str(fitted.reference)]
    told = run.invoke(main, [*given, "--members", "2", "--inits", "7", "--leads", "1"])
    assert told.output.strip() == "forecast/tiny.oracle.s0.inits0-7.leads1@1"
    told = run.invoke(main, [*given, "--inits", "a:b"])
    assert (told.exit_code, "write N, the first N inits, or A:B" in told.output) == (2, True)


def test_the_example_in_the_docs_is_one(session: Session) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scoring.md").read_text("utf-8")
    section = text.partition("## Events of whole fields")[2]
    (fields,) = [
        each
        for each in yaml.safe_load(section.partition("```yaml\n")[2].partition("```")[0])["scorers"]
        if isinstance(each, dict)
    ]
    fields["control"] = {"states": 4000}
    ring = session.registry.experiment({**TINY, "simulator": {"sites": 12}}, "ring")
    dataset = session.simulate("ring", ring)
    scorer = session.registry.scorer(fields)
    made = session.control(dataset, scorer.events_counted(), scorer.control_run() or Control())
    assert [each.record.recipe["event"]["reduce"] for each in made] == [
        "local",
        "mean",
        "max",
        "count",
        "local",
    ]


def test_the_quick_study_counts_events_of_the_ring_and_of_a_site() -> None:
    path = Path(__file__).parents[2] / "studies" / "quick.yaml"
    scorers = yaml.safe_load(path.read_text())["scorers"]
    events = [each["events"] for each in scorers if isinstance(each, dict)]
    assert [(each["of"], each["quantiles"]) for each in events[0]] == [
        ("energy", [0.99]),
        ("q", [0.99]),
    ]
    assert read_study(path).reference.members == 64
