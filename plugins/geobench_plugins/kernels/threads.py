"""Rows spread over threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def over_rows(function: Callable[[slice], object], rows: int) -> None:
    """Call `function` with slices that together are `rows`, one slice for each of torch's threads.

    The function has to release the interpreter's lock, and to treat rows as independent.
    """
    workers = min(torch.get_num_threads(), rows)
    if workers < 2:
        function(slice(0, rows))
        return
    edges = [rows * worker // workers for worker in range(workers + 1)]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(function, map(slice, edges[:-1], edges[1:])))
