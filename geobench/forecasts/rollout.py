"""Forecasts: rows, rollouts, members, blocks.

A network's output for a row depends, in the last bits, on how many rows it is given at once and on
the row's place among them: matrix libraries choose other kernels. So a forecaster is always called
with a whole tile, `TILE` inits by members, in which an (init, member) has its fixed place. Places
nobody asked for are drawn all the same (beyond the last init, of the last one). Batches, order,
number of members and resuming then cannot change a member's bits, also if a forecaster of several
networks chooses one for each row: each always gets the same rows.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geobench.contracts.model import Forecaster
from geobench.contracts.noise import Noise
from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError
from geobench.training.evaluations import Evaluations

TILE = (16, 4)  # inits x members
Block = tuple[range, range]
"""Inits and members, each counted from 0 among those that are drawn."""


@dataclass
class Cost:
    """What a forecast has cost, counted while it ran.

    Members that only fill a tile are counted like the others, so figures per member are fair.
    """

    seconds: float = 0.0
    members: int = 0
    evaluations: Evaluations = field(default_factory=Evaluations, repr=False)

    def add(self, other: "Cost") -> None:
        """Count what another process has spent, too."""
        self.seconds += other.seconds
        self.members += other.members
        self.evaluations.rows += other.evaluations.rows

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


def blocks(inits: int, members: int, batch: tuple[int, int]) -> list[Block]:
    """Cut a forecast into blocks of `batch` inits x members; smaller ones at the ends."""
    return [
        (range(first, min(first + batch[0], inits)), range(least, min(least + batch[1], members)))
        for first in range(0, inits, batch[0])
        for least in range(0, members, batch[1])
    ]


def of_block(
    forecaster: Forecaster,
    histories: Tensor,
    block: Block,
    *,
    leads: int,
    seed: int,
    spec: StateSpec,
    cost: Cost,
    device: str = "cpu",
    stream: str = "forecast",
    chosen: range | None = None,
) -> Tensor:
    """Draw a block of a forecast: `(init, lead, member, channel, *grid)`.

    `chosen`: of these inits of `histories` alone, each with the members that it has among all; the
    block counts them from 0 on.
    """
    wanted = chosen if chosen is not None else range(len(histories))
    inits, numbers = block
    rows = [(wanted[init], member) for init in inits for member in numbers]
    with cost.evaluations.of(forecaster.network):
        states = members(
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
    return states.reshape(len(inits), len(numbers), *states.shape[1:]).transpose(1, 2)


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
