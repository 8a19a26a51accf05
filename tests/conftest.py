from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from geobench.registry import Registry
from geobench.steps import Steps
from geobench_catalog import Catalog


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def steps(tmp_path: Path, registry: Registry) -> Steps:
    return Steps(Catalog(tmp_path / "catalog", create=True), registry)
