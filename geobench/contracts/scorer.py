"""The contract of a scorer: statistics per case, and a function of their means."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from geobench.contracts.plugin import Plugin
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts.experiment import Control, Event
    from geobench.contracts.presentation import Curve

Blaming = Callable[[str], AbstractContextManager[None]]
"""What names the owner of code that fails within it."""
Orientation = Literal["lower", "higher", "one", "zero"]
IDEALS: "Mapping[str, int]" = {"one": 1, "zero": 0}
"""Of scores of which neither lower nor higher is better: the best value."""
Units = Literal["of the variable", "of the variable, squared", "1"]
UNITS: "Mapping[str, int]" = {"of the variable": 1, "of the variable, squared": 2, "1": 0}
"""What a scorer may declare, and the power of the variable's units that it stands for."""


def excess(better: Orientation, values: Any, law: Any) -> Any:
    """How much worse `values` are than the scores of the law, numbers or arrays; below 0: better.

    values - law where lower scores are better, law - values where higher ones are. Where scores
    near an ideal of 1 or 0 are better, |values - ideal| - |law - ideal|: a ratio of 0.5 is worse
    than the law's 1.0 by 0.5, and so is 1.5.
    """
    if better in IDEALS:
        ideal = IDEALS[better]
        return abs(values - ideal) - abs(law - ideal)
    return law - values if better == "higher" else values - law


Region = tuple[tuple[float, float], ...] | None
"""Bounds along each grid dim as shares of its length; None: everywhere."""


def unblamed(_owner: str) -> AbstractContextManager[None]:
    """Let an error pass."""
    return nullcontext()


@dataclass(frozen=True)
class Context:
    """What a scorer may know beside forecast and truth.

    thresholds: climatological quantiles `(quantile, variable, *grid)`, from train alone.
    sea: where the grid holds values `(*grid)`.
    std: climatological standard deviations `(variable, *grid)`, from train alone.
    law: draws of the true law of the same cases, with the dims of the forecast, for scorers that
    need it.
    periodic: names of the grid dims that close on themselves.
    areas: of the cells, `(*grid)`, of which only ratios count; None: all are equally large.
    measure: gives the values of an event `(…, place)` on fields `(…, variable, *grid)`, by the
    simulator's diagnostics. The coordinate `area` weighs the places; their mean is 1.
    limits: thresholds `(quantile, place)` of the events that the scorers given here count
    (`Scorer.events_counted`), by event and control run.
    device: where compiled work is done: "cpu", or an accelerator that a scorer may use.

    What several scorers need of the same cases is computed once (`shared`).
    """

    thresholds: "xr.DataArray"
    sea: "xr.DataArray"
    std: "xr.DataArray"
    law: "xr.DataArray | None" = None
    periodic: tuple[str, ...] = ()
    device: str = "cpu"
    areas: "xr.DataArray | None" = None
    measure: "Callable[[Event, xr.DataArray], xr.DataArray] | None" = None
    limits: "Mapping[tuple[Event, Control | None], xr.DataArray]" = field(default_factory=dict)
    _kept: "dict[tuple[str, int, int], tuple[object, object, xr.Dataset]]" = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def shared(
        self,
        key: str,
        forecast: "xr.DataArray",
        truth: "xr.DataArray",
        make: "Callable[[], xr.Dataset]",
    ) -> "xr.Dataset":
        """Return what `make` returned for `key` and these very arrays, or call it."""
        identity = key, id(forecast), id(truth)
        if identity not in self._kept:
            self._kept[identity] = forecast, truth, make()  # held, so that no other has their id
        return self._kept[identity][2]

    def within(self, region: Region) -> "Context":
        """Return what is known of a part of the grid: the rest counts as land."""
        if region is None:
            return self
        import numpy as np

        if len(region) != self.sea.ndim:
            raise GeobenchError(
                f"within bounds {len(region)} dims of {self.sea.ndim}. Give a pair of bounds for "
                f"each of {', '.join(str(dim) for dim in self.sea.dims)}."
            )
        inside = self.sea
        for (dim, size), (low, high) in zip(self.sea.sizes.items(), region, strict=True):
            middle = (np.arange(size) + 0.5) / size
            mask = inside.isel(dict.fromkeys(set(inside.dims) - {dim}, 0)).copy(
                data=(low <= middle) & (middle <= high)
            )
            inside = inside & mask.drop_vars(mask.coords)
        if not bool(inside.any()):
            raise GeobenchError("within holds no cell of the sea. Widen it.")
        return replace(self, sea=inside.transpose(*self.sea.dims))

    @property
    def weights(self) -> "xr.DataArray":
        """Weights of the cells in averages `(*grid)`: their areas, or 1; 0 on land."""
        sea = self.sea.astype(float)
        return sea if self.areas is None else sea * self.areas

    def average(self, field: "xr.DataArray") -> "xr.DataArray":
        """Mean over the grid's sea cells, by area. NaN stays NaN: a failed value is never dropped.

        What a scorer averages over cells by itself is to be weighed by `weights`. Summed in double
        precision, whatever the field's is: large values do not overflow.
        """
        sea, areas, dims = self.sea, self.areas, self.sea.dims
        known = [sea] if areas is None else [sea, areas]
        if field.chunks is None and _match_by_place(field, known):
            return self._average_of_numbers(field)
        at_sea = field.where(sea, 0.0)
        if areas is None:
            return at_sea.sum(dims, skipna=False, dtype=float) / sea.sum()
        return (at_sea * areas).sum(dims, skipna=False, dtype=float) / self.weights.sum()

    def _average_of_numbers(self, field: "xr.DataArray") -> "xr.DataArray":
        """The same in a tenth of the time: nothing has to be aligned."""
        import numpy as np

        sea: Any = self.sea.variable  # much of which has no types
        areas: Any = None if self.areas is None else self.areas.variable
        total = (sea if areas is None else sea.astype(float) * areas).sum().to_numpy()
        is_sea = sea.set_dims(field.dims).to_numpy()
        sizes = None if areas is None else areas.set_dims(field.dims).to_numpy()

        def mean(values: Any, axis: Any) -> Any:
            kept = np.where(is_sea, values, 0.0)
            with np.errstate(all="ignore"):  # as xarray does
                summed = np.sum(kept if sizes is None else kept * sizes, axis, dtype=float)
                return summed / total

        average: xr.DataArray = field.reduce(mean, self.sea.dims)
        names = {array.name for array in (field, self.sea, self.areas) if array is not None}
        return average if len(names) == 1 else average.rename(None)


