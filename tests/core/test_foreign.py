"""Forecasts of strangers: opened without harm, laid out like ours or refused, read by blocks."""

import contextlib
import json
import os
import re
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from packaging.version import Version

from geobench.foreign.conforming import conform
from geobench.foreign.sources import open_foreign
from geobench_catalog import CatalogError

INITS = np.datetime64("2000-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
LEADS = np.arange(1, 4) * np.timedelta64(6, "h").astype("m8[ns]")
Y, X = np.array([-30.0, 0.0, 30.0]), np.arange(5) * 72.0
DIMS = ("init_time", "lead_time", "member", "y", "x")


def _numbers(*counts: int) -> Any:
    """Every value tells its place: init, lead, member, y and x are its digits."""
    value = np.zeros(1, np.float32)
    for count in counts:
        value = 10 * value[..., None] + np.arange(count, dtype=np.float32)
    return value[0]


NUMBERS = _numbers(4, 3, 2, 3, 5)


def _wanted(**changes: Any) -> xr.Dataset:
    """A template whose values take no memory."""
    empty = np.broadcast_to(np.float32(0), (4, 3, 3, 5))
    attrs = {"units": "m s-1", "long_name": "zonal wind"}
    coords = {
        "init_time": INITS,
        "lead_time": LEADS,
        "y": ("y", Y, {"units": "degrees_north"}),
        "x": ("x", X, {"units": "degrees_east"}),
    }
    dims = ("init_time", "lead_time", "y", "x")
    return xr.Dataset({"u": (dims, empty, attrs)}, coords | changes)


def _ours() -> xr.Dataset:
    """A forecast that needs no change."""
    coords = {"init_time": INITS, "lead_time": LEADS, "y": Y, "x": X}
    return xr.Dataset({"u": (DIMS, NUMBERS.copy(), {"units": "m/s"})}, coords)


def _weatherbench() -> xr.Dataset:
    """A forecast as WeatherBench 2 lays it out, its latitudes from north to south."""
    names = {"init_time": "time", "lead_time": "prediction_timedelta", "member": "number"}
    names |= {"x": "longitude", "y": "latitude", "u": "u_component_of_wind"}
    data = _ours().isel(y=slice(None, None, -1)).rename(names)
    data = data.expand_dims(level=[500]).transpose("time", "number", ..., "longitude", "latitude")
    data["u_component_of_wind"].attrs = {"units": "m s**-1", "long_name": "zonal wind"}
    return data


def _cf() -> xr.Dataset:
    """A forecast by the CF conventions: standard names, hours, a time of verification."""
    data = _ours().rename(
        {"init_time": "reference", "lead_time": "period", "member": "realization"}
    )
    data["valid_time"] = data["reference"] + data["period"]
    data = data.set_coords("valid_time").rename({"x": "east", "y": "north"})
    data["reference"].attrs["standard_name"] = "forecast_reference_time"
    hours = (LEADS / np.timedelta64(1, "h")).astype(np.int32)
    told = {"standard_name": "forecast_period", "units": "hours"}
    data = data.assign_coords(period=("period", hours, told))
    data["north"].attrs["axis"], data["east"].attrs["axis"] = "Y", "X"
    return data


def _write(data: xr.Dataset, path: Path, **how: Any) -> Path:
    if path.suffix == ".zarr":
        data.to_zarr(path, consolidated=how.pop("consolidated", False), **how)
    else:
        data.to_netcdf(path, **how)
    return path


def _netcdf(data: xr.Dataset, path: Path, engine: str) -> Path:
    if engine == "h5netcdf":
        pytest.importorskip("h5py")
    return _write(data, path, engine=engine)


def _right(result: xr.Dataset, numbers: Any = NUMBERS) -> None:
    wanted = _wanted()
    assert list(result.data_vars) == ["u"]
    assert result["u"].dims == DIMS
    assert result["u"].dtype == np.float32
    assert result["u"].attrs == wanted["u"].attrs
    assert set(result.coords) == set(DIMS)
    for name in wanted.coords:
        xr.testing.assert_identical(result[name].variable, wanted[name].variable)
    assert result["member"].values.tolist() == list(range(numbers.shape[2]))
    np.testing.assert_array_equal(result["u"].values, numbers)


# -- what is read


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_weatherbench_in_zarr_is_read_without_a_word(
    tmp_path: Path, version: int, consolidated: bool
) -> None:
    how = {"zarr_format": version, "consolidated": consolidated}
    path = _write(_weatherbench(), tmp_path / "theirs.zarr", **how)
    result, notes = conform(open_foreign(path), _wanted())
    _right(result)
    assert notes == [
        (
            "number is read as member, prediction_timedelta is read as lead_time, time is read as "
            "init_time, latitude is read as y, longitude is read as x, u_component_of_wind is read "
            "as u"
        ),
        "not asked for and left out: level",
        "latitude runs backwards and is reversed",
        "level has one point and is dropped",
    ]


@pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])
def test_cf_in_netcdf_is_read_without_a_word(tmp_path: Path, engine: str) -> None:
    path = _netcdf(_cf(), tmp_path / "theirs.nc", engine)
    result, notes = conform(open_foreign(path), _wanted())
    _right(result)
    assert "not asked for and left out: valid_time" in notes
    result.close()


