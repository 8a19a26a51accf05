"""geobench scorers: what scorers notice. geobench test: whether a forecast is of the law."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from geobench.cli.completion import offered
from geobench.cli.settings import MEMBERS, Settings, pass_settings
from geobench_catalog import Entry
from geobench_catalog.commands import documents
from geobench_catalog.commands.place import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench.interfaces.scorer import Scorer
    from geobench.registry import Registry
    from geobench.steps import Steps


@click.group()
def scorers() -> None:
    """Tell what scorers notice, and what they are blind to."""


@scorers.command()
@reference_argument("law", "forecast")
@click.option("--members", type=MEMBERS, default=16, show_default=True, help="Of an ensemble.")
@click.option(
    "--scorer",
    "names",
    multiple=True,
    shell_complete=offered("scorer"),
    help="Default: all that need no law.",
)
@json_option
@pass_settings
def power(
    settings: Settings, law: str, members: int, names: tuple[str, ...], *, as_json: bool
) -> None:
    """Tell how surely scores notice defects, at the cases of LAW, a forecast of the law.

    Its draws are cut into ensembles. Each is given a defect and compared with the others as they
    are, the way models on a board are. A number is the share of the pairs in which a test at 5 %
    notices the defect; the column `none` has none: what is noticed there is a false alarm.
    """
    steps = settings.steps()
    scorers = _chosen(steps.registry, names)
    found = steps.power(steps.catalog.get(law, "forecast"), scorers, members)
    if as_json:
        documents.show([asdict(each) for each in found])
        return
    from geobench.defects import DEFECTS

    width = max(len(each.score) for each in found)
    click.echo(" ".join([" " * width, *(f"{name:>10}" for name in DEFECTS)]))
    for score in dict.fromkeys(each.score for each in found):
        row = {each.defect: each.power for each in found if each.score == score}
        click.echo(" ".join([f"{score:<{width}}", *(_cell(row[name]) for name in DEFECTS)]))
    click.echo(f"Share of {found[0].pairs} pairs noticed at 5 %; none: false alarms.")
    _caution(steps, steps.catalog.get(law, "forecast"))


@click.command()
@reference_argument("forecast", "forecast")
@click.option(
    "--law",
    required=True,
    shell_complete=completes("forecast"),
    help="A forecast of the law, with other noise.",
)
@click.option(
    "--scorer",
    "names",
    multiple=True,
    shell_complete=offered("scorer"),
    help="Default: those that nothing scores better at than the law, and a classifier.",
)
@click.option(
    "--exchanges",
    type=click.IntRange(19, 2**31 - 1),
    default=199,
    show_default=True,
    help="Of members with draws of the law; no p can be below 1 over one more.",
)
@json_option
@pass_settings
def test(
    settings: Settings,
    forecast: str,
    law: str,
    names: tuple[str, ...],
    exchanges: int,
    *,
    as_json: bool,
) -> None:
    """Test whether FORECAST is drawn from the law, as far as each score can see.

    If it is, its members and draws of the law may be exchanged, init by init: the test is exact at
    any number of members and cases. p: the share of exchanges that score as badly. q: the share of
    false alarms to expect among the scores with a q as small; it is smaller with fewer scores, so
    name those that matter. The classifier is asked to tell members from draws, of cases that share
    no valid time with those it was trained on: an area of 0.5 is blind.
    """
    steps = settings.steps()
    scorers = _chosen(steps.registry, names)
    if not names:
        scorers = [scorer for scorer in scorers if scorer.proper]
    drawn, draws = (steps.catalog.get(each, "forecast") for each in (forecast, law))
    found = steps.verdicts(drawn, draws, scorers, exchanges, classify=not names)
    if as_json:
        documents.show([asdict(each) for each in found])
        return
    width = max(len(each.score) for each in found)
    click.echo(f"{'':{width}} {'score':>10} {'the law':>10} {'p':>7} {'q':>7}")
    for each in found:
        numbers = f"{each.value:>10.4g} {each.law:>10.4g} {each.p:>7.3f} {each.q:>7.3f}"
        click.echo(f"{each.score:<{width}} {numbers}")
    click.echo(f"Means over lead times; {exchanges} exchanges of members with draws of the law.")
    _caution(steps, draws)


def _cell(power: float) -> str:
    return f"{power:>10.2f}" if power == power else f"{'–':>10}"


def _chosen(registry: "Registry", names: tuple[str, ...]) -> "list[Scorer]":
    """Return the scorers named, each once; none: all."""
    chosen = names or tuple(name for kind, name in registry.offers if kind == "scorer")
    return [registry.scorer(name) for name in dict.fromkeys(chosen)]


def _caution(steps: "Steps", law: Entry) -> None:
    """Say so where what stands for the law is not quite it: the test is of that, then."""
    dataset = steps.catalog.parent(steps.catalog.parent(law, "forecaster"), "dataset")
    from geobench.entries.summaries import DatasetSummary

    if told := DatasetSummary.of(dataset).inexact_law:
        click.echo(told)
