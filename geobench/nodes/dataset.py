"""The node of a dataset: an experiment that is realised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.contracts.experiment import Experiment
from geobench.errors import blaming
from geobench.forecasts import layout
from geobench.forecasts.failures import BEYOND
from geobench.nodes.node import Computed, Entries, Job, Named, Node
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine
    from geobench.twin.realising import Twin
    from geobench_catalog.draft import Draft


@dataclass(frozen=True, eq=False, repr=False)
class DatasetNode(Computed):
    """An experiment's trajectories, climatology and init times, called `title`."""

    label: str
    experiment: Experiment
    kind: ClassVar[str] = "dataset"

    def parents(self) -> Mapping[str, Node]:
        """Return nothing: a dataset is made from its recipe alone."""
        return {}

    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return the experiment without its title."""
        return experiment_recipe(self.experiment)

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return its label."""
        return self.label

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return its label and the title of the experiment."""
        return {"dataset": self.label, "title": self.experiment.title}

    @classmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that realises a dataset's experiment again."""
        fields = {**entry.record.recipe, "title": entry.record.labels.get("title", "")}
        experiment = engine.registry.experiment(fields, str(entry.reference))
        return cls(entry.record.name, experiment)

    @classmethod
    def make(cls, engine: "Engine", jobs: Sequence[Job[Self]]) -> list[Entry]:
        """Realise the experiment."""
        return [job.node._realise(engine, job) for job in jobs]

    def _realise(self, engine: "Engine", job: Job[Any]) -> Entry:
        from geobench.twin import simulating
        from geobench.twin.realising import Twin

        experiment, registry = self.experiment, engine.registry
        simulator = registry.simulator(experiment.simulator)
        assimilation = experiment.assimilation and registry.assimilation(experiment.assimilation)
        sizes = simulating.splits(experiment).values()
        states = sum(rows * steps for rows, steps in sizes)
        engine.catalog.check_room(
            4 * states * prod(simulator.spec.shape), f"the dataset {job.name}"
        )
        with engine.draft(job) as draft:
            owner = f"the simulator {simulator.name}"
            if assimilation:
                owner += f", followed by {assimilation.name}"
            with blaming(owner):
                twin = Twin(experiment, simulator, assimilation or None)
                self._write_splits(engine, draft, twin)
                for plugin in (simulator, *([assimilation] if assimilation else [])):
                    plugin.check_files()
            train = draft.read(experiment.truth_group("train"))
            climatology = simulating.climatology(experiment, train, engine.memory // 8)
            draft.write(climatology, group="climatology")
            draft.write(simulating.inits(experiment, draft.read("test")), group="inits")
            analysis = {"analysis": twin.skill} if assimilation else {}
            return draft.publish(
                {"states": states, "inexact_law": experiment.inexact_law, **analysis}
            )

    def _write_splits(self, engine: "Engine", draft: "Draft", twin: "Twin") -> None:
        from geobench.twin import simulating

        for split in simulating.splits(self.experiment):
            with engine.watch(f"simulate {self.label}: {split}") as progress:
                for group, dim, block in twin.realise(split, progress):
                    chunks = layout.of_trajectories(block, dim).chunks
                    draft.write(block, group=group, append=dim, chunks=chunks)


def experiment_recipe(experiment: Experiment) -> dict[str, Any]:
    """Return all that decides the numbers of a dataset."""
    recipe = experiment.model_dump(mode="json", exclude={"title"})
    if recipe["failed_beyond"] == BEYOND:  # older datasets do not name it
        del recipe["failed_beyond"]
    return recipe
