"""Pieces of work, done here one after the other, or on the workers of a dask scheduler."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench import numerics
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    import xarray as xr

    from geobench.scoring import Piece
    from geobench.steps import PieceTask, Steps


def spread(
    steps: "Steps", tasks: "Sequence[PieceTask]"
) -> "Iterator[list[list[tuple[Piece, xr.Dataset]]]]":
    """Yield the statistics of every task, in order.

    Workers open the catalogue themselves, by its address, so they must see it; what is sent to them
    are references, and what comes back are statistics. `distributed` must be installed.
    """
    if steps.scheduler is None:
        yield from map(steps.piece, tasks)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise GeobenchError(
            "--scheduler needs dask's distributed, which is not installed. Install "
            "'geobench-twin[dask]'."
        ) from error
    try:
        client = Client(steps.scheduler, timeout="10s")  # type: ignore[no-untyped-call] # theirs
    except (OSError, ValueError) as error:
        raise GeobenchError(
            f"no dask scheduler answers at {steps.scheduler}: {error}. Start one (dask scheduler), "
            f"or score without --scheduler."
        ) from error
    with client:
        place = steps.catalog.url, [str(file) for file in steps.registry.files], steps.memory
        futures = [
            client.submit(
                _piece,
                *place,
                replace(task, scorers=()),
                [scorer.recipe() for scorer in task.scorers],
                pure=False,
            )
            for task in tasks
        ]
        for future in futures:
            yield future.result()
            future.release()  # type: ignore[no-untyped-call] # theirs


def _piece(
    url: str, files: list[str], memory: int, task: "PieceTask", recipes: list[dict[str, Any]]
) -> "list[list[tuple[Piece, xr.Dataset]]]":
    """Score a piece on a worker, with a catalogue and plugins that it keeps."""
    from geobench.registry import Registry
    from geobench.steps import Steps
    from geobench_catalog import Catalog

    key = url, tuple(files), memory
    if key not in _STEPS:
        _STEPS[key] = Steps(Catalog(url), Registry([Path(file) for file in files]), memory=memory)
    steps = _STEPS[key]
    own = replace(task, scorers=[steps.registry.scorer(each) for each in recipes])
    with numerics.settled(task.threads):
        return steps.piece(own)


_STEPS: dict[tuple[Any, ...], "Steps"] = {}