@pytest.mark.parametrize("ending", ["zarr", "scipy", "h5netcdf"])
def test_any_order_of_inits_and_leads_comes_back_in_ours(tmp_path: Path, ending: str) -> None:
    mixed = _ours().isel(
        init_time=[2, 0, 3, 1], lead_time=[1, 2, 0], x=slice(None, None, -1), member=[1, 0]
    )
    mixed = mixed.transpose("x", "member", "init_time", "y", "lead_time")
    if ending == "zarr":
        path = _write(mixed, tmp_path / "theirs.zarr", zarr_format=3)
    else:
        path = _netcdf(mixed, tmp_path / "theirs.nc", ending)
    result, notes = conform(open_foreign(path), _wanted())
    _right(result, NUMBERS[:, :, ::-1])
    assert notes == ["x runs backwards and is reversed"]
    picked = result["u"].isel(init_time=[3, 1], lead_time=-1, x=slice(4, None, -2), y=[0, 0])
    np.testing.assert_array_equal(picked, NUMBERS[:, :, ::-1][[3, 1], -1][:, :, [0, 0], ::-2])
    pointwise = {"init_time": xr.DataArray([0, 3], dims="p"), "x": xr.DataArray([1, 4], dims="p")}
    picked = result["u"].isel(pointwise).transpose("p", ...)
    np.testing.assert_array_equal(picked, NUMBERS[:, :, ::-1][[0, 3], ..., [1, 4]])
    result.close()


@pytest.mark.parametrize("ending", ["zarr", "scipy", "h5netcdf"])
def test_more_than_is_asked_for_is_left_out_with_a_note(tmp_path: Path, ending: str) -> None:
    data = _ours().isel(init_time=[3, 1, 2, 0], lead_time=[2, 0, 1])
    data["v"] = 2 * data["u"]
    if ending == "zarr":
        path = _write(data, tmp_path / "theirs.zarr", zarr_format=2)
    else:
        path = _netcdf(data, tmp_path / "theirs.nc", ending)
    inits, leads = [0, 1, 3], [0, 2]
    result, notes = conform(open_foreign(path), _wanted().isel(init_time=inits, lead_time=leads))
    np.testing.assert_array_equal(result["u"], NUMBERS[inits][:, leads])
    assert notes == [
        "not asked for and left out: v",
        "init times that are not asked for and left out: 1",
        "lead times that are not asked for and left out: 1",
    ]
    result.close()


def test_a_forecast_without_members_is_one_member() -> None:
    result, notes = conform(_ours().isel(member=0), _wanted())
    _right(result, NUMBERS[:, :, :1])
    assert notes == ["there is no dimension member: a deterministic forecast, read as one member"]


def test_a_single_init_as_a_scalar_coordinate_is_one_init() -> None:
    data = _ours().rename(init_time="time", lead_time="step").isel(time=2)
    result, _ = conform(data.assign_coords(number=0, surface=0.0), _wanted().isel(init_time=[2]))
    np.testing.assert_array_equal(result["u"], NUMBERS[[2]])
    np.testing.assert_array_equal(result["u"].isel(init_time=0), NUMBERS[2])


@pytest.mark.parametrize(
    ("values", "units"),
    [
        (np.array([6, 12, 18]), "hours"),
        (np.array([6, 12, 18], np.int8), "h"),
        (np.array([0.25, 0.5, 0.75], np.float32), "days"),
        (np.array([360, 720, 1080]), "Minutes"),
        (np.array([21600.0, 43200.001, 64800.0]), "s"),
        (LEADS.astype("m8[s]"), None),
    ],
)
def test_lead_times_are_spans_or_numbers_with_units(values: Any, units: str | None) -> None:
    attrs = {"units": units} if units else {}
    _right(conform(_ours().assign_coords(lead_time=("lead_time", values, attrs)), _wanted())[0])


@pytest.mark.parametrize("resolution", ["s", "ms", "us", "ns"])
def test_times_are_equal_at_any_resolution(resolution: str) -> None:
    _right(
        conform(_ours().assign_coords(init_time=INITS.astype(f"M8[{resolution}]")), _wanted())[0]
    )


def test_days_stored_as_floats_are_whole_seconds(tmp_path: Path) -> None:
    inits = np.datetime64("2000-01-01", "ns") + np.arange(1, 5) * np.timedelta64(1, "h")
    data = _ours().assign_coords(init_time=inits)
    how = {"init_time": {"units": "days since 1999-12-25", "dtype": "float32"}}
    path = _write(data, tmp_path / "theirs.zarr", encoding=how)
    foreign = open_foreign(path)
    assert (foreign["init_time"].values != inits).any()
    result, _ = conform(foreign, _wanted(init_time=inits))
    np.testing.assert_array_equal(result["u"], NUMBERS)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("m/s", "m s-1"),
        ("m s**-1", "m s-1"),
        ("m·s⁻¹", "m s-1"),
        ("m.s^-1", "m / s"),
        ("meters/second", "m s-1"),
        ("m**2 s**-2", "m²/s²"),
        ("kg kg-1", "1"),
        ("", "dimensionless"),
        ("-", "1"),
        ("celsius", "°C"),
    ],
)
def test_a_unit_is_the_same_however_it_is_spelled(theirs: str, ours: str) -> None:
    data, wanted = _ours(), _wanted()
    data["u"].attrs["units"], wanted["u"].attrs["units"] = theirs, ours
    assert conform(data, wanted)[0]["u"].attrs["units"] == ours


@pytest.mark.parametrize(
    "theirs", ["K", "m", "m s", "m s-2", "M s-1", "10 m s-1", "1e-3 m s-1", "1"]
)
def test_no_unit_is_converted(theirs: str) -> None:
    data = _ours()
    data["u"].attrs["units"] = theirs
    with pytest.raises(CatalogError, match="nothing is converted"):
        conform(data, _wanted(), assume_units=True)


