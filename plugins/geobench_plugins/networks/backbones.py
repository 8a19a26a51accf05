"""The networks that the learned models share, by their fields: ResNet, U-Net, ViT."""

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from geobench import Fields, GeobenchError

if TYPE_CHECKING:
    from geobench import StateSpec
    from geobench_plugins.networks.blocks import Body
    from geobench_plugins.networks.norms import Norms

_COORDINATES = "whether places enter as input channels; without, a periodic grid looks the same"


class ResNet(Fields):
    """Residual network on one grid dim: convolutions of five sites at one resolution."""

    kind: Literal["resnet"] = "resnet"
    width: int = Field(64, gt=0, description="channels")
    blocks: int = Field(5, gt=0, description="residual blocks; a site sees 2 (blocks + 1) sites")
    coordinates: bool = Field(True, description=_COORDINATES)

    def body(self, spec: "StateSpec", inputs: int, outputs: int, norms: "Norms") -> "Body":
        """Make it for a grid."""
        from geobench_plugins.networks.resnet import ResNetBody

        _check_dims(self.kind, spec, 1)
        if self.blocks == 1 and norms.conditioning.where == "processor":
            raise GeobenchError(
                "resnet: its first block is the encoder, and blocks = 1, so that there is no "
                "processor to condition. Use blocks >= 2, or where: all."
            )
        return ResNetBody(spec, inputs, outputs, norms, width=self.width, blocks=self.blocks)


class UNet(Fields):
    """U-Net on two grid dims (Ronneberger et al., 2015, arXiv:1505.04597), with residual blocks.

    Each level has half the cells of the last along each dim. Steps up repeat the nearest cell, then
    convolve: transposed convolutions leave checkerboards (Odena et al., 2016).
    """

    kind: Literal["unet"] = "unet"
    widths: tuple[int, ...] = Field(
        (24, 48, 96), min_length=2, description="channels of each level, finest first"
    )
    blocks: int = Field(1, gt=0, description="residual blocks of a level, down and again up")
    coordinates: bool = Field(True, description=_COORDINATES)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if min(self.widths) < 1:
            raise ValueError(f"widths: {self.widths}; they must be positive")
        return self

    def body(self, spec: "StateSpec", inputs: int, outputs: int, norms: "Norms") -> "Body":
        """Make it for a grid."""
        from geobench_plugins.networks.unet import UNetBody

        _check_dims(self.kind, spec, 2)
        stride = 2 ** (len(self.widths) - 1)
        if any(size % stride for size in spec.grid):
            raise GeobenchError(
                f"unet: {len(self.widths)} levels halve the grid {len(self.widths) - 1} times, and "
                f"{_sizes(spec)} is not divisible by {stride}. Use fewer widths, or another grid."
            )
        return UNetBody(spec, inputs, outputs, norms, widths=self.widths, blocks=self.blocks)


class ViT(Fields):
    """Vision transformer on two grid dims (Dosovitskiy et al., 2021, arXiv:2010.11929)."""

    kind: Literal["vit"] = "vit"
    patch: int = Field(4, gt=0, description="cells of a token along each dim")
    width: int = Field(128, gt=0, description="channels")
    layers: int = Field(6, gt=0, description="blocks of attention and MLP")
    heads: int = Field(4, gt=0, description="heads of the attention")
    coordinates: bool = Field(True, description=_COORDINATES)

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"width = {self.width}: {self.heads} heads need a multiple of {self.heads}"
            )
        return self

    def body(self, spec: "StateSpec", inputs: int, outputs: int, norms: "Norms") -> "Body":
        """Make it for a grid."""
        from geobench_plugins.networks.vit import ViTBody

        _check_dims(self.kind, spec, 2)
        if any(size % self.patch for size in spec.grid):
            raise GeobenchError(
                f"vit: {_sizes(spec)} is not divisible by patch = {self.patch}. Use a patch that "
                f"divides {math.gcd(*spec.grid)}."
            )
        if self.layers == 1 and norms.conditioning.where == "processor":
            raise GeobenchError(
                "vit: its first block is the encoder, and layers = 1, so that there is no "
                "processor to condition. Use layers >= 2, or where: all."
            )
        return ViTBody(
            spec,
            inputs,
            outputs,
            norms,
            patch=self.patch,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
        )


Backbone = Annotated[ResNet | UNet | ViT, Field(discriminator="kind")]


def default_backbone(spec: "StateSpec") -> Backbone:
    """Return the backbone of a grid: one dim has the ResNet, two have the U-Net."""
    if len(spec.dims) == 1:
        return ResNet()
    if len(spec.dims) == 2:
        return UNet()
    raise GeobenchError(
        f"learned models have networks for one or two grid dims, and this grid has {_sizes(spec)}. "
        f"Use another simulator."
    )


def _check_dims(kind: str, spec: "StateSpec", wanted: int) -> None:
    if len(spec.dims) != wanted:
        other = "resnet" if wanted == 2 else "unet or vit"
        raise GeobenchError(
            f"{kind}: it is for {wanted} grid dim{'s' * (wanted > 1)}, and this grid has "
            f"{_sizes(spec)}. Use kind: {other}, or leave out backbone."
        )


def _sizes(spec: "StateSpec") -> str:
    return " x ".join(f"{dim.size} ({dim.name})" for dim in spec.dims)
