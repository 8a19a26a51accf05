"""geobench run --dry-run: which steps are done, which are to do, and what these will cost."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from geobench.lab.watching import duration
from geobench_catalog.commands import documents
from geobench_catalog.commands.tables import size

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine
    from geobench.nodes.node import Node
    from geobench.study.estimates import Estimate
    from geobench.study.graph import StudyGraph
    from geobench_catalog import Entry


_UNKNOWN = "–"


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

    def line(self, *, costs: bool) -> str:
        """What a terminal shows of it; `costs`: with a column for each cost."""
        name = str(self.entry.reference) if self.entry else self.node.name
        state = "done " if self.entry else "to do"
        middle = "".join(f"{text:>9}" for text in self._costs()) if costs else ""
        return f"{state}  {self.node.kind:10}{middle}  {name}"

    def _costs(self) -> tuple[str, str, str]:
        if self.entry:
            return "", "", ""
        seconds, memory, disk = self.cost
        return (
            _UNKNOWN if seconds is None else duration(seconds),
            _UNKNOWN if memory is None else size(memory),
            _UNKNOWN if disk is None else size(disk),
        )


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
    costs = any(step.cost != Estimate() for step in steps)
    if costs:
        heads = "".join(f"{text:>9}" for text in ("time", "memory", "disk"))
        click.echo(click.style(f"{'':5}  {'kind':10}{heads}  name", bold=True))
    for step in steps:
        click.echo(step.line(costs=costs))
    click.echo(_left(steps))
    if estimates and any(step.entry is None for step in steps):
        click.echo(_total(steps))


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
    peak = f", {size(memory)} of memory in the largest training" if memory else ""
    text = (
        f"Estimated from recorded costs: {duration(sum(seconds))} one step after another, "
        f"{size(sum(disk))} of disk{peak}."
    )
    unknown = len(costs) - len(seconds)
    more = f" The time of {unknown:,} of {len(costs):,} steps is unknown." if unknown else ""
    return click.wrap_text(f"{text}{more} {_UNKNOWN}: not recorded.", 80)
