"""The board: every score with its interval, its excess over the reference, its skill.

The excess is paired: model and reference are resampled with the same cases, so what both find hard
cancels. The skill is 0 for the baseline (climatology) and 1 for the reference (the true
distribution). Rows are numbered by the mean excess of the first score; rank ranges and the model
confidence set are of it, too, and hold for all entries at once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from geobench.cases import check_whole, member_counts
from geobench.entries.recipes import is_imported
from geobench.interfaces.scorer import IDEALS, Orientation, Scorer
from geobench.interfaces.scorer import excess as _excess
from geobench.leaderboard import confidence_set, pairs, soundness
from geobench.leaderboard import excess as excesses
from geobench.leaderboard.estimates import LEVEL, Estimate, estimate, estimates
from geobench.leaderboard.seeds import Mean, Summary, means, summaries
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.leaderboard.estimates import Draws
    from geobench.resampling import Resampling

# Standard errors better than the law. By chance: once in 30,000 rows for the mean that ranks, once
# in 3 million for each lead time of each score. Law forms are skewed: see `excess.SKEWED`.
_SUSPICIOUS_MEAN, _SUSPICIOUS_CELL = 4.0, 5.0


@dataclass(frozen=True, eq=False)
class Competitor:
    """A scored forecast. `scores` stand in the order of the board's scorers."""

    label: str
    seed: int
    forecaster: Entry
    forecast: Entry
    scores: Sequence[Entry]
    others: "Sequence[Competitor]" = ()
    """Further seeds of the model, of which it stands for the mean."""
    joined: bool = False
    """Whether it stands for all seeds of its model, be there one or several."""

    against_law: Mapping[int, Entry] = field(default_factory=dict)
    """Scores by the law forms of the board's scorers, by place in `scores`."""

    read: "dict[tuple[int, bool], xr.Dataset]" = field(default_factory=dict, repr=False)
    """Statistics that have been read, by place in `scores`, and whether by the law form."""

    @property
    def knows_law(self) -> bool:
        """Whether it is given the true distribution: it is then no candidate.

        Of what was imported nobody here knows, whatever its record claims.
        """
        return bool(self.forecaster.record.summary["knows_law"]) and not self.imported

    @cached_property
    def imported(self) -> bool:
        """Whether it came from elsewhere, and does not count as made here."""
        origins = self.forecaster.origin, self.forecast.origin
        return is_imported(self.forecaster.record) or "imported" in origins

    @property
    def trained(self) -> bool:
        """Whether it has parameters, which a training with another seed would change."""
        return bool(self.forecaster.record.summary.get("parameters"))

    @cached_property
    def copies(self) -> str:
        """Which members are copies of one another, by seed; "" if none."""
        found = {run.seed: soundness.copies(run.forecast) for run in self.runs}
        told = {seed: text for seed, text in found.items() if text}
        if len(set(told.values())) == 1 and len(told) == len(found):
            return next(iter(told.values()))
        return "; ".join(f"seed {seed}: {text}" for seed, text in told.items())

    def read_all(self, like: "Competitor") -> None:
        """Read the statistics of every score; `CatalogError` if any is damaged."""
        for place in range(len(self.scores)):
            self.statistics(place, like=like)
        for place in self.against_law:
            known = like if place in like.against_law else None
            self.statistics(place, like=known, against_law=True)

    @property
    def runs(self) -> "list[Competitor]":
        """All its seeds, itself first."""
        return [self, *self.others]

    def statistics(
        self, place: int, like: "Competitor | None" = None, *, against_law: bool = False
    ) -> "xr.Dataset":
        """Statistics of each case, of one scorer or its law form; they are read once.

        From one that is `like` it, coordinates are taken where they are the same.
        """
        key = place, against_law
        if key not in self.read:
            score = self._score(*key)
            self.read[key] = (
                score.load_like(like._score(*key), like.statistics(place, against_law=against_law))
                if like
                else score.load()
            )
        return self.read[key]

    def _score(self, place: int, against_law: bool) -> Entry:
        return self.against_law[place] if against_law else self.scores[place]


