"""Runs of a study that start together in a new catalog: each step done once, and how soon.

python benchmarks/sharing.py [RUNS ...]

JSON lines, one for each number of runs that start together (by default 1, 2 and 8), each process
with one thread. The study is studies/quick.yaml with 2,000 passes of training. `steps`: how
many it has. `done_once`: how many of them are in the catalog in one version. `again`: further
versions, which are work done twice. `failed`: runs that ended with another exit code than 0 or 3
(3: a row is degenerate, as of a network trained so little). `seconds`: until the last one ends.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from timing import tell

from geobench.registry import Registry
from geobench.study import run as running
from geobench.study.file import Study
from geobench.study.graph import StudyGraph
from geobench_catalog import Catalog

ROOT = Path(__file__).parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def shortened() -> dict[str, object]:
    """The demo's study with little training."""
    study = yaml.safe_load((ROOT / "studies" / "quick.yaml").read_text("utf-8"))
    for model in study["models"].values():
        if isinstance(model, dict) and "training" in model:
            model["training"]["passes"] = 2000
    return dict(study)


def together(count: int, study: dict[str, object]) -> dict[str, object]:
    """Start so many runs at once, and look at what they have made."""
    with tempfile.TemporaryDirectory() as folder:
        path, catalog = Path(folder) / "study.yaml", Path(folder) / "catalog"
        path.write_text(yaml.safe_dump(study, sort_keys=False), "utf-8")
        line = [sys.executable, "-m", "geobench", "-q", "--catalog", str(catalog), "run", str(path)]
        began = time.perf_counter()
        runs = [
            subprocess.Popen(
                line, stdout=subprocess.DEVNULL, stderr=sys.stderr, env=os.environ | ONE_THREAD
            )
            for _ in range(count)
        ]
        codes = [run.wait() for run in runs]
        seconds = time.perf_counter() - began
        made = [entry.reference for entry in Catalog(catalog).entries()]
        return {
            "runs": count,
            "steps": len(
                list(running.plan(StudyGraph(Study.model_validate(study), Registry()), None))
            ),
            "done_once": len({(each.kind, each.name) for each in made}),
            "again": sum(each.version > 1 for each in made),
            "failed": sum(code not in (0, 3) for code in codes),
            "seconds": seconds,
        }


if __name__ == "__main__":
    for count in [int(word) for word in sys.argv[1:]] or [1, 2, 8]:
        tell(**together(count, shortened()))
