"""Which backend advances a state: compiled code, or torch, which knows gradients and devices."""

from typing import TYPE_CHECKING, Literal

from geobench import GeobenchError

if TYPE_CHECKING:
    from torch import Tensor

Backend = Literal["auto", "torch", "numba"]


def compiled(name: str, backend: Backend, state: "Tensor") -> bool:
    """Whether numba is to advance `state`; `GeobenchError` if it is asked to and cannot."""
    import torch

    gradients = torch.is_grad_enabled() and state.requires_grad
    able = state.device.type == "cpu" and state.dtype in (torch.float32, torch.float64)
    if backend == "numba" and (gradients or not able):
        reason = "gradients are asked for" if gradients else f"{state.dtype} on {state.device}"
        raise GeobenchError(
            f"{name}: numba runs float32 and float64 on a CPU without gradients, and this is "
            f"{reason}. Use backend: auto."
        )
    return able and not gradients and backend != "torch"
