"""A forecast of somebody's own, with no code: taken in, scored and ranked as any other."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.foreign.adoption import template
from geobench_catalog import Catalog

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
    "models": {"climatology": "climatology", "persistence": "persistence", "oracle": "oracle"},
    "members": 5,
    "scorers": ["crps", "spread-skill"],
    "reference": {"members": 8},
}


def _geobench(catalog: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(catalog), *map(str, words)])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in which the study has run."""
    folder = tmp_path_factory.mktemp("adoption")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    result = _geobench(folder / "catalog", "run", folder / "study.yaml")
    assert result.exit_code == 0, result.output
    return folder


def _weatherbench(catalog: Path, scale: float = 1.0) -> xr.Dataset:
    """The oracle's own forecast, as WeatherBench would store it (times `scale`)."""
    ours = Catalog(catalog).get("forecast/tiny.oracle.s0@1").load()
    theirs = ours.rename(
        init_time="time", lead_time="prediction_timedelta", member="number", q="X", x="site"
    )
    theirs = theirs.transpose("number", "prediction_timedelta", "time", "site") * scale
    theirs = theirs.isel(time=slice(None, None, -1)).astype("float64")
    for name in ("time", "prediction_timedelta", "number"):
        theirs[name].attrs.clear()
    theirs["X"].attrs = {"units": ours["q"].attrs["units"], "long_name": "somebody's"}
    return theirs.drop_attrs(deep=False)


def _take_in(ran: Path, theirs: xr.Dataset, ending: str, *words: object) -> Result:
    path = ran / f"theirs{len(list(ran.iterdir()))}{ending}"
    for variable in theirs.variables.values():
        variable.encoding.clear()
    if ending == ".zarr":
        theirs.to_zarr(path, consolidated=False)
    else:
        theirs.to_netcdf(path, engine="h5netcdf")
    options = ("--dataset", "dataset/tiny@1", "--rename", "X=q", *words)
    return _geobench(ran / "catalog", "catalog", "import-forecast", path, *options)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_the_oracle_brought_as_a_stranger_scores_as_the_oracle(ran: Path, ending: str) -> None:
    model = f"stranger-{ending[1:]}"
    result = _take_in(ran, _weatherbench(ran / "catalog"), ending, "--model", model)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"forecast/tiny.{model}@1"
    assert "X is float64 and read as float32" in result.stderr
    catalog = Catalog(ran / "catalog")
    brought, own = (catalog.get(f"forecast/tiny.{name}@1") for name in (model, "oracle.s0"))
    np.testing.assert_array_equal(brought.load()["q"], own.load()["q"])
    assert brought.load()["q"].dims == own.load()["q"].dims
    scored = _geobench(ran / "catalog", "score", f"forecast/tiny.{model}@1", "--scorer", "crps")
    assert scored.exit_code == 0, scored.output
    one, other = (
        catalog.get(f"score/tiny.{name}.crps@1").record.summary["scores"]
        for name in (model, "oracle.s0")
    )
    assert one == other
    found = catalog.query(f"kind = forecast and model = {model} and crps.skill@1d > 0.5")
    assert list(found["reference"]) == [f"forecast/tiny.{model}@1"]


def test_it_stands_on_the_board_beside_the_models(ran: Path) -> None:
    result = _take_in(ran, _weatherbench(ran / "catalog", 0.9), ".zarr", "--model", "shrunk")
    assert result.exit_code == 0, result.output
    study = STUDY | {"models": STUDY["models"] | {"theirs": {"forecast": "forecast/tiny.shrunk@1"}}}
    path = ran / "with_theirs.yaml"
    path.write_text(yaml.safe_dump(study))
    plan = _geobench(ran / "catalog", "run", path, "--dry-run").stdout.splitlines()
    assert [line.split()[-1] for line in plan if line.startswith("to do")] == [
        "tiny.theirs.s0.crps",
        "tiny.theirs.s0.spread-skill",
        "tiny.theirs.s0.law-crps",
    ]
    result = _geobench(ran / "catalog", "run", path)
    assert result.exit_code == 0, result.output
    row = next(line for line in result.stdout.splitlines() if " theirs " in line)
    assert row.split()[-3:] == ["–", "–", "–"]  # nothing is known of its cost
    board = _geobench(ran / "catalog", "leaderboard", path, "--html", ran / "page.html")
    assert board.exit_code == 0, board.output
    assert "theirs" in (ran / "page.html").read_text("utf-8")


