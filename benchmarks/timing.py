"""What the benchmarks share: interleaved timing, a compiled peer, JSON lines."""

import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def tell(**fields: Any) -> None:
    """Print one JSON line, floats with four digits."""
    short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in fields.items()}
    print(json.dumps(short), flush=True)


def interleaved(
    jobs: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 9,
    least: float = 0.05,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Shortest time of each job, s: jobs take turns, so that a busy machine slows all of them.

    A job is repeated within a turn until it has run `least` seconds; the shortest call counts.
    """
    best = dict.fromkeys(jobs, float("inf"))
    for job in jobs.values():  # warm up: compilers, caches, threads
        job()
    for _ in range(repeats):
        for name, job in jobs.items():
            end = clock() + least
            while (began := clock()) < end:
                job()
                best[name] = min(best[name], clock() - began)
    return best


def compiled(source: str) -> ctypes.CDLL:
    """Compile a C file beside this one for this machine."""
    folder = tempfile.mkdtemp()
    library = Path(folder) / "peer.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", library, HERE / source, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def peak_bytes() -> int:
    """Largest memory this program has held so far (getrusage counts what it was forked from)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> int:
    """Count the peak from here on; return what is held now, bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def in_a_new_process(script: str, *words: str) -> str:
    """Run a script and return what it printed."""
    done = subprocess.run(
        [sys.executable, script, *words], check=True, capture_output=True, text=True
    )
    return done.stdout
