"""geobench simulate, train, forecast, score, events: one step each; each prints what it made."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geobench.cli.completion import offered
from geobench.cli.settings import (
    COUNT,
    MEMBERS,
    SEED,
    Settings,
    assignments,
    check_folder,
    pass_settings,
    set_option,
)
from geobench.errors import GeobenchError
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench_catalog import Entry


@click.command(short_help="Make the dataset of an experiment.")
@click.argument("experiment", shell_complete=offered("experiment", files=True))
@click.option(
    "--name", metavar="NAME", help="Name of the dataset; default: the name of the experiment."
)
@click.option(
    "--animate",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw the first test trajectory: a film (.gif, .mp4) or a picture (.png, .svg).",
)
@set_option
@json_option
@pass_settings
def simulate(
    settings: Settings,
    experiment: str,
    name: str | None,
    animate: Path | None,
    changes: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Make the dataset of EXPERIMENT, a name or a YAML file.

    For example: geobench simulate lorenz95 --set simulator.forcing=10
    """
    from geobench.describe import film

    experiment_name, realised = settings.experiment(experiment, changes)
    if animate:
        check_folder(animate)
        film.check(animate)
    session = settings.session(create=True)
    made = session.simulate(name or experiment_name, realised)
    _tell(made, as_json=as_json)
    if name and made.record.name != name:
        _tell_name(made, f"--name {name}")
    if animate:
        film.draw(session.engine.dataset(made), animate, settings.watch)
        click.echo(animate.absolute().as_uri(), err=as_json)


def _tell_name(made: "Entry", option: str) -> None:
    """Say that an entry keeps the name under which it was made before."""
    click.echo(
        f"geobench: note: this was made before, as {made.reference}, and keeps that name; "
        f"{option} is not used.",
        err=True,
    )


def _tell(made: "Entry", *, as_json: bool) -> None:
    if as_json:
        documents.show(documents.of_entry(made))
    else:
        click.echo(made.reference)


