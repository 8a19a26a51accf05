"""The loop over optimiser steps."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geobench.contracts.model import Batch, Forecaster, Run
from geobench.training import checkpoint, cost, processes, validating
from geobench.training.checkpoint import Checkpoint, Facts, UnusableError
from geobench.training.diagnosis import Diagnosis
from geobench.training.evaluations import Evaluations
from geobench.training.logs import Logs
from geobench.training.optimisation import Optimisation
from geobench.training.weights import Weights

_RECORDS = 100  # in the log
_SCHEMA = 1


class Loop:
    """One training: what is minimised, how, and who watches."""

    def __init__(
        self,
        loss: nn.Module,
        how: Optimisation,
        run: Run,
        forecaster: Forecaster | None,
        spread_from: float = 0.5,
    ) -> None:
        self._loss, self._how, self._run, self._forecaster = loss, how, run, forecaster
        self._processes = processes.together(run.device, how.precision)
        self._steps, self._passes = how.steps, how.spent(how.steps)
        self._weights = Weights(loss, how)
        deterministic = forecaster is not None and forecaster.deterministic
        self._diagnosis = Diagnosis(how, None if deterministic else spread_from)
        self._kept: int | None = None  # steps before the newest checkpoint
        self._step = 0
        self._recent: list[Tensor] = []
        self._base = run.log["passes"][-1] if run.log.get("passes") else 0.0
        self._flops = self._earlier = 0.0
        self._began = self._saved = time.perf_counter()
        self._logs: Logs | None = None

    def go(self) -> None:
        """Train, from the beginning or from where it was interrupted."""
        resumed = self._resume()
        if not resumed:
            with self._processes.autocast():
                self._flops = cost.flops_of_pass(self._loss, self._batch(), self._how.rows)
        checks, windows = self._plan()
        with self._logging(), self._compiled():
            step, optimiser = self._processes.setup(
                _Step(self._loss, self._batch), self._weights.optimiser
            )
            if checks and not resumed and not self._base:  # untrained, once
                self._validate(windows)
            while self._step < self._steps:
                self._advance(step, optimiser)
                if self._ends_record():
                    self._record()
                if self._step in checks:
                    self._validate(windows)
                if time.perf_counter() - self._saved > self._run.checkpoint_every:
                    self._save()
            if not self._weights.finite():
                self._diagnosis.stop("weights are not finite at the end", self._told())
            self._save()
        self._weights.keep_average()
        self._tell_cost()

    # -- steps

    def _batch(self) -> Batch:
        leads = self._how.span(self._step).leads
        done = self._how.spent(self._step) / self._passes
        world, rank = self._processes.world_size, self._processes.global_rank
        return Batch(self._step, leads, done, self._run, rank, world)

    def _advance(self, step: Callable[[int], Tensor], optimiser: torch.optim.Optimizer) -> None:
        self._weights.set_rate(self._how.rate(self._step))
        optimiser.zero_grad()
        value = step(self._step)
        self._processes.backward(value)
        torch.nn.utils.clip_grad_norm_(self._weights.parameters, self._how.clip)
        optimiser.step()
        self._weights.average(self._step)
        mean = self._processes.all_reduce(value.detach(), reduce_op="mean")
        self._recent.append(mean)  # type: ignore[arg-type] # Fabric's types do not say so
        self._step += 1

    @contextmanager
    def _compiled(self) -> Iterator[None]:
        """Compile what the loss holds while it lasts: not the loss, which draws noise."""
        children = list(self._loss.children()) if self._how.compiled else []
        for child in children:
            vars(child)["forward"] = torch.compile(child.forward)  # before that of its class
        try:
            yield
        finally:
            for child in children:
                del vars(child)["forward"]

    # -- what is told

    @contextmanager
    def _logging(self) -> Iterator[None]:
        if self._run.folder is None:
            yield
            return
        self._logs = Logs(self._run.folder, self._run.log)
        try:
            yield
        finally:
            self._logs.close()

    def _ends_record(self) -> bool:
        every = max(1, self._steps // _RECORDS)
        span = self._how.span(self._step - 1)
        return self._step % every == 0 or self._step == span.first + span.steps

    def _record(self) -> None:
        losses = torch.stack(self._recent)
        self._diagnosis.losses(losses, self._step, self._told())
        self._recent.clear()
        self._log(passes=self._base + self._how.spent(self._step), loss=float(losses.mean()))
        self._report()

    def _plan(self) -> tuple[set[int], int]:
        """After which steps members are scored, and on how many windows."""
        validation = self._run.validation
        if self._forecaster is None or validation is None or not self._how.validations:
            return set(), 0
        evaluations = Evaluations()
        with evaluations.of(self._forecaster.network):
            validating.score(self._forecaster, validation, self._run, 1)
        times, windows = validating.plan(
            self._how, evaluations.rows / validating.MEMBERS, len(validation.windows)
        )
        return {round(k * self._steps / times) for k in range(times + 1)}, windows

    def _validate(self, windows: int) -> None:
        validation, forecaster = self._run.validation, self._forecaster
        assert validation is not None  # noqa: S101 # `_plan` has seen
        assert forecaster is not None  # noqa: S101
        with self._weights.averaged():
            figures = validating.score(forecaster, validation, self._run, windows)
        figures = self._processes.broadcast(figures)  # processes must not decide differently
        self._log(
            validation_passes=self._base + self._how.spent(self._step),
            validation_crps=figures.crps,
            validation_spread=figures.spread,
            validation_error=figures.error,
        )
        share = validation.share(figures.crps)
        if share is not None:
            self._log(validation_share=share)
        self._report()
        self._diagnosis.validation(figures, self._step, self._told())
        if time.perf_counter() - self._saved > self._run.checkpoint_every / 10 or not self._step:
            self._save()

    def _log(self, **values: float) -> None:
        for key, value in values.items():
            self._run.log.setdefault(key, []).append(value)
        if self._logs:
            self._logs.update(self._run.log)

    def _report(self) -> None:
        log = self._run.log
        parts = [f"loss {log['loss'][-1]:.4f}"] if log.get("loss") else []
        if log.get("validation_crps"):
            parts.append(f"CRPS {log['validation_crps'][-1]:.4f}")
        if log.get("validation_share"):
            parts.append(f"gap closed {100 * log['validation_share'][-1]:.1f} %")
        self._run.progress(self._step, self._steps, "  ".join(parts))

    # -- checkpoints

    @property
    def _path(self) -> Path | None:
        name = self._run.place.strip("/").replace("/", ".").replace(" ", "-") or "training"
        return self._run.folder / f"{name}.safetensors" if self._run.folder else None

    @property
    def _recipe(self) -> dict[str, Any]:
        run = {"schema": _SCHEMA, "seed": self._run.seed, "place": self._run.place}
        model = {"model": dict(self._run.recipe), "loss": type(self._loss).__qualname__}
        return run | model | {"how": self._how.model_dump(mode="json")}

    def _save(self) -> None:
        """Keep the present state, unless something is wrong with it."""
        if self._path is None or not self._diagnosis.well(self._recent):
            return
        if not self._weights.finite():
            return
        facts = Facts(
            recipe=self._recipe,
            step=self._step,
            base=self._base,
            log=self._run.log,
            diagnosis=self._diagnosis.state,
            seconds=self._seconds(),
            flops=self._flops,
        )
        recent = {"recent": torch.stack(self._recent)} if self._recent else {}
        kept = Checkpoint(self._weights.tensors() | recent, facts)
        checkpoint.write(self._path, kept.encoded())
        self._kept, self._saved = self._step, time.perf_counter()

    def _resume(self) -> bool:
        """Go on from the checkpoint, if there is one that can be trusted."""
        content = self._processes.broadcast(self._content())
        if content is None:
            return False
        try:
            stored = Checkpoint.decoded(content)
            stored.check(self._recipe, self._weights.expected(stored.facts.step))
        except UnusableError as error:
            self._set_aside(error)
            return False
        self._weights.load(stored.tensors)
        if "recent" in stored.tensors:
            self._recent = list(stored.tensors["recent"].to(self._run.device).unbind())
        facts = stored.facts
        self._step = self._kept = facts.step
        self._base, self._diagnosis.state = facts.base, facts.diagnosis
        self._earlier, self._flops = facts.seconds, facts.flops
        self._run.log.clear()
        self._run.log.update(facts.log)
        self._report()
        return True

    def _content(self) -> bytes | None:
        return self._path.read_bytes() if self._path and self._path.exists() else None

    def _set_aside(self, error: UnusableError) -> None:
        if self._path:
            aside = self._path.with_suffix(".unusable")
            self._path.replace(aside)
            logging.getLogger("geobench").warning(
                "geobench: the checkpoint %s is not used: %s. It is now %s, and training begins "
                "anew.",
                self._path,
                error,
                aside.name,
            )

    def _told(self) -> str:
        """Where weights from before are, for errors."""
        if self._path is None:
            return "No weights from before are kept."
        if self._kept is None:
            return "No weights from before were kept yet."
        return f"The weights of step {self._kept:,} are kept in {self._path}."

    # -- the end

    def _seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._began

    def _tell_cost(self) -> None:
        spent = {
            "seconds": self._seconds(),
            "sample_passes": float(self._passes),
            "flops": self._flops * self._passes,
        }
        for key, value in spent.items():
            self._run.spent[key] = self._run.spent.get(key, 0.0) + value


class _Step(nn.Module):
    """The loss as Fabric wants it: its `forward` is given plain numbers."""

    def __init__(self, loss: nn.Module, batch: Callable[[], Batch]) -> None:
        super().__init__()
        self.loss, self._batch = loss, batch

    def forward(self, _step: int) -> Tensor:
        value: Tensor = self.loss(self._batch())
        return value
