"""Experiments to describe that nobody wrote down: a simulator alone."""

from collections.abc import Mapping
from typing import Any

from geobench.contracts.experiment import Experiment, Split, TestSplit
from geobench.registry import Registry

_LEADS = 10


def alone(
    registry: Registry, name: str, fields: Mapping[str, Any], spin_up: int
) -> tuple[str, Experiment]:
    """Return a simulator's name, and an experiment that gives its exact state, ten leads ahead."""
    simulator = registry.simulator({"use": name, **fields})
    split = Split(trajectories=1, steps=2)
    return name, Experiment(
        title=f"The simulator {name}",
        simulator=simulator.recipe(),
        spin_up=spin_up,
        train=split,
        validation=split,
        test=TestSplit(trajectories=2),
        leads=_LEADS,
    )
