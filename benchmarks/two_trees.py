"""Whole commands of this working copy beside those of another one, such as an earlier commit.

python benchmarks/two_trees.py OTHER [--turns N]      # OTHER: a working copy, e.g. of git worktree

Each command is run in turns by both (A B B A …), one thread each, in a catalog of its own for each
tree. JSON lines: the least seconds of CPU of its process, here and there, and the ratio (below 1:
this one is quicker). Scripts are compiled and kernels are in numba's cache before anything counts.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
DATA = [
    "--set", "train.trajectories=64", "--set", "train.steps=100",
    "--set", "validation.trajectories=8", "--set", "test.trajectories=64", "--set", "leads=6",
]  # fmt: skip
SCORERS = [word for name in ("crps", "rmse", "energy", "variogram", "rank-histogram", "brier")
           for word in ("--scorer", name)]  # fmt: skip
SETUP = [
    ["simulate", "lorenz95", *DATA],
    ["train", "flow-matching", "--dataset", "dataset/lorenz95@1", "--set", "training.passes=2000"],
    ["train", "oracle", "--dataset", "dataset/lorenz95@1"],
    ["forecast", "forecaster/lorenz95.oracle.s0@1", "--members", "64", "--seed", "9"],
]
LAW = "forecast/lorenz95.oracle.s0.noise9@1"
FLOW = "forecaster/lorenz95.flow-matching.s0@1"
JOBS = {  # job: commands whose time counts, in order
    "help": [["--help"]],
    "simulating": [["simulate", "lorenz95", *DATA, "--set", "spin_up={turn}", "--name", "d{turn}"]],
    "training": [["train", "fgn", "--dataset", "dataset/lorenz95@1", "--seed", "{turn}",
                  "--set", "training.passes=20000"]],
    "sampling": [["forecast", FLOW, "--members", "4", "--seed", "{turn}"]],
    "scoring": [["score", "forecast/lorenz95.oracle.s0.noise{turn}@1", *SCORERS]],
    "scoring against the law": [
        ["score", "forecast/lorenz95.oracle.s0.noise{turn}@1", "--law", LAW,
         "--scorer", "law-crps", "--scorer", "law-energy", "--scorer", "law-brier"]],
    "catalog: list": [["catalog", "list"]],
    "catalog: query": [["catalog", "query", "dataset = lorenz95"]],
    "catalog: verify": [["catalog", "verify"]],
    "catalog: reindex": [["catalog", "reindex"]],
}  # fmt: skip
BEFORE = {  # what a job needs, made in each turn, and not counted
    "scoring": [["forecast", "forecaster/lorenz95.oracle.s0@1", "--members", "50",
                 "--seed", "{turn}"]],
}  # fmt: skip


def run(tree: Path, catalog: Path, words: list[str], turn: int) -> float:
    """Run a command; return the seconds of CPU that it took."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    environment["PYTHONPATH"] = os.pathsep.join(
        str(tree / part) for part in (".", "plugins", "catalog")
    )
    start = [sys.executable, "-m", "geobench", "-q", "--catalog", str(catalog)]
    command = [*start, *(word.format(turn=turn) for word in words)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{tree}: {' '.join(command)}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    trees = {"here": HERE, "other": asked.other.absolute()}
    folder = Path(tempfile.mkdtemp())
    try:
        for tree, path in trees.items():
            for words in SETUP:
                run(path, folder / tree, words, 0)
        for job, commands in JOBS.items():
            least = dict.fromkeys(trees, float("inf"))
            for turn in range(asked.turns + 1):  # the first one compiles, and does not count
                order = list(trees) if turn % 2 else list(reversed(trees))
                for tree in order:
                    for words in BEFORE.get(job, []):
                        run(trees[tree], folder / tree, words, 100 + turn)
                    cpu = sum(
                        run(trees[tree], folder / tree, words, 100 + turn) for words in commands
                    )
                    least[tree] = min(least[tree], cpu) if turn else least[tree]
            ratio = least["here"] / least["other"]
            rounded = {tree: round(cpu, 3) for tree, cpu in least.items()}
            print(json.dumps({"job": job, **rounded, "ratio": round(ratio, 3)}), flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
