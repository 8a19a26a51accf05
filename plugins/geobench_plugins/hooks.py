"""What the built-ins offer. Imports stand inside the hooks: `geobench --help` asks for commands."""

from importlib import import_module
from inspect import isclass
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from geobench import hookimpl

if TYPE_CHECKING:
    from geobench import Assimilation, EnsembleModel, Scorer, Simulator

_HEADLINES = ("crps", "rmse", "spread-skill", "brier")
"""Order of the headline scores: the first one ranks the boards of studies that name no scorers."""


@hookimpl
def geobench_simulators() -> "list[type[Simulator]]":
    """Systems with a known law."""
    from geobench_plugins.simulators.lorenz95 import Lorenz95
    from geobench_plugins.simulators.ou import OrnsteinUhlenbeck
    from geobench_plugins.simulators.shallow_water import ShallowWater
    from geobench_plugins.simulators.two_scale import TwoScale

    return [OrnsteinUhlenbeck, Lorenz95, TwoScale, ShallowWater]


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

    modules = [info.name for info in iter_modules(scorers.__path__, f"{scorers.__name__}.")]
    classes = [
        value
        for module in modules
        for value in vars(import_module(module)).values()
        if isclass(value) and issubclass(value, Scorer) and value.__module__ == module
        if value.name  # else what several scorers have in common
    ]
    return sorted(classes, key=lambda scorer: (_place(scorer.name), scorer.name))


def _place(name: str) -> int:
    return _HEADLINES.index(name) if name in _HEADLINES else len(_HEADLINES)


@hookimpl
def geobench_assimilations() -> "list[type[Assimilation]]":
    """Kalman filters of ensembles, and variational references."""
    from geobench_plugins.assimilations.enkf import EnKF
    from geobench_plugins.assimilations.etkf import ETKF
    from geobench_plugins.assimilations.letkf import LETKF
    from geobench_plugins.assimilations.optimal_interpolation import OptimalInterpolation
    from geobench_plugins.assimilations.variational import Variational

    return [ETKF, LETKF, EnKF, Variational, OptimalInterpolation]


@hookimpl
def geobench_experiments() -> list[Path]:
    """Return the YAML files beside this one."""
    return sorted((Path(__file__).parent / "experiments").glob("*.yaml"))
