"""A simulator on a plane with an island; its noise is made inside a compiled function."""

from datetime import timedelta

import numpy as np
import torch
from numba import njit
from pydantic import Field

from geobench import LANES, Dimension, Simulator, StateSpec, Variable, normal_lanes


class RedNoise(Simulator):
    """x' = memory x + sqrt(1 - memory²) N(0, 1), for two variables on latitudes and longitudes."""

    name = "earlier-red-noise"
    version = "2"
    memory: float = Field(0.8, ge=0, lt=1, description="correlation of one state with the next")

    @property
    def spec(self):
        return StateSpec(
            variables=(Variable(name="u", units="m s-1"), Variable(name="h", units="m")),
            dims=(
                Dimension(name="lat", size=4, spacing=20, start=-30, units="degrees_north"),
                Dimension(
                    name="lon",
                    size=6,
                    spacing=60,
                    units="degrees_east",
                    periodic=True,
                    homogeneous=True,
                ),
            ),
            land=(8, 9),
            areas="latitude",
        )

    @property
    def output_step(self):
        return timedelta(days=1)

    def initial(self, noise):
        return self._at_sea(noise.use("initial").normal(*self.spec.shape))

    def advance(self, state, steps, noise):
        rows = state.flatten(1).contiguous().numpy()
        out = np.empty_like(rows)
        memory = rows.dtype.type(self.memory)
        _advance(rows, out, memory, steps, *noise.words32())
        return self._at_sea(torch.from_numpy(out).view(state.shape))

    def diagnostics(self, state):
        return {**super().diagnostics(state), "energy": (state**2).sum(1) / 2}

    def _at_sea(self, state):
        return state * torch.from_numpy(self.spec.sea).to(state.dtype)


@njit(cache=True)
def _advance(state, out, memory, steps, init, member, lead, k0, k1):
    rows, cells = state.shape
    size = np.sqrt(1 - memory * memory)
    z = np.empty(cells * LANES, state.dtype)
    own_init, own_member = np.empty(LANES, np.uint32), np.empty(LANES, np.uint32)
    for block in range(0, rows, LANES):
        for lane in range(LANES):
            row = min(block + lane, rows - 1)
            own_init[lane], own_member[lane] = init[row], member[row]
            out[row] = state[row]
        for step in range(steps):
            when = np.uint32(lead + np.uint32(step))
            normal_lanes(z, 0, own_init, own_member, when, k0, k1)
            for lane in range(min(LANES, rows - block)):
                for cell in range(cells):
                    kick = size * z[cell * LANES + lane]
                    out[block + lane, cell] = memory * out[block + lane, cell] + kick
