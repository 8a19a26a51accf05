"""Fresh draws of the law of an experiment, in blocks that bound the memory."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from geobench.contracts.law import Law
from geobench.contracts.noise import Noise
from geobench.contracts.state import StateSpec

BLOCK_BYTES = 2**28


def draw(
    law: Law,
    given: Tensor,
    *,
    members: int,
    leads: Sequence[int],
    seed: int,
    stream: str = "draws",
    whole: bool = False,
) -> Iterator[Tensor]:
    """Draw `members` members at `leads` for each init: blocks `(init, member, lead, channel, …)`.

    `given` `(init, channel, *grid)` is what models are given at init time; its dtype is kept.
    `leads` rise, in output steps. A draw depends on (seed, stream, init, member) alone; blocks
    follow one another along the inits, and each holds at least one. Channels are the shown ones, or
    all of them (`whole`).
    """
    per_init = members * max(2, len(leads)) * given[0].numel() * given.element_size()
    size = max(1, BLOCK_BYTES // per_init)
    for first in range(0, len(given), size):
        inits = torch.arange(first, min(first + size, len(given)))
        noise = Noise(
            seed, stream, inits.repeat_interleave(members), torch.arange(members).repeat(len(inits))
        )
        state = law.start(given[inits].repeat_interleave(members, 0), noise)
        shown = []
        for lead in range(1, max(leads) + 1):
            state = law.simulator.advance(state, 1, noise.at(lead))
            if lead in leads:
                shown.append(state if whole else law.show(state))
        together = torch.stack(shown, 1)
        yield together.reshape(len(inits), members, *together.shape[1:])


def at_sea(states: Tensor, spec: StateSpec) -> Tensor:
    """Keep the cells that count: `(…, channel, *grid)` becomes `(…, channel, cell)`."""
    sea = torch.from_numpy(spec.sea).flatten()
    return states.flatten(-len(spec.dims))[..., sea]
