"""Events of whole fields against the true law: how probable they are, model over law."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from geobench import Context, Control, Event, GeobenchError, Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import xarray as xr

    _Averaged = tuple[str, list[xr.DataArray], Callable[[xr.DataArray], xr.DataArray]]

_NEVER = 3.0  # expected hits of which none comes with a probability of exp(-3), 5 %


class LawEvents(Scorer):
    """How probable events of fields are, by the members over by the law, and how well case by case.

    An event is anything that a diagnostic of the simulator passes: the energy of the domain, the
    mean, maximum or count over it or over windows, single cells. p = k/M of the members, p* = j/K
    of the draws of the law. Each event and quantile has four numbers. `p/p*` is the mean of p over
    the mean of p*; the second is its logarithm. The `squared error of p` is (p - p*)² less what
    sampling adds, p (1 - p) / (M - 1) and p* (1 - p*) / (K - 1); it has no bias. The `explained
    variance of p*` is 1 less that error over the variance of p*, which is estimated without bias,
    too. Means are taken over cases and, if an event has several places, over them by their areas.

    If no member hits, the logarithm is an upper limit: that of a mean p of 3 / (cases M), at which
    no hit comes in 5 %. If no draw of the law hits, p/p* is a lower limit likewise.
    """

    name = "law-events"
    family = "extremes"
    better = "zero"
    fair = True
    needs_law = True
    least_members = 2
    units = "1"
    orientations: ClassVar["Mapping[str, Literal['lower', 'higher', 'one', 'zero']]"] = {
        "p/p*": "one",
        "squared error of p": "lower",
        "explained variance of p*": "one",
    }

    events: tuple[Event, ...] = Field(
        (),
        description="events and their quantiles; default: every variable at single cells, at the "
        "experiment's quantiles",
    )
    control: Control | None = Field(
        Control(),
        description="control run that thresholds are taken from; null: the train split, as for a "
        "small experiment. The default events have thresholds of the train split in any case",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        names = [event.name for event in self.events]
        if len(set(names)) < len(names):
            raise ValueError(f"events have names of their own, and these have not: {names}")
        if self.within is not None and self.events:
            raise ValueError("within is not for events: give each the region it is about")
        return self

    def events_counted(self) -> tuple[Event, ...]:
        """Those of the field."""
        return self.events

    def control_run(self) -> Control | None:
        """That of the field."""
        return self.control

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return means over places `(init_time, lead_time, event)`.

        Of p of the `members` and of the `law`, of the debiased `squared` error, and of p*² without
        bias (`square`); with the probability that is `least` seen by either, one over its number.
        """
        import xarray as xr

        from geobench_plugins.kernels.ensembles import law_of

        drawn = forecast, law_of(forecast, context)
        failed = (forecast.isnull() & context.sea).any(("member", "variable", *context.sea.dims))
        counts = [sample.sizes["member"] for sample in drawn]
        parts: dict[str, xr.Dataset] = {}
        for label, (p, q), average in self._of(drawn, context):
            parts[label] = _compared(p, q, average, *counts)
        labels = xr.DataArray(list(parts), dims="event", name="event")
        means = xr.concat(list(parts.values()), labels, coords="minimal", compat="override")
        return means.where(~failed).transpose("init_time", "lead_time", "event")

    def _of(
        self, drawn: "tuple[xr.DataArray, xr.DataArray]", context: Context
    ) -> "Iterator[_Averaged]":
        """Each event with its quantile, its probabilities by members and law, and their average.

        The probabilities are of each case and place.
        """
        if not self.events:
            yield from _of_cells(drawn, context)
            return
        assert context.measure is not None  # noqa: S101 # the framework sees to it
        for event in self.events:
            limits = context.limits[event, self.control]
            both = [context.measure(event, sample) for sample in drawn]
            for quantile in event.quantiles:
                limit = limits.sel(quantile=quantile, drop=True)
                hits = [
                    measured > limit if event.side == "above" else measured < limit
                    for measured in both
                ]
                named = f"{event.name} {100 * quantile:g}%"
                yield named, [hit.mean("member") for hit in hits], _over_places

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return all four for each event; what lies between the law and itself is ideal."""
        import numpy as np
        import xarray as xr

        p, q = means["members"], means["law"]
        cases = float(means.attrs.get("cases", np.inf))
        least = [_NEVER / cases * means[f"least_{kind}"] for kind in ("members", "law")]
        itself = means["least_law"] == 0
        known = (p > 0) | (q > 0)
        seen = q.where(q > 0, least[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (p / seen).where(known)
            logarithm = xr.DataArray(np.log(p.where(p > 0, least[0]) / seen))
            variance = means["square"] - q**2
            explained = (1 - means["squared"] / variance).where(variance > 0)
        kinds = {
            "log p/p*": logarithm.where(known).where(~itself, 0.0),
            "p/p*": ratio.where(~itself, 1.0),
            "squared error of p": means["squared"],
            "explained variance of p*": explained.where(~itself, 1.0),
        }
        return xr.Dataset(
            {
                f"{kind} {label}": values.isel(event=index, drop=True)
                for kind, values in kinds.items()
                for index, label in enumerate(means["event"].to_numpy().tolist())
            }
        )


def _of_cells(
    drawn: "tuple[xr.DataArray, xr.DataArray]", context: Context
) -> "Iterator[_Averaged]":
    """Every variable at single cells, above the climatological quantiles of the train split."""
    for variable in drawn[0]["variable"].to_numpy().tolist():
        limits = context.thresholds.sel(variable=variable, drop=True)
        both = [sample.sel(variable=variable, drop=True) for sample in drawn]
        for index, quantile in enumerate(limits["quantile"].to_numpy().tolist()):
            limit = limits.isel(quantile=index, drop=True)
            probabilities = [(sample > limit).mean("member") for sample in both]
            yield f"{variable} {100 * quantile:g}%", probabilities, context.average


def _over_places(values: "xr.DataArray") -> "xr.DataArray":
    """Mean over places by their areas, which are 1 on average."""
    return (values * values["area"]).mean("place").drop_vars("area", errors="ignore")


def _compared(
    p: "xr.DataArray",
    q: "xr.DataArray",
    average: "Callable[[xr.DataArray], xr.DataArray]",
    members: int,
    draws: int,
) -> "xr.Dataset":
    """Means over places: of p, p*, and of squares without the bias of `members` and `draws`."""
    import xarray as xr

    if draws < 2:
        raise GeobenchError(
            "law-events needs 2 draws of the law at the least. Use a forecast of the law with more "
            "members."
        )
    noise = [
        probability * (1 - probability) / (count - 1) if count > 1 else probability * float("nan")
        for probability, count in ((p, members), (q, draws))
    ]
    parts = {
        "members": p,
        "law": q,
        "squared": (p - q) ** 2 - noise[0] - noise[1],
        "square": q**2 - noise[1],
    }
    means = xr.Dataset({name: average(part) for name, part in parts.items()})
    one = xr.ones_like(means["law"])
    return means.assign(least_members=one / members, least_law=one / draws)