@click.command(short_help="Fit a model to a dataset.")
@click.argument("model", shell_complete=offered("model"))
@click.option(
    "--dataset",
    required=True,
    metavar="REFERENCE",
    shell_complete=completes("dataset"),
    help="The dataset, dataset/NAME@VERSION.",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Seed of the first weights and of all noise.",
)
@click.option(
    "--label", metavar="NAME", help="Name of the forecaster; default: the name of the model."
)
@set_option
@json_option
@pass_settings
def train(
    settings: Settings,
    model: str,
    dataset: str,
    seed: int,
    label: str | None,
    changes: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Fit MODEL to a dataset.

    For example: geobench train fgn --dataset dataset/lorenz95@1
    """
    session = settings.session()
    built = session.registry.model({"use": model, **assignments(changes)})
    made = session.train(
        session.catalog.get(dataset, "dataset"), built, seed=seed, label=label or built.name
    )
    _tell(made, as_json=as_json)
    if label and made.record.labels.get("model") != label:
        _tell_name(made, f"--label {label}")


@click.command(short_help="Draw members of a forecaster.")
@reference_argument("forecaster", "forecaster")
@click.option(
    "--members",
    type=MEMBERS,
    default=16,
    show_default=True,
    help="Number of members for each init time.",
)
@click.option("--seed", type=SEED, help="Seed of the noise; default: the seed of the training.")
@click.option("--keep-failures", is_flag=True, help="Also store members that failed.")
@click.option(
    "--keep-bits",
    type=click.IntRange(1, 23),
    help="Round the stored members to this many bits of the climatological standard deviation, "
    "e.g. 12.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Split in which the init times lie. Models have seen the validation split during "
    "training, if only to choose their weights.",
)
@click.option(
    "--inits",
    metavar="N|A:B",
    help="Use only the first N init times of the split, or those from A to before B; default: all.",
)
@click.option(
    "--every",
    type=COUNT,
    help="Output steps between two init times of the validation split; default: so many that "
    "two forecasts share no valid time.",
)
@click.option(
    "--leads",
    type=COUNT,
    help="Use only this many lead times, the first ones; default: all of the experiment.",
)
@json_option
@pass_settings
def forecast(
    settings: Settings,
    forecaster: str,
    members: int,
    seed: int | None,
    keep_bits: int | None,
    split: str,
    inits: str | None,
    every: int | None,
    leads: int | None,
    *,
    keep_failures: bool,
    as_json: bool,
) -> None:
    """Draw members of FORECASTER for every init time of its dataset's test split.

    For example: geobench forecast forecaster/lorenz95.fgn.s0@1 --members 64

    With --split, --inits or --leads the forecast is of other cases. It is then a separate entry,
    which can be scored and which no board shows.

    For example: geobench forecast forecaster/lorenz95.fgn.s0@1 --split validation --leads 5
    """
    from geobench.twin.cases import Cases, from_text

    session = settings.session()
    fitted = session.catalog.get(forecaster, "forecaster")
    chosen = from_text(inits) if inits is not None else None
    cases = Cases.model_validate({"split": split, "every": every, "leads": leads, "inits": chosen})
    made = session.forecast(
        fitted,
        members=members,
        seed=seed,
        keep_failures=keep_failures,
        keep_bits=keep_bits,
        cases=cases,
    )
    _tell(made, as_json=as_json)
    if as_json:
        return
    from geobench.entries.summaries import ForecastSummary

    rounding = ForecastSummary.of(made).rounding
    for column, changes in rounding.score_changes.items() if rounding else ():
        largest = max((change for change in changes if change is not None), key=abs, default=None)
        click.echo(f"  {column}  rounding changes it by {_number(largest)} at most")


@click.command(short_help="Score forecasts.")
@reference_argument("forecasts", "forecast", nargs=-1)
@click.option(
    "--query",
    metavar="EXPRESSION",
    help="Also score every forecast for which this expression holds.",
)
@click.option(
    "--scorer",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=offered("scorer"),
    help="Scorer to use, can be repeated; default: all, or without --law all that do not need it.",
)
@click.option(
    "--law",
    metavar="REFERENCE",
    shell_complete=completes("forecast"),
    help="Draws of the law (a forecast of the oracle), for scorers that compare with the law.",
)
@json_option
@pass_settings
def score(
    settings: Settings,
    forecasts: tuple[str, ...],
    query: str | None,
    names: tuple[str, ...],
    law: str | None,
    *,
    as_json: bool,
) -> None:
    """Score FORECASTS. Scores that this version of a scorer has computed are not computed again.

    For example: geobench score forecast/lorenz95.fgn.s0@1 --scorer crps

    All forecasts of a dataset: geobench score --query 'dataset = lorenz95'
    """
    session = settings.session()
    wanted = list(forecasts)
    if query is not None:
        matches = session.catalog.query(
            f"kind = forecast and ({query})" if query else "kind = forecast"
        )
        wanted += [reference for reference in matches["reference"] if reference not in wanted]
    if not wanted:
        raise GeobenchError("there is no forecast to score. Name some, or select some by --query.")
    drawn = [session.catalog.get(reference, "forecast") for reference in wanted]
    scorers = [
        session.registry.scorer(name)
        for kind, name in session.registry.offers
        if kind == "scorer" and not names
    ]
    scorers = [session.registry.scorer(name) for name in names] or [
        scorer for scorer in scorers if law or not scorer.needs_law
    ]
    draws = session.catalog.get(law, "forecast") if law else None
    shown = []
    for forecast in drawn:
        for made in session.scores(forecast, scorers, draws):
            shown.append(documents.of_entry(made))
            if not as_json:
                _tell_score(made)
    if as_json:
        documents.show(shown)


def _tell_score(made: "Entry") -> None:
    click.echo(made.reference)
    from geobench.board.text import lead_names
    from geobench.entries.summaries import ScoreSummary

    summary = ScoreSummary.of(made)
    for column, values in summary.scores.items():
        by_lead = zip(lead_names(summary.lead_hours), values, strict=True)
        line = "  ".join(f"{name}: {_number(value)}" for name, value in by_lead)
        click.echo(f"  {column}  {line}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


@click.command(short_help="Tell how probable extreme events are in a forecast.")
@reference_argument("forecast", "forecast")
@json_option
@pass_settings
def events(settings: Settings, forecast: str, *, as_json: bool) -> None:
    """Tell how probable extreme events are in FORECAST; the oracle's are true.

    The command prints means over init times at the first and the last lead time. The entry holds
    the probability in every case.
    """
    session = settings.session()
    made = session.events(session.catalog.get(forecast, "forecast"))
    rows = _events(made)
    if as_json:
        documents.show({**documents.of_entry(made), "probabilities": rows})
        return
    click.echo(made.reference)
    for row in rows:
        ends = f"first step {row['mean'][0]:.4g}  last step {row['mean'][-1]:.4g}"
        click.echo(f"  {row['event']}  {100 * row['quantile']:g} %  {ends}")


def _events(made: "Entry") -> list[dict[str, Any]]:
    """How probable each event is at each lead, averaged over init times and places, by area."""
    import numpy as np

    loaded = made.load()
    hours = (loaded["lead_time"].to_numpy() / np.timedelta64(1, "h")).tolist()
    rows = []
    for event in made.record.recipe["events"]:
        name = event["name"].replace("-", "_")
        areas = loaded.get(f"{name}_area", 1.0)  # over their mean
        mean = (loaded[name] * areas).mean(("init_time", f"{name}_place")).to_numpy()
        for index, quantile in enumerate(loaded[f"{name}_quantile"].to_numpy().tolist()):
            row = {"event": event["name"], "quantile": quantile, "lead_hours": hours}
            rows.append({**row, "mean": mean[:, index].tolist()})
    return rows
