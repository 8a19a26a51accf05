"""Vision transformer: attention between the patches of a grid."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from geobench import StateSpec
from geobench_plugins.networks.blocks import Body, Chain, Residual
from geobench_plugins.networks.conditioning import Section
from geobench_plugins.networks.linear import Drawn, Linear, precisely
from geobench_plugins.networks.norms import Condition, Norms

_RATIO = 4  # width of the MLP's hidden layer


class ViTBody(Body):
    """Patches and their positions, blocks [norm, attention; norm, MLP], norm, patch-wise head.

    The last layers of attention and MLP start from zero.
    """

    def __init__(
        self,
        spec: StateSpec,
        inputs: int,
        outputs: int,
        norms: Norms,
        *,
        patch: int,
        width: int,
        layers: int,
        heads: int,
    ) -> None:
        super().__init__()
        self._patch, cells = patch, patch**2
        tokens = tuple(size // patch for size in spec.grid)
        self.levels = (tokens,)
        self.hidden = ((*tokens, width), (*tokens, _RATIO * width)) * layers
        self.stem = Linear(cells * inputs, width)
        self.positions = Positions(tokens, width)
        blocks: list[Residual] = []
        for layer in range(layers):
            section: Section = "processor" if layer else "encoder"
            attention = Attention(width, heads)
            mlp = nn.Sequential(Linear(width, _RATIO * width), nn.GELU())
            blocks.append(Residual(width, attention, width, norms, section))
            blocks.append(Residual(width, mlp, _RATIO * width, norms, section))
        self.blocks = Chain(blocks)
        self.norm = norms.make(width, "decoder", block=False)
        self.head = Linear(width, cells * outputs, std=0.02)

    def forward(
        self, x: Tensor, conditions: Sequence[Condition], masks: Sequence[Tensor | None]
    ) -> Tensor:
        """(row, y, x, inputs) to (row, y, x, outputs)."""
        (condition,) = conditions
        h = self.positions(self.stem(patches(x, self._patch)).to(x.dtype))
        h = self.blocks(h, condition, masks)
        return cells(precisely(self.head, self.norm(h, condition).inner), self._patch)


class Positions(Drawn):
    """Adds a learned vector to each token."""

    def __init__(self, tokens: tuple[int, ...], width: int) -> None:
        super().__init__((*tokens, width), 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(row, y, x, width) to the same."""
        return x + self.weight


class Attention(nn.Module):
    """Each token gathers from all: softmax(q k / √d) v, before any last layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.mix = Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(row, y, x, width) to the same."""
        # (row, y, x, 3 width) to (3, row, head, token, width of a head)
        parts = self.mix(x).flatten(1, 2).unflatten(-1, (3, self._heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind()
        # The fused kernels of accelerators sum their gradients in no fixed order.
        fused = [] if x.is_cuda else [SDPBackend.FLASH_ATTENTION]
        with sdpa_kernel([*fused, SDPBackend.MATH]):
            output = functional.scaled_dot_product_attention(query, key, value)
        return output.transpose(1, 2).reshape(x.shape)


def patches(x: Tensor, size: int) -> Tensor:
    """Side by side, the cells of a patch: (row, y, x, c) to (row, y/size, x/size, size² c)."""
    rows, ny, nx, channels = x.shape
    split = x.reshape(rows, ny // size, size, nx // size, size, channels).transpose(2, 3)
    return split.reshape(rows, ny // size, nx // size, size * size * channels)


def cells(x: Tensor, size: int) -> Tensor:
    """Return the cells of patches: the inverse of `patches`."""
    rows, ny, nx, _ = x.shape
    split = x.reshape(rows, ny, nx, size, size, -1).transpose(2, 3)
    return split.reshape(rows, ny * size, nx * size, -1)
