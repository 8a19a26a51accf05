"""A network that is trained by geobench, and a model that is told the law."""

import torch
from pydantic import Field, FilePath
from torch import nn

from geobench import (
    Batch,
    EnsembleModel,
    Fields,
    Forecaster,
    GeobenchError,
    Law,
    Noise,
    Optimisation,
    Run,
    Stage,
    Task,
    Training,
    optimise,
)


class Sampler(Fields):
    """How members are drawn."""

    evaluations: int = Field(4, gt=0, description="of the network, for a member and step")
    spread: float = Field(1.0, gt=0, description="times the size of the noise")


class Regression(EnsembleModel):
    """A linear regression of the next state on this one, with noise of the size of what is left."""

    name = "earlier-regression"

    training: Optimisation = Optimisation(
        passes=512,
        rows=16,
        learning_rate=0.01,
        stages=(Stage(leads=1, share=0.5), Stage(leads=2, share=0.5, rate=0.5)),
        validations=2,
    )
    sampler: Sampler = Sampler()

    def check(self, task: Task):
        if not task.spec.variables:
            raise GeobenchError("earlier-regression: there is nothing to forecast")

    def trained(self):
        return Regression(training=self.training)

    def with_evaluations(self, count: int):
        sampler = {**self.sampler.model_dump(), "evaluations": count}
        return Regression(training=self.training, sampler=sampler)

    def fit(self, training: Training, run: Run):
        mean, variance = training.moments()
        count = sum(len(block) for block in training.blocks())
        if not count or mean.shape != training.task.spec.shape:
            raise GeobenchError("earlier-regression: the train split is not what was promised")
        cells = mean.numel()
        network = nn.Linear(cells, cells)  # drawn from the global generator, which is seeded
        with torch.no_grad():
            noise = run.noise("weights", 1).normal(cells)[0]
            network.bias.copy_(0.01 * noise)
        size = variance.mean().sqrt().float()
        forecaster = _Regressed(network.to(run.device), size, self.sampler)
        part = run.part(0, 1)
        optimise(_Loss(network, training, self.training), self.training, part, forecaster)
        return forecaster

    def restore(self, weights, task: Task):
        cells = len(weights["bias"])
        network = nn.Linear(cells, cells)
        network.load_state_dict({key: weights[key] for key in ("weight", "bias")})
        return _Regressed(network, weights["size"], self.sampler)


class _Loss(nn.Module):
    def __init__(self, network, training, how):
        super().__init__()
        self.network, self.data, self.how = network, training, how

    def forward(self, batch: Batch):
        if not 0 <= batch.done < 1:
            raise GeobenchError("the share of the budget lies between 0 and 1")
        noise = batch.noise(self.how.rows)
        states = self.data.windows(noise, frames=1, leads=batch.leads).flatten(2)
        now, loss = states[:, 0], 0.0
        for lead in range(1, batch.leads + 1):
            now = now + self.network(now)
            loss = loss + (now - states[:, lead]).square().mean()
        return loss / batch.leads


class _Regressed(Forecaster):
    history = 1

    def __init__(self, network, size, sampler):
        self._network, self.size, self.sampler = network, size, sampler

    @property
    def network(self):
        return self._network

    def weights(self):
        state = self._network.state_dict()
        return {**{key: value.detach() for key, value in state.items()}, "size": self.size}

    def step(self, history, noise: Noise):
        now = history[:, -1]
        count = self.sampler.evaluations
        change = sum(self._network(now.flatten(1)) for _ in range(count)) / count
        kick = noise.use("sampler").normal(*now.shape[1:])
        drawn = now + change.view_as(now) + self.sampler.spread * self.size * kick
        return drawn * (now != 0)


class Truth(EnsembleModel):
    """The law itself, which reads a file on the way."""

    name = "earlier-truth"
    knows_law = True
    note: FilePath

    def fit(self, training, run):
        return self.restore({}, training.task)

    def restore(self, weights, task):
        if not self.note.read_text():
            raise GeobenchError("the note is empty")
        return _Simulation(task.law)


class _Simulation(Forecaster):
    def __init__(self, law: Law):
        self.law = law

    def weights(self):
        return {}

    def step(self, history, noise):
        start = self.law.start(history[:, -1], noise)
        return self.law.show(self.law.simulator.advance(start, 1, noise))

    def trajectory(self, history, noise, leads):
        state, states = self.law.start(history[:, -1], noise), []
        for lead in range(1, leads + 1):
            state = self.law.simulator.advance(state, 1, noise.at(lead))
            states.append(self.law.show(state))
        return torch.stack(states, 1)
