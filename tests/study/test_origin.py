"""What comes from elsewhere is never found in place of work that was asked for here."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench_catalog import Catalog, Entry
from geobench_catalog.archive import export

SCORE = "score/tiny.fgn.s0.crps@1"
RANKING = "score/tiny.fgn.s0.law-crps@1"  # the excess, by which rows are ordered


def _geobench(catalog: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(catalog), *map(str, words)])


def _done(catalog: Path, *words: object) -> str:
    result = _geobench(catalog, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def _board(catalog: Path, study: Path) -> Any:
    return json.loads(_done(catalog, "leaderboard", study, "--json"))


def _plan(catalog: Path, study: Path) -> Any:
    return json.loads(_done(catalog, "run", study, "--dry-run", "--json"))


def _again(catalog: Catalog, entry: Entry, change: Callable[[xr.Dataset], xr.Dataset]) -> Entry:
    """Publish what claims to be the same computation, with other numbers: newer, well formed."""
    record = entry.record
    parents = catalog.parents(entry)
    with catalog.draft(
        record.kind, record.name, recipe=record.recipe, parents=parents, labels=record.labels
    ) as draft:
        for group in sorted({path.rpartition("/")[0] for path, _, _ in entry.contents()}):
            draft.write(change(entry.load(group or None)), group=group or None)
        for name in entry.manifest:
            if "/" not in name and name != "record.json":
                draft.write_file(name, entry.content(name))
        return draft.publish(record.summary)


def _forged(ran: Path, folder: Path, reference: str) -> Path:
    """An archive with a forgery of this entry, made by somebody who had a copy of the catalog."""
    theirs = Catalog(shutil.copytree(ran, folder / "theirs"))
    entry = theirs.get(reference)
    made = _again(
        theirs, entry, lambda data: -abs(data) - 1 if entry.record.kind == "score" else data
    )
    path = folder / "forged.tar"
    export(theirs, [str(made.reference)], path)
    return path


@pytest.mark.parametrize("reference", [SCORE, RANKING, "dataset/tiny@1"])
def test_a_forged_archive_changes_nothing_on_the_board(
    ran: Path, study: Path, tmp_path: Path, reference: str
) -> None:
    before = _board(ran, study), _plan(ran, study)
    archive = _forged(ran, tmp_path, reference)
    told = json.loads(_done(ran, "catalog", "import", archive, "--json"))
    assert [each["new"] for each in told][-1]
    assert (_board(ran, study), _plan(ran, study)) == before
    # Nothing is computed again, either.
    count = len(list(Catalog(ran).entries()))
    _done(ran, "run", study)
    assert len(list(Catalog(ran).entries())) == count


def test_a_forged_score_counts_only_where_it_is_trusted_and_there_is_no_own_one(
    ran: Path, study: Path, tmp_path: Path
) -> None:
    # So the test above can fail: what the archive holds is fit to change the board.
    before = _board(ran, study)
    forged = _forged(ran, tmp_path, RANKING)
    _done(ran, "catalog", "import", forged, "--trust")
    assert _board(ran, study) == before
    _done(ran, "catalog", "rm", "-y", RANKING)
    after = _board(ran, study)
    for told, ahead in ((before, False), (after, True)):
        excess = {row["label"]: row["excess"]["value"] for row in told[0]["rows"]}
        assert (excess["fgn"] < excess["oracle"]) == ahead
    _done(ran, "catalog", "trust", "--remove", RANKING.replace("@1", "@2"))
    (missing,) = [each["name"] for each in _plan(ran, study) if each["reference"] is None]
    assert missing == "tiny.fgn.s0.law-crps"
    _done(ran, "run", study)  # makes it again
    assert _board(ran, study)[0]["rows"] == before[0]["rows"]


def test_an_own_dataset_comes_before_a_trusted_one(ran: Path, study: Path, tmp_path: Path) -> None:
    before = _board(ran, study)
    _done(ran, "catalog", "import", _forged(ran, tmp_path, "dataset/tiny@1"), "--trust")
    assert _board(ran, study) == before


def test_what_a_colleague_made_is_used_once_it_is_trusted(
    ran: Path, study: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    score = "score/tiny.fm.s0.crps@1"
    _done(mine, "catalog", "pull", score, ran)
    assert all(each["reference"] is None for each in _plan(mine, study))
    _done(mine, "catalog", "trust", score)
    found = {each["reference"] for each in _plan(mine, study)}
    assert {"dataset/tiny@1", "forecaster/tiny.fm.s0@1", "forecast/tiny.fm.s0@1", score} <= found
    assert "forecaster/tiny.fgn.s0@1" not in found


def test_an_imported_forecast_is_a_marked_guest_and_never_the_law(
    ran: Path, study: Path, tmp_path: Path
) -> None:
    # A stranger's forecaster claims to know the law of our dataset.
    theirs = Catalog(shutil.copytree(ran, tmp_path / "theirs"))
    fitted = theirs.get("forecaster/tiny.reference.s1000000@1")
    forged = _again(theirs, fitted, lambda data: data)
    drawn = theirs.get("forecast/tiny.reference.s1000000@1")
    with theirs.draft(
        "forecast", "tiny.liar", recipe=drawn.record.recipe, parents={"forecaster": forged},
        labels={"model": "liar", "dataset": "tiny"},
    ) as draft:  # fmt: skip
        draft.write(drawn.load())
        draft.publish(drawn.record.summary)
    export(theirs, ["forecast/tiny.liar@1"], tmp_path / "liar.tar")
    _done(ran, "catalog", "import", tmp_path / "liar.tar")
    # It is no guest by itself, and named it is marked as imported, and ranked like any other.
    assert "liar" not in json.dumps(_board(ran, study))
    told = json.loads(_done(ran, "leaderboard", study, "--with", "forecast/tiny.liar@1", "--json"))
    (row,) = (row for row in told[0]["rows"] if row["label"] == "liar")
    assert row["imported"]
    assert not row["knows_law"]
    refused = _geobench(
        ran, "score", "forecast/tiny.fgn.s0@1", "--scorer", "crps", "--scorer", "law-crps",
        "--law", "forecast/tiny.liar@1",
    )  # fmt: skip
    assert refused.exit_code == 2
    assert "forecast/tiny.liar@1 is imported, so nobody here knows" in refused.stderr