def test_a_forecast_of_another_dataset_is_told(ran: Path) -> None:
    result = _take_in(ran, _weatherbench(ran / "catalog"), ".zarr", "--model", "elsewhere")
    assert result.exit_code == 0
    other = STUDY["experiments"]["tiny"] | {"seed": 3}
    study = STUDY | {
        "experiments": {"other": other},
        "models": {"theirs": {"forecast": "forecast/tiny.elsewhere@1"}},
    }
    path = ran / "other.yaml"
    path.write_text(yaml.safe_dump(study))
    result = _geobench(ran / "catalog", "run", path)
    assert result.exit_code == 2
    assert "theirs: forecast/tiny.elsewhere@1 is no forecast of dataset/other@1" in result.stderr


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        (lambda d: d.isel(time=slice(3, None)), (), "3 of 40 init times are missing: 2000-"),
        (lambda d: d.isel(prediction_timedelta=[0, 2]), (), "1 of 3 lead times is missing: 48 h"),
        (lambda d: d.assign(X=d["X"].assign_attrs(units="K")), (), "X is in 'K', wanted is"),
        (lambda d: d.assign(X=d["X"].drop_attrs()), (), "X has no units; wanted is"),
        (lambda d: d.isel(site=slice(20)), ("--rename", "site=x"), "site is not the wanted x"),
        (
            lambda d: d.assign_coords(time=d["time"] + np.timedelta64(6, "h")),
            (),
            "40 of 40 init times are missing: 2000-",
        ),
        (
            lambda d: d.where(d["number"] != 2),
            (),
            "40 of 200 members at the inits 0 to 39 failed",
        ),
        (lambda d: d, ("--rename", "Y=x"), "has no 'Y'"),
        (lambda d: d, ("--rename", "X"), "'X' renames nothing: write THEIRS=OURS"),
    ],
)
def test_what_does_not_fit_is_told_and_is_not_stored(
    ran: Path, change: object, words: tuple[str, ...], told: str
) -> None:
    before = set(Catalog(ran / "catalog").query("")["reference"])
    theirs = change(_weatherbench(ran / "catalog"))  # type: ignore[operator]
    result = _take_in(ran, theirs, ".zarr", "--model", "bad", *words)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    left = set(Catalog(ran / "catalog").query("")["reference"]) - before
    assert not [name for name in left if name.startswith("forecast/")]


def test_the_same_forecast_is_one_entry(ran: Path) -> None:
    """Whatever file it lies in; another forecast under the same name is another version."""
    theirs = _weatherbench(ran / "catalog")
    first = _take_in(ran, theirs, ".nc", "--model", "once")
    assert first.stdout.strip() == "forecast/tiny.once@1", first.output
    for ending in (".nc", ".zarr"):
        again = _take_in(ran, theirs, ending, "--model", "once")
        assert again.stdout == first.stdout, again.output
        assert "forecast/tiny.once@1 has the same values: nothing new is stored" in again.stderr
    other = _take_in(ran, 2 * theirs.assign_attrs(), ".nc", "--model", "once", "--assume-units")
    assert other.stdout.strip() == "forecast/tiny.once@2", other.output


@pytest.fixture(scope="module")
def other(ran: Path) -> Path:
    """The same, and a second dataset with its own forecasts."""
    study = STUDY | {"experiments": {"other": STUDY["experiments"]["tiny"] | {"seed": 3}}}
    (ran / "other.yaml").write_text(yaml.safe_dump(study))
    result = _geobench(ran / "catalog", "run", ran / "other.yaml")
    assert result.exit_code == 0, result.output
    return ran