def over_seeds(competitors: Sequence[Competitor]) -> list[Competitor]:
    """Join the seeds of each model into one competitor, in the order of their labels."""
    by_label: dict[str, list[Competitor]] = {}
    for each in competitors:
        by_label.setdefault(each.label, []).append(each)
    return [replace(first, others=rest, joined=True) for first, *rest in by_label.values()]


@dataclass(frozen=True)
class Cell:
    """One score of one model at one lead time. `skill` is None where climatology has no excess."""

    score: Estimate
    excess: Estimate
    skill: Estimate | None


@dataclass
class Column:
    """One score."""

    name: str
    scorer: str
    version: str
    better: Orientation
    fair: bool
    units: str
    cells: list[list[Cell]] = field(default_factory=list)
    """By row of the board, then by lead time."""
    excess_from: str = excesses.OUTCOME
    """Where excess and skill come from: the name of the law form, or 'outcome'."""


@dataclass
class Row:
    """One model."""

    label: str
    seed: int
    rank: int | None
    """Place by excess, from 1; None: it knows the true distribution, and is no candidate."""
    excess: Estimate
    failed: int
    knows_law: bool
    suspicious: bool
    parameters: int | None
    """None: nothing is known of the model, as of `sample_passes`, and its cost is NaN."""
    sample_passes: int | None
    training_seconds: float
    evaluations: float
    seconds_per_member: float
    members: int
    entries: dict[str, str]
    set_p: float | None = None
    """Level at which it just leaves the model confidence set.

    None: it is no candidate, since it knows the law, or failed."""
    in_set: bool = False
    """Whether it may be the best model, with 95 %."""
    seeds: list[int] = field(default_factory=list)
    """All that the row is the mean of; `entries` are those of the first."""
    imported: bool = False
    """Whether somebody brought the forecast: how it was made is not known here."""
    device: str = "cpu"
    """Where it was trained; of trainings on several, all: their mean seconds say little."""
    rank_range: tuple[int, int] | None = None
    """The ranks that it may have, at 95 % for all rows at once."""
    missing_seeds: list[int] = field(default_factory=list)
    """Seeds of the study that the mean should hold and does not."""
    degenerate: str = ""
    """What is wrong with its members, if they are copies of one another."""
    deterministic: bool = False
    """Whether it has a single member, or says itself that all are equal."""
    fewest_members: int = 0
    """Of an init with the fewest; 0: all have `members`."""

    @property
    def ensemble(self) -> str:
        """Number of members, or the fewest and the most where inits differ."""
        fewest = self.fewest_members or self.members
        return str(self.members) if fewest == self.members else f"{fewest}–{self.members}"


@dataclass
class Board:
    """One experiment: rows in order of rank, columns with the ranking one first."""

    name: str
    title: str
    dataset: str
    reference: str
    baseline: str
    ranked_by: str
    cases: int
    lead_hours: list[float]
    rows: list[Row]
    columns: list[Column]
    notes: list[str]
    resampled: str = ""
    """What the bootstrap draws, in words."""
    models: list[Summary] = field(default_factory=list)
    """Those with several seeds, best first: the excess that ranks, over cases and seeds."""
    draws: int = 0
    """Draws of the bootstrap."""

    @property
    def seeds(self) -> list[int]:
        """Seeds of which every row is the mean; none where rows have one, or not all the same."""
        first = self.rows[0].seeds
        return first if len(first) > 1 and all(row.seeds == first for row in self.rows) else []

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return asdict(self)


