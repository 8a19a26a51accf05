"""Anyone's trained weights: read without trust, and checked before anything is published."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 16 * 2**30  # bytes of a file
_MOST = 100_000  # tensors of a file
_LISTED = 5  # names in a message


def read(path: Path) -> "dict[str, Tensor]":
    """Read the weights of a safetensors file; `GeobenchError` if they cannot be anyone's."""
    from safetensors import SafetensorError, safe_open

    _check_file(path)
    try:
        with safe_open(path, "pt") as opened:
            names = list(opened.keys())
            if len(names) > _MOST:
                raise GeobenchError(
                    f"{path} holds {len(names):,} tensors, and {_MOST:,} are the most that is "
                    f"read. Check that it is the right file."
                )
            weights = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise GeobenchError(
            f"{path} is no whole safetensors file ({reason}). Copy it again, or save it again: "
            f"safetensors.torch.save_file(weights, 'weights.safetensors')."
        ) from error
    if not weights:
        raise GeobenchError(f"{path} holds no tensors. Save the weights of the model into it.")
    _check_finite(path, weights)
    return weights


def _check_file(path: Path) -> None:
    if not path.exists():
        raise GeobenchError(f"there is no file {path}. Check the path of the weights.")
    if not path.is_file():
        raise GeobenchError(f"{path} is no regular file. Name a safetensors file.")
    if path.suffix != ".safetensors":
        raise GeobenchError(
            f"{path}: only safetensors files are read, because other formats may run code. Where "
            f"you trust it: safetensors.torch.save_file(torch.load('{path.name}', "
            f"weights_only=True), '{path.stem}.safetensors')."
        )
    size = path.stat().st_size
    if size > LARGEST:
        raise GeobenchError(
            f"{path} has {size:,} bytes, and {LARGEST:,} are the most that is read. Check that it "
            f"is the right file."
        )


def _check_finite(path: Path, weights: "Mapping[str, Tensor]") -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not (finite := value.isfinite()).all():
            indices = [int(index) for index in (~finite).nonzero()[0]]
            raise GeobenchError(
                f"{path}: the weight '{name}' holds {float(value[tuple(indices)])} at {indices}, "
                f"and {int((~finite).sum()):,} of its {value.numel():,} numbers are not finite. "
                f"Import weights of before the training failed."
            )


def not_restored(error: Exception, weights: "Mapping[str, Tensor]") -> GeobenchError:
    """Say why a model cannot be restored from these weights."""
    if isinstance(error, KeyError) and error.args:
        reason = f"it needs the weight '{error.args[0]}', which is not there"
    else:
        reason = " ".join(str(error).split())[:600] or type(error).__name__
    return GeobenchError(
        f"it cannot be restored: {reason}. The file holds {_listed(weights)}. Name the model and "
        f"the fields that these weights were trained with (--set)."
    )


def check_used(weights: "Mapping[str, Tensor]", restored: "Mapping[str, Tensor]") -> None:
    """Raise unless the restored model has all of the weights, as they are."""
    import torch

    extra, lost = (
        [key for key in one if key not in other]
        for one, other in ((weights, restored), (restored, weights))
    )
    if extra or lost:
        problems = [f"the model does not use {_listed(extra)} of the file"] if extra else []
        problems += [f"the file does not hold {_listed(lost)} of the model"] if lost else []
        raise GeobenchError(
            f"{', and '.join(problems)}. Name the model and the fields that these weights were "
            f"trained with (--set), or rename the weights."
        )
    for key, value in weights.items():
        restored_value = restored[key].detach().cpu()
        for what, given, wanted in (
            ("shape", tuple(value.shape), tuple(restored_value.shape)),
            ("dtype", value.dtype, restored_value.dtype),
        ):
            if given != wanted:
                raise GeobenchError(
                    f"the weight '{key}' has the {what} {given}, and the model's has {wanted}. "
                    f"Save it with that {what}."
                )
        if not torch.equal(value, restored_value):
            raise GeobenchError(f"the weight '{key}' is another one after restore(weights).")


def _listed(names: "Mapping[str, Tensor] | list[str]") -> str:
    shown = ", ".join(f"'{name}'" for name in [*names][:_LISTED])
    more = len(names) - _LISTED
    return shown + (f" and {more} more" if more > 0 else "")
