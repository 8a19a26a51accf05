"""Fits of extremes: the time of geobench's search and of scipy's own, and how far they are apart.

python benchmarks/extremes.py [RESAMPLES]

JSON lines, one for each law and shape. A sample of 2,000 values is fitted, then bootstrap resamples
of it, as `geobench simulator describe` does. `ms`: CPU time of one fit of a resample. `times`:
scipy's over geobench's. `level`: largest difference of a return level (of 100,000 steps), relative
to it. `worse`: how many fits are less likely than the other's, by 0.001 of the log-likelihood or
more.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from geobench.statistics.extremes import Fit, fit_gev, fit_gpd
from geobench.statistics.intervals import Array

BLOCK, RATE, PERIOD, COUNT = 100, 0.01, 1e5, 2000
Fitting = Callable[[Array, Fit], Fit]


def scipy_gev(sample: Array, near: Fit) -> Fit:
    """Fit by scipy's own search, from the fit of the whole sample."""
    c, location, scale = stats.genextreme.fit(
        sample, -near.shape, loc=near.location, scale=near.scale
    )
    return Fit("gev", 1 / BLOCK, float(location), float(scale), -float(c), len(sample))


def scipy_gpd(sample: Array, near: Fit) -> Fit:
    """Fit by scipy's own search, from the fit of the whole sample; the threshold is 0."""
    c, _, scale = stats.genpareto.fit(sample, near.shape, floc=0, scale=near.scale)
    return Fit("gpd", RATE, 0.0, float(scale), float(c), len(sample))


def likelihood(sample: Array, fit: Fit) -> float:
    """Log-likelihood of a fit."""
    law = (
        stats.genextreme(-fit.shape, fit.location, fit.scale)
        if fit.kind == "gev"
        else stats.genpareto(fit.shape, 0, fit.scale)
    )
    return float(law.logpdf(sample).sum())


def timed(fitting: Fitting, samples: list[Array], near: Fit) -> tuple[list[Fit], float]:
    """Fits of all samples, and milliseconds for each."""
    began = time.process_time()
    found = [fitting(sample, near) for sample in samples]
    return found, 1000 * (time.process_time() - began) / len(samples)


def compare(kind: str, shape: float, resamples: int) -> dict[str, object]:
    """Fit resamples of one sample by both."""
    generator = np.random.Generator(np.random.Philox(key=1))
    law = stats.genextreme(-shape) if kind == "gev" else stats.genpareto(shape)
    sample = law.rvs(COUNT, random_state=generator)
    samples = [generator.choice(sample, COUNT) for _ in range(resamples)]
    own: Fitting
    if kind == "gev":
        whole, other = fit_gev(sample, BLOCK), scipy_gev

        def own(values: Array, near: Fit) -> Fit:
            return fit_gev(values, BLOCK, near)
    else:
        whole, other = fit_gpd(sample, 0.0, RATE), scipy_gpd

        def own(values: Array, near: Fit) -> Fit:
            return fit_gpd(values, 0.0, RATE, near)

    (ours, quick), (theirs, slow) = (timed(each, samples, whole) for each in (own, other))
    gaps = [
        likelihood(values, one) - likelihood(values, two)
        for values, one, two in zip(samples, ours, theirs, strict=True)
    ]
    levels = [
        abs(one.level(PERIOD) / two.level(PERIOD) - 1)
        for one, two in zip(ours, theirs, strict=True)
    ]
    return {
        "benchmark": "extremes",
        "law": kind,
        "shape": shape,
        "ms": {"geobench": round(quick, 2), "scipy": round(slow, 2)},
        "times": round(slow / quick, 1),
        "level": float(f"{max(levels):.1e}"),
        "worse": {
            "geobench": sum(gap < -1e-3 for gap in gaps),
            "scipy": sum(gap > 1e-3 for gap in gaps),
        },
    }


def main() -> None:
    """Print a line for each law and shape."""
    resamples = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for kind in ("gev", "gpd"):
        for shape in (-0.2, 0.0, 0.2):
            print(json.dumps(compare(kind, shape, resamples)), flush=True)


if __name__ == "__main__":
    main()
