"""What was measured of a simulator, in words and tables."""

import math

import numpy as np

from geobench.describe import climate
from geobench.describe.measuring import HORIZONS, Description
from geobench.describe.section import section, units_of
from geobench.statistics.intervals import Interval
from geobench.tables.numbers import in_fitting_digits, number, with_interval
from geobench.tables.table import Table

_CLIMATE = (
    "Standard deviation, skewness and excess kurtosis are of anomalies from each cell's mean, "
    "pooled over cells. Brackets: two jackknife standard errors over trajectories (noise / "
    "increment: 95 % bootstrap over inits). Decorrelation: the autocorrelation falls to 1/e. "
    "Noise / increment: standard deviation of the law one step ahead over that of the step's "
    "change; 0 is deterministic."
)


def setting(description: Description) -> Table:
    """What was run."""
    effort, days = description.effort, description.days
    years = effort.trajectories * effort.steps * days / 365
    recipe = ", ".join(
        f"{key} = {value}"
        for key, value in description.simulator.recipe().items()
        if key not in ("use", "version") and value not in (None, [], ())
    )
    control = (
        f"{effort.trajectories} trajectories of {effort.steps} steps ({years:,.0f} years in all) "
        f"after {description.spin_up} steps of spin-up"
    )
    variables = (
        f"{v.name}{_long(v.name, v.long_name, v.units)}" for v in description.spec.variables
    )
    return section(
        "What was measured",
        ("", ""),
        [
            ("simulator", f"{description.simulator.name}: {description.simulator.summary()}"),
            ("fields", recipe),
            ("variables", ", ".join(variables)),
            ("grid", " x ".join(f"{dim.size} ({dim.name})" for dim in description.spec.dims)),
            ("output step", _days(days)),
            ("control run", control),
            ("draws of the law", f"{effort.members} at {effort.inits} inits, {effort.leads} leads"),
        ],
    )


def _long(name: str, long_name: str, units: str) -> str:
    inside = ", ".join(
        part for part in (long_name, units_of(units).strip()) if part not in ("", name)
    )
    return f" ({inside})" if inside else ""


def _days(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}"


def climates(description: Description) -> Table:
    """Moments, memory and noise of each variable."""
    rows = []
    for index, variable in enumerate(description.spec.variables):
        moments, curve = description.moments[index], description.autocorrelation[index]
        steps = climate.decorrelation(curve)
        memory = None if steps is None else number(steps * description.days, 2)
        rows.append(
            (
                variable.name + units_of(variable.units),
                in_fitting_digits(moments.mean),
                in_fitting_digits(moments.std),
                with_interval(moments.skewness),
                with_interval(moments.excess_kurtosis),
                memory or _beyond(len(curve) - 1, description),
                with_interval(description.noise_to_increment[index]),
            )
        )
    headers = (
        "variable",
        "mean",
        "standard deviation",
        "skewness",
        "excess kurtosis",
        "decorrelation, days",
        "noise / increment",
    )
    return section("Climate", headers, rows, [_CLIMATE])


def _beyond(steps: int, description: Description) -> str:
    return f"> {steps * description.days:g}"


def predictability(description: Description, unit_days: float | None) -> Table:
    """Horizons of the spread, and the growth of small errors."""
    rows: list[tuple[str, ...]] = []
    for share in HORIZONS:
        horizon = description.horizons[share]
        rows.append(
            (
                f"spread of the law reaches {100 * share:g} % of the climatological one, days",
                _beyond(description.variances.shape[1], description)
                if horizon is None
                else with_interval(horizon, 2, description.days),
            )
        )
    effort, growth = description.effort, description.growth
    span = (
        f", from day {growth.first * description.days:g} to day {growth.last * description.days:g}"
        if growth
        else ""
    )
    note = (
        f"Spread: standard deviation of {effort.horizon_members} members at {effort.horizon_inits} "
        "inits. Small errors: normal, 1e-4 climatological standard deviations, in runs with the "
        f"same noise; geometric mean over inits{span}. Brackets: 95 % bootstrap over inits."
    )
    return section("Predictability", ("", ""), rows + _growth(description, unit_days), [note])


def _growth(description: Description, unit_days: float | None) -> list[tuple[str, ...]]:
    growth, days = description.growth, description.days
    if growth is None:
        typical = np.exp(np.log(np.maximum(description.errors, 1e-300)).mean(0))
        span = (len(typical) - 1) * days
        change = f"{typical[-1] / typical[0]:.2g}"
        return [
            (
                "doubling time of small errors, days",
                f"no exponential growth: a factor of {change} in {span:g} days",
            )
        ]
    rate = growth.rate.times(1 / days)
    # The ends change places: fast growth, short time.
    time = [math.log(2) / end if end > 0 else math.inf for end in (rate.value, rate.high, rate.low)]
    rows: list[tuple[str, ...]] = [
        ("doubling time of small errors, days", with_interval(Interval(*time), 2)),
        ("growth rate of small errors, per day", with_interval(rate)),
    ]
    if unit_days:
        rows.append((f"the same, per {_days(unit_days)}", with_interval(rate, 3, unit_days)))
    return rows


def exponents(description: Description, unit_days: float | None) -> Table:
    """Lyapunov exponents, and what follows from them."""
    spectrum, effort = description.exponents, description.effort
    factors = {"per day": 1.0} | ({f"per {_days(unit_days)}": unit_days} if unit_days else {})
    rates = {
        "largest exponent": spectrum.leading,
        "Kolmogorov-Sinai entropy": spectrum.entropy,
        "sum of all exponents": spectrum.total,
    }
    blank = ("",) * (len(factors) - 1)
    rows = [
        *(
            (label, *(with_interval(v, 4, factor) for factor in factors.values()))
            for label, v in rates.items()
        ),
        ("Kaplan-Yorke dimension", with_interval(spectrum.dimension, 2), *blank),
        ("positive exponents", str(spectrum.positive), *blank),
        ("exponents not told from zero", str(spectrum.neutral), *blank),
    ]
    count = len(spectrum.exponents)
    which = f"All {count} exponents" if spectrum.complete else f"The {count} largest exponents"
    how = (
        f"{which}, by QR along {effort.exponent_rows} trajectories of {effort.exponent_steps} "
        f"steps under common noise, in float64. Brackets: two jackknife standard errors over "
        f"{len(spectrum.blocks)} blocks. An exponent is positive if its 99.9 % interval lies above "
        f"zero, and not told from zero if that holds zero. The latter count as zero in the entropy "
        f"and in the dimension."
    )
    notes = [how]
    if spectrum.dimension is None:
        notes.append(
            f"The sum of the {count} largest exponents is positive, so the dimension is larger "
            f"than {count}; --exponents measures more of them."
        )
    return section("Lyapunov exponents", ("", *factors), rows, notes)
