"""A forecast in a notebook: members, what happened, and their scores."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.entries.summaries import ForecastSummary
from geobench.lab.made import Made, count

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts.scorer import Scorer
    from geobench.forecasts import forecast
    from geobench.lab.dataset import Dataset
    from geobench.lab.forecaster import Forecaster
    from geobench.lab.scores import Scores
    from geobench.lab.views import View


class Forecast(Made):
    """Members `(init_time, lead_time, member, *grid)` of one forecaster."""

    kind: ClassVar[str] = "forecast"

    @property
    def drawn(self) -> "forecast.Forecast":
        """The domain object: members, outcomes, cases."""
        return self.lab.engine.forecast(self.entry)

    @property
    def forecaster(self) -> "Forecaster":
        """Who made it."""
        from geobench.lab.forecaster import Forecaster

        return Forecaster(self.lab, self.lab.catalog.parent(self.entry, "forecaster"))

    @property
    def dataset(self) -> "Dataset":
        """The dataset that it forecasts."""
        return self.forecaster.dataset

    @property
    def label(self) -> str:
        """What boards call it."""
        return str(self.entry.record.labels.get("model", ""))

    @property
    def seed(self) -> int:
        """Seed of its noise; by default that of the training."""
        return int(self.entry.record.recipe["seed"])

    @property
    def members(self) -> "xr.Dataset":
        """Its members `(init_time, lead_time, member, *grid)`, read when they are used."""
        return self.to_xarray()

    @property
    def truth(self) -> "xr.Dataset":
        """What happened in its cases, `(init_time, lead_time, *grid)`."""
        return self.drawn.outcome()

    def true_distribution(self, members: int = 32, seed: int = 1_000_000) -> "Forecast":
        """Return draws of the true distribution in its cases."""
        lab, recipe = self.lab, self.entry.record.recipe
        keys = ("split", "inits", "every", "leads")
        options = {key: recipe[key] for key in keys if key in recipe}
        oracle = lab.train("oracle", self.dataset, seed=seed)
        return lab.forecast(oracle, members=members, **options)

    def score(
        self, *scorers: "str | Mapping[str, Any] | Scorer", law: "Forecast | None" = None
    ) -> "Scores | list[Scores]":
        """Score it; see `Lab.score`. Of one scorer: its scores; of several: a list."""
        made = self.lab.score(self, *scorers, law=law)
        return made[0] if len(scorers) == 1 else made

    def events(self) -> "xr.Dataset":
        """Count the experiment's events over the members: how probable each is in every case."""
        return self.lab.session.events(self.entry).load()

    def test(
        self,
        *scorers: "str | Scorer",
        law: "Forecast | None" = None,
        exchanges: int = 199,
    ) -> "View":
        """Test whether it is drawn from the true distribution; see `geobench test --help`."""
        from geobench.lab.against_law import tested

        return tested(self, scorers, law, exchanges)

    def plan(self, scorer: "str | Scorer | None" = None, **aim: Any) -> "View":
        """Tell how many cases and members notice that it differs from the true distribution.

        `aim`: `mde` (share of the law's score, 0.01), `power` (0.8), `level` (0.05), `members` (a
        sequence of numbers), `law`.
        """
        from geobench.lab.against_law import planned

        return planned(self, scorer, **aim)

    def power(self, *scorers: "str | Scorer", members: int = 16) -> "View":
        """Tell how often scores notice defects, on these cases; for a forecast of the law."""
        from geobench.lab.against_law import powers

        return powers(self, scorers, members)

    def plot(self, kind: str = "plume", **options: Any) -> Any:
        """Draw it; return the axes: see the functions of `geobench.plots`.

        `kind`: plume (a fan chart of a site; `init`, `site`, `law`), state (of one `member`),
        rank_histogram, reliability or spectra, which are scored first.
        """
        from geobench.lab.drawing import plot_forecast

        return plot_forecast(self, kind, **options)

    def _facts(self) -> Mapping[str, Any]:
        summary, recipe = ForecastSummary.of(self.entry), self.entry.record.recipe
        milliseconds = 1e3 * summary.seconds_per_member
        known = milliseconds == milliseconds  # it is not NaN
        return {
            "model": self.label,
            "members": recipe["members"],
            "noise seed": recipe["seed"],
            "cases": self.drawn.cases.described(),
            "failed members": count(summary.failed_members) if summary.failed_members else "",
            "ms per member": f"{milliseconds:.2f}" if known else "",
        }


def references(forecasts: Sequence[Forecast]) -> tuple[str, ...]:
    """Return the references of forecasts."""
    return tuple(forecast.reference for forecast in forecasts)
