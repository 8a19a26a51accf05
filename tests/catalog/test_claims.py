"""Claims: one process is at a work, others wait or do something else, none waits for the dead."""

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from geobench.errors import BusyError
from geobench.nodes.dataset import DatasetNode
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog, claims
from geobench_catalog.claims import Claims
from geobench_catalog.removal import collect
from geobench_catalog.store import Store, opened

KEY = "a" * 64


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        (tmp_path / "c").mkdir()
        yield opened(str(tmp_path / "c"))
        return
    found = opened(f"memory://{tmp_path.name}")
    yield found
    for name in found.names("claims"):
        found.remove(f"claims/{name}")


def test_one_holds_it_and_gives_it_back(store: Store) -> None:
    one, other = Claims(store), Claims(store)
    with one.held(KEY) as ours:
        assert ours
        with other.held(KEY) as theirs:
            assert not theirs
        with other.held("b" * 64) as another:
            assert another
    assert store.names("claims") == []
    with other.held(KEY) as theirs:
        assert theirs


def test_an_error_gives_it_back(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), Claims(store).held(KEY):
        raise ZeroDivisionError
    assert store.names("claims") == []


def test_that_of_a_process_that_died_here_is_taken_over_at_once(store: Store) -> None:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    _write(store, pid=dead)
    with Claims(store).held(KEY) as ours:
        assert ours


def test_a_process_that_has_another_ones_number_is_not_it(store: Store) -> None:
    _write(store, began="1")  # this process's number, but it began at another time
    with Claims(store).held(KEY) as ours:
        assert ours


def test_one_from_elsewhere_is_taken_over_when_it_no_longer_beats(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE", 0.3)
    _write(store, boot="of another machine", beats=0)
    waiting = Claims(store)
    for beats in range(1, 4):  # it lives
        with waiting.held(KEY) as ours:
            assert not ours
        _write(store, boot="of another machine", beats=beats)
    with waiting.held(KEY) as ours:
        assert not ours
    time.sleep(0.4)
    with waiting.held(KEY) as ours:
        assert ours


def test_it_is_kept_alive(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    path = f"claims/{KEY}"
    with Claims(store).held(KEY):
        before = store.read(path)
        while store.read(path) == before:
            time.sleep(0.005)


def test_who_slept_and_lost_it_leaves_it_to_the_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    read, ends = store.read, threading.Event()

    def read_after_a_sleep(path: str) -> bytes:
        if threading.current_thread() is not threading.main_thread():
            _write(store, boot="of another machine", token="theirs")
            ends.set()
        return read(path)

    monkeypatch.setattr(store, "read", read_after_a_sleep)
    with Claims(store).held(KEY):
        assert ends.wait(60)
        time.sleep(0.1)
        assert json.loads(read(f"claims/{KEY}"))["token"] == "theirs"
    assert json.loads(read(f"claims/{KEY}"))["token"] == "theirs"


def test_threads_that_ask_together_get_it_one_after_another(store: Store) -> None:
    inside, most = [], []

    def work(_: int) -> int:
        tries = 0
        while True:
            tries += 1
            with Claims(store).held(KEY) as ours:
                if ours:
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.002)
                    inside.pop()
                    return tries
            time.sleep(0.001)

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(work, range(40)))) == 40
    assert set(most) == {1}


def test_gc_removes_those_of_the_dead(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", create=True)
    _write(catalog.store, began="1")
    with catalog.claim("dataset", {"a": 1}, {}):
        swept = [what for what, _ in collect(catalog)]
        assert [Path(what).name for what in swept] == [KEY]
        assert len(catalog.store.names("claims")) == 1
    assert catalog.store.names("claims") == []


SMALL = {
    "use": "lorenz95",
    "spin_up": 2,
    "train": {"trajectories": 6, "steps": 8},
    "validation": {"trajectories": 2, "steps": 8},
    "test": {"trajectories": 4},
    "leads": 2,
}


def test_steps_that_begin_together_are_done_once(tmp_path: Path, registry: Registry) -> None:
    Catalog(tmp_path / "catalog", create=True)

    def simulate_and_train(_: int) -> list[str]:
        session = Session(Engine(Catalog(tmp_path / "catalog"), registry))
        dataset = session.simulate("small", registry.experiment(SMALL, "small"))
        fitted = session.train(dataset, registry.model("climatology"))
        drawn = session.forecast(fitted, members=3)
        score = session.score(drawn, registry.scorer("crps"))
        return [str(entry.reference) for entry in (dataset, fitted, drawn, score)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(simulate_and_train, range(4)))
    assert len({tuple(each) for each in found}) == 1
    assert len(list(Catalog(tmp_path / "catalog").entries())) == 4


def test_without_waiting_it_is_said_that_another_is_at_it(session: Session) -> None:
    experiment = session.registry.experiment(SMALL, "small")
    session.engine.wait = False
    key = _dataset_key(session, experiment)
    with (
        Claims(session.catalog.store).held(key),
        pytest.raises(BusyError, match="another process is making the dataset"),
    ):
        session.simulate("small", experiment)


def _nothing(*_: Any) -> list[Any]:
    raise ValueError("nothing is made")


def _dataset_key(session: Session, experiment: Any) -> str:
    """Find the name that a claim of this dataset has, by looking at one."""
    seen: list[str] = []
    held = session.catalog._claims.held

    def noted(key: str) -> Any:
        seen.append(key)
        return held(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.catalog._claims, "held", noted)
        patch.setattr(DatasetNode, "make", classmethod(_nothing))
        with pytest.raises(ValueError, match="nothing is made"):
            session.simulate("small", experiment)
    return seen[0]


def _write(store: Store, **fields: object) -> None:
    """Write a claim of this process, changed by `fields`."""
    content = json.loads(claims._content("theirs", 0)) | fields
    store.replace(f"claims/{KEY}", json.dumps(content).encode())
