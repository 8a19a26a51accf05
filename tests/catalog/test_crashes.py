"""Processes that die, and processes that meet: nothing half is seen, nothing published is lost."""

import json
import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
from small_entries import publish

from geobench_catalog import Catalog, CatalogError
from geobench_catalog.removal import collect
from geobench_catalog.verification import verify


def _publish_for_ever(path: Path, log: Path, seed: int) -> None:
    """Publish one entry after the other, and write down each that `publish` has returned."""
    catalog = Catalog(path)
    parent = catalog.get("dataset/parent@1")
    number = 0
    with log.open("a") as lines:
        while True:
            value = float(1000 * seed + number)
            entry = publish(
                catalog, "a", value, kind="forecaster", parents={"dataset": parent}, chunks=1
            )
            lines.write(json.dumps([str(entry.reference), entry.id, value]) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            number += 1


@pytest.mark.slow
def test_sigkill_at_20_random_moments_of_publishing(
    tmp_path: Path, forkserver: ForkServerContext
) -> None:
    path, log = tmp_path / "catalog", tmp_path / "log"
    publish(Catalog(path, create=True), "parent")
    log.touch()
    chance = random.Random(1)
    debris = removed = 0
    for kill in range(20):
        before = log.stat().st_size
        writer = forkserver.Process(target=_publish_for_ever, args=(path, log, kill))
        writer.start()
        assert writer.pid
        end = time.monotonic() + 600
        while log.stat().st_size == before and time.monotonic() < end:
            time.sleep(0.002)  # until it has published once
        time.sleep(chance.uniform(0, 0.08))  # an entry takes some 40 ms
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        catalog = Catalog(path)
        acknowledged = [json.loads(line) for line in log.read_text().splitlines()]
        there = {str(entry.reference): entry.id for entry in catalog.entries("forecaster")}
        assert catalog.damaged == {}
        for reference, entry_id, _ in acknowledged:
            assert there[reference] == entry_id  # nothing that was published is lost
        found = list(collect(catalog))
        debris += len(found)
        removed += sum(size for _, size in found)
        assert list(collect(catalog)) == []
    problems = [each for finding in verify(catalog) for each in finding.problems]
    versions = sorted(entry.reference.version for entry in catalog.entries("forecaster"))
    print(
        f"20 kills: {len(acknowledged)} entries acknowledged, {len(versions)} there, "
        f"{debris} pieces of debris ({removed} bytes) removed, {len(problems)} problems"
    )
    assert problems == []
    assert versions == list(range(1, len(versions) + 1))
    # A process dies after the entry is named and before it is written down, at most once a kill.
    assert len(acknowledged) <= len(versions) <= len(acknowledged) + 20
    assert debris > 0  # or the kills came at no interesting moment
    for reference, _, value in acknowledged:
        assert (catalog.get(reference).load()["q"] == np.float32(value)).all()
    assert not list((path / "tmp").iterdir())
    assert len(list((path / "entries").iterdir())) == len(versions) + 1


def _live(path: Path, seconds: float, seed: int, log: Path) -> None:
    """Publish, read, query, tag, collect and list, all at once, for a while, and 8 times at least.

    (A busy machine may give a process little of that while.)
    """
    catalog, chance = Catalog(path), random.Random(seed)
    published: list[tuple[str, str]] = []
    told = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(published) < 8:
        doing = chance.random()
        try:
            if doing < 0.4:
                entry = publish(catalog, chance.choice("abc"), float(seed), chunks=1)
                published.append((str(entry.reference), entry.id))
            elif doing < 0.7:
                entry = chance.choice(list(catalog.entries()))
                assert len(np.unique(entry.load()["q"])) == 1
            elif doing < 0.85:
                found = catalog.query("kind = dataset and not tag = nothing")
                assert len(found) >= len(published)
            elif doing < 0.95:
                reference = chance.choice(list(catalog.names.references()))
                catalog.names.tag(reference, f"seen-by-{seed}")
                catalog.alias(str(reference), "newest", move=True)
            else:
                list(collect(catalog))
        except CatalogError:
            told += 1  # none is expected: nothing is removed here
    log.write_text(json.dumps({"published": published, "told": told}))


@pytest.mark.slow
def test_8_processes_publish_and_read_at_once(
    tmp_path: Path, forkserver: ForkServerContext
) -> None:
    path = tmp_path / "catalog"
    publish(Catalog(path, create=True), "a")
    logs = [tmp_path / f"log{seed}" for seed in range(8)]
    workers = [
        forkserver.Process(target=_live, args=(path, 2.0, seed, log))
        for seed, log in enumerate(logs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=1200)
    assert [worker.exitcode for worker in workers] == [0] * 8
    done = [json.loads(log.read_text()) for log in logs]
    catalog = Catalog(path)
    published = {reference: own for each in done for reference, own in each["published"]}
    there = {str(entry.reference): entry.id for entry in catalog.entries()}
    print(f"8 processes: {len(published)} published, {sum(each['told'] for each in done)} errors")
    assert sum(len(each["published"]) for each in done) == len(published) > 50
    assert published.items() <= there.items()
    assert len(there) == len(published) + 1
    assert sum(each["told"] for each in done) == 0
    assert not [each for finding in verify(catalog) for each in finding.problems]
    assert set(catalog.query()["reference"]) == set(there)
    assert list(collect(catalog)) == []


def _removes(path: Path, seconds: float) -> None:
    from geobench_catalog.removal import remove

    catalog, end, removed = Catalog(path), time.monotonic() + seconds, 0
    while time.monotonic() < end or not removed:
        for reference in catalog.names.references("dataset"):
            try:
                remove(catalog, [str(reference)], cascade=True)
                removed += 1
            except CatalogError:
                continue


def _makes_families(path: Path, seconds: float) -> None:
    catalog, end, made = Catalog(path), time.monotonic() + seconds, 0
    while time.monotonic() < end or made < 5:
        try:
            parent = publish(catalog, "p")
            made += 1  # on a busy machine fewer than can be removed, without a minimum
            publish(catalog, "f", kind="forecaster", parents={"dataset": parent})
        except CatalogError:
            continue  # the parent is gone


@pytest.mark.slow
def test_no_child_outlives_its_parent(tmp_path: Path, forkserver: ForkServerContext) -> None:
    path = tmp_path / "catalog"
    Catalog(path, create=True)
    workers = [forkserver.Process(target=_makes_families, args=(path, 2.0)) for _ in range(2)]
    workers.append(forkserver.Process(target=_removes, args=(path, 2.0)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=1200)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    catalog = Catalog(path)
    assert list((path / "removed").rglob("*@*"))  # some were removed
    assert not [each for finding in verify(catalog) for each in finding.problems]
    for entry in catalog.entries("forecaster"):
        assert catalog.parent(entry, "dataset")


def _remove_for_ever(path: Path) -> None:
    from geobench_catalog.removal import remove

    catalog = Catalog(path)
    while True:
        entry = publish(catalog, "gone")
        for tag in "abcdefgh":
            catalog.tag(str(entry.reference), tag)
        catalog.alias(str(entry.reference), "newest", move=True)
        remove(catalog, [str(entry.reference)], cascade=True)


@pytest.mark.slow
def test_sigkill_at_12_random_moments_of_removing(
    tmp_path: Path, forkserver: ForkServerContext
) -> None:
    path = tmp_path / "catalog"
    kept = publish(Catalog(path, create=True), "kept", 3.0)
    chance = random.Random(2)
    for _ in range(12):
        worker = forkserver.Process(target=_remove_for_ever, args=(path,))
        worker.start()
        assert worker.pid
        before, end = len(list(path.glob("removed/*/*"))), time.monotonic() + 600
        while len(list(path.glob("removed/*/*"))) == before and time.monotonic() < end:
            time.sleep(0.002)  # until it has begun
        time.sleep(chance.uniform(0, 0.3))
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        catalog = Catalog(path)
        collect(catalog)
        assert not [each for finding in verify(catalog) for each in finding.problems]
        assert (catalog.get("dataset/kept@1").load()["q"] == 3.0).all()
    assert len(list((path / "removed/dataset").iterdir())) >= 12
    assert kept.id in {entry.id for entry in catalog.entries()}
