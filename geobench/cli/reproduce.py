"""geobench reproduce: whether an entry can be made again."""

import math
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.settings import Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option, reference_argument

if TYPE_CHECKING:
    from geobench.study.reproduction import Reproduction

_SHOWN = 10


@click.command(short_help="Make an entry again from its recipe, and compare.")
@reference_argument("reference")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Largest difference allowed in an array, relative to its largest value.",
)
@json_option
@pass_settings
def reproduce(settings: Settings, reference: str, *, tolerance: float, as_json: bool) -> None:
    """Make an entry again, from its recipe and its parents, and compare.

    A dataset is simulated, a forecaster trained, a forecast drawn with the stored weights, or a
    score computed from the stored forecast. The new entry is removed after the comparison. The
    command uses as many threads as the record names. It exits with code 1 if numbers differ by more
    than the tolerance. They may differ on another processor or with other versions of software: the
    command lists what has changed.

    For example: geobench reproduce score/lorenz95.fgn.s0.crps@1
    """
    from geobench.study import reproduction

    engine = settings.engine()
    outcome = reproduction.reproduce(engine, engine.catalog.get(reference), tolerance)
    if as_json:
        documents.show(_document(outcome))
    else:
        _tell(outcome)
    raise click.exceptions.Exit(0 if outcome.passed else 1)


def _document(outcome: "Reproduction") -> dict[str, Any]:
    return {
        "reference": outcome.reference,
        "passed": outcome.passed,
        "same_bits": outcome.same_bits,
        "tolerance": outcome.tolerance,
        "differences": [
            {**difference._asdict(), "relative": difference.relative}
            for difference in outcome.differences
        ],
        "circumstances": [
            {"field": change.field, "then": change.first, "now": change.second}
            for change in outcome.circumstances
        ],
        "explanations": outcome.explanations,
        "seconds": outcome.seconds,
    }


def _tell(outcome: "Reproduction") -> None:
    state = "pass" if outcome.passed else "fail"
    styled = click.style(state, fg="green" if outcome.passed else "red", bold=True)
    click.echo(
        f"{styled}  {outcome.reference}: {_summary(outcome)}, made in {outcome.seconds:.1f} s"
    )
    for difference in outcome.differences[:_SHOWN]:
        how = _difference(difference.state, difference.relative, difference.differing)
        click.echo(f"  {difference.array}: {how}")
    if len(outcome.differences) > _SHOWN:
        click.echo(f"  and {len(outcome.differences) - _SHOWN} more")
    if outcome.same_bits and outcome.passed:
        return
    for explanation in outcome.explanations:
        click.echo(f"  {explanation}")
    for change in outcome.circumstances:
        click.echo(f"  {change.field}: {_value(change.first)} then, {_value(change.second)} now")
    if not outcome.circumstances:
        click.echo("  recipe, device, threads, versions and machine are as recorded")


def _summary(outcome: "Reproduction") -> str:
    if not outcome.differences:
        return "same bits" if outcome.same_bits else "same numbers, stored in other bytes"
    most = outcome.differences[0].relative
    count = len(outcome.differences)
    arrays = "1 array differs" if count == 1 else f"{count} arrays differ"
    by = f", by {most:.2g} of the largest value at most" if math.isfinite(most) else ""
    return f"{arrays}{by} (tolerance {outcome.tolerance:g})"


def _difference(state: str, relative: float, differing: int) -> str:
    if not math.isfinite(relative):
        return state
    return f"{differing:,} values differ, by {relative:.2g} of the largest at most"


def _value(value: object) -> str:
    return "–" if value is None else str(value)
