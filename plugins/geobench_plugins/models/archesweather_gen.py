"""ArchesWeatherGen: flow matching of what deterministic networks leave over."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from geobench import Forecaster, Optimisation, optimise
from geobench_plugins.models.archesweather import ArchesWeather
from geobench_plugins.models.generative import Denoising, Generative
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.sampling import Sampler

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geobench import Noise, Run, Task, Training
    from geobench_plugins.networks.denoiser import Denoiser
    from geobench_plugins.networks.denoising import DenoisingLoss

_AT_ONCE = 256  # states whose mean is forecast together


class ArchesWeatherGen(Generative):
    """Flow matching around the forecast of deterministic networks (Couairon et al., 2024).

    https://arxiv.org/abs/2412.12971. r = (x - mean) / sigma, x_t = (1 - t) r + t e. A network sees
    the past states, the mean and x_t and predicts r, with weight (1 - t)/t and logit-normal times;
    the time enters as shift, scale and gate that start at 0. Sampler: 25 steps of Euler, from noise
    1.05 times as large (`sampler: {noise_scale: 1}` takes the right one). The last `held_out` of
    every train trajectory is hidden from the mean: sigma, the standard deviation of its errors, is
    measured there, and there the flow is tuned at last, because errors are too small where the mean
    has learned. The budget is that of all networks together. Departs from the paper: one
    deterministic network, because four share the budget and each learns less
    (`archesweather-gen-four` has the paper's four); it predicts changes, averaged weights,
    backbones of a laptop's size.
    """

    name = "archesweather-gen"
    version = "2"

    conditioning: Conditioning = Field(
        Conditioning(noise="none", how="gated", init_std=0.0),
        description="how the time of the flow enters",
    )
    sampler: Sampler = Field(
        Sampler(method="euler", evaluations=25, spacing=1.0, noise_scale=1.05),
        description="how members are drawn",
    )
    seeds: int = Field(1, gt=0, description="deterministic networks; their mean is the middle")
    mean_share: float = Field(0.4, gt=0, lt=1, description="of the budget, for these networks")
    tuning_share: float = Field(
        0.1, ge=0, lt=1, description="of the budget, for the flow on what was held out"
    )
    tuning_rate: float = Field(1 / 3, gt=0, description="learning rate of that, over the other")
    held_out: float = Field(
        0.2, gt=0, lt=1, description="last share of every train trajectory that the mean is denied"
    )

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.mean_share + self.tuning_share >= 1:
            raise ValueError(
                f"mean_share + tuning_share = {self.mean_share + self.tuning_share:g}: nothing is "
                f"left of the budget for the flow; make it less than 1"
            )
        return self

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Train the mean, measure its errors where it has not learned, and learn their law."""
        from geobench_plugins.networks.linear import initialise

        first, held = training.split(1 - self.held_out, self.frames + 1)
        mean = self._mean.fit(first, run.part(0, 3))
        known, unknown = (_with_means(part, mean, self.frames) for part in (first, held))
        network = self._network(training.task.spec, self.frames + 1).to(run.device)
        network.scaling.learn(training)
        error = _errors(unknown, network, self.frames)
        run.log["held_out_error"] = [float((error / _errors(known, network, self.frames)).mean())]
        network.scaling.change.copy_(network.scaling.change * error)
        initialise(network, run.noise("weights", 1))
        forecaster = _AroundTheMean(mean, Denoising(network, self.frames + 1, self.sampler))
        shares = (1 - self.mean_share - self.tuning_share, self.tuning_share)
        for index, (part, share) in enumerate(zip((known, unknown), shares, strict=True), 1):
            if share:
                how = self._how(share, self.tuning_rate if part is unknown else 1.0)
                loss = self._loss(network, _drawing(part, self.frames), how)
                optimise(loss, how, run.part(index, 3), forecaster)
        return forecaster

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the networks and load their weights."""
        parts: tuple[dict[str, Tensor], ...] = ({}, {})
        for key, value in weights.items():
            number, _, name = key.partition(".")
            parts[int(number)][name] = value
        network = self._network(task.spec, self.frames + 1)
        network.load_state_dict(parts[1])
        mean = self._mean.restore(parts[0], task)
        return _AroundTheMean(mean, Denoising(network, self.frames + 1, self.sampler))

    @property
    def _mean(self) -> ArchesWeather:
        return ArchesWeather(
            frames=self.frames,
            backbone=self.backbone,
            seeds=self.seeds,
            training=self._how(self.mean_share),
        )

    def _prediction(self) -> Literal["sample"]:
        return "sample"

    def _loss(
        self,
        network: "Denoiser",
        draw: "Callable[[Noise], tuple[Tensor, Tensor]]",
        how: Optimisation,
    ) -> "DenoisingLoss":
        from geobench_plugins.networks.denoising import DenoisingLoss

        def times(noise: "Noise") -> "Tensor":
            return noise.normal(1)[:, 0].sigmoid()

        return DenoisingLoss(network, how, draw=draw, times=times, weight="balanced")


class ArchesWeatherGenFour(ArchesWeatherGen):
    """ArchesWeatherGen with the mean of four deterministic networks, as in the paper."""

    name = "archesweather-gen-four"
    version = "1"

    seeds: int = Field(4, gt=0, description="deterministic networks; their mean is the middle")


def _with_means(training: "Training", mean: Forecaster, frames: int) -> "Training":
    """Further channels: what the mean says of each state, given those before (first ones: 0)."""
    from dataclasses import replace

    import torch

    from geobench import Noise

    trajectories, times, channels, *grid = training.train.shape
    both = training.room.empty(trajectories, times, 2 * channels, *grid)
    both = both.to(training.train.device)
    for states, out in zip(training.train, both, strict=True):
        out[:, :channels], out[:, channels:] = states, 0
        past = states.unfold(0, frames, 1)[:-1].movedim(-1, 1)  # (time, frame, channel, *grid)
        places = torch.arange(len(past), device=past.device)
        for chunk in torch.split(places, _AT_ONCE):
            noise = Noise.rows(0, "mean", len(chunk)).to(past.device).at(1)
            with torch.no_grad():
                out[chunk + frames, channels:] = mean.step(past[chunk], noise)
        training.room.used(1, states.nbytes + out.nbytes)
    return replace(training, train=both)


def _errors(training: "Training", network: "Denoiser", frames: int) -> "Tensor":
    """Standard deviation of the mean's errors, in those of a step's change: `(channel,)`."""
    import torch

    total, count = torch.zeros(1, dtype=torch.float64, device=training.train.device), 0
    for trajectory in training.train[:, frames:]:
        outcome, mean = trajectory.chunk(2, 1)
        training.room.used(1, trajectory.nbytes)
        error = network.scaling.residual(mean, outcome).double()
        total = total + network.scaling.weigh(error.square()).flatten(0, -2).sum(0)
        count += len(error)
    cells = network.scaling.weigh(network.scaling.moving.double()).flatten(0, -2).sum(0)
    return (total / (count * cells)).sqrt().float()


def _drawing(training: "Training", frames: int) -> "Callable[[Noise], tuple[Tensor, Tensor]]":
    """Draw past states with the mean of the next, and the next."""
    import torch

    def draw(noise: "Noise") -> "tuple[Tensor, Tensor]":
        states, means = training.windows(noise, frames).chunk(2, 2)
        return torch.cat([states[:, :-1], means[:, -1:]], 1), states[:, -1]

    return draw


class _AroundTheMean(Forecaster):
    """The mean, and a draw of what remains."""

    def __init__(self, mean: Forecaster, rest: Denoising) -> None:
        import torch

        self.history = mean.history
        self._mean, self._rest = mean, rest
        assert mean.network is not None  # noqa: S101 # it is one of networks
        self._networks = torch.nn.ModuleList([mean.network, rest.network])

    @property
    def network(self) -> "nn.ModuleList":
        return self._networks

    def weights(self) -> "Mapping[str, Tensor]":
        return self._networks.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        import torch

        mean = self._mean.step(history, noise)
        return self._rest.step(torch.cat([history, mean[:, None]], 1), noise)
