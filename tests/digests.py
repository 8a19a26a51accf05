"""Prints, as JSON, a digest of what every scorer and simulator computes: `python tests/digests.py`.

For comparing processes: compiled functions must give the same bits wherever they come from.
"""

import hashlib
import json
from typing import Any

import torch

from geobench import Noise
from geobench.registry import Registry
from geobench.testing import small_case

SIMULATORS: list[dict[str, Any]] = [
    {"use": "lorenz95"},
    {"use": "lorenz95", "multiplicative": 0.5, "tails": 0.2, "threshold": 1.0},
    {"use": "lorenz95", "rank": 2},
    {"use": "lorenz95-two-scale"},
    *({"use": "shallow-water", "n": 32, "scheme": each} for each in ("een", "energy", "enstrophy")),
]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def main() -> None:
    registry = Registry()
    found = {}
    for fields in SIMULATORS:
        simulator = registry.simulator(fields)
        noise = Noise.rows(0, "digests", 3)
        state = simulator.initial(noise)
        for step in (1, 2):
            state = simulator.advance(state, 1, noise.at(step))
        found[json.dumps(fields)] = digest(state.numpy().tobytes())
    for members in (5, 50):
        forecast, truth, context = small_case(9, members)
        far = forecast.copy()
        far[dict.fromkeys(far.dims, 0)] = 1e15
        for kind, name in registry.offers:
            if kind == "scorer":
                scorer = registry.scorer(name)
                for key, given in (("", forecast), (" far", far)):
                    values = scorer.statistics(given, truth, context).to_dict()
                    text = json.dumps(values, default=str, sort_keys=True)
                    found[f"{name} {members}{key}"] = digest(text.encode())
    print(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