def test_units_are_assumed_on_demand_only() -> None:
    result, notes = conform(_ours().drop_attrs(), _wanted(), assume_units=True)
    _right(result)
    assert notes == ["u has no units and is taken to be in 'm s-1'"]


@pytest.mark.parametrize("dtype", ["float64", "float16", "int16", ">f4", "bool"])
def test_any_number_becomes_float32(dtype: str) -> None:
    data = _ours().isel(x=[0, 1, 2, 3, 4])
    data["u"] = (data["u"] % 2).astype(dtype).assign_attrs(units="m/s")
    result, notes = conform(data, _wanted())
    _right(result, NUMBERS % 2)
    assert notes == ([] if dtype == ">f4" else [f"u is {dtype} and read as float32"])


def test_packed_numbers_are_unpacked_and_gaps_stay_gaps(tmp_path: Path) -> None:
    data = _ours()
    data["u"][{"x": 1}] = np.nan
    how = {"u": {"dtype": "int32", "scale_factor": 0.5, "_FillValue": -9}}
    result, _ = conform(
        open_foreign(_write(data, tmp_path / "a.nc", engine="scipy", encoding=how)), _wanted()
    )
    _right(result, data["u"].values)
    result.close()


def test_a_variable_in_seconds_stays_a_number(tmp_path: Path) -> None:
    data, wanted = _ours(), _wanted()
    data["u"].attrs["units"] = "seconds"
    wanted["u"].attrs["units"] = "s"
    foreign = open_foreign(_write(data, tmp_path / "theirs.zarr"))
    np.testing.assert_array_equal(conform(foreign, wanted)[0]["u"], NUMBERS)


def test_a_grid_is_found_by_its_coordinates() -> None:
    _right(conform(_ours().rename(x="i", y="j"), _wanted())[0])
    with pytest.raises(CatalogError, match="nothing in the forecast is x"):
        conform(_ours().rename(x="i").drop_vars("i"), _wanted(x=np.arange(5.0)))


def test_a_grid_stored_in_float32_is_the_same_grid() -> None:
    x = np.arange(5) / 41
    data = _ours().assign_coords(x=x.astype(np.float32))
    result, _ = conform(data, _wanted(x=x))
    assert result["x"].dtype == np.float64


def test_a_grid_without_coordinates_is_taken_if_somebody_vouches_for_it() -> None:
    """It may run backwards: its size alone says nothing."""
    bare = _ours().drop_vars("x").rename(x="lon")
    told = r"lon has no coordinate, .* --assume-grid lon if they are 0\.0 … 288\.0 \(5 points\)"
    with pytest.raises(CatalogError, match=told):
        conform(bare, _wanted())
    result, notes = conform(bare, _wanted(), assume_grid=["lon"])
    _right(result)
    assert notes == ["lon is read as x", "lon has no coordinate and is taken to be x, in its order"]
    with pytest.raises(CatalogError, match=r"--assume-grid y: y is no grid .* Such are: lon\."):
        conform(bare, _wanted(), assume_grid=["y"])
    with pytest.raises(CatalogError, match=r"--assume-grid x: .*There is none: leave it out"):
        conform(_ours(), _wanted(), assume_grid=["x"])


def test_rename_comes_before_every_guess() -> None:
    data = _ours()
    data["other"] = data["u"] + 1
    result, _ = conform(data, _wanted(), {"other": "u"})
    np.testing.assert_array_equal(result["u"], NUMBERS + 1)
    data = _ours().rename(lead_time="age", member="who")
    _right(conform(data, _wanted(), {"age": "lead_time", "who": "member"})[0])


# -- what is refused


def _longer(data: xr.Dataset, dim: str) -> xr.Dataset:
    return xr.concat([data, data.isel({dim: [0]})], dim)


def _two_standard_names(data: xr.Dataset) -> xr.Dataset:
    data = data.rename(u="a")
    data["a"].attrs["long_name"] = "zonal wind"
    return data.assign(b=data["a"])


def _square(data: xr.Dataset) -> xr.Dataset:
    return data.isel(x=[0, 1, 2]).rename(x="i", y="j").assign_coords(i=("i", Y))


def _uneven_x(data: xr.Dataset) -> xr.Dataset:
    return data.isel(x=[0, 2, 1, 3, 4])


