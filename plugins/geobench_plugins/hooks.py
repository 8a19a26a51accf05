"""What the built-ins offer. Imports stand inside the hooks: `geobench --help` asks for commands."""

from pathlib import Path
from typing import TYPE_CHECKING

from geobench import hookimpl

if TYPE_CHECKING:
    from geobench import Assimilation, EnsembleModel, Scorer, Simulator


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
    """Scores of the mean, the spread, the marginal law and its events, and of whole fields."""
    from geobench_plugins.scorers.bias import Bias
    from geobench_plugins.scorers.brier import RPS, Brier
    from geobench_plugins.scorers.calibration import (
        Coverage,
        RankHistogram,
        Reliability,
        Resolution,
    )
    from geobench_plugins.scorers.crps import CRPS
    from geobench_plugins.scorers.crps_parts import CRPSParts
    from geobench_plugins.scorers.discrimination import ROC, SEDI, EconomicValue
    from geobench_plugins.scorers.energy import Energy
    from geobench_plugins.scorers.event_crps import EventCRPS
    from geobench_plugins.scorers.kernel_score import KernelScore
    from geobench_plugins.scorers.law import LawCRPS, LawEnergy, LawMean, LawSpread
    from geobench_plugins.scorers.law_crps import (
        LawEventCRPS,
        LawPathCRPS,
        LawPooledCRPS,
        LawTailCRPS,
    )
    from geobench_plugins.scorers.law_events import LawEvents
    from geobench_plugins.scorers.law_extremes import (
        LawBrier,
        LawExceedance,
        LawReliability,
        LawReturnLevel,
        LawRPS,
        LawValue,
    )
    from geobench_plugins.scorers.law_fields import LawKernelScore, LawMMD, LawVariogram
    from geobench_plugins.scorers.law_joint import (
        LawCovariance,
        LawDependence,
        LawSlicedWasserstein,
        LawWasserstein,
    )
    from geobench_plugins.scorers.law_parts import LawParts
    from geobench_plugins.scorers.law_rmse import LawRMSE
    from geobench_plugins.scorers.multivariate_ranks import MultivariateRanks
    from geobench_plugins.scorers.paths import PathCRPS
    from geobench_plugins.scorers.pooled_crps import PooledCRPS
    from geobench_plugins.scorers.rmse import RMSE
    from geobench_plugins.scorers.spectrum import LawSpectrum, Spectrum
    from geobench_plugins.scorers.spread_skill import SpreadSkill
    from geobench_plugins.scorers.structure import Structure
    from geobench_plugins.scorers.tail_calibration import TailCalibration
    from geobench_plugins.scorers.tail_crps import TailCRPS
    from geobench_plugins.scorers.variogram import Variogram
    from geobench_plugins.scorers.xskillscore_metrics import XSkillScore

    return [
        CRPS,
        CRPSParts,
        RMSE,
        Bias,
        SpreadSkill,
        RankHistogram,
        Coverage,
        MultivariateRanks,
        Brier,
        RPS,
        Reliability,
        Resolution,
        ROC,
        SEDI,
        EconomicValue,
        TailCRPS,
        TailCalibration,
        EventCRPS,
        Energy,
        KernelScore,
        Variogram,
        PooledCRPS,
        PathCRPS,
        Spectrum,
        Structure,
        LawCRPS,
        LawEnergy,
        LawParts,
        LawMean,
        LawSpread,
        LawCovariance,
        LawSpectrum,
        LawDependence,
        LawMMD,
        LawWasserstein,
        LawSlicedWasserstein,
        LawBrier,
        LawReliability,
        LawExceedance,
        LawValue,
        LawReturnLevel,
        LawRMSE,
        LawRPS,
        LawTailCRPS,
        LawPooledCRPS,
        LawPathCRPS,
        LawEventCRPS,
        LawVariogram,
        LawKernelScore,
        LawEvents,
        XSkillScore,
    ]


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
