"""What every ensemble model must do."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from geobench.contracts.law import Law
from geobench.contracts.model import EnsembleModel, Forecaster, Run, Task, Training
from geobench.contracts.noise import Noise
from geobench.contracts.simulator import Simulator
from geobench.forecasts.rollout import members
from geobench.testing.decay import Decay
from geobench.training import numerics
from geobench.twin.simulating import trajectories


class ModelConformance(ABC):
    """What every ensemble model must do."""

    _last: ClassVar[tuple[object, tuple[Forecaster, Training]] | None] = None

    @abstractmethod
    def model(self) -> EnsembleModel:
        """Return the model under test, with a budget small enough for a test."""

    def simulator(self) -> Simulator:
        """Return the system to learn; override it if the model needs another grid."""
        return Decay()

    def _training(self) -> Training:
        simulator, model = self.simulator(), self.model()
        law = Law(simulator) if model.knows_law else None
        task = Task(simulator.spec, simulator.output_step, law=law)
        train, validation = (
            trajectories(simulator, Noise.rows(seed, "data", rows), spin_up=20, steps=30)
            for seed, rows in ((0, 16), (1, 4))
        )
        return Training(task, train, validation)

    def _fitted(self) -> tuple[Forecaster, Training]:
        """Fit, unless the last fit was of the same model, which tests only look at."""
        key = type(self), self.model().recipe(), self.simulator().recipe()
        if ModelConformance._last is None or ModelConformance._last[0] != key:
            ModelConformance._last = key, self._fit()
        return ModelConformance._last[1]

    def _fit(self) -> tuple[Forecaster, Training]:
        training = self._training()
        with numerics.seeded(3):  # as in a study
            return self.model().fit(training, Run(seed=3)), training

    def _members(
        self, forecaster: Forecaster, training: Training, rows: list[tuple[int, int]]
    ) -> Tensor:
        count = max(init for init, _ in rows) + 1
        given = training.validation[:1, : forecaster.history]
        histories = given + 0.1 * torch.arange(count).view(-1, 1, *[1] * (given.ndim - 2))
        return members(forecaster, histories, rows, leads=2, seed=5, spec=training.task.spec)

    def test_fitting_twice_gives_the_same_weights(self) -> None:
        first, second = (fit()[0].weights() for fit in (self._fitted, self._fit))
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert torch.equal(value, second[key]), f"weight {key} differs between two fits"

    def test_a_restored_forecaster_forecasts_the_same(self) -> None:
        fitted, training = self._fitted()
        with numerics.seeded(0):
            restored = self.model().restore(fitted.weights(), training.task)
        rows = [(0, 0), (1, 2)]
        assert torch.equal(
            self._members(fitted, training, rows), self._members(restored, training, rows)
        )

    def test_members_are_equal_only_if_the_model_says_so(self) -> None:
        fitted, training = self._fitted()
        one, other = self._members(fitted, training, [(0, 0), (0, 1)])
        assert torch.equal(one, other) or not self.model().deterministic, (
            "the model says that its members are equal, and they are not"
        )
        assert fitted.deterministic == self.model().deterministic, (
            "the model and its forecaster differ in whether members are equal"
        )

    def test_members_do_not_depend_on_batch_order_or_number(self) -> None:
        """Of two tiles of `geobench.forecasts.rollout`: other inits and other members in each."""
        fitted, training = self._fitted()
        everything = [(init, member) for init in range(4) for member in range(3)]
        everything += [(init, member) for init in (16, 17) for member in range(4, 7)]
        whole = self._members(fitted, training, everything)
        assert bool(whole.isfinite().all())
        for rows in (everything[15:4:-3], everything[:1], everything[-2:]):
            places = [everything.index(row) for row in rows]
            assert torch.equal(self._members(fitted, training, rows), whole[places])
