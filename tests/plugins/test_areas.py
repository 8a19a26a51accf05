"""Cells that are not equally large: every average over a grid weighs by their areas."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from geobench import (
    Context,
    Dimension,
    Event,
    GeobenchError,
    Noise,
    Scorer,
    Simulator,
    StateSpec,
    Variable,
)
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench.testing import small_case
from geobench.twin import events
from geobench_catalog import Entry

LATITUDES = (-60.0, -30.0, 0.0, 30.0, 60.0)
COSINES = np.cos(np.deg2rad(LATITUDES))
PLACES = (
    Dimension(name="lat", size=5, spacing=30, start=-60, units="degrees_north"),
    Dimension(name="lon", size=4, spacing=90, units="degrees_east", periodic=True),
)


class Globe(Simulator):
    """q' = 0.8 q + 0.6 (2 - cos φ) N(0, 1) on a grid of latitudes φ and longitudes."""

    name = "globe"

    @property
    def spec(self) -> StateSpec:
        """One variable."""
        return StateSpec(variables=(Variable(name="q"),), dims=PLACES, areas="latitude")

    @property
    def output_step(self) -> timedelta:
        """One day."""
        return timedelta(days=1)

    def _sizes(self, dtype: torch.dtype) -> Tensor:
        return (2 - torch.from_numpy(COSINES)).to(dtype)[:, None].expand(5, 4)

    def initial(self, noise: Noise) -> Tensor:
        """Draw from the climate."""
        drawn = noise.use("initial").normal(1, 5, 4)
        return drawn * self._sizes(drawn.dtype)

    def advance(self, state: Tensor, steps: int, noise: Noise) -> Tensor:
        """Take `steps` steps."""
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(1, 5, 4, dtype=state.dtype)
            state = 0.8 * state + 0.6 * kick * self._sizes(state.dtype)
        return state


def _refused(**fields: Any) -> str:
    with pytest.raises(GeobenchError) as error:
        StateSpec(variables=(Variable(name="q"),), **fields)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("areas", [False, True], ids=["equal", "areas"])
@pytest.mark.parametrize("dtype", [bool, np.float32, np.float64])
def test_an_average_is_the_same_with_labelled_cells(dtype: Any, areas: bool) -> None:
    """To the bit: of cells with labels the fields are matched by them, of others by place."""
    generator = np.random.Generator(np.random.Philox(key=3))
    values = generator.normal(size=(5, 3, 4, 2))
    values[0, 0, 0, 0] = np.nan
    field = xr.DataArray(
        values.astype(dtype), {"init_time": range(3)}, ("y", "init_time", "x", "of")
    )
    sea = xr.DataArray(generator.random((4, 5)) > 0.2, dims=("x", "y"))
    sizes = xr.DataArray(generator.random((4, 5)), dims=("x", "y")) if areas else None
    plain = Context(sea, sea, sea, areas=sizes)
    labels = {"x": [1.0, 2.0, 3.0, 4.0], "y": range(5)}
    named = replace(
        plain,
        sea=sea.assign_coords(labels),
        areas=None if sizes is None else sizes.assign_coords(labels),
    )
    found = plain.average(field)
    expected = named.average(field.assign_coords(labels))
    xr.testing.assert_identical(found, expected)
    assert found.dims == ("init_time", "of")


@pytest.mark.parametrize(
    "dim",
    [
        {"name": "lat"},
        {"name": "y", "units": "degrees_north"},
        {"name": "y", "units": "degree_N"},
        {"name": "y", "units": "degreesN"},
        {"name": "y", "standard_name": "latitude", "units": "radians"},
    ],
)
def test_latitudes_without_areas_are_refused_with_the_cure(dim: dict[str, Any]) -> None:
    message = _refused(dims=(Dimension(size=4, **dim),))
    assert dim["name"] in message
    assert "areas='latitude'" in message
    StateSpec(variables=(Variable(name="q"),), dims=(Dimension(size=2, **dim),), areas=(1, 2))


def test_areas_that_cannot_be_are_refused() -> None:
    line = (Dimension(name="x", size=3),)
    assert "2 of them for 3 cells" in _refused(dims=line, areas=(1, 2))
    assert "cell 1 is 0" in _refused(dims=line, areas=(1, 0, 2))
    assert "units degrees_north" in _refused(dims=line, areas="latitude")
    beyond = Dimension(name="lat", size=4, spacing=30, start=10, units="degrees_north")
    assert "10 to 100 degrees" in _refused(dims=(beyond,), areas="latitude")
    StateSpec(variables=(Variable(name="q"),), dims=line, areas=(1, 0, 2), land=(1,))


