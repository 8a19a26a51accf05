"""The engine: finds nodes in the catalog, and makes what is missing, each once."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.contracts.model import Watch, unwatched
from geobench.errors import BusyError, GeobenchError
from geobench.forecasts.forecast import Forecast
from geobench.nodes import processes
from geobench.nodes.node import Computed, Entries, Folder, Given, Job, Node, Part
from geobench.nodes.stored import Stored, opened
from geobench.registry import Registry
from geobench.training import numerics
from geobench.twin.dataset import Dataset
from geobench_catalog import Catalog, Entry

if TYPE_CHECKING:
    from geobench.contracts.scorer import Context, Scorer
    from geobench_catalog.draft import Draft

PATIENCE = 0.5
"""Seconds until the engine asks again whether another process has done a work."""

Known = dict[Node, Entry | None]
"""Entries of nodes that have been looked up; None: the entry is missing."""


@dataclass(eq=False)
class Engine:
    """Finds and makes nodes, with a catalog, plugins and somebody who watches."""

    catalog: Catalog
    registry: Registry
    watch: Watch = unwatched
    device: str = "cpu"
    memory: int = 2**30
    """Bytes that data may take in a process while they are forecast, scored, written and read.

    Besides: what the networks need, one tile of inits and members, and the programs themselves."""

    checkpoint_every: float = 60.0
    """Seconds between the checkpoints of a training."""

    scheduler: str | None = None
    """Address of a dask scheduler, whose workers score; default: this process scores."""

    processes: int = 1
    """Processes that forecast and score side by side, each with its part of the threads."""

    wait: bool = True
    """Wait where another process makes the same node; otherwise raise `BusyError`."""

    threads: int | None = None
    """Threads to compute with; default: as many as torch is allowed when a node is made.

    The last bits of sums depend on it, so the record of each entry names it."""

    def __post_init__(self) -> None:
        self._dataset: Dataset | None = None
        if self.device != "cpu":
            numerics.check_device(self.device)

    def __repr__(self) -> str:
        address = f", scheduler {self.scheduler}" if self.scheduler else ""
        count = f", {self.processes} processes" if self.processes > 1 else ""
        return f"<Engine on {self.catalog.url}: device {self.device}{count}{address}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Send addresses to another process, which opens the catalog and loads the plugins there.

        It works for one that watches, cuts and waits.
        """
        files = tuple(str(file) for file in self.registry.files)
        return _reopened, (self.catalog.url, files, self.device, self.memory, self.threads)

    # -- finding

    def find(self, node: Node) -> Entry | None:
        """Return the entry of a node, if it is in the catalog."""
        return self.find_all([node])[0]

    def find_all(self, nodes: Sequence[Node], known: Known | None = None) -> list[Entry | None]:
        """Return the entry of each node, where it is in the catalog.

        The index is asked once for each kind and level of the graph. `known` is filled with all
        that was looked up, and is not asked for again.
        """
        known = {} if known is None else known
        self._look_up(nodes, known)
        return [known[node] for node in nodes]

    def _look_up(self, nodes: Sequence[Node], known: Known) -> None:
        unknown = [node for node in dict.fromkeys(nodes) if node not in known]
        if not unknown:
            return
        self._look_up([parent for node in unknown for parent in node.parents().values()], known)
        jobs: dict[str, list[Job[Computed]]] = {}
        for node in unknown:
            if node in known:
                continue  # it is a parent of another one
            parents = _there(node, known)
            known[node] = None
            if parents is None:
                continue
            if isinstance(node, Given):
                known[node] = node.entry_for(self, parents)
            elif isinstance(node, Computed):
                job = Job(node, node.recipe(self, parents), parents)
                jobs.setdefault(node.kind, []).append(job)
        for alike in jobs.values():
            for job, entry in zip(alike, self._entries_of(alike), strict=True):
                known[job.node] = entry

    def _entries_of(self, jobs: Sequence[Job[Computed]]) -> list[Entry | None]:
        computations = [(job.recipe, job.parents) for job in jobs]
        return self.catalog.find_all(jobs[0].node.kind, computations)

    # -- making

    def ensure(self, node: Node) -> Entry:
        """Return the entry of a node; make it, and its parents before, if it is missing."""
        return self.ensure_all([node])[0]

    def ensure_all(self, nodes: Sequence[Node], known: Known | None = None) -> list[Entry]:
        """Return the entry of each node, after making what is missing."""
        known = {} if known is None else known
        for node in [node for node, entry in known.items() if entry is None]:
            del known[node]  # another process may have made it since
        self._look_up(nodes, known)
        self._make_missing(nodes, known)
        return [entry for node in nodes if (entry := known[node])]

    def _make_missing(self, nodes: Sequence[Node], known: Known) -> None:
        missing = [node for node in dict.fromkeys(nodes) if known[node] is None]
        if not missing:
            return
        computed = [node for node in missing if isinstance(node, Computed)]
        for node in missing:
            parents = {role: e for role, parent in node.parents().items() if (e := known[parent])}
            if isinstance(node, Computed):
                node.check(self, parents)
            elif isinstance(node, Given):
                raise GeobenchError(node.missing(parents))
        self._make_missing([p for node in missing for p in node.parents().values()], known)
        groups: dict[str, list[Job[Computed]]] = {}
        for node in computed:
            entries = _there(node, known) or {}
            job = Job(node, node.recipe(self, entries), entries)
            groups.setdefault(_key(job), []).append(job)
        for jobs in groups.values():
            for job, entry in zip(jobs, self._make(jobs), strict=True):
                known[job.node] = entry

    def _make(self, jobs: Sequence[Job[Computed]]) -> list[Entry]:
        """Make jobs of one work; of several processes the first one decides what there is."""
        from geobench.training import processes

        first = jobs[0]
        leads = processes.rank() == 0
        with self._claimed(first) if leads else nullcontext():
            entries = self._agreed(lambda: self._entries_of(jobs))
            missing = [job for job, entry in zip(jobs, entries, strict=True) if entry is None]
            made: list[Entry] = []
            if missing and (leads or first.node.collective):
                made = type(first.node).make(self, missing)
            fresh = iter(self._agreed(lambda: made) if missing else [])
            return [finished for entry in entries if (finished := entry or next(fresh))]

    def _agreed(self, question: Callable[[], Sequence[Entry | None]]) -> list[Entry | None]:
        """Let the first of the processes that torchrun started answer for all."""
        from geobench.training import processes

        if processes.count() == 1:
            return list(question())
        references = processes.first(
            lambda: [entry and str(entry.reference) for entry in question()], self.device
        )
        return [self.catalog.get(reference) if reference else None for reference in references]

    @contextmanager
    def _claimed(self, job: Job[Computed]) -> Iterator[None]:
        """Do a work that no other process does; wait for it, or raise `BusyError`."""
        recipe, parents = job.node.work(job.recipe, job.parents)
        what = f"{job.node.kind} {job.name}"
        announced = False
        while True:
            with self.catalog.claim(job.node.kind, recipe, parents) as ours:
                if ours:
                    yield
                    return
            if not self.wait:
                raise BusyError(f"another process is making the {what}.")
            if not announced:
                with self.watch(f"wait for another process that is making the {what}"):
                    announced = True
            time.sleep(PATIENCE)

    def build(self, node: Folder, folder: Path) -> Any:
        """Write the files of a node into a folder; return what it tells of them."""
        parts = node.parts(self)

        def watched() -> Iterator[Any]:
            made = processes.spread(self._part, parts, self.processes, lambda part: part.work)
            for done, (part, result) in enumerate(zip(parts, made, strict=True), 1):
                progress(done, len(parts), part.name)
                yield result

        with self.watch(node.name) as progress:
            progress(0, len(parts), parts[0].name if parts else "")
            return node.write(folder, watched())

    def _part(self, part: Part) -> Any:
        return part.make(self)

    @contextmanager
    def settled(self, *, shared: bool = False) -> Iterator[int]:
        """Compute with this engine's threads; `shared`: with those of one of its processes."""
        threads = self.threads
        if shared and self.processes > 1:
            import torch

            threads = threads or max(1, torch.get_num_threads() // self.processes)
        with numerics.settled(threads) as count:
            yield count

    @contextmanager
    def draft(self, job: Job[Computed], *, shared: bool = False) -> "Iterator[Draft]":
        """Begin the entry of a job, computed with as many threads as its record then names.

        `shared`: several processes fill it, if there are several.
        """
        with (
            self.settled(shared=shared) as threads,
            self.catalog.draft(
                job.node.kind,
                job.name,
                recipe=job.recipe,
                parents=job.parents,
                labels=job.labels,
                environment={"threads": threads},
            ) as draft,
        ):
            yield draft

    # -- what entries stand for

    def dataset(self, entry: Entry) -> Dataset:
        """Return what a dataset stands for; the last one is kept, with what it has read."""
        if self._dataset is None or self._dataset.entry.id != entry.id:
            self._dataset = Dataset(entry, self.registry, self.memory)
        return self._dataset

    def forecast(self, entry: Entry) -> Forecast:
        """Return what a forecast stands for."""
        forecaster = self.catalog.parent(entry, "forecaster")
        dataset = self.dataset(self.catalog.parent(forecaster, "dataset"))
        return Forecast(entry, forecaster, dataset)

    def context(self, dataset: Dataset, scorers: "Sequence[Scorer]" = ()) -> "Context":
        """Return what scorers may know of a dataset, with the thresholds that `scorers` ask for.

        Control runs for thresholds are made if they are missing.
        """
        from geobench.nodes.control import controls_of

        stored = Stored(dataset.entry, self.catalog)
        limits = {}
        for scorer in scorers:
            run, nodes = scorer.control_run(), controls_of(stored, scorer)
            entries = dict(zip(nodes, self.ensure_all([*nodes.values()]), strict=True))
            for event in scorer.events_counted():
                control = entries.get(f"control.{event.name}")
                limits[event, run] = dataset.thresholds(event, run, control)
        return replace(dataset.context, device=self.device, limits=limits)


@lru_cache(1)
def _reopened(
    url: str, files: tuple[str, ...], device: str, memory: int, threads: int | None
) -> Engine:
    registry = Registry([Path(file) for file in files])
    return Engine(opened(url), registry, unwatched, device, memory, threads=threads)


def _there(node: Node, known: Mapping[Node, Entry | None]) -> Entries | None:
    """Return the parents of a node; None if one of them is missing."""
    entries: dict[str, Entry] = {}
    for role, parent in node.parents().items():
        entry = known[parent]
        if entry is None:
            return None
        entries[role] = entry
    return entries


def _key(job: Job[Computed]) -> str:
    """Return a text that is equal for jobs that are made together."""
    recipe, parents = job.node.work(job.recipe, job.parents)
    ids = {role: entry.id for role, entry in parents.items()}
    return json.dumps([job.node.kind, dict(recipe), ids], sort_keys=True)
