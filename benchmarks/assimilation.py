"""Analysis errors of data assimilations on Lorenz95 against the published ones.

    python benchmarks/assimilation.py                     # the published table
    python benchmarks/assimilation.py --filter etkf --members 24 --inflation 1.013 --rows 64

One JSON line per setting on stdout, a table on stderr. The setting of Sakov and Oke (2008): no
model noise, an observation of every site each 6 h with error 1, a start near the truth. `rmse` is
the mean over time (analysis times after the burn-in) of the spatial root-mean-square error of the
estimate, then over experiments ("rows") run side by side, with the 95 % interval of that mean over
rows. Rows that diverged are counted in it; the mean over the others is `rmse_kept`. Where DAPPER is
installed (pip install dapper) it runs one experiment of each setting too. A filter without
localisation often never finds the truth from afar: see `--start` and results/.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from geobench import Filter, GeobenchError, Network, Noise, Observation, Simulator
from geobench.registry import Registry
from geobench.twin.assimilating import Skill, cycles, measure, near_truth
from geobench.twin.observing import network
from geobench.twin.simulating import trajectories

# Sakov and Oke (2008), Table 1, and the tables of DAPPER, mods/Lorenz96/sakov2008.py.
PUBLISHED: list[tuple[dict[str, Any], float]] = [
    ({"use": "optimal-interpolation"}, 0.95),
    ({"use": "3dvar", "scale": 0.02}, 0.41),
    ({"use": "enkf", "members": 40, "inflation": 1.06}, 0.22),
    ({"use": "enkf", "members": 28, "inflation": 1.08}, 0.24),
    ({"use": "etkf", "members": 20, "inflation": 1.04, "rotation": True}, 0.20),
    ({"use": "etkf", "members": 24, "inflation": 1.013, "rotation": True}, 0.18),
    ({"use": "letkf", "members": 7, "inflation": 1.04, "rotation": True, "radius": 4.0}, 0.22),
]


@dataclass(frozen=True)
class Setting:
    """A twin experiment on Lorenz95, and how long it runs."""

    recipe: dict[str, Any] = field(default_factory=dict)
    published: float | None = None
    sites: int = 40
    forcing: float = 8.0
    every: int = 1
    stride: int = 1
    error: float = 1.0
    start: str = "near"
    rows: int = 64
    cycles: int = 1000
    burn_in: int = 200
    seed: int = 0
    device: str = "cpu"


class Timed(Filter):
    """A filter, and the seconds that its analyses took."""

    def __init__(self, of: Filter) -> None:
        self.of, self.seconds, self.count = of, 0.0, 0

    def analyse(self, forecast: Tensor, observed: Tensor, noise: Noise) -> Tensor:
        """Analyse and look at the clock."""
        began = time.perf_counter()
        analysis = self.of.analyse(forecast, observed, noise)
        if analysis.is_cuda:
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - began
        self.count += 1
        return analysis

    def estimate(self, analysis: Tensor) -> Tensor:
        """Ask the filter."""
        return self.of.estimate(analysis)


def run(setting: Setting, registry: Registry) -> dict[str, Any]:
    """Run one setting; a filter that is lost altogether is told, not raised."""
    fields = {"sites": setting.sites, "forcing": setting.forcing}
    simulator = registry.simulator({"use": "lorenz95", "amplitude": 0, "output_hours": 6, **fields})
    assimilation = registry.assimilation(setting.recipe)
    steps = (setting.burn_in + setting.cycles) * setting.every
    climate = _run(simulator, setting, "climate", 64, 200).flatten(0, 1)
    truth = _run(simulator, setting, "truth", setting.rows, steps)
    observed = network(Observation(stride=setting.stride, error=setting.error), simulator.spec)
    timed = Timed(assimilation.filter(observed, simulator.spec, climate))
    first = None
    if setting.start == "interpolation":
        plain = registry.assimilation("optimal-interpolation")
        first = plain.filter(observed, simulator.spec, climate)
    result = {**asdict(setting), "recipe": assimilation.recipe(), "observations": len(observed)}
    began = time.perf_counter()
    try:
        skill = _skill(
            simulator, timed, observed, truth, climate, setting, assimilation.members, first
        )
    except GeobenchError as error:
        return {**result, "failed": str(error)}
    seconds = time.perf_counter() - began
    each = 1e3 / setting.rows
    return {
        **result,
        **_summary(skill),
        "ms_per_analysis": each * timed.seconds / timed.count,
        "ms_per_cycle": each * seconds / timed.count,
    }


def _run(simulator: Simulator, setting: Setting, stream: str, rows: int, steps: int) -> Tensor:
    noise = Noise.rows(setting.seed, stream, rows).to(setting.device)
    return trajectories(simulator, noise, spin_up=200, steps=steps)


def _skill(
    simulator: Simulator,
    filter: Filter,
    network: Network,
    truth: Tensor,
    climate: Tensor,
    setting: Setting,
    members: int,
    first: Filter | None,
) -> Skill:
    noise = Noise.rows(setting.seed, "assimilation", setting.rows).to(setting.device)
    start = None
    if setting.start == "near":  # DAPPER starts from a variance of 0.001, which is this share
        start = near_truth(truth[:, 0], climate, noise, members, 0.009)
    found = cycles(
        simulator,
        filter,
        network,
        truth,
        climate,
        noise,
        members=members,
        every=setting.every,
        start=start,
        first=first,
    )
    moments = [
        measure(cycle, truth[:, step], simulator.spec)
        for step, cycle in enumerate(found)
        if cycle.observed and step >= setting.burn_in * setting.every
    ]
    return Skill.of(moments, climate, simulator.spec)


def _summary(skill: Skill) -> dict[str, Any]:
    from scipy.stats import t

    rmse = skill.rmse[..., 0].mean(1)
    kept = rmse[~skill.diverged]
    count = len(rmse)
    width = float(t.ppf(0.975, count - 1) * rmse.std() / count**0.5) if count > 1 else None
    return {
        "rmse": float(rmse.mean()),
        "interval": width and [float(rmse.mean()) - width, float(rmse.mean()) + width],
        "rmse_kept": float(kept.mean()) if len(kept) else None,
        "rmse_median": float(rmse.median()),
        "diverged": int(skill.diverged.sum()),
        "spread": float(skill.spread.mean()),
        "climate": float(skill.climate[0]),
    }


def peer(setting: Setting) -> dict[str, Any]:
    """Run the setting once with DAPPER."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it talks while it is imported
            from dapper_peer import run as dapper
    except ImportError as error:
        return {"skipped": f"DAPPER is not installed here ({error}); pip install dapper"}
    return dapper(setting)


