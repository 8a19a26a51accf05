"""Plans: variances as they are, and a planned experiment that has the power it was planned for."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from click.testing import CliRunner

from geobench import Context, GeobenchError
from geobench.cli import main
from geobench.cli.plan import Fraction
from geobench.cli.settings import Settings
from geobench.diagnostics import against_law
from geobench.diagnostics.planning import Aim, Need, Plan, plan
from geobench.registry import Registry
from geobench.scoring.passes import Source

Array = npt.NDArray[np.float64]
BIAS = 0.4


def _generator(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def _fair_crps(members: Array, outcome: Array) -> Array:
    """Members along the last axis; from the sorted members (independent of the scorer)."""
    count = members.shape[-1]
    ordered = np.sort(members, -1)
    gini = (ordered * (2 * np.arange(count) - count + 1)).sum(-1) / (count * (count - 1))
    found: Array = abs(members - outcome[..., None]).mean(-1) - gini
    return found


def _differences(key: int, cases: int, members: int, bias: float, repeats: int = 1) -> Array:
    """CRPS of a biased forecast less that of the law, `(repeat, case)`: every number drawn anew."""
    generator = _generator(key)
    outcome = generator.standard_normal((repeats, cases))
    own, law = (generator.standard_normal((repeats, cases, members)) for _ in range(2))
    return _fair_crps(own + bias, outcome) - _fair_crps(law, outcome)


def _excess(bias: float) -> float:
    """Of a normal law with the right spread, exactly (Székely's energy distance, halved)."""
    apart = 2 / math.sqrt(math.pi) * math.exp(-(bias**2) / 4) + bias * math.erf(bias / 2)
    return apart - 2 / math.sqrt(math.pi)


LAW = 1 / math.sqrt(math.pi)  # CRPS of a standard normal law


def _planned(
    cases: int,
    members: int,
    aim: Aim,
    *,
    counts: tuple[int, ...],
    repeated: int = 1,
    memory: int = 2**30,
) -> Plan:
    """Plan from a forecast with a bias; with `repeated`, each case stands there so often."""
    generator = _generator(20)
    outcome = np.repeat(generator.standard_normal((cases, 1)), repeated, 0)
    own, law = (generator.standard_normal((cases * repeated, 1, members)) for _ in range(2))
    dims = ("init_time", "lead_time", "member", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns")
        + np.arange(cases * repeated) * np.timedelta64(1, "D"),
        "lead_time": [np.timedelta64(1, "D").astype("timedelta64[ns]")],
    }
    forecast, draws, truth = (
        xr.Dataset({"q": (dims, values[..., None])}, coords)
        for values in (own + BIAS, law, outcome[..., None])
    )
    sea = xr.DataArray([True], dims="x")
    std = xr.DataArray(np.ones((1, 1)), {"variable": ["q"]}, ("variable", "x"))
    context = Context((2 * std).expand_dims(quantile=[0.9]), sea, std)
    inits = xr.Dataset(
        {
            "trajectory": ("init_time", np.repeat(np.arange(cases), repeated)),
            "position": ("init_time", np.tile(np.arange(repeated), cases)),
        }
    )
    (found,) = plan(
        Registry().scorer("crps"),
        *(Source((each,), truth.isel(member=0), memory) for each in (forecast, draws)),
        context, inits, aim=aim, members=counts,
    )  # fmt: skip
    return found


def test_the_planned_cases_give_the_power_they_were_planned_for() -> None:
    """A plan from 3000 cases with 8 members, for a bias that costs 8 % of the law's score.

    Then 1000 experiments with as many cases as planned, of 3 members: 81 % notice the bias (as
    printed), and 4.7 % of 1000 without one notice what is not there. The variance of the plan errs
    by 2.6 %, power thereby by 1 %, and counting by 1.3 %: outside 75 to 85 % is by chance 0.002 at
    80 %; a false alarm on more than 7.5 % 4e-4 at 5 %.
    """
    share = _excess(BIAS) / LAW
    found = _planned(3000, 8, Aim(share), counts=(3,))
    assert found.law == pytest.approx(LAW, rel=0.06)
    (need,) = found.needs
    noticed = {}
    for bias in (BIAS, 0.0):
        gaps = _differences(21, need.cases, need.members, bias, 1000)
        errors = gaps.std(1, ddof=1) / need.cases**0.5
        noticed[bias] = float((abs(gaps.mean(1) / errors) > 1.96).mean())
    print(share, need, noticed)
    assert 0.75 < noticed[BIAS] < 0.85
    assert noticed[0.0] < 0.075


def test_cases_for_other_members_are_as_if_those_had_been_drawn() -> None:
    """Variance of a difference from 2 to 64 members, read from 16: within 8 % of 40,000 cases.

    A standard error is 1.5 to 3 %: by chance 0.03 for the six, and the seed is fixed.
    """
    counts = (2, 4, 8, 16, 32, 64)
    aim = Aim(0.05)
    found = _planned(3000, 16, aim, counts=counts)
    for need in found.needs:
        drawn = _differences(22, 40_000, need.members, BIAS).var()
        expected = aim.errors**2 * drawn / (0.05 * found.law) ** 2
        print(need, expected)
        assert need.cases == pytest.approx(expected, rel=0.08)
    shares = [need.member_share for need in found.needs]
    assert shares == sorted(shares, reverse=True)


def test_dependent_cases_need_more_of_them() -> None:
    """Every outcome stands there four times; the members are drawn anew.

    So four cases tell of the outcomes what one does, and of the members what four do.
    """
    alone, together = (_planned(2000, 16, Aim(0.05), counts=(2, 64), repeated=n) for n in (1, 4))
    assert together.case_variance == pytest.approx(4 * alone.case_variance, rel=0.1)
    assert together.member_variance[0] == pytest.approx(alone.member_variance[0], rel=0.1, abs=0.02)
    assert alone.dependence == pytest.approx(1, abs=0.01)
    assert 1.2 < together.dependence < 4
    few, many = (b.cases / a.cases for a, b in zip(alone.needs, together.needs, strict=True))
    assert 1 < few < many < 4


def test_what_is_at_hand_is_told() -> None:
    found = _planned(1500, 16, Aim(0.01), counts=(16,))
    assert found.seen == pytest.approx(_excess(BIAS) / LAW, abs=found.noticed)
    # As many cases as there are notice what is told to be noticed.
    share = found.noticed
    assert _planned(1500, 16, Aim(share), counts=(16,)).needs[0].cases == pytest.approx(
        1500, rel=0.01
    )


def test_an_aim_is_that_of_the_textbook() -> None:
    # (1.960 + 0.842)² = 7.85 variances over a squared difference, and 1.96² / 2 for the t-test.
    assert Aim().errors ** 2 == pytest.approx(7.849, abs=1e-3)
    assert Aim().cases(4.0, 0.5, 1.0) == math.ceil(7.849 * 16 + 1.921)
    assert Aim().cases(0.0, 0.5, 1.0) == 2


def test_what_cannot_be_planned_is_told() -> None:
    with pytest.raises(GeobenchError, match=r"the forecast has 3 members.*Draw 4 or more"):
        _planned(20, 3, Aim(), counts=(2,))
    with pytest.raises(GeobenchError, match="Plan with 2 members or more"):
        _planned(20, 8, Aim(), counts=(1,))
    empty = xr.Dataset()
    source = Source((empty,), empty)
    for name in ("spread-skill", "law-crps"):
        scorer = Registry().scorer(name)
        with pytest.raises(GeobenchError, match=f"{name} does not rank"):
            plan(scorer, source, source, None, empty, aim=Aim(), members=[2])  # type: ignore[arg-type]


def test_a_plan_is_the_same_in_pieces_of_any_size() -> None:
    """With 20 kB a few inits are a piece, and each part of the members has a pass of its own."""
    whole, cut = (
        _planned(60, 16, Aim(0.05), counts=(2, 16), memory=memory) for memory in (2**30, 20_000)
    )
    assert whole.needs[0].cases == cut.needs[0].cases
    assert whole.member_variance == [pytest.approx(each, rel=1e-9) for each in cut.member_variance]


def test_a_plan_is_told_in_words_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [Need(2, 12345, 0.61), Need(8, 6789, 0.2)]
    blocks = "blocks of 4 inits"
    made = Plan("CRPS", 0.56789, 0.081, 0.0234, 1200, 8, 16, blocks, 0.1, [[0.0]], 1.6, 0.11, needs)
    asked: list[tuple[Any, ...]] = []

    def of(_: object, *words: Any, law_members: int | None) -> list[Plan]:
        asked.append((*words, law_members))
        return [made]

    catalog = SimpleNamespace(get=lambda reference, kind: f"{kind}/{reference}")
    engine = SimpleNamespace(catalog=catalog, registry=Registry(), forecast=str)
    monkeypatch.setattr(Settings, "engine", lambda _: engine)
    monkeypatch.setattr(against_law, "plan", of)

    def told(*words: str) -> str:
        start = ["plan", "a@1", "--law", "law@1", "--members", "2,8", "--mde", "2%"]
        done = CliRunner().invoke(main, [*start, *words])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    (document,) = json.loads(told("--json", "--power", "0.9"))
    assert document["aim"] == {"share": 0.02, "power": 0.9, "level": 0.05}
    text = told("--scorer", "energy", "--law-members", "9")
    assert [(*each[:2], each[2].name, *each[4:]) for each in asked] == [
        ("forecast/a@1", "forecast/law@1", "crps", (2, 8), None),
        ("forecast/a@1", "forecast/law@1", "energy", (2, 8), 9),
    ]
    assert asked[1][3] == Aim(0.02)
    lines = text.splitlines()
    assert lines[0] == "CRPS, a difference of 0.02 of the law's 0.5679:"
    rows = [line.split() for line in lines]
    assert ["2", "12,345", "24,690", "61%"] in rows
    assert ["8", "6,789", "54,312", "20%"] in rows
    assert "At hand: 1200 cases, 8 members, 16 of the law. They differ by 8.10% and" in text
    assert "notice 2.34%.\nFrom blocks of 4 inits, 1.6 cases being worth an independent one" in text
    assert "known to ± 11% at best" in text
    assert lines[-1].startswith("With power 0.8, by a two-sided test at 0.05;")


@pytest.mark.parametrize("text", ["0", "1", "100%", "-1%", "some", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(
        click.BadParameter, match=r"is no fraction between 0 and 1; write 1% or 0\.01"
    ):
        Fraction().convert(text, None, None)


def test_a_stored_chunk_is_read_once_for_all_its_pieces(tmp_path: Path) -> None:
    scorer, readings = Registry().scorer("crps"), []
    values = np.arange(6 * 2 * 4 * 3, dtype="f4").reshape(6, 2, 4, 3)
    data = xr.Dataset({"q": (("init_time", "lead_time", "member", "x"), values)})

    @contextmanager
    def reading() -> Iterator[None]:
        readings.append(1)
        yield

    for name, chunks, times in (("whole", (4, 2, 4, 3), 2), ("cut", (4, 1, 4, 3), 12)):
        path = tmp_path / name
        data.to_zarr(path, encoding={"q": {"chunks": chunks}}, consolidated=False)
        stored = xr.open_zarr(path, chunks=None, consolidated=False)
        source = Source((stored,), data, memory=1024, reading=reading)
        pieces = [*source.pieces([scorer])]
        assert len(pieces) == 12  # a case each
        readings.clear()
        for piece in pieces:
            (members,) = source.members(piece)
            xr.testing.assert_equal(members, piece.of(data))
        assert len(readings) == times
    assert [*source.pieces([])] == []
