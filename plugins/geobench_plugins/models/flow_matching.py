"""The generative model: flow matching of the next state, given the past ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from geobench import EnsembleModel, Forecaster, Optimisation, optimise

if TYPE_CHECKING:
    from torch import Tensor

    from geobench import Noise, Run, StateSpec, Task, Training
    from geobench_plugins.networks.velocity import Velocity


class FlowMatching(EnsembleModel):
    """Conditional flow matching with independent coupling (Lipman et al., 2023).

    Between the normalised residual r (s = 0) and noise e ~ N(0, I) (s = 1), r_s = (1 - s) r + s e;
    the network learns the velocity e - r from r_s, s and the past states. A member starts from
    noise and follows the velocity to s = 0 in `steps` midpoint steps of two evaluations each, ever
    shorter towards s = 0: at s = (k / `steps`)². A narrow one-step law (standard deviation c of
    the residual) is decided where s is about c, which uniform flow times see more often than
    logit-normal ones (Esser et al., 2024): docs/decisions/0005.
    """

    name = "flow-matching"

    frames: int = Field(2, gt=0, description="past frames it sees")
    width: int = Field(64, gt=0, description="channels")
    blocks: int = Field(5, gt=0, description="residual blocks")
    norm_std: float = Field(
        0.02, ge=0, description="std of the initial weights from flow time to norms"
    )
    flow_time: Literal["uniform", "logit-normal"] = Field(
        "uniform", description="law of the flow time s in training"
    )
    steps: int = Field(8, gt=0, description="midpoint steps of the sampler")
    training: Optimisation = Optimisation()

    def fit(self, training: "Training", run: "Run") -> Forecaster:
        """Minimise the squared error of the velocity over random windows of the train split."""
        from geobench_plugins.networks.ring import initialise

        network = self._network(training.task.spec)
        network.scaling.learn(training)
        initialise(network, run.noise("weights", 1))
        network.to(run.device)
        rows = self.training.rows

        def loss(step: int) -> "Tensor":
            noise = run.noise("batch", rows, step=step)
            frames = training.windows(noise, self.frames + 1)
            target = network.scaling.residual(frames[:, -2], frames[:, -1])
            start = noise.use("start of flow").normal(*target.shape[1:])
            s = self._flow_times(noise.use("flow time"))
            noisy = target.lerp(start, s[:, None, None])
            velocity = network(network.scaling.sites(frames[:, :-1]), noisy, s)
            error: Tensor = velocity - (start - target)
            return error.square().mean()

        optimise(network, loss, self.training, run)
        return _FlowMatching(network, self.frames, self.steps)

    def restore(self, weights: "Mapping[str, Tensor]", task: "Task") -> Forecaster:
        """Rebuild the network and load its weights."""
        network = self._network(task.spec)
        network.load_state_dict(dict(weights))
        return _FlowMatching(network, self.frames, self.steps)

    def _flow_times(self, noise: "Noise") -> "Tensor":
        if self.flow_time == "uniform":
            return noise.uniform(1)[:, 0]
        return noise.normal(1)[:, 0].sigmoid()

    def _network(self, spec: "StateSpec") -> "Velocity":
        from geobench_plugins.networks.velocity import Velocity

        return Velocity(
            spec,
            frames=self.frames,
            width=self.width,
            blocks=self.blocks,
            norm_std=self.norm_std,
        )


class _FlowMatching(Forecaster):
    def __init__(self, network: "Velocity", frames: int, steps: int) -> None:
        self.history = frames
        self._network = network.eval()
        self._steps = steps

    @property
    def network(self) -> "Velocity":
        return self._network

    def weights(self) -> "Mapping[str, Tensor]":
        return self._network.state_dict()

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        channels, sites = history.shape[2:]
        past = self._network.scaling.sites(history)
        residual = noise.use("start of flow").normal(sites, channels)
        for index in range(self._steps, 0, -1):
            s, after = (index / self._steps) ** 2, ((index - 1) / self._steps) ** 2
            middle = (s + after) / 2
            half = residual + (middle - s) * self._velocity(past, residual, s)
            residual = residual + (after - s) * self._velocity(past, half, middle)
        return self._network.scaling.apply_residual(history[:, -1], residual)

    def _velocity(self, past: "Tensor", residual: "Tensor", s: float) -> "Tensor":
        velocity: Tensor = self._network(past, residual, residual.new_full((len(residual),), s))
        return velocity
