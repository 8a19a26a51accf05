"""Speed of one LETKF analysis on a basin of 3 x 64 x 64 numbers with 256 observations.

    python benchmarks/letkf_grid.py

One JSON line per setting: `step` is the distance between local analyses in cells, `local` how many
observations one of them uses at most. DAPPER, where it is installed, makes 1,024 local analyses,
each for a block of 2 x 2 cells, of the same ensemble: what `step` 2 is to be compared with.
"""

import contextlib
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
from geobench.observing import network
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


def best(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the quickest of some calls."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times)


def measure(
    forecast: Tensor, seen: Network, observed: Tensor, repeats: int
) -> list[dict[str, Any]]:
    """Time settings of the LETKF; `difference` is from float64 at every cell, in ensemble stds."""
    results, noise = [], Noise.rows(0, "filter", 1)
    for radius in (4.0, 8.0):
        exact = None
        for step in (1, 2, 4):
            for single in (False, True):
                recipe = LETKF(
                    members=forecast.shape[1],
                    radius=radius,
                    step=step,
                    single=single,
                    rotation=False,
                )
                filter = recipe.filter(seen, BASIN, forecast[0])
                analysis = filter.analyse(forecast, observed, noise)
                exact = analysis if exact is None else exact
                milliseconds = best(lambda f=filter: f.analyse(forecast, observed, noise), repeats)
                results.append(
                    {
                        "recipe": recipe.recipe(),
                        "ms": milliseconds,
                        "local": filter.near.which.shape[1],
                        "analyses": len(filter.coarse.cells),
                        "difference": float((analysis - exact).square().mean().sqrt()),
                    }
                )
    return results


def peer(forecast: Tensor, seen: Network, observed: Tensor, radius: float, repeats: int) -> Any:
    """DAPPER's local analyses of the same, in blocks of 2 x 2 cells."""
    import numpy as np
    from dapper.da_methods.ensemble import local_analyses
    from dapper.tools.localization import nd_Id_localization
    from dapper.tools.matrices import CovMat

    state = forecast[0].flatten(1).double().numpy()
    cells = seen.places.numpy() % 4096
    blocks, taper = nd_Id_localization((64, 64), (2, 2), obs_inds=cells, periodic=False)(
        radius, "x2y", "GC"
    )
    channels = [np.concatenate([block + 4096 * c for c in range(3)]) for block in blocks]
    tapers = {int(whole[0]): taper(block) for whole, block in zip(channels, blocks, strict=True)}
    error = CovMat(seen.error.numpy() ** 2, "diag")

    def analyse() -> None:
        local_analyses(
            state.copy(),
            state[:, seen.places.numpy()],
            error,
            observed[0].double().numpy(),
            channels,
            lambda block: tapers[int(block[0])],
        )

    return {
        "use": "DAPPER",
        "radius": radius,
        "analyses": len(blocks),
        "ms": best(analyse, repeats),
    }


@click.command()
@click.option("--members", default=32, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write the lines there as well.")
def main(members: int, repeats: int, threads: int, output: Path | None) -> None:
    """Time the LETKF on a basin."""
    torch.set_num_threads(threads)
    seen = network(Observation(variables=("h",), stride=4, error=0.5), BASIN)
    forecast = ensemble(members)
    observed = seen.observe(ensemble(members + 1)[:, -1], Noise.rows(0, "observation", 1))
    results = measure(forecast, seen, observed, repeats)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            results += [peer(forecast, seen, observed, r, repeats) for r in (4.0, 8.0)]
    except ImportError as error:
        click.echo(f"DAPPER is not installed here ({error}); skipped.", err=True)
    lines = [json.dumps(result) for result in results]
    click.echo("\n".join(lines))
    if output:
        output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
