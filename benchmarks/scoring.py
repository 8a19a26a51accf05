"""Scores of ensembles, beside three libraries: time of one thread, two threads, memory.

python benchmarks/scoring.py

JSON lines. Inputs are float32, as forecasts are stored: 200 inits x 20 leads x 40 sites, and 16
inits x 10 leads x 3 variables x 64 x 64, with 10 and 50 members. Times are CPU time, the least of
several turns; jobs take turns in one process. Peers are called in their quickest form that is right
(scoringrules with numba, but for the variogram score, where that is slower; xskillscore's CRPS is
the plain one). A call of ours is for the fair and the plain score, one of a peer for what its name
says; `best_peer` is whose time the ratio is of. `fused` is one pass for fair and plain CRPS, mean,
variance, ranks and, at three thresholds, Brier score and threshold-weighted CRPS; beside it stands
the sum of the quickest peer for each. Of the last that is the quickest CRPS above, fair or plain,
of members and outcomes cut off; a second ratio leaves it out. `law over outcome` compares the
excess over the law, by 64 draws, of 64 and of 16 members with the score of 64 members against an
outcome.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scores.probability
import scoringrules
import torch
import xarray as xr
import xskillscore
from timing import forget_peak, in_a_new_process, interleaved, peak_bytes, tell

from geobench_plugins.kernels import fields, law_fields, law_marginals
from geobench_plugins.kernels.marginals import marginals

LIMITS = (0.5, 1.0, 1.5)
CASES = {"lorenz95": (200, 20, 40), "ocean": (16, 10, 3 * 64 * 64)}
WEIGHED = (
    "geobench",
    "geobench energy",
    "scoringrules fair",
    "scoringrules qd (plain)",
    "xskillscore (plain)",
    "scores fair",
)
Jobs = dict[str, Callable[[], object]]


def data(name: str, members: int) -> tuple[Any, Any]:
    """Members `(case, member, point)` and outcomes `(case, point)`."""
    inits, leads, points = CASES[name]
    random = np.random.Generator(np.random.Philox(key=1))
    x = random.standard_normal((inits * leads, members, points), dtype=np.float32)
    return x, random.standard_normal((inits * leads, points), dtype=np.float32)


def crps(x: Any, y: Any) -> Jobs:
    """CRPS at every point."""
    forecast = xr.DataArray(x, dims=("case", "member", "point"))
    truth = xr.DataArray(y, dims=("case", "point"))
    none = np.empty((0, x.shape[2]), np.float32)
    weights, keys = np.ones((1, x.shape[2])), np.arange(len(x))

    def rules(estimator: str) -> Callable[[], object]:
        return lambda: scoringrules.crps_ensemble(
            y, x, m_axis=1, estimator=estimator, backend="numba"
        )

    return {
        "geobench": lambda: marginals(x, y, weights, none, keys),
        "scoringrules fair": rules("fair"),
        "scoringrules pwm (fair)": rules("pwm"),
        "scoringrules qd (plain)": rules("qd"),
        "scores fair": lambda: scores.probability.crps_for_ensemble(
            forecast, truth, "member", method="fair", preserve_dims="all"
        ),
        "xskillscore (plain)": lambda: xskillscore.crps_ensemble(truth, forecast, dim=[]),
    }


def others(x: Any, y: Any) -> dict[str, Jobs]:
    """Peers for the rest of the fused pass."""
    forecast = xr.DataArray(x, dims=("case", "member", "point"))
    truth = xr.DataArray(y, dims=("case", "point"))

    def brier_of_rules() -> object:
        return [scoringrules.brier_score((y > t).astype(float), (x > t).mean(1)) for t in LIMITS]

    return {
        "mean and variance": {
            "xarray": lambda: (forecast.mean("member"), forecast.var("member", ddof=1)),
            "numpy": lambda: (x.mean(1), x.var(1, ddof=1)),
        },
        "ranks": {
            "xskillscore": lambda: xskillscore.rank_histogram(
                truth, forecast, dim="point", random_for_tied=False
            ),
            "scores": lambda: scores.probability.rank_histogram(
                forecast, truth, "member", preserve_dims=["case"]
            ),
        },
        "brier": {
            "scoringrules": brier_of_rules,
            "xskillscore": lambda: [
                xskillscore.brier_score(truth > t, forecast > t, member_dim="member", dim=[])
                for t in LIMITS
            ],
        },
    }


def cut_off(x: Any, y: Any, peer: str) -> Jobs:
    """Threshold-weighted CRPS: the CRPS of max(x, t) and max(y, t)."""

    def above(t: np.float32) -> object:
        return crps(np.maximum(x, t), np.maximum(y, t))[peer]()

    return {peer: lambda: [above(np.float32(t)) for t in LIMITS]}


def energy(x: Any, y: Any) -> Jobs:
    """Energy score of whole states."""
    weights = np.ones(x.shape[2])
    return {
        "geobench": lambda: fields.energy_score(x, y, weights),
        "scoringrules (plain)": lambda: scoringrules.es_ensemble(
            y, x, m_axis=1, v_axis=2, backend="numba"
        ),
    }


def variogram(x: Any, y: Any) -> Jobs:
    """Variogram score, p = 0.5, all pairs of at most 64 points."""
    x, y = (np.ascontiguousarray(each[..., : min(64, x.shape[2])]) for each in (x, y))
    pairs = np.stack(np.triu_indices(x.shape[2], 1), -1)
    weights = np.full(len(pairs), 2.0)
    return {
        "geobench": lambda: fields.variogram(x, y, pairs, weights, 0.5),
        "scoringrules (plain)": lambda: scoringrules.vs_ensemble(y, x, m_axis=1, v_axis=2, p=0.5),
    }


def against_the_law(name: str, draws: int = 64) -> None:
    """Scores by draws of the law beside those by an outcome, with and without thresholds."""
    x, y = data(name, draws)
    law, few = data(name, draws + 1)[0][:, 1:], x[:, :16].copy()
    weights, keys, share = np.ones((1, x.shape[2])), np.arange(len(x)), np.ones(x.shape[2])
    limits = np.repeat(np.array(LIMITS, np.float32)[:, None], x.shape[2], 1)
    law = np.ascontiguousarray(law)
    for score, levels in (("crps", limits[:0]), ("crps and 3 thresholds", limits)):
        ratios(
            score,
            name,
            {
                "outcome, 64": lambda levels=levels: marginals(x, y, weights, levels, keys),
                "law, 64": lambda levels=levels: law_marginals.excess(x, law, weights, levels),
                "law, 16": lambda levels=levels: law_marginals.excess(few, law, weights, levels),
            },
        )
    ratios(
        "energy",
        name,
        {
            "outcome, 64": lambda: fields.energy_score(x, y, share),
            "law, 64": lambda: law_fields.excess_energy(x, law, share),
            "law, 16": lambda: law_fields.excess_energy(few, law, share),
        },
    )


def ratios(score: str, name: str, jobs: Jobs) -> None:
    """One line: milliseconds, and the law's over the outcome's."""
    best = interleaved(jobs, clock=time.process_time, repeats=5, least=0.01)
    tell(
        benchmark="scoring",
        score=f"law over outcome: {score}",
        data=name,
        cpu_ms={job: round(1e3 * seconds, 1) for job, seconds in best.items()},
        ratio_of_64=best["law, 64"] / best["outcome, 64"],
        ratio_of_16=best["law, 16"] / best["outcome, 64"],
    )


def told(score: str, name: str, members: int, best: dict[str, float]) -> str:
    """One line: seconds, and the quickest peer over ours; return that peer."""
    own = best["geobench"]
    peers = {peer: seconds for peer, seconds in best.items() if peer != "geobench"}
    tell(
        benchmark="scoring",
        score=score,
        data=name,
        members=members,
        cpu_ms={job: round(1e3 * seconds, 1) for job, seconds in best.items()},
        best_peer=(quickest := min(peers, key=peers.__getitem__)),
        ratio_to_best_peer=peers[quickest] / own,
    )
    return quickest


def compare(name: str, members: int) -> None:
    """All scores of one input."""
    x, y = data(name, members)
    clock, few = time.process_time, {"repeats": 3, "least": 0.01}
    best = interleaved(crps(x, y), clock=clock, **few)  # type: ignore[arg-type] # two numbers
    peer = told("crps, moments, ranks", name, members, best)
    limits = np.repeat(np.array(LIMITS, np.float32)[:, None], x.shape[2], 1)
    weights, keys = np.ones((1, x.shape[2])), np.arange(len(x))
    jobs: Jobs = {"geobench": lambda: marginals(x, y, weights, limits, keys)}
    fair = min(v for k, v in best.items() if "fair" in k)
    plain = min(v for k, v in best.items() if "plain" in k)
    quickest = {"fair crps": fair, "plain crps": plain}
    last = "threshold-weighted crps"
    rest = others(x, y) | {last: cut_off(x, y, peer)}
    for metric, peers in rest.items():
        quickest[metric] = min(interleaved(peers, clock=clock, **few).values())  # type: ignore[arg-type]
    own = interleaved(jobs, clock=clock, **few)["geobench"]  # type: ignore[arg-type]
    tell(
        benchmark="scoring",
        score="fused",
        data=name,
        members=members,
        cpu_ms={"geobench": round(1e3 * own, 1)}
        | {metric: round(1e3 * seconds, 1) for metric, seconds in quickest.items()},
        ratio_to_peers_summed=sum(quickest.values()) / own,
        ratio_without_threshold_weighted=(sum(quickest.values()) - quickest[last]) / own,
    )
    for score, make in (("energy", energy), ("variogram", variogram)):
        told(score, name, members, interleaved(make(x, y), clock=clock, **few))  # type: ignore[arg-type]


def memory(job: str) -> None:
    """Print what a job needs beside its input, bytes."""
    x, y = data("ocean", 50)
    chosen = crps(x, y) | {"geobench energy": energy(x, y)["geobench"]}
    small = x[:2].copy(), y[:2].copy()
    (crps(*small) | {"geobench energy": energy(*small)["geobench"]})[job]()  # compile
    began = forget_peak()
    chosen[job]()
    print(peak_bytes() - began)


def main() -> None:
    """Everything, or what a job needs beside its input."""
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        memory(sys.argv[1])
        return
    for name in CASES:
        for members in (10, 50):
            compare(name, members)
        against_the_law(name)
    used = {job: round(int(in_a_new_process(__file__, job)) / 1e6) for job in WEIGHED}
    tell(benchmark="scoring", score="memory beside 393 MB", megabytes=used)
    own = crps(*data("ocean", 50))["geobench"]
    jobs: Jobs = {}
    for threads in (1, 2):

        def on(threads: int = threads) -> None:
            torch.set_num_threads(threads)
            own()

        jobs[str(threads)] = on
    best = interleaved(jobs, repeats=5)
    tell(benchmark="scoring", score="two threads over one", speedup=best["1"] / best["2"])


if __name__ == "__main__":
    main()
