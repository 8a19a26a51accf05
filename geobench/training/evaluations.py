"""Evaluations of a network, counted while they happen."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch import nn


class Evaluations:
    """How many rows a network has been given."""

    def __init__(self) -> None:
        self.rows = 0

    @contextmanager
    def of(self, network: "nn.Module | None") -> Iterator[None]:
        """Count while it lasts; of a list of networks each, of none none."""
        from torch import nn

        networks = [*network] if isinstance(network, nn.ModuleList) else [network]
        hooks = [
            module.register_forward_pre_hook(self._count, with_kwargs=True)
            for module in networks
            if module is not None
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _count(
        self, _module: "nn.Module", inputs: tuple[object, ...], named: dict[str, object]
    ) -> None:
        tensors = (
            argument for argument in (*inputs, *named.values()) if isinstance(argument, Tensor)
        )
        self.rows += max((len(tensor) for tensor in tensors if tensor.ndim), default=0)