def compare(
    name: str,
    title: str,
    dataset: Entry,
    scorers: Sequence[Scorer],
    *,
    reference: Competitor,
    baseline: Competitor,
    competitors: Sequence[Competitor],
    cases: "Sequence[int] | None" = None,
    forms: "Sequence[Scorer | None]" = (),
    seeds_of: Mapping[str, Sequence[int]] = MappingProxyType({}),
    deterministic: Collection[str] = (),
) -> Board:
    """Compare `competitors` (the baseline among them) with `reference`; default: on all cases.

    What several seeds joined (`over_seeds`) is the mean of their scores, over cases and seeds.
    `forms`: the law form of each scorer, from which its excess comes where all have such scores.
    `seeds_of`: those that such a mean should hold, by label. `deterministic`: labels of the models
    that say themselves that all their members are equal.
    """
    import numpy as np

    from geobench import scoring

    every = [reference, *competitors]
    runs = [run for each in every for run in each.runs]
    for run in runs:
        check_whole(run.forecast)
    forms = forms or [None] * len(scorers)
    resampling = resampled(dataset, scorers[0], every, cases, forms[0])
    base = 1 + list(competitors).index(baseline)
    columns: list[Column] = []
    ranking: list[Draws] = []
    placing: list[Mean] = []
    each_run: list[Draws] = []
    flags = np.zeros(len(competitors), bool)
    lead_hours: list[float] = []
    for place, (scorer, called) in enumerate(zip(scorers, _calls(scorers), strict=True)):
        found = [_some(run.statistics(place, like=every[1]), cases) for run in runs]
        lead_hours = (found[0]["lead_time"].to_numpy() / np.timedelta64(3600, "s")).tolist()
        scored = scoring.scores(scorer, found, resampling)
        own_excesses = excesses.excesses(
            scorer, forms[place], place, every, scored, resampling, cases
        )
        for (column, single), told in zip(scored.items(), own_excesses, strict=True):
            better = scorer.orientation(column)
            values = np.stack(_joined(every, list(single), resampling.degrees))
            own = Column(
                column + called,
                scorer.name,
                scorer.version,
                better,
                scorer.fair,
                scorer.units,
            )
            # A scorer that compares with draws of the true distribution is its own law form.
            own.excess_from = scorer.name if scorer.needs_law else told.source
            joint = _joint(told, better, every, values, resampling.degrees)
            own.cells = _cells(better, values[1:], joint[1:], joint[base], centred=not scorer.fair)
            columns.append(own)
            if scorer.fair and better not in IDEALS:
                for each, further in told.too_good():
                    tested = np.stack(_joined(every, list(each), resampling.degrees))
                    errors = resampling.errors(_SUSPICIOUS_CELL + further)
                    flags |= _better_than_law(tested[1:], errors).any(-1)
        if not ranking:
            first_run = sum(len(each.runs) for each in every[:base])
            singles = [told.runs for told in own_excesses]
            each_run = _ranking(singles, first_run)
            placing = _means(competitors, each_run, resampling.degrees)
            ranking = [own.draws for own in placing]
            for tests in zip(*(told.too_good() for told in own_excesses), strict=True):
                overall = _ranking([each for each, _ in tests], first_run, singles)
                tested = np.stack(_joined(competitors, overall, resampling.degrees))[..., None]
                errors = resampling.errors(_SUSPICIOUS_MEAN + tests[0][1])
                flags |= _better_than_law(tested, errors)[:, 0]
    if dataset.record.summary.get("inexact_law"):
        flags[:] = False  # a model may well be better than what stands for the law
    failed = [
        sum(int(run.forecast.record.summary["failed_members"]) for run in each.runs)
        for each in competitors
    ]
    counted = [not each.knows_law for each in competitors]
    ranks = pairs.ranks(placing, list(map(bool, failed)), resampling.degrees, counted=counted)
    rows = [
        _row(each, rank, excess, failed=bad, suspicious=bool(flag))
        for each, rank, excess, bad, flag in zip(
            competitors, ranks, ranking, failed, flags, strict=True
        )
    ]
    _mark_the_set(rows, placing, resampling.degrees)
    _mark_the_unsound(rows, competitors, seeds_of, deterministic)
    mine = runs[1:]
    finished = [
        np.nan * own if run.forecast.record.summary["failed_members"] else own
        for own, run in zip(each_run, mine, strict=True)
    ]
    labels, seeds = ([getattr(run, key) for run in mine] for key in ("label", "seed"))
    trained = [run.trained for run in mine]
    order = sorted(
        range(len(rows)),
        key=lambda i: (failed[i] > 0, np.nan_to_num(ranking[i][0], nan=np.inf)),
    )
    for own in columns:
        own.cells = [own.cells[i] for i in order]
    first = [column.name for column in columns if column.scorer == columns[0].scorer]
    return Board(
        name=name,
        title=title,
        dataset=str(dataset.reference),
        reference=str(reference.forecast.reference),
        baseline=baseline.label,
        ranked_by=(
            f"mean excess {first[0]} over the oracle"
            if len(first) == 1
            else f"mean excess over the oracle in {', '.join(first)}, each divided by that of "
            f"{baseline.label}"
        ),
        cases=resampling.weights.shape[1],
        lead_hours=lead_hours,
        rows=[rows[i] for i in order],
        columns=columns,
        notes=[
            *_few(resampling),
            *soundness.described(rows, scorers),
            *_one_seed(rows),
            *_pieces(dataset),
            *_inexact(dataset),
            *excesses.described(
                [(column.scorer, column.excess_from) for column in columns],
                int(reference.forecast.record.recipe["members"]),
                [
                    form.name
                    for place, form in enumerate(forms)
                    if form and not excesses.complete(place, competitors)
                ],
            ),
        ],
        resampled=resampling.described(),
        models=summaries(labels, seeds, finished, resampling.degrees, trained),
        draws=len(resampling.weights) - 1,
    )


