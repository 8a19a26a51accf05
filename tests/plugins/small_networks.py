"""Small networks on small grids, with weights that are not at their initial zeros."""

from typing import Any

from torch import Tensor

from geobench import Dimension, Noise, StateSpec, Variable
from geobench_plugins.networks.backbones import ResNet, UNet, ViT
from geobench_plugins.networks.conditioned import Conditioned, initialise
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.linear import Drawn

Small = ResNet | UNet | ViT

RESNET = ResNet(width=8, blocks=2)
UNET = UNet(widths=(8, 16))
VIT = ViT(patch=2, width=16, layers=2, heads=2)
SMALL = [RESNET, UNET, VIT]


def grid(*sizes: int, walls: bool = False, land: tuple[int, ...] = ()) -> StateSpec:
    """Two variables on a grid."""
    dims = tuple(
        Dimension(name=name, size=size, periodic=not walls)
        for name, size in zip("ab", sizes, strict=False)
    )
    return StateSpec(variables=(Variable(name="u"), Variable(name="v")), dims=dims, land=land)


def grid_of(backbone: Small, *, walls: bool = False) -> StateSpec:
    """A grid that the backbone is for."""
    return grid(*((12,) if backbone.kind == "resnet" else (8, 12)), walls=walls)


def network(
    spec: StateSpec,
    backbone: Small | None,
    *,
    embedding: int = 0,
    awake: bool = True,
    **conditioning: Any,
) -> Conditioned:
    """Two channels to two; `awake`: no weights start at zero."""
    made = Conditioned(
        spec, backbone, Conditioning(**conditioning), inputs=2, outputs=2, embedding=embedding
    )
    if awake:
        for layer in made.modules():
            if isinstance(layer, Drawn) and layer.std < 0.01:
                layer.std = 0.3
    initialise(made, Noise.rows(0, "weights", 1))
    return made


def inputs(spec: StateSpec, rows: int = 3, stream: str = "x") -> Tensor:
    """White noise (row, *grid, 2)."""
    return Noise.rows(0, stream, rows).normal(*spec.grid, 2)


def draws(made: Conditioned, rows: int = 3, seed: int = 0) -> tuple[Tensor, ...]:
    """Noise of `rows` rows."""
    return made.draw(Noise.rows(seed, "draw", rows))


def largest(difference: Tensor) -> float:
    """The largest magnitude."""
    return float(difference.detach().abs().max())


def least_apart(one: Tensor, other: Tensor) -> float:
    """The smallest over rows of the largest difference."""
    return float((one - other).detach().flatten(1).abs().amax(1).min())
