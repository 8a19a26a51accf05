"""Rows that are incomplete, degenerate or deterministic are marked, in every output."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from click.testing import CliRunner, Result

from geobench.board import soundness
from geobench.board.model import Row
from geobench.cli import main
from geobench.registry import Registry
from geobench.statistics.estimates import Estimate
from geobench_catalog import Catalog, Entry

DIMS = ("init_time", "lead_time", "member", "x")

STUDY = {
    "experiments": {
        "tiny": {
            "use": "lorenz95",
            "spin_up": 2,
            "train": {"trajectories": 6, "steps": 8},
            "validation": {"trajectories": 2, "steps": 8},
            "test": {"trajectories": 20, "inits": 2, "every": 3},
            "leads": 3,
        }
    },
    "models": {
        "climatology": "climatology",
        "persistence": "persistence",
        "oracle": "oracle",
        "analog": {"use": "analog", "neighbours": 3},
    },
    "seeds": [0, 1],
    "members": 4,
    "scorers": ["crps", "spread-skill"],
    "reference": {"members": 8},
}


def _geobench(catalog: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(catalog), *map(str, words)])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in which the study has run, with exit code 0: every row is sound."""
    folder = tmp_path_factory.mktemp("soundness")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    result = _geobench(folder / "catalog", "run", folder / "study.yaml")
    assert result.exit_code == 0, result.output
    return folder


def _take_in(ran: Path, model: str, change: Callable[[xr.Dataset], xr.Dataset]) -> str:
    """Import what `change` makes of the oracle's forecast."""
    theirs = change(Catalog(ran / "catalog").get("forecast/tiny.oracle.s0@1").load())
    for variable in theirs.variables.values():
        variable.encoding.clear()
    path = ran / f"{model}.zarr"
    theirs.to_zarr(path, consolidated=False)
    words = ("catalog", "import-forecast", path, "--dataset", "dataset/tiny@1", "--model", model)
    result = _geobench(ran / "catalog", *words)
    assert result.exit_code == 0, result.output
    return str(result.stdout.strip())


@pytest.fixture(scope="module")
def brought(ran: Path) -> dict[str, str]:
    """References of forecasts with copies among their members, and of one with one member."""

    def pairs(ours: xr.Dataset) -> xr.Dataset:
        return ours.isel(member=[0, 0, 2, 2]).assign_coords(member=ours["member"])

    def same(ours: xr.Dataset) -> xr.Dataset:
        return ours.isel(member=[1, 1, 1, 1]).assign_coords(member=ours["member"])

    return {
        "pairs": _take_in(ran, "pairs", pairs),
        "same": _take_in(ran, "same", same),
        "single": _take_in(ran, "single", lambda ours: ours.isel(member=[0])),
    }


def _row(board: dict[str, Any], label: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in board["rows"] if row["label"] == label)
    return found


def _every_output(folder: Path, *words: object) -> dict[str, tuple[str, int]]:
    """Text and exit code of every form of the board, and of the pages of the site together."""
    catalog = folder / "catalog"
    found = {}
    for form in ("table", "markdown", "latex", "csv", "json"):
        done = _geobench(catalog, "leaderboard", *words, "--format", form)
        found[form] = (" ".join(done.stdout.split()), done.exit_code)
    page, site = folder / "page.html", folder / f"site{len(list(folder.iterdir()))}"
    done = _geobench(catalog, "leaderboard", *words, "--html", page)
    found["page"] = page.read_text("utf-8"), done.exit_code
    done = _geobench(catalog, "leaderboard", "build", *words, "--no-imported", "--out", site)
    pages = [path.read_text("utf-8") for path in sorted(site.rglob("*.html"))]
    found["site"] = "".join(pages), done.exit_code
    return found


def test_copies_among_members_are_marked_in_every_output(
    ran: Path, brought: dict[str, str]
) -> None:
    words = [ran / "study.yaml"]
    for name in ("pairs", "same"):
        words += ["--with", brought[name]]
    found = _every_output(ran, *words)
    for form, (text, code) in found.items():
        assert code == 3, form
        assert "4 of 4 members are equal in pairs" in text, form
        assert "all 4 members are equal" in text, form
    (board,) = json.loads(found["json"][0])
    marked = {row["label"] for row in board["rows"] if row["degenerate"]}
    assert marked == {"pairs", "same"}  # persistence says itself that its members are equal
    assert [row["label"] for row in board["rows"] if row["deterministic"]] == ["persistence"] * 2