def _some(found: "xr.Dataset", cases: "Sequence[int] | None") -> "xr.Dataset":
    """Some cases; None: all."""
    return found if cases is None else found.isel(init_time=list(cases))


def resampled(
    dataset: Entry,
    scorer: Scorer,
    every: Sequence[Competitor],
    cases: "Sequence[int] | None" = None,
    form: Scorer | None = None,
) -> "Resampling":
    """How cases are resampled, alike for all entries; `every` begins with the reference.

    `form`: the law form of the scorer. Blocks suit what depends for longest, the excess by it or by
    the outcome.
    """
    import numpy as np

    from geobench import resampling, scoring

    def series() -> Any:
        """Excess of each case, for each entry and column of the scorer that ranks."""
        runs = [run for each in every for run in each.runs]
        found = [_some(run.statistics(0, like=every[1]), cases) for run in runs]
        columns = scoring.contributions(scorer, found).values()
        excess = [_excess(scorer.better, own[1:], own[0]) for own in columns]
        if form and excesses.complete(0, every[1:]):
            excess += scoring.contributions(form, excesses.statistics(0, every[1:], cases)).values()
        return np.concatenate([own.mean(-1) for own in excess])

    inits, leads = _some(dataset.load("inits"), cases), int(dataset.record.recipe["leads"])
    trajectory, position = (inits[key].to_numpy() for key in ("trajectory", "position"))
    return resampling.fitting(trajectory, position, leads, series)


def _mark_the_set(rows: Sequence[Row], placing: Sequence[Mean], degrees: float) -> None:
    """Say which rows are in the model confidence set of those that are models, and finished."""
    import numpy as np

    own = [
        place
        for place, row in enumerate(rows)
        if not (row.knows_law or row.failed) and np.isfinite(placing[place].draws).all()
    ]
    if not own:
        return
    found = pairs.differences([placing[place] for place in own], degrees)
    for place, p in zip(own, confidence_set.p_values(found), strict=True):
        rows[place].set_p, rows[place].in_set = p, p > 1 - LEVEL


