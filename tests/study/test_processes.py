"""Work that several processes of one machine share: same bits, one entry, nothing left behind."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from geobench.cli import main
from geobench.errors import GeobenchError
from geobench.nodes import processes
from geobench_catalog import Catalog, CatalogError
from geobench_catalog.region import Regions

STUDY = """
experiments:
  tiny:
    use: lorenz95
    spin_up: 5
    train: {trajectories: 10, steps: 10}
    validation: {trajectories: 2, steps: 10}
    test: {trajectories: 40}
    leads: 2
models:
  climatology: {use: climatology}
  persistence: {use: persistence}
members: 6
keep_bits: 5
scorers: [crps, energy, rank-histogram]
reference: {members: 8}
"""
FAILS = """
import geobench, torch

class Forecaster(geobench.Forecaster):
    def weights(self):
        return {}
    def step(self, history, noise):
        return history[:, -1] * torch.where(noise.normal(1) > 2, float("nan"), 1.0)[:, :, None]

class Model(geobench.EnsembleModel):
    name = "fails"
    def fit(self, training, run):
        return Forecaster()
    def restore(self, weights, task):
        return Forecaster()

@geobench.hookimpl
def geobench_models():
    return [Model]
"""


def _geobench(folder: Path, *words: object) -> "CliRunner.Result":  # type: ignore[name-defined]
    start = ["-q", "--catalog", folder]
    return CliRunner().invoke(main, [str(word) for word in (*start, *words)])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalogs of one study, made by one process and by two."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "study.yaml").write_text(STUDY)
    for count in (1, 2):
        run = ("--processes", count, "run", folder / "study.yaml")
        done = _geobench(folder / f"by{count}", *run)
        assert done.exit_code == 0, done.output
    return folder


def test_two_processes_make_the_bits_that_one_makes(two: Path) -> None:
    entries = [Catalog(two / f"by{count}").entries() for count in (1, 2)]
    one, both = ({str(e.reference): e for e in catalog} for catalog in entries)
    assert one.keys() == both.keys()
    assert len(one) > 10
    for reference, entry in one.items():
        assert both[reference].content_digest == entry.content_digest, reference
        if entry.record.kind == "forecast":
            summaries = [dict(each.record.summary) for each in (entry, both[reference])]
            for summary in summaries:
                del summary["seconds_per_member"]
            assert summaries[0] == summaries[1]
            assert summaries[0]["rounding"]["score_changes"]["CRPS"]
    processes.close()
    assert multiprocessing.active_children() == []


def test_the_record_names_the_threads_of_one_process(two: Path) -> None:
    import torch

    threads = torch.get_num_threads()
    for count in (1, 2):
        catalog = Catalog(two / f"by{count}")
        for kind, each in (("forecast", max(1, threads // count)), ("forecaster", threads)):
            name = f"{kind}/tiny.persistence.s0@1"
            assert catalog.get(name).record.environment["threads"] == each


def test_what_fails_in_a_process_is_told_as_here(two: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "fails.py"
    plugin.write_text(FAILS)
    told = []
    for count in (1, 2):
        start = ("--plugin", plugin, "--processes", count)
        catalog = two / f"by{count}"
        trained = _geobench(catalog, *start, "train", "fails", "--dataset", "dataset/tiny@1")
        assert trained.exit_code == 0, trained.output
        words = ("forecast", "forecaster/tiny.fails.s0@1", "--members", 6)
        done = _geobench(catalog, *start, *words)
        assert done.exit_code != 0
        told.append(done.stderr)
        assert [
            e for e in Catalog(catalog).entries("forecast") if "fails" in str(e.reference)
        ] == []
    assert told[0] == told[1]
    assert " of 6 members at init " in told[0]


def test_a_process_that_is_ended_is_told() -> None:
    with pytest.raises(GeobenchError, match=r"one of 2 processes was ended from outside.*--memory"):
        list(processes.spread(os._exit, [3, 3], 2))
    assert multiprocessing.active_children() == []


def test_results_come_in_order_and_an_error_ends_the_others() -> None:
    assert list(processes.spread(abs, [-3, 2, -1], 2, work=float)) == [3, 2, 1]
    waiting = multiprocessing.active_children()
    assert list(processes.spread(str, [4, 5], 2)) == ["4", "5"]
    assert multiprocessing.active_children() == waiting  # they are not started again
    began = time.monotonic()
    with pytest.raises(TypeError):
        list(processes.spread(time.sleep, ["long", 600], 2))  # type: ignore[list-item]
    assert time.monotonic() - began < 300
    assert multiprocessing.active_children() == []


def test_a_chunk_that_two_processes_wrote_is_refused(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path, create=True)
    piece = xr.Dataset({"x": (("a", "b"), np.ones((1, 2)))})
    with catalog.draft("forecast", "thing", recipe={}, parents={}, labels={}) as draft:
        coords = xr.Dataset(coords={"a": np.arange(4)})
        draft.allocate(piece.assign_coords(a=[0]), coords, {"a": 2, "b": 2})
        regions = Regions(draft.path, "elsewhere")  # as another process has them
        double = xr.concat([piece, piece], "a")
        first = regions.fill(double, {"a": slice(0, 2)})
        draft.take(first)
        with pytest.raises(CatalogError, match="x/c/0/0 was written by two processes"):
            draft.take(first)
        with pytest.raises(CatalogError, match="x was filled at 2 of 4 places along a"):
            draft.publish()
        draft.take(regions.fill(double, {"a": slice(2, 4)}))
        entry = draft.publish()
    np.testing.assert_array_equal(entry.load()["x"], np.ones((4, 2)))
