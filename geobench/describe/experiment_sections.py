"""What was measured of an experiment: how hard it is, and its extremes, in words and tables."""

import math
from collections.abc import Sequence

from geobench.board.text import lead_names
from geobench.describe.difficulty import CALLED, ENOUGH, RIVALS, SCORES, Difficulty
from geobench.describe.measuring import Description, Extreme, card_leads
from geobench.describe.section import section, units_of
from geobench.statistics.extremes import SEEN, Level, ReturnLevels
from geobench.statistics.intervals import Array, Interval
from geobench.tables.numbers import in_fitting_digits, number, with_interval
from geobench.tables.table import Table

_CALLED = {"gaussian": "Gaussian", "shuffled": "shuffled"}
_DOUBTFUL = 0.01  # false alarm rate of the check for stationarity

_SHAPE = (
    "Shape: squared skewness, excess kurtosis and negentropy (nats, Edgeworth), means over cells "
    "and inits, zero for a normal law. Brackets: 95 % bootstrap over inits."
)
_LOSSES = (
    "Losses of two rivals against the truth, per cent of the truth's own score. Gaussian: the "
    "law's exact mean and covariance, and otherwise normal. Shuffled: the law, with its members "
    "permuted at each cell by itself (its CRPS is exact). Patch means: CRPS of means over 5 cells, "
    "or 4 x 4. Leading direction: CRPS of the projection on the direction in which the draws vary "
    f"most. A rival passes for the truth when it loses less than {100 * ENOUGH:g} % in each score; "
    "the leading direction, a noisy one, counts only against it. Brackets: 95 % bootstrap over "
    "inits."
)
_EVENTS = (
    "Seen: states of the control run beyond the threshold at one cell; ! marks fewer than "
    f"{SEEN}, a threshold not to rely on. Days: mean probability p* of the event at that lead, and "
    "in brackets the share of its variance that the law explains (the Brier skill of the truth "
    f"itself over the mean; – where it happened fewer than {SEEN} times in the draws). By: mean "
    "probability that it happens at that output step or before."
)


def shape(description: Description) -> Table:
    """How far the law is from a normal one."""
    rows = [
        (
            _day(card, description),
            with_interval(card.shape.skewness2),
            with_interval(card.shape.excess_kurtosis),
            with_interval(card.shape.negentropy, 4),
        )
        for card in description.cards
    ]
    headers = (
        "lead",
        "skewness²",
        "excess kurtosis",
        "negentropy",
    )
    return section("Shape of the law", headers, rows, [_SHAPE])


def difficulty(description: Description) -> Table:
    """What is lost by getting only part of the law right."""
    rows = [
        (
            _day(card, description),
            _CALLED[rival],
            *(with_interval(card.excess[rival][score], 2, 100) for score in SCORES),
        )
        for card in description.cards
        for rival in RIVALS
    ]
    headers = ("lead", "rival", *(f"{CALLED[score]}, %" for score in SCORES))
    notes = [
        f"{_day(card, description).capitalize()}: {card.verdict}." for card in description.cards
    ]
    notes.append(_LOSSES)
    if description.given_less:
        notes.append(
            "These draws start from the exact state; models are given less than that. With the "
            "experiment's dataset in the catalog, they start from what is known."
        )
    return section("Difficulty", headers, rows, notes)


def _day(card: Difficulty, description: Description) -> str:
    leads = [known.lead for known in description.cards]
    return _days(leads, description)[leads.index(card.lead)]


def _days(leads: Sequence[int], description: Description) -> list[str]:
    """Write lead times, given in steps: day 3, or 6 h where not all are whole days."""
    return lead_names([round(24 * lead * description.days, 6) for lead in leads])


