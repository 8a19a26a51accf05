"""ResNet: residual convolutions of five sites along one dim."""

from collections.abc import Sequence

from torch import Tensor, nn

from geobench import StateSpec
from geobench_plugins.networks.blocks import Body, Chain, Residual
from geobench_plugins.networks.convolutions import LineConvolution
from geobench_plugins.networks.linear import Linear, precisely
from geobench_plugins.networks.norms import Condition, Norms

_REACH = 2


class ResNetBody(Body):
    """Stem, residual blocks [norm, 5-site convolution, GELU, 1x1 from zero], norm, 1x1 head.

    A site sees 2 (`blocks` + 1) sites to either side.
    """

    def __init__(
        self,
        spec: StateSpec,
        inputs: int,
        outputs: int,
        norms: Norms,
        *,
        width: int,
        blocks: int,
    ) -> None:
        super().__init__()
        (dim,) = spec.dims

        def convolution(channels: int) -> LineConvolution:
            return LineConvolution(channels, width, reach=_REACH, periodic=dim.periodic)

        self.levels = (spec.grid,)
        self.hidden = ((*spec.grid, width),) * blocks
        self.stem = convolution(inputs)
        self.blocks = Chain(
            Residual(
                width,
                nn.Sequential(convolution(width), nn.GELU()),
                width,
                norms,
                "processor" if index else "encoder",
            )
            for index in range(blocks)
        )
        self.norm = norms.make(width, "decoder", block=False)
        self.head = Linear(width, outputs, std=0.02)

    def forward(
        self, x: Tensor, conditions: Sequence[Condition], masks: Sequence[Tensor | None]
    ) -> Tensor:
        """(row, site, inputs) to (row, site, outputs)."""
        (condition,) = conditions
        h = self.stem(x).to(x.dtype)  # the sum over blocks is never rounded to half
        h = self.blocks(h, condition, masks)
        return precisely(self.head, self.norm(h, condition).inner)
