"""geobench simulate, train, forecast, score: one step each; each prints what it made."""

from pathlib import Path

import click

from geobench.cli.settings import Settings, assignments, check_folder, pass_settings, set_option
from geobench.errors import GeobenchError
from geobench_catalog import Entry
from geobench_catalog.commands.place import complete, reference_argument


@click.command()
@click.argument("experiment")
@click.option("--name", help="Name of the dataset; default: that of the experiment.")
@click.option(
    "--animate",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the first test trajectory: a film (.gif, .mp4) or a picture (.png, .svg).",
)
@set_option
@pass_settings
def simulate(
    settings: Settings,
    experiment: str,
    name: str | None,
    animate: Path | None,
    changes: tuple[str, ...],
) -> None:
    """Make the dataset of EXPERIMENT, a name or a YAML file."""
    from geobench import film

    own, realised = settings.experiment(experiment, changes)
    if animate:
        check_folder(animate)
        film.check(animate)
    steps = settings.steps(create=True)
    made = steps.simulate(name or own, realised)
    click.echo(made.reference)
    if animate:
        steps.animate(made, animate)
        click.echo(animate.absolute().as_uri())


@click.command()
@click.argument("model")
@click.option(
    "--dataset",
    required=True,
    shell_complete=complete,
    help="Reference of the dataset, dataset/NAME@VERSION.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--label", help="What to call it; default: the name of the model.")
@set_option
@pass_settings
def train(
    settings: Settings,
    model: str,
    dataset: str,
    seed: int,
    label: str | None,
    changes: tuple[str, ...],
) -> None:
    """Fit MODEL to a dataset."""
    steps = settings.steps()
    built = steps.registry.model({"use": model, **assignments(changes)})
    made = steps.train(
        steps.catalog.get(dataset, "dataset"), built, seed=seed, label=label or built.name
    )
    click.echo(made.reference)


@click.command()
@reference_argument("forecaster")
@click.option("--members", type=click.IntRange(min=2), default=16, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Of the noise; default: as in training.")
@click.option("--keep-failures", is_flag=True, help="Store members that are not finite.")
@click.option(
    "--keep-bits",
    type=click.IntRange(1, 23),
    help="Store rounded to so many bits of the climate's standard deviation, e.g. 12.",
)
@pass_settings
def forecast(
    settings: Settings,
    forecaster: str,
    members: int,
    seed: int | None,
    keep_bits: int | None,
    *,
    keep_failures: bool,
) -> None:
    """Draw members of FORECASTER for every init time of its dataset's test split."""
    steps = settings.steps()
    fitted = steps.catalog.get(forecaster, "forecaster")
    made = steps.forecast(
        fitted, members=members, seed=seed, keep_failures=keep_failures, keep_bits=keep_bits
    )
    click.echo(made.reference)
    for column, changes in made.record.summary.get("rounding", {}).get("score_changes", {}).items():
        largest = max(changes, key=abs)
        click.echo(f"  {column}  rounding changes it by {_number(largest)} at most")


@click.command()
@reference_argument("forecasts", nargs=-1)
@click.option("--query", help="Also every forecast for which this expression holds.")
@click.option("--scorer", "names", multiple=True, help="Default: all; without --law, all but some.")
@click.option("--law", help="A forecast of the true law, for scorers that compare with one.")
@pass_settings
def score(
    settings: Settings,
    forecasts: tuple[str, ...],
    query: str | None,
    names: tuple[str, ...],
    law: str | None,
) -> None:
    """Score FORECASTS. What has been scored by this version of a scorer is not scored again.

    With --query whatever is there: geobench score --query 'dataset = lorenz95' --scorer mine.
    """
    steps = settings.steps()
    wanted = list(forecasts)
    if query is not None:
        found = steps.catalog.query(
            f"kind = forecast and ({query})" if query else "kind = forecast"
        )
        wanted += [each for each in found["reference"] if each not in wanted]
    if not wanted:
        raise GeobenchError("there is no forecast to score. Name some, or ask for some by --query.")
    drawn = [steps.catalog.get(each, "forecast") for each in wanted]
    scorers = [
        steps.registry.scorer(name)
        for kind, name in steps.registry.offers
        if kind == "scorer" and not names
    ]
    scorers = [steps.registry.scorer(name) for name in names] or [
        scorer for scorer in scorers if law or not scorer.needs_law
    ]
    draws = steps.catalog.get(law, "forecast") if law else None
    for forecast in drawn:
        for made in steps.scores(forecast, scorers, draws):
            _tell(made)


def _tell(made: Entry) -> None:
    click.echo(made.reference)
    hours = made.record.summary["lead_hours"]
    for column, values in made.record.summary["scores"].items():
        by_lead = zip(hours, values, strict=True)
        told = "  ".join(f"day {h / 24:g}: {_number(value)}" for h, value in by_lead)
        click.echo(f"  {column}  {told}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


@click.command()
@reference_argument("forecast")
@pass_settings
def events(settings: Settings, forecast: str) -> None:
    """Count the extreme events of FORECAST; of an oracle's, that is their true probability."""
    steps = settings.steps()
    made = steps.events(steps.catalog.get(forecast, "forecast"))
    click.echo(made.reference)
    found = made.load()
    for event in made.record.recipe["events"]:
        name = event["name"].replace("-", "_")
        mean = found[name].mean(("init_time", f"{name}_place")).to_numpy()
        for place, quantile in enumerate(found[f"{name}_quantile"].to_numpy()):
            ends = f"first step {mean[0, place]:.4g}  last step {mean[-1, place]:.4g}"
            click.echo(f"  {event['name']}  {100 * quantile:g} %  {ends}")
