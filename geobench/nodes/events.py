"""The node of event probabilities: how many members of a forecast have each event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.errors import GeobenchError, blaming
from geobench.nodes.forecast import ForecastNode
from geobench.nodes.node import Computed, Entries, Job, Named, Node
from geobench.nodes.stored import Stored
from geobench.twin.cases import check_equal_members
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine


@dataclass(frozen=True, eq=False, repr=False)
class EventsNode(Computed):
    """Probabilities of the experiment's events in a forecast, for each init and lead time.

    For an oracle's forecast that is p*(x0), the true probability. Thresholds are quantiles of
    the train split's truth.
    """

    forecast: ForecastNode | Stored
    kind: ClassVar[str] = "events"

    def parents(self) -> Mapping[str, Node]:
        """Return the forecast and its dataset."""
        return {"forecast": self.forecast, "dataset": self.forecast.dataset}

    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return the events of the experiment; `GeobenchError` if there are none."""
        check_equal_members(parents["forecast"], "geobench events")
        events = engine.dataset(parents["dataset"]).experiment.events
        if not events:
            raise GeobenchError(
                f"{parents['dataset'].reference}: the experiment names no events. Add some."
            )
        return {"events": [event.model_dump(mode="json") for event in events]}

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return the name of the forecast."""
        return parents["forecast"].name

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the labels of the forecast."""
        return dict(parents["forecast"].labels)

    @classmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that counts again."""
        return cls(Stored(engine.catalog.parent(entry, "forecast"), engine.catalog))

    @classmethod
    def make(cls, engine: "Engine", jobs: Sequence[Job[Self]]) -> list[Entry]:
        """Count the events over the members."""
        return [_count(engine, job) for job in jobs]


def _count(engine: "Engine", job: Job[Any]) -> Entry:
    from geobench.twin import probabilities

    dataset, forecast = engine.dataset(job.parents["dataset"]), job.parents["forecast"]
    experiment, simulator = dataset.experiment, dataset.simulator
    states = probabilities.Whole(simulator, experiment.shown)
    with (
        engine.draft(job) as draft,
        engine.watch(f"events {job.name}") as progress,
        blaming(f"the simulator {simulator.name}"),
    ):
        with dataset.entry.reading():
            train = dataset.entry.open(experiment.truth_group("train"))
            limits = probabilities.thresholds(experiment.events, states, train)
        counted = probabilities.count(
            experiment.events,
            states,
            limits,
            forecast.open(),
            forecast.reading,
            progress,
            engine.memory,
        )
        draft.write(counted)
        return draft.publish({"members": int(counted.attrs["members"])})
