"""The residual block that all networks are made of."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from geobench_plugins.networks.conditioning import Section
from geobench_plugins.networks.linear import Linear
from geobench_plugins.networks.norms import Condition, Norms


class Residual(nn.Module):
    """x + gate · last(mask · inner(norm(x))): pre-norm; starts as the identity.

    `inner` takes `width` channels to `hidden`, of which dropout drops some. Without a gate the last
    layer starts from zero; with one the gate does.
    """

    def __init__(
        self, width: int, inner: nn.Module, hidden: int, norms: Norms, section: Section
    ) -> None:
        super().__init__()
        self.norm = norms.make(width, section)
        self.inner = inner
        self.last = Linear(hidden, width, std=None if norms.gates(section) else 0.0)

    def forward(self, x: Tensor, condition: Condition, mask: Tensor | None) -> Tensor:
        """(row, *grid, width) to the same; `mask` (row, *grid, hidden)."""
        features, normal, gate = self.norm(x, condition)
        hidden: Tensor = self.inner(normal)
        if mask is not None:
            hidden = hidden * mask
        branch = self.last(hidden)
        output: Tensor = features + (branch if gate is None else gate * branch)
        return output


class Chain(nn.Module):
    """Residual blocks one after the other, on one grid."""

    def __init__(self, blocks: Iterable[Residual]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, condition: Condition, masks: Sequence[Tensor | None]) -> Tensor:
        """(row, *grid, width) to the same; a mask a block."""
        for block, mask in zip(self.blocks, masks, strict=True):
            x = block(x, condition, mask)
        return x


class Body(nn.Module, ABC):
    """A network on a grid, channels last.

    levels: the grids at which norms lie, finest first; hidden: shapes (*grid, channel) of the
    features that dropout masks, in order.
    """

    levels: tuple[tuple[int, ...], ...]
    hidden: tuple[tuple[int, ...], ...]

    @abstractmethod
    def forward(
        self, x: Tensor, conditions: Sequence[Condition], masks: Sequence[Tensor | None]
    ) -> Tensor:
        """(row, *grid, inputs) to (row, *grid, outputs); a condition a level, a mask a block."""
