"""Summaries of entries are read by name and type, whoever wrote them, and whenever."""

import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench.entries import summaries
from geobench.entries.summaries import (
    ControlSummary,
    DatasetSummary,
    ForecasterSummary,
    ForecastSummary,
    ScoreSummary,
    Summary,
)
from geobench.entries.vocabulary import VOCABULARY
from geobench_catalog import Catalog, CatalogError, Entry

EARLIER = Path(__file__).parents[1] / "study" / "earlier" / "catalog.tar.xz"
SCHEMA_1 = Path(__file__).parents[1] / "catalog" / "schema1"


def _entry(folder: Path, kind: str, summary: dict[str, Any]) -> Entry:
    catalog = Catalog(folder, create=not folder.exists())
    with catalog.draft(kind, "a", recipe={}) as draft:
        draft.write(xr.Dataset({"q": ("x", np.zeros(2, np.float32))}))
        return draft.publish(summary)


def test_what_was_never_measured_has_its_default_and_the_rest_is_kept(tmp_path: Path) -> None:
    entry = _entry(tmp_path / "c", "forecast", {"seconds_per_member": math.nan, "later": [1, "x"]})
    assert entry.record.summary["seconds_per_member"] is None
    found = ForecastSummary.of(entry)
    assert math.isnan(found.seconds_per_member)
    assert (found.failed_members, found.failures, found.member_counts) == (0, {}, None)
    assert found.model_extra == {"later": [1, "x"]}
    assert ForecasterSummary.of(_entry(tmp_path / "c", "forecaster", {})).device == "cpu"


def test_nested_parts_are_typed(tmp_path: Path) -> None:
    rounding = {"keep_bits": {"q": 12}, "score_changes": {"CRPS": [1e-6, None]}}
    found = ForecastSummary.of(_entry(tmp_path / "c", "forecast", {"rounding": rounding}))
    assert found.rounding is not None
    assert found.rounding.score_changes["CRPS"] == [1e-6, None]
    assert found.rounding.largest_error == {}


@pytest.mark.parametrize(
    ("kind", "summary", "told"),
    [
        ("forecast", {"failed_members": "none"}, "summary.failed_members is a text, and not a who"),
        ("score", {"lead_hours": [24.0], "scores": {"CRPS": 1}}, "summary.scores.CRPS is a number"),
        ("control", {}, "summary.states is missing"),
    ],
)
def test_a_summary_of_another_type_is_neither_published_nor_read(
    tmp_path: Path, kind: str, summary: dict[str, Any], told: str
) -> None:
    with pytest.raises(CatalogError, match=told):
        _entry(tmp_path / "c", kind, summary)
    # One that is there, as another program may have written it: of a kind without a model.
    stored = _entry(tmp_path / "c", "events", summary)
    model = VOCABULARY.kind(kind).summary
    assert model is not None
    assert issubclass(model, Summary)
    with pytest.raises(
        CatalogError, match=rf"events/a@1 cannot be used here: {told}.*make it agai"
    ):
        model.of(stored)


def test_every_kind_has_a_summary() -> None:
    classes = {kind.name: kind.summary for kind in VOCABULARY.kinds}
    assert {model.__name__ for model in classes.values() if model} == {
        f"{name.capitalize()}Summary" for name in classes
    }
    assert all(hasattr(summaries, f"{name.capitalize()}Summary") for name in classes)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(EARLIER) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.rglob("geobench-catalog.json")).parent


def test_summaries_of_earlier_versions_are_read_whole(earlier: Path) -> None:
    """Nothing that an earlier version has written is of another type, or unknown."""
    seen = set()
    for place in (earlier, SCHEMA_1):
        for entry in Catalog(place).entries():
            kind = entry.record.kind
            model = VOCABULARY.kind(kind).summary
            assert model is not None
            assert issubclass(model, Summary)
            found = model.of(entry)
            assert found.model_dump(exclude_unset=True) == entry.record.summary
            assert not found.model_extra
            seen.add(kind)
    assert {"dataset", "forecaster", "forecast", "score"} <= seen


def test_numbers_of_an_earlier_catalog(earlier: Path) -> None:
    catalog = Catalog(earlier)
    assert DatasetSummary.of(catalog.get("dataset/tiny@1")).states == 204
    assert DatasetSummary.of(catalog.get("dataset/tiny@1")).inexact_law == ""
    assert ForecasterSummary.of(catalog.get("forecaster/tiny.oracle.s0@1")).knows_law
    drawn = ForecastSummary.of(catalog.get("forecast/tiny.fgn.s0@1"))
    assert (drawn.members, drawn.failed_members) == (160, 0)
    score = ScoreSummary.of(catalog.get("score/tiny.fgn.s0.crps@1"))
    assert (score.lead_hours, score.better, len(score.scores["CRPS"])) == ([24.0, 48.0], "lower", 2)


def test_a_control_run_names_its_states(tmp_path: Path) -> None:
    found = ControlSummary.of(_entry(tmp_path / "c", "control", {"states": 12, "trajectories": 3}))
    assert (found.states, found.trajectories) == (12, 3)


def test_the_seed_of_a_score_is_that_of_its_own_forecaster(tmp_path: Path) -> None:
    """Its law has a forecaster, too, with another seed."""
    catalog = Catalog(tmp_path / "c", create=True)

    def made(kind: str, name: str, parents: dict[str, Entry], **recipe: Any) -> Entry:
        with catalog.draft(kind, name, recipe=recipe, parents=parents) as draft:
            draft.write(xr.Dataset({"q": ("x", np.zeros(2, np.float32))}))
            return draft.publish({})

    twin = made("dataset", "twin", {}, seed=7)
    drawn = {
        name: made(
            "forecast", name, {"forecaster": made("forecaster", name, {"dataset": twin}, seed=seed)}
        )
        for name, seed in (("law", 1_000_000), ("mine", 3))
    }
    parents = {"law": drawn["law"], "dataset": twin, "forecast": drawn["mine"]}
    made("score", "mine.law-crps", parents, use="law-crps")
    found = catalog.query("").set_index("reference")
    assert found["seed"].to_dict() == {
        "dataset/twin@1": 7,
        "forecaster/law@1": 1_000_000,
        "forecaster/mine@1": 3,
        "forecast/law@1": 1_000_000,
        "forecast/mine@1": 3,
        "score/mine.law-crps@1": 3,
    }
    assert set(found["dataset"]) == {"twin"}
