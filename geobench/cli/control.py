"""geobench control: a long free run of a dataset's simulator, and the thresholds it gives."""

from typing import TYPE_CHECKING

import click

from geobench.cli.settings import COUNT, SEED, Settings, pass_settings
from geobench.errors import GeobenchError
from geobench_catalog.commands import documents
from geobench_catalog.commands.options import json_option, reference_argument

if TYPE_CHECKING:
    from geobench.contracts.experiment import Event
    from geobench.nodes.session import Session
    from geobench.tables.table import Table
    from geobench_catalog import Entry


@click.command(short_help="Count events in a long free run of a simulator.")
@reference_argument("dataset", "dataset")
@click.option(
    "--states",
    type=COUNT,
    help="Number of states to count; default: five times those of the train split.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--event",
    "texts",
    multiple=True,
    metavar="EVENT",
    help="Event to count, written as in an experiment; default: the events of the experiment.",
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
    """Run the simulator of DATASET freely, and count how often each event happens.

    The scorer law-events takes its thresholds from such a run, and makes it if it is not there.
    For each event and quantile the command prints the threshold, the number of values that pass it,
    and how many separate exceedances those are: 50 is the least that a score accepts.

    For example: geobench control dataset/lorenz95@1 --states 1000000 --event '{name: ring-energy,
    of: energy, quantiles: [0.99, 0.999]}'
    """
    from geobench.contracts.experiment import Control

    session = settings.session()
    entry = session.catalog.get(dataset, "dataset")
    events = [_event(text) for text in texts] or _named(session, entry)
    made = session.control(entry, events, Control(states=states, seed=seed))
    from geobench.tables import terminal
    from geobench.tables.json import records

    tables = [_thresholds(event, entry) for event, entry in zip(events, made, strict=True)]
    if as_json:
        shown = zip(made, tables, strict=True)
        documents.show(
            [{**documents.of_entry(entry), "thresholds": records(t)} for entry, t in shown]
        )
        return
    for entry, table in zip(made, tables, strict=True):
        click.echo(entry.reference)
        click.echo(terminal.text(table), nl=False)


def _event(text: str) -> "Event":
    from geobench.contracts.experiment import Event
    from geobench.contracts.plugin import validated
    from geobench.registry import plain_yaml

    fields = plain_yaml.load(text, f"--event {text}")
    if not isinstance(fields, dict):
        raise GeobenchError(f"--event {text}: write {{name: NAME, of: DIAGNOSTIC, …}}.")
    return validated(Event, fields, "--event")


def _named(session: "Session", dataset: "Entry") -> "list[Event]":
    from geobench.contracts.experiment import Event

    events = [Event.model_validate(event) for event in dataset.record.recipe["events"]]
    if not events:
        variable = session.engine.dataset(dataset).spec.variables[0].name
        raise GeobenchError(
            f"{dataset.reference}: the experiment names no events. Give one: --event "
            f"'{{name: high, of: {variable}, quantiles: [0.99]}}'."
        )
    return events


def _thresholds(event: "Event", made: "Entry") -> "Table":
    """Threshold of each quantile, in the climate with the fewest separate exceedances."""
    from geobench.tables.numbers import count_cell
    from geobench.tables.table import Cell, Column, Row, Table
    from geobench.twin import control as runs

    thresholds = runs.thresholds(event, made.load())
    rows = []
    for index, quantile in enumerate(event.quantiles):
        fewest = int(thresholds.separate[index].argmin())
        low, high = float(thresholds.limits[index].min()), float(thresholds.limits[index].max())
        enough = not bool(thresholds.few[index])
        rows.append(
            Row(
                [
                    Cell(event.name, event.name),
                    Cell(f"{100 * quantile:g} %", quantile),
                    Cell(event.side, event.side),
                    Cell(
                        f"{low:.5g}" if low == high else f"{low:.5g} to {high:.5g}",
                        ends=(low, high),
                    ),
                    count_cell(int(thresholds.values[fewest])),
                    count_cell(int(thresholds.exceedances[index, fewest])),
                    count_cell(int(thresholds.separate[index, fewest])),
                    Cell("" if enough else "too few for a score", enough),
                ]
            )
        )
    columns = [
        Column("event", "left", key="event"),
        Column("quantile", key="quantile"),
        Column("side", "left", key="side", minor=2),
        Column("threshold", end_keys=("lowest_threshold", "highest_threshold")),
        Column("values", key="values", minor=3),
        Column("beyond it", key="exceedances", minor=1),
        Column("separate exceedances", key="separate"),
        Column("", "left", key="enough"),
    ]
    return Table(columns, rows)
