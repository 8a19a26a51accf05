"""geobench control: a long free run of a dataset's simulator, and the thresholds it gives."""

from typing import TYPE_CHECKING, Any

import click

from geobench.cli.settings import COUNT, SEED, Settings, pass_settings
from geobench.errors import GeobenchError
from geobench_catalog import Entry
from geobench_catalog.commands import documents
from geobench_catalog.commands.place import json_option, reference_argument

if TYPE_CHECKING:
    from geobench.interfaces.experiment import Event
    from geobench.session import Session


@click.command()
@reference_argument("dataset", "dataset")
@click.option(
    "--states",
    type=COUNT,
    help="States that are counted; default: five times those of the train split.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--event",
    "texts",
    multiple=True,
    metavar="EVENT",
    help="An event, written as in an experiment; default: the experiment's own.",
)
@json_option
@pass_settings
def control(
    settings: Settings,
    dataset: str,
    states: int | None,
    seed: int,
    texts: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Run the simulator of DATASET freely, and count what events measure.

    The scorer law-events takes its thresholds from such a run, and makes it if it is not there.
    For each event and quantile the command prints the threshold, the number of values that pass it,
    and how many separate exceedances those are: 50 is the least that a score accepts.

    For example: geobench control dataset/lorenz95@1 --states 1000000 --event '{name: ring-energy,
    of: energy, quantiles: [0.99, 0.999]}'
    """
    from geobench.interfaces.experiment import Control

    session = settings.session()
    entry = session.catalog.get(dataset, "dataset")
    events = [_event(text) for text in texts] or _named(session, entry)
    made = session.control(entry, events, Control(states=states, seed=seed))
    told = [_thresholds(event, each) for event, each in zip(events, made, strict=True)]
    if as_json:
        rows = [
            {**documents.of_entry(each), "thresholds": own}
            for each, own in zip(made, told, strict=True)
        ]
        documents.show(rows)
        return
    for each, own in zip(made, told, strict=True):
        click.echo(each.reference)
        for row in own:
            click.echo(_line(row))


def _event(text: str) -> "Event":
    from geobench import plain_yaml
    from geobench.interfaces.experiment import Event
    from geobench.interfaces.plugin import validated

    fields = plain_yaml.load(text, f"--event {text}")
    if not isinstance(fields, dict):
        raise GeobenchError(f"--event {text}: write {{name: NAME, of: DIAGNOSTIC, …}}.")
    return validated(Event, fields, "--event")


def _named(session: "Session", dataset: Entry) -> "list[Event]":
    from geobench.interfaces.experiment import Event

    found = [Event.model_validate(each) for each in dataset.record.recipe["events"]]
    if not found:
        variable = session.engine.dataset(dataset).spec.variables[0].name
        raise GeobenchError(
            f"{dataset.reference}: the experiment names no events. Give one: --event "
            f"'{{name: high, of: {variable}, quantiles: [0.99]}}'."
        )
    return found


def _thresholds(event: "Event", made: Entry) -> list[dict[str, Any]]:
    """Threshold of each quantile, in the climate with the fewest separate exceedances."""
    from geobench import control as runs

    found = runs.thresholds(event, made.load())
    rows = []
    for place, quantile in enumerate(event.quantiles):
        fewest = int(found.separate[place].argmin())
        rows.append(
            {
                "event": event.name,
                "quantile": quantile,
                "side": event.side,
                "lowest_threshold": float(found.limits[place].min()),
                "highest_threshold": float(found.limits[place].max()),
                "values": int(found.values[fewest]),
                "exceedances": int(found.exceedances[place, fewest]),
                "separate": int(found.separate[place, fewest]),
                "enough": not bool(found.few[place]),
            }
        )
    return rows


def _line(row: dict[str, Any]) -> str:
    low, high = row["lowest_threshold"], row["highest_threshold"]
    limit = f"{low:.5g}" if low == high else f"{low:.5g} to {high:.5g}"
    few = "" if row["enough"] else "  too few for a score"
    return (
        f"  {row['event']}  {100 * row['quantile']:g} %  {row['side']} {limit}  "
        f"{row['exceedances']:,} of {row['values']:,} values, {row['separate']:,} separate{few}"
    )
