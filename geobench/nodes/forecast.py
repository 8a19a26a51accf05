"""The node of a forecast: members for every init time and lead time of its cases."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from geobench.contracts.model import Task
from geobench.entries.summaries import ForecastSummary
from geobench.errors import GeobenchError, blaming
from geobench.forecasts import layout
from geobench.forecasts.failures import Limits
from geobench.nodes.forecaster import ForecasterNode, forecaster_of
from geobench.nodes.node import Computed, Entries, Job, Named, Node
from geobench.nodes.stored import Stored
from geobench.training import numerics
from geobench.twin.cases import Cases
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts.state import StateSpec
    from geobench.forecasts.rounding import Rounding
    from geobench.nodes.engine import Engine
    from geobench.twin.dataset import Dataset

_Block = TypeVar("_Block")


@dataclass(frozen=True, eq=False)
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
        from geobench.forecasts import rollout as forecasting
        from geobench.forecasts.writing import Writer

        entry = job.parents["forecaster"]
        dataset = engine.dataset(engine.catalog.parent(entry, "dataset"))
        cases = self.cases.settled(dataset.experiment, dataset.entry)
        forecaster, task = forecaster_of(engine, entry)
        inits, leads = dataset.inits(cases), cases.steps_of(dataset.experiment)
        _check_start(cases, task, dataset.entry)
        numbers = inits.sizes["init_time"] * leads * self.members * prod(task.spec.shape)
        engine.catalog.check_room(4 * numbers, f"the forecast {job.name}")
        shape, batch = blocks(
            task.spec, leads, self.members, inits.sizes["init_time"], engine.memory
        )
        rounding = self._rounding(engine, dataset, cases)
        cost = forecasting.Cost()
        with engine.draft(job) as draft:
            writer = Writer(
                draft,
                task.spec,
                _coords(inits, leads, self.members, task),
                shape,
                rounding,
                self.keep_failures,
                limits=Limits.of(dataset.entry, only_finite=task.law is not None),
            )
            label = job.labels["model"]
            with engine.watch(f"forecast {job.name}") as progress, blaming(f"the model {label}"):
                drawn = forecasting.forecast(
                    forecaster,
                    dataset.histories(forecaster.history, cases),
                    count=self.members,
                    leads=leads,
                    seed=self.seed,
                    spec=task.spec,
                    batch=batch,
                    cost=cost,
                    device=engine.device,
                    progress=progress,
                    stream=cases.stream(),
                    chosen=range(*cases.inits) if cases.inits else None,
                )
                for piece in _repeatable(drawn):
                    writer.put(*piece)
            members = {"members": self.members * inits.sizes["init_time"]}
            rounded = {"rounding": rounding.summary()} if rounding else {}
            return draft.publish(cost.summary(leads) | writer.summary() | members | rounded)

    def _rounding(self, engine: "Engine", dataset: "Dataset", cases: Cases) -> "Rounding | None":
        from geobench.forecasts.rounding import Rounding, bits_of

        if not self.keep_bits:
            return None
        names = [variable.name for variable in dataset.spec.variables]
        kept = bits_of(dataset.climatology, names, self.keep_bits)
        scorers = engine.registry.headline_scorers()
        return Rounding(kept, scorers, dataset.outcome(cases=cases), engine.context(dataset))


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


def _repeatable(drawn: Iterator[_Block]) -> Iterator[_Block]:
    while True:
        with own_randomness():
            block = next(drawn, None)
        if block is None:
            return
        yield block


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
