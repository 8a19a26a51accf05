"""Excess by law forms: how often intervals cover, false alarms, and the cost beside outcome forms.

python benchmarks/law_forms.py [WORLDS]

JSON lines. `board`: simulated boards of fresh oracles. A world has a normal law on a ring of eight
sites, three lead times, 16 members, and 64 draws of the law for each case, which all models share.
`covers`: share of the 95 % intervals of the mean excess that hold 0, and its error by chance; of
single lead times `covers_lead`. `suspicious`: share of the models that are said to be better than
the law. `width`: mean width of the interval over that by the outcome. `cost`: CPU time over that of
the outcome form, at 64 members, and at 16 members over the outcome form of 64; 64 draws.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from timing import interleaved, tell

from geobench import Context, Scorer, scoring
from geobench.board.excess import Excess
from geobench.board.score_columns import better_than_law
from geobench.registry import Registry
from geobench.statistics.estimates import estimates
from geobench.statistics.resampling import Resampling

DIMS = ("init_time", "lead_time", "member", "variable", "x")
SITES, LEADS, MEMBERS, DRAWS, MODELS = 8, 3, 16, 64, 3
COST_INITS, COST_SITES = 200, 40
SCORERS = ("crps", "energy", "brier", "variogram")


def world(key: int, inits: int, counts: list[int], sites: int = SITES) -> list[xr.DataArray]:
    """Ensembles of so many members, and the outcome first, of one law: the case's mean is known."""
    random = np.random.Generator(np.random.Philox(key=key))

    def smooth(members: int) -> Any:
        white = random.standard_normal((inits, LEADS, members, 1, sites), dtype=np.float32)
        white += np.roll(white, 1, -1)
        return white.cumsum(1) / np.sqrt(2 * np.arange(1, LEADS + 1))[:, None, None, None]

    mean = smooth(1)
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(LEADS)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    return [xr.DataArray((mean + smooth(each)).astype(np.float32), coords, DIMS) for each in counts]


def known(law: xr.DataArray) -> Context:
    """Thresholds at the 90 and 99 % quantiles of the climate, whose variance is 2."""
    std = xr.DataArray(np.full((1, law.sizes["x"]), 2**0.5), {"variable": ["q"]}, ("variable", "x"))
    limits = xr.concat([1.2816 * std, 2.3263 * std], xr.DataArray([0.9, 0.99], dims="quantile"))
    sea = xr.DataArray(np.ones(law.sizes["x"], bool), dims="x")
    return Context(limits.assign_coords(quantile=[0.9, 0.99]), sea, std, law, periodic=("x",))


def one(scorer: Scorer, key: int, inits: int, resampling: Resampling) -> dict[str, list[Any]]:
    """One board of fresh oracles: whether intervals hold 0, flags, widths."""
    drawn = world(key, inits, [1, DRAWS, *[MEMBERS] * MODELS])
    truth, law, models = drawn[0].isel(member=0, drop=True), drawn[1], drawn[2:]
    form, context = scorer.law_form(), known(law)
    assert isinstance(form, Scorer)
    found = [scorer.statistics(each, truth, context) for each in (law, *models)]
    against = [form.statistics(each, truth, context) for each in models]
    told: dict[str, list[Any]] = {"covers": [], "covers_lead": [], "flags": [], "width": []}
    by_outcome = scoring.scores(scorer, found, resampling).values()
    by_law = scoring.scores(form, against, resampling).values()
    flags = np.zeros(MODELS, bool)
    for outcome, excess in zip(by_outcome, by_law, strict=True):
        paired = outcome[1:] - outcome[0]
        for tested, further in Excess(form.name, excess, paired - excess).too_good():
            mean_errors, cell_errors = map(resampling.errors, (4.0 + further, 5.0 + further))
            flags |= better_than_law(tested, cell_errors).any(-1)
            flags |= better_than_law(tested.mean(-1, keepdims=True), mean_errors)[:, 0]
        for own, other in zip(excess, paired, strict=True):
            leads = estimates(own)
            mean, wide = (estimates(each.mean(-1, keepdims=True))[0] for each in (own, other))
            told["covers"].append(mean.low < 0 < mean.high)
            told["covers_lead"] += [each.low < 0 < each.high for each in leads]
            told["width"].append((mean.high - mean.low) / (wide.high - wide.low))
    told["flags"] += flags.tolist()
    return told


def boards(name: str, inits: int, worlds: int) -> dict[str, Any]:
    """Simulate boards of fresh oracles."""
    scorer, resampling = Registry().scorer(name), Resampling(np.arange(inits), 2000)
    every: dict[str, list[Any]] = {"covers": [], "covers_lead": [], "flags": [], "width": []}
    for key in range(worlds):
        for what, own in one(scorer, key, inits, resampling).items():
            every[what] += own
    share = {what: float(np.mean(own)) for what, own in every.items()}
    return {
        "board": name,
        "inits": inits,
        "worlds": worlds,
        "covers": share["covers"],
        "by_chance": (share["covers"] * (1 - share["covers"]) / worlds) ** 0.5,
        "covers_lead": share["covers_lead"],
        "suspicious": share["flags"],
        "models": len(every["flags"]),
        "width": share["width"],
    }


def costs() -> Iterator[dict[str, Any]]:
    """CPU time of a law form over that of its outcome form."""
    one, few, many, law = world(1, COST_INITS, [1, 16, 64, DRAWS], COST_SITES)
    truth = one.isel(member=0, drop=True)
    registry = Registry()
    for kind, name in registry.offers:
        if kind != "scorer" or (form := registry.scorer(name).law_form()) is None:
            continue
        assert isinstance(form, Scorer)
        jobs = {
            "outcome": (registry.scorer(name), many),
            "law": (form, many),
            "law of few": (form, few),
        }

        def run(scorer: Scorer, members: xr.DataArray) -> Any:
            return lambda: scorer.statistics(members, truth, known(law))

        took = interleaved(
            {what: run(*each) for what, each in jobs.items()}, clock=time.process_time
        )
        yield {
            "cost": name,
            "outcome_seconds": took["outcome"],
            "law_over_outcome": took["law"] / took["outcome"],
            "law_of_16_over_outcome_of_64": took["law of few"] / took["outcome"],
        }


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for name in SCORERS:
        for inits in (24, 64, 256):
            tell(**boards(name, inits, count))
    for each in costs():
        tell(**each)
