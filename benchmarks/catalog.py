"""How fast the catalog writes, finds and lists, beside what it is built on.

python benchmarks/catalog.py [writing] [searching] [memory]     # default: all

JSON lines. Times of jobs that are compared are taken in turns in one process (`timing`).
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import xarray as xr
from timing import forget_peak, in_a_new_process, peak_bytes, tell

from geobench.forecasts import layout
from geobench_catalog import Catalog, Record, zarr_data
from geobench_catalog.record import identity

SIZES = {
    "lorenz95": {"init_time": 2048, "lead_time": 10, "member": 50, "x": 40},
    "shallow-water": {"init_time": 32, "lead_time": 10, "member": 20, "y": 64, "x": 64},
}


def forecast(sizes: dict[str, int], variables: int) -> xr.Dataset:
    """Numbers that compress as badly as those of a chaotic system."""
    generator = np.random.default_rng(0)
    shape = tuple(sizes.values())
    fields = {
        f"v{place}": (tuple(sizes), generator.normal(size=shape).astype(np.float32))
        for place in range(variables)
    }
    day = np.timedelta64(1, "D")
    return xr.Dataset(
        fields,
        {
            "init_time": np.datetime64("2000-01-01", "ns") + np.arange(sizes["init_time"]) * day,
            "lead_time": np.arange(1, sizes["lead_time"] + 1) * day.astype("m8[ns]"),
            "member": np.arange(sizes["member"]),
        },
    )


def pieces(whole: xr.Dataset, shape: layout.Layout) -> list[slice]:
    """Inits that are written at once: some 64 MB, whole chunks."""
    own = shape.chunks["init_time"]
    step = max(1, 2**26 // (whole.nbytes // whole.sizes["init_time"]) // own) * own
    return [slice(first, first + step) for first in range(0, whole.sizes["init_time"], step)]


def with_catalog(catalog: Catalog, whole: xr.Dataset, shape: layout.Layout) -> None:
    """Draft, pieces, digests, flush to disk, publish."""
    with catalog.draft("forecast", "a", recipe={}) as draft:
        one = whole.isel(init_time=[0])
        draft.allocate(one, whole[["init_time"]], *shape)
        for where in pieces(whole, shape):
            draft.fill(whole.isel(init_time=where), {"init_time": where})
        draft.publish()


def with_xarray(folder: Path, whole: xr.Dataset, shape: layout.Layout) -> None:
    """Plain to_zarr of the same pieces, codecs and chunks: a template, then regions."""
    how = zarr_data.encoding(whole, *shape)
    template = whole.copy(data={k: _dummy(v) for k, v in whole.data_vars.items()})
    template.to_zarr(folder, compute=False, encoding=how, consolidated=False, zarr_format=3)
    for where in pieces(whole, shape):
        piece = whole.isel(init_time=where).drop_vars(["init_time", "lead_time", "member"])
        piece.to_zarr(folder, region={"init_time": where}, consolidated=False, zarr_format=3)


def _dummy(variable: xr.DataArray) -> Any:
    import dask.array

    return dask.array.zeros(variable.shape, dtype=variable.dtype, chunks=-1)


def with_xarray_at_once(folder: Path, whole: xr.Dataset, shape: layout.Layout) -> None:
    """Plain to_zarr of the whole, which is in memory."""
    how = zarr_data.encoding(whole, *shape)
    whole.to_zarr(folder, encoding=how, consolidated=False, zarr_format=3)


def writing(repeats: int = 7) -> None:
    """Publishing a forecast beside plain xarray with the same codecs and chunks."""
    for name, sizes in SIZES.items():
        whole = forecast(sizes, 1 if name == "lorenz95" else 3)
        shape = layout.of_forecast(sizes, 4)
        times: dict[str, list[float]] = {"catalog": [], "xarray pieces": [], "xarray whole": []}
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as scratch:
                catalog = Catalog(Path(scratch) / "catalog", create=True)
                jobs: dict[str, Callable[[], None]] = {
                    "catalog": partial(with_catalog, catalog, whole, shape),
                    "xarray pieces": partial(with_xarray, Path(scratch) / "a", whole, shape),
                    "xarray whole": partial(with_xarray_at_once, Path(scratch) / "b", whole, shape),
                }
                for job, run in jobs.items():
                    began = time.perf_counter()
                    run()
                    times[job].append(time.perf_counter() - began)
        rates = {job: whole.nbytes / 1e6 / median(own) for job, own in times.items()}
        ratios = [
            [peer / own for own, peer in zip(times["catalog"], times[other], strict=True)]
            for other in ("xarray pieces", "xarray whole")
        ]
        tell(
            benchmark="writing",
            forecast=name,
            megabytes=whole.nbytes / 1e6,
            chunks=shape.chunks,
            shards=shape.shards,
            megabytes_per_second={k: round(v, 1) for k, v in rates.items()},
            ratio_to_xarray_pieces=median(ratios[0]),
            ratio_to_xarray_whole=median(ratios[1]),
            required=0.8,
        )


def searching(entries: int = 10_000) -> None:
    """Queries over many entries: the index made, then asked."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "catalog"
        _many(path, entries)
        catalog = Catalog(path)
        began = time.perf_counter()
        count = catalog.index.rebuild()
        tell(
            benchmark="index",
            entries=count,
            seconds=time.perf_counter() - began,
            required_seconds=10,
            megabytes=(path / "index.sqlite").stat().st_size / 1e6,
        )
        for text in (
            "kind = forecast and dataset = twin3 and crps.skill@5d > 0.8",
            "model = fgn and model.width > 64 and not tag",
            "crps@1d < 0.3",
            "name ~ *s7* and created > 2026-01-01",
        ):
            times = []
            for _ in range(9):
                began = time.perf_counter()
                found = catalog.query(text)
                times.append(1e3 * (time.perf_counter() - began))
            tell(
                benchmark="query",
                entries=count,
                expression=text,
                rows=len(found),
                milliseconds=median(times),
                slowest=max(times),
                required_milliseconds=100,
            )