def _own(folder: Path, reference: str, dataset: str, *words: object) -> Result:
    """Bring a forecast of ours back, as its folder in the catalog is."""
    entry = Catalog(folder / "catalog").get(reference)
    given = ("--dataset", dataset, "--model", f"back-{len(list(folder.iterdir()))}", *words)
    where = Path(entry.location) / "data.zarr"
    return _geobench(folder / "catalog", "catalog", "import-forecast", where, *given)


def test_a_forecast_of_ours_says_which_dataset_it_is_of(other: Path) -> None:
    """Both datasets have the same init times and grid: nothing else would tell."""
    right = _own(other, "forecast/tiny.oracle.s0@1", "dataset/tiny@1")
    assert right.exit_code == 0, right.output
    wrong = _own(other, "forecast/other.oracle.s0@1", "dataset/tiny@1")
    assert wrong.exit_code == 2, wrong.output
    assert (
        "it is a forecast of dataset/other@1: its attribute parents names "
        "forecaster/other.oracle.s0@1. It was to be taken in as one of dataset/tiny@1."
    ) in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
    dataset = Catalog(other / "catalog").get("dataset/other@1")
    path = Path(dataset.location) / "data.zarr" / "inits"
    given = ("--dataset", "dataset/tiny@1", "--model", "none")
    (other / "copy.zarr").symlink_to(path)
    result = _geobench(other / "catalog", "catalog", "import-forecast", other / "copy.zarr", *given)
    assert result.exit_code == 2
    assert "says that it is a dataset, and no forecast" in result.stderr


@pytest.mark.parametrize("parents", ["{", "[" * 5000, "7", '{"forecaster": 7}', 7, '{"x": "y"}'])
def test_attributes_that_cannot_be_read_say_nothing(ran: Path, parents: object) -> None:
    theirs = _weatherbench(ran / "catalog")
    theirs = theirs.assign_attrs(geobench_kind="forecast", parents=parents)
    result = _take_in(ran, theirs, ".nc", "--model", "odd")
    assert result.exit_code == 0, result.output


def test_a_forecast_of_ours_from_another_catalog_is_known_by_its_name(ran: Path) -> None:
    theirs = _weatherbench(ran / "catalog").assign_attrs(geobench_kind="forecast")
    told = {"forecaster": "forecaster/tiny.else.s0@1 0123"}
    mine = theirs.assign_attrs(parents=json.dumps(told))
    result = _take_in(ran, mine, ".nc", "--model", "near")
    assert result.exit_code == 0, result.output
    assert "forecaster/tiny.else.s0@1 made it, which is not in this catalog" in result.stderr
    told = {"forecaster": "forecaster/globe.else.s0@1 0123"}
    result = _take_in(ran, theirs.assign_attrs(parents=json.dumps(told)), ".nc", "--model", "far")
    assert result.exit_code == 2
    assert "it is a forecast of dataset/globe: its attribute parents" in result.stderr


def test_several_files_are_one_forecast(ran: Path) -> None:
    """A file for each of some inits, named by a pattern; and their names one by one."""
    theirs = _weatherbench(ran / "catalog")
    for variable in theirs.variables.values():
        variable.encoding.clear()
    folder = ran / "parts"
    folder.mkdir()
    for first in range(0, 40, 10):
        part = theirs.isel(time=slice(first, first + 10))
        part.to_netcdf(folder / f"{first:02}.nc", engine="h5netcdf")
    options = ("--dataset", "dataset/tiny@1", "--rename", "X=q", "--model", "parts")
    for paths in ((folder / "*.nc",), sorted(folder.iterdir())):
        result = _geobench(ran / "catalog", "catalog", "import-forecast", *paths, *options)
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == "forecast/tiny.parts@1"
    one, own = (
        Catalog(ran / "catalog").get(f"forecast/tiny.{n}@1") for n in ("parts", "oracle.s0")
    )
    np.testing.assert_array_equal(one.load()["q"], own.load()["q"])


def test_the_example_in_a_hint_can_be_run_as_it_stands(ran: Path) -> None:
    theirs = _weatherbench(ran / "catalog")
    path = ran / "hint.nc"
    for variable in theirs.variables.values():
        variable.encoding.clear()
    theirs.to_netcdf(path, engine="h5netcdf")
    words = ["import-forecast", path, "--dataset", "dataset/tiny@1", "--model", "hinted"]
    refused = _geobench(ran / "catalog", "catalog", *words)
    assert refused.exit_code == 2
    (told,) = re.findall(r"--rename \S+=\w+", refused.stderr)
    assert told == "--rename X=q"
    result = _geobench(ran / "catalog", "catalog", *words, *told.split())
    assert result.exit_code == 0, result.output


