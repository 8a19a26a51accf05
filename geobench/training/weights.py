"""What changes while a network trains: weights, their moving average, the moments of AdamW."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from geobench.training.optimisation import Optimisation


class Weights:
    """Weights of a loss, in place, with the state of their optimiser."""

    def __init__(self, loss: nn.Module, how: Optimisation) -> None:
        self._loss = loss
        self._how = how
        self.parameters = [p for p in loss.parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for p in self.parameters if p.ndim > 1],
                "weight_decay": how.weight_decay,
            },
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=how.learning_rate, betas=(0.9, 0.95))
        self._average = [p.detach().clone() for p in self.parameters] if how.averaging else []

    def set_rate(self, rate: float) -> None:
        """Set the learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def average(self, step: int) -> None:
        """Take the weights after `step` (from 0) into the average."""
        if not self._average:
            return
        # Early weights are forgotten sooner, or a short run would keep its initial state.
        decay = min(self._how.averaging, (1 + step) / (10 + step))
        mix = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # torch leaves it so
        mix(self._average, self.parameters, step)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the average in place of the weights while it lasts."""
        kept = [p.detach().clone() for p in self.parameters] if self._average else []
        self.keep_average()
        try:
            yield
        finally:
            if kept:
                self._set(kept)

    def keep_average(self) -> None:
        """Put the average in place of the weights, for good."""
        if self._average:
            self._set(self._average)

    def _set(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def finite(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(p.isfinite().all()) for p in self.parameters)

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it, by name."""
        named = {f"weights/{key}": value for key, value in self._loss.state_dict().items()}
        for index, value in enumerate(self._average):
            named[f"average/{index}"] = value
        for index, state in self.optimiser.state_dict()["state"].items():
            for key, value in state.items():
                named[f"adam/{index}/{key}"] = value
        return named

    def expected(self, step: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes that `load` needs after `step` steps, by name."""
        named = {f"weights/{key}": value for key, value in self._loss.state_dict().items()}
        named |= {f"average/{index}": value for index, value in enumerate(self._average)}
        shapes = {key: tuple(value.shape) for key, value in named.items()}
        trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        for index, parameter in enumerate(trained if step else []):
            shape = tuple(parameter.shape)
            adam = {"step": (), "exp_avg": shape, "exp_avg_sq": shape}
            shapes |= {f"adam/{index}/{key}": value for key, value in adam.items()}
        return shapes

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned."""
        weights = {
            k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights")
        }
        self._loss.load_state_dict(weights)
        with torch.no_grad():
            for index, value in enumerate(self._average):
                value.copy_(tensors[f"average/{index}"])
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("adam/"):
                _, number, name = key.split("/")
                state.setdefault(int(number), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