def _mark_the_unsound(
    rows: Sequence[Row],
    competitors: Sequence[Competitor],
    seeds_of: Mapping[str, Sequence[int]],
    deterministic: Collection[str],
) -> None:
    """Say which rows lack a seed, and whose members are copies of one another."""
    for row, each in zip(rows, competitors, strict=True):
        if len(row.seeds) > 1 or each.joined:
            row.missing_seeds = sorted({*seeds_of.get(row.label, ())} - {*row.seeds})
        row.deterministic = row.members == 1 or row.label in deterministic
        if not (row.deterministic or row.knows_law):
            row.degenerate = each.copies


def _calls(scorers: Sequence[Scorer]) -> list[str]:
    """What tells the columns of each scorer apart: its fields, where a name comes twice."""
    names = [scorer.name for scorer in scorers]
    recipes = [scorer.recipe() for scorer in scorers]
    fields = [{k: v for k, v in own.items() if k not in ("use", "version")} for own in recipes]
    return [
        "" if names.count(name) == 1 else f" ({', '.join(f'{k}={v}' for k, v in own.items())})"
        for name, own in zip(names, fields, strict=True)
    ]


def _ranking(
    columns: "Sequence[Draws]", base: int, excess: "Sequence[Draws] | None" = None
) -> "list[Draws]":
    """Excess that ranks: averaged over lead times and over columns.

    Columns (variables, events) have different units, so several are averaged as shares of what the
    baseline exceeds the law by; a single one keeps its units. `excess`: that of the columns, if
    they are something else in its units.
    """
    import numpy as np

    means = [column.mean(-1) for column in columns]
    if len(means) > 1:
        gaps = [own.mean(-1)[base, 0] for own in excess or columns]
        means = [mean / gap for mean, gap in zip(means, gaps, strict=True)]
    return list(np.mean(means, 0)[1:])


def _better_than_law(excess: "Draws", errors: float) -> "Draws":
    """Whether an excess `(row, draw, …)` is below zero by more than `errors` standard errors."""
    import numpy as np

    flags: Draws = excess[:, 0] < -errors * np.std(excess[:, 1:], axis=1)
    return flags


def _few(resampling: "Resampling") -> list[str]:
    from geobench.resampling import FEW

    if resampling.block is None and resampling.blocks >= FEW:
        return []
    told = f"Intervals come from {resampling.described()}"
    if resampling.block is not None:
        told += f", worth {resampling.blocks:.3g} independent ones"
    if resampling.blocks < FEW:
        told += (
            f": so few (below {FEW}) that intervals are widened, as Student's are, and may still "
            f"be too narrow. Use more test trajectories"
        )
    return [told + "."]


def _one_seed(rows: Sequence[Row]) -> list[str]:
    """Say of what seeds nothing is known: models that are trained, and were trained once."""
    labels = [row.label for row in rows]
    once = [
        row.label
        for row in rows
        if row.parameters and labels.count(row.label) == 1 == len(row.seeds)
    ]
    if not once:
        return []
    told = (
        f"One training of {', '.join(once)}: how much another seed would change is unknown, and no "
        f"part of the intervals."
    )
    return [told]


def _inexact(dataset: Entry) -> list[str]:
    """What stands for the law where it is not exact, and how good its filter is."""
    summary = dataset.record.summary
    told = [summary["inexact_law"]] if summary.get("inexact_law") else []
    skill = summary.get("analysis")
    if skill:
        told.append(
            f"Analyses of the test split are off by {skill['rmse']:.3g} (their spread is "
            f"{skill['spread']:.3g}); the climate's standard deviation is "
            f"{skill['rmse'] / skill['rmse_over_climate']:.3g}."
        )
    return told


def _pieces(dataset: Entry) -> list[str]:
    test = dataset.record.recipe["test"]
    if not test.get("runs") or test["runs"] == test["trajectories"]:
        return []
    told = (
        f"Test trajectories are pieces of {test['runs']} runs, {test['gap']} output steps apart; "
        f"they count as independent."
    )
    return [told]


