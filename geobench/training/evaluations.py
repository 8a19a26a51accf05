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
            each.register_forward_pre_hook(self._count, with_kwargs=True)
            for each in networks
            if each is not None
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _count(
        self, _module: "nn.Module", inputs: tuple[object, ...], named: dict[str, object]
    ) -> None:
        tensors = (each for each in (*inputs, *named.values()) if isinstance(each, Tensor))
        self.rows += max((len(each) for each in tensors if each.ndim), default=0)
