"""What the default double gyre does over decades: JSON lines, and docs/shallow_water.png.

    python benchmarks/shallow_water_properties.py > properties.jsonl

Four trajectories, each spun up for ten years from rest and then run for forty, under random wind;
ensembles from states of that run; and twin runs without random wind for the leading Lyapunov
exponent. The results of one run are in benchmarks/results.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import fft, stats
from torch import Tensor

from geobench import Noise
from geobench_plugins.simulators.shallow_water import ShallowWater

YEAR = 73  # output steps of five days
PICTURE = Path(__file__).parents[1] / "docs" / "shallow_water.png"


def tell(**what: Any) -> None:
    """Print one JSON line, numbers to four figures."""
    print(json.dumps(_rounded(what)), flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _rounded(value.tolist())
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if value is None or isinstance(value, int | str):
        return value
    return float(f"{float(value):.4g}")


def control(simulator: ShallowWater, rows: int, spin_up: int, years: int) -> Tensor:
    """States of a free run, every output step: `(row, time, channel, y, x)`."""
    noise = Noise.rows(0, "properties", rows)
    state, states = simulator.initial(noise), []
    start = time.perf_counter()
    for step in range((spin_up + years) * YEAR):
        state = simulator.advance(state, 1, noise.at(step))
        if step >= spin_up * YEAR:
            states.append(state)
    took = time.perf_counter() - start
    tell(
        run={"trajectories": rows, "spin_up_years": spin_up, "years": years},
        dt=simulator.step,
        seconds=took,
        seconds_per_model_year=took / rows / (spin_up + years),
        threads=torch.get_num_threads(),
    )
    return torch.stack(states, 1)


def by_parts(function: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    """Apply to `(row, channel, y, x)` one year at a time, and put the time back."""
    parts = [torch.cat([function(year) for year in row.split(YEAR)]) for row in states]
    return torch.stack(parts)


def energies(simulator: ShallowWater, states: Tensor) -> Tensor:
    """Domain-mean kinetic energy `(row, time)`, told with its eddy share and its rings."""
    known = by_parts(
        lambda x: torch.stack([simulator.diagnostics(x)[k] for k in ("energy", "rings")], -1),
        states,
    )
    energy, rings = known.unbind(-1)
    mean = float(simulator.diagnostics(states.mean((0, 1))[None])["energy"])
    decade = 10 * YEAR
    tell(
        energy={
            "mean": energy.mean(), "std": energy.std(), "max": energy.max(),
            "of_trajectories": energy.mean(1),
            "of_decades": [part.mean() for part in energy.split(decade, 1)],
            "eddy_share": 1 - mean / energy.mean(),
        }
    )  # fmt: skip
    tell(
        rings={
            "mean": rings.mean(),
            "share_of_times": torch.bincount(rings.long().flatten()) / rings.numel(),
        }
    )
    return energy


def heights(simulator: ShallowWater, states: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of ssh, told with its tails and its memory."""
    ssh = states[:, :, 2] * simulator.gravity / 9.81
    mean, std = ssh.mean((0, 1)), ssh.std((0, 1))
    anomaly = ssh - mean
    local = (anomaly / std).flatten().numpy()
    variance = (anomaly**2).mean()
    tell(
        ssh_anomaly={
            "std_cm": 100 * anomaly.std(), "largest_cm": 100 * anomaly.abs().max(),
            "skewness": stats.skew(anomaly.flatten().numpy().astype(np.float64)),
            "excess_kurtosis": stats.kurtosis(anomaly.flatten().numpy().astype(np.float64)),
            "in_local_std": [local.min(), local.max()],
        },
        thickness=[500 + states[:, :, 2].min(), 500 + states[:, :, 2].max()],
        largest_grid_scale=states[:, ::YEAR, 2].diff(n=2, dim=-1).abs().max(),
    )  # fmt: skip
    tell(
        autocorrelation_ssh={
            5 * lag: (anomaly[:, lag:] * anomaly[:, :-lag]).mean() / variance
            for lag in (1, 2, 3, 4, 6, 12, 24, 36)
        },
        five_day_increment_over_std=anomaly.diff(dim=1).std() / variance.sqrt(),
    )
    return mean, std


