"""What members are scored on while a network trains."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.contracts.model import Training


@dataclass(frozen=True)
class Validation:
    """Windows of the validation split, and the scores of the two ends on them.

    `windows` is `(window, frame, channel, *grid)`; the last frame is to be forecast. `scale`
    `(channel)` is the climate's standard deviation, by which scores are divided; `sea` `(*grid)`
    says over which cells they are averaged, and `areas` `(cell,)` weigh these (over their mean;
    None: all alike). `climatology` and `oracle` are the scores of the
    climate and of the true law on the same windows, None where they are not known. They are two
    numbers: of the law itself a model sees nothing here.
    """

    windows: "Tensor"
    scale: "Tensor"
    sea: "Tensor"
    climatology: float | None = None
    oracle: float | None = None
    areas: "Tensor | None" = None

    @classmethod
    def of(cls, training: "Training", windows: int = 64) -> "Validation | None":
        """Draw windows, the same for every model and seed; None if the split is too short."""
        import torch

        from geobench.contracts.noise import Noise
        from geobench.contracts.state import areas_at_sea, by_area

        states, length = training.validation, training.task.history + 1
        if len(states) == 0 or states.shape[1] < length:
            return None
        noise = Noise.rows(0, "validation", windows)
        first = noise.use("start").integers(states.shape[1] - length + 1)
        which = noise.use("trajectory").integers(len(states))
        steps = first[:, None] + torch.arange(length)
        drawn = states[which[:, None].to(states.device), steps.to(states.device)]
        sea = torch.from_numpy(training.task.spec.sea).to(states.device)
        areas = areas_at_sea(training.task.spec)
        areas = None if areas is None else areas.to(states.device)
        variance = by_area(training.moments()[1].float()[:, sea], areas).mean(1)
        return cls(drawn, variance.sqrt().clamp_min(1e-12), sea, areas=areas)

    def share(self, score: float) -> float | None:
        """Share of the gap from the climate to the law that a score has closed."""
        if self.climatology is None or self.oracle is None or self.climatology == self.oracle:
            return None
        return (self.climatology - score) / (self.climatology - self.oracle)