def test_failed_members_are_kept_if_that_is_asked_for(ran: Path) -> None:
    theirs = _weatherbench(ran / "catalog")
    theirs = theirs.where(theirs["number"] != 2)
    result = _take_in(ran, theirs, ".zarr", "--model", "failing", "--keep-failures")
    assert result.exit_code == 0, result.output
    entry = Catalog(ran / "catalog").get("forecast/tiny.failing@1")
    assert entry.record.summary["failed_members"] == 40
    assert entry.record.summary["members"] == 200


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (9.969209968386869e36, "a fill value"),
        (1e20, "a fill value"),
        (-9999.0, "a fill value"),
        (1e8, "beyond 1000 standard deviations"),
    ],
)
def test_a_member_far_beyond_the_climate_is_refused_or_kept_as_failed(
    ran: Path, value: float, reason: str
) -> None:
    theirs = _weatherbench(ran / "catalog")
    theirs["X"][{"number": 2, "prediction_timedelta": 1, "time": 39, "site": 7}] = value
    model = f"far{FAR.index(value)}"
    refused = _take_in(ran, theirs, ".nc", "--model", model)
    assert refused.exit_code == 2, refused.output
    where = f"q = {np.float32(value):.7g} at init 0, lead 2, member 2, x 7, "  # time runs backwards
    where += f"{str(theirs['time'].values[39])[:16]} + 48 h"
    assert f"1 of 200 members at the inits 0 to 39 failed: 1 is {reason} ({where})" in (
        refused.stderr
    )
    kept = _take_in(ran, theirs, ".nc", "--model", model, "--keep-failures")
    assert kept.exit_code == 0, kept.output
    summary = Catalog(ran / "catalog").get(kept.stdout.strip()).record.summary
    assert (summary["failed_members"], summary["failures"]) == (1, {reason: 1})


FAR = (9.969209968386869e36, 1e20, -9999.0, 1e8)


def test_nothing_can_be_forecast_with_it(ran: Path) -> None:
    _take_in(ran, _weatherbench(ran / "catalog"), ".zarr", "--model", "frozen")
    forecast = Catalog(ran / "catalog").get("forecast/tiny.frozen@1")
    assert (forecast.origin, forecast.door) == ("imported", "forecast")
    result = _geobench(ran / "catalog", "forecast", "forecaster/tiny.frozen@1", "--members", 4)
    assert result.exit_code == 2
    assert "stands for a forecast that was imported" in result.stderr


def test_the_template_is_what_forecasts_of_the_dataset_are(ran: Path) -> None:
    catalog = Catalog(ran / "catalog")
    wanted = template(catalog.get("dataset/tiny@1"))
    own = catalog.get("forecast/tiny.oracle.s0@1").open()
    for name in wanted.coords:
        np.testing.assert_array_equal(wanted[name], own[name])
    assert set(wanted.data_vars) == set(own.data_vars)


def test_chunks_that_are_not_stored_are_told(ran: Path) -> None:
    import zarr

    theirs = _weatherbench(ran / "catalog").chunk(time=10)
    path = ran / "holes.zarr"
    for variable in theirs.variables.values():
        variable.encoding.clear()
    theirs.to_zarr(path, consolidated=False, encoding={"X": {"fill_value": 0.0}})
    array = zarr.open_array(path, path="X", mode="r")
    assert array.nchunks == 4
    next(each for each in (path / "X/c").rglob("*") if each.is_file()).unlink()
    options = ("--dataset", "dataset/tiny@1", "--rename", "X=q", "--model", "holes")
    result = _geobench(ran / "catalog", "catalog", "import-forecast", path, *options)
    assert result.exit_code == 0, result.output
    assert "note: 1 of 4 chunks of X are not stored and read as 0.0" in result.stderr
