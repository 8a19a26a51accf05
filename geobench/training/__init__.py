"""The optimiser loop: one budget unit, one schedule and one averaging rule for all networks."""

from typing import TYPE_CHECKING

from geobench.training.optimisation import Optimisation, Stage

if TYPE_CHECKING:
    from torch import nn

    from geobench.contracts.model import Forecaster, Run

__all__ = ["Optimisation", "Stage", "optimise"]


def optimise(
    loss: "nn.Module",
    how: Optimisation,
    run: "Run",
    forecaster: "Forecaster | None" = None,
    *,
    spread_from: float = 0.5,
) -> None:
    """Minimise `loss` over its parameters, in place.

    `loss` is a module that holds the network; its `forward(batch)` draws `how.rows` rows from the
    noise of the `Batch` and gives the mean loss of a rollout of `batch.leads` steps. What is left
    in it is the moving average of the weights. `forecaster` shares the network of `loss`: it draws
    the members that are scored on the way; from the share `spread_from` of the budget on they must
    differ, unless it is deterministic. `run.log` receives what was measured.
    """
    from geobench.training.loop import Loop

    Loop(loss, how, run, forecaster, spread_from).go()
