"""Scores are the same whatever is read at once, and wherever it is scored; regions leave out."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench import GeobenchError
from geobench.contracts.model import silent
from geobench.nodes.engine import Engine
from geobench.nodes.scores import ScoreNode
from geobench.nodes.scores import statistics as all_statistics
from geobench.nodes.session import Session
from geobench.nodes.stored import Stored
from geobench.registry import Registry
from geobench.scoring import Piece, pieces, statistics
from geobench.testing import small_case
from geobench_catalog import Catalog, Entry

NAMES = ("crps", "energy", "path-crps", "law-crps", "tail-calibration", "multivariate-ranks")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, Entry, Entry]:
    """A forecast by the climatology, and one of the law; 8 inits, three lead times."""
    registry = Registry()
    folder = tmp_path_factory.mktemp("pieces") / "catalog"
    session = Session(Engine(Catalog(folder, create=True), registry))
    fields = {"use": "lorenz95", "spin_up": 5, "leads": 3} | {
        split: {"trajectories": 20, "steps": 20} for split in ("train", "validation")
    }
    fields["test"] = {"trajectories": 8}
    dataset = session.simulate("tiny", registry.experiment(fields, "tiny"))
    climatology, oracle = (
        session.train(dataset, registry.model(name)) for name in ("climatology", "oracle")
    )
    return (
        session,
        session.forecast(climatology, members=5),
        session.forecast(oracle, members=12, seed=9),
    )


def _statistics(session: Session, forecast: Entry, law: Entry) -> list[xr.Dataset]:
    scorers = [session.registry.scorer(name) for name in NAMES]
    engine = session.engine
    forecasts = (engine.forecast(entry) for entry in (forecast, law))
    whole = all_statistics(engine, next(forecasts), scorers, next(forecasts), silent)
    return [statistics.cases for statistics in whole]


def _maps(session: Session, forecast: Entry, law: Entry) -> list[xr.Dataset]:
    recipes = [{"use": name, "maps": True} for name in ("crps", "law-crps", "rank-histogram")]
    scorers = [session.registry.scorer(recipe) for recipe in recipes]
    return [entry.load("cells") for entry in session.scores(forecast, scorers, law)]


def test_maps_average_to_the_scores_however_cases_are_cut(
    drawn: tuple[Session, Entry, Entry],
) -> None:
    session, forecast, law = drawn
    maps = _maps(session, forecast, law)
    plain = [session.registry.scorer(name) for name in ("crps", "law-crps", "rank-histogram")]
    for entry, cells in zip(session.scores(forecast, plain, law), maps, strict=True):
        assert cells.sizes["x"] == 40
        assert cells.attrs["cases"] == 8
        for name, statistic in entry.load().mean("init_time").data_vars.items():
            average = cells[name].mean("x").transpose(*statistic.dims)
            np.testing.assert_allclose(average, statistic, rtol=1e-6, atol=1e-7)
    scorers = [session.registry.scorer({"use": scorer.name, "maps": True}) for scorer in plain]
    for memory in (1, 40_000):
        engine = replace(session.engine, memory=memory)
        forecasts = [engine.forecast(entry) for entry in (forecast, law)]
        cut = all_statistics(engine, forecasts[0], scorers, forecasts[1], silent)
        for cells, other in zip(maps, cut, strict=True):
            assert other.cells is not None
            xr.testing.assert_equal(cells, other.cells)


def test_a_score_of_whole_fields_has_no_map() -> None:
    with pytest.raises(GeobenchError, match="no value of its own for each cell, so leave maps out"):
        Registry().scorer({"use": "energy", "maps": True})
    assert (
        Registry().scorer({"use": "crps", "maps": False}).recipe()
        == Registry().scorer("crps").recipe()
    )


def test_pieces_cover_every_case_once() -> None:
    cases = {"init_time": 5, "lead_time": 4}
    for name in ("crps", "path-crps"):
        for most in (1, 3, 4, 9, 100):
            seen = np.zeros((5, 4), int)
            for piece in pieces(cases, most, whole_paths=Registry().scorer(name).whole_paths):
                seen[slice(*piece.inits), slice(*piece.leads)] += 1
                count = np.ptp(piece.inits) * np.ptp(piece.leads)
                assert count <= most or (name == "path-crps" and piece.leads == (0, 4))
            assert (seen == 1).all()
    whole = pieces(cases, 100)
    assert list(whole) == [Piece((0, 5), (0, 4))]


@pytest.fixture(scope="module")
def whole(drawn: tuple[Session, Entry, Entry]) -> list[xr.Dataset]:
    """Statistics of all that is read at once."""
    return _statistics(*drawn)


@pytest.mark.parametrize(
    "memory",
    [1, pytest.param(2**17, marks=pytest.mark.slow), pytest.param(2**18, marks=pytest.mark.slow)],
)  # one case, one init, two inits at once
def test_scores_do_not_depend_on_what_is_read_at_once(
    drawn: tuple[Session, Entry, Entry], whole: list[xr.Dataset], memory: int
) -> None:
    session, forecast, law = drawn
    small = Session(Engine(session.catalog, session.registry, memory=memory))
    for one, other in zip(whole, _statistics(small, forecast, law), strict=True):
        xr.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call] # theirs
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_workers_of_a_scheduler_find_the_same(
    drawn: tuple[Session, Entry, Entry], scheduler: str
) -> None:
    session, forecast, law = drawn
    spread = Session(Engine(session.catalog, session.registry, memory=2**18, scheduler=scheduler))
    here = Session(Engine(session.catalog, session.registry, memory=2**18))
    for one, other in zip(
        _statistics(here, forecast, law), _statistics(spread, forecast, law), strict=True
    ):
        xr.testing.assert_identical(one, other)


def test_a_scheduler_that_is_not_there_is_told(drawn: tuple[Session, Entry, Entry]) -> None:
    session, forecast, law = drawn
    lost = Session(Engine(session.catalog, session.registry, scheduler="nonsense://nowhere"))
    with pytest.raises(GeobenchError, match="no dask scheduler answers at nonsense://nowhere"):
        _statistics(lost, forecast, law)


def test_somebody_who_listens_and_does_not_answer_is_no_scheduler(
    drawn: tuple[Session, Entry, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, forecast, law = drawn
    monkeypatch.setattr("geobench.scoring.spreading.ANSWERS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        lost = Session(Engine(session.catalog, session.registry, scheduler=address))
        with pytest.raises(GeobenchError, match=r"no dask scheduler answers at .* within 1 s"):
            _statistics(lost, forecast, law)


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["workers", "scheduler"])
def test_who_is_gone_is_told_in_a_line_and_nothing_is_left_half_done(
    drawn: tuple[Session, Entry, Entry],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    gone: str,
) -> None:
    """Scores begin on a worker that never ends; then it, or the scheduler, is killed."""
    session, forecast, _ = drawn
    monkeypatch.setattr("geobench.scoring.spreading.PATIENCE", 30.0)
    monkeypatch.setattr("geobench.scoring.spreading._ASKS", 0.2)
    monkeypatch.setattr("geobench.nodes.scores.PieceScoring", lambda *_: _never)
    end = 0.5 if gone == "workers" else 0.6  # a score that is not there yet
    scorer = session.registry.scorer({"use": "crps", "within": [[0.0, end]]})
    before = {entry.id for entry in session.catalog.entries()}
    begun = tmp_path / "begun"
    with _processes(begun) as (address, scheduler, worker):

        def kill() -> None:
            while not begun.exists():
                time.sleep(0.05)
            monkeypatch.setattr("geobench.scoring.spreading.PATIENCE", 1.0)
            (worker if gone == "workers" else scheduler).kill()

        threading.Thread(target=kill, daemon=True).start()
        lost = Session(Engine(session.catalog, session.registry, scheduler=address))
        told = "has had no worker for 1 s" if gone == "workers" else "is gone"
        with pytest.raises(GeobenchError, match=f"the dask scheduler at {address} {told}") as error:
            lost.scores(forecast, [scorer])
    assert "\n" not in str(error.value)
    assert "Traceback" not in capfd.readouterr().err
    assert {entry.id for entry in session.catalog.entries()} == before
    monkeypatch.undo()
    assert session.scores(forecast, [scorer])[0].id not in before  # the claim is free again


def _never(*_: object) -> None:
    Path(os.environ["BEGUN"]).touch()
    time.sleep(600)


@contextlib.contextmanager
def _processes(begun: Path) -> Iterator[tuple[str, Any, Any]]:
    """A scheduler and a worker, each in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    how: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": os.environ | {"PYTHONPATH": path, "BEGUN": str(begun)},
    }
    call = [sys.executable, "-m"]
    scheduler = subprocess.Popen(
        [*call, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
         "--no-dashboard"], **how,
    )  # fmt: skip
    worker = subprocess.Popen(
        [*call, "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard",
         "--nthreads", "1"], **how,
    )  # fmt: skip
    for _ in range(600):  # until it listens
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.1)
    try:
        yield address, scheduler, worker
    finally:
        for each in (worker, scheduler):
            each.kill()
            each.wait()


