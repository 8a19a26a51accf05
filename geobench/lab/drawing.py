"""Pictures of what a lab holds, by the plots of `geobench.plots`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geobench import plots
from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench.plots import Scored

if TYPE_CHECKING:
    from geobench.lab.board import Board
    from geobench.lab.dataset import Dataset
    from geobench.lab.forecast import Forecast
    from geobench.lab.forecaster import Forecaster
    from geobench.lab.lab import Lab
    from geobench.lab.scores import Scores

_CURVES: Mapping[str, tuple[str, Any]] = {
    "rank_histogram": ("ranks", plots.rank_histogram),
    "reliability": ("reliability", plots.reliability),
    "spectra": ("spectra", plots.spectra),
}
"""Key of the curve and plot, of each kind of picture that a scorer's curve makes."""
_BOARDS: Mapping[str, Any] = {
    "skill_by_lead": plots.skill_by_lead,
    "excess_by_lead": plots.excess_by_lead,
    "skill_against_cost": plots.skill_against_cost,
    "pairwise": plots.pairwise,
    "rank_histogram": plots.rank_histogram,
    "reliability": plots.reliability,
    "spectra": plots.spectra,
}
FORECAST = ("plume", "state", *_CURVES)
BOARD = tuple(_BOARDS)


def plot_dataset(data: "Dataset", kind: str, **options: Any) -> Any:
    """Draw a trajectory: a Hovmöller diagram of one grid dim, or a map of two."""
    _check(kind, ("state",))
    return plots.state(data.realised, **options)


def plot_forecast(
    forecast: "Forecast", kind: str, *, law: "Forecast | None" = None, **options: Any
) -> Any:
    """Draw members, or what a scorer tells of them, which is computed if it is not there."""
    _check(kind, FORECAST)
    if kind == "state":
        return plots.state(forecast.members, **options)
    if kind == "plume":
        draws = law or forecast.true_distribution(members=256)
        return plots.plume(forecast.drawn, draws.drawn, **{"name": forecast.label, **options})
    key, draw = _CURVES[kind]
    return draw(_scored(forecast.lab.score(forecast, _with_curve(forecast.lab, key))[0]), **options)


def plot_scores(
    scores: "Scores", kind: str | None, *, law: "Scores | None" = None, **options: Any
) -> Any:
    """Draw a map of the scores of each cell, or a curve that the scorer declares, by its key."""
    keys = [curve.key for curve in scores.scorer.curves()]
    if kind is None:
        kind = keys[0] if keys and not scores.scorer.maps else "score_map"
    _check(kind, ("score_map", *keys))
    if kind == "score_map":
        return plots.score_map(_scored(scores), _scored(law) if law else None, **options)
    return plots.curve(_scored(scores), kind, **options)


def plot_board(board: "Board", kind: str, **options: Any) -> Any:
    """Draw what all models of a board show."""
    _check(kind, BOARD)
    return _BOARDS[kind](board.comparison, **options)


def plot_loss(forecaster: "Forecaster", ax: Any = None) -> Any:
    """Draw the training loss against the passes."""
    from geobench.plots.canvas import canvas, name_axes

    loss = forecaster.loss
    if loss is None:
        raise GeobenchError(f"{forecaster.reference} has no training loss: nobody logged one.")
    with canvas(ax) as axes:
        axes.plot(loss["passes"], loss, color="C0")
        name_axes(axes, "sample passes", "training loss")
        return axes


def _scored(scores: "Scores") -> Scored:
    spec, maker = scores.forecast.dataset.spec, scores.forecast.forecaster
    return Scored.of(scores.entry, scores.scorer, maker.label, spec, knows_law=maker.cost.knows_law)


def _with_curve(lab: "Lab", key: str) -> Scorer:
    """Return the scorer with a curve of this key that needs no law, and has the fewest others."""
    built = [
        lab.registry.scorer(offer.name)
        for offer in lab.registry.offers.values()
        if offer.kind == "scorer" and not offer.value.needs_law
    ]
    able = [scorer for scorer in built if key in [curve.key for curve in scorer.curves()]]
    if not able:
        raise GeobenchError(f"no scorer has a curve '{key}'. Install a plugin that has one.")
    return min(able, key=lambda scorer: len(scorer.curves()))


def _check(kind: str, known: tuple[str, ...]) -> None:
    if kind not in known:
        raise GeobenchError(
            f"there is no plot '{kind}' of this. Choose one of: {', '.join(known)}."
        )
