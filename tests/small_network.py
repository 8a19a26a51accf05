"""A plugin file with the smallest network that learns: what tests of the training train."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from geobench import (
    Batch,
    EnsembleModel,
    Forecaster,
    Noise,
    Optimisation,
    Run,
    Task,
    Training,
    hookimpl,
    optimise,
)


class Network(nn.Module):
    """x + a conv(x) + b z, with z ~ N(0, 1) at every site: `(row, channel, x)`."""

    def __init__(self, channels: int, noise: Noise) -> None:
        super().__init__()
        self.conv = nn.utils.skip_init(nn.Conv1d, channels, channels, 3, padding=1)
        self.spread = nn.Parameter(torch.full((channels, 1), 0.1))
        with torch.no_grad():
            self.conv.weight.copy_(0.1 * noise.normal(*self.conv.weight.shape)[0])
            self.conv.bias.zero_()

    def forward(self, state: Tensor, z: Tensor) -> Tensor:
        return state + self.conv(state) + self.spread * z


class SmallLoss(nn.Module):
    """The fair CRPS of two members, over the steps of the rollout."""

    def __init__(self, network: Network, training: Training, rows: int) -> None:
        super().__init__()
        self.network = network
        self._training, self._rows = training, rows

    def forward(self, batch: Batch) -> Tensor:
        noise = batch.noise(self._rows // 2)
        states = self._training.windows(noise, 1, batch.leads)
        members, losses = states[:, 0].repeat_interleave(2, 0), []
        for lead in range(1, batch.leads + 1):
            z = noise.members(2).use(f"z{lead}").normal(*members.shape[1:])
            members = self.network(members, z)
            one, two = members[::2], members[1::2]
            far = (one - states[:, lead]).abs() + (two - states[:, lead]).abs()
            losses.append((far - (one - two).abs()).mean() / 2)
        return torch.stack(losses).mean()


class SmallForecaster(Forecaster):
    history = 1

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def network(self) -> Network:
        return self._network

    def weights(self) -> Mapping[str, Tensor]:
        return self._network.state_dict()

    def step(self, history: Tensor, noise: Noise) -> Tensor:
        return self._network(history[:, -1], noise.normal(*history.shape[2:]))


class SmallNetwork(EnsembleModel):
    """One convolution."""

    name = "small-network"

    networks: int = 1
    training: Optimisation = Optimisation(passes=3200, rows=32, learning_rate=0.02, warm_up=5)

    def fit(self, training: Training, run: Run) -> Forecaster:
        fitted = []
        for index in range(self.networks):
            part = run.part(index, self.networks)
            network = Network(training.train.shape[2], part.noise("weights", 1)).to(run.device)
            loss = SmallLoss(network, training, self.training.rows)
            optimise(loss, self.training, part, SmallForecaster(network))
            fitted.append(network)
        return SmallForecaster(fitted[-1])

    def restore(self, weights: Mapping[str, Tensor], task: Task) -> Forecaster:
        network = Network(len(task.spec.variables), Noise.rows(0, "unused", 1))
        network.load_state_dict(dict(weights))
        return SmallForecaster(network)


@hookimpl
def geobench_models() -> list[type[EnsembleModel]]:
    return [SmallNetwork]
