"""geobench run --dry-run: which steps are done, which are to do, and what these will cost."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from geobench.cli.watching import duration
from geobench.registry.sizes import size_text
from geobench_catalog.commands import documents

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine
    from geobench.nodes.node import Node
    from geobench.study.estimates import Estimate
    from geobench.study.graph import StudyGraph
    from geobench_catalog import Entry


class _Step(NamedTuple):
    """A node, its entry if it is there, and otherwise what it will cost."""

    node: "Node"
    entry: "Entry | None"
    cost: "Estimate"

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        return {
            "kind": self.node.kind,
            "name": self.node.name,
            "reference": str(self.entry.reference) if self.entry else None,
            "done": self.entry is not None,
            "seconds": self.cost.seconds,
            "memory": self.cost.memory,
            "bytes": self.cost.disk,
        }

    def line(self) -> str:
        """What a terminal shows of it."""
        if self.entry:
            return f"done   {self.node.kind:10}  {self.entry.reference}"
        return f"to do  {self.node.kind:10}  {self.node.name}  {_cost(self.cost)}"


def show_plan(graph: "StudyGraph", engine: "Engine | None", *, as_json: bool) -> None:
    """Print every step of a study; `engine` None: there is no catalog yet."""
    from geobench.study import run
    from geobench.study.estimates import Estimate, Estimates

    estimates = Estimates(engine) if engine else None
    steps = [
        _Step(node, entry, Estimate() if entry or not estimates else estimates.of(node))
        for node, entry in run.plan(graph, engine)
    ]
    if as_json:
        documents.show([step.document() for step in steps])
        return
    for step in steps:
        click.echo(step.line())
    click.echo(_left(steps))
    if any(step.entry is None for step in steps):
        click.echo(_total(steps))


def _cost(cost: "Estimate") -> str:
    if cost.seconds is None and cost.disk is None:
        return "cost unknown"
    parts = ["time unknown" if cost.seconds is None else f"about {duration(cost.seconds)}"]
    if cost.memory is not None:
        parts.append(f"{size_text(cost.memory)} of memory")
    if cost.disk is not None:
        parts.append(f"{size_text(cost.disk)} of disk")
    return ", ".join(parts)


def _left(steps: Sequence[_Step]) -> str:
    """How many steps are done, and what is to do, in one line."""
    left = Counter(step.node.kind for step in steps if step.entry is None)
    counts = [f"{count:,} {kind}{'s' * (count > 1)}" for kind, count in left.items()]
    done = f"{len(steps) - left.total():,} of {len(steps):,} steps are done"
    return f"{done}; to do: {', '.join(counts)}" if counts else done


def _total(steps: Sequence[_Step]) -> str:
    """What all steps together will cost, as far as it is known."""
    costs = [step.cost for step in steps if step.entry is None]
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    disk = [cost.disk for cost in costs if cost.disk is not None]
    memory = max((cost.memory for cost in costs if cost.memory is not None), default=None)
    if not (seconds or disk):
        return "Costs are unknown: no step like these was recorded in this catalog."
    peak = f", {size_text(memory)} of memory in the largest training" if memory else ""
    unknown = len(costs) - len(seconds)
    return (
        f"Estimated from recorded costs, one step after another: {duration(sum(seconds))}, "
        f"{size_text(sum(disk))} of disk{peak}. "
        + (f"The time of {unknown:,} of {len(costs):,} steps is unknown." if unknown else "")
    ).rstrip()
