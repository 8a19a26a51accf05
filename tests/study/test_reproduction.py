"""What was made is made again to the same bits; what was not is told, and nothing is touched."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import threadpoolctl
import torch
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.study import reproduction
from geobench.study.reproduction import reproduce
from geobench.training import numerics
from geobench.training.stored_weights import WEIGHTS
from geobench_catalog import Catalog, Entry
from geobench_catalog.held_folders import sweep_temporary

SMALL = {
    "use": "lorenz95",
    "title": "A small twin",
    "spin_up": 2,
    "train": {"trajectories": 6, "steps": 8},
    "validation": {"trajectories": 2, "steps": 8},
    "test": {"trajectories": 4, "inits": 2, "every": 3},
    "leads": 2,
}
TINY = {"backbone": {"kind": "resnet", "width": 8, "blocks": 1}, "training": {"passes": 64}}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A dataset, a network, a model that shares its weights; forecasts, scores, events of them.

    Two threads make them, and one thread makes them again: on some processors sums would differ.
    """
    folder = tmp_path_factory.mktemp("reproduction")
    return _made(Session(Engine(Catalog(folder / "catalog", create=True), Registry(), threads=2)))


def _made(session: Session) -> Session:
    registry = session.registry
    dataset = session.simulate("small", registry.experiment(SMALL, "small"))
    flow = registry.model({"use": "flow-matching", **TINY})
    few = flow.with_evaluations(2)
    assert few is not None
    fitted = session.train(dataset, few, label="few")
    drawn = session.forecast(fitted, members=3, keep_bits=12)
    law = session.forecast(session.train(dataset, registry.model("oracle")), members=3, seed=9)
    session.scores(drawn, [registry.scorer("crps"), registry.scorer("law-crps")], law)
    session.events(drawn)
    return session


KINDS = [
    "dataset/small@1",
    "forecaster/small.flow-matching.s0@1",
    "forecaster/small.few.s0@1",  # with the weights of the one before
    "forecast/small.few.s0@1",
    "score/small.few.s0.crps@1",
    "score/small.few.s0.law-crps@1",
    "events/small.few.s0@1",
]


@pytest.mark.parametrize("reference", KINDS)
def test_every_kind_is_made_again_to_the_same_bits(session: Session, reference: str) -> None:
    before = _files(session.catalog)
    debris = sweep_temporary(dry_run=True)
    found = reproduce(session.engine, session.catalog.get(reference))
    assert found.same_bits
    assert found.passed
    assert found.differences == []
    assert _files(session.catalog) == before
    assert sweep_temporary(dry_run=True) == debris


def _threads() -> tuple[int, int]:
    """Threads of torch, and of numpy's matrix products."""
    pools = threadpoolctl.threadpool_info()
    (blas,) = {pool["num_threads"] for pool in pools if "numpy" in pool["filepath"]}
    return torch.get_num_threads(), blas


@pytest.mark.parametrize(("then", "now"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow)])
def test_the_threads_of_the_record_compute_again(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: int, now: int
) -> None:
    registry = session.registry
    if then == 1:
        session = _made(Session(Engine(Catalog(tmp_path, create=True), registry, threads=1)))
    seen: list[tuple[int, int]] = []
    recipe = {"use": "flow-matching", **TINY}

    def spying(target: type, name: str) -> None:
        wrapped: Callable[..., Any] = getattr(target, name)

        def spied(*arguments: Any, **named: Any) -> Any:
            seen.append(_threads())
            return wrapped(*arguments, **named)

        monkeypatch.setattr(target, name, spied)

    spying(type(registry.simulator("lorenz95")), "advance")
    spying(type(registry.model(recipe)), "fit")
    spying(type(registry.scorer("crps")), "statistics")
    spying(type(registry.scorer("law-crps")), "statistics")
    spying(type(registry.model(recipe)), "restore")
    monkeypatch.setattr("geobench.twin.probabilities.count", _counting(seen))
    with numerics.settled(now):
        for reference in KINDS:
            seen.clear()
            entry = session.catalog.get(reference)
            assert entry.record.environment["threads"] == then
            assert reproduce(session.engine, entry).same_bits
            assert set(seen) == {(then, then)}, reference
            assert _threads() == (now, now)


def _counting(seen: list[tuple[int, int]]) -> Callable[..., Any]:
    from geobench.twin import probabilities

    count = probabilities.count

    def counted(*arguments: Any) -> Any:
        seen.append(_threads())
        return count(*arguments)

    return counted


def _files(catalog: Catalog) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in catalog.path.rglob("*") if path.is_file()}


