"""geobench: probabilistic forecast models judged against the known law of a twin experiment.

The names below are all that a plugin needs. They are imported when they are first used, so that
`import geobench` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench.hookspecs import hookimpl
from geobench_catalog import register as _register

if TYPE_CHECKING:
    from geobench.interfaces.assimilation import Assimilation, Filter, Network
    from geobench.interfaces.compiled_noise import LANES, normal_lanes
    from geobench.interfaces.experiment import (
        Control,
        Event,
        Experiment,
        Observation,
        Split,
        TestSplit,
    )
    from geobench.interfaces.law import Law
    from geobench.interfaces.model import Batch, EnsembleModel, Forecaster, Run, Task, Training
    from geobench.interfaces.noise import Noise
    from geobench.interfaces.plugin import Fields, Plugin
    from geobench.interfaces.presentation import FAMILIES, Curve, Series
    from geobench.interfaces.scorer import Context, Scorer
    from geobench.interfaces.simulator import Simulator
    from geobench.interfaces.state import Dimension, StateSpec, Variable
    from geobench.training import Optimisation, Stage, optimise
    from geobench_catalog import Vocabulary

_HOME = {
    "FAMILIES": "interfaces.presentation",
    "LANES": "interfaces.compiled_noise",
    "Assimilation": "interfaces.assimilation",
    "Batch": "interfaces.model",
    "Context": "interfaces.scorer",
    "Control": "interfaces.experiment",
    "Curve": "interfaces.presentation",
    "Dimension": "interfaces.state",
    "EnsembleModel": "interfaces.model",
    "Event": "interfaces.experiment",
    "Experiment": "interfaces.experiment",
    "Fields": "interfaces.plugin",
    "Filter": "interfaces.assimilation",
    "Forecaster": "interfaces.model",
    "Law": "interfaces.law",
    "Network": "interfaces.assimilation",
    "Noise": "interfaces.noise",
    "Observation": "interfaces.experiment",
    "Optimisation": "training",
    "Plugin": "interfaces.plugin",
    "Run": "interfaces.model",
    "Scorer": "interfaces.scorer",
    "Series": "interfaces.presentation",
    "Simulator": "interfaces.simulator",
    "Split": "interfaces.experiment",
    "Stage": "training",
    "StateSpec": "interfaces.state",
    "Task": "interfaces.model",
    "TestSplit": "interfaces.experiment",
    "Training": "interfaces.model",
    "Variable": "interfaces.state",
    "normal_lanes": "interfaces.compiled_noise",
    "optimise": "training",
}

__all__ = [
    "FAMILIES",
    "LANES",
    "Assimilation",
    "Batch",
    "Context",
    "Control",
    "Curve",
    "Dimension",
    "EnsembleModel",
    "Event",
    "Experiment",
    "Fields",
    "Filter",
    "Forecaster",
    "GeobenchError",
    "Law",
    "Network",
    "Noise",
    "Observation",
    "Optimisation",
    "Plugin",
    "Run",
    "Scorer",
    "Series",
    "Simulator",
    "Split",
    "Stage",
    "StateSpec",
    "Task",
    "TestSplit",
    "Training",
    "Variable",
    "hookimpl",
    "normal_lanes",
    "optimise",
]


def _vocabulary() -> "Vocabulary":
    """What the entries of every catalog mean."""
    from geobench.entries.vocabulary import VOCABULARY

    return VOCABULARY


_register(_vocabulary)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"geobench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'geobench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
