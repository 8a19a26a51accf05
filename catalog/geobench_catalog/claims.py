"""Claims: which process is at which work, so that processes that start together do each thing once.

A claim is a small file, named by the identity of what is computed. Its holder rewrites it every
`BEAT` seconds. Whoever finds it unchanged for `STALE` seconds of its own clock takes it over, so no
two clocks are compared; the claim of a process of this machine that is gone is taken over at once.
In a folder one process takes a claim over at a time. In an object store two may do so within the
same moment; then work is done twice, and both results are right.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from geobench_catalog.store import Store

BEAT = 15.0
STALE = 60.0
_FOLDER = "claims"


class Claims:
    """The claims in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, tuple[bytes, float]] = {}  # content, and since when by our clock

    @contextmanager
    def held(self, key: str) -> Iterator[bool]:
        """Hold the claim to a work as long as the block lasts; False if another process holds it.

        A thread of this process keeps it alive meanwhile.
        """
        path = f"{_FOLDER}/{key}"
        token = uuid.uuid4().hex
        if not self._take(path, token):
            yield False
            return
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(path, token, ended), daemon=True)
        beating.start()
        try:
            yield True
        finally:
            ended.set()
            beating.join()
            with suppress(OSError):
                if _fields(self._store.read(path)).get("token") == token:
                    self._store.discard(path)

    def sweep(self, *, dry_run: bool = False) -> list[tuple[str, int]]:
        """Remove claims of processes that are gone: (what, bytes)."""
        swept = []
        names = self._store.names(_FOLDER)
        all_gone = bool(names) and self._store.age(_FOLDER) > 10 * STALE
        for name in names:
            path = f"{_FOLDER}/{name}"
            with suppress(FileNotFoundError):  # its work has just ended
                content = self._store.read(path)
                if all_gone or _is_gone(content):
                    if not dry_run:
                        self._store.discard(path)
                    swept.append((f"{self._store.url}/{path}", len(content)))
        return swept

    def _take(self, path: str, token: str) -> bool:
        with suppress(FileExistsError):
            self._store.create(path, _content(token, 0))
            return True
        try:
            content = self._store.read(path)
        except FileNotFoundError:  # just given back: whoever waits asks again
            return False
        known, since = self._seen.get(path, (b"", 0.0))
        if content != known:
            known, since = self._seen[path] = content, time.monotonic()
        if not _is_gone(content) and time.monotonic() - since < STALE:
            return False
        with self._store.lock(shared=False), suppress(FileNotFoundError, FileExistsError):
            if self._store.read(path) == content:
                self._store.remove(path)
                self._store.create(path, _content(token, 0))
                return True
        return False

    def _beat(self, path: str, token: str, ended: threading.Event) -> None:
        beats = 0
        while not ended.wait(BEAT):
            beats += 1
            with suppress(Exception):  # the next one may come through
                if _fields(self._store.read(path)).get("token") != token:
                    return  # this process slept so long that another took over
                self._store.replace(path, _content(token, beats))


def _content(token: str, beats: int) -> bytes:
    return json.dumps({"token": token, "beats": beats, **_self()}).encode()


def _fields(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _self() -> dict[str, Any]:
    return {"host": socket.gethostname(), **_machine(), "pid": os.getpid(), **_began(os.getpid())}


def _machine() -> dict[str, Any]:
    """What tells this boot of this machine, and its processes, from any other's."""
    identifiers = {}
    with suppress(OSError):
        identifiers["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        identifiers["processes"] = str(Path("/proc/self/ns/pid").readlink())
    return identifiers


def _began(pid: int) -> dict[str, str]:
    """When a process began, in clock ticks since the boot: a number may be another's by now."""
    with suppress(OSError, IndexError):
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2]
        return {"began": after_name.split()[19]}
    return {}


def _is_gone(content: bytes) -> bool:
    """Whether it is the claim of a process of this machine that has ended."""
    fields = _fields(content)
    here = _machine()
    if not here or any(fields.get(key) != value for key, value in here.items()):
        return False
    pid = fields.get("pid")
    return isinstance(pid, int) and _began(pid).get("began") != fields.get("began")
