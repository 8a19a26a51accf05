"""The processes that train together: one, or those that torchrun has started."""

import atexit
import gc
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_Found = TypeVar("_Found")


def count() -> int:
    """Return how many processes train together."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """Return which of them this is, from 0."""
    return _number("RANK") if count() > 1 else 0


def device(named: str) -> str:
    """Return the device of this process: of `cuda` the first or, with several, one for each."""
    if named != "cuda":
        return named
    return f"cuda:{_number('LOCAL_RANK')}" if count() > 1 else "cuda:0"


def first(question: Callable[[], _Found], named: str) -> _Found:
    """Let the first process answer, and tell all."""
    if count() == 1:
        return question()
    together = fabric(named, "float32")
    found = question() if rank() == 0 else None
    return together.broadcast(found)  # type: ignore[return-value] # that of the first


def fabric(named: str, precision: str) -> "Fabric":
    """Return what takes care of precision, device and processes.

    Several processes only where WORLD_SIZE says so (torchrun sets it); a batch system or cluster
    that this process happens to run in is not asked.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.strategies.single_device import SingleDeviceStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of every group
    kind = named.partition(":")[0]
    mixed: Literal["32-true", "bf16-mixed"] = "32-true" if precision == "float32" else "bf16-mixed"
    if count() == 1:
        import torch

        made = Fabric(
            accelerator=kind,
            strategy=SingleDeviceStrategy(torch.device(named)),
            devices=1,
            precision=mixed,
            plugins=[LightningEnvironment()],
        )
    else:
        local = _number("LOCAL_WORLD_SIZE", count())
        made = Fabric(
            accelerator=kind,
            strategy=DDPStrategy(),
            devices=local,
            num_nodes=count() // local,
            precision=mixed,
            plugins=[TorchElasticEnvironment()],
        )
    made.launch()
    if count() > 1:
        atexit.unregister(_leave)
        atexit.register(_leave)
    return made


def _leave() -> None:
    """End the group of processes while the interpreter still stands.

    A thread of gloo that frees its last tensors while Python ends aborts the process, which
    lightning prevents with nccl only. The threads end with the group, once no network holds it.
    """
    import torch.distributed

    gc.collect()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _number(name: str, default: int | None = None) -> int:
    value = os.environ.get(name, default)
    try:
        return int(value)  # type: ignore[arg-type] # None is an error that is told
    except (TypeError, ValueError) as error:
        raise GeobenchError(
            f"WORLD_SIZE asks for several processes, and {name} is {value!r}. Start them with "
            f"torchrun, which sets both."
        ) from error
