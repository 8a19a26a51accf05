"""The node of a control run: a long free run of a dataset's simulator, kept as counts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.contracts.experiment import Control, Event
from geobench.contracts.plugin import validated
from geobench.contracts.scorer import Scorer
from geobench.errors import blaming
from geobench.nodes.node import Computed, Entries, Job, Named, Node, Recipe
from geobench.nodes.stored import Stored
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine


@dataclass(frozen=True, eq=False, repr=False)
class ControlNode(Computed):
    """Counts of what an event measures in a control run; thresholds at any quantile follow."""

    dataset: Node
    event: Event
    run: Control
    kind: ClassVar[str] = "control"

    def parents(self) -> Mapping[str, Node]:
        """Return the dataset, of which the experiment and the simulator are used alone."""
        return {"dataset": self.dataset}

    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return what decides the counts; raise `version` when counts change."""
        from geobench.twin import control

        experiment = engine.dataset(parents["dataset"]).experiment
        states = control.states_of(experiment, self.run.states)
        event = self.event.measure()
        return {"version": "1", "event": event, "states": states, "seed": self.run.seed}

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return the dataset's name with what is measured."""
        reduce = [self.event.reduce] if self.event.reduce != "local" else []
        return ".".join([parents["dataset"].name, self.event.of, *reduce])

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the dataset's name."""
        return {"dataset": parents["dataset"].name}

    def work(self, recipe: Recipe, parents: Entries) -> tuple[Recipe, Entries]:
        """Return the dataset alone: one run serves many events."""
        return {}, parents

    @classmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that runs and counts again."""
        recipe, owner = entry.record.recipe, str(entry.reference)
        event = validated(Event, {"name": "measured"} | recipe["event"], owner)
        run = validated(Control, {key: recipe[key] for key in ("states", "seed")}, owner)
        return cls(Stored(engine.catalog.parent(entry, "dataset"), engine.catalog), event, run)

    @classmethod
    def make(cls, engine: "Engine", jobs: Sequence[Job[Self]]) -> list[Entry]:
        """Run once for all events that ask for the same run; equal counts are stored once."""
        return _made(engine, jobs)


def controls_of(dataset: Node, scorer: Scorer) -> dict[str, ControlNode]:
    """Return the control runs that a scorer's thresholds are from, by role.

    A scorer without such thresholds has none.
    """
    run = scorer.control_run()
    if run is None:
        return {}
    events = scorer.events_counted()
    return {f"control.{event.name}": ControlNode(dataset, event, run) for event in events}


def _made(engine: "Engine", jobs: Sequence[Job[ControlNode]]) -> list[Entry]:
    made: dict[str, Entry] = {}
    once = {_key(job): job for job in jobs}
    ordered = sorted(once.items(), key=lambda item: _run_of(item[1]))
    for _, alike in groupby(ordered, key=lambda item: _run_of(item[1])):
        keys, same_run = zip(*alike, strict=True)
        made |= dict(zip(keys, _counted(engine, same_run), strict=True))
    return [made[_key(job)] for job in jobs]


def _key(job: Job[ControlNode]) -> str:
    return json.dumps(job.recipe, sort_keys=True)


def _run_of(job: Job[ControlNode]) -> tuple[int, int]:
    return job.recipe["states"], job.recipe["seed"]


def _counted(engine: "Engine", jobs: Sequence[Job[ControlNode]]) -> list[Entry]:
    """Run the simulator once, and publish the counts of each event."""
    from geobench.twin import control

    first = jobs[0]
    dataset = engine.dataset(first.parents["dataset"])
    experiment, simulator = dataset.experiment, dataset.simulator
    states, seed = _run_of(first)
    rows = control.rows_of(experiment, states)
    with (
        engine.watch(f"control run of {dataset.entry.record.name}") as progress,
        blaming(f"the simulator {simulator.name}"),
    ):
        counted = control.count(
            [job.node.event for job in jobs],
            experiment,
            simulator,
            states=states,
            rows=rows,
            seed=seed,
            progress=progress,
        )
    entries = []
    for job, counts in zip(jobs, counted, strict=True):
        with engine.draft(job) as draft:
            draft.write(counts)
            summary = {"states": rows * -(-states // rows), "trajectories": rows}
            entries.append(draft.publish(summary))
    return entries