Change = Callable[[xr.Dataset], xr.Dataset]
REFUSED: dict[str, tuple[Change, str]] = {
    "no variable": (
        lambda d: d.rename(u="wind"),
        r"nothing in the forecast is u; it has: wind\. .*--rename wind=u",
    ),
    "two variables": (
        _two_standard_names,
        r"u may be 'a' or 'b'\. Say which: --rename a=u or --rename b=u\.",
    ),
    "two members": (
        lambda d: d.rename(member="number").assign_coords(number=[0, 1], ens=("number", [0, 1])),
        r"member may be 'ens' or 'number'\. Say which: --rename ens=member",
    ),
    "no inits": (lambda d: d.rename(init_time="begin"), r"is init_time; it has: .*begin"),
    "no leads": (lambda d: d.rename(lead_time="age"), r"is lead_time; it has: age, .*age=lead_t"),
    "valid times": (
        lambda d: d.rename(lead_time="valid_time").assign_coords(valid_time=INITS[:3]),
        r"gives the time that is forecast \(valid_time\) and no lead times\. .*valid_time - init",
    ),
    "only times": (
        lambda d: d.isel(lead_time=0, drop=True).rename(init_time="time"),
        r"gives the time that is forecast \(time\)",
    ),
    "leads without units": (
        lambda d: d.assign_coords(lead_time=[6, 12, 18]),
        r"lead_time has no units and holds 6 … 18 \(3 points\): no lead times\. .*hours",
    ),
    "leads in words": (
        lambda d: d.assign_coords(lead_time=("lead_time", [6, 12, 18], {"units": "steps"})),
        r"lead_time is in 'steps'",
    ),
    "leads that are dates": (
        lambda d: d.assign_coords(lead_time=INITS[:3]),
        r"lead_time cannot be read as lead_time: it holds datetime64",
    ),
    "inits that are numbers": (
        lambda d: d.assign_coords(init_time=[0, 1, 2, 3]),
        r"init_time cannot be read as init_time: it holds int64, 0 … 3 \(4 points\)\. .*CF dates",
    ),
    "an init that is none": (
        lambda d: d.assign_coords(init_time=[*INITS[:3], np.datetime64("NaT", "ns")]),
        r"init_time cannot be read .*none missing",
    ),
    "inits without coordinate": (
        lambda d: d.drop_vars("init_time"),
        r"the dimension init_time \(init_time\) has no coordinate",
    ),
    "missing inits": (
        lambda d: d.isel(init_time=[0, 3], lead_time=[0, 1]),
        (
            r"^2 of 4 init times are missing: 2000-01-02T00:00, 2000-01-03T00:00; the forecast has "
            r"no others; 1 of 3 lead times is missing: 18 h; the forecast has no others\. "
        ),
    ),
    "an init twice": (
        lambda d: _longer(d, "init_time"),
        r"init_time holds 2000-01-01T00:00 more than once \(1 too many\)",
    ),
    "a lead twice": (lambda d: _longer(d, "lead_time"), r"lead_time holds 6 h more than once"),
    "stacked": (
        lambda d: d.isel(lead_time=0, drop=True).assign_coords(step=("init_time", LEADS[[0] * 4])),
        r"init_time and lead_time lie along one dimension of the forecast, init_time",
    ),
    "an ensemble of none": (lambda d: d.isel(member=[]), r"member has 0 members"),
    "levels": (
        lambda d: d.expand_dims(level=[500, 850]),
        r"u has a dimension too many: level \(2 points\)\. Select one of them\.",
    ),
    "no x": (lambda d: d.isel(x=0, drop=True), r"nothing in the forecast is x"),
    "x only elsewhere": (
        lambda d: d.assign(u=d["u"].isel(x=0, drop=True)).assign_coords(x=X),
        r"u does not depend on x \(x\)",
    ),
    "curved x": (
        lambda d: d.drop_vars("x").rename(x="i").assign_coords(x=(("y", "i"), np.zeros((3, 5)))),
        r"x depends on y, i; x has to be a coordinate along one dimension",
    ),
    "another unit": (
        lambda d: d.assign(u=d["u"].assign_attrs(units="knots")),
        r"u is in 'knots', wanted is 'm s-1'; nothing is converted",
    ),
    "no unit": (lambda d: d.drop_attrs(), r"u has no units; wanted is 'm s-1'\. .*--assume-units"),
    "another x": (
        lambda d: d.assign_coords(x=X + 1),
        r"x is not the wanted x: 1\.0 … 289\.0 \(5 points\), wanted 0\.0 … 288\.0 \(5 points\)",
    ),
    "shuffled x": (_uneven_x, r"x is not the wanted x"),
    "a shorter x": (lambda d: d.isel(x=[0, 1]), r"x is not the wanted x: 0\.0 … 72\.0 \(2 points"),
    "a bare shorter x": (
        lambda d: d.isel(x=[0, 1]).drop_vars("x"),
        r"x is not the wanted x: 0 … 1 \(2 points",
    ),
    "x in words": (lambda d: d.assign_coords(x=list("abcde")), r"x is not the wanted x: a … e"),
    "complex numbers": (
        lambda d: d.assign(u=d["u"].astype(complex)),
        r"u holds complex128, no numbers",
    ),
    "words": (lambda d: d.assign(u=d["u"].astype(str)), r"u holds .*, no numbers"),
    "spans": (lambda d: d.assign(u=d["u"].astype("m8[s]")), r"u holds timedelta64\[s\], no numb"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_what_does_not_match_is_refused_in_a_line(case: str) -> None:
    change, message = REFUSED[case]
    with pytest.raises(CatalogError, match=message) as error:
        conform(change(_ours()), _wanted())
    assert "\n" not in str(error.value)


def test_a_square_grid_whose_sides_are_alike_has_to_be_named() -> None:
    wanted = _wanted().isel(x=[0, 1, 2]).assign_coords(x=("x", Y))
    with pytest.raises(CatalogError, match=r"y, x may be .*i.*j.*Say which: --rename"):
        conform(_square(_ours()), wanted)
    result, _ = conform(_square(_ours()), wanted, {"i": "x"})
    np.testing.assert_array_equal(result["u"], NUMBERS[..., :3])


@pytest.mark.parametrize(("hours", "words"), [(6, "6 h later"), (-12, "12 h earlier")])
def test_times_that_are_all_off_by_some_hours_are_shown_beside_the_wanted_ones(
    hours: int, words: str
) -> None:
    moved = _ours().assign_coords(init_time=INITS + np.timedelta64(hours, "h"))
    found = str(moved["init_time"].values[0])[:16]
    told = (
        f"4 of 4 init times are missing: 2000-01-01T00:00, 2000-01-02T00:00, 2000-01-03T00:00, "
        f"2000-01-04T00:00; all 4 are there {words} ({found} for 2000-01-01T00:00)."
    )
    with pytest.raises(CatalogError, match=re.escape(told)):
        conform(moved, _wanted())


def test_times_that_are_others_are_shown_beside_the_wanted_ones() -> None:
    inits = INITS.copy()
    inits[2] += np.timedelta64(1, "h")
    told = "1 of 4 init times is missing: 2000-01-03T00:00; the forecast has: 2000-01-03T01:00."
    with pytest.raises(CatalogError, match=re.escape(told)):
        conform(_ours().assign_coords(init_time=inits), _wanted())
    moved = _ours().assign_coords(lead_time=LEADS - LEADS[0])
    told = "1 of 3 lead times is missing: 18 h; all 3 are there 6 h earlier (0 h for 6 h)."
    with pytest.raises(CatalogError, match=re.escape(told)):
        conform(moved, _wanted())


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "365_day", "julian"])
@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_another_calendar_is_named(tmp_path: Path, calendar: str, ending: str) -> None:
    """Its days are others; a variable that is not asked for may have any."""
    attrs = {"units": "days since 2000-01-01", "calendar": calendar}
    days = np.arange(4.0)
    data = _ours().assign_coords(init_time=("init_time", days, attrs))
    path = tmp_path / f"odd.{ending}"
    _write(data, path, **({"engine": "h5netcdf"} if ending == "nc" else {}))
    told = f"init_time has the calendar '{calendar}', whose days are not those of the dataset's"
    with pytest.raises(CatalogError, match=told):
        conform(open_foreign(path), _wanted())
    data = _ours().assign_coords(other=("init_time", days, attrs))
    path = tmp_path / f"fine.{ending}"
    _write(data, path, **({"engine": "h5netcdf"} if ending == "nc" else {}))
    _right(conform(open_foreign(path), _wanted())[0])


