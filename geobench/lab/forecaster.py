"""A forecaster in a notebook: a model fitted to a dataset, or a function of one's own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.entries.summaries import ForecasterSummary
from geobench.lab.made import Made, count

if TYPE_CHECKING:
    import xarray as xr

    from geobench.contracts import model
    from geobench.lab.dataset import Dataset
    from geobench.lab.forecast import Forecast


class Forecaster(Made):
    """A fitted model."""

    kind: ClassVar[str] = "forecaster"

    @property
    def dataset(self) -> "Dataset":
        """What it was fitted to."""
        from geobench.lab.dataset import Dataset

        return Dataset(self.lab, self.lab.catalog.parent(self.entry, "dataset"))

    @property
    def label(self) -> str:
        """What boards call it."""
        return str(self.entry.record.labels.get("model", ""))

    @property
    def seed(self) -> int:
        """Seed of its training."""
        return int(self.entry.record.recipe["seed"])

    @property
    def cost(self) -> ForecasterSummary:
        """Parameters, passes, seconds and operations."""
        return ForecasterSummary.of(self.entry)

    @property
    def log(self) -> "xr.Dataset":
        """What was measured while it was trained, each series along a dim of its own."""
        return self.entry.load()

    @property
    def loss(self) -> "xr.DataArray | None":
        """The training loss `(passes,)`; None if nobody logged one."""
        log = self.log
        if "loss" not in log:
            return None
        (dim,) = log["loss"].dims
        passes = log["passes"].to_numpy() if "passes" in log else range(log.sizes[dim])
        return log["loss"].rename({dim: "passes"}).assign_coords(passes=passes)

    @property
    def source(self) -> str:
        """Text of the function or class that it was made of in a session; "" of other models."""
        from geobench.nodes.forecaster import SOURCE

        return self.entry.content(SOURCE).decode() if SOURCE in self.entry.manifest else ""

    def restore(self) -> "model.Forecaster":
        """Return the fitted model itself: `.step(history, noise)`, `.network`."""
        from geobench.nodes.forecaster import forecaster_of

        return forecaster_of(self.lab.engine, self.entry)[0]

    def forecast(self, members: int = 16, **options: Any) -> "Forecast":
        """Draw members for every case of the test split; see `Lab.forecast`."""
        return self.lab.forecast(self, members=members, **options)

    def plot(self, **options: Any) -> Any:
        """Draw the training loss; return the axes."""
        from geobench.lab.drawing import plot_loss

        return plot_loss(self, **options)

    def _facts(self) -> Mapping[str, Any]:
        cost = self.cost
        seconds = cost.training_seconds
        return {
            "model": self.label,
            "seed": self.seed,
            "parameters": "" if cost.parameters is None else count(cost.parameters),
            "passes": count(cost.sample_passes) if cost.sample_passes else "",
            "training": f"{seconds:.1f} s" if seconds else "",
        }
