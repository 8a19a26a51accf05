"""Which cases a forecast is of: some or all inits of the test or the validation split."""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from geobench.contracts.experiment import Experiment
from geobench.contracts.plugin import Fields
from geobench.entries.summaries import ForecastSummary
from geobench.errors import GeobenchError
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr


class Cases(Fields):
    """Inits and lead times of a forecast; default: all of the test split."""

    split: Literal["test", "validation"] = "test"
    inits: tuple[NonNegativeInt, NonNegativeInt] | None = Field(
        None, description="numbers of the first init and of the one after the last; default: all"
    )
    every: PositiveInt | None = Field(
        None,
        description="output steps between two inits of the validation split; default: as many as "
        "lead times, or as in the test split if that is more",
    )
    leads: PositiveInt | None = Field(None, description="output steps; default: the experiment's")

    @classmethod
    def of(cls, forecast: Entry) -> Self:
        """Return those of a forecast in the catalog."""
        recipe = forecast.record.recipe
        return cls.model_validate({k: recipe[k] for k in cls.model_fields if k in recipe})

    def recipe(self) -> dict[str, Any]:
        """What differs from the default, for the recipe of a forecast."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def steps_of(self, experiment: Experiment) -> int:
        """Lead times."""
        return self.leads or experiment.leads

    def stream(self) -> str:
        """Name of the noise: that of another split is independent."""
        return "forecast" if self.split == "test" else f"forecast/{self.split}"

    def settled(self, experiment: Experiment, dataset: Entry) -> Self:
        """Check that there are such cases; what is asked for as it is anyhow is left out."""
        if self.leads and self.leads > experiment.leads:
            raise GeobenchError(
                f"{dataset.reference} has the outcome of {experiment.leads} lead times, so "
                f"--leads can be 1 to {experiment.leads}."
            )
        if self.every and self.split == "test":
            raise GeobenchError(
                "--every is for the validation split: inits of the test split are those of the "
                "experiment. Add --split validation, or choose some by --inits."
            )
        total = self.every_init(experiment, dataset).sizes["init_time"]
        first, stop = self.inits or (0, total)
        if not first < stop <= total:
            raise GeobenchError(
                f"the {self.split} split of {dataset.reference} has inits 0 to {total - 1}, and "
                f"--inits asks for {first}:{stop}. Ask for A:B with A < B <= {total}."
            )
        changes = {
            "leads": None if self.leads == experiment.leads else self.leads,
            "inits": None if (first, stop) == (0, total) else (first, stop),
            "every": None if self.every == _spacing(experiment) else self.every,
        }
        return self.model_validate(self.model_dump() | changes)

    def every_init(self, experiment: Experiment, dataset: Entry) -> "xr.Dataset":
        """All inits of the split: `trajectory` and `position` of each `init_time`."""
        if self.split == "test":
            return dataset.load("inits")
        return _validation(experiment, self.every or _spacing(experiment), dataset)

    def chosen(self, experiment: Experiment, dataset: Entry) -> "xr.Dataset":
        """Inits that are forecast, as in `every_init`."""
        inits = self.every_init(experiment, dataset)
        return inits if self.inits is None else inits.isel(init_time=slice(*self.inits))

    def described(self) -> str:
        """Say what they are, in words."""
        inits = "all inits" if self.inits is None else f"inits {self.inits[0]}:{self.inits[1]}"
        spaced = f", one in {self.every} output steps" if self.every else ""
        leads = f", {self.leads} lead times" if self.leads else ""
        return f"{inits} of the {self.split} split{spaced}{leads}"

    def label(self) -> str:
        """Short form for the name of an entry; empty by default."""
        parts = [
            "" if self.split == "test" else self.split,
            f"every{self.every}" if self.every else "",
            f"inits{self.inits[0]}-{self.inits[1]}" if self.inits else "",
            f"leads{self.leads}" if self.leads else "",
        ]
        return "".join(f".{part}" for part in parts if part)


def check_whole(forecast: Entry) -> None:
    """Raise unless a forecast is of all inits and lead times of the test split, as boards are."""
    cases = Cases.of(forecast)
    if cases != Cases():
        raise GeobenchError(
            f"{forecast.reference} is of {cases.described()}, and a board compares forecasts of "
            f"all inits and lead times of the test split. Score it by itself: geobench score "
            f"{forecast.reference}."
        )


def member_counts(forecast: Entry) -> list[int] | None:
    """How many members each init has, where that differs; they are its first ones."""
    return ForecastSummary.of(forecast).member_counts


def check_equal_members(forecast: Entry, command: str) -> None:
    """Raise unless all inits of a forecast have as many members."""
    counts = member_counts(forecast)
    if counts:
        raise GeobenchError(
            f"{forecast.reference} has {min(counts)} to {max(counts)} members, by init, and "
            f"{command} needs as many at each. Import it with {min(counts)} members of each init."
        )


def check_same(forecast: Entry, law: Entry) -> None:
    """Raise unless a forecast and draws of the law are of the same cases."""
    one, other = Cases.of(forecast), Cases.of(law)
    if one != other:
        raise GeobenchError(
            f"{forecast.reference} is of {one.described()}, and {law.reference} of "
            f"{other.described()}. Make a forecast of the law with the options of the first."
        )


def from_text(text: str) -> tuple[int, int]:
    """Read `N`, the first N inits, or `A:B`, those from A to before B."""
    first, colon, stop = text.rpartition(":")
    ends = (first if colon else "0", stop)
    if not all(end.isdigit() for end in ends):
        raise GeobenchError(f"--inits {text}: write N, the first N inits, or A:B, such as 128:256.")
    return int(ends[0]), int(ends[1])


def _spacing(experiment: Experiment) -> int:
    """Output steps between inits of the validation split: lead times share no valid time."""
    return max(experiment.leads, experiment.test.every)


def _validation(experiment: Experiment, every: int, dataset: Entry) -> "xr.Dataset":
    """Inits of the validation split, dated as those of the test split are."""
    import numpy as np
    import xarray as xr

    from geobench.twin.simulating import FIRST, LAST

    split, history = experiment.validation, experiment.history
    places = np.arange(history - 1, split.steps - experiment.leads, every)
    if not len(places):
        raise GeobenchError(
            f"trajectories of the validation split of {dataset.reference} have {split.steps} "
            f"states: too few for {history} of history and {experiment.leads} lead times. Make a "
            f"dataset with longer ones (validation.steps)."
        )
    with dataset.reading():
        time = dataset.open("validation")["time"].to_numpy()
    which = np.repeat(np.arange(split.trajectories), len(places))
    position = np.tile(places, split.trajectories)
    step = time[1] - time[0]
    start, last = np.datetime64(FIRST, "ns"), np.datetime64(LAST, "ns")
    if split.trajectories * split.steps * step > last - start:
        raise GeobenchError(
            f"the validation split of {dataset.reference} is too long to be dated between "
            f"{FIRST.date()} and {LAST.date()}."
        )
    return xr.Dataset(
        {"trajectory": ("init_time", which), "position": ("init_time", position)},
        {"init_time": start + (which * split.steps + position) * step},
    )
