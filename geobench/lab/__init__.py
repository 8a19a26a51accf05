"""The Python face: everything that the commands do, with objects that print as tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geobench.lab.lab import Lab


def open(  # geobench.open
    catalog: str | Path = "geobench-catalog",
    *,
    plugins: Sequence[str | Path] = (),
    device: str = "cpu",
    memory: int | str = "1GiB",
    processes: int = 1,
    scheduler: str | None = None,
    quiet: bool = False,
) -> "Lab":
    """Open a lab: a catalog, which is made if it is not there, with all plugins.

    `catalog`: a folder or an s3:// URL. `plugins`: Python files with your plugins; geobench runs
    them. `memory`: bytes that each process may use for the data of one step. `processes`: how many
    draw forecasts and compute scores. `scheduler`: address of a dask scheduler, whose workers
    compute scores. `quiet`: no progress bars.
    """
    from pydantic import ByteSize, TypeAdapter

    from geobench.contracts.model import unwatched
    from geobench.lab.lab import Lab
    from geobench.lab.progress import watcher
    from geobench.nodes.engine import Engine
    from geobench.registry import Registry
    from geobench_catalog import Catalog

    registry = Registry([Path(file) for file in plugins])
    engine = Engine(
        Catalog(str(catalog), create=True),
        registry,
        unwatched if quiet else watcher(),
        device,
        int(TypeAdapter(ByteSize).validate_python(memory)),
        scheduler=scheduler,
        processes=processes,
    )
    return Lab(engine)
