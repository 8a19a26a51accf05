"""Settings of the whole process that numbers depend on: set for a while, then put back.

A sum that several threads share is added up in another order with another number of threads, so its
last bits differ; a training enlarges that. torch, its matrix library and numpy's hold their number
of threads for the whole process, where any library or test may have changed it.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled(threads: int | None = None) -> Iterator[int]:
    """Compute with `threads` threads and with torch's usual settings; yield the number of threads.

    The default is the number that torch is allowed at present. numpy's matrix products get the same
    number. New tensors are float32, products of float32 are not rounded to fewer bits (TF32,
    bfloat16), and cuDNN does not choose its algorithms by their speed.
    """
    import threadpoolctl
    import torch

    before = torch.get_num_threads()
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    tf32, benchmark = cudnn.allow_tf32, cudnn.benchmark
    count = threads or before
    with threadpoolctl.threadpool_limits(count, user_api="blas"):
        try:
            torch.set_num_threads(count)
            torch.set_default_dtype(torch.float32)
            torch.set_float32_matmul_precision("highest")
            cudnn.allow_tf32, cudnn.benchmark = False, False
            yield count
        finally:
            torch.set_num_threads(before)
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(precision)
            cudnn.allow_tf32, cudnn.benchmark = tf32, benchmark