def test_areas_of_latitudes_are_those_of_zones_of_a_sphere() -> None:
    """The whole sphere, from pole to pole: by the integral of the cosine, 2 in all."""
    poles = Dimension(name="lat", size=7, spacing=30, start=-90, units="degrees_north")
    spec = StateSpec(variables=(Variable(name="q"),), dims=(poles,), areas="latitude")
    edges = np.deg2rad([-90, -75, -45, -15, 15, 45, 75, 90])
    zones = np.diff(np.sin(edges))
    np.testing.assert_allclose(spec.cell_areas, zones / zones.mean(), rtol=1e-12)
    np.testing.assert_allclose(Globe().spec.cell_areas[:, 0], COSINES / COSINES.mean(), rtol=1e-12)


def test_equal_areas_change_nothing() -> None:
    dims = (Dimension(name="x", size=4),)
    plain = StateSpec(variables=(Variable(name="q"),), dims=dims)
    given = StateSpec(variables=(Variable(name="q"),), dims=dims, areas=(3, 3, 3, 3))
    assert plain.weights is None
    assert given.weights is None
    fields = np.zeros((2, 1, 4), np.float32)
    assert "cell_area" not in plain.dataset(fields, ("time",)).variables
    assert plain.dataset(fields, ("time",))["q"].attrs == {"units": "1", "long_name": "q"}


@pytest.fixture
def globe(session: Session, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setattr(Registry, "simulator", lambda *_: Globe())
    fields = {
        "simulator": {"use": "ou"},
        "spin_up": 5,
        "train": {"trajectories": 8, "steps": 20},
        "validation": {"trajectories": 4, "steps": 10},
        "test": {"trajectories": 20},
        "leads": 2,
        "events": [
            {"name": "mean", "of": "q", "reduce": "mean", "quantiles": [0.9]},
            {"name": "cell", "of": "q", "quantiles": [0.9]},
        ],
    }
    return session.simulate("globe", registry.experiment(fields, "globe"))


def test_stored_data_hold_areas_as_cf_wants_it(globe: Entry) -> None:
    """Read by plain xarray, all that is there: weights, and what refers to them."""
    (path,) = globe.path.glob("**/data.zarr")
    for group in ("train", "test", "climatology"):
        found = xr.open_zarr(path, group=group, consolidated=False)
        area = found.coords["cell_area"]
        assert area.dims == ("lat", "lon")
        np.testing.assert_allclose(area[:, 0] / area[2, 0], COSINES, rtol=1e-6)
        for variable in found.data_vars.values():
            if "lat" in variable.dims:
                assert variable.attrs["cell_measures"] == "area: cell_area"
    test = xr.open_zarr(path, group="test", consolidated=False)
    assert test["lat"].attrs["units"] == "degrees_north"
    assert test["lat"].to_numpy().tolist() == list(LATITUDES)
    weighted = test["q"].weighted(test["cell_area"]).mean(("lat", "lon"))
    by_hand = test["q"].mean("lon") @ xr.DataArray(COSINES / COSINES.sum(), dims="lat")
    np.testing.assert_allclose(weighted, by_hand, rtol=1e-5, atol=1e-7)


def test_scores_of_a_globe_are_weighed_by_the_cosine(session: Session, globe: Entry) -> None:
    """By hand, from the stored members: the CRPS, the RMSE, the Brier score, energy and bias."""
    registry = session.registry
    forecaster = session.train(globe, registry.model("oracle"))
    forecast = session.forecast(forecaster, members=6)
    members = forecast.load()["q"].transpose("init_time", "lead_time", "member", "lat", "lon")
    outcome = (
        session.engine.dataset(globe)
        .outcome()["q"]
        .transpose("init_time", "lead_time", "lat", "lon")
    )
    x, y = (each.to_numpy().astype(float) for each in (members, outcome))
    cosine = np.repeat(COSINES[:, None], 4, 1)
    share = cosine / cosine.sum()

    def average(field: Any) -> Any:
        return (field * share).sum((-2, -1))

    def scored(name: str) -> dict[str, list[float]]:
        found: dict[str, list[float]] = session.score(
            forecast, registry.scorer(name)
        ).record.summary["scores"]
        return found

    far = abs(x - y[:, :, None]).mean(2)
    apart = abs(x[:, :, :, None] - x[:, :, None]).sum((2, 3)) / (6 * 5 * 2)
    crps = average(far - apart).mean(0)
    np.testing.assert_allclose(scored("crps")["CRPS"], crps, rtol=1e-5)
    unweighted = (far - apart).mean((0, -2, -1))
    assert (abs(unweighted / crps - 1) > 0.02).all()  # it matters
    bias = average(x.mean(2) - y).mean(0)
    np.testing.assert_allclose(scored("bias")["bias"], bias, rtol=1e-5, atol=1e-7)
    std = globe.load("climatology")["q_std"].to_numpy().astype(float)
    typical = math.sqrt(float(average(std**2)))
    root = np.sqrt(share) / typical
    norm = np.linalg.norm
    errors = norm((x - y[:, :, None]) * root, axis=(-2, -1)).mean(2)
    pairs = norm((x[:, :, :, None] - x[:, :, None]) * root, axis=(-2, -1)).sum((2, 3)) / 60
    energy = (errors - pairs).mean(0)
    np.testing.assert_allclose(scored("energy")["energy score"], energy, rtol=1e-5)
    limit = globe.load("climatology")["q_threshold"].isel(quantile=-1).to_numpy()
    p = (x > limit).mean(2)
    plain = (p - (y > limit)) ** 2 - p * (1 - p) / 5
    column = list(scored("brier").values())[-1]
    np.testing.assert_allclose(column, average(plain).mean(0), rtol=1e-5, atol=1e-9)


def test_events_of_a_globe_are_weighed_by_the_cosine(session: Session, globe: Entry) -> None:
    states = Noise.rows(0, "states", 3).normal(1, 5, 4)
    found = events.measure(Event(name="mean", of="q", reduce="mean"), Globe(), states)
    share = COSINES / COSINES.sum()
    expected = states[:, 0].double().mean(-1).numpy() @ share
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)
    forecaster = session.train(globe, session.registry.model("oracle"))
    counted = session.events(session.forecast(forecaster, members=6)).load()
    np.testing.assert_allclose(
        counted["cell_area"].to_numpy().reshape(5, 4)[:, 0], COSINES / COSINES.mean(), rtol=1e-6
    )