def _altered(
    session: Session,
    entry: Entry,
    by: float,
    summary: dict[str, Any],
    environment: dict[str, Any] | None = None,
) -> str:
    """Publish another version of a forecast or score: the same recipe, and other numbers."""
    record = entry.record
    with session.catalog.draft(
        record.kind,
        "altered",
        recipe=record.recipe,
        parents=session.catalog.parents(entry),
        labels=record.labels,
        environment=environment,
    ) as draft:
        data = entry.load()
        data = data.assign({name: data[name] + by for name in data.data_vars})
        draft.write(data.drop_encoding())
        return str(draft.publish({**record.summary, **summary}).reference)


def test_other_numbers_fail_unless_the_tolerance_allows_them(session: Session) -> None:
    drawn = session.catalog.get("forecast/small.few.s0@1")
    name = next(iter(drawn.load().data_vars))
    largest = float(abs(drawn.load()[name]).max())
    entry = session.catalog.get(_altered(session, drawn, 0.5, {}))
    found = reproduce(session.engine, entry)
    assert not found.passed
    assert not found.same_bits
    (only,) = found.differences
    assert only.array == name
    assert only.relative == pytest.approx(0.5 / largest, rel=0.2)
    assert reproduce(session.engine, entry, tolerance=1.1 * only.relative).passed
    assert not reproduce(session.engine, entry, tolerance=0.9 * only.relative).passed