@pytest.mark.slow
def test_a_single_member_is_a_point_forecast(ran: Path, brought: dict[str, str]) -> None:
    words = (ran / "study.yaml", "--with", brought["single"])
    found = _every_output(ran, *words)
    for form, (text, code) in found.items():
        assert code == 0, form
        assert "deterministic" in text, form
    (board,) = json.loads(found["json"][0])
    row = _row(board, "single")
    assert row["deterministic"]
    assert row["training_seconds"] is None
    notes = [note for note in board["notes"] if note.startswith("single")]
    assert "single has one member: a point forecast, whose CRPS is the absolute error." in notes


def test_a_seed_that_is_missing_is_marked_in_every_output(ran: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY | {"seeds": [0, 1, 2]}))
    (tmp_path / "catalog").symlink_to(ran / "catalog")
    for form, (text, code) in _every_output(tmp_path, study, "--by-model").items():
        assert code == 2, form  # what is not done is named on the way
        assert "2 of 3 seeds: no seed 2" in text or form == "json", form
    done = _geobench(ran / "catalog", "leaderboard", study, "--by-model", "--json")
    (board,) = json.loads(done.stdout)
    assert all(row["missing_seeds"] == [2] for row in board["rows"])
    assert "tiny: analog (seed 2) is not done" in done.stderr


