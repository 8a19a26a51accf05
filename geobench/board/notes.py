"""What a reader must know of a board before believing its numbers, in sentences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geobench.board import excess, soundness
from geobench.board.model import Row, ScoreColumn
from geobench.board.setup import Setup
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.statistics.resampling import Resampling


def notes(setup: Setup, rows: Sequence[Row], columns: Sequence[ScoreColumn]) -> list[str]:
    """Return all notes of a board."""
    missing = [
        form.name
        for index, form in enumerate(setup.forms)
        if form and not excess.complete(index, setup.competitors)
    ]
    return [
        *few_blocks(setup.resampling),
        *soundness.described(rows, setup.scorers),
        *_one_seed(rows),
        *_pieces(setup.dataset),
        *_inexact(setup.dataset),
        *excess.described(
            [(column.scorer, column.excess_from) for column in columns],
            int(setup.reference.forecast.record.recipe["members"]),
            missing,
        ),
    ]


def few_blocks(resampling: "Resampling") -> list[str]:
    """Say what intervals come from, if that is not many independent trajectories."""
    from geobench.statistics.resampling import FEW

    if resampling.block is None and resampling.blocks >= FEW:
        return []
    note = f"Intervals come from {resampling.described()}"
    if resampling.block is not None:
        note += f", worth {resampling.blocks:.3g} independent ones"
    if resampling.blocks < FEW:
        note += (
            f": so few (below {FEW}) that intervals are widened, as Student's are, and may still "
            f"be too narrow. Use more test trajectories"
        )
    return [note + "."]


def _one_seed(rows: Sequence[Row]) -> list[str]:
    """Name the models that were trained once: nothing is known of their seeds."""
    labels = [row.label for row in rows]
    once = [
        row.label
        for row in rows
        if row.parameters and labels.count(row.label) == 1 == len(row.seeds)
    ]
    if not once:
        return []
    note = (
        f"One training of {', '.join(once)}: how much another seed would change is unknown, and no "
        f"part of the intervals."
    )
    return [note]


def _inexact(dataset: Entry) -> list[str]:
    """Say what stands for the law where it is not exact, and how good its filter is."""
    summary = dataset.record.summary
    sentences = [summary["inexact_law"]] if summary.get("inexact_law") else []
    skill = summary.get("analysis")
    if skill:
        sentences.append(
            f"Analyses of the test split are off by {skill['rmse']:.3g} (their spread is "
            f"{skill['spread']:.3g}); the climate's standard deviation is "
            f"{skill['rmse'] / skill['rmse_over_climate']:.3g}."
        )
    return sentences


def _pieces(dataset: Entry) -> list[str]:
    """Say so where test trajectories are pieces of longer runs."""
    test = dataset.record.recipe["test"]
    if not test.get("runs") or test["runs"] == test["trajectories"]:
        return []
    note = (
        f"Test trajectories are pieces of {test['runs']} runs, {test['gap']} output steps apart; "
        f"they count as independent."
    )
    return [note]
