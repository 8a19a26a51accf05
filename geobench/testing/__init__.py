"""The conformance kit: what every plugin must do. Inherit a class in your tests.

from geobench.testing import ModelConformance

class TestMyModel(ModelConformance):
    def model(self):
        return MyModel(width=8)
"""

from geobench.testing.assimilation import AssimilationConformance
from geobench.testing.cases import small_case
from geobench.testing.decay import Decay
from geobench.testing.model import ModelConformance
from geobench.testing.scorer import ScorerConformance
from geobench.testing.simulator import SimulatorConformance

__all__ = [
    "AssimilationConformance",
    "Decay",
    "ModelConformance",
    "ScorerConformance",
    "SimulatorConformance",
    "small_case",
]
