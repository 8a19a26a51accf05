"""Weights of a forecaster as a safetensors file: written once it is known that it restores them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geobench.contracts.model import EnsembleModel, Forecaster, Task
from geobench.errors import GeobenchError
from geobench.training import numerics

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"


def stored(model: EnsembleModel, forecaster: Forecaster, task: Task) -> bytes:
    """Return the file of a forecaster's weights; `GeobenchError` if it does not restore them."""
    import safetensors.torch
    import torch

    _check_fitted(forecaster)
    # Cloned: safetensors stores no two tensors that share memory.
    weights = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in forecaster.weights().items()
    }
    content = safetensors.torch.save(weights)
    _check_equal(weights, restored(model, content, task).weights())
    return content


def restored(model: EnsembleModel, content: bytes, task: Task) -> Forecaster:
    """Return the forecaster that a model becomes with the weights of a file."""
    import safetensors.torch

    with numerics.seeded(0):
        return model.restore(safetensors.torch.load(content), task)


def _check_fitted(forecaster: object) -> None:
    import torch

    if not isinstance(forecaster, Forecaster):
        raise GeobenchError(f"fit returned {type(forecaster).__name__}; return a Forecaster.")
    for key, value in forecaster.weights().items():
        if not (isinstance(key, str) and isinstance(value, torch.Tensor)):
            raise GeobenchError(
                f"weights() holds {key!r}: {type(value).__name__}; map names to tensors."
            )


def _check_equal(fitted: "Mapping[str, Tensor]", again: "Mapping[str, Tensor]") -> None:
    """Raise unless what is stored is what was fitted."""
    import torch

    if fitted.keys() != again.keys():
        raise GeobenchError(
            f"restore(weights).weights() has {sorted(again)}, and weights() had "
            f"{sorted(fitted)}. Return from weights() all that restore needs."
        )
    for key, value in fitted.items():
        if not torch.equal(value, again[key].detach().cpu()):
            raise GeobenchError(f"the weight '{key}' is another one after restore(weights).")