def table(results: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table on stderr."""
    yield f"{'setting':60} {'rmse [95 %]':24} {'published':>9} {'DAPPER':>7} {'diverged':>9}"
    for result in results:
        recipe = {k: v for k, v in result["recipe"].items() if k not in ("use", "version")}
        name = result["recipe"]["use"] + " " + " ".join(f"{k}={v}" for k, v in recipe.items())
        reached = result.get("failed", "")[:24]
        if "rmse" in result:
            reached = f"{result['rmse']:.3f}"
            if result["interval"]:
                reached += " [{:.3f}, {:.3f}]".format(*result["interval"])
        published, other = result["published"], result.get("dapper", {}).get("rmse")
        yield (
            f"{name[:60]:60} {reached:24} "
            f"{'' if published is None else f'{published:.2f}':>9} "
            f"{'' if other is None else f'{other:.3f}':>7} "
            f"{result.get('diverged', '')!s:>5} of {result['rows']}"
        )


@click.command()
@click.option("--filter", "use", help="One assimilation; without it, the published table.")
@click.option("--members", type=int)
@click.option("--inflation", type=float)
@click.option("--radius", type=float, help="Of the localisation, sites.")
@click.option("--global", "everywhere", is_flag=True, help="No localisation: radius null.")
@click.option("--rotation/--no-rotation", default=None)
@click.option("--relaxation", type=float)
@click.option("--step", type=int, help="Sites between two local analyses.")
@click.option("--scale", type=float, help="Of the climatological covariance.")
@click.option("--sites", default=40, show_default=True)
@click.option("--forcing", default=8.0, show_default=True)
@click.option("--every", default=1, show_default=True, help="Steps of 6 h between observations.")
@click.option("--stride", default=1, show_default=True, help="Every n-th site is observed.")
@click.option("--error", default=1.0, show_default=True, help="Of observations, std.")
@click.option(
    "--start",
    type=click.Choice(["near", "climate", "interpolation"]),
    default="near",
    show_default=True,
    help="Members near the truth; states of the climate; the latter, first analysed by optimal "
    "interpolation.",
)
@click.option("--rows", type=click.IntRange(1), default=64, show_default=True)
@click.option("--cycles", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--burn-in", type=click.IntRange(0), default=200, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--peer/--no-peer", "with_peer", default=True, help="Run DAPPER too, if it is there.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the lines there as well.")
def main(
    use: str | None, threads: int, with_peer: bool, output: Path | None, **options: Any
) -> None:
    """Measure analysis errors on Lorenz95."""
    torch.set_num_threads(threads)
    own = {
        key: options.pop(key)
        for key in ("members", "inflation", "radius", "rotation", "relaxation", "step", "scale")
    }
    recipe = {key: value for key, value in own.items() if value is not None}
    if options.pop("everywhere"):
        recipe["radius"] = None
    chosen = (
        [({"use": use, **recipe}, None)] if use else [({**r, **recipe}, p) for r, p in PUBLISHED]
    )
    setting, results = Setting(**options), []
    try:
        registry = Registry()
        for fields, published in chosen:
            now = replace(setting, recipe=fields, published=published)
            result = run(now, registry)
            if with_peer:
                result["dapper"] = peer(replace(now, recipe=result["recipe"]))
            click.echo(json.dumps(result))
            results.append(result)
    except GeobenchError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if output:
        output.write_text("".join(json.dumps(result) + "\n" for result in results))
    for line in table(results):
        click.echo(line, err=True)


if __name__ == "__main__":
    main()
