"""What a network costs: operations, evaluations, memory."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from geobench.contracts.model import Batch, Forecaster, Run
from geobench.contracts.noise import Noise
from geobench.training.evaluations import Evaluations

_STATUS = Path("/proc/self/status")


def flops_of_pass(loss: nn.Module, batch: Batch, rows: int) -> float:
    """Count the operations of one sample-pass, forward and backward; `rows` is of all processes.

    Multiplications and additions of matrix products and convolutions, each counted. The gradients
    are thrown away.
    """
    batch.noise(rows).normal(1)  # the tables of the generator are made once, and not by the loss
    with _counting() as counter:
        loss(batch).backward()
    loss.zero_grad(set_to_none=True)
    total: int = counter.get_total_flops()
    return total * batch.processes / (rows * batch.leads)


@contextmanager
def _counting() -> Iterator[FlopCounterMode]:
    """Count operations; of attention too, whose quick kernels on a CPU would count as none."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


@dataclass(frozen=True)
class StepCost:
    """Of one member and step: network evaluations, and operations in all."""

    evaluations: float = 0.0
    flops: float = 0.0

    @classmethod
    def of(cls, forecaster: Forecaster, history: Tensor) -> "StepCost":
        """Let a forecaster draw one step of four members; `history` is `(1, frame, channel, …)`."""
        if forecaster.network is None:
            return cls()
        count = 4
        evaluations = Evaluations()
        noise = Noise.rows(0, "cost", 1).members(count).at(1).to(history.device)
        given = history[:, -forecaster.history :].repeat_interleave(count, 0)
        noise.normal(1)
        with evaluations.of(forecaster.network), torch.no_grad(), _counting() as counter:
            forecaster.trajectory(given, noise, 1)
        return cls(evaluations.rows / count, counter.get_total_flops() / count)

    def summary(self) -> dict[str, float]:
        """What stands of it in the record of a forecaster."""
        return {
            "evaluations_per_step": self.evaluations,
            "flops_per_step": self.flops,
            "flops_per_evaluation": self.flops / self.evaluations if self.evaluations else 0.0,
        }


class PeakMemory:
    """Largest memory held since it was made, bytes.

    On a GPU that of tensors. Otherwise by how much the resident memory of this process has grown
    over what it was; where the system does not let a process forget its peak, growth below an
    earlier peak is not seen.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
        else:
            self._before = _forget_peak()

    def grown(self) -> int:
        """Bytes."""
        if self._device.startswith("cuda"):
            return int(torch.cuda.max_memory_allocated(self._device))
        return max(0, _peak() - self._before)


def _forget_peak() -> int:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    if _STATUS.exists():
        lines = _STATUS.read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def summary(forecaster: Forecaster, run: Run, step: StepCost) -> dict[str, float]:
    """What stands in the record of a forecaster; of a model without a network, zeros.

    Seconds are those of its training, over all processes that had a share of it one after the
    other; what was done and lost with a process that died is not counted.
    """
    network = forecaster.network
    count = sum(p.numel() for p in network.parameters()) if network is not None else 0
    if forecaster.trained_elsewhere:
        return {"parameters": count, "trained_elsewhere": True, **step.summary()}
    passes = int(run.spent.get("sample_passes", 0)) or _logged(run)
    return {
        "parameters": count,
        "sample_passes": passes,
        "training_seconds": run.spent.get("seconds", 0.0),
        "flops_per_sample_pass": run.spent.get("flops", 0.0) / max(1, passes),
        **step.summary(),
    }


def _logged(run: Run) -> int:
    """Sample-passes of a model with a loop of its own."""
    return int(run.log["passes"][-1]) if run.log.get("passes") else 0
