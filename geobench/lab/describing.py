"""Measurements of a simulator or an experiment, for a notebook."""

from typing import TYPE_CHECKING, Any

from geobench.contracts.experiment import Experiment
from geobench.describe import experiments
from geobench.describe.effort import Effort, Level
from geobench.describe.measuring import Description
from geobench.describe.measuring import describe as measure
from geobench.errors import blaming
from geobench.lab import recipes
from geobench.nodes.dataset import DatasetNode
from geobench.twin.realising import check

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.contracts.law import Law
    from geobench.lab.lab import Lab
    from geobench.nodes.engine import Engine


def describe(
    lab: "Lab",
    name: str | Experiment,
    *,
    effort: Level = "normal",
    seed: int = 0,
    exponents: int | None = None,
    spin_up: int = 200,
    **changes: Any,
) -> Description:
    """Measure climate, predictability, Lyapunov exponents, extremes; see `Lab.describe`."""
    registry = lab.registry
    if isinstance(name, str) and not _is_experiment(lab, name):
        called, experiment = experiments.alone(registry, name, changes, spin_up)
    else:
        called, experiment = recipes.experiment(registry, name, changes)
    simulator = registry.simulator(experiment.simulator)
    check(experiment, simulator)
    with blaming(f"the simulator {simulator.name}"):
        return measure(
            called,
            experiment,
            simulator,
            Effort.of(effort, simulator.spec, experiment.leads, exponents),
            watch=lab.engine.watch,
            seed=seed,
            known=known(lab.engine, experiment),
        )


def known(engine: "Engine", experiment: Experiment) -> "tuple[Law, Tensor] | None":
    """Return where the law starts at each init, if only a dataset tells and it is there."""
    if not experiment.inexact_law:
        return None
    entry = engine.find(DatasetNode("", experiment))
    if entry is None:
        return None
    dataset = engine.dataset(entry)
    return dataset.law, dataset.histories(1)[:, 0]


def _is_experiment(lab: "Lab", name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or ("experiment", name) in lab.registry.offers
