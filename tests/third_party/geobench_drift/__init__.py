"""A plugin like anybody's: the last change goes on, with noise of its usual size."""

from pydantic import Field

from geobench import EnsembleModel, Forecaster, hookimpl


class Drift(EnsembleModel):
    """x_t + damping (x_t - x_{t-1}) + N(0, s²), s² the mean square of what that leaves."""

    name = "drift"

    damping: float = Field(0.3, description="share of the last change that goes on")

    def fit(self, training, run):
        x = training.train
        error = x[:, 2:] - x[:, 1:-1] - self.damping * (x[:, 1:-1] - x[:, :-2])
        return _Drift(self.damping, error.std())

    def restore(self, weights, task):
        return _Drift(self.damping, weights["size"])


class _Drift(Forecaster):
    history = 2

    def __init__(self, damping, size):
        self.damping, self.size = damping, size

    def weights(self):
        return {"size": self.size}

    def step(self, history, noise):
        before, now = history[:, 0], history[:, 1]
        return now + self.damping * (now - before) + self.size * noise.normal(*now.shape[1:])


@hookimpl
def geobench_models():
    return [Drift]
