"""Runs that share a study: what another run is at is left for later, and waited for at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from geobench.errors import BusyError, GeobenchError
from geobench.study import compare
from geobench.study import run as running


def _row(label: str) -> Any:
    return SimpleNamespace(
        cell=SimpleNamespace(label=label, seed=0), forecast=f"forecast of {label}", scores=[label]
    )


class _Study:
    """An experiment with the reference, the baseline and a model."""

    study = SimpleNamespace(baseline="climatology")

    def __init__(self) -> None:
        labels = (running.REFERENCE, "climatology", "fgn")
        self.experiments = {"tiny": None}
        self.rows = [_row(label) for label in labels]

    def of(self, _: str) -> Any:
        return SimpleNamespace(dataset="dataset", rows=self.rows)


@dataclass
class _Engine:
    """Makes nodes, unless another run is at them for some more times; some fail."""

    busy: dict[str, int]
    fails: str = ""
    wait: bool = True
    made: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)

    def ensure_all(self, nodes: Sequence[str], known: dict[str, str]) -> None:
        assert not self.wait
        for node in nodes:
            if node in known:
                continue
            if self.busy.get(node):
                self.busy[node] -= 1
                raise BusyError(f"another process is making {node}")
            if node == self.fails:
                raise GeobenchError(f"{node} cannot be made")
            known[node] = node
            self.made.append(node)

    @contextmanager
    def watch(self, title: str) -> Iterator[None]:
        self.watched.append(title)
        yield


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a run, none of which lasts; a board is the labels that it compares."""
    pauses: list[float] = []

    def competitor(_study: object, _engine: object, row: Any, known: dict[str, str]) -> str:
        assert {row.forecast, *row.scores} <= {*known}
        return str(row.cell.label)

    def board(_study: object, _name: str, left: Any, _outcome: object) -> list[str]:
        return [label for _, label in sorted(left.made.items())]

    monkeypatch.setattr(running, "competitor", competitor)
    monkeypatch.setattr(running, "_board", board)
    monkeypatch.setattr(running.time, "sleep", pauses.append)
    return pauses


def _run(engine: _Engine) -> compare.Outcome:
    return running.run(_Study(), engine)  # type: ignore[arg-type]


def test_what_another_run_is_at_is_done_last(slept: list[float]) -> None:
    engine = _Engine({"forecast of climatology": 1})
    outcome = _run(engine)
    assert outcome.boards == [[running.REFERENCE, "climatology", "fgn"]]
    assert engine.made[-2:] == ["forecast of climatology", "climatology"]
    assert (slept, engine.watched) == ([], [])  # there was something else to do


@pytest.mark.parametrize("node", ["dataset", "fgn"])
def test_a_run_waits_where_there_is_nothing_else_to_do(slept: list[float], node: str) -> None:
    engine = _Engine({node: 4})
    outcome = _run(engine)
    assert len(engine.made) == len({*engine.made}) == 1 + 2 * 3
    assert outcome.boards == [[running.REFERENCE, "climatology", "fgn"]]
    assert slept == [running.PATIENCE] * (4 if node == "dataset" else 3)
    assert engine.watched == ["wait for another run of this study"]  # once


def test_a_model_that_fails_leaves_the_others_and_the_baseline_does_not(
    slept: list[float],
) -> None:
    outcome = _run(_Engine({"forecast of climatology": 1}, fails="forecast of fgn"))
    assert outcome.boards == [[running.REFERENCE, "climatology"]]
    assert [str(each) for each in outcome.failures] == ["tiny: forecast of fgn cannot be made"]
    outcome = _run(_Engine({}, fails="climatology"))
    assert outcome.boards == []
    assert [str(each) for each in outcome.failures] == ["tiny: climatology cannot be made"]
    assert slept == []


# -- what is compared


def _competitor(label: str, error: str = "") -> Any:
    def read_all(like: object) -> None:
        if error:
            raise GeobenchError(error)

    return SimpleNamespace(label=label, seed=0, read_all=read_all, forecast=f"forecast of {label}")


@pytest.mark.parametrize("label", [compare.REFERENCE, "climatology"])
def test_nothing_is_compared_without_the_scores_of_the_law_and_the_baseline(label: str) -> None:
    outcome, study = compare.Outcome(), _Study()
    competitors = [_competitor(compare.REFERENCE), _competitor("climatology")]
    competitors += [_competitor("fgn", "it is damaged")]
    kept = compare.readable(study, "tiny", competitors, outcome)  # type: ignore[arg-type]
    assert kept == competitors[:2]
    (failure,) = outcome.failures
    assert str(failure) == "tiny: fgn (seed 0) is left out: it is damaged"
    competitors[label == "climatology"] = _competitor(label, "it is damaged")
    with pytest.raises(GeobenchError, match=r"^it is damaged$"):
        compare.readable(study, "tiny", competitors, outcome)  # type: ignore[arg-type]


def test_a_model_whose_plugin_is_gone_may_be_random() -> None:
    def model(recipe: dict[str, str]) -> Any:
        if recipe["use"] == "gone":
            raise GeobenchError("no model is called 'gone'")
        return SimpleNamespace(deterministic=True)

    def deterministic(use: str) -> bool:
        study = SimpleNamespace(registry=SimpleNamespace(model=model))
        record = SimpleNamespace(recipe={"model": {"use": use}})
        own = SimpleNamespace(forecaster=SimpleNamespace(record=record))
        return compare._deterministic(study, own)  # type: ignore[arg-type]

    assert [deterministic(use) for use in ("persistence", "gone", compare.FOREIGN)] == [
        True, False, False,
    ]  # fmt: skip


def test_what_knows_the_law_or_has_failed_is_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def verdicts(_: object, forecast: str, law: str, *words: Any, classify: bool) -> list[Any]:
        asked.append((forecast, law, *words, classify))
        return [SimpleNamespace(score="CRPS", value=2.0, law=1.0, p=0.01, q=0.02)]

    monkeypatch.setattr(compare.against_law, "verdicts", verdicts)
    rows = [
        SimpleNamespace(knows_law=knows, failed=failed, entries={"forecast": f"forecast/{name}@1"})
        for name, knows, failed in (("oracle", True, 0), ("fgn", False, 0), ("edm", False, 2))
    ]
    comparison = SimpleNamespace(
        board=SimpleNamespace(rows=rows),
        competitors=[_competitor(name) for name in ("oracle", "fgn", "edm")],
        reference=_competitor("the law"),
    )
    study, engine = SimpleNamespace(scorers=["crps"]), SimpleNamespace(forecast=str)
    tested = compare.exact(study, engine, comparison, 99)  # type: ignore[arg-type]
    assert tested == {"forecast/fgn@1": [("CRPS", 2.0, 1.0, 0.01, 0.02)]}
    assert asked == [("forecast of fgn", "forecast of the law", ["crps"], 99, False)]