def test_a_damaged_model_is_named_and_left_out(ran: Path, tmp_path: Path) -> None:
    import shutil

    catalog = tmp_path / "catalog"
    shutil.copytree(ran / "catalog", catalog)
    score = Catalog(catalog).get("score/tiny.analog.s1.spread-skill@1")
    statistic = next(iter(score.load().data_vars))
    folder = score.path / "data.zarr" / str(statistic) / "c"
    chunk = next(path for path in folder.rglob("*") if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    done = _geobench(catalog, "leaderboard", ran / "study.yaml", "--json")
    assert done.exit_code == 2
    assert "analog (seed 1) is left out: score/tiny.analog.s1.spread-skill@1" in done.stderr
    (board,) = json.loads(done.stdout)
    assert [row["seed"] for row in board["rows"] if row["label"] == "analog"] == [0]
    done = _geobench(catalog, "leaderboard", ran / "study.yaml", "--by-model", "--json")
    assert done.exit_code == 2
    (board,) = json.loads(done.stdout)
    assert _row(board, "analog")["missing_seeds"] == [1]


def test_the_csv_holds_what_places_a_row_and_what_it_costs(
    ran: Path, brought: dict[str, str]
) -> None:
    words = ("leaderboard", ran / "study.yaml", "--with", brought["pairs"], "--by-model")
    (board,) = json.loads(_geobench(ran / "catalog", *words, "--json").stdout)
    text = _geobench(ran / "catalog", *words, "--format", "csv").stdout
    lines = list(csv.DictReader(text.splitlines()))
    for row in board["rows"]:
        line = next(each for each in lines if each["model"] == row["label"])
        ends = row["rank_range"] or ["", ""]
        assert [line["rank_low"], line["rank_high"]] == [str(end) for end in ends]
        for key, name in (("", "value"), ("_low", "low"), ("_high", "high")):
            assert float(line["mean_excess" + key]) == pytest.approx(row["excess"][name], rel=1e-6)
        assert line["bootstrap_draws"] == "2000"
        assert line["units"] == "of the variable"
        if row["imported"]:
            assert line["training_seconds"] == line["parameters"] == line["evaluations"] == ""
        else:
            expected = 1e3 * row["seconds_per_member"]
            assert float(line["ms_per_member"]) == pytest.approx(expected, rel=1e-6)
            assert float(line["training_seconds"]) >= 0
    models = [row for row in board["rows"] if not row["knows_law"]]
    assert [row["rank"] for row in models] == list(range(1, len(models) + 1))
    for row in models:
        low, high = row["rank_range"]
        assert 1 <= low <= row["rank"] <= high <= len(models)


def test_a_ratio_that_is_too_small_has_a_positive_excess(
    ran: Path, brought: dict[str, str]
) -> None:
    words = (ran / "study.yaml", "--with", brought["pairs"], "--json")
    (board,) = json.loads(_geobench(ran / "catalog", "leaderboard", *words).stdout)
    place = board["rows"].index(_row(board, "pairs"))
    column = next(each for each in board["columns"] if each["scorer"] == "spread-skill")
    oracle = board["rows"].index(_row(board, "oracle"))
    for cell, law in zip(column["cells"][place], column["cells"][oracle], strict=True):
        # Both are compared with the same reference, which cancels.
        beyond = cell["excess"]["value"] - law["excess"]["value"]
        away = [abs(each["score"]["value"] - 1) for each in (cell, law)]
        assert beyond == pytest.approx(away[0] - away[1], abs=1e-9)
        assert beyond > 0.05


def test_a_site_of_an_older_schema_is_replaced_and_said_so(ran: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    words = ("leaderboard", "build", ran / "study.yaml", "--no-imported", "--out", out)
    assert _geobench(ran / "catalog", *words).exit_code == 0
    document = json.loads((out / "board.json").read_text("utf-8"))
    assert document["schema_version"] == 3
    old = {"schema_version": 2, "cell": ["score", "excess", "share"], "boards": []}
    (out / "board.json").write_text(json.dumps(old))
    again = _geobench(ran / "catalog", *words)
    assert again.exit_code == 0, again.output
    assert "made by an older geobench (schema 2): it was replaced" in again.stdout
    assert "made by an older geobench (schema 2)" in (out / "index.html").read_text("utf-8")
    assert json.loads((out / "board.json").read_text("utf-8"))["schema_version"] == 3
    (out / "board.json").write_text(json.dumps({"schema_version": 4}))
    newer = _geobench(ran / "catalog", *words)
    assert newer.exit_code == 2
    assert "its schema is 4" in newer.stderr


def test_what_exit_codes_mean_is_in_the_help() -> None:
    for words in (("run",), ("leaderboard", "show"), ("leaderboard", "build")):
        told = " ".join(CliRunner().invoke(main, [*words, "--help"]).output.split())
        assert "Exit code: 0 if every row is complete and sound" in told
        assert "3 if all is there, but a row is incomplete or degenerate" in told


def test_members_that_failed_are_no_copies() -> None:
    from geobench.board.soundness import _groups

    values = np.arange(24.0).reshape(1, 2, 4, 3)
    values[0, -1, 1:3] = np.nan
    dims = ("init_time", "lead_time", "member", "x")
    assert _groups(xr.Dataset({"q": (dims, values)})) == []
    values[0, -1, 3] = values[0, -1, 0]
    assert _groups(xr.Dataset({"q": (dims, values)})) == [[0, 3]]


@pytest.mark.parametrize(
    ("equal", "told"),
    [
        ([0, 1, 2, 3, 4], ""),
        ([0, 0, 2, 2, 4], "4 of 5 members are equal in pairs"),
        ([0, 0, 0, 3, 4], "3 of 5 members are equal to others"),
        ([0, 0, 0, 3, 3], "5 of 5 members are equal to others"),
        ([0, 0, 0, 0, 0], "all 5 members are equal"),
        ([0], ""),
    ],
)
def test_copies_are_counted(tmp_path: Path, equal: list[int], told: str) -> None:
    values = np.random.default_rng(0).standard_normal((3, 2, 5, 4))[:, :, equal]
    entry = _forecast(tmp_path, xr.Dataset({"q": (DIMS, values)}))
    assert soundness.copies(entry) == told


def test_members_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    entry = _forecast(tmp_path, xr.Dataset({"q": (DIMS, np.ones((3, 2, 5, 4)))}))
    for chunk in entry.path.rglob("c/**/*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    assert soundness.copies(entry).startswith("its members cannot be read to compare them (")


def _forecast(folder: Path, data: xr.Dataset) -> Entry:
    catalog = Catalog(folder / "catalog", create=True)
    recipe = {"members": data.sizes["member"]}
    with catalog.draft("forecast", "a", recipe=recipe) as draft:
        draft.write(data)
        return draft.publish()


def test_few_members_are_told_in_sentences(registry: Registry) -> None:
    scorers = [registry.scorer(name) for name in ("crps", "spread-skill")]
    reason = scorers[1].no_score(1)
    assert reason
    assert soundness.described([_told("a", 1), _told("b", 5)], scorers[:1]) == [
        "a has one member: a point forecast, whose CRPS is the absolute error."
    ]
    many = soundness.described([_told("a", 1), _told("b", 1)], scorers)
    assert many[0] == "a, b have one member each, whose CRPS is the absolute error."
    assert many[1].startswith("a, b, a dash: ")
    assert reason in many[1]
    (ragged,) = soundness.described([_told("c", 6, fewest=2)], scorers)
    assert ragged.startswith("c has 2–6 members, by init.")
    assert "ranks take 2 members at each init" in ragged


def _told(label: str, members: int, fewest: int = 0) -> Row:
    return Row(
        label=label,
        seed=0,
        rank=1,
        rank_range=(1, 1),
        excess=Estimate(0.0, 0.0, 0.0),
        failed=0,
        knows_law=False,
        suspicious=False,
        parameters=1,
        sample_passes=1,
        training_seconds=1.0,
        evaluations=1.0,
        seconds_per_member=0.1,
        members=members,
        entries={},
        fewest_members=fewest,
    )
