"""The rows of a board: what is known of each entry, and where it is placed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geobench.board.competitor import Competitor
from geobench.board.model import Row
from geobench.board.placing import Placing, mark_the_set
from geobench.board.setup import Setup
from geobench.entries.recipes import is_imported
from geobench.statistics.estimates import estimate
from geobench.statistics.rank_ranges import Rank, rank_ranges
from geobench.twin.cases import member_counts

if TYPE_CHECKING:
    from geobench.statistics.estimates import Draws


def rows(setup: Setup, placing: Placing, suspicious: Sequence[bool]) -> list[Row]:
    """Make a row of each competitor, in their order."""
    failures = [_failed_members(competitor) for competitor in setup.competitors]
    ranks = rank_ranges(
        placing.means,
        [count > 0 for count in failures],
        setup.degrees,
        counted=[not competitor.knows_law for competitor in setup.competitors],
    )
    columns = (setup.competitors, ranks, placing.means, failures, suspicious)
    made = [
        _row(competitor, rank, mean.draws, failed=failed, suspicious=bool(flag))
        for competitor, rank, mean, failed, flag in zip(*columns, strict=True)
    ]
    mark_the_set(made, placing.means, setup.degrees)
    return made


def _failed_members(competitor: Competitor) -> int:
    """Members that failed, of all seeds."""
    return sum(int(run.forecast.record.summary["failed_members"]) for run in competitor.runs)


def mark_the_unsound(
    rows: Sequence[Row],
    competitors: Sequence[Competitor],
    seeds_of: Mapping[str, Sequence[int]],
    deterministic: Collection[str],
) -> None:
    """Say which rows lack a seed, and whose members are copies of one another."""
    for row, competitor in zip(rows, competitors, strict=True):
        if len(row.seeds) > 1 or competitor.joined:
            row.missing_seeds = sorted({*seeds_of.get(row.label, ())} - {*row.seeds})
        row.deterministic = row.members == 1 or row.label in deterministic
        if not (row.deterministic or row.knows_law):
            row.degenerate = competitor.copies


def _row(
    competitor: Competitor, rank: Rank | None, excess: "Draws", *, failed: int, suspicious: bool
) -> Row:
    fitted, drawn = competitor.forecaster.record, competitor.forecast.record

    def mean(quantity: Callable[[Competitor], Any]) -> float:
        return sum(float(quantity(run)) for run in competitor.runs) / len(competitor.runs)

    members = int(drawn.recipe["members"])
    return Row(
        label=competitor.label,
        seed=competitor.seed,
        rank=rank and rank.number,
        rank_range=rank and (rank.low, rank.high),
        excess=estimate(excess),
        failed=failed,
        knows_law=competitor.knows_law,
        suspicious=suspicious,
        parameters=fitted.summary.get("parameters"),
        sample_passes=fitted.summary.get("sample_passes"),
        training_seconds=mean(_training_seconds),
        evaluations=float(drawn.summary.get("evaluations_per_step", "nan")),
        seconds_per_member=mean(_seconds_per_member),
        members=members,
        fewest_members=min(member_counts(competitor.forecast) or [members]),
        entries={
            "forecaster": str(competitor.forecaster.reference),
            "forecast": str(competitor.forecast.reference),
        },
        seeds=[run.seed for run in competitor.runs],
        imported=competitor.imported,
        device=", ".join(sorted({_device(run) for run in competitor.runs})),
    )


def _device(run: Competitor) -> str:
    return str(run.forecaster.record.summary.get("device", "cpu"))


def _seconds_per_member(run: Competitor) -> float:
    return float(run.forecast.record.summary.get("seconds_per_member", "nan"))


def _training_seconds(run: Competitor) -> float:
    """Seconds of its training; NaN where it was not trained by geobench: nobody knows."""
    record = run.forecaster.record
    if is_imported(record) or record.summary.get("trained_elsewhere"):
        return float("nan")
    return float(record.summary.get("training_seconds", record.seconds))