def _cured(data: xr.Dataset, wanted: xr.Dataset, most: int = 4) -> tuple[Any, dict[str, str]]:
    """Take each `--rename A=B` of a message as it stands, until the forecast is read."""
    rename: dict[str, str] = {}
    for _ in range(most):
        try:
            return conform(data, wanted, rename)[0], rename
        except CatalogError as error:
            hints = re.findall(r"--rename (\S+)=(\w+)", str(error).partition(" or --rename")[0])
            rename |= dict(hints)
    raise AssertionError(f"no end of hints: {rename}")


def _two_of_each(data: xr.Dataset) -> xr.Dataset:
    data = _two_standard_names(data).rename(member="number")
    return data.assign_coords(number=[0, 1], ens=("number", [0, 1]))


HINTS: dict[str, tuple[Change, dict[str, str]]] = {
    "several candidates": (_two_of_each, {"ens": "member", "a": "u"}),
    "another variable": (lambda d: d.rename(u="wind"), {"wind": "u"}),
    "another init time": (lambda d: d.rename(init_time="begin"), {"begin": "init_time"}),
    "another lead time": (lambda d: d.rename(lead_time="age"), {"age": "lead_time"}),
    "all of them": (
        lambda d: d.rename(u="wind", init_time="begin", lead_time="age", x="i"),
        {"wind": "u", "begin": "init_time", "age": "lead_time"},
    ),
    "members by another name": (lambda d: d.rename(member="draw"), {"draw": "member"}),
}


@pytest.mark.parametrize("case", HINTS)
def test_the_hint_of_a_message_is_what_cures(case: str) -> None:
    change, hints = HINTS[case]
    result, rename = _cured(change(_ours()), _wanted())
    assert rename == hints
    np.testing.assert_array_equal(result["u"], NUMBERS)


def test_the_hint_for_a_square_grid_names_both_sides() -> None:
    wanted = _wanted().isel(x=[0, 1, 2]).assign_coords(x=("x", Y))
    result, rename = _cured(_square(_ours()), wanted)
    assert sorted(rename.values()) == ["x", "y"]
    assert result["u"].shape == (4, 3, 2, 3, 3)


def test_many_missing_times_are_counted_and_ten_are_listed() -> None:
    inits = INITS[0] + np.arange(4 + 512) * np.timedelta64(1, "D")
    lines = r"512 of 516 init times are missing: (\S+, ){10}and 502 more; the forecast has no oth"
    with pytest.raises(CatalogError, match=lines):
        conform(_ours(), _wanted().reindex(init_time=inits))


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"wind": "u"}, r"--rename wind=u: the forecast has no 'wind'. It has: u\."),
        (
            {"u": "wind"},
            r"'wind' is not asked for\. Asked for: init_time, lead_time, member, y, x,",
        ),
        ({"x": "u"}, r"the forecast has no 'x'"),
        ({"x": "y", "y": "y"}, r"--rename is given twice for y"),
    ],
)
def test_a_rename_that_renames_nothing_is_refused(rename: dict[str, str], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        conform(_ours(), _wanted(), rename)


# -- what is not trusted


def _open_fails(path: Path, message: str) -> None:
    with pytest.raises(CatalogError, match=message) as error:
        open_foreign(path)
    assert "\n" not in str(error.value)


def test_a_pickle_in_a_store_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Newer releases of numcodecs refuse by themselves, older ones run the pickle.
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    made = tmp_path / "made by the pickle"
    array = tmp_path / "theirs.zarr" / "u"
    array.mkdir(parents=True)
    (array.parent / ".zgroup").write_text('{"zarr_format": 2}')
    (array / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["u"]}')
    told = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "fill_value": ""}
    told |= {"order": "C", "compressor": None, "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]}
    (array / ".zarray").write_text(json.dumps(told))
    (array / "0").write_bytes(f"cos\nmkdir\n(S'{made}'\ntR.".encode())
    _open_fails(array.parent, r"u/\.zarray uses the codec 'pickle', which may run code")
    assert not made.exists()
    if Version(zarr.__version__) >= Version("3.4"):  # it refuses by itself
        return
    # Without the check, opening would have run it: the payload is live.
    monkeypatch.setattr("geobench.foreign.zarr_stores.check_node", lambda node, where: None)
    with contextlib.suppress(CatalogError):
        open_foreign(array.parent)
    assert made.exists()


def _edit(store: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    node = json.loads((store / file).read_text())
    change(node)
    (store / file).write_text(json.dumps(node))


PICKLE = {"id": "pickle", "protocol": 5}
SHARDS = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "numcodecs.pickle"}]}}


