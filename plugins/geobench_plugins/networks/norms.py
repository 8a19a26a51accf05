"""Norms over channels, groups or sites, each with a learned affine map that a condition shifts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from geobench import GeobenchError
from geobench_plugins.networks.conditioning import Conditioning, Section
from geobench_plugins.networks.linear import Linear

_PARTS = {"scale-shift": ("scale", "shift"), "shift": ("shift",), "scale": ("scale",)}
_PARTS |= {"gated": ("scale", "shift"), "add": ("add",)}


class Condition(NamedTuple):
    """What norms of one resolution are conditioned on: `(row, vector)`, `(row, *grid, field)`."""

    vector: Tensor | None = None
    field: Tensor | None = None


class Normed(NamedTuple):
    """The features, their normalised form for a branch, and the branch's gate, if it has one."""

    features: Tensor
    inner: Tensor
    gate: Tensor | None


@dataclass(frozen=True)
class Norms:
    """Makes the norms of a network: conditioned in the sections that the configuration names."""

    conditioning: Conditioning
    vector: int
    field: int

    def gates(self, section: Section) -> bool:
        """Whether the blocks of a section have gates."""
        return self.conditioning.how == "gated" and self._conditions(section)

    def make(self, width: int, section: Section, *, block: bool = True) -> "Norm":
        """Make one norm; `block`: of a residual branch, so that it may have a gate."""
        conditioning = self.conditioning
        if conditioning.normaliser == "group" and width % conditioning.groups:
            raise GeobenchError(
                f"normaliser = group: groups = {conditioning.groups} does not divide a width of "
                f"{width}. Use groups that divide every width."
            )
        if not self._conditions(section):
            return Norm(width, conditioning)
        return Norm(
            width, conditioning, self.vector, self.field, gated=block and self.gates(section)
        )

    def _conditions(self, section: Section) -> bool:
        return bool(self.vector or self.field) and self.conditioning.reaches(section)


class Projection(nn.Module):
    """W c: a linear map of a condition, without bias."""

    def __init__(self, vector: int, field: int, channels: int, std: float) -> None:
        super().__init__()
        self.vector = Linear(vector, channels, std=std, bias=False) if vector else None
        self.field = Linear(field, channels, std=std, bias=False) if field else None

    def forward(self, condition: Condition, like: Tensor) -> Tensor:
        """(row, *grid or ones, channels), at the precision of `like`.

        Half precision would lose a scale that is small beside the one it is added to.
        """
        parts = []
        if self.vector is not None and condition.vector is not None:
            ones = [1] * (like.ndim - 2)
            parts.append(self.vector(condition.vector).view(len(like), *ones, -1).to(like.dtype))
        if self.field is not None:
            parts.append(self.field(condition.field).to(like.dtype))
        output: Tensor = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return output


class Norm(nn.Module):
    """n(x) g + b; a condition adds W c to g and b, or to one of them, or to x (see `Conditioning`).

    The gate, if any, starts at zero whatever the condition.
    """

    def __init__(
        self,
        width: int,
        conditioning: Conditioning,
        vector: int = 0,
        field: int = 0,
        *,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self._normalise = _normaliser(conditioning)
        self._parts = _PARTS[conditioning.how] if vector or field else ()
        std, parts = conditioning.init_std, len(self._parts)
        self.projection = Projection(vector, field, parts * width, std) if parts else None
        self.gate = Projection(vector, field, width, 0.0) if gated else None
        self.gate_bias = nn.Parameter(torch.zeros(width)) if gated else None

    def forward(self, x: Tensor, condition: Condition) -> Normed:
        """(row, *grid, channel), thrice."""
        if self.projection is None:
            return Normed(x, self._normalise(x, self.gain, self.bias), None)
        projected = self.projection(condition, x).chunk(len(self._parts), -1)
        part = dict(zip(self._parts, projected, strict=True))
        if "add" in part:
            x = x + part["add"]
            return Normed(x, self._normalise(x, self.gain, self.bias), None)
        scale = self.gain + part["scale"] if "scale" in part else self.gain
        shift = self.bias + part["shift"] if "shift" in part else self.bias
        inner = self._normalise(x, None, None) * scale + shift  # backward of addcmul is slow
        if self.gate is None:
            return Normed(x, inner, None)
        return Normed(x, inner, self.gate_bias + self.gate(condition, x))


_Normaliser = Callable[[Tensor, Tensor | None, Tensor | None], Tensor]


def _normaliser(conditioning: Conditioning) -> _Normaliser:
    """n(x) g + b of (row, *grid, channel); no g and b: 1 and 0."""

    def over_sites(x: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
        groups = conditioning.groups if conditioning.normaliser == "group" else x.shape[-1]
        return functional.group_norm(x.movedim(-1, 1), groups, gain, bias).movedim(1, -1)

    return {"layer": _layer, "rms": _rms, "none": _none}.get(conditioning.normaliser, over_sites)


def _layer(x: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], gain, bias)


def _rms(x: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
    normal = functional.rms_norm(x, x.shape[-1:], gain, eps=1e-5)
    return normal if bias is None else normal + bias


def _none(x: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
    return x if gain is None or bias is None else torch.addcmul(bias, x, gain)
