"""Networks from past states to the next: scaled, with or without noise, one or several."""

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from geobench import Batch, Noise, Optimisation, StateSpec, Training
from geobench_plugins.networks.conditioned import Conditioned
from geobench_plugins.networks.objectives import CRPS
from geobench_plugins.networks.residual import Scaling

if TYPE_CHECKING:
    from geobench_plugins.networks.backbones import Backbone
    from geobench_plugins.networks.conditioning import Conditioning
    from geobench_plugins.networks.objectives import Objective


class NextState(nn.Module):
    """Past states (row, frame, channel, *grid) in, normalised change (row, *grid, channel) out.

    `flag`: a further input is 0 at the first step after init time, at later ones 1 times a learned
    gain that starts at 0 (AIFS-CRPS). So later steps start as repetitions of the first, however
    little the weights behind the flag have learned. `flag` "random" leaves the gain out: the flag
    then enters by the random initial weights of its column.
    """

    def __init__(
        self,
        spec: StateSpec,
        frames: int,
        *,
        backbone: "Backbone | None",
        conditioning: "Conditioning",
        kept: float = 1.0,
        dropped: float | None = None,
        flag: Literal["none", "zero", "random"] = "none",
    ) -> None:
        super().__init__()
        channels = len(spec.variables)
        self.scaling = Scaling(spec, kept, dropped)
        self.flag = flag
        inputs = frames * channels + (flag != "none")
        self.inner = Conditioned(spec, backbone, conditioning, inputs=inputs, outputs=channels)
        if flag == "zero":
            self.gain = nn.Parameter(torch.zeros(()))

    def draw(self, noise: Noise) -> tuple[Tensor, ...]:
        """What one evaluation needs of noise, a row for each row."""
        return self.inner.draw(noise)

    def forward(self, past: Tensor, draws: tuple[Tensor, ...], *, later: bool | Tensor) -> Tensor:
        """(row, frame, channel, *grid) to (row, *grid, channel); `later` may differ by row."""
        inputs = self.scaling.inputs(past)
        if self.flag != "none":
            rows = torch.as_tensor(later, device=inputs.device).to(inputs.dtype)
            flag = rows.view(-1, *[1] * (inputs.ndim - 1)).expand(*inputs.shape[:-1], 1)
            inputs = torch.cat([inputs, flag * self.gain if self.flag == "zero" else flag], -1)
        change: Tensor = self.inner(inputs, draws)
        return change


class Networks(nn.Module):
    """Networks that were trained independently, as one module: its evaluations are counted."""

    def __init__(self, networks: list[NextState]) -> None:
        super().__init__()
        self.each = nn.ModuleList(networks)

    @property
    def scaling(self) -> Scaling:
        """That of the first; all have learnt the same."""
        return self._network(0).scaling

    def forward(self, past: Tensor, noise: Noise, which: int, *, later: bool) -> Tensor:
        """Draw the next state (row, channel, *grid) by one of the networks."""
        network = self._network(which)
        change = network(past, network.draw(noise), later=later)
        return network.scaling.apply_residual(past[:, -1], change.float())

    def _network(self, which: int) -> NextState:
        return self.each[which]  # type: ignore[return-value] # a ModuleList holds modules


class EnsembleLoss(nn.Module):
    """The loss of small ensembles over random windows of the train split.

    Members start from the same past states, and each goes on from its own: gradients go through the
    whole rollout, and what is scored at every step are states, not changes (FGN shifts the changes
    of members by what they were apart before, which is the same). In the first `alone` of the
    budget single members learn by mean absolute error. Half of the windows of one step are flagged
    as later steps, so that a flag learns from the start.
    """

    def __init__(
        self,
        network: NextState,
        training: Training,
        how: Optimisation,
        *,
        frames: int,
        members: int,
        objective: "Objective",
        alone: float = 0.0,
    ) -> None:
        super().__init__()
        training.check(frames, max(span.leads for span in how.spans))
        self.network = network
        self._training = training
        self._how = how
        self._frames = frames
        self._members = members
        self._objective = objective
        self._alone = alone

    def forward(self, batch: Batch) -> Tensor:
        """Mean over the steps of the rollout."""
        alone = batch.done < self._alone
        members = 1 if alone else self._members
        noise = batch.noise(self._how.rows // members)
        states = self._training.windows(noise, self._frames, batch.leads)
        past = states[:, : self._frames].repeat_interleave(members, 0)
        member_noise, scaling = noise.members(members), self.network.scaling
        losses = []
        for lead in range(batch.leads):
            before, after = states[:, self._frames - 1 + lead], states[:, self._frames + lead]
            draws = self.network.draw(member_noise.use(f"member/{lead}"))
            later = self._later(noise, batch, lead, members)
            change = self.network(past, draws, later=later).float()
            grouped = (-1, members, *change.shape[1:])
            ensemble = change.view(grouped)
            if lead:
                apart = scaling.apart(past[:, -1], before.repeat_interleave(members, 0))
                ensemble = ensemble + apart.view(grouped)
            target = scaling.residual(before, after)
            objective = CRPS() if alone else self._objective
            losses.append(objective.loss(ensemble, target, scaling.setting(before)))
            if lead + 1 < batch.leads:
                state = scaling.apply_residual(past[:, -1], change)
                past = torch.cat([past[:, 1:], state[:, None]], 1)
        return torch.stack(losses).mean()

    def _later(self, noise: Noise, batch: Batch, lead: int, members: int) -> bool | Tensor:
        """The flag: of the steps of a rollout, or of windows of one step, chosen at random."""
        if self.network.flag != "zero" or batch.leads > 1:
            return lead > 0
        chosen: Tensor = noise.use("later").uniform(1)[:, 0] < 0.5
        return chosen.repeat_interleave(members)
