"""The node of a forecaster: a model fitted to a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.contracts.model import EnsembleModel, Forecaster, Run, Task, Training
from geobench.entries.recipes import FOREIGN
from geobench.errors import GeobenchError, blaming
from geobench.nodes.dataset import DatasetNode
from geobench.nodes.node import Computed, Entries, Job, Named, Node
from geobench.nodes.stored import Stored
from geobench.training import numerics
from geobench.training.stored_weights import WEIGHTS, restored, stored
from geobench_catalog import Entry

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from geobench.nodes.engine import Engine
    from geobench.twin.dataset import Dataset


SOURCE = "source.py"
"""Text of a model that lives in a session; it is kept to be read, and never run."""


@dataclass(frozen=True, eq=False, repr=False)
class ForecasterNode(Computed):
    """A model, fitted to the train and validation splits of a dataset with a seed.

    A model that has the weights of another one (`EnsembleModel.trained`) is restored from that.
    """

    dataset: DatasetNode | Stored
    model: EnsembleModel
    seed: int = 0
    label: str = ""
    kind: ClassVar[str] = "forecaster"
    collective: ClassVar[bool] = True

    @cached_property
    def weights(self) -> "ForecasterNode | None":
        """The forecaster that its weights are from, if that is another one."""
        trained = self.model.trained()
        if trained.recipe() == self.model.recipe():
            return None
        return ForecasterNode(self.dataset, trained, self.seed)

    def parents(self) -> Mapping[str, Node]:
        """Return the dataset, and the forecaster that its weights are from."""
        parents: dict[str, Node] = {"dataset": self.dataset}
        return parents | ({"weights": self.weights} if self.weights else {})

    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return the model and the seed."""
        return {"model": self.model.recipe(), "seed": self.seed}

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return dataset, label and seed."""
        return f"{parents['dataset'].name}.{self.label or self.model.name}.s{self.seed}"

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the label of the model and the name of the dataset."""
        return {"model": self.label or self.model.name, "dataset": parents["dataset"].name}

    def check(self, engine: "Engine", parents: Entries) -> None:
        """Raise if the model refuses the dataset's states."""
        if "dataset" in parents:
            with blaming(f"the model {self.label or self.model.name}"):
                self.model.check(engine.dataset(parents["dataset"]).task(self.model))

    @classmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that trains again."""
        recipe, dataset = entry.record.recipe, engine.catalog.parent(entry, "dataset")
        model = _model_of(engine, entry)
        label = entry.record.labels.get("model", "")
        return cls(Stored(dataset, engine.catalog), model, recipe["seed"], label)

    @classmethod
    def make(cls, engine: "Engine", jobs: Sequence[Job[Self]]) -> list[Entry]:
        """Train or restore; of several processes the first one publishes."""
        made = [job.node._make(engine, job) for job in jobs]
        return [entry for entry in made if entry]

    def _make(self, engine: "Engine", job: Job[Any]) -> Entry | None:
        from geobench.training import processes

        first = processes.rank() == 0
        if "weights" in job.parents:
            return self._restore(engine, job) if first else None
        if first:
            claimed = engine.catalog.work(self.kind, job.recipe, job.parents)
            with claimed as folder, numerics.settled(_threads_begun_with(folder)):
                return self._train(engine, job, folder)
        dataset = engine.dataset(job.parents["dataset"])
        training = training_of(engine, dataset, self.model)
        with (
            numerics.settled(engine.threads),
            blaming(f"the model {job.labels['model']}"),
            numerics.seeded(self.seed),
        ):
            self.model.fit(training, run_of(engine, dataset, self.model, self.seed, training))
        return None

    def _train(self, engine: "Engine", job: Job[Any], folder: "Path") -> Entry:
        """Fit the model and publish it; checkpoints and logs are kept in `folder` meanwhile."""
        import torch

        from geobench.training import cost

        with engine.draft(job) as draft:
            dataset = engine.dataset(job.parents["dataset"])
            training = training_of(engine, dataset, self.model)
            run = run_of(engine, dataset, self.model, self.seed, training)
            run.folder = folder
            label = job.labels["model"]
            with engine.watch(f"train {job.name}") as progress, blaming(f"the model {label}"):
                run.progress = progress
                memory = cost.PeakMemory(run.device)
                with numerics.seeded(self.seed):
                    forecaster = self.model.fit(training, run)
                self.model.check_files()
                peak = memory.grown()
                content = stored(self.model, forecaster, training.task)
                step = cost.StepCost.of(forecaster, training.train[:1, : training.task.history])
            draft.write_file(WEIGHTS, content)
            offer = engine.registry.offers.get(("model", self.model.name))
            if offer and offer.source:
                draft.write_file(SOURCE, offer.source.encode())
            for path in sorted(folder.glob("*training")) + sorted(folder.glob("*.csv")):
                draft.write_file(path.name, path.read_bytes())
            draft.write(training_log(run))
            return draft.publish(
                {
                    **cost.summary(forecaster, run, step),
                    "peak_memory": peak,
                    "knows_law": self.model.knows_law,
                    "device": engine.device,
                    "threads": torch.get_num_threads(),
                }
            )

    def _restore(self, engine: "Engine", job: Job[Any]) -> Entry:
        """Publish the model with the weights of another forecaster; training cost what that did."""
        from geobench.training import cost

        weights = job.parents["weights"]
        with engine.draft(job) as draft:
            content, dataset = weights.content(WEIGHTS), engine.dataset(job.parents["dataset"])
            task = dataset.task(self.model)
            history = dataset.first_states(task.history)
            with blaming(f"the model {job.labels['model']}"):
                forecaster = restored(self.model, content, task)
                dataset.check_history(forecaster.history)
                step = cost.StepCost.of(forecaster, history)
            draft.write_file(WEIGHTS, content)
            draft.write(weights.load())
            return draft.publish(
                {
                    **weights.record.summary,
                    **step.summary(),
                    "trained_as": str(weights.reference),
                }
            )


def run_of(
    engine: "Engine", dataset: "Dataset", model: EnsembleModel, seed: int, training: Training
) -> Run:
    """Return what a model is told of how to fit; two numbers of the law, where it is exact."""
    from geobench.contracts.validation import Validation
    from geobench.training import processes, validating

    run = Run(
        seed,
        processes.device(engine.device),
        checkpoint_every=engine.checkpoint_every,
        recipe=model.recipe(),
    )
    if model.knows_law:
        return run
    validation = Validation.of(training)
    law = dataset.law
    if validation is not None and law.states is None:
        if dataset.ends is None:
            ends = validating.with_ends(validation, training, law)
            dataset.ends = ends.climatology, ends.oracle
        climatology, oracle = dataset.ends
        validation = replace(validation, climatology=climatology, oracle=oracle)
    run.validation = validation
    return run


def forecaster_of(engine: "Engine", entry: Entry) -> tuple[Forecaster, Task]:
    """Restore a forecaster of the catalog, on the device of the engine."""
    model_recipe = entry.record.recipe["model"]
    if model_recipe.get("use") == FOREIGN:
        raise GeobenchError(
            f"{entry.reference} stands for a forecast that was imported; there is nothing of it to "
            f"forecast with. Score its forecast."
        )
    model = _model_of(engine, entry)
    task = engine.dataset(engine.catalog.parent(entry, "dataset")).task(model)
    with numerics.settled(engine.threads), blaming(f"the model {entry.record.labels['model']}"):
        forecaster = restored(model, entry.content(WEIGHTS), task)
        model.check_files()
    if forecaster.network is not None:
        forecaster.network.to(engine.device)
    return forecaster, task


def _model_of(engine: "Engine", entry: Entry) -> EnsembleModel:
    """Build the model of a forecaster; the error names a model of another session as such."""
    recipe = entry.record.recipe["model"]
    try:
        return engine.registry.model(recipe)
    except GeobenchError as error:
        if SOURCE not in entry.manifest:
            raise
        raise GeobenchError(
            f"{entry.reference} was made in a session of Python, in which '{recipe.get('use')}' is "
            f"defined. Define it there and call lab.forecaster or lab.register; its text is kept: "
            f"lab.get('{entry.reference}').source."
        ) from error


def training_log(run: Run) -> "xr.Dataset":
    """One variable for each series, each along a dim of its own: they may differ in length."""
    import xarray as xr

    return xr.Dataset({key: (f"{key}_record", values) for key, values in run.log.items()})


def training_of(engine: "Engine", dataset: "Dataset", model: EnsembleModel) -> Training:
    """Return what a model is fitted to: a split that is large lies in a file without a name."""
    from geobench.contracts.room import Room
    from geobench.training import processes

    room = Room(engine.memory // 4, engine.catalog.store.folder)
    device = processes.device(engine.device)
    train, validation = (dataset.split(name, room).to(device) for name in ("train", "validation"))
    return Training(dataset.task(model), train, validation, room)


def _threads_begun_with(folder: "Path") -> int:
    """Threads of the training at work in `folder`: after a stop it goes on with as many."""
    import torch

    kept = folder / "threads"
    text = kept.read_text("utf-8") if kept.exists() else ""
    if not text.isdigit():  # the first time, or a write that was interrupted
        text = str(torch.get_num_threads())
        kept.write_text(text, "utf-8")
    return int(text)
