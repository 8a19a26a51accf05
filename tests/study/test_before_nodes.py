"""A catalog that geobench wrote before studies were graphs of nodes: all of it counts as done.

tests/study/before_nodes holds the catalog (commit b177ac3, `geobench run` and `geobench events`)
and the board that was printed then.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from stored_catalogs import geobench, unpacked

HERE = Path(__file__).parent / "before_nodes"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored catalog, unpacked."""
    return unpacked(HERE, tmp_path_factory.mktemp("before"))


def test_every_step_is_found_done(catalog: Path) -> None:
    plan = json.loads(geobench(catalog, "run", HERE / "study.yaml", "--dry-run", "--json").stdout)
    assert {step["kind"] for step in plan} == {
        "dataset", "control", "forecaster", "forecast", "score",
    }  # fmt: skip
    assert [step["name"] for step in plan if step["reference"] is None] == []


def test_the_board_has_the_numbers_that_were_printed_then(catalog: Path) -> None:
    result = geobench(catalog, "leaderboard", HERE / "study.yaml", "--json")
    (board,) = json.loads(result.stdout)
    then = json.loads((HERE / "board.json").read_text("utf-8"))
    _check_holds(board, then, "board")


def _check_holds(now: Any, then: Any, where: str) -> None:
    """Raise unless `now` says all that `then` said; it may say more."""
    if isinstance(then, dict):
        assert then.keys() <= now.keys(), where
        for key, value in then.items():
            _check_holds(now[key], value, f"{where}.{key}")
    elif isinstance(then, list):
        assert len(now) == len(then), where
        for place, value in enumerate(then):
            _check_holds(now[place], value, f"{where}[{place}]")
    elif isinstance(then, float):
        assert now == pytest.approx(then, rel=1e-9, abs=1e-12), where  # sums of another processor
    else:
        assert now == then, where


def test_it_is_verified(catalog: Path) -> None:
    result = geobench(catalog, "catalog", "verify")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "reference",
    [
        "dataset/tiny@1",
        "control/tiny.energy@1",
        "forecaster/tiny.fgn.s0@1",
        "forecast/tiny.fm-nfe2.s1@1",
        "score/tiny.fgn.s0.law-events@1",
        "events/tiny.reference.s1000000@1",
    ],
)
def test_every_kind_is_made_again(catalog: Path, reference: str) -> None:
    """Another processor adds up in another order: numbers may differ by a thousandth."""
    result = geobench(catalog, "reproduce", reference, "--tolerance", "1e-3")
    assert result.exit_code == 0, result.output
