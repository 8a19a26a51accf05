"""Memory that scoring takes for a forecast much larger than it.

    python benchmarks/scoring_memory.py [GB [all]]

Draws a forecast of stochastic Lorenz95 by the oracle, 10 GB by default (it takes minutes, and as
much space in the temporary folder), and scores it with the scorers of the quick study, and with
`all` then with every scorer that needs no law. Prints, as JSON lines, the peak of the resident
memory above what the program had before, and the time of the processor. What is kept of each case
is then 1 to 300 times M numbers for 40 M values of the forecast, which is a lot: fields are small.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog

QUICK = ("crps", "rmse", "spread-skill", "brier")
MEMBERS, LEADS, SITES, INITS = 100, 10, 40, 25


def memory(kind: str) -> int:
    """Bytes of this program alone, from /proc."""
    with Path("/proc/self/status").open(encoding="utf-8") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))


def main(gigabytes: float, *, with_all: bool) -> None:
    """Make the forecast, and measure."""
    per_trajectory = 4 * MEMBERS * LEADS * SITES * INITS
    registry = Registry()
    fields = {
        "use": "lorenz95",
        "spin_up": 5,
        "leads": LEADS,
        "train": {"trajectories": 20, "steps": 20},
        "validation": {"trajectories": 4, "steps": 10},
        "test": {"trajectories": max(20, int(gigabytes * 1e9 / per_trajectory)), "inits": INITS},
    }
    every = [registry.scorer(name) for kind, name in registry.offers if kind == "scorer"]
    lawless = [scorer.name for scorer in every if not scorer.needs_law]
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Engine(Catalog(folder, create=True), registry))
        small = fields | {"test": {"trajectories": 20}}
        lists = (QUICK, tuple(lawless)) if with_all else (QUICK,)
        for experiment, wanted in ((small, ()), (fields, lists)):
            dataset = session.simulate("memory", registry.experiment(experiment, "memory"))
            drawn = session.forecast(
                session.train(dataset, registry.model("oracle")), members=MEMBERS
            )
            if not wanted:  # what is compiled, imported and kept for good
                session.scores(drawn, [registry.scorer(name) for name in lawless])
            stored = sum(each.nbytes for each in drawn.open().data_vars.values())
            for names in wanted:
                before, began = memory("VmRSS"), time.process_time()
                Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
                session.scores(drawn, [registry.scorer(name) for name in names])
                told = {
                    "benchmark": "scoring memory",
                    "scorers": len(names),
                    "forecast_gb": round(stored / 1e9, 2),
                    "peak_mb": round((memory("VmHWM") - before) / 1e6),
                    "cpu_s": round(time.process_time() - began, 1),
                }
                print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10, with_all="all" in sys.argv)
