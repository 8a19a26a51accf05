"""Negative controls: ensembles of the law with one thing wrong, and who notices.

A defect changes draws of the true law, `(…, member, …)`, and nothing else. A scorer that does not
tell an ensemble of them from an untouched one, at so many cases and members, is blind to it.

Means and spreads are those of all draws that are changed together, so there should be many more
than an ensemble has. Scaled about its own mean an ensemble is of no law at all: its members would
depend on one another, which fair scores reward.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.contracts.model import Progress, silent
from geobench.contracts.scorer import IDEALS, Blaming, Context, Orientation, Scorer, unblamed
from geobench.errors import GeobenchError
from geobench.scoring.passes import Source, View, of_views

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from geobench.statistics.resampling import Resampling

    _Scores = dict[tuple[int, str], np.ndarray[Any, Any]]

Defect = Callable[["xr.DataArray"], "xr.DataArray"]
_CASES = ("init_time", "lead_time", "variable", "member")
_KEY = 20240103


def _untouched(members: "xr.DataArray") -> "xr.DataArray":
    return members


def _biased(members: "xr.DataArray") -> "xr.DataArray":
    return members + 0.1 * members.std("member", skipna=False)


def _scaled(factor: float) -> Defect:
    def change(members: "xr.DataArray") -> "xr.DataArray":
        mean = members.mean("member", skipna=False)
        return (mean + factor * (members - mean)).transpose(*members.dims)

    return change


def _shuffled(members: "xr.DataArray") -> "xr.DataArray":
    """Members in another order at every point of the grid; the same in all cases."""
    grid = [str(dim) for dim in members.dims if dim not in _CASES]
    return _reordered(members, ["variable", *grid])


def _reshuffled(members: "xr.DataArray") -> "xr.DataArray":
    """Members in another order at every lead time; each field stays whole."""
    return _reordered(members, ["lead_time"])


def _reordered(members: "xr.DataArray", dims: Sequence[str]) -> "xr.DataArray":
    import numpy as np
    import xarray as xr

    generator = np.random.Generator(np.random.Philox(key=_KEY))
    sizes = [members.sizes[dim] for dim in dims]
    order = generator.permuted(
        np.broadcast_to(np.arange(members.sizes["member"]), (*sizes, members.sizes["member"])),
        axis=-1,
    )
    chosen = xr.DataArray(order, dims=(*dims, "member"))
    return (
        members.drop_vars("member", errors="ignore")
        .isel(  # indices are no names of members
            {"member": chosen}
            | {dim: xr.DataArray(np.arange(members.sizes[dim]), dims=dim) for dim in dims}
        )
        .transpose(*members.dims)
    )


def _smoothed(members: "xr.DataArray") -> "xr.DataArray":
    """Differences from the mean lose their small scales (1-2-1 along each dim), not their size."""
    mean = members.mean("member", skipna=False)
    away = members - mean
    sea = away.notnull().any(("init_time", "lead_time", "member"))
    smooth, share = away.where(sea, 0.0), sea.astype(float)  # land is left out of the means
    for dim in members.dims:
        if dim not in _CASES:
            smooth, share = (
                (field.roll({dim: 1}) + 2 * field + field.roll({dim: -1})) / 4
                for field in (smooth, share)
            )
    smooth = (smooth / share).where(sea)
    size = away.std("member", skipna=False) / smooth.std("member", skipna=False)
    return (mean + smooth * size).transpose(*members.dims)


def _normal(members: "xr.DataArray") -> "xr.DataArray":
    """Every point has normal members, in the same order, with the same mean and spread."""
    import numpy as np

    axis = members.get_axis_num("member")
    drawn = np.sort(_normals(members), axis)
    drawn -= drawn.mean(axis, keepdims=True)
    drawn /= drawn.std(axis, keepdims=True)
    ranks = members.to_numpy().argsort(axis).argsort(axis)
    ordered = members.copy(data=np.take_along_axis(drawn, ranks, axis))
    spread = members.std("member", skipna=False)
    changed: xr.DataArray = members.mean("member", skipna=False) + spread * ordered
    return changed.transpose(*members.dims)


def _normals(members: "xr.DataArray") -> "np.ndarray[Any, Any]":
    """Standard normal numbers of their shape; those of an init are its own, whatever is beside."""
    import numpy as np

    axis = members.get_axis_num("init_time")
    shape = [size for dim, size in members.sizes.items() if dim != "init_time"]
    times = members["init_time"].to_numpy().astype("datetime64[ns]").astype(np.uint64)
    drawn = [
        np.random.Generator(
            np.random.Philox(key=_KEY, counter=[0, 0, 0, int(time)])
        ).standard_normal(shape, dtype=np.float32)
        for time in times
    ]
    return np.stack(drawn, axis)


DEFECTS: Mapping[str, Defect] = {
    "none": _untouched,
    "bias": _biased,
    "narrow": _scaled(0.9),
    "wide": _scaled(1.1),
    "normal": _normal,
    "smooth": _smoothed,
    "shuffled": _shuffled,
    "reshuffled": _reshuffled,
}
"""bias: 0.1 of the spread; narrow, wide: spread times 0.9 and 1.1; normal: every point's members
are normal scores; smooth: no small scales; shuffled: no dependence between points; reshuffled: none
between lead times; none: nothing is wrong, and what is noticed is a false alarm."""


def _ensemble(group: int, count: int) -> View:
    return lambda members: members.isel(member=slice(group * count, (group + 1) * count))


@dataclass(frozen=True)
class Power:
    """How well a score tells a defect from the law, at the cases and members of one ensemble.

    `z`: standard errors by which it is worse (larger, where the best value is one or zero), on
    average over pairs of ensembles. `power`: the share of the pairs in which a test at 5 % notices
    it, one-sided (two-sided). NaN where the score is not a number in some resample.
    """

    score: str
    defect: str
    z: float
    power: float
    pairs: int


def measure(
    scorers: Sequence[Scorer],
    source: Source,
    count: int,
    context: Context,
    blocks: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    blaming: Blaming = unblamed,
    progress: Progress = silent,
) -> list[Power]:
    """Cut draws of the law into ensembles of `count`, and compare each, with a defect, with others.

    The draws are the forecast of `source`.
    Only the cases are paired, as those of models on a board are. Scores are averaged over lead
    times before they are compared; standard errors are by `blocks` of dependent cases. Scorers that
    need the law are left out: what they measure is the defect itself.
    """
    from geobench.statistics.resampling import Resampling

    groups = _groups(source.forecasts[0].sizes["member"], count)
    usable = [scorer for scorer in scorers if not scorer.needs_law]
    if not usable:
        raise GeobenchError(
            "every scorer named compares with the law, which is the defect itself. Name another."
        )
    resampling = Resampling(blocks)
    views = [_ensemble(group, count) for group in range(groups)]

    def scores(change: Defect) -> "list[_Scores]":
        def changed(members: "xr.Dataset") -> "xr.Dataset":
            return change(members.to_dataarray("variable")).to_dataset("variable")

        by_view = of_views(usable, source, views, context, prepare=changed, blaming=blaming)
        return [_scores(usable, ensemble, resampling) for ensemble in by_view]

    right = scores(_untouched)
    powers = []
    for index, (defect, change) in enumerate(DEFECTS.items()):
        wrong = scores(change)
        for key in right[0]:
            better = usable[key[0]].orientation(key[1])
            powers.append(_power(key, defect, better, wrong, right))
        progress(index + 1, len(DEFECTS), defect)
    return powers


def _groups(draws: int, count: int) -> int:
    """How many ensembles of `count` members the draws are; at least two."""
    groups = draws // count if count > 1 else 0
    if groups < 2:
        raise GeobenchError(
            f"{draws} draws of the law are not two ensembles of {count} members, of two at the "
            f"least. Use more draws, or ensembles of another size."
        )
    return groups


def _scores(
    scorers: Sequence[Scorer], statistics: "Sequence[xr.Dataset]", resampling: "Resampling"
) -> "_Scores":
    """Mean over lead times of each column of each scorer: the score, then its resamples."""
    from geobench import scoring

    return {
        (index, name): values[0].mean(-1)
        for index, (scorer, dataset) in enumerate(zip(scorers, statistics, strict=True))
        for name, values in scoring.scores(scorer, [dataset], resampling).items()
    }


def _power(
    key: tuple[int, str],
    defect: str,
    better: Orientation,
    wrong: "list[_Scores]",
    right: "list[_Scores]",
) -> Power:
    """How well one column tells ensembles with a defect from other ensembles without."""
    import numpy as np

    pairs = itertools.permutations(range(len(right)), 2)
    gaps = np.stack([wrong[one][key] - right[other][key] for one, other in pairs])
    with np.errstate(invalid="ignore", divide="ignore"):
        z = gaps[:, 0] / gaps[:, 1:].std(1) * (-1 if better == "higher" else 1)
    noticed = abs(z) > 1.96 if better in IDEALS else z > 1.645
    power = float(noticed.mean()) if np.isfinite(z).all() else float("nan")
    return Power(key[1], defect, float(z.mean()), power, len(z))