@pytest.mark.parametrize(
    ("version", "file", "change"),
    [
        (2, "u/.zarray", lambda n: n.update(compressor=PICKLE)),
        (2, "u/.zarray", lambda n: n.update(filters=[{"id": "shuffle"}, PICKLE])),
        (2, "u/.zarray", lambda n: n.update(filters=[{"id": "json2"}])),
        (2, "u/.zarray", lambda n: n.update(compressor={"id": "zlib", "name": "pickle"})),
        (2, "u/.zarray", lambda n: n.update(compressor={"level": 1})),
        (2, "u/.zarray", lambda n: n.update(dtype="|O")),
        (2, "u/.zarray", lambda n: n.update(dtype=[["a", "<f4"], ["b", "|O8"]])),
        (2, "u/.zarray", lambda n: n.update(filters=[{"id": "astype", "decode_dtype": "|O"}])),
        (2, ".zmetadata", lambda n: n["metadata"]["u/.zarray"].update(filters=[PICKLE])),
        (3, "u/zarr.json", lambda n: n["codecs"].append({"name": "numcodecs.pickle"})),
        (3, "u/zarr.json", lambda n: n["codecs"].append("unheard-of")),
        (3, "u/zarr.json", lambda n: n.update(codecs=[SHARDS])),
        (
            3,
            "zarr.json",
            lambda n: n["consolidated_metadata"]["metadata"]["u"].update(codecs=[SHARDS]),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_codecs_are_harmless_or_refused(
    tmp_path: Path, version: int, file: str, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "theirs.zarr"
    _write(_ours(), path, zarr_format=version, consolidated=True)
    open_foreign(path)
    _edit(path, file, change)
    _open_fails(path, r"uses .*(pickle|codec|dtype).*plain compressor such as zstd")


LARGE = 2**25  # bytes of zeros, where a chunk of the forecast has some kilobytes


def _packers() -> dict[str, Any]:
    import numcodecs

    return {
        "blosc": numcodecs.Blosc(),
        "zstd": numcodecs.Zstd(),
        "gzip": numcodecs.GZip(),
        "zlib": numcodecs.Zlib(),
        "bz2": numcodecs.BZ2(),
        "lzma": numcodecs.LZMA(),
        "lz4": numcodecs.LZ4(),
    }


@pytest.mark.parametrize("packer", _packers())
def test_a_chunk_that_unpacks_to_more_than_is_declared_is_refused(
    tmp_path: Path, packer: str
) -> None:
    codec = _packers()[packer]
    path = _write(
        _ours(), tmp_path / "theirs.zarr", zarr_format=2, encoding={"u": {"compressors": codec}}
    )
    _right(conform(open_foreign(path), _wanted())[0])
    chunk = next(each for each in (path / "u").iterdir() if each.name[0].isdigit())
    chunk.write_bytes(codec.encode(bytes(LARGE)))
    assert chunk.stat().st_size < LARGE / 100
    opened = open_foreign(path)
    tracemalloc.start()
    with pytest.raises(CatalogError, match=r"bytes and unpacks to .*made to fill the memory"):
        opened["u"].load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LARGE / 2  # lzma has a window of 8 MiB


def test_what_a_chunk_unpacks_to_is_known_before() -> None:
    """Whatever is packed, and however well: the same as its length, or a bound of it."""
    from geobench_catalog.chunk_sizes import unpacked

    generator = np.random.default_rng(0)
    for data in (b"x", bytes(1000), generator.bytes(300), bytes(70_000), generator.bytes(300_000)):
        for name, codec in _packers().items():
            assert unpacked(name, codec.encode(data), 2**30) == len(data), name
    # Zstandard without a size in its header: two blocks of one byte that is repeated.
    blocks = [(100_000 << 3 | 1 << 1 | last).to_bytes(3, "little") + b"x" for last in (0, 1)]
    frame = b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(blocks)
    assert bytes(_packers()["zstd"].decode(frame)) == b"x" * 200_000
    assert unpacked("zstd", frame, 2**30) == 2 * 2**17
    # A window of 1 GiB in a header of LZMA: it is not made.
    header = b"\x5d" + (2**30).to_bytes(4, "little") + b"\xff" * 8
    assert unpacked("lzma", header + bytes(100), 2**30) > 2**28


@pytest.mark.parametrize("at", ["start", "end"])
def test_a_chunk_in_a_shard_is_held_to_what_is_declared(tmp_path: Path, at: str) -> None:
    import numcodecs
    from zarr.codecs import BytesCodec, ShardingCodec, ZstdCodec

    numbers = np.arange(4096, dtype="f4").reshape(8, 512)
    for right in (True, False):
        path = tmp_path / f"{right}.zarr"
        codec = ShardingCodec(
            chunk_shape=(1, 512),
            codecs=[BytesCodec(), ZstdCodec()],
            index_location=at,
        )
        array = zarr.create_array(
            path / "u", shape=(8, 512), chunks=(8, 512), dtype="f4", dimension_names=("y", "x"),
            serializer=codec, compressors=None, filters=None,
        )  # fmt: skip
        zarr.open_group(path, mode="a")
        array[:] = numbers
        if not right:
            _put_into_shard(path / "u/c/0/0", numcodecs.Zstd().encode(bytes(LARGE)), at)
        opened = open_foreign(path)["u"]
        if right:
            np.testing.assert_array_equal(opened, numbers)
            np.testing.assert_array_equal(open_foreign(path)["u"][2], numbers[2])
            continue
        for part in (opened[3], opened):
            with pytest.raises(CatalogError, match="bytes and unpacks to 33,554,432"):
                part.load()


def _put_into_shard(path: Path, chunk: bytes, at: str) -> None:
    """Put a chunk in the place of number 3 of 8."""
    import google_crc32c

    content = path.read_bytes()
    size = 8 * 16
    index = content[:size] if at == "start" else content[-size - 4 : -4]
    told = np.frombuffer(index, "<u8").reshape(-1, 2).copy()
    body = content if at == "start" else content[: -size - 4]
    told[3] = len(body), len(chunk)
    new = told.tobytes()
    new += google_crc32c.value(new).to_bytes(4, "little")
    path.write_bytes(new + body[size + 4 :] + chunk if at == "start" else body + chunk + new)


@pytest.mark.parametrize("version", [2, 3])
def test_chunks_larger_than_the_limit_are_refused_as_declared(tmp_path: Path, version: int) -> None:
    path = _write(_ours(), tmp_path / "theirs.zarr", zarr_format=version)
    file = "u/.zarray" if version == 2 else "u/zarr.json"

    def widen(node: dict[str, Any]) -> None:
        own = node if version == 2 else node["chunk_grid"]["configuration"]
        key = "chunks" if version == 2 else "chunk_shape"
        own[key] = [2**28, *own[key][1:]]

    _edit(path, file, widen)
    _open_fails(path, r"u/.* has chunks of .* bytes .*a chunk may take 256 MiB in memory")


def test_chunks_of_hdf5_that_are_larger_than_the_limit_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = _netcdf(_ours(), tmp_path / "theirs.nc", "h5netcdf")
    open_foreign(path)
    with h5py.File(path, "a") as opened:
        how = {"shape": (2**28,), "chunks": (2**27,), "dtype": "f4", "compression": "gzip"}
        opened.create_dataset("bomb", **how)
    _open_fails(path, "bomb has chunks of 536,870,912 bytes")


def test_attributes_may_say_anything(tmp_path: Path) -> None:
    data = _ours().assign_attrs(filters="pickle", codecs=["x"], metadata={"a": 1}, dtype="|O")
    for version in (2, 3):
        path = _write(data, tmp_path / f"{version}.zarr", zarr_format=version)
        _right(conform(open_foreign(path), _wanted())[0])


@pytest.mark.filterwarnings("ignore:.*specification")
def test_harmless_codecs_and_words_are_read_without_a_warning(tmp_path: Path) -> None:
    import numcodecs
    from zarr.codecs.numcodecs import Delta

    data = _ours().assign_coords(place=("x", np.array(list("abcde"), object)))
    how: dict[str, Any] = {"filters": [numcodecs.Delta("<f4")], "compressors": numcodecs.BZ2()}
    two = _write(data, tmp_path / "2.zarr", zarr_format=2, encoding={"u": how})
    how = {
        "filters": [Delta(dtype="<f4")],
        "shards": NUMBERS.shape,
        "chunks": (1, *NUMBERS.shape[1:]),
    }
    three = _write(data, tmp_path / "3.zarr", zarr_format=3, encoding={"u": how})
    (three / "left behind").write_text("")
    with warnings.catch_warnings(action="error"):
        for path in (two, three):
            _right(conform(open_foreign(path), _wanted())[0])


@pytest.mark.parametrize("what", ["file", "folder", "pipe"])
def test_links_out_of_a_store_are_refused(tmp_path: Path, what: str) -> None:
    path = _write(_ours(), tmp_path / "theirs.zarr")
    (tmp_path / "secret").mkdir()
    chunk = path / "u" / "c" / "extra"
    if what == "pipe":
        os.mkfifo(chunk)
    else:
        chunk.symlink_to(tmp_path / "secret" if what == "folder" else path / "zarr.json")
    _open_fails(path, r"u/c/extra is a symbolic link .*Copy what it stands for")


def test_hdf5_that_reads_other_files_is_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(32))
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["u"] = h5py.ExternalLink("secret", "/u")
    _open_fails(tmp_path / "a.nc", r"u lies in another file")
    with h5py.File(tmp_path / "b.nc", "w") as file:
        file.create_dataset("u", (4,), "f8", external=[(str(tmp_path / "secret"), 0, 32)])
    _open_fails(tmp_path / "b.nc", r"u lies in another file")


def _damaged(path: Path) -> Path:
    (_write(_ours(), path) / "u" / "zarr.json").write_text("{")
    return path


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.zarr", None, r"a\.zarr is not there\. Check"),
        ("a.nc", None, r"a\.nc is not there"),
        ("a.grib", None, r"a\.grib is GRIB, which is not read\. Convert .*netcdf -o a\.nc a\.grib"),
        ("a", lambda path: path.write_bytes(b"u"), r"the ending '' are not read"),
        ("a.b", lambda path: path.write_bytes(b"GRIB\0"), r"a\.b is GRIB.*cdo -f nc4 copy a\.b"),
        (
            "a.zarr",
            lambda path: path.write_bytes(b"PK"),
            r"a\.zarr is a file and no zip; a \.zarr is a folder",
        ),
        ("a.zarr", lambda path: path.mkdir(), r"cannot be opened .*write it again"),
        ("a.zarr", _damaged, r"cannot be opened \(JSONDecodeError"),
        ("a.nc", lambda path: path.mkdir(), r"cannot be opened \(IsADirectoryError"),
        (
            "a.nc",
            lambda path: path.write_bytes(b""),
            r"a\.nc is no netCDF 3 or 4: it begins with b''",
        ),
        ("a.nc", lambda path: path.write_bytes(b"CDF\x05"), r"is no netCDF 3 or 4"),
        ("a.nc", lambda path: path.write_bytes(b"CDF\x01abc"), r"cannot be opened"),
        ("a.nc", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), r"cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_told_in_a_line(
    tmp_path: Path, name: str, make: Callable[[Path], object] | None, message: str
) -> None:
    if make:
        make(tmp_path / name)
    _open_fails(tmp_path / name, message)


def test_a_chunk_that_is_damaged_is_named_when_it_is_read(tmp_path: Path) -> None:
    """By the first place in it, along the forecast's own dims."""
    how = {"u": {"chunks": (1, 2, 2, 3, 5)}}
    path = _write(_ours(), tmp_path / "theirs.zarr", zarr_format=3, encoding=how)
    chunk = path / "u" / "c" / "2" / "1" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:9])
    result, _ = conform(open_foreign(path), _wanted())
    told = r"u cannot be read at init_time 2, lead_time 2, member 0, y 0, x 0 \(.*Check the file"
    with pytest.raises(CatalogError, match=told):
        result["u"].load()


