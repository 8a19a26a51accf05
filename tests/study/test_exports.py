"""Forecasts, scores and datasets as files of other software: read by it, and taken in again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import xskillscore
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.foreign import exporting
from geobench.nodes.engine import Engine
from geobench.registry import Registry
from geobench_catalog import Catalog, Entry

SPHERE = '''
from datetime import timedelta

from geobench import Dimension, Simulator, StateSpec, Variable, hookimpl


class Sphere(Simulator):
    """Red noise on a coarse sphere."""

    name = "sphere"

    @property
    def spec(self):
        north = {"size": 4, "spacing": 40, "start": -60, "units": "degrees_north"}
        east = {"size": 6, "spacing": 60, "units": "degrees_east", "periodic": True}
        return StateSpec(
            variables=(Variable(name="t", units="K", long_name="temperature"),),
            dims=(Dimension(name="lat", **north), Dimension(name="lon", **east)),
            areas="latitude",
        )

    @property
    def output_step(self):
        return timedelta(hours=6)

    def initial(self, noise):
        return noise.use("initial").normal(*self.spec.shape)

    def advance(self, state, steps, noise):
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*self.spec.shape, dtype=state.dtype)
            state = 0.8 * state + 0.6 * kick
        return state


@hookimpl
def geobench_simulators():
    return [Sphere]
'''
STUDY = """
experiments:
  sphere:
    simulator: {use: sphere}
    spin_up: 5
    train: {trajectories: 12, steps: 12}
    validation: {trajectories: 2, steps: 12}
    test: {trajectories: 6, inits: 3}
    leads: 4
