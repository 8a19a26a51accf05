"""Speed of one LETKF analysis on a basin of 3 x 64 x 64 numbers with 256 observations.

    python benchmarks/letkf_grid.py

One JSON line per setting: `step` is the distance between local analyses in cells, `local` how many
observations one of them uses at most. DAPPER, where it is installed, makes 1,024 local analyses,
each for a block of 2 x 2 cells, of the same ensemble: what `step` 2 is to be compared with.
"""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from geobench import Dimension, Network, Noise, Observation, StateSpec, Variable
from geobench.twin.observing import network
from geobench_plugins.assimilations.letkf import LETKF

BASIN = StateSpec(
    variables=(Variable(name="u"), Variable(name="v"), Variable(name="h")),
    dims=(Dimension(name="y", size=64), Dimension(name="x", size=64)),
)


def ensemble(members: int) -> Tensor:
    """Smooth random fields `(1, member, channel, y, x)`, of correlation length some 4 cells."""
    rough = Noise.rows(0, "ensemble", 1).normal(members * 3, 1, 72, 72)[0]
    smooth = torch.nn.functional.avg_pool2d(rough, 9, stride=1)
    return (smooth / smooth.std()).view(1, members, *BASIN.shape)


Calls = list[tuple[dict[str, Any], Callable[[], object]]]


def ours(forecast: Tensor, seen: Network, observed: Tensor, radius: float) -> Calls:
    """Settings of the LETKF; `difference` is from the first of them, in ensemble stds."""
    calls, exact, noise = [], None, Noise.rows(0, "filter", 1)
    for step, single in itertools.product((1, 2, 4), (False, True)):
        fields = {"radius": radius, "step": step, "single": single}
        recipe = LETKF(members=forecast.shape[1], rotation=False, **fields)
        filter = recipe.filter(seen, BASIN, forecast[0])
        analysis = filter.analyse(forecast, observed, noise)
        exact = analysis if exact is None else exact
        told = {
            "use": "letkf",
            **fields,
            "local": filter.near.which.shape[1],
            "analyses": len(filter.coarse.cells),
            "difference": float((analysis - exact).square().mean().sqrt()),
        }
        calls.append((told, lambda filter=filter: filter.analyse(forecast, observed, noise)))
    return calls


def peer(forecast: Tensor, seen: Network, observed: Tensor, radius: float) -> Calls:
    """DAPPER's local analyses of the same, in blocks of 2 x 2 cells; which are near is known."""
    import numpy as np
    from dapper.da_methods.ensemble import local_analyses
    from dapper.tools.localization import nd_Id_localization
    from dapper.tools.matrices import CovMat

    state = forecast[0].flatten(1).double().numpy()
    cells = seen.places.numpy() % 4096
    localise = nd_Id_localization((64, 64), (2, 2), obs_inds=cells, periodic=False)
    blocks, taper = localise(radius, "x2y", "GC")
    channels = [np.concatenate([block + 4096 * c for c in range(3)]) for block in blocks]
    tapers = {int(whole[0]): taper(block) for whole, block in zip(channels, blocks, strict=True)}
    error = CovMat(seen.error.numpy() ** 2, "diag")
    given = state[:, seen.places.numpy()], error, observed[0].double().numpy(), channels

    def analyse() -> None:
        local_analyses(state.copy(), *given, lambda block: tapers[int(block[0])])

    return [({"use": "DAPPER", "radius": radius, "analyses": len(blocks)}, analyse)]


def timed(calls: Calls, repeats: int) -> list[dict[str, Any]]:
    """Quickest of some calls, ms; all are called in turn, so that a busy machine is fair to all."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for (_, call), mine in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            mine.append(1e3 * (time.perf_counter() - began))
    return [{**told, "ms": min(mine)} for (told, _), mine in zip(calls, times, strict=True)]


@click.command()
@click.option("--members", default=32, show_default=True)
@click.option("--repeats", default=10, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write the lines there as well.")
def main(members: int, repeats: int, threads: int, output: Path | None) -> None:
    """Time the LETKF on a basin."""
    torch.set_num_threads(threads)
    seen = network(Observation(variables=("h",), stride=4, error=0.5), BASIN)
    forecast = ensemble(members)
    observed = seen.observe(ensemble(members + 1)[:, -1], Noise.rows(0, "observation", 1))
    calls: Calls = []
    for radius in (4.0, 8.0):
        calls += ours(forecast, seen, observed, radius)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # it talks while it is imported
                calls += peer(forecast, seen, observed, radius)
        except ImportError as error:
            click.echo(f"DAPPER is not installed here ({error}); skipped.", err=True)
    results = timed(calls, repeats)
    lines = [json.dumps(result) for result in results]
    click.echo("\n".join(lines))
    if output:
        output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
