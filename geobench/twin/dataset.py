"""A dataset of the catalog as what it stands for: an experiment realised."""

from functools import cached_property
from typing import TYPE_CHECKING

from geobench.contracts.law import Law
from geobench.contracts.model import EnsembleModel, Task
from geobench.entries.summaries import ControlSummary, DatasetSummary
from geobench.errors import GeobenchError
from geobench.twin.cases import Cases
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from geobench.contracts.experiment import Control, Event, Experiment
    from geobench.contracts.room import Room
    from geobench.contracts.scorer import Context
    from geobench.contracts.simulator import Simulator
    from geobench.contracts.state import StateSpec
    from geobench.registry import Registry
    from geobench.scoring import Piece
    from geobench.twin.field_events import FieldEvents


class Dataset:
    """What models are given, what happened, and what is known of the true distribution.

    What it has read it keeps: the outcomes of the cases that were asked for last, thresholds of
    events. `memory`: bytes that outcomes may take; beyond, each piece reads what it needs.
    """

    def __init__(self, entry: Entry, registry: "Registry", memory: int = 2**30) -> None:
        self.entry, self._registry, self._memory = entry, registry, memory
        self._outcomes: tuple[Cases, xr.Dataset, xr.Dataset] | None = None
        self._thresholds: dict[tuple[Event, Control | None], xr.DataArray] = {}
        self.ends: tuple[float | None, float | None] | None = None
        """Scores of the climate and of the law on the validation windows, once they are known."""

    def __repr__(self) -> str:
        recipe = self.entry.record.recipe
        simulator = recipe.get("simulator", {}).get("use")
        return f"<Dataset {self.entry.reference}: {simulator}, {recipe.get('leads')} lead times>"

    @cached_property
    def simulator(self) -> "Simulator":
        """The simulator that made it; `GeobenchError` if it is not here."""
        recipe = self.entry.record.recipe["simulator"]
        try:
            return self._registry.simulator(recipe)
        except GeobenchError as error:
            raise GeobenchError(
                f"{self.entry.reference} was made by the simulator {recipe.get('use')} "
                f"{recipe.get('version')}, and that is not here: {error} If it is a plugin, "
                f"install it or name its file with --plugin."
            ) from error

    @cached_property
    def experiment(self) -> "Experiment":
        """What was realised."""
        _ = self.simulator  # if it is missing, that is the error to report
        return self._registry.experiment(self.entry.record.recipe, str(self.entry.reference))

    @cached_property
    def spec(self) -> "StateSpec":
        """What models are given: the simulator's state, or the part of it that is shown."""
        return self.simulator.spec.select(self.experiment.shown)

    @property
    def law(self) -> Law:
        """The true distribution, given what models are given; its states are read each time."""
        from geobench.twin.simulating import as_tensor

        experiment = self.experiment
        shown = self.simulator.spec.channels(experiment.shown)
        if shown is None and experiment.assimilation is None:
            return Law(self.simulator)
        states = as_tensor(self.simulator.spec, self.entry.load("law"))
        return Law(self.simulator, shown, states, experiment.given == "state")

    @property
    def exact(self) -> bool:
        """Whether draws of the true distribution are exact."""
        return not DatasetSummary.of(self.entry).inexact_law

    def task(self, model: EnsembleModel) -> Task:
        """What a model is asked to do; one that may is given the law."""
        law = self.law if model.knows_law else None
        return Task(self.spec, self.simulator.output_step, self.experiment.history, law)

    # -- what models are given

    def split(self, name: str, room: "Room") -> "Tensor":
        """The states of a split `(trajectory, time, channel, *grid)`."""
        from geobench.twin.simulating import as_tensor, pieces

        with self.entry.reading():
            opened = self.entry.open(name)
            shape = opened.sizes["trajectory"], opened.sizes["time"], *self.spec.shape
            states = room.empty(*shape)
            for index, piece in pieces(opened):
                states[index] = as_tensor(self.spec, piece)
                room.used(1, states[index].nbytes)
        return states

    def first_states(self, count: int) -> "Tensor":
        """The first states of the train split: `(1, time, channel, *grid)`."""
        from geobench.twin.simulating import as_tensor

        first = {"trajectory": [0], "time": slice(count)}
        with self.entry.reading():
            return as_tensor(self.spec, self.entry.open("train").isel(first).load())

    def inits(self, cases: Cases) -> "xr.Dataset":
        """Trajectory and position of each init of the cases."""
        return cases.chosen(self.experiment, self.entry)

    def histories(self, frames: int, cases: Cases | None = None) -> "Tensor":
        """The frames up to each init time of a split: `(init, frame, channel, *grid)`.

        Of all inits of the split, also where the cases are some of them.
        """
        import torch

        from geobench.twin.simulating import as_tensor, pieces

        self.check_history(frames)
        cases = cases or Cases()
        inits = cases.every_init(self.experiment, self.entry)
        which = torch.from_numpy(inits["trajectory"].to_numpy())
        position = torch.from_numpy(inits["position"].to_numpy())
        histories = torch.empty(len(which), frames, *self.spec.shape)
        with self.entry.reading():
            for (rows, times), piece in pieces(self.entry.open(cases.split)):
                states = as_tensor(self.spec, piece)
                for frame in range(frames):
                    time = position + frame + 1 - frames
                    here = (which >= rows.start) & (which < rows.stop)
                    here &= (time >= times.start) & (time < times.stop)
                    histories[here, frame] = states[
                        which[here] - rows.start, time[here] - times.start
                    ]
        return histories

    def check_history(self, frames: int) -> None:
        """Raise unless a forecaster that looks at so many frames is given as many."""
        given = self.experiment.history
        if frames > given:
            raise GeobenchError(
                f"it needs {frames} past frames, and the experiment gives {given}. Raise the "
                f"experiment's history, or give the model fewer frames."
            )

    # -- what happened

    def outcome(self, piece: "Piece | None" = None, cases: Cases | None = None) -> "xr.Dataset":
        """What happened after each init, `(init_time, lead_time, *grid)`; default: of all.

        `piece`: of some of the `cases`, which are by default those of the test split.
        """
        from geobench import scoring

        cases = cases or Cases()
        if self._outcomes is None or self._outcomes[0] != cases:
            truth = self.entry.open(self.experiment.truth_group(cases.split))
            if 8 * truth.nbytes <= self._memory:
                with self.entry.reading():
                    truth = truth.load()
            self._outcomes = cases, truth, self.inits(cases)
        _, truth, inits = self._outcomes
        leads = cases.steps_of(self.experiment)
        whole = piece or scoring.Piece((0, inits.sizes["init_time"]), (0, leads))
        names = [variable.name for variable in self.spec.variables]
        with self.entry.reading():
            outcome = scoring.verifying(
                truth, inits.isel(init_time=slice(*whole.inits)), leads, names
            )
        return outcome.isel(lead_time=slice(*whole.leads))

    def frame(self, cases: Cases) -> "xr.Dataset":
        """Coordinates of the outcomes, with values for the first init alone."""
        from geobench import scoring

        piece = scoring.Piece((0, 1), (0, cases.steps_of(self.experiment)))
        first = self.outcome(piece, cases)
        inits = self.inits(cases)["init_time"].to_numpy()
        return first.isel(init_time=0, drop=True).assign_coords(init_time=("init_time", inits))

    # -- what is known

    @cached_property
    def climatology(self) -> "xr.Dataset":
        """Mean, standard deviation and quantiles of each variable and cell, from train alone."""
        return self.entry.load("climatology")

    @cached_property
    def context(self) -> "Context":
        """What scorers may know of it, but for thresholds of events."""
        import xarray as xr

        from geobench.contracts.scorer import Context
        from geobench.contracts.state import AREA

        spec = self.spec
        thresholds, std = (
            xr.Dataset({
                variable.name: self.climatology[f"{variable.name}_{kind}"]
                for variable in spec.variables
            })
            for kind in ("threshold", "std")
        )  # fmt: skip
        sea, areas = (
            xr.DataArray(array, dims=spec.grid_dims) for array in (spec.sea, spec.cell_areas)
        )
        return Context(
            thresholds.drop_vars(AREA, errors="ignore").to_dataarray("variable"),
            sea,
            std.drop_vars(AREA, errors="ignore").to_dataarray("variable"),
            periodic=tuple(dim.name for dim in spec.dims if dim.periodic),
            areas=None if spec.equal_areas else areas,
            measure=self.measure,
        )

    @cached_property
    def measure(self) -> "FieldEvents":
        """Measures events on its fields."""
        from geobench.twin.field_events import FieldEvents

        return FieldEvents(self.simulator, self.experiment.shown)

    def thresholds(
        self, event: "Event", run: "Control | None", control: Entry | None
    ) -> "xr.DataArray":
        """Thresholds `(quantile, place)` of an event by its control run, or by the train split."""
        if (event, run) not in self._thresholds:
            if control is None:
                with self.entry.reading():
                    train = self.entry.open(self.experiment.truth_group("train"))
                    limits = self.measure.limits_of_train(event, train)
            else:
                states = ControlSummary.of(control).states
                limits = self.measure.limits_of_control(event, control.load(), states)
            self._thresholds[event, run] = limits
        return self._thresholds[event, run]
