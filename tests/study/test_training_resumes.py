"""Trainings that are interrupted, shared by processes or go wrong, in a catalog."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import small_network
import torch
from small_network import SmallNetwork

from geobench import Forecaster, GeobenchError, Noise, Optimisation, Run, Training
from geobench.cli import main
from geobench.contracts.model import Progress
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.training.numerics import settled
from geobench_catalog import Catalog, CatalogError, Entry
from geobench_catalog.removal import collect

PLUGIN = Path(small_network.__file__)
LONG = {
    "use": "small-network",
    "networks": 2,
    "training": {"passes": 4_800, "rows": 32, "learning_rate": 0.02, "warm_up": 5},
}


@contextmanager
def _slow(_title: str) -> Iterator[Progress]:
    """However fast the processor is, it is killed before it is done."""
    yield lambda *_: time.sleep(0.1)


def _train(catalog: Path) -> None:
    """What a process does that is killed."""
    torch.set_num_threads(1)
    registry = Registry((PLUGIN,))
    session = Session(Engine(Catalog(catalog), registry, watch=_slow, checkpoint_every=0.02))
    session.train(session.catalog.get("dataset/tiny@1"), registry.model(LONG))


def _dataset(session: Session) -> Entry:
    fields = {
        "use": "lorenz95",
        "spin_up": 5,
        "train": {"trajectories": 20, "steps": 20},
        "validation": {"trajectories": 4, "steps": 10},
        "test": {"trajectories": 20},
        "leads": 2,
    }
    return session.simulate("tiny", session.registry.experiment(fields, "tiny"))


@pytest.fixture
def own(tmp_path: Path) -> Session:
    return Session(Engine(Catalog(tmp_path / "catalog", create=True), Registry((PLUGIN,))))


def _work(session: Session) -> list[Path]:
    return sorted((session.catalog.path / "work").glob("*"))


@pytest.mark.slow
def test_a_training_killed_at_any_moment_goes_on_bit_by_bit(
    own: Session, tmp_path: Path, forkserver: ForkServerContext
) -> None:
    dataset = _dataset(own)
    other = Session(Engine(Catalog(tmp_path / "undisturbed", create=True), own.registry))
    model = own.registry.model(LONG)
    expected = other.train(_dataset(other), model)
    pauses = Noise.rows(0, "pauses", 2).uniform(1)[:, 0].tolist()
    for pause in pauses:
        before = {path: path.stat().st_mtime for path in _saved(own)}
        process = forkserver.Process(target=_train, args=(own.catalog.path,))
        process.start()
        for _ in range(12_000):  # until it has gone on
            after = {path: path.stat().st_mtime for path in _saved(own)}
            if after != before or process.exitcode is not None:
                break
            time.sleep(0.05)
        time.sleep(pause)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert own.find_forecaster(dataset, model, 0) is None
    assert _saved(own)
    resumed = own.train(dataset, model)
    assert resumed.content_digest == expected.content_digest  # weights and all logs
    assert not _work(own)


def test_it_goes_on_with_the_threads_it_began_with(
    own: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, fit = _dataset(own), SmallNetwork.fit
    threads: list[int] = []

    def interrupted(*_: object) -> None:
        threads.append(torch.get_num_threads())
        raise KeyboardInterrupt

    def resumed(self: SmallNetwork, training: Training, run: Run) -> Forecaster:
        threads.append(torch.get_num_threads())
        return fit(self, training, run)

    monkeypatch.setattr(SmallNetwork, "fit", interrupted)
    with settled(2), pytest.raises(KeyboardInterrupt):
        own.train(dataset, SmallNetwork())
    monkeypatch.setattr(SmallNetwork, "fit", resumed)
    with settled(1):
        made = own.train(dataset, SmallNetwork())
    assert threads == [2, 2]
    assert made.record.environment["threads"] == made.record.summary["threads"] == 2


def _saved(session: Session) -> list[Path]:
    return [path for folder in _work(session) for path in folder.glob("*.safetensors")]


def test_logs_and_costs_are_kept_with_the_forecaster(own: Session) -> None:
    made = own.train(_dataset(own), SmallNetwork())
    lines = made.content("training.csv").decode().splitlines()
    log = made.load()
    assert lines[0].startswith("passes,loss,validation_crps,validation_spread,validation_error")
    assert len(lines) == 2 + log.sizes["loss_record"]  # a head, and the untrained network
    assert b"validation/share" in made.content("events.out.tfevents.training")
    summary = made.record.summary
    assert summary["parameters"] == 3 + 1 + 1
    assert summary["sample_passes"] == 3200
    assert summary["evaluations_per_step"] == 1
    assert summary["flops_per_step"] == 40 * 3 * 2  # of a convolution of three weights
    assert summary["training_seconds"] > 0
    assert summary["peak_memory"] >= 0


def test_a_model_without_a_network_costs_nothing(own: Session) -> None:
    summary = own.train(_dataset(own), own.registry.model({"use": "persistence"})).record.summary
    zero = ("parameters", "sample_passes", "evaluations_per_step", "flops_per_step")
    assert [summary[key] for key in zero] == [0, 0, 0, 0]


def test_one_process_at_a_time_is_at_a_training(own: Session) -> None:
    dataset, model = _dataset(own), SmallNetwork()
    recipe = {"model": model.recipe(), "seed": 0}
    with (
        own.catalog.work("forecaster", recipe, {"dataset": dataset}),
        pytest.raises(CatalogError, match="another process is at this very work"),
    ):
        own.train(dataset, model)
    assert own.train(dataset, model).record.kind == "forecaster"


def test_what_an_error_leaves_is_named_and_kept(own: Session) -> None:
    wild = Optimisation(passes=6400, rows=32, learning_rate=1e30, clip=1e30)
    with pytest.raises(GeobenchError, match="training diverged") as told:
        own.train(_dataset(own), SmallNetwork(training=wild))
    (kept,) = _saved(own)
    assert str(kept) in str(told.value)


def test_old_work_is_debris_and_young_work_is_not(own: Session) -> None:
    catalog = own.catalog
    dataset = _dataset(own)
    with (
        suppress(InterruptedError),
        catalog.work("forecaster", {}, {"dataset": dataset}) as folder,
    ):
        (folder / "training.safetensors").write_bytes(b"half")
        raise InterruptedError
    assert collect(catalog) == []
    assert [entry.id for entry in Catalog(catalog.path).entries()] == [dataset.id]
    eight_days_ago = time.time() - 8 * 86400
    for path in (folder / "training.safetensors", folder):
        os.utime(path, (eight_days_ago, eight_days_ago))
    assert collect(catalog, dry_run=True) == [(str(folder), 4)]
    assert folder.exists()
    with catalog.work("forecaster", {}, {"dataset": dataset}):
        os.utime(folder, (eight_days_ago, eight_days_ago))
        assert collect(catalog) == []  # it is held
        (folder / "more").touch()
        os.utime(folder / "more", (eight_days_ago, eight_days_ago))
        os.utime(folder, (eight_days_ago, eight_days_ago))
    assert not folder.exists()  # the work ended well


def test_old_work_is_removed(own: Session) -> None:
    with pytest.raises(InterruptedError), own.catalog.work("forecaster", {}, {}) as work:
        raise InterruptedError
    os.utime(work, (time.time() - 8 * 86400,) * 2)
    assert collect(own.catalog) == [(str(work), 0)]
    assert not work.exists()


def test_work_for_a_catalog_that_is_elsewhere_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    catalog = Catalog("memory://work-of-a-training", create=True)
    with pytest.raises(InterruptedError), catalog.work("forecaster", {}, {}) as work:
        raise InterruptedError
    assert tmp_path / "geobench" in work.parents
    assert collect(catalog) == []
    os.utime(work, (time.time() - 8 * 86400,) * 2)
    assert collect(catalog) == [(str(work), 0)]


def _trains_together(rank: int, port: int, words: list[str], told: Path) -> None:
    """What torchrun's process `rank` of two does."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for stream, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(told.with_suffix(suffix), os.O_WRONLY | os.O_CREAT), stream)
    main(words)


