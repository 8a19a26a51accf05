"""Flow maps: a flow followed in a few long steps, learned from a network that takes many."""

import itertools
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from geobench import Batch, Noise, Optimisation
from geobench_plugins.networks.denoiser import Denoiser
from geobench_plugins.networks.samplers import Path, along
from geobench_plugins.networks.sampling import Sampler

TEACHER = Sampler(method="midpoint", evaluations=16)
PER_PATH = 4  # rows that share a path
COST = 1 + TEACHER.evaluations / 3 / PER_PATH  # of a row, sample-passes; forward is a third of one
_HALVINGS = 3  # maps of 8, 4, 2 and 1 steps


class FlowMap(Denoiser):
    """u(x, t, s): the velocity of a flow averaged over its way from the time t down to s.

    `span` is t - s; at 0 the average is the velocity itself.
    """

    times = 2

    def forward(self, given: Tensor, x: Tensor, t: Tensor, span: Tensor | None = None) -> Tensor:
        """u, shaped as x `(row, *grid, channel)`; t and span `(row,)`; without a span: of 0."""
        return self._inner(given, x, t, torch.zeros_like(t) if span is None else span)

    def draw(self, given: Tensor, start: Tensor, sampler: Sampler, noise: Noise) -> Tensor:
        """Step by step: x_s = x_t - (t - s) u, one evaluation each."""
        x = sampler.noise_scale * start
        for t, after in itertools.pairwise(sampler.times()):
            times = x.new_full((len(x),), t)
            x = x - (t - after) * self(given, x, times, times - after)
        return x


class Distillation(nn.Module):
    """Mean square error of average velocities along the paths of the network as it came.

    Paths start from fresh noise and are those of the TEACHER's sampler; `PER_PATH` rows share one.
    A row is a step of a map of 1, 2, 4 or 8 steps, each as likely.
    """

    def __init__(
        self, network: FlowMap, how: Optimisation, *, draw: Callable[[Noise], tuple[Tensor, Tensor]]
    ) -> None:
        super().__init__()
        self.network = network
        teacher = deepcopy(network).eval().requires_grad_(False)
        self._denoise = teacher.denoise  # a method, so that the teacher is not trained
        self._rows, self._draw = how.rows, draw

    def forward(self, batch: Batch) -> Tensor:
        """Of one batch."""
        noise = batch.noise(self._rows)
        # By the row of the whole batch, whatever share of it this process has.
        first, path = torch.unique(noise.init // PER_PATH * PER_PATH, return_inverse=True)
        paths = replace(noise, init=first, member=torch.zeros_like(first))
        given, _ = self._draw(paths)
        inputs = self.network.scaling.inputs(given)
        start = paths.use("start of flow").normal(*given.shape[3:], given.shape[2])
        states = self.path(inputs, start, paths)
        steps = 2 ** noise.use("steps").integers(_HALVINGS + 1, 1)[:, 0]
        step = (noise.use("place").uniform(1)[:, 0] * steps).long()
        return self.at(inputs, states, path, steps, step).mean()

    @torch.no_grad()
    def path(self, inputs: Tensor, start: Tensor, noise: Noise) -> Tensor:
        """States of the teacher's way from `start` to its draw: `(time, row, *grid, channel)`."""

        def denoise(x: Tensor, t: float) -> Tensor:
            return self._denoise(inputs, x, t)

        return torch.stack([start, *along(denoise, start, TEACHER, Path(True), noise)])

    def at(
        self, inputs: Tensor, states: Tensor, row: Tensor, steps: Tensor, step: Tensor
    ) -> Tensor:
        """Loss of rows, each of a path: step number `step` of a map of `steps` steps."""
        finest = len(states) - 1
        first, last = step * finest // steps, (step + 1) * finest // steps
        times = torch.tensor(TEACHER.times(), device=states.device)
        t, span = times[first], times[first] - times[last]
        x, after = states[first, row], states[last, row]
        output: Tensor = self.network(inputs[row], x, t, span).float()
        target = (x - after) / span.view(-1, *[1] * (x.ndim - 1))
        squares = self.network.scaling.weigh((output - target).square())
        return squares.flatten(1).mean(1)
