"""A catalog that an earlier version wrote: verified, found, and only what was mended made anew.

tests/study/earlier holds a catalog that version 0.1.0 wrote (commit 244f383, `geobench run`). Its
scores were computed before they had forms without cancellation. Where the version of a scorer was
raised since, scores are computed again, and the old ones stay.
"""

import json
from pathlib import Path

import pytest
import xarray as xr
from stored_catalogs import geobench, unpacked

from geobench.registry import Registry
from geobench_catalog import Catalog

HERE = Path(__file__).parent / "earlier"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored catalog, unpacked."""
    return unpacked(HERE, tmp_path_factory.mktemp("earlier"))


def test_it_is_verified(earlier: Path) -> None:
    result = geobench(earlier, "catalog", "verify")
    assert result.exit_code == 0, result.output


def test_what_was_not_mended_is_found(earlier: Path) -> None:
    plan = json.loads(geobench(earlier, "run", HERE / "study.yaml", "--dry-run", "--json").stdout)
    missing = {each["name"] for each in plan if each["reference"] is None}
    kept = {each["reference"] for each in plan if each["reference"]}
    assert "dataset/tiny@1" in kept
    # Every network, and every forecast by a model whose numbers did not change.
    for label in ("reference.s1000000", "persistence.s0", "oracle.s0", "fgn.s0"):
        assert {f"forecaster/tiny.{label}@1", f"forecast/tiny.{label}@1"} <= kept
    mended = [name for name in missing if "climatology" not in name]
    scorers = {name.rsplit(".", 1)[1] for name in mended}
    stored = {
        each.record.recipe["use"]: each.record.recipe["version"]
        for each in Catalog(earlier).entries("score")
    }
    now = Registry()
    for scorer in scorers & set(stored):
        assert now.scorer(scorer).version != stored[scorer]
    unchanged = {use for use, version in stored.items() if now.scorer(use).version == version}
    assert not unchanged & scorers


def test_old_scores_stay_readable_as_what_they_are(earlier: Path) -> None:
    catalog = Catalog(earlier)
    for entry in catalog.entries("score"):
        assert isinstance(entry.load(), xr.Dataset)
        assert entry.record.summary["scores"]
    result = geobench(earlier, "catalog", "list", "--json")
    assert result.exit_code == 0, result.output


def test_a_run_adds_what_is_missing_and_trains_no_network(earlier: Path) -> None:
    before = {entry.id for entry in Catalog(earlier).entries("forecaster")}
    result = geobench(earlier, "run", HERE / "study.yaml")
    assert result.exit_code == 0, result.output
    made = [e for e in Catalog(earlier).entries("forecaster") if e.id not in before]
    assert {entry.record.labels["model"] for entry in made} <= {"climatology"}
    plan = json.loads(geobench(earlier, "run", HERE / "study.yaml", "--dry-run", "--json").stdout)
    assert all(each["reference"] for each in plan)
    assert geobench(earlier, "catalog", "verify").exit_code == 0
