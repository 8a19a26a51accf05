"""Scores in a notebook: means by lead time, statistics of every case, maps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.entries.summaries import ScoreSummary
from geobench.errors import GeobenchError
from geobench.lab.made import Made

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from geobench.contracts.scorer import Scorer
    from geobench.lab.forecast import Forecast


class Scores(Made):
    """The scores of a forecast by one scorer."""

    kind: ClassVar[str] = "score"

    @property
    def forecast(self) -> "Forecast":
        """What was scored."""
        from geobench.lab.forecast import Forecast

        return Forecast(self.lab, self.lab.catalog.parent(self.entry, "forecast"))

    @property
    def scorer(self) -> "Scorer":
        """Who scored it."""
        return self.lab.registry.scorer(self.entry.record.recipe)

    @property
    def frame(self) -> "pd.DataFrame":
        """Mean over the cases: a row for each lead time (hours), a column for each score."""
        import pandas as pd

        summary = ScoreSummary.of(self.entry)
        hours = pd.Index(summary.lead_hours, name="lead_hours")
        return pd.DataFrame(summary.scores, index=hours, dtype=float)

    @property
    def cases(self) -> "xr.Dataset":
        """Statistics of every case, `(init_time, lead_time, …)`, from which scores are means."""
        return self.to_xarray()

    @property
    def maps(self) -> "xr.Dataset":
        """Statistics of every cell `(lead_time, *grid)`, the mean over the cases."""
        from geobench.scoring.cells import GROUP

        if not any(path.startswith(f"{GROUP}/") for path, _, _ in self.entry.contents()):
            raise GeobenchError(
                f"{self.reference} holds no maps. Ask for them: lab.score(forecast, {{'use': "
                f"'{self.scorer.name}', 'maps': True}}), if the scorer has a value for each cell."
            )
        return self.to_xarray(GROUP)

    def plot(self, kind: str | None = None, **options: Any) -> Any:
        """Draw them; return the axes: see `geobench.plots.curve` and `geobench.plots.score_map`.

        `kind`: the key of a curve that the scorer declares, or score_map, with `law` the same
        scores of the true distribution. Default: a map if there is one, else the first curve.
        """
        from geobench.lab.drawing import plot_scores

        return plot_scores(self, kind, **options)

    def _facts(self) -> Mapping[str, Any]:
        first = self.frame.iloc[0]
        return {
            "scorer": self.entry.record.labels.get("scorer", ""),
            "cases": ScoreSummary.of(self.entry).cases,
            **{f"{name}, first lead": f"{value:.4g}" for name, value in first.items()},
        }

    def _repr_html_(self) -> str:
        return f"{super()._repr_html_()}{self.frame.to_html(float_format='{:.4g}'.format)}"
