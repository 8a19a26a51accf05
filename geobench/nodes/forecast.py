"""The node of a forecast: members for every init time and lead time of its cases."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geobench.contracts.model import Forecaster, Task
from geobench.entries.summaries import ForecastSummary
from geobench.errors import GeobenchError, blaming
from geobench.forecasts import layout
from geobench.forecasts.failures import Limits
from geobench.nodes import processes
from geobench.nodes.forecaster import ForecasterNode, forecaster_of
from geobench.nodes.node import Computed, Entries, Job, Named, Node
from geobench.nodes.stored import Stored
from geobench.training import numerics
from geobench.twin.cases import Cases
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from geobench.contracts.state import StateSpec
    from geobench.forecasts.rollout import Block, Cost
    from geobench.forecasts.rounding import Rounding
    from geobench.forecasts.writing import Writer, Written
    from geobench.nodes.engine import Engine
    from geobench.twin.dataset import Dataset
    from geobench_catalog.region import Regions


@dataclass(frozen=True, eq=False, repr=False)
class ForecastNode(Computed):
    """`members` members for every init and lead time of `cases`; default: the test split.

    `seed` is that of the noise; default: the one of the forecaster's training. A member that
    failed (`geobench.forecasts.failures`) is an error, unless `keep_failures`: then it is stored as
    it is, failed members are counted in the record, and the entry ranks below those that finish.
    The law itself fails only where it is not finite. `keep_bits`: round to so many bits of the
    climate's standard deviation; what that changes in the scores stands in the record.
    """

    forecaster: ForecasterNode | Stored
    members: int
    noise: int | None = None
    label: str = ""
    keep_failures: bool = False
    keep_bits: int | None = None
    cases: Cases = Cases()  # noqa: RUF009 # it is frozen
    kind: ClassVar[str] = "forecast"

    @property
    def dataset(self) -> Node:
        """The dataset that it is of."""
        return self.forecaster.dataset

    @property
    def seed(self) -> int:
        """Seed of the noise."""
        return self.forecaster.seed if self.noise is None else self.noise

    def parents(self) -> Mapping[str, Node]:
        """Return the forecaster."""
        return {"forecaster": self.forecaster}

    def recipe(self, engine: "Engine", parents: Entries) -> dict[str, Any]:
        """Return members, seed, rounding and cases; `GeobenchError` if there are no such cases."""
        dataset = engine.catalog.parent(parents["forecaster"], "dataset")
        cases = self.cases.settled(engine.dataset(dataset).experiment, dataset)
        rounding = {"keep_bits": self.keep_bits} if self.keep_bits else {}
        return {"members": self.members, "seed": self.seed} | rounding | cases.recipe()

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return dataset, model, seed and what differs from the default."""
        labels = self.labels_of(parents)
        name = f"{labels['dataset']}.{labels['model']}.s{self.forecaster.seed}"
        if self.seed != self.forecaster.seed:
            name += f".noise{self.seed}"
        return name + self.cases.label()

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the labels of the forecaster, with its own label of the model."""
        labels = dict(parents["forecaster"].labels)
        return labels | ({"model": self.label} if self.label else {})

    @classmethod
    def of(cls, entry: Entry, engine: "Engine") -> Self:
        """Return the node that draws the members again."""
        recipe, record = entry.record.recipe, entry.record
        return cls(
            Stored(engine.catalog.parent(entry, "forecaster"), engine.catalog),
            recipe["members"],
            recipe["seed"],
            record.labels.get("model", ""),
            keep_failures=bool(ForecastSummary.of(entry).failed_members),
            keep_bits=recipe.get("keep_bits"),
            cases=Cases.of(entry),
        )

    @classmethod
    def make(cls, engine: "Engine", jobs: Sequence[Job[Self]]) -> list[Entry]:
        """Draw the members, and write them chunk by chunk."""
        return [job.node._draw(engine, job) for job in jobs]

    def _draw(self, engine: "Engine", job: Job[Any]) -> Entry:
        from geobench.forecasts import rollout, writing

        drawing = Drawing.of(self, engine, job)
        spec, leads, inits = drawing.dataset.spec, drawing.leads, drawing.inits
        numbers = inits * leads * self.members * prod(spec.shape)
        engine.catalog.check_room(4 * numbers, f"the forecast {job.name}")
        shape, batch = blocks(spec, leads, self.members, inits, engine.memory)
        cost, total = rollout.Cost(), writing.Total()
        with (
            engine.draft(job, shared=True) as draft,
            engine.watch(f"forecast {job.name}") as progress,
        ):
            bits = drawing.rounding.bits if drawing.rounding else {}
            writing.allocate(draft, spec, drawing.coords, shape, bits)
            cut = rollout.blocks(inits, self.members, batch)
            results = processes.spread(drawing.into(draft.regions()), cut, engine.processes)
            done = 0
            for block, (spent, written) in zip(cut, results, strict=True):
                draft.take(written.filled)
                cost.add(spent)
                total.add(written)
                done += len(block[0]) * len(block[1])
                progress(done, inits * self.members, "")
            summary = cost.summary(leads) | total.summary() | {"members": self.members * inits}
            if drawing.rounding:
                summary["rounding"] = drawing.rounding.summary(total.loss)
            return draft.publish(summary)


@dataclass(frozen=True)
class Drawing:
    """Draws blocks of a forecast, and writes them into regions of its draft.

    Sent to another process, it opens the catalog there by its address, and computes with the same
    number of threads.
    """

    engine: "Engine"
    forecaster: Stored
    node: ForecastNode
    """The forecast; its cases are settled."""
    label: str
    """What the model is called."""
    regions: "Regions | None" = None
    threads: int | None = None

    @classmethod
    def of(cls, node: ForecastNode, engine: "Engine", job: Job[Any]) -> Self:
        """Prepare a forecast, of which nothing is drawn yet."""
        forecaster = Stored(job.parents["forecaster"], engine.catalog)
        dataset = engine.dataset(forecaster.dataset.entry)
        cases = node.cases.settled(dataset.experiment, dataset.entry)
        stored = replace(node, forecaster=forecaster, cases=cases)
        drawing = cls(engine, forecaster, stored, job.labels["model"])
        _check_start(cases, drawing._restored[1], dataset.entry)
        return drawing

    def into(self, regions: "Regions") -> Self:
        """Say where blocks are written."""
        import torch

        drawing = replace(self, regions=regions, threads=torch.get_num_threads())
        for name in ("_restored", "rounding"):
            drawing.__dict__[name] = getattr(self, name)
        return drawing

    def __reduce__(self) -> tuple[Any, ...]:
        """Send what it is of, and nothing that is open or restored here."""
        fields = (self.engine, self.forecaster, self.node, self.label, self.regions, self.threads)
        return type(self), fields

    def __call__(self, block: "Block") -> "tuple[Cost, Written]":
        """Draw and write a block; return what it cost and how it went."""
        from geobench.forecasts import rollout

        cost, (forecaster, task) = rollout.Cost(), self._restored
        cases = self.node.cases
        with numerics.settled(self.threads), blaming(f"the model {self.label}"):
            with own_randomness():
                states = rollout.of_block(
                    forecaster,
                    self._histories,
                    block,
                    leads=self.leads,
                    seed=self.node.seed,
                    spec=task.spec,
                    cost=cost,
                    device=self.engine.device,
                    stream=cases.stream(),
                    chosen=range(*cases.inits) if cases.inits else None,
                )
            return cost, self._writer.put(block, states)

    @property
    def dataset(self) -> "Dataset":
        """The dataset that it is of."""
        return self.engine.dataset(self.forecaster.dataset.entry)

    @property
    def leads(self) -> int:
        """Lead times."""
        return self.node.cases.steps_of(self.dataset.experiment)

    @property
    def inits(self) -> int:
        """Init times."""
        return self.coords.sizes["init_time"]

    @cached_property
    def coords(self) -> "xr.Dataset":
        """Coordinates of the whole forecast."""
        inits = self.dataset.inits(self.node.cases)
        return _coords(inits, self.leads, self.node.members, self._restored[1])

    @cached_property
    def rounding(self) -> "Rounding | None":
        """How it is rounded, if it is."""
        from geobench.forecasts.rounding import Rounding, bits_of

        if not self.node.keep_bits:
            return None
        dataset, engine = self.dataset, self.engine
        names = [variable.name for variable in dataset.spec.variables]
        kept = bits_of(dataset.climatology, names, self.node.keep_bits)
        scorers = engine.registry.headline_scorers()
        outcome = dataset.outcome(cases=self.node.cases)
        return Rounding(kept, scorers, outcome, engine.context(dataset))

    @cached_property
    def _restored(self) -> tuple[Forecaster, Task]:
        return forecaster_of(self.engine, self.forecaster.entry)

    @cached_property
    def _histories(self) -> "Tensor":
        return self.dataset.histories(self._restored[0].history, self.node.cases)

    @cached_property
    def _writer(self) -> "Writer":
        from geobench.forecasts.writing import Writer

        if self.regions is None:
            raise TypeError("a forecast is drawn before there is a draft of it.")
        task = self._restored[1]
        limits = Limits.of(self.dataset.entry, only_finite=task.law is not None)
        return Writer(
            self.regions, task.spec, self.coords, limits, self.rounding, self.node.keep_failures
        )


def blocks(
    spec: "StateSpec", leads: int, members: int, inits: int, memory: int
) -> tuple[layout.Layout, tuple[int, int]]:
    """How a forecast is stored, and what is drawn at once: whole chunks, whole tiles."""
    from geobench.forecasts.rollout import TILE

    per_member = leads * prod(spec.shape) * 4
    most = max(TILE[1], memory // 4 // (per_member * TILE[0]))  # drawn, copied, stored
    grid = dict(zip(spec.grid_dims, spec.grid, strict=True))
    sizes = {"init_time": inits, "lead_time": leads, "member": members, **grid}
    shape = layout.of_forecast(sizes, 4, most)
    together = shape.chunks["member"]
    batch = max(TILE[0], shape.chunks["init_time"])
    rows = max(1, memory // 4 // (per_member * batch * together))
    return shape, (batch, together * rows)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Raise if a step draws from a global generator: members would depend on their neighbours."""
    with numerics.undrawn(
        "its step draws from a global generator of torch, numpy or Python, so its members would "
        "depend on which are drawn together. Draw from the noise that step is given: "
        "noise.normal(…)."
    ):
        yield


def _coords(inits: "xr.Dataset", leads: int, members: int, task: Task) -> "xr.Dataset":
    import numpy as np
    import xarray as xr

    step = np.timedelta64(round(task.output_step.total_seconds()), "s")
    named = {
        "init_time": (inits["init_time"].to_numpy(), "forecast_reference_time"),
        "lead_time": (np.arange(1, leads + 1) * step, "forecast_period"),
        "member": (np.arange(members), "realization"),
    }
    return xr.Dataset(
        coords={
            key: (key, values, {"standard_name": name}) for key, (values, name) in named.items()
        }
    )


def _check_start(cases: Cases, task: Task, dataset: Entry) -> None:
    if cases.split != "test" and task.law is not None and task.law.states is not None:
        raise GeobenchError(
            f"the law of {dataset.reference} starts from whole states, which are stored for the "
            f"test split alone. Leave out --split {cases.split}."
        )
