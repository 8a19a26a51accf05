"""A plugin that uses all that geobench offered its authors at commit b177ac3."""

from pathlib import Path

from geobench import hookimpl


@hookimpl
def geobench_simulators():
    from geobench_earlier.red_noise import RedNoise

    return [RedNoise]


@hookimpl
def geobench_models():
    from geobench_earlier.models import Regression, Truth

    return [Regression, Truth]


@hookimpl
def geobench_scorers():
    from geobench_earlier.scorers import CRPS, Extremes, LawCRPS, MedianError, Spread

    return [CRPS, LawCRPS, MedianError, Spread, Extremes]


@hookimpl
def geobench_assimilations():
    from geobench_earlier.nudging import Nudging

    return [Nudging]


@hookimpl
def geobench_experiments():
    return [Path(__file__).parent / "earlier.yaml"]


@hookimpl
def geobench_commands():
    from geobench_earlier.command import earlier

    return [earlier]
