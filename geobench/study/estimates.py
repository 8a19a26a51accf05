"""What the missing steps of a study will cost, from what the same kind of step has cost before.

A step is compared with recorded ones of the same simulator, model and scorer, and the cost is
scaled by the amount of work: states, training passes, members, inits and lead times, cells. Where
nothing like it was recorded, the cost is unknown. Machines and devices are not distinguished.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from geobench.contracts.experiment import Experiment
from geobench.errors import GeobenchError
from geobench.nodes.control import ControlNode
from geobench.nodes.dataset import DatasetNode
from geobench.nodes.engine import Engine
from geobench.nodes.forecast import ForecastNode
from geobench.nodes.forecaster import ForecasterNode
from geobench.nodes.node import Node
from geobench.nodes.scores import ScoreNode
from geobench.registry import Registry
from geobench.twin import control, simulating
from geobench_catalog import CatalogError

_MOST = 10_000  # entries that are compared with, the newest ones
_Record = Mapping[str, Any]


class Estimate(NamedTuple):
    """What a step will cost; None: nothing like it was recorded."""

    seconds: float | None = None
    memory: int | None = None
    """Bytes by which memory grows; known of trainings alone."""
    disk: int | None = None


class _Work(NamedTuple):
    """A kind of step, how much there is to do, and how much to store."""

    like: str
    amount: float
    stored: float


class _Cost(NamedTuple):
    """What a recorded step took."""

    work: _Work
    seconds: float | None
    memory: int | None
    disk: int


@dataclass(frozen=True)
class _Data:
    """Sizes of a dataset."""

    experiment: Experiment
    cells: int

    @classmethod
    def of(cls, experiment: Experiment, registry: Registry) -> "_Data":
        return cls(experiment, prod(registry.simulator(experiment.simulator).spec.shape))

    @property
    def source(self) -> tuple[Any, Any]:
        """What it is made with."""
        assimilation = self.experiment.assimilation or {}
        return self.experiment.simulator.get("use"), assimilation.get("use")

    @property
    def states(self) -> int:
        return sum(rows * steps for rows, steps in simulating.splits(self.experiment).values())

    @property
    def cases(self) -> int:
        test = self.experiment.test
        return test.trajectories * test.inits * self.experiment.leads

    def dataset(self) -> _Work:
        return _work(("dataset", *self.source), self.states * self.cells)

    def control(self, states: int) -> _Work:
        return _work(("control", *self.source), states * self.cells, 1)

    def forecaster(self, model: Mapping[str, Any]) -> _Work:
        training = model.get("training") or {}
        passes = training.get("passes", 1) if isinstance(training, Mapping) else 1
        return _work(("forecaster", *self.source, _trained(model)), passes * self.cells, 1)

    def forecast(self, model: Mapping[str, Any], members: int) -> _Work:
        like = ("forecast", *self.source, _trained(model))
        return _work(like, members * self.cases * self.cells)

    def score(self, scorer: Any, members: int) -> _Work:
        return _work(("score", *self.source, scorer), members * self.cases * self.cells, self.cases)


def _work(like: tuple[Any, ...], amount: float, stored: float | None = None) -> _Work:
    return _Work(json.dumps(like, sort_keys=True), amount, amount if stored is None else stored)


def _trained(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model without what changes between trainings of different length."""
    kept = {key: value for key, value in model.items() if key not in ("training", "version")}
    training = model.get("training")
    if isinstance(training, Mapping):
        kept["training"] = {key: value for key, value in training.items() if key != "passes"}
    return kept


class Estimates:
    """Costs that a catalog has recorded."""

    def __init__(self, engine: Engine) -> None:
        self._registry = engine.registry
        self._costs: dict[str, list[_Cost]] = {}
        for cost in _recorded(engine):
            self._costs.setdefault(cost.work.like, []).append(cost)

    def of(self, node: Node) -> Estimate:
        """Return what a node will cost."""
        work = _work_of(node, self._registry)
        known = self._costs.get(work.like, []) if work else []
        if work is None or not known:
            return Estimate()
        nearest = min(known, key=lambda cost: abs(math.log(cost.work.amount / work.amount)))
        times, larger = work.amount / nearest.work.amount, work.stored / nearest.work.stored
        seconds = None if nearest.seconds is None else nearest.seconds * times
        return Estimate(seconds, nearest.memory, round(nearest.disk * larger))


def _work_of(node: Node, registry: Registry) -> _Work | None:
    """Return the work of a node of a study; None if it is of another kind."""
    if isinstance(node, DatasetNode):
        return _Data.of(node.experiment, registry).dataset()
    dataset = getattr(node, "dataset", None)
    if isinstance(node, ScoreNode):
        dataset = node.forecast.dataset
    if not isinstance(dataset, DatasetNode):
        return None
    data = _Data.of(dataset.experiment, registry)
    if isinstance(node, ControlNode):
        return data.control(control.states_of(data.experiment, node.run.states))
    if isinstance(node, ForecasterNode):
        return data.forecaster(node.model.recipe())
    if isinstance(node, ForecastNode) and isinstance(node.forecaster, ForecasterNode):
        return data.forecast(node.forecaster.model.recipe(), node.members)
    if isinstance(node, ScoreNode) and isinstance(node.forecast, ForecastNode):
        return data.score(node.scorer.recipe().get("use"), node.forecast.members)
    return None


def _recorded(engine: Engine) -> Iterator[_Cost]:
    """Go through the catalog: what each entry took, newest first."""
    newest = f"SELECT id, record FROM entries ORDER BY created DESC LIMIT {_MOST}"  # noqa: S608
    _, rows = engine.catalog.index.sql(newest)
    records: dict[str, _Record] = {entry_id: json.loads(text) for entry_id, text in rows if text}
    data: dict[str, _Data] = {}
    for record in records.values():
        try:
            work = _work_of_record(record, records, data, engine.registry)
        except (GeobenchError, CatalogError, KeyError, TypeError, ValueError, AttributeError):
            continue  # another program's, or its plugins are not here
        if work and work.amount > 0 and work.stored > 0:
            summary = record["summary"]
            is_score = record["kind"] == "score"
            seconds = summary.get("scoring_seconds") if is_score else record["seconds"]
            yield _Cost(work, seconds, summary.get("peak_memory"), record["size"])


def _work_of_record(
    record: _Record, records: Mapping[str, _Record], data: dict[str, _Data], registry: Registry
) -> _Work | None:
    def parent(child: _Record, role: str) -> _Record:
        return records[child["parents"][role]["id"]]

    def sizes(dataset: _Record) -> _Data:
        if dataset["key"] not in data:
            experiment = registry.experiment(dataset["recipe"], dataset["name"])
            data[dataset["key"]] = _Data.of(experiment, registry)
        return data[dataset["key"]]

    kind, recipe = record["kind"], record["recipe"]
    if kind == "dataset":
        return sizes(record).dataset()
    if kind == "control":
        return sizes(parent(record, "dataset")).control(recipe["states"])
    if kind == "forecaster":
        return sizes(parent(record, "dataset")).forecaster(recipe["model"])
    forecast = record if kind == "forecast" else parent(record, "forecast")
    if not set(forecast["recipe"]) <= {"members", "seed", "keep_bits"}:
        return None  # it is of other cases than the test split
    forecaster, members = parent(forecast, "forecaster"), forecast["recipe"]["members"]
    own = sizes(parent(forecaster, "dataset"))
    if kind == "forecast":
        return own.forecast(forecaster["recipe"]["model"], members)
    return own.score(recipe["use"], members) if kind == "score" else None
