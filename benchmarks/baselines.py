"""Every learned preset beside itself less one ingredient: none may lose to a part of itself.

python benchmarks/baselines.py [--file FILE] [--only NAME ...] [--passes N] [--table]

One training each on `lorenz95`, with the networks of the study: a ResNet of width 32, 64 rows,
100,000 sample-passes. Each preset stands beside the same preset with one field, or its stages, set
back to the default of its family (`Emulator`, `Generative`), or with one part of its own left out.
Forecasts of 128 inits, 8 members and 10 lead times are compared with 128 draws of the true
distribution, which are made once: the score is `law-crps`, the excess CRPS in expectation.

Where a preset loses to a variant of itself beyond the 95 % interval of the difference over inits,
both are trained with two more seeds, and the difference is judged over the trainings.

Each training adds a JSON line to FILE (default: results/baselines.jsonl). It holds the mean excess
over inits and lead times with its 95 % interval; the excess by lead time and by init; the standard
deviation of the members over that of the draws; the seconds that one core was busy with training
and with forecasting. A line that FILE already holds is not made again. `--table` only prints FILE
as a markdown table.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor

from geobench import EnsembleModel, Fields, Forecaster, GeobenchError, Noise, Run, Task, Training
from geobench.contracts.law import Law
from geobench.describe import draws as law_draws
from geobench.forecasts.rollout import Cost, of_block
from geobench.registry import Registry, merged
from geobench.twin.simulating import trajectories

RESULTS = Path(__file__).parent / "results" / "baselines.jsonl"
INITS, MEMBERS, DRAWS, LEADS, HISTORY = 128, 8, 128, 10, 5
SEEDS = (0, 1, 2)
STUDY: dict[str, Any] = {
    "backbone": {"kind": "resnet", "width": 32},
    "training": {"rows": 64, "validations": 0, "smallest_spread": 0},
}

# Presets and the family whose defaults their fields are set back to; None: no family.
PRESETS: dict[str, str | None] = {
    "aifs-crps": "fgn",
    "mc-dropout": "fgn",
    "gaussian": None,
    "archesweather-gen": "flow-matching",
    "crps-lam": "fgn",
    "fgn": None,
    "energy-net": "fgn",
    "flow-matching": None,
    "flow-map": None,
    "gencast": "flow-matching",
    "aifs": "fgn",
    "archesweather": "fgn",
}

# Parts of a preset's own, left out; and variants that two fields make together.
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "gaussian": {
        "rank: 0": {"rank": 0},
        "local: 0": {"local": 0},
        "rank: 0, local: 0": {"rank": 0, "local": 0},
        "diagonal: 0": {"diagonal": 0.0},
    },
    "archesweather-gen": {"tuning_share: 0": {"tuning_share": 0.0}, "seeds: 4": {"seeds": 4}},
    "mc-dropout": {"noise of fgn": {"conditioning": {"how": "scale-shift", "noise": "global"}}},
    "flow-map": {"flow-matching": {"use": "flow-matching", "sampler": {"evaluations": 2}}},
    "aifs": {"ensemble: perturbed": {"ensemble": "perturbed"}},
    "gencast": {"evaluations: 39": {"sampler": {"evaluations": 39}}},
}

# Runs that isolate why a preset loses; they are no ingredients.
CAUSES: dict[str, dict[str, dict[str, Any]]] = {
    # Does the ensemble phase lack a schedule, or budget? Or does a vector of noise start badly from
    # a network that has learned to do without?
    "crps-lam": {
        "schedules: one": {"schedules": "one"},
        "twice the budget": {"training": {"passes": 200_000}},
        "alone: 0.1": {"alone": 0.1},
        "noise: local": {"conditioning": {"noise": "local"}},
        "noise: local, alone: 0": {"conditioning": {"noise": "local"}, "alone": 0.0},
    },
}

# What is made first: the pairs in which a fault was found before.
FIRST = (
    ("mc-dropout", ("", "alone: 0")),
    ("aifs-crps", ("", "flag: False", "training.stages: 1 stage")),
    ("gaussian", ("", "rank: 0, local: 0")),
    ("archesweather-gen", ("", "seeds: 4")),
    ("crps-lam", ("", "alone: 0", *CAUSES["crps-lam"])),
    ("fgn", ("",)),
)


class Job(NamedTuple):
    """One training and its forecast."""

    preset: str
    changed: str
    recipe: dict[str, Any]
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What a line of the file is found by, beside its budget."""
        return self.preset, self.changed, self.seed