def _match_by_place(field: "xr.DataArray", known: "list[xr.DataArray]") -> bool:
    """Whether what is known of the grid has no labels, and the field has all of its dims."""
    return all(
        not array.coords and all(field.sizes.get(dim) == size for dim, size in array.sizes.items())
        for array in known
    )


class Scorer(Plugin):
    """Statistics per init and lead time whose means, and only they, decide the score.

    Averages, regions, bins and intervals belong to the framework, so `metric` must work on means
    over any set of cases. A NaN in a member makes the case NaN. `within` is applied by the
    framework, too: outside, cells are land to the scorer.
    """

    better: ClassVar[Orientation] = "lower"
    """Which scores are better: lower ones, higher ones, or those near one or zero."""
    fair: ClassVar[bool] = False
    """Whether its expectation does not depend on the number of members."""
    proper: ClassVar[bool] = False
    """Whether nothing is better than the law in expectation, at any number of members."""
    needs_law: ClassVar[bool] = False
    """Whether it compares with draws of the law (`context.law`); it is then zero at the law."""
    whole_paths: ClassVar[bool] = False
    """Whether a case depends on lead times before its own, which must then be read with it."""
    cells_by_area: ClassVar[bool] = True
    """Whether a cell counts by its area alone: two halves with its values are as good as it."""
    orientations: ClassVar["Mapping[str, Orientation]"] = {}
    """Which values are better of scores that differ from `better`, by how their names begin."""
    units: ClassVar[Units] = "of the variable"
    """'of the variable', 'of the variable, squared', or '1' if it has none.

    A score of several variables together has none.
    """
    sitewise: ClassVar[bool] = False
    """Whether its statistics are averages over cells of what each cell says by itself.

    Then means over cases can be kept for each cell (`maps`), of which score maps are made.
    """
    least_members: ClassVar[int] = 1
    """With fewer members than these there is no score: the framework makes it NaN.

    A single member is a point mass. Its CRPS is the distance from the outcome; a score of the
    spread needs 2.
    """

    family: ClassVar[str] = "Other scores"
    """Which scores it is shown with: a key of `FAMILIES`, or the title of a family of its own."""
    headline: ClassVar[bool] = False
    """Whether a study that names no scorers uses it, and rounding is measured in it."""

    within: Region = Field(
        None, description="part of the grid: bounds along each dim as shares of its length"
    )

    maps: bool = Field(
        False, description="keep means over cases for each cell, too, for score maps"
    )

    @classmethod
    def no_score(cls, members: int) -> str | None:
        """Say why a forecast of so few members has no score; None if it has one."""
        if members >= cls.least_members:
            return None
        what = "a single member has no spread" if members == 1 else f"there are {members}"
        return f"{cls.name} needs {cls.least_members} members or more, and {what}"

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        if any(not 0 <= low < high <= 1 for low, high in self.within or ()):
            raise ValueError("bounds of within must rise, within 0 and 1")
        return self

    @model_validator(mode="after")
    def _maps_are_of_sites(self) -> Self:
        if self.maps and not self.sitewise:
            raise ValueError("it has no value of its own for each cell, so leave maps out")
        return self

    def recipe(self) -> dict[str, Any]:
        """Everything that decides what is stored of it; the defaults of these two are left out."""
        recipe = super().recipe()
        asked = {"within": self.within, "maps": self.maps}
        return {key: value for key, value in recipe.items() if asked.get(key, True)}

    def law_form(self) -> "Scorer | Mapping[str, Any] | str | None":
        """Name the scorer that estimates this score's excess from draws of the true distribution.

        The law form compares the same members in the same way with draws of the law
        (`needs_law`) instead of one outcome: same columns, regions and fields, lower is better.
        Its score is E[score(members, y)] - E[score(law, y)] over outcomes y of the law, without
        bias at any number of members and draws. Where there are such draws, excess, skill,
        intervals and ranks come from it, with far less noise. Kernel scores have one (CRPS,
        energy, Brier, variogram). Return a scorer or its recipe; None: there is none.
        """
        return None

    def curves(self) -> "Sequence[Curve]":
        """Figures that its mean statistics hold beside the scores."""
        return ()

    def orientation(self, column: str) -> Orientation:
        """Which values of one of its scores are better, by the score's name."""
        matching = (way for start, way in self.orientations.items() if column.startswith(start))
        return next(matching, self.better)

    def events_counted(self) -> "tuple[Event, ...]":
        """Events whose thresholds it asks for (`context.limits`)."""
        return ()

    def control_run(self) -> "Control | None":
        """The control run that those thresholds are taken from; None: the train split."""
        return None

    @abstractmethod
    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return statistics over `(init_time, lead_time, variable, …)`.

        `forecast` is `(init_time, lead_time, member, variable, *grid)`, `truth` the same without
        `member`. The member and grid dims are consumed; nothing is averaged over cases.
        """

    @abstractmethod
    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Turn means of the statistics over cases into scores `(lead_time, variable, …)`."""
