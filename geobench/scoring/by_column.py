"""Scores of mean statistics, by column: of all cases, of resamples, of single cases."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench.statistics.resampling import Resampling, draws_of

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    Draws = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_BATCH = 2**25  # bytes of mean statistics: of larger arrays the system clears the memory each time


def means(statistics: "xr.Dataset") -> "xr.Dataset":
    """Means of statistics over all cases; how many init times they are of is an attribute."""
    return statistics.mean("init_time", skipna=False).assign_attrs(
        cases=statistics.sizes["init_time"]
    )


def checked_metric(scorer: Scorer, mean: "xr.Dataset") -> "xr.Dataset":
    """Scores of mean statistics; `GeobenchError` unless they are as a scorer's must be."""
    metric = scorer.metric(mean)
    check_metric(scorer, metric)
    return metric


def check_metric(scorer: Scorer, metric: object) -> None:
    """Raise unless a metric is a dataset of scores with lead times."""
    import xarray as xr

    if not isinstance(metric, xr.Dataset) or not metric.data_vars:
        raise GeobenchError(
            f"scorer {scorer.name}: metric returned {type(metric).__name__}; expected a Dataset "
            f"with at least one score."
        )
    for name, values in metric.data_vars.items():
        if "lead_time" not in values.dims:
            raise GeobenchError(
                f"scorer {scorer.name}: its score '{name}' has dims {values.dims}; lead_time is "
                f"missing."
            )


def scores(
    scorer: Scorer, statistics: "Sequence[xr.Dataset]", resampling: Resampling
) -> "dict[str, Draws]":
    """Score every resample, by column: `(forecast, draw, lead_time)`, the first the estimate.

    `statistics` are of several forecasts; those alike are scored at once, which is quicker.
    """
    import numpy as np

    draws = len(resampling.weights)
    parts: dict[str, list[Draws]] = {}
    for some in _batches(statistics, draws):
        pieces: dict[str, list[Draws]] = {}
        # Where already one is too large, its resamples are taken in several parts.
        step = max(1, draws * _BATCH // max(_BATCH, _size(some[0], draws)))
        for at in range(0, draws, step):
            part = slice(at, at + step)
            for name, values in columns(scorer.metric(resampling.means(some, part))):
                array = values.to_numpy()
                pieces.setdefault(name, []).append(array.reshape(len(some), -1, array.shape[-1]))
        for name, cut in pieces.items():
            parts.setdefault(name, []).append(np.concatenate(cut, 1))
    return {
        name: np.moveaxis(resampling.spread(np.moveaxis(np.concatenate(batches), 1, 0)), 0, 1)
        for name, batches in parts.items()
    }


def _batches(statistics: "Sequence[xr.Dataset]", draws: int) -> "Iterator[list[xr.Dataset]]":
    """Cut into runs of equal sizes whose mean statistics fit into `_BATCH`."""
    batch: list[xr.Dataset] = []
    for dataset in statistics:
        larger = (len(batch) + 1) * _size(dataset, draws) > _BATCH
        if batch and (dataset.sizes != batch[0].sizes or larger):
            yield batch
            batch = []
        batch.append(dataset)
    if batch:
        yield batch


def _size(statistics: "xr.Dataset", draws: int) -> int:
    """Bytes of the mean statistics of so many resamples."""
    return draws * statistics.nbytes // statistics.sizes["init_time"]


def contributions(scorer: Scorer, statistics: "Sequence[xr.Dataset]") -> "dict[str, Draws]":
    """What each case adds to the scores of several forecasts, by column: `(forecast, case, lead)`.

    Jackknife pseudo-values, n times the score less n - 1 times that without the case (Tukey, 1958):
    the cases' own values where the score is a mean, and as good where it is smooth in means.
    """
    import numpy as np

    count = statistics[0].sizes["init_time"]
    if count < 2:
        raise GeobenchError(
            "there is one case: nothing is known of how cases vary. Use more inits."
        )

    def mean(cases: "Draws") -> "Draws":
        return np.asarray(cases.mean(-1))

    def without(cases: "Draws") -> "Draws":
        return np.asarray((cases.sum(-1, keepdims=True) - cases) / (count - 1))

    parts: dict[str, list[Draws]] = {}
    for some in _batches(statistics, count):
        whole, less = (
            dict(columns(scorer.metric(draws_of(some, function)))) for function in (mean, without)
        )
        for name, values in whole.items():
            omitted = less[name].to_numpy().reshape(len(some), count, -1)
            parts.setdefault(name, []).append(
                count * values.to_numpy()[:, None] - (count - 1) * omitted
            )
    return {name: np.concatenate(batches) for name, batches in parts.items()}


def overall(scorer: Scorer, statistics: "xr.Dataset") -> dict[str, list[float]]:
    """Score over all cases, by column and lead time; no interval."""
    metric = scorer.metric(means(statistics)).expand_dims("draw")
    return {name: values.to_numpy()[0].tolist() for name, values in columns(metric)}


def columns(metric: "xr.Dataset") -> Iterator[tuple[str, "xr.DataArray"]]:
    """Split scores `(draw, lead_time, …)` into named columns `(draw, lead_time)`."""
    for name, values in metric.data_vars.items():
        extra = [dim for dim in values.dims if dim not in ("draw", "lead_time")]
        stacked = values.stack(column=extra) if extra else values.expand_dims("column")
        for index in range(stacked.sizes["column"]):
            one = stacked.isel(column=index)
            labels = [
                f"{100 * one[dim].item():g}%" if dim == "quantile" else str(one[dim].item())
                for dim in extra
                if values.sizes[dim] > 1
            ]
            yield " ".join([str(name), *labels]), one.transpose("draw", "lead_time")
