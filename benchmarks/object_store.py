"""How much longer a study takes in an object store than in a folder.

python benchmarks/object_store.py [REPEATS]

A study of 17 small steps runs in new catalogs, in a folder and in `s3://` in turn, each time in a
process that has imported everything and has run it once. JSON lines, one for each turn and one of
all: `folder` and `s3`, shortest seconds; `ratio`, of the two; `requests` to the store in one run,
and of these how many of each kind. The store is moto's server in a process of its
own on this machine, which answers in a few milliseconds, and one request at a time: a store far
away answers later, but many at once.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import suppress

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ |= {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

import fsspec
import torch
from aiobotocore.client import AioBaseClient
from small_catalog import STUDY
from timing import tell

from geobench.nodes.engine import Engine
from geobench.registry import Registry
from geobench.study import run as running
from geobench.study.file import Study
from geobench.study.graph import StudyGraph
from geobench_catalog import Catalog

STEPS = 17
BUCKET = "twins"


def run(url: str) -> float:
    """Run the study in a new catalog; seconds."""
    registry = Registry()
    models = {"climatology": "climatology", "persistence": "persistence"}
    study = Study.model_validate({**STUDY, "models": models, "scorers": ["crps", "rmse"]})
    graph = StudyGraph(study, registry)
    began = time.perf_counter()
    outcome = running.run(graph, Engine(Catalog(url, create=True), registry))
    seconds = time.perf_counter() - began
    made = len(list(Catalog(url).entries()))
    if outcome.failures or made != STEPS:
        raise SystemExit(f"{made} steps were done, not {STEPS}: {outcome.failures}")
    return seconds


def counted() -> Counter[str]:
    """Count what is asked from here on, by operation."""
    asked: Counter[str] = Counter()
    call = AioBaseClient._make_api_call

    async def note(client: AioBaseClient, operation: str, given: dict[str, object]) -> object:
        asked[operation] += 1
        if os.environ.get("KEYS"):
            key = str(given.get("Key", given.get("Prefix", "")))
            print(operation, "/".join(key.split("/")[1:3])[:60], file=sys.stderr)
        return await call(client, operation, given)

    AioBaseClient._make_api_call = note
    return asked


if __name__ == "__main__":
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ["AWS_ENDPOINT_URL"] = address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    scratch = tempfile.mkdtemp()
    try:
        for _ in range(200):
            with suppress(OSError):
                urllib.request.urlopen(address, timeout=1).close()
                break
            time.sleep(0.1)
        fsspec.filesystem("s3").mkdir(BUCKET)
        asked = counted()
        best = {"folder": float("inf"), "s3": float("inf")}
        for turn in range(repeats + 1):  # the first warms up
            asked.clear()
            for place, url in (
                ("folder", f"{scratch}/{turn}"),
                ("s3", f"s3://{BUCKET}/{turn}"),
            ):
                seconds = run(url)
                if turn:
                    best[place] = min(best[place], seconds)
                    tell(turn=turn, place=place, seconds=seconds)
        tell(
            steps=STEPS, **best, ratio=best["s3"] / best["folder"], requests=asked.total(), **asked
        )
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(scratch)
