"""Scorers of single cells, of the law and of events."""

from typing import ClassVar

import xarray as xr

from geobench import Context, Control, Event, Scorer


def _distance(one, other):
    """Mean distance of the members of two ensembles."""
    return abs(one - other.rename(member="other")).mean(["member", "other"], skipna=False)


def _among(ensemble):
    """Half of the mean distance between two members; 0 if there is one only."""
    count = ensemble.sizes["member"]
    return _distance(ensemble, ensemble) * count / max(1, count - 1) / 2


class CRPS(Scorer):
    """Fair CRPS of single cells."""

    name = "earlier-crps"
    fair = True
    proper = True

    def law_form(self):
        return LawCRPS(within=self.within)

    def statistics(self, forecast, truth, context: Context):
        def make():
            error = abs(forecast - truth).mean("member", skipna=False)
            return context.average(error - _among(forecast)).to_dataset(name="crps")

        return context.shared("earlier-crps", forecast, truth, make)

    def metric(self, means):
        return means.rename(crps="CRPS")


class LawCRPS(Scorer):
    """Excess of the same over draws of the law."""

    name = "earlier-law-crps"
    fair = True
    proper = True
    needs_law = True

    def statistics(self, forecast, truth, context):
        law = context.law
        excess = _distance(forecast, law) - _among(forecast) - _among(law)
        return context.average(excess).to_dataset(name="crps")

    def metric(self, means):
        return means.rename(crps="CRPS")


class MedianError(Scorer):
    """Mean absolute error of the ensemble median; not fair: it depends on the number of members."""

    name = "earlier-median"
    better = "lower"

    def statistics(self, forecast, truth, context):
        error = abs(forecast.median("member", skipna=False) - truth)
        return context.average(error).to_dataset(name="error")

    def metric(self, means):
        return means.rename(error="median error")


class Spread(Scorer):
    """Spread over error, weighed by the areas of cells."""

    name = "earlier-spread"
    better = "one"
    units = "1"
    least_members = 2

    def statistics(self, forecast, truth, context):
        weights, grid = context.weights, list(context.sea.dims)

        def mean(field):
            at_sea = field.where(context.sea, 0.0)
            return (at_sea * weights).sum(grid, skipna=False) / weights.sum()

        error = (forecast.mean("member", skipna=False) - truth) ** 2
        return xr.Dataset(
            {"spread": mean(forecast.var("member", ddof=1, skipna=False)), "error": mean(error)}
        )

    def metric(self, means):
        return ((means["spread"] / means["error"]) ** 0.5).to_dataset(name="spread")


class Extremes(Scorer):
    """How often strong wind is forecast, over how often the law has it."""

    name = "earlier-extremes"
    better = "zero"
    units = "1"
    needs_law = True
    least_members = 2
    whole_paths = True
    cells_by_area = False
    orientations: ClassVar = {"ratio": "one"}

    def events_counted(self):
        return (Event(name="wind", of="u", reduce="mean", quantiles=(0.5,)),)

    def control_run(self):
        return Control(states=2000)

    def statistics(self, forecast, truth, context):
        (event,) = self.events_counted()
        limit = context.limits[event, self.control_run()].isel(quantile=0, drop=True)
        parts = {}
        for name, drawn in {"members": forecast, "law": context.law}.items():
            values = context.measure(event, drawn)
            share = ((values > limit) * values["area"]).mean(["member", "place"])
            parts[name] = share.where(values.notnull().all(["member", "place"]))
        return xr.Dataset(parts).drop_vars("area", errors="ignore")

    def metric(self, means):
        ratio = means["members"] / means["law"]
        return xr.Dataset({"ratio": ratio, "difference": means["members"] - means["law"]})
