"""Groups of cases by what was known when they began, never by what then happened."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geobench.errors import GeobenchError
from geobench.nodes.events import EventsNode
from geobench.nodes.stored import Stored
from geobench_catalog import Entry

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from geobench.forecasts.forecast import Forecast
    from geobench.nodes.engine import Engine

    _Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
    _Indices = np.ndarray[tuple[int], np.dtype[np.int64]]

PREDICTABILITY = "predictability"
_THIRDS = ("most", "middle", "least")
_LIKELY = 0.1
_FEWEST = 10  # cases in a bin


@dataclass(frozen=True)
class Bin:
    """Some of the cases: `indices` among the inits."""

    title: str
    indices: "_Indices"


def of(kind: str, engine: "Engine", law: Entry) -> list[Bin]:
    """Bin the cases of `law`, a forecast of the law: by `predictability`, or by an event's name.

    By how large the law's spread is, averaged over lead times, in thirds; or by the true
    probability that the event happens within the lead times: never in any draw, rarely, or in a
    tenth of the draws and more (of the highest quantile that does happen).
    """
    import numpy as np

    forecast = engine.forecast(law)
    names = [event.name for event in forecast.dataset.experiment.events]
    if kind == PREDICTABILITY:
        order = np.argsort(_spread(engine, forecast), kind="stable")
        parts = zip(_THIRDS, np.array_split(order, 3), strict=True)
        bins = [Bin(f"the {which} predictable third", np.sort(indices)) for which, indices in parts]
    elif kind in names:
        bins = list(_by_event(engine, law, kind))
    else:
        raise GeobenchError(
            f"cases cannot be binned by '{kind}'. They can by what was known at their init time: "
            f"{', '.join([PREDICTABILITY, *names])} (an event: by its true probability). Binned by "
            f"their outcome they would reward who always warns (the forecaster's dilemma: Lerch et "
            f"al., 2017, doi:10.1214/16-STS588)."
        )
    return [group for group in bins if len(group.indices) >= _FEWEST]


def _spread(engine: "Engine", law: "Forecast") -> "_Numbers":
    """Variance of the law over the climate's, averaged over lead times, variables and the sea."""
    import numpy as np

    context = engine.context(law.dataset)
    parts = []
    with law.entry.reading():
        for index in range(law.members.sizes["init_time"]):
            members = (
                law.members.isel(init_time=index).load().to_dataarray("variable").astype(float)
            )
            share = members.var("member", ddof=1, skipna=False) / context.std.astype(float) ** 2
            parts.append(float(context.average(share).mean()))
    return np.array(parts)


def _by_event(engine: "Engine", law: Entry, name: str) -> "list[Bin]":
    import numpy as np

    counted = engine.ensure(EventsNode(Stored(law, engine.catalog))).load()
    key = name.replace("-", "_")
    within: xr.DataArray = counted[f"{key}_within"].isel(lead_time=-1).max(f"{key}_place")
    happens = within.max("init_time") > 0
    if not bool(happens.any()):
        raise GeobenchError(f"the event '{name}' happens in no draw of {law.reference}.")
    highest = int(np.nonzero(happens.to_numpy())[0][-1])
    p = within.isel({f"{key}_quantile": highest}).to_numpy()
    label = f"{name} {100 * float(counted[f'{key}_quantile'][highest]):g} %"
    parts = {
        f"p*({label}) = 0": p == 0,
        f"0 < p*({label}) < {_LIKELY}": (p > 0) & (p < _LIKELY),
        f"p*({label}) ≥ {_LIKELY}": p >= _LIKELY,
    }
    return [Bin(title, np.nonzero(chosen)[0]) for title, chosen in parts.items()]