def _many(path: Path, entries: int) -> None:
    """Entries of a large catalog, without data: datasets, forecasters, forecasts, scores."""
    from geobench_catalog.draft import settle
    from geobench_catalog.manifest import RECORD, content_digest, measured

    catalog = Catalog(path, create=True)
    template = json.loads(_template())

    def put(kind: Any, name: str, recipe: Any, parents: Any, labels: Any, summary: Any) -> Any:
        ids = {role: entry.id for role, entry in parents.items()}
        record = Record(
            **template | {"kind": kind, "name": name, "recipe": recipe, "labels": labels},
            key=identity(kind, recipe, ids),
            parents={r: {"reference": str(e.reference), "id": e.id} for r, e in parents.items()},
            summary=summary,
            size=0,
            content=content_digest({}),
        )
        text = record.model_dump_json(indent=1).encode()
        folder = path / "tmp" / "one"
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(text)
        files = {RECORD: measured(text)}
        return settle(catalog.store, folder, files, kind, name, version=1)

    generator = np.random.default_rng(0)
    hours = [24.0 * day for day in range(1, 11)]
    done, number = 0, 0
    while done < entries:
        number += 1
        name = f"twin{number}"
        recipe = {"simulator": {"use": "lorenz95", "forcing": 8.0, "sites": 40}, "seed": number}
        twin = put("dataset", name, recipe | {"leads": 10}, {}, {"dataset": name}, {"states": 9})
        done += 1
        for model in ("reference", "climatology", "oracle", "fgn", "flow-matching"):
            for seed in range(10):
                if done >= entries:
                    return
                labels = {"model": model, "dataset": name}
                own = f"{name}.{model}.s{seed}"
                use = "oracle" if model == "reference" else model
                recipe = {"model": {"use": use, "width": 32 * (1 + seed % 4)}, "seed": seed}
                summary = {"parameters": 1000, "knows_law": use == "oracle"}
                fitted = put("forecaster", own, recipe, {"dataset": twin}, labels, summary)
                recipe = {"members": 16, "seed": seed}
                summary = {"failed_members": 0}
                drawn = put("forecast", own, recipe, {"forecaster": fitted}, labels, summary)
                done += 2
                base = 1.2 if model == "climatology" else 0.2 + 0.2 * generator.random()
                for scorer in ("crps", "rmse"):
                    scores = {scorer.upper(): [base * (1 + 0.1 * day) for day in range(10)]}
                    summary = {"better": "lower", "lead_hours": hours, "scores": scores}
                    both = {"forecast": drawn, "dataset": twin}
                    put("score", f"{own}.{scorer}", {"use": scorer, "version": "1"}, both,
                        labels | {"scorer": scorer}, summary)  # fmt: skip
                    done += 1


