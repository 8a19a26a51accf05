"""geobench reproduce: whether an entry can be made again."""

import math
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.settings import Settings, pass_settings
from geobench_catalog.commands import documents
from geobench_catalog.commands.place import json_option, reference_argument

if TYPE_CHECKING:
    from geobench.study.reproduction import Reproduction

_SHOWN = 10


@click.command()
@reference_argument("reference")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="How much an array may differ, relative to its largest value.",
)
@json_option
@pass_settings
def reproduce(settings: Settings, reference: str, *, tolerance: float, as_json: bool) -> None:
    """Make an entry again, from its recipe and its parents, and compare.

    A dataset is simulated, a forecaster trained, a forecast drawn with the stored weights, a score
    computed of the stored forecast: aside, and removed afterwards. As many threads compute as the
    record names. Exits with code 1 if numbers differ by more than the tolerance. On another
    processor or with other versions they may: the answer names what has changed.

    For example: geobench reproduce score/lorenz95.fgn.s0.crps@1
    """
    from geobench.study import reproduction

    engine = settings.engine()
    found = reproduction.reproduce(engine, engine.catalog.get(reference), tolerance)
    if as_json:
        documents.show(_document(found))
    else:
        _tell(found)
    raise click.exceptions.Exit(0 if found.passed else 1)


def _document(found: "Reproduction") -> dict[str, Any]:
    return {
        "reference": found.reference,
        "passed": found.passed,
        "same_bits": found.same_bits,
        "tolerance": found.tolerance,
        "differences": [
            {**each._asdict(), "relative": each.relative} for each in found.differences
        ],
        "circumstances": [
            {"field": each.field, "then": each.first, "now": each.second}
            for each in found.circumstances
        ],
        "explanations": found.explanations,
        "seconds": found.seconds,
    }


def _tell(found: "Reproduction") -> None:
    state = "pass" if found.passed else "fail"
    styled = click.style(state, fg="green" if found.passed else "red", bold=True)
    click.echo(f"{styled}  {found.reference}: {_summary(found)}, made in {found.seconds:.1f} s")
    for each in found.differences[:_SHOWN]:
        click.echo(f"  {each.array}: {_difference(each.state, each.relative, each.differing)}")
    if len(found.differences) > _SHOWN:
        click.echo(f"  and {len(found.differences) - _SHOWN} more")
    if found.same_bits and found.passed:
        return
    for explanation in found.explanations:
        click.echo(f"  {explanation}")
    for change in found.circumstances:
        click.echo(f"  {change.field}: {_value(change.first)} then, {_value(change.second)} now")
    if not found.circumstances:
        click.echo("  recipe, device, threads, versions and machine are as recorded")


def _summary(found: "Reproduction") -> str:
    if not found.differences:
        return "same bits" if found.same_bits else "same numbers, stored in other bytes"
    most = found.differences[0].relative
    count = len(found.differences)
    arrays = "1 array differs" if count == 1 else f"{count} arrays differ"
    by = f", by {most:.2g} of the largest value at most" if math.isfinite(most) else ""
    return f"{arrays}{by} (tolerance {found.tolerance:g})"


def _difference(state: str, relative: float, differing: int) -> str:
    if not math.isfinite(relative):
        return state
    return f"{differing:,} values differ, by {relative:.2g} of the largest at most"


def _value(value: object) -> str:
    return "–" if value is None else str(value)
