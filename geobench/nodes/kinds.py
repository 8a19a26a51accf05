"""Which kinds of entries there are, and the node of each."""

from typing import TYPE_CHECKING

from geobench.nodes.control import ControlNode
from geobench.nodes.dataset import DatasetNode
from geobench.nodes.events import EventsNode
from geobench.nodes.forecast import ForecastNode
from geobench.nodes.forecaster import ForecasterNode
from geobench.nodes.node import Computed
from geobench.nodes.scores import ScoreNode
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine

NODES: tuple[type[Computed], ...] = (
    DatasetNode,
    ForecasterNode,
    ForecastNode,
    ScoreNode,
    EventsNode,
    ControlNode,
)


def node_of(entry: Entry, engine: "Engine") -> Computed:
    """Return the node that makes an entry again, from the parents that it has."""
    (node,) = (node for node in NODES if node.kind == entry.record.kind)
    return node.of(entry, engine)
