"""An entry made again from its recipe and its parents, and compared with what is stored."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geobench.entries.recipes import IMPORTED, is_imported
from geobench.errors import GeobenchError
from geobench.nodes.engine import Engine
from geobench.nodes.kinds import node_of
from geobench.training.stored_weights import WEIGHTS
from geobench_catalog import Entry, difference, scratch
from geobench_catalog.difference import ArrayChange, Change

if TYPE_CHECKING:
    from torch import Tensor

_CIRCUMSTANCES = ("recipe.", "environment.", "summary.device", "summary.threads")
"""What may be why numbers differ: another reading of the recipe, machine or software."""
_ROUNDING = 0.01
"""Of the largest value: what a tolerance is proposed for. More, and it would hide a fault."""
_PROCESSOR = ("processor", "machine", "instructions", "library_settings")
"""Fields of the environment that say which instructions the libraries choose."""


@dataclass(frozen=True)
class Reproduction:
    """How an entry compares with the same made again, here and now."""

    reference: str
    tolerance: float
    same_bits: bool
    """Whether all that is stored of both is the same, byte by byte."""
    differences: list[ArrayChange]
    """Arrays whose numbers differ, the most different first."""
    circumstances: list[Change]
    """What is recorded of how it was made, where it is otherwise now."""
    explanations: list[str]
    """Why the numbers may differ although nothing is wrong, and what to do: whole sentences."""
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no array differs by more than the tolerance."""
        return all(change.relative <= self.tolerance for change in self.differences)


def reproduce(engine: Engine, entry: Entry, tolerance: float = 0.0) -> Reproduction:
    """Make an entry again in a scratch catalog, from the parents it was made from; compare both.

    `tolerance`: how much an array may differ, relative to its largest value. The catalog of
    `engine` is only read. As many threads compute as did then, if the record says how many.
    """
    _check_own(engine, entry)
    with scratch.without(entry, engine.catalog) as aside:
        again = replace(engine, catalog=aside, threads=threads_of(entry))
        made = again.ensure(node_of(entry, again))
        same = made.content_digest == entry.content_digest
        changes = [] if same else [*difference.data(entry, made), *_tensors(entry, made)]
        changes += _scores(entry, made)
        differences = sorted((x for x in changes if x.relative), key=lambda x: -x.relative)
        return Reproduction(
            str(entry.reference),
            tolerance,
            same,
            differences,
            [*_circumstances(entry, made)],
            [*_explanations(entry, made, differences)] if differences else [],
            made.record.seconds,
        )


def threads_of(entry: Entry) -> int | None:
    """The number of threads that computed an entry, if its record says."""
    return entry.record.environment.get("threads") or entry.record.summary.get("threads")


def _circumstances(entry: Entry, made: Entry) -> Iterator[Change]:
    """What was otherwise when the entry was made, where its record says."""
    unsaid = [f"environment.{key}" for key in made.record.environment]
    for change in difference.configuration(entry, made):
        if change.field.startswith(_CIRCUMSTANCES) and not (
            change.first is None and change.field in unsaid
        ):
            yield change


def _explanations(entry: Entry, made: Entry, differences: list[ArrayChange]) -> Iterator[str]:
    """Causes that lie outside the project, each with its evidence and its cure."""
    then, now = (_processor(stored) for stored in (entry, made))
    if any(then[key] not in (None, now[key]) for key in _PROCESSOR):
        largest = max(change.relative for change in differences)
        allow = ""
        if largest < _ROUNDING:
            allow = f", or allow for the difference with --tolerance {_rounded_up(largest)}"
        yield (
            f"the processor is another one, or its instructions: {_told(then)} then, {_told(now)} "
            f"now. Libraries add up in another order there, so last bits differ, and a training "
            f"enlarges that. Reproduce it as the record says{allow}."
        )
    if threads_of(entry) is None:
        yield (
            f"the record does not say how many threads computed it, and the order of sums depends "
            f"on that: {threads_of(made)} did now. Try other numbers: set OMP_NUM_THREADS before "
            f"the command."
        )


def _processor(entry: Entry) -> dict[str, Any]:
    environment = {"library_settings": {}} | entry.record.environment
    return {key: environment.get(key) for key in _PROCESSOR}


def _told(processor: dict[str, Any]) -> str:
    """A processor in words: its name, and in parentheses what else is known of it."""
    name = processor["processor"] or processor["machine"] or "an unnamed processor"
    settings = processor["library_settings"]
    details = [*(processor["instructions"] or ()), *(f"{key}={settings[key]}" for key in settings)]
    return f"{name} ({' '.join(details)})" if details else str(name)


def _rounded_up(number: float) -> str:
    """The next power of ten that is not smaller."""
    return f"1e{math.ceil(math.log10(number))}"


def _check_own(engine: Engine, entry: Entry) -> None:
    """Raise if nobody here knows how it was made."""
    maker = engine.catalog.parent(entry, "forecaster") if _kind(entry) == "forecast" else entry
    weights = maker is not entry and IMPORTED in maker.record.recipe  # these draw it again
    if _kind(maker) == "forecaster" and is_imported(maker.record) and not weights:
        raise GeobenchError(
            f"{entry.reference} was imported: how it was made is not known here, so it cannot be "
            f"made again. Name one of its scores, or an entry that was made here."
        )


def _kind(entry: Entry) -> str:
    return entry.record.kind


def _tensors(entry: Entry, made: Entry) -> Iterator[ArrayChange]:
    """Compare the weights, if there are any, tensor by tensor."""
    if WEIGHTS not in entry.manifest or entry.manifest[WEIGHTS] == made.manifest.get(WEIGHTS):
        return
    import safetensors.torch

    first, second = (safetensors.torch.load(stored.content(WEIGHTS)) for stored in (entry, made))
    for key in dict.fromkeys([*first, *second]):
        if key not in first or key not in second:
            which = "first" if key in first else "second"
            yield ArrayChange(f"weights/{key}", f"only in the {which}")
        else:
            yield _compared(f"weights/{key}", first[key], second[key])


def _compared(name: str, first: "Tensor", second: "Tensor") -> ArrayChange:
    if (first.shape, first.dtype) != (second.shape, second.dtype):
        return ArrayChange(name, "other shape or type")
    one, other = first.double(), second.double()
    odd = (one != other) & ~(one.isnan() & other.isnan())
    if not odd.any():
        return ArrayChange(name, "equal", 0, one.numel())
    largest = float((one - other)[odd].abs().nan_to_num(float("inf")).max())
    scale = float(one.nan_to_num(0.0, 0.0, 0.0).abs().max()) if first.is_floating_point() else None
    return ArrayChange(name, "differs", int(odd.sum()), one.numel(), largest, scale)


def _scores(entry: Entry, made: Entry) -> Iterator[ArrayChange]:
    """Compare what the record of a score tells, column by column over lead times."""
    import torch

    then, again = (stored.record.summary.get("scores", {}) for stored in (entry, made))
    for column in dict.fromkeys([*then, *again]):
        both = (
            torch.tensor(
                [float("nan") if x is None else x for x in scores.get(column, ())]
            ).double()
            for scores in (then, again)
        )
        yield _compared(f"score {column}", *both)
