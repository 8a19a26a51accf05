"""Lorenz95: variable-updates per second (sites x members x Runge-Kutta steps), noise, memory.

Peers: a fused C loop (benchmarks/lorenz95.c), the same scheme in eager torch, DAPPER (where the
Python named by --dapper has it), numpy's generator.

    python benchmarks/lorenz95.py > benchmarks/results/lorenz95.jsonl
"""

import ctypes
import os
import platform
import subprocess
import sys
from functools import partial

import click
import numpy as np
import torch
from numba import njit
from timing import compiled, in_a_new_process, interleaved, peak_bytes, tell

from geobench import LANES, Noise, normal_lanes
from geobench_plugins.simulators.lorenz95 import Lorenz95

SITES, SUBSTEPS, STEPS = 40, 4, 10  # STEPS: output steps in one call
DAPPER = """
import sys, time, numpy as np
from dapper.mods.Lorenz96 import step
members = int(sys.argv[1])
x = 2 + np.random.default_rng(0).standard_normal((members, 40))
count = max(1, 40_000 // members)
for _ in range(3):
    y, began = x, time.perf_counter()
    for _ in range(count):
        y = step(y, 0.0, 0.05)
    print("seconds", (time.perf_counter() - began) / count)
"""


def by_c(library: ctypes.CDLL, state: np.ndarray, steps: int) -> np.ndarray:
    """Advance a copy of `state` `(row, site)` in C."""
    out = state.copy()
    kind = ctypes.c_float if state.dtype == np.float32 else ctypes.c_double
    function = getattr(library, f"advance_{state.dtype}")
    place = out.ctypes.data_as(ctypes.c_void_p)
    function(place, ctypes.c_long(len(out)), SITES, ctypes.c_long(steps), kind(8), kind(0.05))
    return out


