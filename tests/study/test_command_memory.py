"""Every command that reads a forecast stays near `--memory`, whatever the size of the forecast.

(A table for larger data: benchmarks/memory.py.)
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 2**24  # bytes
COMMANDS = ("test", "plan", "power", "events", "export", "import", "push", "verify")
CODE = """
import json, sys
from pathlib import Path
from geobench.diagnostics.planning import Aim
from geobench.registry import Registry
from geobench.nodes.session import Session
from geobench.nodes.engine import Engine
from geobench_catalog import Catalog
from geobench_catalog.archive import bring_in, export
from geobench_catalog.transfer import copy
from geobench_catalog.verification import verify

def memory(kind):
    # Of this program alone: getrusage would count what it was forked from.
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
registry = Registry()
crps = registry.scorer("crps")

def commands(size, inits):
    steps = Steps(Catalog(folder / size, create=True), registry, memory=limit)
    experiment = registry.experiment({
        "use": "lorenz95", "simulator": {"sites": 160}, "spin_up": 5,
        "events": [{"name": "hot", "of": "q", "quantiles": [0.9]}],
        "train": {"trajectories": 20, "steps": 20}, "validation": {"trajectories": 4, "steps": 10},
        "test": {"trajectories": inits}, "leads": 8,
    }, "tiny")
    fitted = steps.train(steps.simulate("tiny", experiment), registry.model("oracle"))
    one, law = (steps.forecast(fitted, members=16, seed=seed) for seed in (0, 9))
    names, other = [str(one.reference)], Catalog(folder / f"{size}-other", create=True)
    pushed = folder / f"{size}-pushed"
    archive = folder / f"{size}.tar"
    return sum(each.nbytes for each in one.open().data_vars.values()), {
        "test": lambda: steps.verdicts(one, law, [crps], 1),
        "plan": lambda: steps.plan(one, law, crps, Aim(), [2]),
        "power": lambda: steps.power(law, [crps], 8),
        "events": lambda: steps.events(one),
        "export": lambda: export(steps.catalog, names, archive),
        "import": lambda: list(bring_in(other, archive)),
        "push": lambda: list(copy(steps.catalog, Catalog(pushed, create=True), names)),
        "verify": lambda: list(verify(steps.catalog, tuple(names))),
    }

small, large = commands("small", 20), commands("large", 160)
found = {}
for name, do in large[1].items():
    small[1][name]()  # what is imported and kept for good
    before = memory("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
    do()
    found[name] = memory("VmHWM") - before
print(json.dumps({"stored": 2 * large[0], **found}))
"""


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Peak memory of each command above the start, in a process of its own."""
    # What is freed goes back at once: glibc would keep some of it for later.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**17), "OMP_NUM_THREADS": "1"}
    folder: Path = tmp_path_factory.mktemp("commands")
    words = [sys.executable, "-c", CODE, str(folder), str(LIMIT)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_stays_near_the_limit(peaks: dict[str, int], command: str) -> None:
    """Within 64 MiB, four times the limit; testing, planning and power take 64 MiB for granted."""
    print(f"{command}: {peaks[command] / 2**20:.1f} MiB above the start")
    assert peaks["stored"] > 1.5 * LIMIT
    assert peaks[command] < 4 * LIMIT