# -- what is read when


@pytest.fixture
def big() -> tuple[xr.Dataset, xr.Dataset]:
    """A forecast of 32 MiB with its inits in disorder, and its template."""
    inits = INITS[0] + np.arange(32) * np.timedelta64(1, "D")
    x = np.arange(8192.0)
    dims = ("init_time", "lead_time", "x")
    values = np.zeros((32, 4, 8, 8192), np.float32) + np.arange(32)[:, None, None, None]
    data = xr.Dataset(
        {"u": (("init_time", "lead_time", "member", "x"), values.astype("f4"), {"units": "K"})},
        {"init_time": inits, "lead_time": np.arange(4) * LEADS[0], "x": x},
    )
    wanted = xr.Dataset(
        {"u": (dims, np.broadcast_to(np.float32(0), (32, 4, 8192)), {"units": "K"})}, data.coords
    )
    order = np.random.default_rng(0).permutation(32)
    return data.isel(init_time=order, x=slice(None, None, -1)), wanted


def test_a_block_reads_its_own_chunks_only(
    tmp_path: Path, big: tuple[xr.Dataset, xr.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, wanted = big
    how = {"u": {"chunks": (1, 4, 8, 8192)}}
    path = _write(data, tmp_path / "theirs.zarr", encoding=how)
    read: list[str] = []
    get = zarr.storage.LocalStore.get

    async def counted(self: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        read.extend([key] if key.startswith("u/c/") else [])
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    result, _ = conform(open_foreign(path), wanted)
    assert read == []
    block = result["u"].isel(init_time=slice(4, 7)).values
    np.testing.assert_array_equal(block[:, 0, 0, 0], [4, 5, 6])
    order = data["init_time"].values
    own = [np.flatnonzero(order == wanted["init_time"].values[i])[0] for i in (4, 5, 6)]
    assert sorted(read) == sorted(f"u/c/{position}/0/0/0" for position in own)


@pytest.mark.parametrize("ending", ["zarr", "scipy", "h5netcdf"])
def test_a_block_takes_the_memory_of_a_block(
    tmp_path: Path, big: tuple[xr.Dataset, xr.Dataset], ending: str
) -> None:
    data, wanted = big
    if ending == "zarr":
        path = _write(data, tmp_path / "a.zarr", encoding={"u": {"chunks": (1, 4, 8, 8192)}})
    else:
        path = _netcdf(data, tmp_path / "a.nc", ending)
    tracemalloc.start()
    result, _ = conform(open_foreign(path), wanted.isel(lead_time=[0, 1, 3]))
    for first in range(0, 32, 4):
        block = result["u"].isel(init_time=slice(first, first + 4)).values
        assert block[:, 0, 0, 0].tolist() == [first, first + 1, first + 2, first + 3]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 4 * 2**20, f"{peak / 2**20:.1f} MiB for blocks of 3 MiB out of 32"
    result.close()


def test_zeros_of_zarr_2_are_zeros(tmp_path: Path) -> None:
    """Its default fill value is 0, which marks nothing as missing."""
    import zarr

    group = zarr.open_group(tmp_path / "plain.zarr", mode="w", zarr_format=2)
    for name, values in {"x": np.arange(4.0), "q": np.float32([0, 1, 0, 2])}.items():
        array = group.create_array(name, data=values)
        array.attrs.update({"_ARRAY_DIMENSIONS": ["x"]})
        assert array.fill_value == 0
    kept = group.create_array("r", data=np.float32([-9, 1, 0, 2]), fill_value=-9)
    kept.attrs.update({"_ARRAY_DIMENSIONS": ["x"]})
    opened = open_foreign(tmp_path / "plain.zarr")
    assert opened["x"].values.tolist() == [0, 1, 2, 3]
    assert opened["q"].values.tolist() == [0, 1, 0, 2]
    np.testing.assert_array_equal(opened["r"], [np.nan, 1, 0, 2])  # another mark still counts
