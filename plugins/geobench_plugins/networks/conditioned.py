"""A backbone with its inputs: states, places, noise, and a further condition."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geobench import GeobenchError, Noise, StateSpec
from geobench_plugins.networks import geography
from geobench_plugins.networks.backbones import default_backbone
from geobench_plugins.networks.linear import initialise
from geobench_plugins.networks.noise_sources import Encoder, Smoother
from geobench_plugins.networks.norms import Condition, Norms

if TYPE_CHECKING:
    from geobench_plugins.networks.backbones import Backbone
    from geobench_plugins.networks.conditioning import Conditioning

__all__ = ["Conditioned", "initialise"]


class Conditioned(nn.Module):
    """Channels of a grid in, channels out, conditioned on noise and on `embedding` numbers a row.

    Inputs on land count as zero, outputs there are zero. `backbone` None: that of the grid.
    """

    geography: Tensor
    sea: Tensor

    def __init__(
        self,
        spec: StateSpec,
        backbone: "Backbone | None",
        conditioning: "Conditioning",
        *,
        inputs: int,
        outputs: int,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        backbone = backbone or default_backbone(spec)
        if conditioning.how == "dropout" and embedding:
            raise GeobenchError(
                "conditioning.how = dropout: nothing is conditioned, and this model's network must "
                "know its flow time. Use how: scale-shift or gated."
            )
        places = geography.features(spec, coordinates=backbone.coordinates)
        self.register_buffer("geography", places, persistent=False)
        self.register_buffer("sea", geography.mask(spec), persistent=False)
        self._land = bool(spec.land)
        self._conditioning = conditioning
        self._embedding = embedding
        vector, field = conditioning.vector + embedding, conditioning.field
        inputs += places.shape[-1]
        if conditioning.how == "input":
            inputs += vector + field
        self.body = backbone.body(spec, inputs, outputs, Norms(conditioning, vector, field))
        self._grids = (spec.grid,) if conditioning.how == "input" else self.body.levels
        encoders = {"vector": conditioning.vector, "field": field}
        self.encoders = nn.ModuleDict(
            {name: Encoder(conditioning, size) for name, size in encoders.items() if size}
        )
        smoothed = self._grids if conditioning.noise == "smoothed" else ()
        self.smoothers = nn.ModuleList(
            Smoother(spec, grid, conditioning.smoothing) for grid in smoothed
        )

    def draw(self, noise: Noise) -> tuple[Tensor, ...]:
        """Draw what one evaluation needs of noise, a row for each row of `noise`.

        The global vector `(row, dimension)`, then a field `(row, *grid, local_dimension)` for each
        resolution, or the masks of dropout; () if there is none. All of variance one: a field is
        drawn afresh at each resolution, as the mean of a finer one would be too small.
        """
        conditioning = self._conditioning
        if conditioning.how == "dropout":
            return self._masks(noise)
        drawn = [noise.use("vector").normal(conditioning.vector)] if conditioning.vector else []
        for level, grid in enumerate(self._grids if conditioning.field else ()):
            field = noise.use(f"field/{level}").normal(*grid, conditioning.field)
            drawn.append(self.smoothers[level](field) if self.smoothers else field)
        return tuple(drawn)

    def forward(
        self, x: Tensor, draws: tuple[Tensor, ...] = (), embedding: Tensor | None = None
    ) -> Tensor:
        """(row, *grid, inputs) to (row, *grid, outputs), for what `draw` gave.

        `embedding` (row, embedding) is a further condition (a flow time, later).
        """
        conditioning = self._conditioning
        if self._embedding != (0 if embedding is None else embedding.shape[-1]):
            raise ValueError(f"expected an embedding of {self._embedding} numbers a row")
        if self._land:
            x = x * self.sea
        rows, grid = len(x), x.shape[1:-1]
        channels = [x, self.geography.expand(rows, *grid, -1)]
        masks = draws if conditioning.how == "dropout" else (None,) * len(self.body.hidden)
        conditions = [Condition()] * len(self.body.levels)
        if conditioning.how != "dropout":
            vector, fields = self._encoded(draws, embedding)
            if conditioning.how == "input":
                if vector is not None:
                    wide = vector.view(rows, *[1] * len(grid), -1)
                    channels.append(wide.expand(-1, *grid, -1))
                channels += [field for field in fields if field is not None]
            else:
                conditions = [Condition(vector, field) for field in fields]
        output: Tensor = self.body(torch.cat(channels, -1), conditions, masks)
        return output * self.sea if self._land else output

    def _masks(self, noise: Noise) -> tuple[Tensor, ...]:
        """Of dropout: 0, or what keeps the mean."""
        kept = 1 - self._conditioning.dropout
        return tuple(
            (noise.use(f"mask/{index}").uniform(*shape) < kept).float() / kept
            for index, shape in enumerate(self.body.hidden)
        )

    def _encoded(
        self, draws: tuple[Tensor, ...], embedding: Tensor | None
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """The vector of a row, and the field of each resolution."""
        conditioning = self._conditioning
        vectors, fields = draws[: bool(conditioning.vector)], draws[bool(conditioning.vector) :]
        parts = [self.encoders["vector"](drawn) for drawn in vectors]
        parts += [] if embedding is None else [embedding]
        vector = torch.cat(parts, -1) if parts else None
        if not conditioning.field:
            return vector, [None] * len(self._grids)
        return vector, [self.encoders["field"](field) for field in fields]
