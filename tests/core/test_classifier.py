"""A classifier that tells members from draws: blind where nothing is to tell, and no leaks."""

import numpy as np
import pytest
import xarray as xr

from geobench import Context
from geobench.diagnostics.classifier import Classifier, folds
from geobench.diagnostics.exchange import Exchanges
from geobench.scoring import Piece


def _inits(trajectories: int, each: int, every: int = 1) -> xr.Dataset:
    """Inits in a few trajectories, in no order."""
    order = np.random.default_rng(0).permutation(trajectories * each)
    return xr.Dataset(
        {
            "trajectory": ("init_time", np.repeat(np.arange(trajectories), each)[order]),
            "position": ("init_time", np.tile(np.arange(each) * every, trajectories)[order]),
        }
    )


@pytest.mark.parametrize(("trajectories", "each", "every"), [(40, 1, 1), (2, 60, 1), (1, 50, 3)])
def test_no_valid_time_is_trained_on_and_asked_about(
    trajectories: int, each: int, every: int
) -> None:
    inits, leads = _inits(trajectories, each, every), 10
    trajectory, position = (inits[name].to_numpy() for name in ("trajectory", "position"))
    seen = np.zeros(trajectories * each, int)
    for trained, asked in folds(trajectory, position, leads):
        seen[asked] += 1
        times = [
            {
                (trajectory[one], position[one] + lead)
                for one in some
                for lead in range(1, leads + 1)
            }
            for some in (trained, asked)
        ]
        assert not times[0] & times[1]
        assert len(trained) > len(seen) / 3
    assert (seen == 1).all()


def _context(sites: int) -> Context:
    sea = xr.DataArray(np.ones(sites, bool), dims="x")
    std = xr.DataArray(np.ones((1, sites)), {"variable": ["q"]}, ("variable", "x"))
    return Context(std.expand_dims(quantile=[0.9]), sea, std)


def _both(values: np.ndarray) -> xr.DataArray:
    """Of `(init, lead, member, x)`."""
    dims = ("init_time", "lead_time", "member", "variable", "x")
    return xr.DataArray(values[:, :, :, None], {"variable": ["q"]}, dims)


@pytest.mark.slow
def test_random_folds_leak_and_blocks_of_valid_time_do_not() -> None:
    """Two runs of one slow process, as member and draw: one law, and neighbours in time alike.

    Without blocks it seems to tell them apart. Over 12 pairs of runs the mean of the area is 1/2
    with a standard error below 0.03 with blocks: five of them are 0.15.
    """
    rng = np.random.default_rng(1)
    inits, leads, sites = 300, 8, 12
    areas: dict[str, list[float]] = {"blocks": [], "random": []}
    for _ in range(12):
        noise = rng.normal(size=(inits + leads, 2, sites))
        run = np.zeros_like(noise)
        for time in range(1, len(run)):
            run[time] = 0.9 * run[time - 1] + noise[time]
        windows = np.stack([run[t : t + leads] for t in range(inits)])
        told = xr.Dataset(
            {
                "trajectory": ("init_time", np.zeros(inits, int)),
                "position": ("init_time", np.arange(inits)),
            }
        )
        areas["blocks"].append(_area(windows, told, 1))
        told["trajectory"] = ("init_time", rng.permutation(inits))  # as if they were independent
        areas["random"].append(_area(windows, told, 1))
    print(areas)
    assert np.mean(areas["random"]) > 0.8
    assert abs(np.mean(areas["blocks"]) - 0.5) < 0.15


def _classifier(
    both: xr.DataArray, context: Context, inits: xr.Dataset, members: int, memory: int = 2**30
) -> Classifier:
    """Of so many members and the draws after them, which are in memory."""

    def cut(piece: Piece) -> xr.DataArray:
        found: xr.DataArray = both.isel(
            init_time=slice(*piece.inits), lead_time=slice(*piece.leads)
        )
        return found

    sizes = both.sizes
    draws = sizes["member"] - members
    return Classifier(cut, sizes["lead_time"], context, inits, members, draws, memory)


