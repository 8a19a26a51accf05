"""Forecasts: rows, rollouts, members, blocks.

A network's output for a row depends, in the last bits, on how many rows it is given at once and on
the row's place among them: matrix libraries choose other kernels. So a forecaster is always called
with a whole tile, `TILE` inits by members, in which an (init, member) has its fixed place. Places
nobody asked for are drawn all the same (beyond the last init, of the last one). Batches, order,
number of members and resuming then cannot change a member's bits, also if a forecaster of several
networks chooses one for each row: each always gets the same rows.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geobench.contracts.model import Forecaster, Progress, silent
from geobench.contracts.noise import Noise
from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError
from geobench.training.evaluations import Evaluations

TILE = (16, 4)  # inits x members


@dataclass
class Cost:
    """What a forecast has cost, counted while it ran.

    Members that only fill a tile are counted like the others, so figures per member are fair.
    """

    seconds: float = 0.0
    members: int = 0
    evaluations: Evaluations = field(default_factory=Evaluations, repr=False)

    def summary(self, leads: int) -> dict[str, float]:
        """Seconds per member (all leads), network evaluations per member and step."""
        return {
            "seconds_per_member": self.seconds / max(1, self.members),
            "evaluations_per_step": self.evaluations.rows / max(1, self.members * leads),
        }


def members(
    forecaster: Forecaster,
    histories: Tensor,
    rows: Sequence[tuple[int, int]],
    *,
    leads: int,
    seed: int,
    spec: StateSpec,
    cost: Cost | None = None,
    device: str = "cpu",
    stream: str = "forecast",
) -> Tensor:
    """Draw the trajectories `(row, lead, channel, *grid)` of `rows`, pairs (init, member).

    `histories` is `(init, frame, channel, *grid)`: the frames up to each init time and nothing
    later. The rows may be any subset in any order. `stream` names their noise.
    """
    cost = cost or Cost()
    histories = histories[:, -forecaster.history :]
    result = torch.empty(len(rows), leads, *spec.shape)
    tiles: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (init, member) in enumerate(rows):
        tiles[init // TILE[0], member // TILE[1]].append(index)
    for tile, indices in tiles.items():
        slots = torch.arange(TILE[0] * TILE[1])
        which = (tile[0] * TILE[0] + slots // TILE[1]).clamp_max(len(histories) - 1)
        numbers = tile[1] * TILE[1] + slots % TILE[1]
        noise = Noise(seed, stream, which, numbers).to(device)
        began = time.perf_counter()
        with torch.inference_mode():
            drawn = forecaster.trajectory(histories[which].to(device), noise, leads)
        cost.seconds += time.perf_counter() - began
        cost.members += len(slots)
        _check_shape(drawn, len(slots), leads, spec, forecaster)
        for index in indices:
            init, member = rows[index]
            result[index] = drawn[init % TILE[0] * TILE[1] + member % TILE[1]].cpu()
    return result


def forecast(
    forecaster: Forecaster,
    histories: Tensor,
    *,
    count: int,
    leads: int,
    seed: int,
    spec: StateSpec,
    batch: tuple[int, int],
    cost: Cost,
    device: str = "cpu",
    progress: Progress = silent,
    stream: str = "forecast",
    chosen: range | None = None,
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Draw `count` members of every init, `batch` inits x members at a time.

    Gives (inits, members, `(init, lead, member, channel, *grid)`): what is drawn is not kept, so
    memory does not grow with the forecast. `chosen`: of these inits alone, each with the members
    that it has among all; they are numbered from 0 on.
    """
    wanted = chosen if chosen is not None else range(len(histories))
    inits = len(wanted)
    with cost.evaluations.of(forecaster.network):
        pieces = itertools.product(range(0, inits, batch[0]), range(0, count, batch[1]))
        for first, least in pieces:
            block = range(first, min(first + batch[0], inits))
            numbers = range(least, min(least + batch[1], count))
            rows = [(wanted[init], member) for init in block for member in numbers]
            drawn = members(
                forecaster,
                histories,
                rows,
                leads=leads,
                seed=seed,
                spec=spec,
                cost=cost,
                device=device,
                stream=stream,
            )
            drawn = drawn.reshape(len(block), len(numbers), *drawn.shape[1:]).transpose(1, 2)
            yield slice(block.start, block.stop), slice(numbers.start, numbers.stop), drawn
            progress(block.start * count + len(block) * numbers.stop, inits * count, "")


def _check_shape(
    drawn: Tensor, rows: int, leads: int, spec: StateSpec, forecaster: Forecaster
) -> None:
    owner = f"the forecaster {type(forecaster).__name__}"
    if drawn.ndim < 2 or drawn.shape[1] != leads:
        raise GeobenchError(
            f"{owner} returned a trajectory of shape {tuple(drawn.shape)}; expected "
            f"{(rows, leads, *spec.shape)} (row, lead, channel, {', '.join(spec.grid_dims)})."
        )
    for lead in range(leads):
        spec.check(drawn[:, lead], rows, owner)