models: {persistence: persistence}
members: 5
scorers: [crps]
reference: {members: 4}
"""
FORECAST = "forecast/sphere.climatology.s0@1"


def _geobench(folder: Path, *words: object) -> Result:
    words = "--plugin", folder / "sphere.py", "--catalog", folder / "catalog", *words
    return CliRunner().invoke(main, ["-q", *map(str, words)])


def _done(folder: Path, *words: object) -> str:
    result = _geobench(folder, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of forecasts on a sphere, with three overlapping inits in each trajectory."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "sphere.py").write_text(SPHERE)
    (folder / "study.yaml").write_text(STUDY)
    _done(folder, "run", folder / "study.yaml")
    for form in ("weatherbench", "netcdf"):
        words = ("export", FORECAST, "--as", form, "--to", folder / form)
        _done(folder, "catalog", *words)
    return folder


@pytest.fixture
def forecast(made: Path) -> Entry:
    return Catalog(str(made / "catalog")).get(FORECAST)


def _zarr(made: Path, name: str) -> xr.Dataset:
    return xr.open_zarr(made / "weatherbench" / f"{name}.zarr", chunks=None)


def test_a_forecast_has_the_names_and_numbers_of_weatherbench(made: Path, forecast: Entry) -> None:
    stored, there = forecast.load(), _zarr(made, "sphere.climatology.s0.v1")
    dims = ("time", "prediction_timedelta", "number", "latitude", "longitude")
    assert there["t"].dims == dims
    assert np.array_equal(there["t"], stored["t"])
    assert np.array_equal(there["time"], stored["init_time"])
    assert np.array_equal(there["prediction_timedelta"], stored["lead_time"])
    assert there["t"].attrs["units"] == "K"
    assert there["latitude"].attrs["units"] == "degrees_north"
    # As WeatherBench-X opens it: consolidated, Zarr 2.
    assert (made / "weatherbench/sphere.climatology.s0.v1.zarr/.zmetadata").exists()


def test_the_truth_is_laid_out_by_valid_time_each_once(made: Path, forecast: Entry) -> None:
    there, truth = _zarr(made, "sphere.climatology.s0.v1"), _zarr(made, "sphere.v1.truth")
    assert truth["t"].dims == ("time", "latitude", "longitude")
    assert truth["time"].attrs["standard_name"] == "time"
    # 6 trajectories with inits at 3 steps in a row and 4 leads: 6 valid times each.
    assert truth.sizes["time"] == 6 * 6
    assert truth.indexes["time"].is_monotonic_increasing
    assert truth.indexes["time"].is_unique
    # What WeatherBench-X looks up for the cases of the forecast.
    outcome = truth["t"].sel(time=there["time"].rename(time="init") + there["prediction_timedelta"])
    catalog = Catalog(str(made / "catalog"))
    engine = Engine(catalog, Registry([made / "sphere.py"]))
    assert np.array_equal(outcome, engine.forecast(forecast).outcome()["t"])


@pytest.mark.parametrize("form", ["weatherbench", "netcdf"])
def test_xskillscore_finds_the_crps_that_is_stored(form: str, made: Path) -> None:
    """Up to the correction for the number of members: sum |x_i - x_j| / (2 M² (M - 1))."""
    if form == "weatherbench":
        there, truth = _zarr(made, "sphere.climatology.s0.v1"), _zarr(made, "sphere.v1.truth")
        there = there.rename(time="init_time", prediction_timedelta="lead_time", number="member")
        valid = there["init_time"] + there["lead_time"]
        outcome = truth["t"].sel(time=valid).drop_vars("time")
    else:
        there, outcome = (
            xr.open_dataset(made / "netcdf" / f"{name}.nc").drop_vars("time").rename(
                forecast_reference_time="init_time", forecast_period="lead_time"
            )
            for name in ("sphere.climatology.s0.v1", "sphere.v1.truth")
        )  # fmt: skip
        there, outcome = there.rename(realization="member"), outcome["t"]
    members = there["t"].astype(float).load()
    north = next(str(dim) for dim in members.dims if str(dim).startswith("lat"))
    grid = members.dims[-2:]
    biased = xskillscore.crps_ensemble(outcome.astype(float), members, dim=[])
    count = members.sizes["member"]
    pairs = abs(members - members.rename(member="other")).sum(("member", "other"))
    fair = biased - pairs / (2 * count**2 * (count - 1))
    scored = fair.weighted(np.cos(np.deg2rad(members[north]))).mean(grid)
    stored = Catalog(str(made / "catalog")).get("score/sphere.climatology.s0.crps@1").load()
    expected = stored["crps"].isel(variable=0)
    np.testing.assert_allclose(
        scored.transpose("init_time", "lead_time"), expected, rtol=1e-5, atol=1e-6
    )


def test_a_netcdf_forecast_says_what_it_is_by_cf(made: Path, forecast: Entry) -> None:
    file = made / "netcdf/sphere.climatology.s0.v1.nc"
    there, raw = xr.open_dataset(file), xr.open_dataset(file, decode_cf=False)
    assert there.attrs["Conventions"].startswith("CF-1.")
    dims = ("forecast_reference_time", "forecast_period", "realization")
    assert there["t"].dims == (*dims, "lat", "lon")
    assert [there[dim].attrs["standard_name"] for dim in dims] == list(dims)
    assert raw["forecast_reference_time"].attrs["units"] == "hours since 2000-01-01"
    assert raw["forecast_period"].attrs["units"] == "hours"
    assert raw["forecast_period"].to_numpy().tolist() == [6, 12, 18, 24]
    valid = there["forecast_reference_time"] + there["forecast_period"]
    assert there["time"].attrs["standard_name"] == "time"
    assert np.array_equal(there["time"], valid)
    assert "time" in raw["t"].attrs["coordinates"].split()
    assert (there["t"].attrs["units"], there["t"].attrs["long_name"]) == ("K", "temperature")
    assert np.array_equal(there["t"], forecast.load()["t"])
    truth = xr.open_dataset(made / "netcdf/sphere.v1.truth.nc")
    assert truth["t"].dims == (*dims[:2], "lat", "lon")


@pytest.mark.parametrize(
    "path", ["weatherbench/sphere.climatology.s0.v1.zarr", "netcdf/sphere.climatology.s0.v1.nc"]
)
def test_what_was_exported_is_taken_in_again_with_equal_numbers(
    path: str, made: Path, forecast: Entry
) -> None:
    label = f"back-{Path(path).suffix[1:]}"
    words = ("import-forecast", made / path, "--dataset", "dataset/sphere@1", "--model", label)
    reference = json.loads(_done(made, "catalog", *words, "--json"))["reference"]
    again = Catalog(str(made / "catalog")).get(reference).load()
    stored = forecast.load()
    assert np.array_equal(again["t"], stored["t"])
    assert again["t"].dims == stored["t"].dims


def test_datasets_and_scores_are_exported_as_netcdf(made: Path, tmp_path: Path) -> None:
    references = ("dataset/sphere@1", "score/sphere.climatology.s0.crps@1")
    told = json.loads(
        _done(made, "catalog", "export", *references, "--as", "netcdf", "--to", tmp_path, "--json")
    )
    catalog = Catalog(str(made / "catalog"))
    dataset, score = (catalog.get(reference) for reference in references)
    names = {Path(file).name for file in told["files"]}
    splits = {f"sphere.v1.{group}.nc" for group in ("train", "validation", "test", "climatology")}
    assert splits <= names
    for group in ("train", "test", "climatology"):
        there = xr.open_dataset(tmp_path / f"sphere.v1.{group}.nc")
        stored = dataset.load(group)
        assert {*there.data_vars} == {*stored.data_vars}
        for name, values in stored.data_vars.items():
            assert np.array_equal(there[name], values)
            assert there[name].dims == values.dims
    there = xr.open_dataset(tmp_path / "sphere.climatology.s0.crps.v1.nc")
    assert np.array_equal(there["crps"], score.load()["crps"])
    assert there["variable"].to_numpy().tolist() == ["t"]


@pytest.mark.parametrize("form", ["weatherbench", "netcdf"])
def test_a_forecast_is_never_whole_in_memory(
    form: exporting.Form,
    made: Path,
    forecast: Entry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(Catalog(str(made / "catalog")), Registry([made / "sphere.py"]))
    sizes: list[int] = []
    blocks = Entry.blocks

    def counted(entry: Entry, *arguments: Any) -> Any:
        for block in blocks(entry, *arguments):
            sizes.append(block.nbytes)
            yield block

    monkeypatch.setattr("geobench_catalog.entry._chunk", lambda *_: 1)
    monkeypatch.setattr(Entry, "blocks", counted)
    whole = forecast.open().nbytes
    files = exporting.export([forecast], form, tmp_path, engine.forecast, memory=whole)
    assert len(sizes) > 3
    assert max(sizes) <= whole / 3
    opened = [
        xr.open_zarr(file, chunks=None) if form == "weatherbench" else xr.open_dataset(file)
        for file in files
    ]
    for there, name in zip(opened, ("sphere.climatology.s0.v1", "sphere.v1.truth"), strict=True):
        right = made / form / f"{name}.{'zarr' if form == 'weatherbench' else 'nc'}"
        known = (
            xr.open_zarr(right, chunks=None) if form == "weatherbench" else xr.open_dataset(right)
        )
        xr.testing.assert_identical(there.load(), known.load())


def test_forecasts_of_one_dataset_share_their_truth(made: Path, tmp_path: Path) -> None:
    references = (FORECAST, "forecast/sphere.persistence.s0@1")
    shown = _done(made, "catalog", "export", *references, "--as", "netcdf", "--to", tmp_path)
    assert sorted(Path(line).name for line in shown.splitlines()) == [
        "sphere.climatology.s0.v1.nc",
        "sphere.persistence.s0.v1.nc",
        "sphere.v1.truth.nc",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dataset/sphere@1", "--as", "weatherbench"), "or export it --as netcdf."),
        (("forecaster/sphere.climatology.s0@1", "--as", "netcdf"), "has no layout in netCDF"),
        ((FORECAST, "--as", "gribb"), "'gribb' is not one of 'archive', 'weatherbench', 'netcdf'"),
    ],
)
def test_what_has_no_such_layout_is_refused(
    words: tuple[str, ...], message: str, made: Path, tmp_path: Path
) -> None:
    result = _geobench(made, "catalog", "export", *words, "--to", tmp_path / "new")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (made / "netcdf").iterdir()}
    words = (FORECAST, "--as", "netcdf", "--to", made / "netcdf")
    result = _geobench(made, "catalog", "export", *words)
    assert result.exit_code == 2
    assert "is there already, and nothing was written" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in (made / "netcdf").iterdir()} == before


def test_a_stop_leaves_nothing_half_written(
    made: Path, forecast: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(Catalog(str(made / "catalog")), Registry([made / "sphere.py"]))

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Entry, "blocks", stopped)
    with pytest.raises(KeyboardInterrupt):
        exporting.export([forecast], "netcdf", tmp_path, engine.forecast)
    assert [*tmp_path.iterdir()] == []


def test_the_archive_stays_what_it_was(made: Path, tmp_path: Path) -> None:
    told = json.loads(
        _done(made, "catalog", "export", FORECAST, "--to", tmp_path / "a.tar", "--json")
    )
    assert told["entries"][-1] == FORECAST
    assert told["bytes"] == (tmp_path / "a.tar").stat().st_size