def events(description: Description) -> Table:
    """Thresholds, and how probable and how predictable it is to pass them."""
    leads = card_leads(description.effort.leads)
    rows = [
        (
            extreme.event.name,
            f"{100 * quantile:g} %{' (low tail)' if extreme.event.side == 'below' else ''}",
            _range(extreme.limits[index]) + units_of(extreme.units),
            _seen(round(extreme.seen * (1 - quantile))),
            *(_predictable(extreme, lead - 1, index) for lead in leads),
            f"{extreme.probabilities.average(extreme.probabilities.within[:, -1, index]):.2g}",
        )
        for extreme in description.extremes
        for index, quantile in enumerate(extreme.event.quantiles)
    ]
    notes = [_EVENTS]
    if not description.named_events:
        notes.append("The experiment names no events; these are for a first impression.")
    days = _days(leads, description)
    headers = ("event", "quantile", "threshold", "seen", *days, f"by {days[-1]}")
    return section("Events", headers, rows, notes)


def _seen(count: int) -> str:
    return f"{count}{'' if count >= SEEN else ' !'}"


def _predictable(extreme: Extreme, lead: int, index: int) -> str:
    p = extreme.probabilities
    rate = float(p.rate()[lead, index])
    hits = rate * p.at.shape[0] * p.members * p.at.shape[3]
    skill = number(float(p.predictable()[lead, index]), 2) if hits >= SEEN else "–"
    return f"{rate:.2g} ({skill})"


def _range(values: Array) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return (low if low == high else f"{low} to {high}").replace("-", "−")


def return_levels(description: Description, extreme: Extreme) -> Table:
    """Levels that are passed once in a number of years."""
    levels = extreme.levels
    sign = 1 if extreme.event.side == "above" else -1
    rows = [
        (
            _period(level.period * description.days),
            _signed(level.gev, sign),
            _signed(level.gpd, sign),
            number(level.expected, 0),
            str(level.exceedances),
            "" if level.seen_enough else _too_few(level),
        )
        for level in levels.levels
    ]
    units = units_of(extreme.units).replace(" ", ", ", 1)
    headers = ("passed once in", f"GEV{units}", f"GPD{units}", "periods run", "times passed", "")
    notes = [_fits(levels, extreme, sign, description.days), _stationarity(levels, sign)]
    if not rows:
        notes.insert(0, "The control run is too short for a return level; use --effort long.")
    return section(f"Return levels: {extreme.event.name}", headers, rows, notes)


def _fits(levels: ReturnLevels, extreme: Extreme, sign: int, days: float) -> str:
    threshold = f"{100 * levels.quantile:g} % quantile {sign * levels.threshold:.4g}"
    return (
        f"{extreme.location}. GEV: {levels.gev.count} block maxima of "
        f"{levels.block * days:g} days, shape {number(levels.gev.shape)}. "
        f"GPD: {levels.gpd.count} clusters beyond the {threshold}, "
        f"{levels.gap * days:g} or more days apart, "
        f"shape {number(levels.gpd.shape)}. Brackets: 95 % bootstrap over trajectories."
    )


def _stationarity(levels: ReturnLevels, sign: int) -> str:
    if not math.isfinite(levels.stationary):
        return "Whether the run is stationary was not checked: it has too few blocks."
    moved = levels.stationary < _DOUBTFUL
    early, late = (f"{sign * half:.4g}" for half in levels.halves)
    return (
        f"{'NOT STATIONARY' if moved else 'Stationary as far as can be seen'}: block maxima of the "
        f"first and second halves average {early} and {late} (Kolmogorov-Smirnov p = "
        f"{levels.stationary:.2g}; false alarms {100 * _DOUBTFUL:g} %)."
        f"{' Use a longer spin-up.' if moved else ''}"
    )


def _signed(value: Interval, sign: int) -> str:
    return in_fitting_digits(value if sign > 0 else Interval(-value.value, -value.high, -value.low))


def _period(days: float) -> str:
    return f"{days / 365:g} year{'s' if days > 365 else ''}" if days >= 365 else f"{days:g} days"


def _too_few(level: Level) -> str:
    return f"extrapolated: seen {number(min(level.expected, level.exceedances), 0)} times of {SEEN}"
