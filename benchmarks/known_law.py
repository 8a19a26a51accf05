"""Learned models on a law in closed form: mean, covariance, cross-covariance one step ahead.

python benchmarks/known_law.py [PASSES] [MODEL...]

A linear-Gaussian field on a ring of 40 sites (`ou`), a train split of 1000 x 100 states, one
training each of PASSES sample-passes (default 400,000). 512 states, 64 members of each. JSON lines,
of each model: the root mean square error of its conditional mean, in standard deviations of the
law; of the covariance of its members and of their cross-covariance with the state before the error
over the size of the exact one (Frobenius); variance over the exact one, and the correlation of
neighbours beside the exact one. `exact draws` is the law itself: what is left is sampling error.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from timing import tell
from torch import Tensor

from geobench import Forecaster, Noise, Run, Task, Training
from geobench.forecasts.rollout import members
from geobench.registry import Registry
from geobench.twin.simulating import trajectories
from geobench_plugins.simulators.ou import OrnsteinUhlenbeck

STATES, MEMBERS = 512, 64
HOW = {"rows": 128, "warm_up": 500, "averaging": 0.999}
MODELS: dict[str, dict[str, Any]] = {
    "flow-matching": {"use": "flow-matching"},
    "flow-map": {"use": "flow-map", "sampler": {"evaluations": 1}},
    "archesweather-gen": {"use": "archesweather-gen"},
    "gencast": {"use": "gencast", "sampler": {"evaluations": 39}},
    "fgn": {"use": "fgn"},
    "fgn-local": {"use": "fgn", "conditioning": {"noise": "local"}},
    "gaussian": {"use": "gaussian"},
}


def compare(name: str, after: Tensor, before: Tensor, **further: Any) -> None:
    """Tell how far members `(state, member, site)`, of states `(state, site)`, are from the law."""
    simulator = OrnsteinUhlenbeck()
    mean = simulator.mean_after(before[:, None].double(), 1)[:, 0]
    covariance = simulator.covariance_after(1)
    after, before = after.double(), before.double()
    anomalies = after - after.mean(1, keepdim=True)
    drawn = torch.einsum("smi,smj->ij", anomalies, anomalies) / (STATES * (MEMBERS - 1))
    error = (after.mean(1) - mean).square().mean() - drawn.diagonal().mean() / MEMBERS
    deviation = covariance.diagonal().mean().sqrt()
    crossed = (after.mean(1) - after.mean((0, 1))).T @ before / STATES
    exact = (mean - mean.mean(0)).T @ before / STATES
    neighbours = [float(c.diagonal(1).mean() / c.diagonal().mean()) for c in (drawn, covariance)]
    tell(
        benchmark="known_law",
        model=name,
        mean_error=float(error.clamp_min(0).sqrt() / deviation),
        covariance_error=float((drawn - covariance).norm() / covariance.norm()),
        cross_covariance_error=float((crossed - exact).norm() / exact.norm()),
        variance_over_exact=float(drawn.diagonal().mean() / covariance.diagonal().mean()),
        neighbour_correlation=neighbours[0],
        exact_neighbour_correlation=neighbours[1],
        **further,
    )


def main() -> None:
    """Train and compare."""
    torch.set_num_threads(1)
    passes = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    named = sys.argv[2:] or list(MODELS)
    simulator, registry = OrnsteinUhlenbeck(), Registry()
    task = Task(simulator.spec, simulator.output_step)
    train = trajectories(simulator, Noise.rows(0, "train", 1000), spin_up=0, steps=100)
    test = trajectories(simulator, Noise.rows(1, "test", STATES), spin_up=0, steps=2)
    training = Training(task, train, train[:64])
    before = test[:, 1, 0]
    pairs = [(state, member) for state in range(STATES) for member in range(MEMBERS)]
    rows = Noise.rows(2, "exact", STATES).members(MEMBERS)
    exact = simulator.advance(test[:, 1].repeat_interleave(MEMBERS, 0), 1, rows.at(1))
    compare("exact draws", exact.view(STATES, MEMBERS, -1), before)
    clock: Callable[[], float] = time.perf_counter
    for name in named:
        recipe = MODELS[name]
        model = registry.model({**recipe, "training": {**HOW, "passes": passes}})
        began = clock()
        forecaster: Forecaster = model.fit(training, Run(seed=0))
        seconds = clock() - began
        drawn = members(forecaster, test, pairs, leads=1, seed=0, spec=task.spec)
        after = drawn[:, 0, 0].view(STATES, MEMBERS, -1)
        compare(name, after, before, passes=passes, training_seconds=seconds)


if __name__ == "__main__":
    main()