def _together(
    session: Session, forkserver: ForkServerContext, *words: str
) -> tuple[list[int | None], list[str], list[str]]:
    """Exit codes, stdout and stderr of two processes at one training."""
    catalog = session.catalog.path
    given = ["-q", "--catalog", str(catalog), "--plugin", str(PLUGIN), "train", "small-network"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = [catalog.parent / f"told{rank}" for rank in range(2)]
    processes = [
        forkserver.Process(target=_trains_together, args=(rank, port, [*given, *words], told[rank]))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(1200)
    out, err = (
        [each.with_suffix(suffix).read_text("utf-8") for each in told]
        for suffix in (".out", ".err")
    )
    return [process.exitcode for process in processes], out, err


@pytest.mark.slow
def test_two_processes_train_as_one_does(own: Session, forkserver: ForkServerContext) -> None:
    dataset = _dataset(own)
    codes, out, err = _together(own, forkserver, "--dataset", "dataset/tiny@1", "--label", "two")
    assert codes == [0, 0], err
    model = own.registry.model("small-network")
    together = own.find_forecaster(dataset, model, 0)
    assert together is not None
    assert [each.strip() for each in out] == [str(together.reference)] * 2
    assert not _work(own)
    alone = Session(Engine(Catalog(own.catalog.path.parent / "alone", create=True), own.registry))
    expected = alone.train(_dataset(alone), model).load()
    found = together.load()
    # Gradients are summed in another order: 1e-7 a step, which 100 steps may make a hundred times.
    for key in ("loss", "validation_crps"):
        assert found[key].to_numpy() == pytest.approx(expected[key].to_numpy(), rel=1e-4)


@pytest.mark.slow
def test_when_one_process_fails_the_others_end(own: Session, forkserver: ForkServerContext) -> None:
    """Also without torchrun, which would end them."""
    _dataset(own)
    words = ["--dataset", "dataset/tiny@1", "-s", "training.rows=34"]
    words += ["-s", "training.learning_rate=1e30", "-s", "training.clip=1e30"]
    codes, _, err = _together(own, forkserver, *words)
    assert codes == [2, 2]
    for text in err:
        print(text)
        assert "training diverged" in text or "cannot be shared" in text
    assert not list(own.catalog.entries("forecaster"))
