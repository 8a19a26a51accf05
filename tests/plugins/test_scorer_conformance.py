"""Every scorer that comes with geobench, and variants of its fields, does what all must do."""

import pytest

from geobench import Scorer
from geobench.registry import Registry
from geobench.testing import ScorerConformance

REGISTRY = Registry()

_VARIANTS = [
    {"use": "pooled-crps", "window": 4, "pool": "max"},
    {"use": "pooled-crps", "window": 2},
    {"use": "path-crps", "of": "mean"},
    {"use": "path-crps", "of": "maximum"},
    {"use": "event-crps", "of": "duration"},
    {"use": "event-crps", "of": "first-passage"},
    {"use": "multivariate-ranks", "by": "average"},
    {"use": "multivariate-ranks", "by": "energy", "paths": True},
    {"use": "multivariate-ranks", "by": "reference"},
    {"use": "variogram", "points": 3, "power": 1},
    {"use": "structure", "power": 4},
    {"use": "law-parts", "window": 1},
    {"use": "law-events", "events": [{"name": "high", "of": "q", "quantiles": [0.5, 0.9]}]},
    {"use": "law-events", "events": [{"name": "mean", "of": "q", "reduce": "mean"}]},
    {
        "use": "law-events",
        "events": [
            {"name": "low", "of": "q", "reduce": "min", "side": "below", "quantiles": [0.5]},
            {"name": "high", "of": "q", "reduce": "max", "quantiles": [0.5]},
        ],
    },
    # `threshold_brier_score` has thresholds in units of its own, which no scaled data fits.
    *(
        {"use": "xskillscore", "function": function}
        for function in ("mae", "mse", "rmse", "me", "mape", "smape", "linslope", "pearson_r", "r2")
    ),
    *(
        {"use": "xskillscore", "function": function, "options": {"fair": fair}}
        for function in ("brier_score", "rps")
        for fair in (True, False)
    ),
]


def _told(recipe: dict[str, object]) -> str:
    return "-".join(str(each) for each in recipe.values())


@pytest.mark.parametrize(
    "recipe",
    [
        *({"use": name} for kind, name in REGISTRY.offers if kind == "scorer"),
        *(pytest.param(variant, marks=pytest.mark.slow) for variant in _VARIANTS),
    ],
    ids=_told,
)
class TestEveryScorer(ScorerConformance):
    @pytest.fixture(autouse=True)
    def _build(self, recipe: dict[str, object]) -> None:
        self._scorer = REGISTRY.scorer(recipe)

    def scorer(self) -> Scorer:
        return self._scorer