def test_weights_are_compared_tensor_by_tensor(session: Session, tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", create=True)

    def weights(**tensors: torch.Tensor) -> Entry:
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        with catalog.draft("forecaster", "a", recipe={"tensors": [*tensors]}) as draft:
            draft.write_file(WEIGHTS, safetensors.torch.save(copies))
            return draft.publish()

    one = torch.tensor([1.0, 4.0, float("nan")])
    shared = {"same": one, "shape": one, "type": one, "lost": one}
    entry = weights(**shared, other=one)
    again = weights(
        same=one,
        shape=one[:2],
        type=one.double(),
        other=one + torch.tensor([0.0, 1.0, 0.0]),
        new=one,
    )
    found = {each.array: each for each in reproduction._tensors(entry, again)}
    told = {name.removeprefix("weights/"): each.state for name, each in found.items()}
    assert told == {
        "same": "equal",
        "shape": "other shape or type",
        "type": "other shape or type",
        "lost": "only in the first",
        "other": "differs",
        "new": "only in the second",
    }
    assert found["weights/other"].relative == pytest.approx(0.25)
    assert [*reproduction._tensors(entry, entry)] == []  # no tensor of the same bits is read


def test_events_are_told_at_their_first_and_last_lead(session: Session) -> None:
    words = ("events", "forecast/small.few.s0@1")
    told = json.loads(_geobench(session.catalog, *words, "--json").stdout)
    lines = _geobench(session.catalog, *words).stdout.splitlines()
    assert lines[0] == "events/small.few.s0@1"
    assert len(lines) == 1 + len(told["probabilities"]) > 3
    for line, each in zip(lines[1:], told["probabilities"], strict=True):
        name, share, _, *numbers = line.split()
        assert (name, float(share)) == (each["event"], pytest.approx(100 * each["quantile"]))
        ends = [float(number) for number in numbers if number[0].isdigit()]
        assert ends == pytest.approx([each["mean"][0], each["mean"][-1]], rel=1e-3)


def test_what_rounding_does_to_scores_is_told(session: Session) -> None:
    words = ("forecast", "forecaster/small.few.s0@1", "--members", "5", "--keep-bits", "12")
    (reference, *lines) = _geobench(session.catalog, *words).stdout.splitlines()
    assert reference == "forecast/small.few.s0@2"
    rounding = session.catalog.get(reference).record.summary["rounding"]
    (line,) = [line for line in lines if line.startswith("  CRPS  ")]
    largest = max(rounding["score_changes"]["CRPS"], key=abs)
    assert line == f"  CRPS  rounding changes it by {largest:.4g} at most"


def test_scores_are_compared_as_told_and_case_by_case(session: Session) -> None:
    score = session.catalog.get("score/small.few.s0.crps@1")
    told = {"scores": {"CRPS": [2 * x for x in score.record.summary["scores"]["CRPS"]]}}
    found = reproduce(session.engine, session.catalog.get(_altered(session, score, 0.0, told)))
    assert [each.array for each in found.differences] == ["score CRPS"]
    assert found.differences[0].relative == pytest.approx(0.5)


def _geobench(catalog: Catalog, *words: str) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", catalog.url, *words])


def test_the_command_tells_what_was_otherwise(session: Session) -> None:
    fine = _geobench(session.catalog, "reproduce", "score/small.few.s0.crps@1")
    assert fine.exit_code == 0, fine.output
    assert fine.stdout.startswith("pass  score/small.few.s0.crps@1: same bits, made in ")
    drawn = session.catalog.get("forecast/small.few.s0@1")
    reference = _altered(session, drawn, 1.0, {"device": "cuda", "threads": 99})
    failed = _geobench(session.catalog, "reproduce", reference)
    assert failed.exit_code == 1
    assert failed.stdout.startswith(f"fail  {reference}: 1 array differs, by 0.")
    assert "  summary.device: cuda then, " in failed.stdout
    told = json.loads(_geobench(session.catalog, "reproduce", reference, "--json").stdout)
    assert (told["passed"], told["same_bits"]) == (False, False)
    assert 0 < told["differences"][0]["relative"] < 1
    changes = {each["field"]: each["then"] for each in told["circumstances"]}
    assert changes["summary.threads"] == 99


def test_another_processor_is_named_with_the_cure(session: Session) -> None:
    drawn = session.catalog.get("forecast/small.few.s0@1")
    xeon = {"processor": "Xeon", "instructions": ["avx512f", "amx_tile"], "threads": 2}
    far = session.catalog.get(_altered(session, drawn, 1.0, {}, xeon))
    assert (
        reproduce(session.engine, far).explanations[0].endswith("Reproduce it as the record says.")
    )
    reference = _altered(session, drawn, 0.001, {}, xeon)
    failed = _geobench(session.catalog, "reproduce", reference)
    assert failed.exit_code == 1
    (line,) = [x for x in failed.stdout.splitlines() if "the processor is another one" in x]
    assert "Xeon (avx512f amx_tile) then, " in line
    assert "Reproduce it as the record says, or allow" in line
    tolerance = line.rpartition(" ")[2].rstrip(".")
    assert (
        _geobench(session.catalog, "reproduce", reference, "--tolerance", tolerance).exit_code == 0
    )
    told = json.loads(_geobench(session.catalog, "reproduce", reference, "--json").stdout)
    assert told["explanations"] == [line.strip()]


def test_nothing_is_explained_where_bits_are_the_same(session: Session) -> None:
    drawn = session.catalog.get("forecast/small.few.s0@1")
    reference = _altered(session, drawn, 0.0, {}, {"processor": "Xeon", "threads": 2})
    found = reproduce(session.engine, session.catalog.get(reference))
    assert found.differences == []
    assert found.explanations == []


def test_a_record_without_threads_is_told(session: Session) -> None:
    drawn = session.catalog.get("forecast/small.few.s0@1")
    entry = session.catalog.get(_altered(session, drawn, 1.0, {}))
    assert "threads" not in entry.record.environment
    (line,) = reproduce(session.engine, entry).explanations
    assert line.startswith("the record does not say how many threads computed it")
    assert "set OMP_NUM_THREADS" in line


def test_what_was_imported_cannot_be_made_again_but_scored(
    session: Session, tmp_path: Path
) -> None:
    drawn = session.catalog.get("forecast/small.few.s0@1").load()
    drawn.drop_encoding().to_zarr(tmp_path / "theirs.zarr", zarr_format=3, consolidated=False)
    words = ("--dataset", "dataset/small@1", "--model", "theirs")
    taken = _geobench(
        session.catalog, "catalog", "import-forecast", str(tmp_path / "theirs.zarr"), *words
    )
    assert taken.exit_code == 0, taken.output
    for kind in ("forecaster", "forecast"):
        refused = _geobench(session.catalog, "reproduce", f"{kind}/small.theirs@1")
        assert refused.exit_code == 2
        assert len(refused.stderr.splitlines()) == 1
        assert "was imported: how it was made is not known here" in refused.stderr
    imported = session.catalog.get("forecast/small.theirs@1")
    score = session.score(imported, session.registry.scorer("rmse"))
    assert reproduce(session.engine, score).same_bits


def test_a_catalog_that_is_no_folder_is_copied_from(session: Session) -> None:
    from geobench_catalog import transfer

    away = Catalog("memory://reproduction", create=True)
    for _ in transfer.copy(session.catalog, away, ["score/small.few.s0.crps@1"]):
        pass
    elsewhere = Session(Engine(away, session.registry))
    assert reproduce(elsewhere.engine, away.get("score/small.few.s0.crps@1")).same_bits
