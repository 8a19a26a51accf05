"""Rows on several threads: compiled kernels release the interpreter's lock."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

CACHE_LINE = 64  # bytes, and the widest registers


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="geobench-rows")


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def over_rows(kernel: Callable[[int, int], None], rows: int, *, block: int = 1) -> None:
    """Call `kernel(first, stop)` on pieces of `rows`, each a whole number of blocks.

    As many threads as torch is allowed (`torch.set_num_threads`). Rows are independent, so the
    pieces do not change the numbers.
    """
    blocks = -(-rows // block)
    workers = min(torch.get_num_threads(), blocks)
    if workers <= 1:
        kernel(0, rows)
        return
    edges = [min(rows, blocks * worker // workers * block) for worker in range(workers + 1)]
    done = [_pool(workers).submit(kernel, *edge) for edge in pairwise(edges)]
    for future in done:
        future.result()


def scratch(size: int, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """Zeros for one thread, from the start of a cache line: loads across two are slow."""
    buffer = np.zeros(size + CACHE_LINE, dtype)
    first = -buffer.ctypes.data % CACHE_LINE // buffer.itemsize
    return buffer[first : first + size]
