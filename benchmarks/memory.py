"""Memory that each command takes for data much larger than `--memory`.

    python benchmarks/memory.py [MB [MEMORY_MB [COMMAND ...]]] > benchmarks/results/memory.jsonl

Makes a data set of stochastic Lorenz95 and forecasts of it, of MB (default 400) megabytes each, and
runs each command in a process of its own with `--memory` of MEMORY_MB (default 32). Before that the
process runs the same command on a tiny catalog: what is imported, compiled and kept for good. The
data set that `simulate` makes and `train` reads has a train split of MB megabytes.
Prints, as JSON lines, the peak of the resident memory above that, and the time of the processor.
The bound is max(256 MiB, 2 x `--memory`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import tell

LEADS, SITES, MEMBERS, STEPS = 10, 40, 50, 500
FIELDS = {
    "use": "lorenz95",
    "spin_up": 5,
    "leads": LEADS,
    "events": [{"name": "hot", "of": "q", "quantiles": [0.9]}],
    "train": {"trajectories": 20, "steps": 40},
    "validation": {"trajectories": 4, "steps": 20},
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "forecast": ("forecast", "{oracle}", "--members", str(MEMBERS), "--seed", "7"),
    "score": ("score", "{one}", "--scorer", "crps", "--scorer", "energy"),
    "events": ("events", "{one}"),
    "test": ("test", "{one}", "--law", "{law}", "--exchanges", "19", "--scorer", "crps"),
    "test, with the classifier": ("test", "{one}", "--law", "{law}", "--exchanges", "19"),
    "plan": ("plan", "{one}", "--law", "{law}"),
    "scorers power": ("scorers", "power", "{law}", "--scorer", "crps"),
    "catalog show": ("catalog", "show", "{one}"),
    "catalog verify": ("catalog", "verify"),
    "catalog export": ("catalog", "export", "{one}", "--to", "{folder}/export.tar"),
    "catalog import": ("--catalog", "{folder}/other", "catalog", "import", "{folder}/export.tar"),
    "catalog push": ("catalog", "push", "{one}", "{folder}/pushed"),
    "catalog pull": ("--catalog", "{folder}/third", "catalog", "pull", "{one}", "{folder}/catalog"),
    "catalog import-forecast": (
        *("catalog", "import-forecast", "{folder}/theirs.zarr"),
        *("--dataset", "{dataset}", "--model", "theirs"),
    ),
    "score, with a control run": ("score", "{one}", "--law", "{law}", "--scorer", "law-events"),
    "simulate": ("simulate", "{folder}/wide.yaml"),
    "train": ("train", "fgn", "--dataset", "dataset/wide@1", "-s", "training.passes=2000"),
    "run": ("run", "{folder}/study.yaml"),
    "leaderboard build": ("leaderboard", "build", "{folder}/study.yaml", "--out", "{folder}/site"),
}


def memory(kind: str) -> int:
    """Bytes of this program alone, from /proc."""
    with Path("/proc/self/status").open(encoding="utf-8") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))


def made(folder: Path, trajectories: int, trained: int) -> dict[str, str]:
    """Make a catalog with a data set and two forecasts of the law; what stands for its entries."""
    from geobench.nodes.engine import Engine
    from geobench.nodes.session import Session
    from geobench.registry import Registry
    from geobench_catalog import Catalog

    registry = Registry()
    session = Session(Engine(Catalog(folder / "catalog", create=True), registry))
    fields = FIELDS | {"test": {"trajectories": trajectories, "inits": 4, "every": 2}}
    wide = fields | {"train": {"trajectories": trained, "steps": STEPS}}
    models = {"oracle": {"use": "oracle"}, "climatology": {"use": "climatology"}}
    study = {"experiments": {"memory": fields}, "models": models, "members": MEMBERS}
    for name, content in (("wide", wide), ("study", study)):
        (folder / f"{name}.yaml").write_text(json.dumps(content))
    dataset = session.simulate("memory", registry.experiment(fields, "memory"))
    oracle = session.train(dataset, registry.model("oracle"))
    one, law = (session.forecast(oracle, members=MEMBERS, seed=seed) for seed in (0, 9))
    one.open().drop_encoding().to_zarr(folder / "theirs.zarr", zarr_format=3)
    named = {"oracle": oracle, "one": one, "law": law, "dataset": dataset}
    return {key: str(each.reference) for key, each in named.items()} | {"folder": str(folder)}


def measured(places: str, limit: str, *words: str) -> None:
    """Run a command on a tiny catalog, then on a large one, and print what the second one took."""
    from geobench.cli import main

    for place in json.loads(places):
        before, began = memory("VmRSS"), time.process_time()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        own = [word.format(**place) for word in words]
        first = ["--quiet", "--memory", f"{limit}MiB"]
        if "--catalog" not in own:
            first += ["--catalog", f"{place['folder']}/catalog"]
        try:
            main([*first, *own], standalone_mode=False)
        except SystemExit as end:
            if end.code:
                raise
        found = memory("VmHWM") - before, time.process_time() - began
    print(json.dumps(found))


def main(megabytes: float, limit: int, only: list[str]) -> None:
    """Make the catalogs, and measure every command, or those asked for."""
    per_trajectory = 4 * MEMBERS * LEADS * SITES * 4
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / each for each in ("tiny", "large")]
        for folder in folders:
            folder.mkdir()
        many = max(20, int(megabytes * 1e6 / per_trajectory))
        trained = max(20, int(megabytes * 1e6 / (4 * STEPS * SITES)))
        sizes = ((20, 20), (many, trained))
        places = [made(folder, *each) for folder, each in zip(folders, sizes, strict=True)]
        # What is freed goes back at once: the C library would keep some of it for later.
        environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**17), "OMP_NUM_THREADS": "1"}
        for command, words in COMMANDS.items():
            if only and command not in only:
                continue
            line = [sys.executable, __file__, "child", json.dumps(places), str(limit), *words]
            done = subprocess.run(
                line, capture_output=True, text=True, env=environment, check=False
            )
            if done.returncode:
                tell(benchmark="memory", command=command, failed=done.stderr[-300:])
                continue
            peak, seconds = json.loads(done.stdout.splitlines()[-1])
            tell(
                benchmark="memory",
                command=command,
                memory_mib=limit,
                forecast_mb=round(many * per_trajectory / 1e6),
                peak_mib=round(peak / 2**20),
                bound_mib=max(256, 2 * limit),
                cpu_s=round(seconds, 1),
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        measured(*sys.argv[2:])
    else:
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else 400,
            int(sys.argv[2]) if len(sys.argv) > 2 else 32,
            sys.argv[3:],
        )
