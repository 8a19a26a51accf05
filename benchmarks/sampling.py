"""Evaluations per second of a whole forecast beside the bare network.

python benchmarks/sampling.py

A forecast is what a study does: histories cut, noise drawn, the sampler's steps, members rolled
out, all written to Zarr, checked and published. The bare network has inputs that lie ready, as many
rows at once, and throws its output away. Ratio: evaluations counted in the forecast, times the
bare network's seconds for one, over the forecast's seconds. JSON lines; the two take turns in one
process, one thread, for comparable times, and the best of each counts.
"""

import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from timing import tell
from torch import nn

from geobench import Forecaster, Noise
from geobench.forecasts.rollout import TILE
from geobench.nodes.engine import Engine
from geobench.nodes.forecaster import forecaster_of
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog

TURNS = 3
ROWS = TILE[0] * TILE[1]
CASES = [
    # experiment, its changes, members, models
    (
        "lorenz95",
        {"train": {"trajectories": 64, "steps": 50}, "test": {"trajectories": 64}, "leads": 4},
        8,
        ("flow-matching", "gencast", "archesweather-gen"),
    ),
    (
        "shallow-water",
        {
            "spin_up": 2,
            "train": {"trajectories": 1, "steps": 20},
            "validation": {"trajectories": 1, "steps": 10},
            "test": {"trajectories": 16, "runs": 2, "gap": 1},
            "leads": 2,
        },
        4,
        ("flow-matching",),
    ),
]


def bare(forecaster: Forecaster, history: torch.Tensor) -> Callable[[], None]:
    """Return the network's last evaluation in a step of `ROWS` rows, to be done again and again."""
    networks = forecaster.network
    assert networks is not None
    network = networks[-1] if isinstance(networks, nn.ModuleList) else networks
    given: list[Any] = []
    hook = network.register_forward_pre_hook(lambda _m, inputs: given.append(inputs))
    rows = history[:1, -forecaster.history :].expand(ROWS, *history[0].shape)
    with torch.inference_mode():
        forecaster.trajectory(rows, Noise.rows(0, "bare", ROWS), 1)
    hook.remove()

    def evaluate() -> None:
        with torch.inference_mode():
            network(*given[-1])

    return evaluate


def mean_seconds(job: Callable[[], None], least: float) -> float:
    """Mean time of a call over at least so many seconds."""
    calls, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < least:
        job()
        calls += 1
    return spent / calls


def main() -> None:
    """Measure every case."""
    torch.set_num_threads(1)
    for name, changes, members, models in CASES:
        with tempfile.TemporaryDirectory() as folder:
            session = Session(Engine(Catalog(f"{folder}/catalog", create=True), Registry()))
            fields = {"use": name, **changes}
            dataset = session.simulate(name, session.registry.experiment(fields, name))
            for label in models:
                recipe = {"use": label, "training": {"passes": 640, "rows": 16, "validations": 0}}
                forecaster = session.train(dataset, session.registry.model(recipe))
                restored, task = forecaster_of(session.engine, forecaster)
                evaluate = bare(restored, torch.randn(1, task.history, *task.spec.shape))
                whole, single = float("inf"), float("inf")
                for turn in range(TURNS):
                    began = time.perf_counter()
                    made = session.forecast(forecaster, members=members, seed=turn)
                    spent = time.perf_counter() - began
                    whole = min(whole, spent)
                    single = min(single, mean_seconds(evaluate, spent / 2) / ROWS)
                cost = made.record.summary
                leads = changes["leads"]
                evaluations = cost["evaluations_per_step"] * cost["members"] * leads
                tell(
                    benchmark="sampling",
                    experiment=name,
                    model=label,
                    evaluations_a_member_and_step=cost["evaluations_per_step"],
                    evaluations_a_second=evaluations / whole,
                    bare_network_a_second=1 / single,
                    ratio=evaluations / whole * single,
                )


if __name__ == "__main__":
    main()