def memory_of_vorticity(simulator: ShallowWater, states: Tensor) -> None:
    """Tell the autocorrelation of relative vorticity."""
    zeta = by_parts(lambda x: simulator.diagnostics(x)["vorticity"], states[:2])
    zeta = zeta - zeta.mean((0, 1))
    variance = (zeta**2).mean()
    tell(
        autocorrelation_vorticity={
            5 * lag: (zeta[:, lag:] * zeta[:, :-lag]).mean() / variance
            for lag in (1, 2, 3, 4, 6, 12)
        }
    )


def speeds(simulator: ShallowWater, states: Tensor) -> Tensor:
    """The 99.9 % quantile of speed in each cell, told with quantiles over all of them."""
    speed = by_parts(lambda x: simulator.diagnostics(x)["speed"], states)
    every = np.sort(speed.flatten().numpy()[::7])
    quantiles = {share: every[int(share * len(every))] for share in (0.5, 0.99, 0.999)}
    tell(speed=quantiles | {"max": speed.max()})
    return torch.from_numpy(np.quantile(speed.flatten(0, 1)[::2].numpy(), 0.999, axis=0))


def spread(simulator: ShallowWater, states: Tensor, std: Tensor, members: int = 8) -> Tensor:
    """Ensemble over climatological std of ssh at leads of 1 to 24 steps: root of mean variances."""
    rows, times = states.shape[:2]
    starts = torch.stack([states[i % rows, (times - 1) * i // 7] for i in range(8)])
    init = torch.arange(8).repeat_interleave(members)
    noise = Noise(0, "spread", init, torch.arange(members).repeat(8))
    state, shares, locally = starts[init], [], []
    for lead in range(24):
        state = simulator.advance(state, 1, noise.at(lead))
        ssh = state[:, 2].unflatten(0, (8, members)) * simulator.gravity / 9.81
        variance = ssh.var(1).mean(0)
        shares.append((variance.mean() / (std**2).mean()).sqrt())
        locally.append((variance.sqrt() / std).mean())
    told = (0, 1, 2, 3, 5, 11, 17, 23)
    tell(
        spread_over_climatology={
            "of_domain": {5 * (k + 1): shares[k] for k in told},
            "mean_of_cells": {5 * (k + 1): locally[k] for k in told},
        }
    )
    return torch.stack(shares)


def lyapunov(states: Tensor, years: int) -> None:
    """Growth of small errors without random wind: twins in float64, pulled together every step."""
    simulator = ShallowWater(wind_noise=0, eddy_noise=0)
    state = states[:, -1].double()
    none = Noise.rows(0, "none", 2 * len(state))
    bump = Noise.rows(0, "twin", len(state)).normal(*state.shape[1:], dtype=torch.float64)
    weight = torch.tensor([50.0, 50.0, 1.0], dtype=torch.float64)[:, None, None]  # m/s against m

    def size(x: Tensor) -> Tensor:
        return (x * weight).flatten(1).norm(dim=1)[:, None, None, None]

    error, rates = bump / size(bump), []
    for step in range((years + 1) * YEAR):
        both = simulator.advance(torch.cat([state, state + 1e-4 * error]), 1, none)
        state, twin = both.chunk(2)
        error = (twin - state) / 1e-4
        if step >= YEAR:
            rates.append(size(error).log().flatten() / 5)
        error = error / size(error)
    rate = torch.stack(rates)  # (step, row), per day
    tell(
        lyapunov_per_day={
            "mean": rate.mean(), "of_trajectories": rate.mean(0), "years": years,
            "standard_error": rate.mean(0).std() / len(state) ** 0.5,
        },
        e_folding_days=1 / rate.mean(),
    )  # fmt: skip


def spectrum(states: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Kinetic energy by half-waves across the basin (cosine transform of velocities)."""
    u, v = states[:, ::6, 0].numpy(), states[:, ::6, 1].numpy()
    n = u.shape[-1]
    power = sum((fft.dctn(x, axes=(-2, -1), norm="ortho") ** 2).mean((0, 1)) for x in (u, v)) / n**2
    wave = np.hypot(*np.meshgrid(np.arange(n), np.arange(n)))
    energy = np.array([power[(wave >= k - 0.5) & (wave < k + 0.5)].sum() / 2 for k in range(1, n)])
    slope = np.polyfit(np.log(np.arange(8, 24)), np.log(energy[7:23]), 1)[0]
    tell(spectrum={"half_waves": [1, 2, 4, 8, 16, 32, 60],
                   "energy": [energy[k - 1] for k in (1, 2, 4, 8, 16, 32, 60)],
                   "slope_8_to_24": slope})  # fmt: skip
    return np.arange(1, n), energy


def maps(
    simulator: ShallowWater, states: Tensor, mean: Tensor, std: Tensor, fast: Tensor
) -> Iterator[Any]:
    """What the maps of the picture show: title, field, limits, colours."""
    known = simulator.diagnostics(states[:1, -1])
    yield "ssh (m), one day", known["ssh"][0], (-1.5, 1.5), "RdBu_r"
    yield "speed (m/s), that day", known["speed"][0], (0, 1.8), "magma"
    yield "vorticity/f0, that day", known["vorticity"][0], (-0.3, 0.3), "RdBu_r"
    yield "mean ssh (m)", mean, (-1, 1), "RdBu_r"
    yield "std of ssh (m)", std, (0, float(std.max())), "viridis"
    yield "99.9 % of speed (m/s)", fast, (0, float(fast.max())), "magma"


def draw(
    simulator: ShallowWater, states: Tensor, curves: dict[str, Any], fields: list[Any]
) -> None:
    """Write the picture: six maps and four curves."""
    mpl.use("Agg")
    figure, axes = plt.subplots(2, 5, figsize=(20, 7.5), layout="constrained")
    side = simulator.length / 1000
    for axis, (title, field, limits, colours) in zip(axes.flat, fields, strict=False):
        image = axis.imshow(
            field,
            origin="lower",
            extent=(0, side, 0, side),
            cmap=colours,
            vmin=limits[0],
            vmax=limits[1],
        )
        axis.set_title(title)
        figure.colorbar(image, ax=axis, shrink=0.8)
    energy_axis, pdf, spectral, growth = axes.flat[6:]
    for row in curves["energy"]:
        energy_axis.plot(np.arange(len(row)) / YEAR, row, lw=0.4)
    energy_axis.set(title="mean kinetic energy (m²/s²)", xlabel="years", ylim=(0, None))
    ssh = states[:, :, 2] * simulator.gravity / 9.81
    local = ((ssh - ssh.mean((0, 1))) / ssh.std((0, 1))).flatten().numpy()
    density, edges = np.histogram(local, 200, density=True)
    middle = (edges[1:] + edges[:-1]) / 2
    pdf.semilogy(middle, density)
    pdf.semilogy(middle, stats.norm.pdf(middle), "k--", lw=1)
    pdf.set(title="ssh anomaly in local std; normal", ylim=(1e-8, 1))
    waves, power = curves["spectrum"]
    spectral.loglog(waves, power)
    spectral.loglog(waves[5:40], power[5] * (waves[5:40] / waves[5]) ** -3.0, "k--", lw=1)
    spectral.set(title="kinetic energy; -3", xlabel="half-waves across the basin")
    growth.plot(5 * np.arange(1, 25), curves["spread"], marker=".")
    growth.set(title="ensemble std/climatological std of ssh", xlabel="lead (days)", ylim=(0, 1.2))
    figure.savefig(PICTURE, dpi=70)


def main() -> None:
    """Run, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=4)
    parser.add_argument("--spin-up", type=int, default=10, help="years")
    parser.add_argument("--years", type=int, default=40)
    parser.add_argument("--lyapunov-years", type=int, default=8)
    given = parser.parse_args()
    simulator = ShallowWater()
    tell(simulator=simulator.recipe())
    states = control(simulator, given.trajectories, given.spin_up, given.years)
    curves: dict[str, Any] = {"energy": energies(simulator, states)}
    mean, std = heights(simulator, states)
    memory_of_vorticity(simulator, states)
    fast = speeds(simulator, states)
    curves["spectrum"] = spectrum(states)
    curves["spread"] = spread(simulator, states, std)
    draw(simulator, states, curves, list(maps(simulator, states, mean, std, fast)))
    lyapunov(states, given.lyapunov_years)


if __name__ == "__main__":
    main()