def _areas(classifier: Classifier, orders: int = 1) -> np.ndarray:
    cases = sum(len(asked) for _, asked in classifier.folds)
    pool = classifier.members + classifier.draws
    return classifier.areas(Exchanges(cases, pool, orders - 1, 0).begin, orders)


def _area(values: np.ndarray, inits: xr.Dataset, members: int) -> float:
    context = _context(values.shape[-1])
    return float(_areas(_classifier(_both(values), context, inits, members))[0])


def _drawn(kind: str, inits: int = 60, count: int = 12) -> np.ndarray:
    """Twice so many draws of a normal law with dependence, of which the first ones are changed."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(inits, 2, 2 * count, 8))
    x = (x + np.roll(x, 1, -1)).cumsum(1)
    own = x[:, :, :count]
    if kind == "shifted":
        own += 0.6
    if kind == "wide":
        own *= 1.3
    if kind == "skewed":
        own[:] = (np.exp(own / 2) - np.exp(own / 2).mean()) * own.std() / np.exp(own / 2).std()
    if kind == "shuffled":
        for site in range(8):
            own[..., site] = own[:, :, rng.permutation(count)][..., site]
    if kind == "reshuffled":
        own[:, 1] = own[:, 1][:, rng.permutation(count)]
    return x


@pytest.mark.parametrize(
    ("kind", "sees"),
    [
        ("law", 0.0),
        ("shifted", 0.1),
        ("wide", 0.1),
        ("skewed", 0.1),
        ("shuffled", 0.1),
        ("reshuffled", 0.03),
    ],
)
def test_it_sees_every_way_of_being_wrong(kind: str, sees: float) -> None:
    """Of 1,440 members and draws: a standard error of the area is .015 a lead time, .011 of two."""
    area = _area(_drawn(kind), _inits(60, 1), 12)
    assert (area - 0.5 > sees) if sees else abs(area - 0.5) < 0.055


@pytest.mark.parametrize(("kind", "sees"), [("none", False), ("smooth", True), ("shuffled", True)])
def test_it_sees_dependence_on_large_grids_with_land(kind: str, sees: bool) -> None:  # a parameter
    """Of 1,280 members and draws: a standard error of the area is .016."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 1, 32, 2, 24, 24))
    x += np.roll(x, 1, -1) + np.roll(x, 1, -2)
    own = x[:, :, :16]
    if kind == "smooth":
        own += np.roll(own, 1, -1)
        own /= own.std() / x[:, :, 16:].std()
    if kind == "shuffled":
        own[:] = rng.permuted(own, axis=2)
    dims = ("init_time", "lead_time", "member", "variable", "y", "x")
    both = xr.DataArray(x, {"variable": ["u", "v"]}, dims)
    sea = xr.DataArray(np.ones((24, 24), bool), dims=("y", "x"))
    sea[8:12, 5:20] = False
    std = xr.DataArray(np.ones((2, 24, 24)), {"variable": ["u", "v"]}, ("variable", "y", "x"))
    context = Context(std.expand_dims(quantile=[0.9]), sea, std)
    area = float(_areas(_classifier(both.where(sea), context, _inits(40, 1), 16))[0])
    assert (area > 0.6) if sees else abs(area - 0.5) < 0.08


def test_labels_that_change_places_turn_the_area_round() -> None:
    classifier = _classifier(_both(_drawn("shifted")), _context(8), _inits(60, 1), 12)
    same = np.tile(np.arange(24), (60, 1))
    orders = [same, np.roll(same, 12, axis=1)]
    own, turned = classifier.areas(lambda: lambda number, at: orders[number][slice(*at)], 2)
    assert turned == pytest.approx(own, abs=1e-6)


def test_the_areas_are_the_same_in_pieces_of_any_size() -> None:
    """With 20 kB each lead time, fold and init is a piece; sums then differ in their last bits."""
    x, inits = _drawn("wide", 20), _inits(20, 1)
    whole, cut = (
        _areas(_classifier(_both(x), _context(8), inits, 12, memory), 4)
        for memory in (2**30, 20_000)
    )
    assert len(set(whole)) == 4  # each order is one of its own
    np.testing.assert_allclose(cut, whole, rtol=1e-6)
