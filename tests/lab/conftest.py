from pathlib import Path

import pytest

import geobench as gb
from geobench.lab.board import Board
from geobench.lab.dataset import Dataset
from geobench.lab.forecaster import Forecaster
from geobench.lab.lab import Lab

SIZES = {
    "spin_up": 5,
    "train": {"trajectories": 6, "steps": 30},
    "validation": {"trajectories": 2, "steps": 10},
    "test": {"trajectories": 12},
    "leads": 3,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder: Path = tmp_path_factory.mktemp("lab")
    return gb.open(folder / "catalog", quiet=True)


@pytest.fixture(scope="module")
def data(lab: Lab) -> Dataset:
    return lab.simulate("lorenz95", **SIZES)


@pytest.fixture(scope="module")
def fgn(lab: Lab, data: Dataset) -> Forecaster:
    backbone = {"kind": "resnet", "width": 8, "blocks": 1}
    return lab.train("fgn", data, passes=64, backbone=backbone)


@pytest.fixture(scope="module")
def board(lab: Lab, data: Dataset, fgn: Forecaster) -> Board:
    persistence = lab.train("persistence", data)
    return lab.compare([fgn, persistence], members=4, scorers=["crps", "bias"])
