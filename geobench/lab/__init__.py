"""The Python face: everything that the commands do, with objects that print as tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geobench.lab.lab import Lab


def open(  # geobench.open
    catalog: str | Path | None = None,
    *,
    plugins: str | Path | Sequence[str | Path] = (),
    device: str | None = None,
    memory: int | str | None = None,
    processes: int | None = None,
    scheduler: str | None = None,
    quiet: bool = False,
) -> "Lab":
    """Open a lab: a catalog, which is made if it is not there, with all plugins.

    `catalog`: a folder or an s3:// URL. `plugins`: Python files with your plugins; geobench runs
    them. `device`: that networks run on, cpu, cuda, cuda:1 or mps. `memory`: that each process may
    use for the data of one step, e.g. "2GiB". `processes`: how many draw forecasts and compute
    scores. `scheduler`: address of a dask scheduler, whose workers compute scores. `quiet`: no
    progress bars. What is not named comes from `geobench.toml`, which is looked for from the
    working folder upwards; the catalog also from the environment variable GEOBENCH_CATALOG. The
    defaults are those of the commands.
    """
    import os

    from geobench.contracts.model import unwatched
    from geobench.errors import GeobenchError
    from geobench.lab.lab import Lab
    from geobench.lab.progress import watcher
    from geobench.nodes.engine import Engine
    from geobench.registry import Registry
    from geobench.registry.project import check_plugin_file, read_project
    from geobench.registry.sizes import read_size
    from geobench_catalog import Catalog

    project = read_project()
    files = [Path(file) for file in ([plugins] if isinstance(plugins, str | Path) else plugins)]
    for file in files:
        check_plugin_file(file, "plugins")
    if processes is not None and processes < 1:
        raise GeobenchError(f"processes = {processes}: write a whole number from 1.")
    named = {file.resolve(): file for file in (*project.plugins, *files)}
    address = catalog or os.environ.get("GEOBENCH_CATALOG") or project.catalog
    size = memory if memory is not None else project.memory
    if isinstance(size, int) and size < 2**20:
        raise GeobenchError(f"memory = {size}: give 2**20 bytes (1 MiB) or more.")
    engine = Engine(
        Catalog(str(address or "geobench-catalog"), create=True),
        Registry(named.values()),
        unwatched if quiet else watcher(),
        device or project.device or "cpu",
        read_size(size) if isinstance(size, str) else size or 2**30,
        scheduler=scheduler or project.scheduler,
        processes=processes or project.processes or 1,
    )
    return Lab(engine)
