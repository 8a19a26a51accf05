"""The processes that train together: one, or those that torchrun has started."""

import atexit
import gc
import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, TypeVar

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor, nn
    from torch.optim import Optimizer

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
    fabric = _several(named, "float32")
    answer = question() if rank() == 0 else None
    return fabric.broadcast(answer)  # type: ignore[return-value] # that of the first


class Alone:
    """A process that trains by itself, in the form in which `Fabric` has several."""

    world_size = 1
    global_rank = 0

    def __init__(self, named: str, precision: str) -> None:
        import torch

        self._device, self._precision = torch.device(named), precision
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)

    def autocast(self) -> AbstractContextManager[None]:
        """Compute in the precision of the training while it lasts."""
        import torch

        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def setup(
        self, module: "nn.Module", optimiser: "Optimizer"
    ) -> "tuple[Callable[..., Tensor], Optimizer]":
        """Return what calls the module in that precision, and the optimiser."""
        module = module.to(self._device)

        def call(*inputs: object) -> "Tensor":
            with self.autocast():
                value: Tensor = module(*inputs)
            return value if self._precision == "float32" else value.float()

        return call, optimiser

    def backward(self, loss: "Tensor") -> None:
        """Compute the gradients."""
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it so

    def broadcast(self, value: _Found) -> _Found:
        """What the first process knows."""
        return value

    def all_reduce(self, value: "Tensor", reduce_op: str) -> "Tensor":
        """The mean, say, over all processes."""
        return value


def together(named: str, precision: str) -> "Alone | Fabric":
    """Return what takes care of precision, device and processes.

    Several processes only where WORLD_SIZE says so (torchrun sets it); a batch system or cluster
    that this process happens to run in is not asked.
    """
    return Alone(named, precision) if count() == 1 else _several(named, precision)


def _several(named: str, precision: str) -> "Fabric":
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise GeobenchError(
            f"WORLD_SIZE asks for several processes, and lightning-fabric, by which they train "
            f"together, cannot be imported ({error}). Run: pip install 'geobench-twin[lightning]'"
        ) from error
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of every group
    mixed: Literal["32-true", "bf16-mixed"] = "32-true" if precision == "float32" else "bf16-mixed"
    local = _number("LOCAL_WORLD_SIZE", count())
    made = Fabric(
        accelerator=named.partition(":")[0],
        strategy=DDPStrategy(),
        devices=local,
        num_nodes=count() // local,
        precision=mixed,
        plugins=[TorchElasticEnvironment()],
    )
    made.launch()
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
