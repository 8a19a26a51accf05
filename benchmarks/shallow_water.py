"""Speed of the shallow-water step: numba against fused C and eager torch, in one interleaved run.

    python benchmarks/shallow_water.py > benchmarks/results/shallow_water.jsonl

One JSON line for each number of members and threads, float type and size. Rates are evaluations of
the right-hand side, cells per second, best of the repeats (other work on the machine only slows);
ratios are of those. First, all three have to agree in numbers. gcc is needed.
"""

import argparse
import ctypes
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from geobench import Noise
from geobench_plugins.kernels import shallow_water, shallow_water_torch
from geobench_plugins.kernels.threads import over_rows
from geobench_plugins.simulators.shallow_water import ShallowWater

SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")


def compiled(n: int, dtype: torch.dtype, folder: str) -> ctypes.CDLL:
    """The C reference for one size and one type, both known to its compiler."""
    kind = "float" if dtype == torch.float32 else "double"
    library = Path(folder) / f"{n}-{kind}.so"
    command = ["gcc", *FLAGS, f"-DN={n}", f"-DT={kind}", str(SOURCE), "-o", str(library)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


class Case:
    """One size of problem, to be run by all three."""

    def __init__(self, n: int, members: int, dtype: torch.dtype, folder: str) -> None:
        self.simulator = simulator = ShallowWater(n=n)
        noise = Noise.rows(0, "benchmark", members)
        self.basin = simulator.basin(dtype)
        self.start = self._start(noise, dtype)
        self.stress = simulator.stress(noise, dtype).contiguous()
        self.library = compiled(n, dtype, folder)
        self.c_type = ctypes.c_float if dtype == torch.float32 else ctypes.c_double

    def _start(self, noise: Noise, dtype: torch.dtype) -> torch.Tensor:
        """A geostrophic flow of large waves: currents of some 0.1 m/s, displacements of 20 m."""
        stress = self.simulator.stress(noise, torch.float64)
        flow = 0.1 * stress / stress.std()
        wave = torch.linspace(0, 6, self.simulator.n, dtype=torch.float64)
        eta = (20 * torch.sin(wave)[:, None] * torch.cos(wave)).expand(len(noise), -1, -1)
        state = torch.stack([flow[:, 0], flow[:, 1], eta], 1)
        state[:, 0, :, 0] = 0
        state[:, 1, 0, :] = 0
        return state.to(dtype)

    def numba(self, steps: int) -> torch.Tensor:
        """The built-in's own kernel and threads."""
        basin, state = self.basin, self.start.clone()
        values, forces = state.numpy(), self.stress.numpy()
        fixed = basin.depth.numpy(), basin.coriolis.numpy()
        numbers = (
            self.simulator.step, basin.dx, basin.gravity, basin.drag, basin.nu2, basin.nu4,
        )  # fmt: skip
        over_rows(
            lambda first, stop: shallow_water.advance(
                values[first:stop], forces[first:stop], *fixed, numbers, steps, 0, basin.slip
            ),
            len(values),
        )
        return state

    def c(self, steps: int) -> torch.Tensor:
        """The same rows on the same threads; ctypes releases the lock."""
        b, state, real = self.basin, self.start.clone(), self.c_type
        values, forces = state.numpy(), self.stress.numpy()
        numbers = np.array(
            [self.simulator.step, 1 / b.dx, b.gravity, b.drag, b.nu2 / b.dx**2, b.nu4 / b.dx**4],
            values.dtype,
        )

        def run(first: int, stop: int) -> None:
            rows = slice(first, stop)
            arrays = values[rows], forces[rows], b.depth.numpy(), b.coriolis.numpy(), numbers
            places = [array.ctypes.data_as(ctypes.POINTER(real)) for array in arrays]
            count = ctypes.c_long(stop - first)
            self.library.advance(*places, count, ctypes.c_long(steps), real(b.slip))

        over_rows(run, len(values))
        return state

    def torch(self, steps: int) -> torch.Tensor:
        """Eager torch, with as many threads of its own."""
        state = self.start
        for _ in range(steps):
            state = shallow_water_torch.step(state, self.stress, self.basin, self.simulator.step)
        return state

    def check(self) -> dict[str, float]:
        """Largest differences after 20 steps, as shares of each variable's largest value."""
        truth = self.numba(20)
        size = truth.abs().amax((0, 2, 3), keepdim=True)
        return {
            name: float(((run(20) - truth) / size).abs().max())
            for name, run in (("c", self.c), ("torch", self.torch))
        }


def rate(run: Callable[[int], torch.Tensor], steps: int, cells: int) -> float:
    """Cell evaluations of the right-hand side per second."""
    start = time.perf_counter()
    run(steps)
    return 3 * steps * cells / (time.perf_counter() - start)


def work(run: Callable[[int], torch.Tensor], steps: int) -> float:
    """Processor seconds of all threads together: what two threads add to the work of one."""
    start = time.process_time()
    run(steps)
    return time.process_time() - start


def measure(case: Case, threads: int, repeats: int, budget: float) -> dict[str, float]:
    """Best rate of each, turn by turn; every turn takes about `budget` seconds."""
    torch.set_num_threads(threads)
    cells = case.start[:, 0].numel()
    runs = {"c": case.c, "numba": case.numba, "torch": case.torch}
    steps = {}
    for name, run in runs.items():
        run(1)
        steps[name] = max(1, round(budget * rate(run, 3, cells) / (3 * cells)))
    best = dict.fromkeys(runs, 0.0)
    for _ in range(repeats):
        for name, run in runs.items():
            best[name] = max(best[name], rate(run, steps[name], cells))
    return best


def main() -> None:
    """Print one JSON line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--budget", type=float, default=0.15, help="seconds of a turn")
    given = parser.parse_args()
    cases = [(64, m, "float32") for m in (1, 32)] + [(64, 32, "float64"), (256, 2, "float32")]
    with tempfile.TemporaryDirectory() as folder:
        for n, members, kind in cases:
            case = Case(n, members, getattr(torch, kind), folder)
            differences = case.check()
            most = 2e-4 if kind == "float32" else 1e-11
            if max(differences.values()) > most:
                raise SystemExit(f"they do not agree: {differences}")
            rates, spent = {}, {}
            for threads in (1, 2) if members > 1 else (1,):
                best = rates[threads] = measure(case, threads, given.repeats, given.budget)
                spent[threads] = min(work(case.numba, 10) for _ in range(given.repeats))
                line = {
                    "n": n, "members": members, "type": kind, "threads": threads,
                    "rates": {name: float(f"{value:.3g}") for name, value in best.items()},
                    "numba/c": round(best["numba"] / best["c"], 2),
                    "numba/torch": round(best["numba"] / best["torch"], 1),
                    "differences": {k: float(f"{v:.1e}") for k, v in differences.items()},
                    "cpus": os.cpu_count(), "machine": platform.machine(),
                    "load": round(os.getloadavg()[0], 1),
                }  # fmt: skip
                if threads == 2:
                    line["numba 2/1 threads"] = round(best["numba"] / rates[1]["numba"], 2)
                    line["numba processor seconds 2/1"] = round(spent[2] / spent[1], 2)
                    line["c 2/1 threads"] = round(best["c"] / rates[1]["c"], 2)
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
