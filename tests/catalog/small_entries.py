"""Small entries for the tests of the catalog."""

from typing import Any

import numpy as np
import xarray as xr

from geobench_catalog import Catalog, Entry


def data(value: float = 0.0, inits: int = 3) -> xr.Dataset:
    """Inits by cells, all of one value."""
    values = np.full((inits, 4), value, np.float32)
    days = np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D")
    return xr.Dataset(
        {"q": (("init_time", "x"), values, {"units": "1"})},
        {"init_time": days, "x": np.arange(4.0)},
    )


def publish(
    catalog: Catalog,
    name: str = "a",
    value: float = 0.0,
    *,
    kind: Any = "dataset",
    recipe: dict[str, Any] | None = None,
    parents: dict[str, Entry] | None = None,
    labels: dict[str, str] | None = None,
    summary: dict[str, Any] | None = None,
    chunks: int = 3,
) -> Entry:
    """Publish a small entry."""
    recipe = {"value": value} if recipe is None else recipe
    with catalog.draft(kind, name, recipe=recipe, parents=parents, labels=labels) as draft:
        draft.write(data(value), chunks={"init_time": chunks})
        return draft.publish({"states": 12} if summary is None else summary)


def family(catalog: Catalog, model: str = "fgn", *, twin: Entry | None = None, crps: float = 0.5,
           law: bool = False, seed: int = 0, width: int = 8) -> dict[str, Entry]:  # fmt: skip
    """Publish a dataset (unless there is one), a forecaster, its forecast and a score."""
    twin = twin or publish(catalog, "twin", 1.0, recipe={"simulator": {"use": "l95"}, "seed": 7})
    labels = {"model": model, "dataset": "twin"}
    name = f"twin.{model}.s{seed}"
    fitted = publish(catalog, name, kind="forecaster", parents={"dataset": twin}, labels=labels,
                     recipe={"model": {"use": model, "width": width}, "seed": seed},
                     summary={"parameters": 10 * width, "knows_law": law})  # fmt: skip
    drawn = publish(catalog, name, kind="forecast", parents={"forecaster": fitted}, labels=labels,
                    recipe={"members": 4, "seed": seed}, summary={"failed_members": 0})  # fmt: skip
    scored = publish(
        catalog, f"{name}.crps", kind="score", parents={"forecast": drawn, "dataset": twin},
        labels={**labels, "scorer": "crps"}, recipe={"use": "crps", "version": "1"},
        summary={"cases": 3, "better": "lower", "lead_hours": [24.0, 120.0],
                 "scores": {"CRPS": [crps, 2 * crps]}},
    )  # fmt: skip
    return {"dataset": twin, "forecaster": fitted, "forecast": drawn, "score": scored}
