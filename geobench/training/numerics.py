"""Settings of the whole process that numbers depend on: set for a while, then put back.

A sum that several threads share is added up in another order with another number of threads, so its
last bits differ; a training enlarges that. torch, its matrix library and numpy's hold their number
of threads for the whole process, where any library or test may have changed it. So do the global
random generators of torch, numpy and Python.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from geobench.errors import GeobenchError
from geobench.registry import devices


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


@contextmanager
def seeded(seed: int) -> Iterator[Callable[[], bool]]:
    """Seed the global generators of torch, numpy and Python, and put them back at the end.

    Ordinary code of torch draws from them: `nn.Linear` does when it is built. Yields a function
    that says whether any of them has been drawn from.
    """
    import random

    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state()  # noqa: NPY002 # what others may use
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        try:
            torch.manual_seed(seed)  # noqa: TID251
            np.random.seed(seed % 2**32)  # noqa: NPY002, TID251
            random.seed(seed)
            began = _states()
            yield lambda: _states() != began
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


def _states() -> tuple[object, ...]:
    import random

    import numpy as np
    import torch

    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    gpu_states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    drawn = [state.numpy().tobytes() for state in (torch.get_rng_state(), *gpu_states)]
    return random.getstate(), kind, np.asarray(keys).tobytes(), *map(str, rest), *drawn


@contextmanager
def undrawn(what: str) -> Iterator[None]:
    """Raise if a global generator is drawn from within the block; `what` is the cause and cure."""
    with seeded(0) as drawn_from:
        yield
        if drawn_from():
            raise GeobenchError(what)


def check_device(device: str) -> None:
    """Raise unless torch can use a device."""
    import torch

    if problem := devices.refusal(device):
        raise GeobenchError(f"the device {problem}")
    # On a GPU convolutions would round to 10 bits (TF32): float32 is what it is on a CPU.
    torch.backends.cudnn.allow_tf32 = False
