"""The wind-driven double gyre of a stochastic shallow-water basin."""

import math
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from geobench import Dimension, Fields, Simulator, StateSpec, Variable
from geobench_plugins.simulators.backends import Backend, compiled

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from geobench import Noise
    from geobench_plugins.kernels.shallow_water_torch import Basin

DAY = 86400.0
EARTH_GRAVITY = 9.81  # m s-2: turns a displacement of the layer into one of the sea surface
WAVE_LIMIT = math.sqrt(3 / 8)  # cells: what Runge-Kutta 3 bears of 2-D waves, 2 sqrt(2) c dt/dx
DAMPING_LIMIT = 1.0  # of 2.5 on the real axis: waves and damping add up
CURRENT = 0.5  # m/s; where waves are fastest, at two cells' length, centred currents hardly count
BLOCK = 128  # rows whose stress is held at once
LARGE, EDDY = (1, 4), (8, 12)  # half-waves across the basin, in each direction, of the noise


class Mount(Fields):
    """A Gaussian rise of the bottom; of negative height a trench, long in one direction a ridge.

    height exp(-(x - x0)²/(2 sx²) - (y - y0)²/(2 sy²)), lengths as shares of the basin's side.
    """

    height: float = Field(description="m, above the flat bottom")
    x: float = Field(0.5, ge=0, le=1, description="centre, share of the side from the west wall")
    y: float = Field(0.5, ge=0, le=1, description="centre, share of the side from the south wall")
    width_x: float = Field(0.1, gt=0, description="standard deviation in x, share of the side")
    width_y: float = Field(0.1, gt=0, description="standard deviation in y, share of the side")


