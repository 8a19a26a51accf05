"""Scores of the library xskillscore, by the names of its functions."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from geobench import Context, Fields, Scorer

if TYPE_CHECKING:
    import xarray as xr

Function = Literal[
    "brier_score",
    "crps_ensemble",
    "linslope",
    "mae",
    "mape",
    "me",
    "mse",
    "pearson_r",
    "r2",
    "rmse",
    "rps",
    "smape",
    "threshold_brier_score",
]


class _Kind(NamedTuple):
    """What a function compares with the outcome, and what its result is."""

    of: Literal["members", "mean", "events", "categories"] = "mean"
    better: str = "lower"
    units: str = "1"
    family: str = "sites"
    fair: bool = False


_KINDS: Mapping[str, _Kind] = {
    "brier_score": _Kind("events", family="extremes"),
    "crps_ensemble": _Kind("members", units="of the variable"),
    "linslope": _Kind(better="one", family="fields"),
    "mae": _Kind(units="of the variable"),
    "mape": _Kind(),
    "me": _Kind(better="zero", units="of the variable", fair=True),
    "mse": _Kind(units="of the variable, squared"),
    "pearson_r": _Kind(better="higher", family="fields"),
    "r2": _Kind(better="higher", family="fields"),
    "rmse": _Kind(units="of the variable"),
    "rps": _Kind("categories", family="extremes"),
    "smape": _Kind(),
    "threshold_brier_score": _Kind("members", family="extremes"),
}
_DEFAULT: Function = "crps_ensemble"
_CASES = "it compares many cases at once, and geobench itself averages over cases"
_AREAS = "it cannot weigh cells by their areas"
_LAW = "it takes a distribution and no members"
_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("Contingency", "discrimination", "rank_histogram", "reliability", "roc", "sign_test"),
        _CASES,
    ),
    **dict.fromkeys(("effective_sample_size", "halfwidth_ci_test", "multipletests"), _CASES),
    **dict.fromkeys(("median_absolute_error", "spearman_r"), _AREAS),
    **dict.fromkeys(("crps_gaussian", "crps_quadrature"), _LAW),
}


class Options(Fields):
    """Arguments of a function that the user decides; geobench decides all others."""

    fair: bool = Field(False, description="of brier_score and rps: the fair estimator")
    threshold: tuple[float, ...] = Field(
        (), description="of threshold_brier_score: thresholds in the units of the variable"
    )


class _Declared:
    """A declaration that depends on the function; the class itself has that of the default one."""

    def __init__(self, of: Callable[[_Kind, Options], Any]) -> None:
        self._of = of

    def __get__(self, scorer: "XSkillScore | None", owner: type) -> Any:
        if scorer is None:
            return self._of(_KINDS[_DEFAULT], Options())
        return self._of(_KINDS[scorer.function], scorer.options)


def _declared(of: Callable[[_Kind, Options], Any]) -> Any:
    return _Declared(of)


class XSkillScore(Scorer):
    """Score by a function of xskillscore, applied to the sea cells of each case and variable.

    The function is given every cell with its area as weight, and geobench averages its results over
    cases. So `rmse` is a mean of roots, unlike the scorer `rmse`, and `pearson_r` a mean of pattern
    correlations. `crps_ensemble` and `threshold_brier_score` are given the members, `brier_score`
    and `rps` the exceedances of each cell's climatological quantiles, all others the ensemble mean.

    Few of these scores are fair: `crps_ensemble` of M members is larger than `crps` by spread / M,
    and errors of the ensemble mean hold the sampling error of M members. `me` is the outcome less
    the mean of the members. xskillscore leaves failed members out; here they make the case NaN.
    """

    name = "xskillscore"
    better = _declared(lambda kind, _: kind.better)
    units = _declared(lambda kind, _: kind.units)
    family = _declared(lambda kind, _: kind.family)
    fair = _declared(lambda kind, options: kind.fair or options.fair)

    function: Function = Field(_DEFAULT, description="its name in xskillscore")
    options: Options = Field(Options(), description="arguments of the function")

    @field_validator("function", mode="before")
    @classmethod
    def _fits_a_case(cls, function: Any) -> Any:
        if str(function) not in _KINDS:
            reason = _REFUSED.get(str(function), "xskillscore has no such score of a single case")
            raise ValueError(f"{reason}. Use one of {', '.join(_KINDS)}.")
        return function

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.options.fair and _KINDS[self.function].of not in ("events", "categories"):
            raise ValueError(f"{self.function} has no option fair. Leave it out.")
        if self.options.threshold and self.function != "threshold_brier_score":
            raise ValueError(f"{self.function} has no option threshold. Leave it out.")
        if not self.options.threshold and self.function == "threshold_brier_score":
            raise ValueError("threshold_brier_score needs options: {threshold: [number, …]}.")
        return self

    def statistics(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """Return the `score` of each case; a threshold or quantile is a further dim."""
        members, outcome, limits, weights = _at_sea(
            context, forecast, truth, context.thresholds, context.weights
        )
        score = self._score(members, outcome, limits, weights)
        finite = members.notnull().all(("member", "cell")) & outcome.notnull().all("cell")
        return score.where(finite).to_dataset(name="score")

    def _score(
        self,
        members: "xr.DataArray",
        outcome: "xr.DataArray",
        limits: "xr.DataArray",
        weights: "xr.DataArray",
    ) -> "xr.DataArray":
        import xskillscore

        function: Callable[..., xr.DataArray] = getattr(xskillscore, self.function)
        how: dict[str, Any] = {"dim": "cell", "weights": weights}
        fair = self.options.fair and members.sizes["member"] > 1  # of one it divides by zero
        kind = _KINDS[self.function]
        if kind.of == "events":
            return function(outcome > limits, members > limits, fair=fair, **how)
        if kind.of == "categories":
            edges = limits.rename(quantile="category_edge")
            score = function(outcome, members, edges, fair=fair, **how)
            return score.reset_coords(drop=True)  # the edges, in words
        if kind.of == "mean":
            return function(outcome, members.mean("member"), **how)
        if self.options.threshold:
            how["threshold"] = list(self.options.threshold)
        return function(outcome, members, **how)

    def metric(self, means: "xr.Dataset") -> "xr.Dataset":
        """Return the mean."""
        return means.rename(score=f"xskillscore {self.function}")


def _at_sea(context: Context, *fields: "xr.DataArray") -> "list[xr.DataArray]":
    """Sea cells of fields along a last dim `cell`, in double precision."""
    grid = context.sea.dims
    sea = context.sea.stack(cell=grid, create_index=False).to_numpy().nonzero()[0]
    return [
        field.astype(float)
        .drop_vars(grid, errors="ignore")
        .stack(cell=grid, create_index=False)
        .isel(cell=sea)
        for field in fields
    ]
