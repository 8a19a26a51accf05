"""Rows on several threads: compiled kernels release the interpreter's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch


def over_rows(kernel: Callable[[int, int], None], rows: int, *, block: int = 1) -> None:
    """Call `kernel(first, stop)` on pieces of `rows`, each a whole number of blocks.

    As many threads as torch is allowed (`torch.set_num_threads`). Rows are independent, so the
    pieces do not change the numbers.
    """
    blocks = -(-rows // block)
    workers = min(torch.get_num_threads(), blocks)
    edges = [min(rows, blocks * worker // workers * block) for worker in range(workers + 1)]
    if workers <= 1:
        kernel(0, rows)
        return
    with ThreadPoolExecutor(workers) as pool:
        done = [pool.submit(kernel, *edge) for edge in pairwise(edges)]
        for each in done:
            each.result()