class ShallowWater(Simulator):
    """One active layer in a closed square basin, under a steady double-gyre wind and a random one.

    du/dt = +q V - d/dx (g' eta + |u|²/2) + tau_x/(rho h) - r u + nu2 lap u - nu4 lap² u,
    dv/dt = -q U - d/dy (g' eta + |u|²/2) + tau_y/(rho h) - r v + nu2 lap v - nu4 lap² v,
    d eta/dt = -div (U, V), with h = H - b + eta, (U, V) = h (u, v), q = (f + zeta)/h,
    f = f0 + beta (y - L/2), tau_x = -tau0 cos(2 pi y/L) + noise, tau_y = noise.

    Arakawa C-grid in vector-invariant form, SSP-RK3; u stands on west faces, v on south faces, and
    those on the west and south walls hold zeros. The noise is a stress that is the curl of a random
    streamfunction, zero at the walls: drawn afresh for every output step and constant within it, so
    that the state alone decides the law of the next one. Its size falls with the root of the output
    step, as that of white noise does.
    Sadourny (1975), J. Atmos. Sci. 32; Arakawa and Lamb (1981), Mon. Wea. Rev. 109; reduced-gravity
    double gyres: Jiang, Jin and Ghil (1995), J. Phys. Oceanogr. 25.
    """

    name = "shallow-water"

    n: int = Field(64, ge=4, description="cells along a side")
    length: float = Field(1.92e6, gt=0, description="side of the basin L, m")
    depth: float = Field(500.0, gt=0, description="thickness at rest over a flat bottom H, m")
    gravity: float = Field(0.1, gt=0, description="reduced gravity g', m s-2")
    f0: float = Field(7e-5, description="Coriolis parameter in mid-basin, s-1")
    beta: float = Field(2e-11, description="its northward gradient, m-1 s-1")
    wind: float = Field(0.1, description="amplitude of the steady wind stress tau0, N m-2")
    density: float = Field(1000.0, gt=0, description="rho, kg m-3")
    drag: float = Field(5e-8, ge=0, description="linear drag r, s-1")
    nu2: float = Field(0.0, ge=0, description="Laplacian viscosity, m2 s-1")
    nu4: float | None = Field(
        None, ge=0, description="biharmonic viscosity, m4 s-1; default 1e11 (dx / 30 km)³"
    )
    walls: Literal["free-slip", "no-slip"] = Field(
        "free-slip", description="no vorticity at the walls, or no current"
    )
    scheme: Literal["een", "energy", "enstrophy"] = Field(
        "een", description="vorticity flux: Arakawa and Lamb's triads, or one of Sadourny's two"
    )
    topography: tuple[Mount, ...] = Field((), description="rises of the bottom; they add up")
    output_days: float = Field(5.0, gt=0, description="time between stored states, days")
    dt: float | None = Field(
        None, gt=0, description="time step, s; default: gravity waves cross 0.45 cells"
    )
    wind_noise: float = Field(
        0.12, ge=0, description="rms of the basin-wide random stress over 5 days, N m-2"
    )
    eddy_noise: float = Field(
        0.03, ge=0, description="rms of the eddy-scale random stress over 5 days, N m-2"
    )
    backend: Backend = Field(
        "auto", description="auto: numba on a CPU when no gradient is asked for, else torch"
    )

    @model_validator(mode="after")
    def _stable(self) -> Self:
        steps = self.output_days * DAY / self.step
        if abs(steps - round(steps)) > 1e-6 * steps:
            raise ValueError(
                f"output_days = {self.output_days:g} is {steps:.3f} steps of dt = {self.step:g} s; "
                f"make it a whole number"
            )
        highest = sum(max(mount.height, 0) for mount in self.topography)
        if highest > 0.8 * self.depth:
            raise ValueError(
                f"topography rises up to {highest:g} m (all mounts together) in {self.depth:g} m "
                f"of water; at most {0.8 * self.depth:g} m is safe. Lower it."
            )
        for message, rate, most in self._limits():
            if rate * self.step > most:
                raise ValueError(
                    f"{message.format(rate * self.step)}; at most {most:.2f} is stable. "
                    f"Use dt <= {math.floor(most / rate):d} s."
                )
        return self

    def _limits(self) -> tuple[tuple[str, float, float], ...]:
        """What a step may do at most: how it is told, its rate per second, its limit."""
        trenches = -sum(min(mount.height, 0) for mount in self.topography)
        speed = math.sqrt(self.gravity * (self.depth + trenches)) + CURRENT
        damping = self.drag + 8 * self.nu2 / self.dx**2 + 64 * self.biharmonic / self.dx**4
        fastest = abs(self.f0) + abs(self.beta) * self.length / 2
        return (
            ("gravity waves cross {:.2f} cells in a step", speed / self.dx, WAVE_LIMIT),
            ("friction damps a wave of two cells {:.2f} times", damping, DAMPING_LIMIT),
            ("inertial oscillations turn by {:.2f} rad in a step", fastest, 1.0),
        )

    @property
    def dx(self) -> float:
        """Side of a cell, m."""
        return self.length / self.n

    @property
    def biharmonic(self) -> float:
        """nu4; by default the Reynolds number of a cell, u dx³/nu4, does not depend on n."""
        return 1e11 * (self.dx / 30e3) ** 3 if self.nu4 is None else self.nu4

    @property
    def step(self) -> float:
        """dt; by default a whole part of the output step that keeps well within the limits."""
        if self.dt is not None:
            return self.dt
        limits = [0.9 * most / rate for _, rate, most in self._limits() if rate]
        longest = min(0.45 * self.dx / math.sqrt(self.gravity * self.depth), *limits)
        return self.output_days * DAY / math.ceil(self.output_days * DAY / longest)

    @property
    def spec(self) -> StateSpec:
        """Velocities on west and south faces; displacement at centres."""
        return StateSpec(
            variables=(
                Variable(name="u", units="m s-1", long_name="eastward velocity", stagger=("x",)),
                Variable(name="v", units="m s-1", long_name="northward velocity", stagger=("y",)),
                Variable(name="eta", units="m", long_name="displacement of the layer's thickness"),
            ),
            dims=(
                Dimension(name="y", size=self.n, spacing=self.dx, units="m"),
                Dimension(name="x", size=self.n, spacing=self.dx, units="m"),
            ),
        )

    @property
    def output_step(self) -> timedelta:
        """`output_days`."""
        return timedelta(days=self.output_days)

    @cached_property
    def bottom(self) -> "Tensor":
        """Height of the bottom at centres `(n, n)`, float64, m."""
        import torch

        coordinate = (torch.arange(self.n, dtype=torch.float64) + 0.5) / self.n
        bottom = torch.zeros(self.n, self.n, dtype=torch.float64)
        for mount in self.topography:
            x = ((coordinate - mount.x) / mount.width_x) ** 2
            y = ((coordinate - mount.y) / mount.width_y) ** 2
            bottom += mount.height * torch.exp(-(x[None, :] + y[:, None]) / 2)
        return bottom

    def basin(self, dtype: "torch.dtype", device: "torch.device | str" = "cpu") -> "Basin":
        """What the kernels need to know of this configuration."""
        import torch

        from geobench_plugins.kernels.shallow_water_torch import Basin

        corners = torch.arange(self.n + 1, dtype=torch.float64) * self.dx - self.length / 2
        return Basin(
            depth=(self.depth - self.bottom).to(device, dtype),
            coriolis=(self.f0 + self.beta * corners).to(device, dtype),
            dx=self.dx,
            gravity=self.gravity,
            drag=self.drag,
            nu2=self.nu2,
            nu4=self.biharmonic,
            slip=1.0 if self.walls == "free-slip" else -1.0,
            scheme=self.scheme,
        )

    def initial(self, noise: "Noise") -> "Tensor":
        """Rest, with a displacement of 1 cm N(0, 1) whose mean is zero."""
        import torch

        eta = 0.01 * noise.use("initial").normal(self.n, self.n, dtype=torch.float64)
        eta = (eta - eta.mean((1, 2), keepdim=True)).float()
        rest = torch.zeros_like(eta)
        return torch.stack([rest, rest, eta], 1)

    def stress(self, noise: "Noise", dtype: "torch.dtype") -> "Tensor":
        """Force per area over the density `(row, 2, n, n)` on the faces of u and v, m2 s-2."""
        import torch

        from geobench_plugins.kernels.random_stress import curl_of_waves

        y = (torch.arange(self.n, dtype=torch.float64) + 0.5) / self.n
        steady = torch.zeros(2, self.n, self.n, dtype=torch.float64)
        steady[0] = -self.wind / self.density * torch.cos(2 * math.pi * y)[:, None]
        total = steady.to(noise.init.device, dtype).expand(len(noise), -1, -1, -1)
        root = math.sqrt(5 / self.output_days) / self.density
        for stream, rms, band in (
            ("wind", self.wind_noise, LARGE),
            ("eddy", self.eddy_noise, EDDY),
        ):
            if rms:
                force = rms * root
                total = total + curl_of_waves(
                    noise.use(stream), self.n, rms=force, band=band, dtype=dtype
                )
        return total

    def advance(self, state: "Tensor", steps: int, noise: "Noise") -> "Tensor":
        """Take `steps` output steps, each under a wind of its own."""
        by_numba = compiled(self.name, self.backend, state)
        run = self._numba if by_numba else self._torch
        state = self._closed(state)
        for step in range(steps):
            state = run(state, noise.at(noise.lead + step))
        return state

    @staticmethod
    def _closed(state: "Tensor") -> "Tensor":
        """Let no water through the west and south walls, whatever a model or a filter put there."""
        import torch

        within = torch.ones_like(state[0])
        within[0, :, 0] = 0
        within[1, 0, :] = 0
        return (state * within).contiguous()

    @property
    def _steps(self) -> int:
        return round(self.output_days * DAY / self.step)

    def _torch(self, state: "Tensor", noise: "Noise") -> "Tensor":
        from geobench_plugins.kernels.shallow_water_torch import step

        basin, stress = self.basin(state.dtype, state.device), self.stress(noise, state.dtype)
        for _ in range(self._steps):
            state = step(state, stress, basin, self.step)
        return state

    def _numba(self, state: "Tensor", noise: "Noise") -> "Tensor":
        """In place, on the copy that `_closed` made; stress is held for a block of rows at once."""
        from geobench_plugins.kernels.shallow_water import SCHEMES, advance
        from geobench_plugins.kernels.threads import over_rows

        basin = self.basin(state.dtype)
        fixed = basin.depth.numpy(), basin.coriolis.numpy()
        numbers = self.step, basin.dx, basin.gravity, basin.drag, basin.nu2, basin.nu4
        how = self._steps, SCHEMES.index(self.scheme), basin.slip
        for first in range(0, len(state), BLOCK):
            block = slice(first, first + BLOCK)
            some = replace(noise, init=noise.init[block], member=noise.member[block])
            values = state[block].numpy()
            forces = self.stress(some, state.dtype).contiguous().numpy()

            def run(start: int, stop: int, x: Any = values, tau: Any = forces) -> None:
                advance(x[start:stop], tau[start:stop], *fixed, numbers, *how)

            over_rows(run, len(values))
        return state

    def diagnostics(self, state: "Tensor") -> "dict[str, Tensor]":
        """The variables and what follows from them.

        `h` thickness (m), `ssh` displacement of the sea surface g' eta/9.81 (m), `speed` at centres
        (m s-1), `vorticity` zeta/f0 at south-west corners (zeta if f0 is zero); of each row,
        `energy` the domain's mean kinetic energy (m2 s-2) and `rings` the number of detached rings
        (see `kernels.rings`).
        """
        from geobench_plugins.kernels import rings as vortices
        from geobench_plugins.kernels import shallow_water_torch as grid

        basin = self.basin(state.dtype, state.device)
        u, v, eta = grid.faces(state)
        ssh = self.gravity / EARTH_GRAVITY * eta
        zeta = grid.vorticity(u, v, basin.dx, basin.slip)[..., :-1, :-1]
        ow = vortices.okubo_weiss(u, v, basin.dx, basin.slip)
        return super().diagnostics(state) | {
            "h": basin.depth + eta,
            "ssh": ssh,
            "speed": (grid.mean_x(u) ** 2 + grid.mean_y(v) ** 2).sqrt(),
            "vorticity": zeta / (self.f0 or 1.0),
            "energy": (grid.mean_x(u**2) + grid.mean_y(v**2)).mean((-2, -1)) / 2,
            "rings": vortices.rings(ow, ssh, basin.dx),
        }
