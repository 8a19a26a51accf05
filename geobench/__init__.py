"""geobench: probabilistic forecast models judged against the known law of a twin experiment.

From a notebook or a script:

    import geobench as gb

    lab = gb.open("my-catalog")                      # a folder; it is made if it is not there
    lab.plugins()                                    # experiments, models, scorers, simulators
    data = lab.simulate("lorenz95", leads=5)         # a Dataset: data.train, data.plot()
    fgn = lab.train("fgn", data, passes=20_000)      # a Forecaster
    lab.fields("fgn")                                # the fields of a model, and what they mean

A model of your own, trained as you like, is a function of (history, noise) or a torch module:

    def step(history, noise):                        # history: (row, frame, channel, *grid)
        now = history[:, -1]                         # the state now, (row, channel, *grid)
        return 0.9 * now + noise.normal(*now.shape[1:])

    mine = lab.forecaster(step, data, label="mine")
    for batch, (history, future) in enumerate(data.windows(64, passes=20_000)):
        noise = gb.Noise.rows(0, "training", len(history), lead=batch)
        ...                                          # a training loop of your own

Compare it with the true distribution and with climatology:

    board = lab.compare([fgn, mine], members=16)     # prints as a table
    board.compare("mine", "fgn")                     # paired differences, with intervals
    board.plot("skill_by_lead")                      # matplotlib axes
    board.site("site")                               # pages to send to colleagues

`help(lab)`, `help(data)` and `help(board)` say what else there is. The command `geobench` does the
same from a shell, and finds the same entries. A plugin is a class: subclass `EnsembleModel`,
`Simulator`, `Scorer` or `Assimilation`. All names below are imported when they are first used, so
that `import geobench` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geobench.contracts.hookspecs import hookimpl
from geobench.errors import GeobenchError
from geobench_catalog import register as _register

if TYPE_CHECKING:
    __version__: str
    from geobench.contracts.assimilation import Assimilation, Filter, Network
    from geobench.contracts.compiled_noise import LANES, normal_lanes
    from geobench.contracts.experiment import (
        Control,
        Event,
        Experiment,
        Observation,
        Split,
        TestSplit,
    )
    from geobench.contracts.law import Law
    from geobench.contracts.model import Batch, EnsembleModel, Forecaster, Run, Task, Training
    from geobench.contracts.noise import Noise
    from geobench.contracts.plugin import Fields, Plugin
    from geobench.contracts.presentation import FAMILIES, Curve, Series
    from geobench.contracts.scorer import Context, Scorer
    from geobench.contracts.simulator import Simulator
    from geobench.contracts.state import Dimension, StateSpec, Variable
    from geobench.lab import open  # geobench.open
    from geobench.study.file import Study
    from geobench.training import Optimisation, Stage, optimise
    from geobench_catalog import Vocabulary

_HOME = {
    "FAMILIES": "contracts.presentation",
    "LANES": "contracts.compiled_noise",
    "Assimilation": "contracts.assimilation",
    "Batch": "contracts.model",
    "Context": "contracts.scorer",
    "Control": "contracts.experiment",
    "Curve": "contracts.presentation",
    "Dimension": "contracts.state",
    "EnsembleModel": "contracts.model",
    "Event": "contracts.experiment",
    "Experiment": "contracts.experiment",
    "Fields": "contracts.plugin",
    "Filter": "contracts.assimilation",
    "Forecaster": "contracts.model",
    "Law": "contracts.law",
    "Network": "contracts.assimilation",
    "Noise": "contracts.noise",
    "Observation": "contracts.experiment",
    "Optimisation": "training",
    "Plugin": "contracts.plugin",
    "Run": "contracts.model",
    "Scorer": "contracts.scorer",
    "Series": "contracts.presentation",
    "Simulator": "contracts.simulator",
    "Split": "contracts.experiment",
    "Stage": "training",
    "StateSpec": "contracts.state",
    "Study": "study.file",
    "Task": "contracts.model",
    "TestSplit": "contracts.experiment",
    "Training": "contracts.model",
    "Variable": "contracts.state",
    "normal_lanes": "contracts.compiled_noise",
    "open": "lab",
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
    "Study",
    "Task",
    "TestSplit",
    "Training",
    "Variable",
    "hookimpl",
    "normal_lanes",
    "open",
    "optimise",
]


def _vocabulary() -> "Vocabulary":
    """What the entries of every catalog mean."""
    from geobench.entries.vocabulary import VOCABULARY

    return VOCABULARY


_register(_vocabulary)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("geobench-twin")
    if name in _HOME:
        return getattr(import_module(f"geobench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'geobench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