def test_windows_of_a_globe_are_weighed_by_the_cosine() -> None:
    """Of two latitudes and three longitudes, going round, each by definition."""
    event = Event(name="part", of="q", reduce="mean", window=(2, 3))
    states = Noise.rows(0, "states", 3).normal(1, 5, 4)
    found = events.measure(event, Globe(), states)
    q, expected, areas = states[:, 0].double().numpy(), [], []
    for lat in range(4):
        for lon in range(4):
            cells = [(row, (lon + east) % 4) for row in (lat, lat + 1) for east in range(3)]
            total = sum(COSINES[row] for row, _ in cells)
            expected.append(sum(COSINES[row] * q[:, row, east] for row, east in cells) / total)
            areas.append(total)
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-5, atol=1e-6)
    own = events.places(event, Globe())
    assert own is not None
    np.testing.assert_allclose(own, np.array(areas) / np.mean(areas), rtol=1e-12)


def test_events_at_cells_of_a_globe_count_by_area(session: Session, globe: Entry) -> None:
    """Mean probabilities of `law-events`, by members and by the law, against sums by hand."""
    oracle = session.train(globe, session.registry.model("oracle"))
    drawn, law = (session.forecast(oracle, members=6, seed=seed) for seed in (0, 1))
    scorer = session.registry.scorer(
        {
            "use": "law-events",
            "events": [{"name": "high", "of": "q", "quantiles": [0.8]}],
            "control": None,
        }
    )
    found = session.score(drawn, scorer, law).load().isel(event=0)
    train = globe.load("train")["q"].astype(float)
    limit = np.quantile(train.transpose(..., "lat", "lon").to_numpy(), 0.8, axis=(0, 1))
    share = COSINES / COSINES.sum()
    for name, forecast in (("members", drawn), ("law", law)):
        q = forecast.load()["q"].transpose("init_time", "lead_time", "member", "lat", "lon")
        p = (q.to_numpy() > limit).mean(2)
        np.testing.assert_allclose(found[name], p.mean(-1) @ share, rtol=1e-6)


def test_a_foreign_forecast_of_a_globe_is_read_and_weighed(
    session: Session, globe: Entry, tmp_path: Path
) -> None:
    """Its latitudes run from north to south, and it says nothing of areas."""
    from geobench.foreign.adoption import adopt

    forecast = session.forecast(session.train(globe, session.registry.model("oracle")), members=6)
    foreign = forecast.load().drop_vars("cell_area").isel(lat=slice(None, None, -1))
    foreign.to_netcdf(tmp_path / "theirs.nc", engine="h5netcdf")
    entry, notes = adopt(session.catalog, tmp_path / "theirs.nc", globe, "theirs")
    assert any("reversed" in note for note in notes)
    assert entry.open()["cell_area"].equals(globe.open("test")["cell_area"])
    crps = session.registry.scorer("crps")
    one, other = (session.score(each, crps).record.summary["scores"] for each in (forecast, entry))
    np.testing.assert_allclose(one["CRPS"], other["CRPS"], rtol=1e-6)


