"""What networks that draw members are trained to minimise: scores of small ensembles.

Ensembles are `(row, member, *grid, channel)`, outcomes `(row, *grid, channel)`, both changes of the
state, normalised. Means over cells, windows and pairs weigh by areas. Nothing reaches across a
wall: a window, a pair or a wave goes around a grid dim only if that is periodic. On land both are
zero, so land adds nothing, and no spread there can be paid for. Members must be independent draws:
with antithetic pairs a network wins by an exploding spread. Scores are fair (Ferro, 2014,
https://doi.org/10.1002/qj.2270) where they can be: their expectation does not depend on the number
of members.
"""

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from geobench import Fields

if TYPE_CHECKING:
    from torch import Tensor


class Setting(NamedTuple):
    """The state that changes start from, in their units, and the grid.

    state: about its mean over the train split, `(row, *grid, channel)`; std: of the climate,
    `(channel,)`; periodic: whether each grid dim is, `(*grid)` of them; area: that of the cells
    over their mean, `(*grid, 1)`, None where they are equal.
    """

    state: "Tensor"
    std: "Tensor"
    periodic: tuple[bool, ...]
    area: "Tensor | None" = None

    def weigh(self, field: "Tensor") -> "Tensor":
        """Multiply `(…, *grid, channel)` by areas: what is proportional to it is then weighed."""
        return field if self.area is None else field * self.area


class CRPS(Fields):
    """Continuous ranked probability score of every cell on its own: blind to dependence.

    (1/M) Σ|x_j - y| - (1-ε) / (2M(M-1)) Σ|x_j - x_k|, ε = (1-alpha)/M: fair at alpha = 1, plain at
    0, almost fair between (Lang et al., 2024, https://arxiv.org/abs/2412.15832, use 0.95). The
    optimum of any but the fair one is too narrow: with two members 5 % at 0.95, 62 % at 0.
    """

    score: Literal["crps"] = "crps"
    alpha: float = Field(1.0, ge=0, le=1, description="1 is fair, 0 is plain")

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Mean over rows, cells and channels."""
        from geobench_plugins.networks import ensemble_scores as scores

        scores.check(ensemble, target)
        return scores.crps(setting.weigh(ensemble), setting.weigh(target), self.alpha)


class Energy(Fields):
    """Fair energy score: the CRPS of whole fields, by Euclidean distance.

    (Gneiting & Raftery, 2007.) Proper for the joint law, though little of that shows in its value.
    With `patch`, of the fields in every window of so many cells: sees neighbours better.
    """

    score: Literal["energy"] = "energy"
    patch: int | None = Field(None, gt=1, description="cells along each dim; default: whole field")

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Mean over rows (and windows), for each number: comparable with the CRPS."""
        from geobench_plugins.networks import ensemble_scores as scores

        return scores.energy(
            ensemble, target, self.patch, periodic=setting.periodic, area=setting.area
        )


