"""U-Net: residual convolutions at several resolutions."""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from geobench import StateSpec
from geobench_plugins.networks.blocks import Body, Chain, Residual
from geobench_plugins.networks.conditioning import Section
from geobench_plugins.networks.convolutions import PlaneConvolution
from geobench_plugins.networks.linear import Linear, precisely
from geobench_plugins.networks.norms import Condition, Norms


class UNetBody(Body):
    """Stem; blocks and a step down for each level; blocks at the bottom; steps up and blocks; head.

    Blocks are [norm, 3x3 convolution, GELU, 1x1 from zero]. A step down is a 3x3 convolution of
    stride 2. A step up takes the channels to those of the finer level (1x1), repeats each cell,
    convolves (3x3), and is added to what the level had on the way down. The bottom has the blocks
    of both ways.
    """

    def __init__(
        self,
        spec: StateSpec,
        inputs: int,
        outputs: int,
        norms: Norms,
        *,
        widths: tuple[int, ...],
        blocks: int,
    ) -> None:
        super().__init__()
        self._periodic = tuple(dim.periodic for dim in spec.dims)
        self._blocks = blocks
        bottom = len(widths) - 1
        self.levels = tuple(
            tuple(size >> level for size in spec.grid) for level in range(bottom + 1)
        )
        ways = [*range(bottom + 1), *reversed(range(bottom + 1))]
        self.hidden = tuple(
            (*self.levels[level], widths[level]) for level in ways for _ in range(blocks)
        )
        self.stem = self._convolution(inputs, widths[0])
        self.chains = nn.ModuleList(
            self._chain(widths[level], norms, _section(index, bottom))
            for index, level in enumerate(ways)
        )
        steps = list(itertools.pairwise(widths))
        self.coarser = nn.ModuleList(self._convolution(*step, stride=2) for step in steps)
        self.narrower = nn.ModuleList(Linear(wide, narrow) for narrow, wide in steps)
        self.finer = nn.ModuleList(self._convolution(narrow, narrow) for narrow, _ in steps)
        self.norm = norms.make(widths[0], "decoder", block=False)
        self.head = Linear(widths[0], outputs, std=0.02)

    def _convolution(self, inputs: int, outputs: int, stride: int = 1) -> PlaneConvolution:
        return PlaneConvolution(inputs, outputs, periodic=self._periodic, stride=stride)

    def _chain(self, width: int, norms: Norms, section: Section) -> Chain:
        return Chain(
            Residual(
                width,
                nn.Sequential(self._convolution(width, width), nn.GELU()),
                width,
                norms,
                section,
            )
            for _ in range(self._blocks)
        )

    def forward(
        self, x: Tensor, conditions: Sequence[Condition], masks: Sequence[Tensor | None]
    ) -> Tensor:
        """(row, y, x, inputs) to (row, y, x, outputs)."""
        levels, count = len(self.levels), self._blocks
        chain_masks = [masks[first : first + count] for first in range(0, len(masks), count)]
        h = self.stem(x).to(x.dtype)  # the sum over blocks is never rounded to half
        kept = []
        for level in range(levels):
            if level:
                kept.append(h)
                h = self.coarser[level - 1](h).to(x.dtype)
            h = self.chains[level](h, conditions[level], chain_masks[level])
        for index in range(levels, 2 * levels):
            level = 2 * levels - 1 - index
            if index > levels:
                h = kept.pop() + self.finer[level](repeated(self.narrower[level](h)))
            h = self.chains[index](h, conditions[level], chain_masks[index])
        return precisely(self.head, self.norm(h, conditions[0]).inner)


def _section(index: int, bottom: int) -> Section:
    """Of the chains: `bottom` on the way down, two at the bottom, the others on the way up."""
    if index < bottom:
        return "encoder"
    return "processor" if index <= bottom + 1 else "decoder"


def repeated(x: Tensor) -> Tensor:
    """Each cell twice along each dim: (row, y, x, channel) to (row, 2y, 2x, channel)."""
    planes = x.permute(0, 3, 1, 2)
    return functional.interpolate(planes, scale_factor=2, mode="nearest").permute(0, 2, 3, 1)
