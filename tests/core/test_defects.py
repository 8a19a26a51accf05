"""Negative controls: each changes one thing, and scorers that see it notice it."""

import math

import numpy as np
import pytest
import xarray as xr

from geobench import Context, GeobenchError, Noise
from geobench.diagnostics.defects import DEFECTS, Power, measure
from geobench.registry import Registry
from geobench.scoring.passes import Source


def _law(inits: int = 40, count: int = 30) -> xr.DataArray:
    """Draws of a law with dependence in space and time, shaped as a forecast."""
    drawn = Noise.rows(0, "law", inits).normal(3, count, 2, 4, 6).numpy().astype(np.float64)
    drawn += np.roll(drawn, 1, -1) + np.roll(drawn, 2, -1) + np.roll(drawn, 1, -2)
    drawn = drawn.cumsum(1)
    dims = ("init_time", "lead_time", "member", "variable", "y", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(3)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["u", "v"],
    }
    return xr.DataArray(drawn, coords, dims)


@pytest.fixture(scope="module")
def law() -> xr.DataArray:
    return _law()


@pytest.mark.parametrize("name", DEFECTS)
def test_dims_and_failures_stay(law: xr.DataArray, name: str) -> None:
    broken = law.copy()
    broken[1, 1, 3] = np.nan
    changed = DEFECTS[name](broken)
    assert changed.dims == law.dims
    assert bool(changed.isel(init_time=1, lead_time=1).isnull().any())
    assert bool(changed.isel(init_time=2).notnull().all())


@pytest.mark.parametrize("name", sorted(set(DEFECTS) - {"bias", "shuffled", "reshuffled"}))
def test_means_stay(law: xr.DataArray, name: str) -> None:
    xr.testing.assert_allclose(DEFECTS[name](law).mean("member"), law.mean("member"), atol=1e-5)


def test_sizes_are_as_said(law: xr.DataArray) -> None:
    def spread(name: str) -> xr.DataArray:
        return DEFECTS[name](law).std("member") / law.std("member")

    for name, size in {"narrow": 0.9, "wide": 1.1, "normal": 1, "smooth": 1, "bias": 1}.items():
        np.testing.assert_allclose(spread(name), size, rtol=1e-5)
    away = (DEFECTS["bias"](law) - law) / law.std("member")
    np.testing.assert_allclose(away, 0.1, rtol=1e-9)


def test_normal_members_keep_their_order(law: xr.DataArray) -> None:
    changed = DEFECTS["normal"](np.exp(law / 4))
    axis = law.get_axis_num("member")
    ordered = np.take_along_axis(changed.to_numpy(), law.to_numpy().argsort(axis), axis)
    assert np.diff(ordered, axis=axis).min() >= 0  # drawn in single precision, two may be equal

    def skewness(values: xr.DataArray) -> float:
        z = (values - values.mean("member")) / values.std("member")
        return float((z**3).mean())

    assert skewness(np.exp(law / 4)) > 1
    assert abs(skewness(changed)) < 0.05


def test_shuffled_members_have_the_same_marginals_and_no_dependence(law: xr.DataArray) -> None:
    changed = DEFECTS["shuffled"](law)
    axis = law.get_axis_num("member")
    assert np.array_equal(np.sort(changed, axis), np.sort(law, axis))

    def neighbours(values: xr.DataArray) -> float:
        away = values - values.mean("member")
        return float((away * away.roll(x=1)).mean() / (away**2).mean())

    assert neighbours(law) > 0.4
    # 24 fields' cells of 30 members in one order each: their means are within 0.1 of 0.
    assert abs(neighbours(changed)) < 0.1
    assert neighbours(DEFECTS["smooth"](law)) > neighbours(law) + 0.1


def test_reshuffled_members_keep_their_fields_and_lose_their_past(law: xr.DataArray) -> None:
    changed = DEFECTS["reshuffled"](law)
    for lead in range(3):
        fields, own = (
            each.isel(lead_time=lead).stack(rest=("variable", "y", "x")).sortby("member")
            for each in (law, changed)
        )
        order = own.isel(init_time=0).to_numpy()[:, None] == fields.isel(init_time=0).to_numpy()
        found = order.all(-1).argmax(1)  # which member stands here
        assert sorted(found) == list(range(30))
        np.testing.assert_array_equal(own, fields.isel(member=found))

    def memory(values: xr.DataArray) -> float:
        away = values - values.mean("member")
        return float((away[:, 1] * away[:, 0]).mean() / (away[:, 0] ** 2).mean())

    assert memory(law) > 0.9
    assert abs(memory(changed)) < 0.5


