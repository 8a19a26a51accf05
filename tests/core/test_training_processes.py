"""What processes that train together are asked for, and how the first one tells the others."""

import atexit
import logging
from types import SimpleNamespace
from typing import Any

import lightning_fabric
import pytest
import torch
import torch.distributed

from geobench import GeobenchError
from geobench.training import processes


class Together:
    """A Fabric that starts no process: it keeps its arguments and returns given answers."""

    made: Any = None

    def __init__(self, **asked: Any) -> None:
        self.asked, self.launched, self.told = SimpleNamespace(**asked), False, "of the first"
        type(self).made = self

    def launch(self) -> None:
        """Start."""
        self.launched = True

    def broadcast(self, value: object) -> object:
        """What the first process says; this one's own word where it is the first."""
        assert self.launched
        return self.told if value is None else value


@pytest.fixture
def fabric(monkeypatch: pytest.MonkeyPatch) -> type[Together]:
    """Two machines with two processes each."""
    monkeypatch.setattr(lightning_fabric, "Fabric", Together)
    monkeypatch.setattr(atexit, "register", lambda _: None)
    level = logging.getLogger("lightning_fabric").level
    monkeypatch.setattr(logging.getLogger("lightning_fabric"), "level", level)
    for name, value in {"WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2, "RANK": 3, "LOCAL_RANK": 1}.items():
        monkeypatch.setenv(name, str(value))
    return Together


@pytest.mark.parametrize(
    ("device", "precision", "accelerator", "asked"),
    [
        ("cuda:1", "bfloat16", "cuda", "bf16-mixed"),
        ("cpu", "float32", "cpu", "32-true"),
    ],
)
def test_processes_are_those_of_every_machine(
    fabric: type[Together], device: str, precision: str, accelerator: str, asked: str
) -> None:
    assert processes.together(device, precision) is fabric.made
    made = fabric.made
    assert made.launched
    assert (made.asked.num_nodes, made.asked.devices) == (2, 2)
    assert (made.asked.accelerator, made.asked.precision) == (accelerator, asked)


@pytest.mark.parametrize(("rank", "answer"), [(0, "my own"), (3, "of the first")])
def test_the_first_process_answers_for_all(
    fabric: type[Together], monkeypatch: pytest.MonkeyPatch, rank: int, answer: str
) -> None:
    asked = []

    def question() -> str:
        asked.append(rank)
        return "my own"

    monkeypatch.setenv("RANK", str(rank))
    assert processes.first(question, "cpu") == answer
    assert asked == [0] * (rank == 0)


def test_a_process_alone_answers_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert processes.first(lambda: "my own", "cpu") == "my own"


@pytest.mark.parametrize("value", [None, "", "one"])
def test_a_process_without_a_rank_is_told_to_use_torchrun(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    if value is not None:
        monkeypatch.setenv("RANK", value)
    with pytest.raises(GeobenchError, match=f"RANK is {value!r}. Start them with torchrun"):
        processes.rank()


def test_a_process_alone_takes_the_gpu_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    processes.Alone("cpu", "float32")
    assert taken == []
    processes.Alone("cuda:1", "float32")
    assert taken == [torch.device("cuda:1")]


def test_the_group_of_processes_ends_with_the_program() -> None:
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    processes._leave()
    assert not torch.distributed.is_initialized()
    processes._leave()  # and there is no group to leave twice
