"""Scores of a few members while a network trains, and of the two ends they lie between.

The score is the fair CRPS of one step, divided by the climate's standard deviation of the channel
and averaged over windows, channels and sea cells. For members that are all equal it is the mean
absolute error.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from geobench.contracts.law import Law
from geobench.contracts.model import Forecaster, Run, Training
from geobench.contracts.noise import Noise
from geobench.contracts.state import by_area
from geobench.contracts.validation import Validation
from geobench.statistics.distances import pair_sum
from geobench.training.optimisation import Optimisation

MEMBERS = 4
_ORACLE_MEMBERS = 8
_CLIMATE_MEMBERS = 256
_ROWS = 64  # forecast at once


class Figures(NamedTuple):
    """Normalised: fair CRPS, spread of members, root mean square error of their mean."""

    crps: float
    spread: float
    error: float


def figures(members: Tensor, outcome: Tensor, validation: Validation) -> Figures:
    """Score `members` `(window, member, channel, *grid)` against `(window, channel, *grid)`."""
    drawn = _normalised(members, validation)  # (window, member, channel, cell)
    seen = _normalised(outcome, validation)
    variance = by_area(drawn.var(1), validation.areas).mean()
    error = by_area((drawn.mean(1) - seen).square(), validation.areas).mean()
    crps = _far(drawn, seen, validation) - _apart(drawn, validation)
    return Figures(crps, float(variance.sqrt()), float(error.sqrt()))


def _normalised(states: Tensor, validation: Validation) -> Tensor:
    return states[..., validation.sea].double() / validation.scale[:, None]


def _far(drawn: Tensor, seen: Tensor, validation: Validation) -> float:
    """E|x - y|, the first term of the fair CRPS."""
    return float(by_area((drawn - seen[:, None]).abs(), validation.areas).mean())


def _apart(drawn: Tensor, validation: Validation) -> float:
    """1/2 E|x - x'| over pairs of two members, the second term."""
    count = drawn.shape[1]
    total = by_area(pair_sum(drawn, 1), validation.areas).mean()
    return float(total) / (count * (count - 1))


def score(forecaster: Forecaster, validation: Validation, run: Run, windows: int) -> Figures:
    """Score `MEMBERS` members of the first `windows` windows, always with the same noise."""
    past = validation.windows[:windows, :-1][:, -forecaster.history :]
    rows = run.noise("validation", windows).members(MEMBERS).at(1)
    given = past.repeat_interleave(MEMBERS, 0)
    indices = torch.arange(len(given), device=given.device)
    # Not inference_mode: what a network makes once and keeps must serve gradients as well.
    with torch.no_grad():
        drawn = torch.cat(
            [
                forecaster.step(given[chunk], rows.select(chunk))
                for chunk in torch.split(indices, _ROWS)
            ]
        )
    outcome = validation.windows[:windows, -1]
    members = drawn.float().view(windows, MEMBERS, *drawn.shape[1:])
    return figures(members, outcome, validation)


def with_ends(validation: Validation, training: Training, law: Law) -> Validation:
    """Add the scores of the climate and of the law: fresh draws of both, on the same windows."""
    return replace(
        validation,
        climatology=_climatology(validation, training),
        oracle=_oracle(validation, law),
    )


def _climatology(validation: Validation, training: Training) -> float:
    trajectories, times = training.train.shape[:2]
    noise = Noise.rows(0, "climatology", _CLIMATE_MEMBERS).to(training.train.device)
    which = noise.use("trajectory").integers(trajectories)
    states = training.states(which, noise.use("time").integers(times))
    drawn = _normalised(states[None], validation)  # the same for all windows
    outcomes = _normalised(validation.windows[:, -1], validation)
    far = [_far(drawn, outcome[None], validation) for outcome in outcomes]
    return sum(far) / len(far) - _apart(drawn, validation)


def _oracle(validation: Validation, law: Law) -> float:
    windows = validation.windows.cpu()
    noise = Noise.rows(0, "oracle", len(windows)).members(_ORACLE_MEMBERS)
    start = law.start(windows[:, -2].repeat_interleave(_ORACLE_MEMBERS, 0), noise)
    after = law.show(law.simulator.advance(start, 1, noise.at(1))).to(validation.windows)
    drawn = after.reshape(len(windows), _ORACLE_MEMBERS, *after.shape[1:])
    return figures(drawn, validation.windows[:, -1], validation).crps


def plan(how: Optimisation, evaluations: float, most: int) -> tuple[int, int]:
    """How often to score, and on how many windows, at about 1 % of what training costs.

    A row of a validation costs `evaluations` forward passes, each a third of a sample-pass. Where
    one costs many, fewer windows (down to 16) are scored, then less often (down to 4 times): it may
    then cost more.
    """
    affordable = 0.05 * how.passes / (MEMBERS * max(1.0, evaluations))
    times = how.validations
    windows = min(most, max(16, min(64, int(affordable / (times + 1)))))
    return max(min(times, 4), min(times, int(affordable / windows) - 1)), windows