# -- which models


def leaves(fields: Fields, under: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values of the fields; a group of several kinds and the stages stay whole."""
    for name in type(fields).model_fields:
        value, path = getattr(fields, name), f"{under}{name}"
        whole = name in ("objective", "backbone") and under == ""
        if isinstance(value, Fields) and not whole:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def set_back(preset: EnsembleModel, family: EnsembleModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names of the fields in which the preset differs, and the change that undoes each."""
    defaults = dict(leaves(family))
    for path, value in leaves(preset):
        if path not in defaults or value == defaults[path]:
            continue
        default = defaults[path]
        plain = default.model_dump(mode="json") if isinstance(default, Fields) else default
        if path == "training.stages":
            plain = [stage.model_dump(mode="json") for stage in default]
        change: Any = plain
        for key in reversed(path.split(".")):
            change = {key: change}
        yield f"{path}: {_short(path, default)}", change


def _short(path: str, value: Any) -> str:
    if path == "training.stages":
        return f"{len(value)} stage"
    if isinstance(value, Fields):
        told = value.model_dump(mode="json")
        return " ".join(
            f"{each:g}" if isinstance(each, float) else str(each) for each in told.values()
        )
    return f"{value:g}" if isinstance(value, float) else str(value)


def variants(registry: Registry, preset: str) -> dict[str, dict[str, Any]]:
    """Return changes of a preset by name, that without any first."""
    family, found = PRESETS[preset], {"": {}}
    if family:
        found |= dict(set_back(registry.model(preset), registry.model(family)))
    return found | PARTS.get(preset, {}) | CAUSES.get(preset, {})


def jobs(registry: Registry, only: Iterable[str], passes: int) -> Iterator[Job]:
    """Return one job for each preset and variant that can be made, of the first seed."""
    base = merged(STUDY, {"training": {"passes": passes}})
    for preset in only:
        for name, change in variants(registry, preset).items():
            recipe = merged(base | {"use": preset}, change)
            try:
                registry.model(recipe)
            except (GeobenchError, ValidationError) as error:
                print(f"{preset}, {name}: cannot be made: {error}", file=sys.stderr)
                continue
            yield Job(preset, name, recipe, SEEDS[0])


def in_order(every: Iterable[Job]) -> list[Job]:
    """Those of `FIRST` before all others."""
    first = [(preset, changed) for preset, names in FIRST for changed in names]
    return sorted(
        every,
        key=lambda job: first.index(job.key[:2]) if job.key[:2] in first else len(first),
    )


# -- what they are tried on


class Twin:
    """The dataset, the states that forecasts start from, and draws of the true distribution."""

    def __init__(self, registry: Registry) -> None:
        experiment = registry.experiment({"use": "lorenz95"}, "lorenz95")
        simulator = registry.simulator(experiment.simulator)
        split, spin_up = experiment.train, experiment.spin_up
        made = {
            name: trajectories(
                simulator, Noise.rows(seed, f"baselines/{name}", rows), spin_up=spin_up, steps=steps
            )
            for name, rows, steps, seed in (
                ("train", split.trajectories, split.steps, 0),
                ("test", INITS, HISTORY, 1),
            )
        }
        self.task = Task(simulator.spec, simulator.output_step, HISTORY)
        train = made["train"].float()
        self.training = Training(self.task, train, train[:4])
        self.histories = made["test"].float()
        blocks = law_draws.draw(
            Law(simulator),
            self.histories[:, -1],
            members=DRAWS,
            leads=range(1, LEADS + 1),
            seed=2,
        )
        self.law = torch.cat([*blocks]).transpose(1, 2)  # (init, lead, draw, channel, site)
        self.within = _pairs(self.law)

    def excess(self, members: Tensor) -> Tensor:
        """Excess CRPS `(init, lead)` of members `(init, lead, member, channel, site)`.

        E|x - y| - E|x - x'| / 2 - E|y - y'| / 2, members x and draws y, each mean over all pairs.
        """
        x, y = members.double(), self.law.double()
        m, k = x.shape[2], y.shape[2]
        both = _pairs(torch.cat([x, y], 2)) * (m + k) * (m + k - 1) / 2
        own, law = _pairs(x), self.within
        across = (both - own * m * (m - 1) / 2 - law * k * (k - 1) / 2) / (m * k)
        return (across - own / 2 - law / 2).flatten(2).mean(2)

    def spread(self, members: Tensor) -> float:
        """Standard deviation of the members over that of the draws, variances averaged first."""
        return float((members.double().var(2).mean() / self.law.double().var(2).mean()).sqrt())


def _pairs(members: Tensor) -> Tensor:
    """Mean |x - x'| over pairs of two members, dim 2, by their order, centred first."""
    count = members.shape[2]
    ranked = members.double()
    ranked = (ranked - ranked.mean(2, keepdim=True)).sort(2).values
    order = 2.0 * torch.arange(1, count + 1, dtype=torch.float64) - count - 1
    total = (ranked * order.view(1, 1, -1, *[1] * (ranked.ndim - 3))).sum(2)
    return total * 2 / (count * (count - 1))


class Bench:
    """Trains and scores jobs; weights of the last trainings are kept for other samplers."""

    def __init__(self, registry: Registry, twin: Twin, passes: int) -> None:
        self._registry, self._twin, self._passes = registry, twin, passes
        self._trained: dict[str, tuple[Mapping[str, Tensor], float]] = {}

    def row(self, job: Job) -> dict[str, Any]:
        """Return the line of a job."""
        model = self._registry.model(job.recipe)
        forecaster, seconds = self._fitted(model, job.seed)
        cost, began = Cost(), time.process_time()
        histories = self._twin.histories
        members = of_block(
            forecaster,
            histories,
            (range(len(histories)), range(MEMBERS)),
            leads=LEADS,
            seed=job.seed,
            spec=self._twin.task.spec,
            cost=cost,
        )
        excess = self._twin.excess(members)
        by_init = excess.mean(1)
        half = 1.96 * float(by_init.std()) / math.sqrt(INITS)
        mean = float(by_init.mean())
        return {
            "benchmark": "baselines",
            "preset": job.preset,
            "changed": job.changed,
            "seed": job.seed,
            "version": model.version,
            "passes": self._passes,
            "excess": _round(mean),
            "interval": [_round(mean - half), _round(mean + half)],
            "spread_ratio": round(self._twin.spread(members), 3),
            "training_seconds": round(seconds, 1),
            "forecast_seconds": round(time.process_time() - began, 1),
            "evaluations": round(cost.summary(LEADS)["evaluations_per_step"], 2),
            "excess_by_lead": [_round(float(each)) for each in excess.mean(0)],
            "excess_by_init": [_round(float(each)) for each in by_init],
        }

    def _fitted(self, model: EnsembleModel, seed: int) -> tuple[Forecaster, float]:
        trained = model.trained()
        key = json.dumps([trained.recipe(), seed], sort_keys=True)
        if key not in self._trained:
            began = time.process_time()
            fitted = trained.fit(self._twin.training, Run(seed=seed))
            weights = {name: value.clone() for name, value in fitted.weights().items()}
            self._trained[key] = weights, time.process_time() - began
        weights, seconds = self._trained[key]
        return model.restore(weights, self._twin.task), seconds


def _round(value: float) -> float:
    return float(f"{value:.4g}")


# -- what is read from the file


Rows = dict[tuple[str, str, int], dict[str, Any]]


def read(file: Path, passes: int) -> Rows:
    """Return the lines of the file with this budget, by preset, change and seed."""
    if not file.exists():
        return {}
    lines = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return {
        (line["preset"], line["changed"], line["seed"]): line
        for line in lines
        if line["passes"] == passes
    }


def loss(rows: Rows, preset: str, changed: str) -> tuple[float, float, int]:
    """How much more excess the preset has than its variant, half its 95 % interval, and seeds.

    With one training each the interval is over inits; with several over trainings (Welch's t).
    """
    seeds = [s for s in SEEDS if (preset, "", s) in rows and (preset, changed, s) in rows]
    own, other = (
        [rows[preset, name, seed]["excess_by_init"] for seed in seeds] for name in ("", changed)
    )
    if len(seeds) == 1:
        apart = [a - b for a, b in zip(own[0], other[0], strict=True)]
        half = 1.96 * statistics.stdev(apart) / math.sqrt(len(apart))
        return statistics.fmean(apart), half, 1
    means = [[statistics.fmean(each) for each in part] for part in (own, other)]
    squares = [statistics.variance(part) / len(part) for part in means]
    freedom = sum(squares) ** 2 / sum(s**2 / (len(seeds) - 1) for s in squares)
    half = _student(freedom) * math.sqrt(sum(squares))
    return statistics.fmean(means[0]) - statistics.fmean(means[1]), half, len(seeds)


def _student(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def losing(rows: Rows) -> list[tuple[str, str]]:
    """Presets and variants that they lose to beyond the interval, with the trainings so far."""
    pairs = [
        (preset, changed)
        for preset, changed, seed in rows
        if changed and seed == SEEDS[0] and changed not in CAUSES.get(preset, {})
    ]
    found = []
    for preset, changed in pairs:
        if (preset, "", SEEDS[0]) in rows:
            more, half, _ = loss(rows, preset, changed)
            if more > half:
                found.append((preset, changed))
    return found


def table(rows: Rows) -> str:
    """Markdown: a line for each preset and variant."""
    lines = [
        "| preset | changed | excess CRPS | spread ratio | preset less variant | trainings | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, changed, seed in rows:
        if seed != SEEDS[0]:
            continue
        every = [rows[preset, changed, s] for s in SEEDS if (preset, changed, s) in rows]
        first, seconds = every[0], statistics.fmean(each["training_seconds"] for each in every)
        mean = statistics.fmean(each["excess"] for each in every)
        low, high = first["interval"]
        told = f"{mean:.4f}" + (f" [{low:.4f}, {high:.4f}]" if len(every) == 1 else "")
        apart, count = "", len(every)
        if changed and (preset, "", SEEDS[0]) in rows:
            more, half, count = loss(rows, preset, changed)
            loses = more > half and changed not in CAUSES.get(preset, {})
            apart = f"{more:+.4f} ± {half:.4f}" + (" **loses**" if loses else "")
        spread = statistics.fmean(each["spread_ratio"] for each in every)
        lines.append(
            f"| `{preset}` | {changed or '(as it is)'} | {told} | {spread:.2f} | {apart} | {count} "
            f"| {seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Make the lines that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--file", type=Path, default=RESULTS, help="JSON lines, added to")
    parser.add_argument("--only", nargs="+", default=list(PRESETS), help="presets to try")
    parser.add_argument("--passes", type=int, default=100_000, help="sample-passes of a training")
    parser.add_argument(
        "--table", action="store_true", help="print the lines with this budget as a table"
    )
    given = parser.parse_args()
    rows = read(given.file, given.passes)
    if given.table:
        print(table(rows))
        return
    torch.set_num_threads(1)
    registry = Registry()
    wanted = in_order(jobs(registry, given.only, given.passes))
    bench = Bench(registry, Twin(registry), given.passes)

    def make(every: Iterable[Job]) -> None:
        for job in every:
            if job.key not in rows:
                rows[job.key] = bench.row(job)
                with given.file.open("a") as out:
                    out.write(json.dumps(rows[job.key]) + "\n")
                row = rows[job.key]
                print(job.key, row["excess"], row["training_seconds"], file=sys.stderr, flush=True)

    def again() -> None:
        pairs = losing(rows)
        names = {preset: {""} for preset, _ in pairs}
        for preset, changed in pairs:
            names[preset].add(changed)
        make(
            job._replace(seed=seed)
            for job in wanted
            for seed in SEEDS[1:]
            if job.changed in names.get(job.preset, ())
        )

    first = [
        job
        for job in wanted
        if job.preset in dict(FIRST) and job.changed in dict(FIRST)[job.preset]
    ]
    for part in (first, wanted):
        make(part)
        again()


if __name__ == "__main__":
    main()