def _joint(
    told: excesses.Excess,
    better: Orientation,
    every: Sequence[Competitor],
    values: Any,
    degrees: float,
) -> Any:
    """Excess of the competitors `(row, draw, lead)`, their seeds joined, the reference first."""
    import numpy as np

    if told.source == excesses.OUTCOME:
        return _excess(better, values, values[0])
    return np.stack(_joined(every, list(told.runs), degrees))


def _cells(
    better: Orientation, values: Any, excess: Any, gap: Any, *, centred: bool = False
) -> list[list[Cell]]:
    """Cells by row and lead time, of draws of scores and of their excess `(row, draw, lead)`.

    `gap`: the excess of the baseline.
    """
    import numpy as np

    told_of = partial(estimates, centred=centred)
    # Chance makes a distance from an ideal value larger, as it does squares.
    told_of_excess = partial(estimates, centred=centred or better in IDEALS)
    clear = np.quantile(gap[1:], 0.5 - LEVEL / 2, axis=0) > 0
    shared = clear & (better not in IDEALS)
    rows = []
    for own, beyond in zip(values, excess, strict=True):
        with np.errstate(invalid="ignore", divide="ignore"):
            share = 1 - beyond / gap
        told = zip(told_of(own), told_of_excess(beyond), told_of(share), shared, strict=True)
        rows.append([Cell(s, e, closed if there else None) for s, e, closed, there in told])
    return rows


def _joined(every: Sequence[Competitor], draws: "Sequence[Draws]", degrees: float) -> "list[Draws]":
    """Join draws of all runs into those of the competitors."""
    return [own.draws for own in _means(every, draws, degrees)]


def _means(every: Sequence[Competitor], draws: "Sequence[Draws]", degrees: float) -> list[Mean]:
    """Means over seeds of the competitors, of draws of all runs."""
    import numpy as np

    left = iter(draws)
    stacked = [np.stack([next(left) for _ in each.runs]) for each in every]
    return means(stacked, degrees, [each.trained for each in every])


def _row(
    each: Competitor, rank: pairs.Rank | None, excess: "Draws", *, failed: int, suspicious: bool
) -> Row:
    fitted, drawn = each.forecaster.record, each.forecast.record

    def mean(told: Callable[[Competitor], Any]) -> float:
        return sum(float(told(run)) for run in each.runs) / len(each.runs)

    return Row(
        label=each.label,
        seed=each.seed,
        rank=rank and rank.number,
        rank_range=rank and (rank.low, rank.high),
        excess=estimate(excess),
        failed=failed,
        knows_law=each.knows_law,
        suspicious=suspicious,
        parameters=fitted.summary.get("parameters"),
        sample_passes=fitted.summary.get("sample_passes"),
        training_seconds=mean(_training_seconds),
        evaluations=float(drawn.summary.get("evaluations_per_step", "nan")),
        seconds_per_member=mean(
            lambda run: run.forecast.record.summary.get("seconds_per_member", "nan")
        ),
        members=int(drawn.recipe["members"]),
        fewest_members=min(member_counts(each.forecast) or [int(drawn.recipe["members"])]),
        entries={
            "forecaster": str(each.forecaster.reference),
            "forecast": str(each.forecast.reference),
        },
        seeds=[run.seed for run in each.runs],
        imported=each.imported,
        device=", ".join(sorted({_device(run) for run in each.runs})),
    )


def _device(run: Competitor) -> str:
    return str(run.forecaster.record.summary.get("device", "cpu"))


def _training_seconds(run: Competitor) -> float:
    """Seconds of its training; NaN where a forecast or weights were imported: nobody knows."""
    record = run.forecaster.record
    if is_imported(record):
        return float("nan")
    return float(record.summary.get("training_seconds", record.seconds))