def test_a_region_is_scored_as_if_there_were_no_other(drawn: tuple[Session, Entry, Entry]) -> None:
    session, forecast, _ = drawn
    part = session.registry.scorer({"use": "bias", "within": [[0.25, 0.5]]})
    found = session.score(forecast, part).load()["bias"].isel(variable=0)
    dataset = session.catalog.parent(session.catalog.parent(forecast, "forecaster"), "dataset")
    members, truth = forecast.open()["q"], session.engine.dataset(dataset).outcome()["q"]
    inside = {"x": slice(10, 20)}
    expected = (members - truth).isel(inside).mean(("member", "x"))
    np.testing.assert_allclose(found, expected.transpose(*found.dims), rtol=1e-5, atol=1e-6)
    everywhere = session.registry.scorer("bias")
    assert "within" not in everywhere.recipe()  # scores of the whole grid keep their identity
    assert session.engine.find(ScoreNode(Stored(forecast, session.catalog), everywhere)) is None


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ([[0.5, 0.2]], "bounds of within must rise"),
        ([[0, 0.5], [0, 0.5]], "within bounds 2 dims of 1"),
        ([[0.0, 0.01]], "within holds no cell"),
    ],
)
def test_regions_that_cannot_be_are_told(
    drawn: tuple[Session, Entry, Entry], bounds: list[list[float]], told: str
) -> None:
    session, forecast, _ = drawn
    with pytest.raises(GeobenchError, match=told):
        session.score(forecast, session.registry.scorer({"use": "crps", "within": bounds}))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["event-crps", "path-crps", "tail-calibration", "crps-parts"])
def test_what_is_not_finite_makes_its_case_nan(value: float, name: str) -> None:
    members, truth, context = small_case()
    members[1, 0, 2, 0, 3] = value
    forecast, outcome = (each.to_dataset("variable") for each in (members, truth))
    (found,) = statistics([Registry().scorer(name)], forecast, outcome, context, block=6)
    for each in found.data_vars.values():
        case = {"init_time": 1, "lead_time": 0}
        assert bool(each.isel(case).isnull().all())
        assert bool(each.drop_isel(init_time=1).notnull().all())


def test_a_law_that_failed_is_told() -> None:
    members, truth, context = small_case()
    law = context.law
    assert law is not None
    law[1, 0, 2, 0, 3] = np.inf
    forecast, outcome, draws = (each.to_dataset("variable") for each in (members, truth, law))
    scorers = [Registry().scorer("law-crps")]
    with pytest.raises(GeobenchError, match="a draw of the law is not finite"):
        statistics(scorers, forecast, outcome, context, block=6, law=draws)
