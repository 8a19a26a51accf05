"""Failed members: not finite, fill values, far away; on cells that count, each counted once."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geobench.forecasts.failures import BEYOND, FILLS, Limits
from geobench.foreign.valid_ranges import valid_ranges
from geobench_catalog import Catalog, CatalogError

MEAN, STD = 2.0, 3.0


def _limits(**fields: object) -> Limits:
    counts = np.array([True, True, True, False])
    return Limits({"q": np.full(4, MEAN)}, {"q": STD}, counts, **fields)  # type: ignore[arg-type]


def _piece(value: float, cell: int = 1) -> xr.Dataset:
    """Two inits, three leads, four members: one member of init 1 has `value` at lead 2."""
    values = np.full((2, 3, 4, 4), MEAN, np.float32)
    values[1, 1, 2, cell] = value
    return xr.Dataset({"q": (("init_time", "lead_time", "member", "x"), values)})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "not finite"),
        (-np.inf, "not finite"),
        (9.969209968386869e36, "a fill value"),
        (1e20, "a fill value"),
        (-9999.0, "a fill value"),
        (-32767.0, "a fill value"),
        (MEAN + 1.001 * BEYOND * STD, "beyond 1000 standard deviations"),
        (MEAN - 1.001 * BEYOND * STD, "beyond 1000 standard deviations"),
        (3e38, "beyond 1000 standard deviations"),
    ],
)
def test_a_value_that_is_no_forecast_fails_its_member(value: float, reason: str) -> None:
    failed = _limits().failed(_piece(value), first=10)
    assert failed.counts() == {reason: 1}
    assert np.argwhere(failed.by_reason[reason]).tolist() == [[1, 2]]
    assert failed.first_init() == (1, 1)
    assert f"q = {np.float32(value):.7g} at init 11, lead 2, member 2" in failed.described()


@pytest.mark.parametrize("value", [MEAN + 0.999 * BEYOND * STD, -9998.0 * 0.2, 0.0])
def test_a_value_within_the_limits_passes(value: float) -> None:
    assert not _limits().failed(_piece(value)).counts()


def test_a_fill_value_near_the_climate_is_a_forecast() -> None:
    for fill in FILLS:
        near = Limits({"q": np.full(4, fill + 10.0)}, {"q": 1.0}, np.ones(4, bool))
        piece = xr.full_like(_piece(0.0), np.float32(fill))
        assert not near.failed(piece).counts()


def test_what_stands_on_land_does_not_count() -> None:
    for value in (np.nan, 9.969209968386869e36, -1e9):
        assert not _limits().failed(_piece(value, cell=3)).counts()


def test_only_what_is_not_finite_fails_the_law() -> None:
    law = _limits(beyond=np.inf)
    assert not law.failed(_piece(1e20)).counts()
    assert law.failed(_piece(np.nan)).counts() == {"not finite": 1}


def test_a_member_that_failed_for_several_reasons_counts_once() -> None:
    piece = _piece(np.nan)
    piece["q"][1, 0, 2, 0] = 1e20
    piece["q"][1, 2, 2, 2] = 1e9
    assert _limits().failed(piece).counts() == {"not finite": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_a_value_outside_the_valid_range_fails_beyond_thirty_deviations(packed: bool) -> None:
    scale, offset = (0.5, 100.0) if packed else (1.0, 0.0)
    ends = [(end - offset) / scale for end in (-50.0, 150.0)]
    theirs = xr.Dataset({"Q": ((), 0.0, {"valid_range": ends})})
    theirs["Q"].encoding |= {"scale_factor": scale, "add_offset": offset} if packed else {}
    ranges = valid_ranges(theirs, {"q": "Q"})
    assert ranges == {"q": (-50.0, 150.0)}
    limits = _limits(ranges=ranges)
    assert limits.failed(_piece(151.0)).counts() == {"outside the valid range": 1}
    assert not limits.failed(_piece(149.0)).counts()
    assert not limits.failed(_piece(-51.0)).counts()  # 18 deviations from the mean


@pytest.mark.parametrize("value", ["low high", [1.0], [np.nan, 1.0], ["a", "b"]])
def test_a_valid_range_that_cannot_be_read_is_refused(value: object) -> None:
    theirs = xr.Dataset({"Q": ((), 0.0, {"valid_range": value})})
    with pytest.raises(CatalogError, match="Q has a valid range that cannot be read"):
        valid_ranges(theirs, {"q": "Q"})


def test_limits_are_those_of_the_climate_and_of_its_experiment(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", create=True)
    std = np.array([0.0, 3.0, 4.0], np.float32)  # the first cell never changes: land
    climatology = xr.Dataset({"q_mean": ("x", np.float32([0, 1, 2])), "q_std": ("x", std)})
    for recipe, beyond in (({}, 1000.0), ({"failed_beyond": 50.0}, 50.0)):
        with catalog.draft("dataset", "a", recipe=recipe) as draft:
            draft.write(climatology, group="climatology")
            limits = Limits.of(draft.publish({}))
        assert limits.beyond == beyond
        assert limits.counts.tolist() == [False, True, True]
        assert limits.std["q"] == pytest.approx(12.5**0.5)
        assert limits.mean["q"].tolist() == [0.0, 1.0, 2.0]
    assert Limits.of(catalog.get("dataset/a@1"), only_finite=True).beyond == np.inf
