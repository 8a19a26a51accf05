"""Which scores stand together: extremes, the joint law, calibration, single sites, the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geobench.interfaces.scorer import Scorer
from geobench.leaderboard.board import Board


@dataclass(frozen=True)
class Group:
    """A heading, what it tells, and the columns of a board that belong to it."""

    key: str
    title: str
    told: str
    columns: Sequence[int]
    figures: Sequence[str] = ()
    """Keys of those that belong to it."""


_FIGURES = {
    "extremes": ("reliability", "value", "roc"),
    "joint": ("spectra", "spread-spectra"),
    "calibration": ("ranks", "spread"),
}
_GROUPS = (
    (
        "extremes",
        "Extremes",
        (
            "Exceedances of climatological quantiles, of each site and of whole fields. Squared "
            "error of p, p/p*, value lost, return levels: against the true law, without the noise "
            "of one outcome."
        ),
        (
            "tail-crps", "brier", "rps", "law-brier", "law-exceedance", "economic-value",
            "law-value", "law-return-level", "law-events", "event-crps", "roc", "sedi",
            "law-tail-crps", "law-rps", "law-event-crps",
        ),
    ),
    (
        "joint",
        "Joint law",
        "Dependence between sites, scales and times: what marginal scores cannot see.",
        (
            "energy", "law-energy", "variogram", "pooled-crps", "kernel-score", "law-mmd",
            "law-covariance", "law-dependence", "law-sliced-wasserstein", "law-spectrum",
            "spectrum", "structure", "path-crps", "law-parts",
            "law-variogram", "law-kernel-score", "law-pooled-crps", "law-path-crps",
        ),
    ),
    (
        "calibration",
        "Calibration",
        (
            "Whether probabilities mean what they say. Several of these depend on the number of "
            "members (not fair): compare with the oracle's row."
        ),
        (
            "spread-skill", "rank-histogram", "coverage", "reliability", "resolution",
            "tail-calibration", "multivariate-ranks", "crps-parts",
        ),
    ),
    (
        "sites",
        "Single sites",
        "Each site by itself: how far off, how wide. None of these sees dependence between sites.",
        (
            "crps", "rmse", "bias", "law-crps", "law-rmse", "law-mean", "law-spread",
            "law-wasserstein",
        ),
    ),
)  # fmt: skip


def groups(board: Board) -> list[Group]:
    """Return the groups of which the board has scores; scorers of plugins come last."""
    known = {name for *_, names in _GROUPS for name in names}
    rest = ("other", "Other scores", "", tuple({c.scorer for c in board.columns} - known))
    found = [
        Group(
            key,
            title,
            told,
            [place for place, column in enumerate(board.columns) if column.scorer in names],
            _FIGURES.get(key, ()),
        )
        for key, title, told, names in (*_GROUPS, rest)
    ]
    return [group for group in found if group.columns]


def words(group: Group, board: Board, scorers: Sequence[Scorer]) -> Iterator[tuple[str, str]]:
    """Of each scorer of a group: the name of its first column, and what it says of itself."""
    for scorer in scorers:
        own = [place for place in group.columns if board.columns[place].scorer == scorer.name]
        if own:
            yield board.columns[own[0]].name, f"{scorer.summary()} ({scorer.name})"


def best(board: Board, column: int, lead: int) -> list[int]:
    """Rows with the best score among those that are models; all that tie to four digits."""
    from geobench.interfaces.scorer import IDEALS

    own = board.columns[column]
    told = {
        place: own.cells[place][lead].score.value
        for place, row in enumerate(board.rows)
        if not (row.knows_law or row.failed)
    }
    if own.better in IDEALS:
        size = {place: abs(value - IDEALS[own.better]) for place, value in told.items()}
    else:
        sign = -1 if own.better == "higher" else 1
        size = {place: sign * value for place, value in told.items()}
    finite = {place: value for place, value in size.items() if value == value}
    if len(finite) < 2:
        return []
    least = min(finite.values())
    return [place for place, value in finite.items() if f"{value:.4g}" == f"{least:.4g}"]
