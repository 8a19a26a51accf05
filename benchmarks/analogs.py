"""Local analogs by an index beside a scan of all past states: `python benchmarks/analogs.py`.

Prints, for `lorenz95` and growing libraries, the processor seconds of 1,000 states' searches (30
neighbours at each of 40 cells), by k-d trees and by a scan, and their ratio; and the seconds that
the trees take to make.
"""

import time

import torch
from torch import Tensor

from geobench import Noise, Task, Training
from geobench.twin.simulating import trajectories
from geobench_plugins.networks.analogs import Library, LocalIndex, nearest, neighbourhoods
from geobench_plugins.simulators.lorenz95 import Lorenz95

STATES = (2_000, 10_000, 50_000)
NEIGHBOURS, REACH, STEPS = 30, 2, 200


def scanned(library: Library, past: Tensor) -> Tensor:
    """Places of the nearest windows at every cell `(row, cell, window)`, by all distances."""
    known, given = library.windows().flatten(1), library.normal(past).flatten(1)
    rows = []
    for state in given:
        squares = (known - state).square()
        around = torch.stack(
            [squares[:, cells].sum(1) for cells in neighbourhoods(library.spec, REACH)]
        )
        rows.append(nearest(around, NEIGHBOURS)[0])
    return torch.stack(rows)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    simulator = Lorenz95()
    past = trajectories(simulator, Noise.rows(1, "past", 100), spin_up=60, steps=10).flatten(0, 1)
    print("states   trees made   trees, s   scan, s   scan / trees")
    for count in STATES:
        rows = Noise.rows(0, "library", count // STEPS)
        states = trajectories(simulator, rows, spin_up=60, steps=STEPS)
        training = Training(Task(simulator.spec, simulator.output_step), states, states[:1])
        library = Library.learn(training, 1, count)
        start = time.process_time()
        index = LocalIndex(library, REACH)
        made = time.process_time() - start
        start = time.process_time()
        found, _ = index.nearest(past[:, None], NEIGHBOURS)
        by_trees = time.process_time() - start
        few = past[:: 1000 // 40]
        start = time.process_time()
        exact = scanned(library, few[:, None])
        by_scan = (time.process_time() - start) * len(past) / len(few)
        same = (found[:: 1000 // 40] == exact).float().mean()  # all but the nearest to equal
        if same < 0.999:
            raise SystemExit(f"the index finds {float(same):.2%} of what the scan finds")
        ratio = by_scan / by_trees
        print(f"{count:6}   {made:10.2f}   {by_trees:8.2f}   {by_scan:7.1f}   {ratio:12.1f}")


if __name__ == "__main__":
    main()
