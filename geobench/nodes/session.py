"""A session: a catalog with plugins, and what can be made in it, one call a step."""

from collections.abc import Sequence
from dataclasses import dataclass

from geobench.contracts.experiment import Control, Event, Experiment
from geobench.contracts.model import EnsembleModel
from geobench.contracts.scorer import Scorer
from geobench.nodes.control import ControlNode
from geobench.nodes.dataset import DatasetNode
from geobench.nodes.engine import Engine
from geobench.nodes.events import EventsNode
from geobench.nodes.forecast import ForecastNode
from geobench.nodes.forecaster import ForecasterNode
from geobench.nodes.scores import ScoreNode
from geobench.nodes.stored import Stored
from geobench.registry import Registry
from geobench.twin.cases import Cases
from geobench_catalog import Catalog, Entry


@dataclass(frozen=True)
class Session:
    """Makes entries from entries; what is in the catalog is not made again."""

    engine: Engine

    @property
    def catalog(self) -> Catalog:
        """Where entries are kept."""
        return self.engine.catalog

    @property
    def registry(self) -> Registry:
        """The plugins."""
        return self.engine.registry

    def simulate(self, name: str, experiment: Experiment) -> Entry:
        """Realise an experiment: its trajectories, climatology and init times."""
        return self.engine.ensure(DatasetNode(name, experiment))

    def train(
        self, dataset: Entry, model: EnsembleModel, *, seed: int = 0, label: str = ""
    ) -> Entry:
        """Fit a model to the train and validation splits of a dataset."""
        return self.engine.ensure(ForecasterNode(self._node(dataset), model, seed, label))

    def forecast(
        self,
        forecaster: Entry,
        *,
        members: int,
        seed: int | None = None,
        label: str = "",
        keep_failures: bool = False,
        keep_bits: int | None = None,
        cases: Cases | None = None,
    ) -> Entry:
        """Draw members for every init and lead time of `cases`; see `ForecastNode`.

        `seed` is that of the noise; default: the one of the forecaster's training.
        """
        dataset = self.catalog.parent(forecaster, "dataset")
        experiment = self.engine.dataset(dataset).experiment
        node = ForecastNode(
            self._node(forecaster),
            members,
            seed,
            label,
            keep_failures,
            keep_bits,
            (cases or Cases()).settled(experiment, dataset),
        )
        return self.engine.ensure(node)

    def scores(
        self, forecast: Entry, scorers: Sequence[Scorer], law: Entry | None = None
    ) -> list[Entry]:
        """Apply scorers to every case of a forecast, which is read once.

        `law` is a forecast of the true distribution, for the scorers that compare with one.
        """
        drawn, draws = self._node(forecast), law and self._node(law)
        return self.engine.ensure_all([ScoreNode(drawn, scorer, draws) for scorer in scorers])

    def score(self, forecast: Entry, scorer: Scorer, law: Entry | None = None) -> Entry:
        """Apply a scorer to every case of a forecast."""
        return self.scores(forecast, [scorer], law)[0]

    def events(self, forecast: Entry) -> Entry:
        """Count the experiment's events over the members of a forecast."""
        return self.engine.ensure(EventsNode(self._node(forecast)))

    def control(self, dataset: Entry, events: Sequence[Event], run: Control) -> list[Entry]:
        """Run a dataset's simulator freely, and keep counts of what each of the events measures."""
        node = self._node(dataset)
        return self.engine.ensure_all([ControlNode(node, event, run) for event in events])

    def _node(self, entry: Entry) -> Stored:
        return Stored(entry, self.catalog)
