"""geobench catalog: what is kept, and what is taken in."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geobench.cli.completion import offered
from geobench.cli.settings import Settings, assignments, pass_settings, set_option
from geobench.errors import GeobenchError
from geobench_catalog.commands import COMMANDS, documents, moving
from geobench_catalog.commands.options import completes, json_option, reference_argument

if TYPE_CHECKING:
    from geobench.foreign.exporting import Form


@click.command("import-forecaster")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "--dataset",
    required=True,
    metavar="REFERENCE",
    shell_complete=completes("dataset"),
    help="The dataset that it forecasts, dataset/NAME@VERSION.",
)
@click.option(
    "--model",
    required=True,
    metavar="NAME",
    shell_complete=offered("model", files=True),
    help="The model with these weights: its name, or a YAML file {use: NAME, ...}.",
)
@click.option(
    "--label", metavar="NAME", help="Name of the forecaster; default: the name of the model."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of the training, if one model was trained several times; also the seed of the "
    "noise of its forecasts.",
)
@set_option
@json_option
@pass_settings
def import_forecaster(
    settings: Settings,
    weights: Path,
    dataset: str,
    model: str,
    label: str | None,
    seed: int,
    changes: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Import trained weights, a .safetensors file.

    The file holds what the model's weights() return. The model is restored from it and draws a few
    members before anything is published. The entry is marked as imported, and the cost of its
    training is unknown.

    For example: geobench catalog import-forecaster fgn.safetensors --dataset dataset/lorenz95@1
    --model fgn --set hidden=32 --label theirs
    """
    from geobench.nodes import imported
    from geobench.registry import merged
    from geobench.registry.plain_yaml import read_yaml

    file = Path(model)
    is_file = file.suffix in (".yaml", ".yml")
    recipe = merged(read_yaml(file) if is_file else {"use": model}, assignments(changes))
    engine = settings.engine()
    made = imported.import_forecaster(
        engine,
        weights,
        engine.catalog.get(dataset, "dataset"),
        engine.registry.model(recipe),
        seed=seed,
        label=label or "",
    )
    if as_json:
        documents.show(documents.of_entry(made))
    else:
        click.echo(made.reference)


@click.command("import-forecast")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--dataset",
    required=True,
    metavar="REFERENCE",
    shell_complete=completes("dataset"),
    help="The dataset that it forecasts, dataset/NAME@VERSION.",
)
@click.option("--model", required=True, metavar="NAME", help="Name of the model that made it.")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="THEIRS=OURS",
    help="Rename a dim or variable, e.g. number=member. Can be repeated.",
)
@click.option(
    "--assume-units", is_flag=True, help="Read variables without units in the units of the dataset."
)
@click.option(
    "--assume-grid",
    multiple=True,
    metavar="DIM",
    help="Take the coordinate of this dim from the dataset, in the same order.",
)
@click.option("--keep-failures", is_flag=True, help="Also store members that failed.")
@click.option(
    "--absent-members",
    is_flag=True,
    help="Read a member without any number at an init time as absent, not as failed. Each init "
    "time is scored with its own number of members.",
)
@json_option
@pass_settings
def import_forecast(
    settings: Settings,
    paths: tuple[str, ...],
    dataset: str,
    model: str,
    renames: tuple[str, ...],
    assume_grid: tuple[str, ...],
    *,
    assume_units: bool,
    keep_failures: bool,
    absent_members: bool,
    as_json: bool,
) -> None:
    """Import anyone's forecast: Zarr or netCDF.

    PATH is a .zarr folder, a .zarr.zip file, an s3:// or https:// URL of a Zarr store, or a .nc
    file. Several files, or a pattern in quotes, are one forecast: each holds some of the init
    times, lead times or members.

    The forecast must have every init time and lead time of the dataset's test split, on its grid
    and in its units. If something does not match, the message says what. Names of WeatherBench and
    CF are known. The forecast is then scored as any other.

    For example: geobench catalog import-forecast theirs.nc --dataset dataset/a@1 --model theirs
    """
    from geobench.foreign.adoption import Reading, adopt

    catalog = settings.catalog()
    how = Reading(
        _renames(renames),
        assume_units=assume_units,
        assume_grid=assume_grid,
        keep_failures=keep_failures,
        absent_members=absent_members,
        memory=settings.memory,
    )
    entry, notes = adopt(catalog, paths, catalog.get(dataset, "dataset"), model, how)
    for note in notes:
        click.echo(f"geobench: note: {note}", err=True)
    if as_json:
        documents.show(documents.of_entry(entry))
    else:
        click.echo(entry.reference)


def _renames(texts: Iterable[str]) -> dict[str, str]:
    """Read each THEIRS=OURS."""
    rename: dict[str, str] = {}
    for text in texts:
        theirs, equals, ours = text.partition("=")
        if not (theirs and equals and ours):
            raise GeobenchError(f"'{text}' renames nothing: write THEIRS=OURS, e.g. number=member.")
        if rename.get(theirs, ours) != ours:
            raise GeobenchError(f"--rename is given twice for {theirs}. Give it once.")
        rename[theirs] = ours
    return rename


_FORMS = ("archive", "weatherbench", "netcdf")


@click.command()
@reference_argument("references", nargs=-1, required=True)
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="File (.tar) to write; as weatherbench or netcdf a folder.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(_FORMS),
    default="archive",
    show_default=True,
    help="Form of the files: an archive for another catalog, forecasts and their truth as Zarr "
    "with the names of WeatherBench 2, or netCDF 4 by the conventions of CF.",
)
@json_option
@pass_settings
def export(
    settings: Settings, references: tuple[str, ...], path: Path, form: str, *, as_json: bool
) -> None:
    """Write entries and their lineage into one file, or forecasts as other software reads them.

    As weatherbench or netcdf every forecast is written with its truth beside it; as netcdf also
    datasets and scores. 'catalog import-forecast' takes such a forecast in again.

    For example: geobench catalog export forecast/a@1 --as weatherbench --to folder
    """
    if form == "archive":
        click.get_current_context().invoke(
            moving.export, references=references, path=path, as_json=as_json
        )
        return
    from geobench.foreign import exporting

    engine = settings.engine()
    entries = [engine.catalog.get(reference) for reference in references]
    shape: Form = "netcdf" if form == "netcdf" else "weatherbench"
    files = exporting.export(entries, shape, path, engine.forecast, settings.memory)
    if as_json:
        names = [str(entry.reference) for entry in entries]
        documents.show({"folder": str(path), "entries": names, "files": list(map(str, files))})
        return
    for file in files:
        click.echo(file)


_OURS = {"export": export}
_COMMANDS = (
    *(_OURS.get(str(command.name), command) for command in COMMANDS),
    import_forecast,
    import_forecaster,
)


@click.group(commands={str(command.name): command for command in _COMMANDS})
def catalog() -> None:
    """Show, verify, move and organise the entries of the catalog."""