def _measured(
    names: list[str], count: int = 10, draws: int = 30, memory: int = 2**30, inits: int = 100
) -> list[Power]:
    law = _law(inits, draws + 1).isel(variable=[0])
    truth = law.isel(member=-1)
    sea = xr.DataArray(np.ones((4, 6), bool), dims=("y", "x"))
    std = law.std(("init_time", "lead_time", "member"))
    limits = (std * xr.DataArray([1.0, 1.5], {"quantile": [0.9, 0.95]}, "quantile")).transpose(
        "quantile", ...
    )
    registry = Registry()
    return measure(
        [registry.scorer(name) for name in names],
        Source(
            (law.isel(member=slice(draws)).to_dataset("variable"),),
            truth.to_dataset("variable"),
            memory,
        ),
        count,
        Context(limits, sea, std),
        np.arange(inits),
    )


def test_scorers_notice_what_they_can_see() -> None:
    names = ["crps", "spread-skill", "bias", "pooled-crps", "roc"]
    fields = [{"use": name} for name in names]
    fields[3]["window"] = 2  # type: ignore[assignment] # a number
    found = {(each.score, each.defect): each for each in _measured(fields)}  # type: ignore[arg-type] # recipes
    assert all(each.pairs == 6 for each in found.values())
    for score in ("CRPS", "spread/skill", "bias", "CRPS of mean over 2"):
        # With as many pairs each way, errors of the right ensembles cancel.
        assert abs(found[score, "none"].z) < 1e-9
        assert abs(found[score, "reshuffled"].z) < 1  # other members at each lead time, as good
    assert found["spread/skill", "narrow"].z < -1.96
    assert found["spread/skill", "wide"].z > 1.96
    assert found["spread/skill", "narrow"].power == found["spread/skill", "wide"].power == 1
    assert found["bias", "bias"].z > 1
    assert found["CRPS of mean over 2", "shuffled"].z > 1.96
    assert abs(found["CRPS", "shuffled"].z) < 1  # other members at each site, as good
    assert found["CRPS", "narrow"].z > 0
    # Of scores that should be high, what is lower is worse.
    assert found["ROC area 90%", "none"].z == pytest.approx(0, abs=1e-9)


def test_land_stays_land_and_the_sea_stays_finite(law: xr.DataArray) -> None:
    sea = xr.DataArray(np.ones((4, 6), bool), dims=("y", "x"))
    sea[1, 2:4] = False
    for change in DEFECTS.values():
        changed = change(law.where(sea))
        assert bool((changed.notnull() == sea).all())


def test_what_is_not_a_number_is_not_called_blind() -> None:
    found = _measured(["sedi"], count=2, draws=4)
    assert any(math.isnan(each.z) for each in found)
    assert all(math.isnan(each.power) == math.isnan(each.z) for each in found)


def test_scorers_that_need_the_law_are_left_out() -> None:
    assert {each.score for each in _measured(["crps", "law-crps"])} == {"CRPS"}
    with pytest.raises(GeobenchError, match="Name another"):
        _measured(["law-crps"])


@pytest.mark.parametrize(("count", "draws"), [(10, 19), (1, 10)])
def test_too_few_draws_are_told(count: int, draws: int) -> None:
    with pytest.raises(GeobenchError, match=f"{draws} draws of the law are not two ensembles of"):
        _measured(["crps"], count, draws)


@pytest.mark.slow
def test_the_power_is_the_same_in_pieces_of_any_size() -> None:
    """With 20 kB an init is a piece, and each ensemble has a pass of its own."""
    names = ["crps", "bias", "roc"]
    whole, cut = (_measured(names, 10, 20, memory, inits=30) for memory in (2**30, 20_000))
    assert len(whole) > 24
    for one, other in zip(whole, cut, strict=True):
        assert (one.score, one.defect, one.pairs) == (other.score, other.defect, other.pairs)
        assert one.power == other.power  # a number
        assert one.z == pytest.approx(other.z, rel=1e-6, abs=1e-6)
