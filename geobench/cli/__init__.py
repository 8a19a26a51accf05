"""The command line: parses and prints; everything else is done elsewhere.

Imports of weight stand inside the commands, so that `geobench --help` is quick.
"""

from pathlib import Path

import click

from geobench.cli.catalog import catalog
from geobench.cli.completion import completion
from geobench.cli.control import control
from geobench.cli.doctor import doctor
from geobench.cli.leaderboard import leaderboard
from geobench.cli.plan import plan
from geobench.cli.plugins import plugins
from geobench.cli.reproduce import reproduce
from geobench.cli.root import Root, check_plugins, with_project
from geobench.cli.run import run
from geobench.cli.schema import schema
from geobench.cli.scorers import scorers
from geobench.cli.settings import COUNT, Settings, Size
from geobench.cli.simulator import simulator
from geobench.cli.steps import events, forecast, score, simulate, train
from geobench.cli.study import study
from geobench.cli.test import test
from geobench_catalog.commands.options import catalog_option


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="geobench-twin", prog_name="geobench")
@catalog_option
@click.option(
    "--plugin",
    type=click.Path(path_type=Path),
    multiple=True,
    callback=check_plugins,
    help="A Python file with your plugin. geobench runs it.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Device that networks run on: cpu, cuda, cuda:1 or mps.",
)
@click.option(
    "--memory",
    type=Size(),
    default="1GiB",
    show_default=True,
    help="Memory that each process may use for the data of one step.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Address of a dask scheduler, e.g. tcp://10.0.0.1:8786. Its workers compute scores.",
)
@click.option(
    "--processes",
    type=COUNT,
    metavar="N",
    help="Number of processes that draw forecasts and compute scores. The threads are divided "
    "among them.  [default: 1; for the pages of a site, the number of cores]",
)
@click.option("--quiet", "-q", is_flag=True, help="Do not show progress bars.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(
    ctx: click.Context,
    catalog_url: str,
    plugin: tuple[Path, ...],
    device: str,
    memory: int,
    scheduler: str | None,
    processes: int | None,
    *,
    quiet: bool,
    debug: bool,
) -> None:
    """Judge probabilistic forecast models against the known law of a twin experiment.

    The options below may stand before the command or after it. A file geobench.toml in your folder,
    or in one above it, can set them.
    """
    project = ctx.ensure_object(Settings).project
    ctx.obj = Settings(
        catalog_url,
        with_project(project, plugin),
        device,
        memory,
        scheduler,
        processes,
        quiet=quiet,
        debug=debug,
        project=project,
    )


_GROUPS = {
    "Make": (run, study, simulate, train, forecast, score, events, control),
    "Compare": (leaderboard, test, plan, reproduce),
    "Catalog": (catalog,),
    "Plugins": (plugins, scorers, simulator),
    "Help": (doctor, schema, completion),
}
main.groups = {title: [str(command.name) for command in part] for title, part in _GROUPS.items()}
for _part in _GROUPS.values():
    for _command in _part:
        main.add_command(_command)
