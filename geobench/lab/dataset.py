"""A dataset in a notebook: what models learn from, what happened, and the true distribution."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.errors import GeobenchError
from geobench.lab.made import Made, count
from geobench.plots import plottable

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from geobench.contracts.experiment import Control, Event, Experiment
    from geobench.contracts.model import Training
    from geobench.contracts.state import StateSpec
    from geobench.lab.forecast import Forecast
    from geobench.twin import dataset as twin

SPLITS = ("train", "validation", "test")


class Dataset(Made):
    """An experiment realised.

    `data.train`, `data.validation` and `data.test` are xarray datasets `(trajectory, time, *grid)`;
    `data.tensor("train")` is the same as one tensor; `data.windows(64, passes=20_000)` draws
    batches for a training loop of your own.
    """

    kind: ClassVar[str] = "dataset"

    @property
    def realised(self) -> "twin.Dataset":
        """The domain object: simulator, spec, law, outcomes."""
        return self.lab.engine.dataset(self.entry)

    @property
    def experiment(self) -> "Experiment":
        """What was realised."""
        return self.realised.experiment

    @property
    def spec(self) -> "StateSpec":
        """Variables, grid and units of a state, as models are given it."""
        return self.realised.spec

    @property
    def train(self) -> "xr.Dataset":
        """States that models learn from, `(trajectory, time, *grid)`."""
        return self.split("train")

    @property
    def validation(self) -> "xr.Dataset":
        """States on which a training is watched, `(trajectory, time, *grid)`."""
        return self.split("validation")

    @property
    def test(self) -> "xr.Dataset":
        """States in which the cases of the forecasts lie, `(trajectory, time, *grid)`."""
        return self.split("test")

    def split(self, name: str) -> "xr.Dataset":
        """Return a split `(trajectory, time, *grid)`, read from the catalog when it is used.

        `time` is in days or hours, as its attribute `units` says: matplotlib draws no
        `timedelta64`. `to_xarray(name)` has the times as they are stored. Where `tensor(name)` has
        read the split, the variables are views of that tensor: the same memory.
        """
        opened: xr.Dataset = plottable(self.entry.open(_known(name)))
        if name not in self._tensors:
            return opened
        states = self._tensors[name].numpy()
        views = {
            variable.name: (opened[variable.name].dims, states[:, :, channel])
            for channel, variable in enumerate(self.spec.variables)
        }
        attributes = {key: opened[key].attrs for key in views}
        return opened.assign({key: (*view, attributes[key]) for key, view in views.items()})

    @cached_property
    def _tensors(self) -> "dict[str, Tensor]":
        return {}

    @cached_property
    def _training(self) -> "Training":
        from geobench.contracts.model import Task, Training
        from geobench.contracts.room import Room

        room = Room(self.lab.engine.memory // 4, self.lab.catalog.store.folder)
        data = self.realised
        task = Task(data.spec, data.simulator.output_step, data.experiment.history)
        return Training(task, data.split("train", room), data.split("validation", room), room)

    def tensor(self, split: str = "train") -> "Tensor":
        """Return a split as one float32 tensor `(trajectory, time, channel, *grid)`, read once.

        A split that is larger than a quarter of the lab's memory lies in a file that is mapped.
        """
        from geobench.contracts.room import Room

        if _known(split) not in self._tensors:
            if split == "test":
                room = Room(self.lab.engine.memory // 4, self.lab.catalog.store.folder)
                self._tensors[split] = self.realised.split(split, room)
            else:
                self._tensors[split] = getattr(self._training, split)
        return self._tensors[split]

    def windows(
        self, rows: int, *, passes: int, frames: int = 1, leads: int = 1, seed: int = 0
    ) -> "Windows":
        """Return batches for a training loop: `for history, future in data.windows(64, ...)`.

        Each has `rows` windows, drawn at random from the train split: `history` `(row, frame,
        channel, *grid)`, oldest frame first, and `future` `(row, lead, channel, *grid)`. `passes`:
        windows in all. The same seed gives the same batches. Noise for a loss of several members:
        `geobench.Noise.rows(seed, "training", len(history), lead=number_of_the_batch)`.
        """
        if min(rows, passes, frames, leads) < 1:
            raise GeobenchError(
                f"windows of {rows} rows, {passes} passes, {frames} frames and {leads} leads: each "
                f"must be 1 or more."
            )
        self._training.check(frames, leads)
        return Windows(self._training, rows, passes, frames, leads, seed)

    @property
    def climatology(self) -> "xr.Dataset":
        """Mean, standard deviation and quantiles of each variable and cell, from train alone."""
        return self.realised.climatology

    @property
    def truth(self) -> "xr.Dataset":
        """What happened in the cases of the test split, `(init_time, lead_time, *grid)`."""
        return self.realised.outcome()

    def true_distribution(self, members: int = 32, seed: int = 1_000_000) -> "Forecast":
        """Return draws of the true distribution, for every case of the test split.

        The default is the forecast with which studies compare.
        """
        return self.lab.forecast(self.lab.train("oracle", self, seed=seed), members=members)

    def control(self, *events: "str | Event", run: "Control | None" = None) -> "list[xr.Dataset]":
        """Run the simulator freely; return the counts of what each event measures.

        Default: all events of the experiment. `run`: how long, and with which seed.
        """
        from geobench.contracts.experiment import Control

        known = {event.name: event for event in self.experiment.events}
        chosen = [_event(event, known) for event in events] or [*known.values()]
        entries = self.lab.session.control(self.entry, chosen, run or Control())
        return [entry.load() for entry in entries]

    def plot(self, kind: str = "state", **options: Any) -> Any:
        """Draw a trajectory with matplotlib; return the axes: see `geobench.plots.state`.

        A Hovmöller diagram of one grid dim, a map of two. Options: `variable`, `split`,
        `trajectory`, `time`, `ax`.
        """
        from geobench.lab.drawing import plot_dataset

        return plot_dataset(self, kind, **options)

    def _facts(self) -> Mapping[str, Any]:
        recipe = self.entry.record.recipe
        variables = ", ".join(f"{v.name} [{v.units}]" for v in self.spec.variables)
        grid = " x ".join(f"{dim.name} {dim.size}" for dim in self.spec.dims)
        splits = [f"{name} {recipe[name]['trajectories']}" for name in SPLITS]
        return {
            "experiment": self.experiment.title,
            "variables": variables,
            "grid": grid,
            "trajectories": ", ".join(splits),
            "lead times": count(self.experiment.leads),
            "test inits": count(self.realised.inits(_whole()).sizes["init_time"]),
        }


@dataclass(frozen=True)
class Windows:
    """Batches of windows of the train split, for a training loop."""

    training: "Training" = field(repr=False)
    rows: int
    passes: int
    frames: int
    leads: int
    seed: int

    def __len__(self) -> int:
        """Return how many batches there are."""
        return -(-self.passes // self.rows)

    def __iter__(self) -> "Iterator[tuple[Tensor, Tensor]]":
        """Draw one batch after the other, `(history, future)`."""
        from geobench.contracts.noise import Noise

        for batch in range(len(self)):
            rows = min(self.rows, self.passes - batch * self.rows)
            noise = Noise.rows(self.seed, "windows", rows, lead=batch)
            drawn = self.training.windows(noise, self.frames, self.leads)
            yield drawn[:, : self.frames], drawn[:, self.frames :]


def _known(split: str) -> str:
    if split not in SPLITS:
        raise GeobenchError(f"a dataset has no split '{split}'. Choose one of {', '.join(SPLITS)}.")
    return split


def _event(event: "str | Event", known: "Mapping[str, Event]") -> "Event":
    if not isinstance(event, str):
        return event
    if event not in known:
        names: Sequence[str] = [*known] or ["none"]
        raise GeobenchError(f"the experiment has no event '{event}'. It has: {', '.join(names)}.")
    return known[event]


def _whole() -> Any:
    from geobench.twin.cases import Cases

    return Cases()
