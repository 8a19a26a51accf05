"""geobench catalog: what is kept."""

from pathlib import Path

import click

from geobench.cli.completion import offered
from geobench.cli.settings import Settings, assignments, pass_settings, set_option
from geobench_catalog.commands import COMMANDS, documents
from geobench_catalog.commands.place import completes, json_option


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
@click.option("--label", metavar="NAME", help="What to call it; default: the name of the model.")
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
    """Take in trained weights, a .safetensors file.

    The file holds what the model's weights() return. The model is restored from it and draws a few
    members before anything is published. The entry is marked as imported, and the cost of its
    training is unknown.

    For example: geobench catalog import-forecaster fgn.safetensors --dataset dataset/lorenz95@1
    --model fgn --set hidden=32 --label theirs
    """
    from geobench.nodes import imported
    from geobench.registry import merged, read_yaml

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


@click.group(commands={str(command.name): command for command in (*COMMANDS, import_forecaster)})
def catalog() -> None:
    """Look at, prove, move and sort what the catalog keeps."""