def _scorers() -> Iterator[Scorer]:
    registry = Registry()
    names = [name for kind, name in registry.offers if kind == "scorer"]
    every = [registry.scorer(name) for name in names]
    yield from (each for each in every if each.cells_by_area)
    for by in ("average", "band-depth", "energy"):
        yield registry.scorer({"use": "multivariate-ranks", "by": by})


@pytest.mark.parametrize("scorer", list(_scorers()), ids=lambda each: each.name)
def test_a_cell_of_area_three_is_three_cells(scorer: Scorer) -> None:
    """Whole numbers as areas: against a grid of equal cells, where each stands so many times."""
    forecast, truth, context = small_case()
    assert context.law is not None
    areas = [1, 3, 2, 1, 1, 4, 1, 2]
    cells = np.repeat(np.arange(8), areas)
    weighed = replace(context, areas=xr.DataArray([float(each) for each in areas], dims="x"))
    thresholds, sea, std, law = (
        each.isel(x=cells) for each in (context.thresholds, context.sea, context.std, context.law)
    )
    equal = Context(thresholds, sea, std, law)
    xr.testing.assert_allclose(
        scorer.statistics(forecast, truth, weighed),
        scorer.statistics(forecast.isel(x=cells), truth.isel(x=cells), equal),
        rtol=1e-5,
        atol=1e-6,
    )


def test_windows_are_means_by_area() -> None:
    """Two windows of four cells: their means, and the mean of both, by hand."""
    forecast, truth, context = small_case()
    areas = np.array([1.0, 3, 2, 1, 1, 4, 1, 2])
    weighed = replace(context, areas=xr.DataArray(areas, dims="x"))
    scorer = Registry().scorer({"use": "pooled-crps", "window": 4})
    found = scorer.statistics(forecast, truth, weighed)
    x, y = (
        (each.to_numpy() * areas).reshape(*each.shape[:-1], 2, 4).sum(-1)
        / areas.reshape(2, 4).sum(1)
        for each in (forecast, truth)
    )
    count = x.shape[2]
    error = abs(x - y[:, :, None]).mean(2)[:, :, 0]
    apart = abs(x[:, :, None] - x[:, :, :, None]).sum((2, 3))[:, :, 0] / (2 * count * (count - 1))
    crps = (error - apart) @ (areas.reshape(2, 4).sum(1) / areas.sum())
    np.testing.assert_allclose(found["crps"].isel(variable=0), crps, rtol=1e-5)


def test_pairs_of_a_variogram_weigh_by_products_of_areas() -> None:
    forecast, truth, context = small_case()
    areas = np.array([1.0, 3, 2, 1, 1, 4, 1, 2])
    weighed = replace(context, areas=xr.DataArray(areas, dims="x"))
    found = Registry().scorer("variogram").statistics(forecast, truth, weighed)["variogram"]
    x, y = forecast.to_numpy()[:, :, :, 0].astype(float), truth.to_numpy()[:, :, 0].astype(float)
    total = weight = 0.0
    for i in range(8):
        for k in range(i):
            drawn = abs(x[..., i] - x[..., k]) ** 0.5
            term = (abs(y[..., i] - y[..., k]) ** 0.5 - drawn.mean(2)) ** 2 - drawn.var(
                2, ddof=1
            ) / 5
            total = total + areas[i] * areas[k] * term
            weight += areas[i] * areas[k]
    np.testing.assert_allclose(found.isel(variable=0), total / weight, rtol=1e-5)


def test_steps_of_a_structure_function_weigh_by_mean_areas() -> None:
    forecast, truth, context = small_case()
    areas = np.array([1.0, 3, 2, 1, 1, 4, 1, 2])
    weighed = replace(context, areas=xr.DataArray(areas, dims="x"))
    scorer = Registry().scorer({"use": "structure", "distances": [2]})
    found = scorer.statistics(forecast, truth, weighed)["outcome"]
    y = truth.to_numpy()[:, :, 0].astype(float)
    both = areas[2:] + areas[:-2]
    expected = ((y[..., 2:] - y[..., :-2]) ** 2) @ both / both.sum()
    np.testing.assert_allclose(found.isel(variable=0, distance=0), expected, rtol=1e-5)