def _template() -> str:
    from geobench_catalog import environment, registered

    return json.dumps(
        {
            "created": "2026-06-01T00:00:00+00:00",
            "seconds": 12.5,
            "environment": environment.describe(registered()),
        }
    )


LIMIT = 2**24


def memory() -> None:
    """Peak memory of writing and reading a forecast 20 times larger than the limit."""
    for what in ("nothing", "write", "read"):
        tell(**json.loads(in_a_new_process(__file__, "one-process", what)))


def one_process(what: str) -> None:
    """Write a forecast of 20 limits, or read it, and print the peak."""
    sizes = {"init_time": 640, "lead_time": 10, "member": 16, "y": 28, "x": 29}
    bytes_of_one = 4 * int(np.prod(list(sizes.values())[1:]))
    shape = layout.of_forecast(sizes, 4)
    folder = Path(tempfile.mkdtemp())
    catalog = Catalog(folder / "catalog", create=True)
    generator = np.random.default_rng(0)
    warm = forecast(sizes | {"init_time": 2}, 1)
    with_catalog(catalog, warm, shape)
    catalog.get("forecast/a@1").load()
    before = forget_peak()
    inits = sizes["init_time"] if what != "nothing" else 4
    if what == "read":  # made by another process, so that its memory is not counted
        in_a_new_process(__file__, "make", str(folder / "big"))
        entry = Catalog(folder / "big").get("forecast/a@1")
        total = sum(float(block["v0"].sum()) for block in entry.blocks("init_time", LIMIT))
        assert np.isfinite(total)
    else:
        write_by_pieces(catalog, sizes | {"init_time": inits}, generator)
    shutil.rmtree(folder)
    tell(
        benchmark="memory",
        what=what,
        limit_megabytes=LIMIT / 1e6,
        data_megabytes=inits * bytes_of_one / 1e6,
        over_limit=inits * bytes_of_one / LIMIT,
        peak_above_start_megabytes=(peak_bytes() - before) / 1e6,
        peak_over_limit=(peak_bytes() - before) / LIMIT,
    )


def write_by_pieces(catalog: Catalog, sizes: dict[str, int], generator: Any) -> None:
    """Write a forecast whose pieces, at most a quarter of the limit, are made one by one."""
    shape = layout.of_forecast(sizes, 4)
    bytes_of_one = 4 * int(np.prod(list(sizes.values())[1:]))
    step = max(1, LIMIT // 4 // bytes_of_one)
    coords = forecast(sizes | {"y": 1, "x": 1, "member": 1, "lead_time": 1}, 1)[["init_time"]]
    with catalog.draft("forecast", "a", recipe={}) as draft:
        for first in range(0, sizes["init_time"], step):
            inits = min(step, sizes["init_time"] - first)
            shape_of = (inits, *list(sizes.values())[1:])
            values = generator.standard_normal(shape_of, np.float32)
            piece = xr.Dataset({"v0": (tuple(sizes), values)})
            if first == 0:
                one = piece.isel(init_time=[0]).assign_coords(coords.isel(init_time=[0]).coords)
                draft.allocate(one, coords, *shape)
            draft.fill(piece, {"init_time": slice(first, first + inits)})
        draft.publish()


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["one-process"]:
        one_process(words[1])
    elif words[:1] == ["make"]:
        sizes = {"init_time": 640, "lead_time": 10, "member": 16, "y": 28, "x": 29}
        write_by_pieces(Catalog(words[1], create=True), sizes, np.random.default_rng(0))
    else:
        for job in words or ["writing", "searching", "memory"]:
            {"writing": writing, "searching": searching, "memory": memory}[job]()