def by_dapper(python: str, members: int) -> float | None:
    """Seconds of one step of DAPPER's Lorenz96 (float64), or None if it is not there."""
    done = subprocess.run(
        [python, "-c", DAPPER, str(members)], check=False, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    return min((float(line.split()[1]) for line in lines), default=None)


def deterministic(library: ctypes.CDLL, dapper: str, members: int, dtype: torch.dtype) -> None:
    """Rates without noise, one thread; then our own with two."""
    steps = 1 if members > 1000 else 10
    noise = Noise.rows(0, "none", members)
    state = (2 + 3 * Noise.rows(0, "state", members).normal(1, SITES)).to(dtype)
    ours, eager = Lorenz95(amplitude=0, backend="numba"), Lorenz95(amplitude=0, backend="torch")
    rows, output_steps = state[:, 0].numpy(), 10 * steps
    near = by_c(library, rows, SUBSTEPS) - ours.advance(state, 1, noise)[:, 0].numpy()
    assert np.abs(near).max() < 1e-4, "C and numba do not solve the same equation"
    torch.set_num_threads(1)
    times = interleaved(
        {
            "numba": partial(ours.advance, state, output_steps, noise),
            "c": partial(by_c, library, rows, output_steps * SUBSTEPS),
            "torch": partial(eager.advance, state, 1, noise),
        }
    )
    work = SITES * members * SUBSTEPS
    rates = {name: work * output_steps / t for name, t in times.items()}
    rates["torch"] /= output_steps
    own_time = by_dapper(dapper, members) if dtype == torch.float64 or members > 1000 else None
    if own_time:
        rates["dapper"] = SITES * members / own_time
    for name, rate in rates.items():
        tell(
            benchmark="lorenz95", what="deterministic", by=name, members=members,
            dtype="float64" if name == "dapper" else str(dtype)[6:], threads=1,
            updates_per_s=rate, numba_over_this=rates["numba"] / rate,
        )  # fmt: skip
    threads(ours, state, noise, output_steps, what="deterministic")


def threads(
    simulator: Lorenz95, state: torch.Tensor, noise: Noise, steps: int, *, what: str
) -> None:
    """Two threads against one."""

    def with_threads(count: int) -> None:
        torch.set_num_threads(count)
        simulator.advance(state, steps, noise)

    times = interleaved({str(count): partial(with_threads, count) for count in (1, 2)})
    torch.set_num_threads(1)
    rate = SITES * len(state) * SUBSTEPS * steps / times["2"]
    tell(
        benchmark="lorenz95", what=what, by="numba", members=len(state), threads=2,
        dtype=str(state.dtype)[6:], updates_per_s=rate, over_one_thread=times["1"] / times["2"],
    )  # fmt: skip


@njit(nogil=True)
def noise_alone(lanes, init, member, lead, k0, k1):
    """Make, block by block, the numbers of one output step of all members."""
    for first in range(0, init.size, LANES):
        for substep in range(SUBSTEPS):
            own = slice(first, first + LANES)
            normal_lanes(lanes, substep * SITES, init[own], member[own], lead, k0, k1)


def noisy(members: int) -> None:
    """Noise alone, numpy's generator, and the simulator with noise at every step; float32."""
    torch.set_num_threads(1)
    state = 2 + 3 * Noise.rows(0, "state", members).normal(1, SITES)
    noise = Noise.rows(0, "noise", members)
    lanes = np.empty(SITES * LANES, np.float32)
    numbers = np.empty(SITES * members * SUBSTEPS, np.float32)
    generator = np.random.default_rng(0)

    times = interleaved(
        {
            "noise alone": partial(noise_alone, lanes, *noise.words32()),
            "Noise.normal": partial(noise.normal, SUBSTEPS, 1, SITES),
            "numpy": lambda: generator.standard_normal(out=numbers, dtype=np.float32),
            "simulator": partial(Lorenz95(backend="numba").advance, state, STEPS, noise),
        }
    )
    count = numbers.size
    times["simulator"] /= STEPS
    tell(
        benchmark="lorenz95", what="noise", members=members, threads=1, dtype="float32",
        numpy_per_s=count / times["numpy"], noise_per_s=count / times["noise alone"],
        noise_over_numpy=times["numpy"] / times["noise alone"],
        normal_over_numpy=times["numpy"] / times["Noise.normal"],
        simulator_updates_per_s=count / times["simulator"],
        simulator_over_noise_alone=times["noise alone"] / times["simulator"],
    )  # fmt: skip
    threads(Lorenz95(backend="numba"), state, noise, STEPS, what="with noise")


def memory() -> None:
    """Peak memory of one output step of a million members, over input and output."""
    members = 2**20
    noise = Noise.rows(0, "noise", members)
    state = torch.full((members, 1, SITES), 2.0)
    Lorenz95().advance(state[:64], 1, Noise.rows(0, "noise", 64))  # compiled code is loaded
    before = peak_bytes()
    result = Lorenz95().advance(state, 1, noise)
    size = state.nbytes + result.nbytes
    more = peak_bytes() - before
    tell(
        benchmark="lorenz95", what="memory", members=members, state_bytes=state.nbytes,
        in_and_out_bytes=size, peak_bytes=state.nbytes + more,
        peak_over_in_and_out=(state.nbytes + more) / size,
    )  # fmt: skip


@click.command(help=__doc__)
@click.option("--dapper", default=sys.executable, help="A Python that has DAPPER.")
@click.option("--only-memory", is_flag=True, hidden=True)
def main(dapper: str, *, only_memory: bool) -> None:
    """Run everything."""
    if only_memory:
        memory()
        return
    tell(benchmark="lorenz95", machine=platform.processor() or platform.machine(),
         cpus=os.cpu_count(), torch=torch.__version__, numpy=np.__version__)  # fmt: skip
    library = compiled("lorenz95.c")
    for dtype in (torch.float32, torch.float64):
        for members in (1, 64, 4096):
            deterministic(library, dapper, members, dtype)
    noisy(4096)
    print(in_a_new_process(__file__, "--only-memory"), end="", flush=True)


if __name__ == "__main__":
    main()
