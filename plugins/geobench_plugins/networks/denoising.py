"""What denoisers are trained to minimise, and at which times."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from geobench import Batch, Noise, Optimisation
from geobench_plugins.networks.denoiser import Denoiser, preconditioning

Weight = Literal["velocity", "balanced", "sample"]
EARLIEST = 1e-3  # least flow time that is trained at: weights of samples are finite


class DenoisingLoss(nn.Module):
    """Mean square error of what a denoiser predicts, at random times.

    `draw` gives for each row of a noise the given states and the one that followed. Of flows,
    in terms of the estimate D of the change r, the loss is w(t) |D - r|², with w = 1/t²
    (`velocity`: the plain error of the velocity), (1 - t)/t (`balanced`: ArchesWeatherGen) or 1
    (`sample`). A preconditioned network has the loss of EDM, (t² + 1)/t² |D - r|² (GenCast), which
    is 1 at every noise level where F = 0 and the changes have variance one.
    """

    def __init__(
        self,
        network: Denoiser,
        how: Optimisation,
        *,
        draw: Callable[[Noise], tuple[Tensor, Tensor]],
        times: Callable[[Noise], Tensor],
        weight: Weight = "velocity",
        paired: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self._rows = how.rows
        self._draw, self._times = draw, times
        self._weight, self._paired = weight, paired

    def forward(self, batch: Batch) -> Tensor:
        """Of one batch; a row is a noisy change."""
        noise = batch.noise(self._rows)
        given, after = self._draw(noise)
        change = self.network.scaling.residual(given[:, -1], after)
        fresh = noise.use("start of flow").normal(*change.shape[1:])
        if self._paired:
            fresh = paired(fresh, change)
        t = self._times(noise.use("flow time")).clamp_min(EARLIEST)
        return self.at(given, change, fresh, t).mean()

    def at(self, given: Tensor, change: Tensor, fresh: Tensor, t: Tensor) -> Tensor:
        """Loss of each row: changes and fresh noise `(row, *grid, channel)`, times `(row,)`."""
        network = self.network
        straight = network.prediction != "preconditioned"
        wide = t.view(-1, *[1] * (change.ndim - 1))
        x = ((1 - wide) * change if straight else change) + wide * fresh
        output = network(network.scaling.inputs(given), x, t).float()
        if not straight:
            _, kept, scale = preconditioning(t, x.ndim)
            return self._squares(output - (change - kept * x) / scale)
        if network.prediction == "velocity":
            return t.square() * self._weights(t) * self._squares(output - (fresh - change))
        return self._weights(t) * self._squares(output - change)

    def _weights(self, t: Tensor) -> Tensor:
        if self._weight == "velocity":
            return 1 / t.square()
        return (1 - t) / t if self._weight == "balanced" else torch.ones_like(t)

    def _squares(self, error: Tensor) -> Tensor:
        """Mean square of each row; cells count by their areas."""
        return self.network.scaling.weigh(error.square()).flatten(1).mean(1)


def paired(fresh: Tensor, change: Tensor) -> Tensor:
    """Noise in the order in which it is nearest to the changes, in total squares."""
    from scipy.optimize import linear_sum_assignment

    far = torch.cdist(change.flatten(1), fresh.flatten(1)).square()
    _, order = linear_sum_assignment(far.detach().cpu().numpy())
    return fresh[torch.from_numpy(order).to(fresh.device)]
