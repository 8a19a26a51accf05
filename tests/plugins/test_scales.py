"""Spectra and structure functions: waves where they are, variance kept, ratios as made."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from geobench import Context
from geobench.testing import small_case
from geobench_plugins.kernels.spectra import power
from geobench_plugins.scorers.spectrum import LawSpectrum, Spectrum
from geobench_plugins.scorers.structure import Structure


def _context(*sizes: int, periodic: tuple[str, ...] = ()) -> Context:
    dims = ("y", "x")[-len(sizes) :]
    sea = xr.DataArray(np.ones(sizes, bool), dims=dims)
    std = xr.DataArray(np.ones((1, *sizes)), {"variable": ["q"]}, ("variable", *dims))
    return Context(std.expand_dims(quantile=[0.9]), sea, std, periodic=periodic)


@pytest.mark.parametrize("periodic", [(), ("x",), ("y",), ("y", "x")])
def test_bands_add_up_to_the_variance(periodic: tuple[str, ...]) -> None:
    context = _context(12, 20, periodic=periodic)
    field = xr.DataArray(np.random.default_rng(0).normal(3, 2, (5, 12, 20)), dims=("n", "y", "x"))
    found = power(field, context)
    np.testing.assert_allclose(found.sum("band"), field.var(("y", "x")), rtol=1e-12)


@pytest.mark.parametrize(("waves", "band"), [(1, 1), (3, 2), (4, 4), (7, 4), (10, 8)])
def test_a_wave_is_in_its_band(waves: int, band: int) -> None:
    ring, wall = _context(20, periodic=("x",)), _context(20)
    x = (np.arange(20) + 0.5) / 20
    for context, factor in ((ring, 2), (wall, 1)):  # a cosine of k has k/2 waves
        field = xr.DataArray(np.cos(np.pi * factor * waves * x), dims="x")
        found = power(field, context)
        own = band if factor == 2 else band / 2
        assert float(found.sel(band=own)) == pytest.approx(float(found.sum()), rel=1e-9)


def test_white_noise_has_power_by_the_number_of_waves() -> None:
    """2,000 fields: standard errors of a band are below 2 %, and 10 % are five of them."""
    context = _context(64, periodic=("x",))
    field = xr.DataArray(np.random.default_rng(1).normal(size=(2000, 64)), dims=("n", "x"))
    found = power(field, context).mean("n")
    np.testing.assert_allclose(
        found.sel(band=[1, 2, 4, 8, 16]), np.array([2, 4, 8, 16, 32]) / 64, rtol=0.1
    )
    assert float(found.sel(band=32)) == pytest.approx(1 / 64, rel=0.1)


def test_ratios_are_of_squares() -> None:
    forecast, truth, context = small_case(200, 10)
    context = replace(context, periodic=("x",))
    same = truth.expand_dims(member=3).transpose(*forecast.dims)
    found = Spectrum().statistics(2 * same, truth, context).mean("init_time")
    np.testing.assert_allclose(Spectrum().metric(found)["power"], 4, rtol=1e-9)
    assert context.law is not None
    wide = replace(context, law=forecast)
    found = LawSpectrum().statistics(3 * forecast + 5, truth, wide).mean("init_time")
    told = LawSpectrum().metric(found)["power of the spread over the law's"]
    np.testing.assert_allclose(told, 8, rtol=1e-5)


def test_smooth_members_lack_power_at_small_scales_alone() -> None:
    forecast, truth, context = small_case(500, 10)
    context = replace(context, periodic=("x",))
    smooth = (forecast + forecast.roll(x=1)) / 2
    found = LawSpectrum().metric(
        LawSpectrum().statistics(smooth, truth, context).mean("init_time")
    )["power of the spread over the law's"]
    gain = np.cos(np.pi * np.arange(1, 5) / 8) ** 2 - 1  # of k = 1 to 4 waves on 8 sites
    told = found.isel(lead_time=0, variable=0)
    expected = [gain[0], (gain[1] + gain[2]) / 2, gain[3]]
    # Of 500 cases and nine differences: standard errors below 0.02.
    np.testing.assert_allclose(told.sel(band=[1, 2, 4]), expected, atol=0.1)


def test_a_failed_or_dry_cell_is_as_it_should() -> None:
    forecast, _, _ = small_case()
    context = _context(8, periodic=("x",))
    sea = context.sea.copy(data=[True] * 6 + [False] * 2)
    found = power(forecast.where(sea), replace(context, sea=sea))
    assert bool(found.notnull().all())
    broken = forecast.copy()
    broken[0, 0, 0, 0, 0] = np.nan
    assert int(power(broken, context).isnull().any("band").sum()) == 1


def test_waves_along_two_dims_add_up_as_sides_of_a_triangle() -> None:
    context = _context(16, 16, periodic=("y", "x"))
    angle = 2 * np.pi * np.arange(16) / 16
    field = np.cos(3 * angle)[:, None] * np.cos(3 * angle)  # 4.2 waves, which are more than 4
    found = power(xr.DataArray(field, dims=("y", "x")), context)
    assert float(found.sel(band=4)) == pytest.approx(float(found.sum()), rel=1e-9)
    field = np.cos(2 * angle)[:, None] * np.cos(2 * angle)  # 2.8, where 2 + 2 would be 4
    found = power(xr.DataArray(field, dims=("y", "x")), context)
    assert float(found.sel(band=2)) == pytest.approx(float(found.sum()), rel=1e-9)


def test_structure_looks_along_every_dim() -> None:
    context = _context(4, 6)
    x = np.random.default_rng(0).normal(size=(4, 6))
    truth = xr.DataArray(x, dims=("y", "x")).expand_dims(init_time=1, lead_time=1, variable=["q"])
    members = truth.expand_dims(member=2)
    found = Structure(distances=(1,)).statistics(members, truth, context)["outcome"]
    steps = [np.diff(x, axis=axis).ravel() ** 2 for axis in (0, 1)]
    assert found.item() == pytest.approx(float(np.concatenate(steps).mean()), rel=1e-9)


def test_structure_is_what_its_definition_says() -> None:
    forecast, truth, context = small_case(40, 4)
    sea = context.sea.copy(data=[True] * 7 + [False])
    scorer = Structure(power=3, distances=(1, 2, 50))
    found = scorer.statistics(forecast, truth, replace(context, sea=sea))
    assert found["distance"].to_numpy().tolist() == [1, 2]
    x = forecast.transpose(..., "x").to_numpy().astype(float)
    for distance in (1, 2):
        steps = abs(x[..., distance:7] - x[..., : 7 - distance]) ** 3
        expected = xr.DataArray(steps.mean(-1), dims=forecast.dims[:-1]).mean("member")
        np.testing.assert_allclose(found["members"].sel(distance=distance), expected, rtol=1e-5)
    around = replace(context, periodic=("x",))
    ring = scorer.statistics(forecast, truth, around)["outcome"].sel(distance=1)
    steps = abs(truth - truth.roll(x=1)) ** 3
    np.testing.assert_allclose(ring, steps.mean("x"), rtol=1e-5)
