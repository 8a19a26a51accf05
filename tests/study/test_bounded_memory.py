"""`--memory` bounds what forecasting and scoring take, whatever the size of the forecast."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 2**24  # bytes
CODE = """
import json, sys
from geobench.registry import Registry
from geobench.nodes.session import Session
from geobench.nodes.engine import Engine
from geobench_catalog import Catalog

def memory(kind):
    # Of this program alone: getrusage would count what it was forked from.
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))

def peak(do):
    before = memory("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
    made = do()
    return made, memory("VmHWM") - before

registry = Registry()
steps = Steps(Catalog(sys.argv[1], create=True), registry, memory=int(sys.argv[2]))
experiment = registry.experiment({
    "use": "lorenz95", "simulator": {"sites": 160}, "spin_up": 5,
    "train": {"trajectories": 20, "steps": 20}, "validation": {"trajectories": 4, "steps": 10},
    "test": {"trajectories": 264}, "leads": 8,  # 16 cases of 100 members fill a piece
}, "tiny")
fitted = steps.train(steps.simulate("tiny", experiment), registry.model("oracle"))
crps = registry.scorer("crps")
steps.score(steps.forecast(fitted, members=8), crps)  # what is imported and kept for good
drawn, forecast = peak(lambda: steps.forecast(fitted, members=100))
_, score = peak(lambda: steps.score(drawn, crps))
stored = sum(each.nbytes for each in drawn.open().data_vars.values())
print(json.dumps({"forecast": forecast, "score": score, "stored": stored}))
"""


@pytest.mark.slow
def test_a_forecast_8_times_larger_than_the_limit_is_drawn_and_scored_within_it(
    tmp_path: Path,
) -> None:
    """Within half more: the limit is for the data, the rest for chunks and scores in the making."""
    # What is freed goes back at once: glibc would keep some of it for later.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**17), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", CODE, str(tmp_path / "catalog"), str(LIMIT)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    found = json.loads(done.stdout)
    for what in ("forecast", "score"):
        print(f"{what}: {found[what] / 2**20:.1f} MiB above the start, limit {LIMIT >> 20} MiB")
    assert found["stored"] > 8 * LIMIT
    assert found["forecast"] < 1.5 * LIMIT
    assert found["score"] < 1.5 * LIMIT