class Variogram(Fields):
    """Variogram score of neighbours (Scheuerer & Hamill, 2015, 10.1175/MWR-D-14-00269.1).

    Mean over pairs up to `reach` cells apart of (|y_i - y_k|^p - mean_j |x_ji - x_jk|^p)², less the
    sampling variance of that mean, which makes it fair. Blind to biases: mix it with another.
    """

    score: Literal["variogram"] = "variogram"
    order: float = Field(0.5, gt=0, description="p")
    reach: int = Field(4, gt=0, description="cells")
    crps_share: float = Field(0.5, ge=0, lt=1, description="weight of the fair CRPS beside it")

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Mean over rows, pairs and channels."""
        from geobench_plugins.networks import ensemble_scores as scores

        score = scores.variogram(
            ensemble,
            target,
            self.order,
            self.reach,
            periodic=setting.periodic,
            area=setting.area,
        )
        of_cells = CRPS().loss(ensemble, target, setting)
        return (1 - self.crps_share) * score + self.crps_share * of_cells


class MultiScale(Fields):
    """Fair CRPS of means over windows of growing size: sees dependence at each scale.

    A window's mean varies less than a cell, so that large scales count little unless `weights`
    make up for it (1 / standard deviation of each scale does). With `bands`, of what each window
    adds to the next larger one, and of the largest: every scale is then scored once.
    """

    score: Literal["multi-scale"] = "multi-scale"
    windows: tuple[int, ...] = Field((1, 2, 4, 8), min_length=1, description="cells along each dim")
    weights: tuple[float, ...] | None = Field(
        None, description="of the windows, in their order; only ratios count; default: equal"
    )
    bands: bool = Field(False, description="score differences of successive windows' means")

    @model_validator(mode="after")
    def _weights_of_windows(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.windows):
            raise ValueError(
                f"weights: {len(self.weights)} of them for {len(self.windows)} windows; give one "
                f"for each"
            )
        if self.weights is not None and (min(self.weights) < 0 or not sum(self.weights)):
            raise ValueError(f"weights: {self.weights}; they must not be negative, nor all zero")
        if min(self.windows) < 1 or (self.bands and list(self.windows) != sorted({*self.windows})):
            raise ValueError(
                f"windows: {self.windows}; they must be positive, and growing where bands are "
                f"scored"
            )
        return self

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Weighted mean over the scales."""
        from geobench_plugins.networks import ensemble_scores as scores

        return scores.multi_scale(
            ensemble,
            target,
            self.windows,
            periodic=setting.periodic,
            weights=self.weights,
            bands=self.bands,
            area=setting.area,
        )


class Spectral(Fields):
    """Fair CRPS, mixed with that of the magnitude of each Fourier coefficient.

    Along a dim with walls, of the field's even extension (the cosines of DCT-II): a field that was
    wrapped there would have a step. Magnitudes say nothing of phases: alone it is not strictly
    proper. Waves are counted in cells, which count alike in them, whatever their areas.
    """

    score: Literal["spectral"] = "spectral"
    crps_share: float = Field(0.5, gt=0, lt=1, description="weight of the CRPS of cells")

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Mean over cells and over coefficients (orthonormal transform)."""
        from geobench_plugins.networks import ensemble_scores as scores

        score = scores.spectral(ensemble, target, periodic=setting.periodic)
        of_cells = CRPS().loss(ensemble, target, setting)
        return (1 - self.crps_share) * score + self.crps_share * of_cells


class ThresholdWeighted(Fields):
    """Fair CRPS, mixed with that of what lies above a threshold (Gneiting & Ranjan, 2011).

    The CRPS of max(x, τ), x the state in standard deviations of the climate about its mean.
    """

    score: Literal["threshold-weighted"] = "threshold-weighted"
    threshold: float = Field(1.3, description="τ, standard deviations above the mean")
    crps_share: float = Field(0.5, gt=0, lt=1, description="weight of the CRPS of everything")

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Mean over rows, cells and channels."""
        import torch

        from geobench_plugins.networks import ensemble_scores as scores

        scores.check(ensemble, target)
        threshold = self.threshold * setting.std
        above = CRPS().loss(
            torch.maximum(setting.state[:, None] + ensemble, threshold),
            torch.maximum(setting.state + target, threshold),
            setting,
        )
        of_cells = CRPS().loss(ensemble, target, setting)
        return (1 - self.crps_share) * above + self.crps_share * of_cells


class MeanSquare(Fields):
    """Mean square error of each member: the deterministic loss; members collapse to the mean."""

    score: Literal["mse"] = "mse"

    def loss(self, ensemble: "Tensor", target: "Tensor", setting: "Setting") -> "Tensor":
        """Mean over everything."""
        from geobench_plugins.networks import ensemble_scores as scores

        scores.check(ensemble, target)
        return setting.weigh((ensemble - target[:, None]) ** 2).mean()


Objective = Annotated[
    CRPS | Energy | Variogram | MultiScale | Spectral | ThresholdWeighted | MeanSquare,
    Field(discriminator="score"),
]
