"""Memory does not grow with the forecast. (Numbers of another run: benchmarks/catalog.py.)"""

import json
import os
import subprocess
import sys

import pytest

LIMIT = 2**23  # bytes
CODE = """
import json, sys
import numpy as np, xarray as xr
from geobench_catalog import Catalog

what, folder, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
dims = {"init_time": 640, "lead_time": 8, "member": 8, "y": 32, "x": 32}  # 20 times the limit
days = np.datetime64("2000-01-01", "ns") + np.arange(dims["init_time"]) * np.timedelta64(1, "D")
coords = xr.Dataset(coords={"init_time": days})
one_init = 4 * dims["lead_time"] * dims["member"] * dims["y"] * dims["x"]
shape = ({"init_time": 8, "lead_time": 8, "member": 8},)  # 2 MiB

def write(catalog, name, inits):
    generator, step = np.random.default_rng(0), limit // 4 // one_init
    with catalog.draft("forecast", name, recipe={}) as draft:
        for first in range(0, inits, step):
            values = generator.standard_normal((step, *list(dims.values())[1:]), np.float32)
            piece = xr.Dataset({"q": (tuple(dims), values)})
            where = {"init_time": slice(first, first + step)}
            if first == 0:
                one = piece.isel(init_time=[0]).assign_coords(coords.isel(init_time=[0]).coords)
                draft.allocate(one, coords.isel(init_time=slice(inits)), *shape)
            draft.fill(piece, where)
        return draft.publish()

def read(entry):
    return sum(float(np.square(block["q"]).mean() * block.sizes["init_time"])
               for block in entry.blocks("init_time", limit))

def peak(kind):
    # Of this program alone: getrusage would count what it was forked from.
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))

catalog = Catalog(folder, create=True)
small = catalog.get("forecast/small@1") if what == "read" else write(catalog, "small", 32)
read(small)  # what is imported and kept for good
before = peak("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
if what == "write":
    write(catalog, "large", dims["init_time"])
    done = dims["init_time"]
else:
    done = read(catalog.get("forecast/large@1"))
above = peak("VmHWM") - before
print(json.dumps({"above": above, "done": done, "bytes": one_init * dims["init_time"]}))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """Peak memory above the start, in processes of their own."""
    folder = tmp_path_factory.mktemp("memory") / "catalog"
    found = {}
    for what in ("write", "read"):
        words = [sys.executable, "-c", CODE, what, str(folder), str(LIMIT)]
        # What is freed goes back at once: glibc would keep some tens of MB for later, whatever the
        # size of the forecast, and the peak would be its own.
        allocator = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, env=os.environ | allocator
        )
        found[what] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("what", ["write", "read"])
def test_a_forecast_20_times_larger_than_the_limit_fits_in_twice_the_limit(
    measured: dict[str, dict[str, float]], what: str
) -> None:
    """The limit is for the data; the rest is Zarr's, per chunk in flight."""
    found = measured[what]
    print(f"{what}: {found['above'] / 2**20:.1f} MiB above the start, limit {LIMIT >> 20} MiB")
    assert found["bytes"] == 20 * LIMIT
    assert found["above"] < 2 * LIMIT


@pytest.mark.slow
def test_what_was_read_is_what_was_written(measured: dict[str, dict[str, float]]) -> None:
    # The mean square of 42 million standard normal numbers: 1 within 5 standard errors.
    mean = measured["read"]["done"] / 640
    assert abs(mean - 1) < 5 * (2 / (20 * LIMIT / 4)) ** 0.5
