"""An edited plugin is another one to the catalog, whatever part of it was edited."""

from pathlib import Path

import numpy as np
import pytest

from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog

WOB = """
import torch
from pydantic import FilePath
from geobench import EnsembleModel, Forecaster, hookimpl

class Wob(EnsembleModel):
    '''Persistence with noise of a size that a module or a file beside it gives.'''
    name = "wob"
    scale: FilePath
    def size(self):
        from sizes import SIZE
        return SIZE * float(self.scale.read_text())
    def fit(self, training, run): return _Wob(self.size())
    def restore(self, weights, task): return _Wob(float(weights["size"]))

class _Wob(Forecaster):
    def __init__(self, size): self.size = size
    def weights(self): return {"size": torch.tensor(float(self.size))}
    def step(self, history, noise):
        now = history[:, -1]
        return now + self.size * noise.normal(*now.shape[1:])

@hookimpl
def geobench_models(): return [Wob]
"""
EXPERIMENT = {
    "use": "lorenz95",
    "spin_up": 2,
    "train": {"trajectories": 3, "steps": 6},
    "validation": {"trajectories": 2, "steps": 6},
    "test": {"trajectories": 4, "inits": 1, "every": 1},
    "leads": 1,
}


@pytest.mark.parametrize("edited", ["sizes.py", "scale.txt"])
def test_an_edit_is_never_answered_with_old_numbers(tmp_path: Path, edited: str) -> None:
    """SIZE 0.1, then 3.0: in the same catalog the new result is that of a new catalog."""
    (tmp_path / "mine.py").write_text(WOB)
    texts = {"sizes.py": "SIZE = 1.0", "scale.txt": "1.0"}

    def draw(catalog: str, size: str) -> tuple[str, "np.typing.NDArray[np.float32]"]:
        for name, text in texts.items():
            (tmp_path / name).write_text(text.replace("1.0", size if name == edited else "1.0"))
        registry = Registry([tmp_path / "mine.py"])
        session = Session(Engine(Catalog(tmp_path / catalog, create=True), registry))
        dataset = session.simulate("tiny", registry.experiment(EXPERIMENT, "tiny"))
        model = registry.model({"use": "wob", "scale": str(tmp_path / "scale.txt")})
        forecast = session.forecast(session.train(dataset, model), members=4)
        return str(forecast.reference), forecast.load()["q"].to_numpy()

    first, small = draw("cat", "0.1")
    second, large = draw("cat", "3.0")
    _, right = draw("new", "3.0")
    assert second != first
    np.testing.assert_array_equal(large, right)
    assert (small != large).any()
    again, same = draw("cat", "0.1")
    assert again == first  # and what was made by the text of before is found again
    np.testing.assert_array_equal(same, small)
