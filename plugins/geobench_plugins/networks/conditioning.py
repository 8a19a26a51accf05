"""How noise (and flow time) enters a network: the choices in which published models differ."""

from typing import Literal, Self

from pydantic import Field, model_validator

from geobench import Fields

Section = Literal["encoder", "processor", "decoder"]


class Conditioning(Fields):
    """What a network is conditioned on, and how; the default is that of FGN.

    A condition c is the encoded noise and, in flow models, an embedding of the flow time. A norm is
    h = n(x) g + b with n the normaliser and a learned g and b, that start at 1 and 0; a conditioned
    norm adds W c to some of them. Members and steps have fresh noise.

    Who chooses what: FGN (Alet et al., 2025): global, linear, all norms, scale and shift, 1e-8.
    AIFS-CRPS (Lang et al., 2024): local, MLP with norm, the processor, scale and shift, 0.
    ACE2's stochastic form: local, scale and shift, 0. FourCastNet 3: correlated fields, at the
    input, no norms. Engression (Shen & Meinshausen, 2024): noise at the input. DiT (Peebles & Xie,
    2023) and ArchesWeatherGen: gated, for the flow time. SDL: the decoder only. U-Cast: dropout.
    """

    noise: Literal["global", "local", "smoothed", "both", "none"] = Field(
        "global",
        description="global: one vector for all sites (FGN, CRPS-LAM); local: white in space "
        "(AIFS-CRPS, ACE); smoothed: local, filtered (as FourCastNet 3's); both: global and local",
    )
    dimension: int = Field(32, gt=0, description="length of the global vector (FGN: 32)")
    local_dimension: int = Field(4, gt=0, description="noise channels of a site (AIFS-CRPS: 4)")
    smoothing: float = Field(
        2.0,
        gt=0,
        description="standard deviation of the Gaussian filter of smoothed noise, cells; sites d "
        "apart are then correlated by exp(-(d / (2 smoothing))²), far from walls",
    )
    encoder: Literal["linear", "mlp", "mlp-norm"] = Field(
        "linear",
        description="of the noise. linear: no bias (FGN); mlp: one hidden layer (Samudra); "
        "mlp-norm: then a layer norm (AIFS-CRPS)",
    )
    hidden: int = Field(32, gt=0, description="width of the hidden layer of an mlp (AIFS-CRPS: 32)")
    where: Literal["encoder", "processor", "decoder", "all"] = Field(
        "all",
        description="norms that are conditioned. Of ResNet and ViT: the first block, the other "
        "blocks, the last norm; of U-Net: the way down, the bottom, the way up with the last norm. "
        "FGN: all; AIFS-CRPS: processor; SDL: decoder",
    )
    how: Literal["scale-shift", "shift", "scale", "add", "input", "gated", "dropout"] = Field(
        "scale-shift",
        description="scale-shift: W c is added to g and b (FGN, AIFS-CRPS, ACE); shift: to b; "
        "scale: to g; add: to the features x themselves, before the norm, where it stays (SDL, "
        "StyleGAN); input: c is further input channels, norms are plain (engression, FourCastNet "
        "3); gated: as scale-shift, and the block's output is multiplied by a gate W' c + b' that "
        "starts at 0 (adaLN-zero: DiT, ArchesWeatherGen); dropout: no c, masks in every block, "
        "also when members are drawn (U-Cast)",
    )
    dropout: float = Field(
        0.1, gt=0, lt=1, description="share of the features that a mask drops; the rest grow"
    )
    init_std: float = Field(
        1e-8,
        ge=0,
        description="standard deviation of the initial weights W (FGN: 1e-8; AIFS-CRPS, ACE: 0); "
        "gates always start at 0",
    )
    normaliser: Literal["layer", "rms", "group", "instance", "none"] = Field(
        "layer",
        description="layer: over the channels of each site (FGN, AIFS-CRPS, ACE); rms: the same "
        "without the mean; group: over groups of channels and all sites; instance: over sites, "
        "which cancels global noise; none (FourCastNet 3)",
    )
    groups: int = Field(8, gt=0, description="groups of channels of the group norm")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.how == "dropout" and self.noise != "none":
            raise ValueError(
                f"how = dropout: masks are all the noise there is, and noise = {self.noise}; use "
                f"noise: none, or another how"
            )
        if self.how in ("dropout", "input") and self.where != "all":
            raise ValueError(
                f"where = {self.where}: with how = {self.how} no norm is conditioned; leave out "
                f"where"
            )
        lengths = {"dimension": self.vector, "local_dimension": self.field}
        for name, length in lengths.items():
            if self.encoder == "mlp-norm" and length == 1:
                raise ValueError(
                    f"encoder = mlp-norm: the layer norm of {name} = 1 number is always zero; use "
                    f"encoder: mlp, or a larger {name}"
                )
        return self

    @property
    def vector(self) -> int:
        """Numbers of the global noise of a row."""
        return self.dimension if self.noise in ("global", "both") else 0

    @property
    def field(self) -> int:
        """Noise channels of each site."""
        return self.local_dimension if self.noise in ("local", "smoothed", "both") else 0

    @property
    def deterministic(self) -> bool:
        """Whether nothing is drawn: all members are equal."""
        return self.noise == "none" and self.how != "dropout"

    def reaches(self, section: Section) -> bool:
        """Whether the norms of a section are conditioned (if there is anything to condition on)."""
        return self.how not in ("dropout", "input") and self.where in ("all", section)
