"""What the built-ins offer. Imports stand inside the hooks: `geobench --help` asks for commands."""

from importlib import import_module
from inspect import isclass
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from geobench import hookimpl

if TYPE_CHECKING:
    from geobench import Assimilation, EnsembleModel, Scorer, Simulator

_HEADLINES = ("crps", "rmse", "spread-skill", "brier")
"""Order of the headline scores: the first one ranks the boards of studies that name no scorers."""


@hookimpl
def geobench_simulators() -> "list[type[Simulator]]":
    """Return every simulator in the modules of `simulators`, by name."""
    from geobench import Simulator
    from geobench_plugins import simulators

    return _defined(simulators, Simulator)


@hookimpl
def geobench_models() -> "list[type[EnsembleModel]]":
    """References and learned models."""
    from geobench_plugins.models.aifs import AIFS
    from geobench_plugins.models.aifs_crps import AIFSCRPS
    from geobench_plugins.models.analog import Analog
    from geobench_plugins.models.archesweather import ArchesWeather
    from geobench_plugins.models.archesweather_gen import ArchesWeatherGen, ArchesWeatherGenFour
    from geobench_plugins.models.climatology import Climatology
    from geobench_plugins.models.crps_lam import CRPSLAM
    from geobench_plugins.models.energy_net import EnergyNet
    from geobench_plugins.models.fgn import FGN
    from geobench_plugins.models.flow_map import FlowMap
    from geobench_plugins.models.flow_matching import FlowMatching
    from geobench_plugins.models.gaussian import Gaussian
    from geobench_plugins.models.gencast import GenCast
    from geobench_plugins.models.mc_dropout import MCDropout
    from geobench_plugins.models.oracle import Oracle
    from geobench_plugins.models.persistence import Persistence

    return [
        Oracle,
        Climatology,
        Persistence,
        Analog,
        Gaussian,
        AIFS,
        ArchesWeather,
        FGN,
        AIFSCRPS,
        CRPSLAM,
        MCDropout,
        EnergyNet,
        FlowMatching,
        ArchesWeatherGen,
        ArchesWeatherGenFour,
        GenCast,
        FlowMap,
    ]


@hookimpl
def geobench_scorers() -> "list[type[Scorer]]":
    """Return every scorer in the modules of `scorers`: headline scores first, others by name."""
    from geobench import Scorer
    from geobench_plugins import scorers

    def rank(scorer: "type[Scorer]") -> int:
        return _HEADLINES.index(scorer.name) if scorer.name in _HEADLINES else len(_HEADLINES)

    return sorted(_defined(scorers, Scorer), key=rank)


@hookimpl
def geobench_assimilations() -> "list[type[Assimilation]]":
    """Kalman filters of ensembles, and variational references."""
    from geobench_plugins.assimilations.enkf import EnKF
    from geobench_plugins.assimilations.etkf import ETKF
    from geobench_plugins.assimilations.letkf import LETKF
    from geobench_plugins.assimilations.optimal_interpolation import OptimalInterpolation
    from geobench_plugins.assimilations.variational import Variational

    return [ETKF, LETKF, EnKF, Variational, OptimalInterpolation]


def _defined(package: ModuleType, kind: Any) -> list[Any]:
    """Return every class of a kind that a module of the package defines, by name."""
    modules = [info.name for info in iter_modules(package.__path__, f"{package.__name__}.")]
    classes = [
        value
        for module in modules
        for value in vars(import_module(module)).values()
        if isclass(value) and issubclass(value, kind) and value.__module__ == module
        if getattr(value, "name", "")  # else what several have in common
    ]
    return sorted(classes, key=lambda plugin: plugin.name)


@hookimpl
def geobench_experiments() -> list[Path]:
    """Return the YAML files beside this one."""
    return sorted((Path(__file__).parent / "experiments").glob("*.yaml"))
