"""Members of strangers: NaN on land, members that are not there, and how both are scored."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from click.testing import CliRunner, Result

from geobench import scoring
from geobench.cli import main
from geobench.contracts.model import silent
from geobench.nodes.engine import Engine
from geobench.nodes.scores import statistics
from geobench.nodes.session import Session
from geobench.registry import Registry
from geobench_catalog import Catalog, Entry

ISLAND = """
from datetime import timedelta
from geobench import Dimension, Simulator, StateSpec, Variable, hookimpl

class Island(Simulator):
    '''An AR(1) field around an island.'''
    name = "island"
    @property
    def spec(self):
        dims = (Dimension(name="y", size=4), Dimension(name="x", size=6, periodic=True))
        return StateSpec(variables=(Variable(name="u", units="m s-1"),), land=(10, 11), dims=dims)
    @property
    def output_step(self):
        return timedelta(hours=6)
    def _dry(self, s):
        s = s.clone(); s.flatten(2)[..., [10, 11]] = 0
        return s
    def initial(self, noise):
        return self._dry(noise.use("initial").normal(*self.spec.shape))
    def advance(self, state, steps, noise):
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*self.spec.shape, dtype=state.dtype)
            state = self._dry(0.8 * state + 0.6 * kick)
        return state

@hookimpl
def geobench_simulators():
    return [Island]
"""
STUDY = {
    "experiments": {
        "island": {
            "simulator": {"use": "island"},
            "spin_up": 10,
            "train": {"trajectories": 10, "steps": 20},
            "validation": {"trajectories": 2, "steps": 20},
            "test": {"trajectories": 6, "inits": 2, "every": 3},
            "leads": 3,
            "quantiles": [0.9],
        }
    },
    "models": {"climatology": "climatology", "oracle": "oracle"},
    "members": 6,
    "scorers": ["crps", "spread-skill"],
    "reference": {"members": 8},
}
RANKED = {
    "crps-parts",
    "rank-histogram",
    "coverage",
    "reliability",
    "resolution",
    "roc",
    "sedi",
    "economic-value",
    "law-reliability",
    "multivariate-ranks",
}
COUNTS = np.tile([6, 2, 2, 4], 3)  # members of each of the 12 inits


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalog in which the study has run."""
    folder = tmp_path_factory.mktemp("island")
    (folder / "island.py").write_text(ISLAND)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    result = _geobench(folder, "run", folder / "study.yaml")
    assert result.exit_code == 0, result.output
    return folder


def _geobench(folder: Path, *words: object) -> Result:
    given = ["-q", "--catalog", folder / "catalog", "--plugin", folder / "island.py", *words]
    return CliRunner().invoke(main, [*map(str, given)])


def _theirs(folder: Path) -> xr.Dataset:
    """The oracle's own forecast, with nothing that says whose it is."""
    ours = Catalog(folder / "catalog").get("forecast/island.oracle.s0@1").load()
    for variable in ours.variables.values():
        variable.encoding.clear()
    return ours.drop_attrs(deep=False).drop_vars("member")


def _ragged(data: xr.Dataset, seed: int = 0) -> xr.Dataset:
    """Keep so many members of each init, here and there; the others are NaN."""
    rng = np.random.default_rng(seed)
    keep = np.zeros((12, 6), bool)
    for init, count in enumerate(COUNTS):
        keep[init, rng.choice(6, count, replace=False)] = True
    return data.where(xr.DataArray(keep, dims=("init_time", "member")))


def _take_in(folder: Path, data: xr.Dataset, model: str, *words: object) -> Result:
    path = folder / f"{model}.nc"
    data.to_netcdf(path, engine="h5netcdf")
    given = ("--dataset", "dataset/island@1", "--model", model, *words)
    return _geobench(folder, "catalog", "import-forecast", path, *given)


def _entry(folder: Path, result: Result) -> Entry:
    assert result.exit_code == 0, result.output
    return Catalog(folder / "catalog").get(result.stdout.strip())


def test_nan_on_land_is_no_failure_and_changes_no_score(ran: Path) -> None:
    data = _theirs(ran)
    land = np.zeros((4, 6), bool)
    land.ravel()[[10, 11]] = True
    data["u"].values[..., land] = np.nan
    brought = _entry(ran, _take_in(ran, data, "ocean"))
    assert brought.record.summary["failed_members"] == 0
    scores = []
    for name in (str(brought.reference), "forecast/island.oracle.s0@1"):
        scored = _geobench(ran, "score", name, "--scorer", "crps")
        assert scored.exit_code == 0, scored.output
        scores.append(scored.stdout.splitlines()[1])
    assert scores[0] == scores[1]


def test_nan_at_sea_is_a_failure_and_says_where(ran: Path) -> None:
    data = _theirs(ran)
    data["u"].values[10, 1, 4, 2, 5] = np.nan
    result = _take_in(ran, data, "wet")
    assert result.exit_code == 2
    time = str(data["init_time"].values[10])[:16]
    told = f"1 is not finite (u = nan at init 10, lead 2, member 4, y 2, x 5, {time} + 12 h)"
    assert told in result.stderr
    assert "--absent-members" not in result.stderr  # it is there, and has failed


def test_members_that_are_not_there_must_be_declared(ran: Path) -> None:
    result = _take_in(ran, _ragged(_theirs(ran)), "silent")
    assert result.exit_code == 2
    assert "--keep-failures: it then ranks below" in result.stderr
    assert "pass --absent-members if these were never made" in result.stderr


@pytest.fixture(scope="module")
def ragged(ran: Path) -> tuple[Path, Entry]:
    result = _take_in(ran, _ragged(_theirs(ran)), "ragged", "--absent-members")
    assert "note: members differ in number by init: 2 to 6" in result.stderr
    return ran, _entry(ran, result)


def test_each_init_keeps_its_own_members_in_their_order(ragged: tuple[Path, Entry]) -> None:
    folder, entry = ragged
    summary = entry.record.summary
    assert summary["member_counts"] == COUNTS.tolist()
    assert (summary["members"], summary["failed_members"]) == (COUNTS.sum(), 0)
    stored, given = entry.load()["u"].to_numpy(), _ragged(_theirs(folder))["u"].to_numpy()
    for init, count in enumerate(COUNTS):
        there = ~np.isnan(given[init, 0, :, 0, 0])
        np.testing.assert_array_equal(stored[init, :, :count], given[init][:, there])
        assert np.isnan(stored[init, :, count:]).all()


def test_a_member_that_failed_is_none_that_is_absent(ran: Path) -> None:
    data = _ragged(_theirs(ran))
    member = int(np.flatnonzero(~np.isnan(data["u"].values[3, 0, :, 0, 0]))[1])
    data["u"].values[3, 2, member] = np.nan
    result = _take_in(ran, data, "half", "--absent-members")
    assert result.exit_code == 2
    assert f"1 of {COUNTS.sum()} members" in result.stderr
    assert "u = nan at init 3, lead 3, member 1, y 0, x 0" in result.stderr


def test_an_init_without_members_is_missing(ran: Path) -> None:
    data = _theirs(ran)
    data["u"].values[[7, 9]] = np.nan
    result = _take_in(ran, data, "empty", "--absent-members")
    assert result.exit_code == 2
    time = str(data["init_time"].values[7])[:16]
    assert f"2 of 12 inits have no member with any number, the first at {time}" in result.stderr


def test_a_member_that_is_never_there_is_left_out(ran: Path) -> None:
    data = _theirs(ran)
    data["u"].values[:, :, 2] = np.nan
    entry = _entry(ran, _take_in(ran, data, "five", "--absent-members"))
    assert entry.record.recipe["members"] == 5
    assert "member_counts" not in entry.record.summary
    np.testing.assert_array_equal(entry.load()["u"], data["u"].isel(member=[0, 1, 3, 4, 5]))


def test_ranks_are_among_the_fewest_members_and_other_scores_among_all(
    ragged: tuple[Path, Entry],
) -> None:
    folder, entry = ragged
    session = Session(Engine(Catalog(folder / "catalog"), Registry([folder / "island.py"])))
    forecast = session.engine.forecast(entry)
    scorers = [session.registry.scorer(name) for name in ("crps", "rank-histogram")]
    crps, ranks = (score.load() for score in session.scores(entry, scorers))
    assert ranks.sizes["rank"] == COUNTS.min() + 1
    sea = session.engine.context(forecast.dataset, scorers).sea.to_numpy()
    seen = forecast.dataset.outcome()["u"].to_numpy()
    for init, count in enumerate(COUNTS):
        x = entry.load()["u"].to_numpy()[init, 0, :count][:, sea].astype(float)
        between = abs(x[:, None] - x[None]).sum((0, 1)) / (2 * count * (count - 1))
        fair = (abs(x - seen[init, 0][sea]).mean(0) - between).mean()
        np.testing.assert_allclose(crps["crps"].to_numpy()[init, 0].mean(), fair, rtol=1e-5)


@pytest.mark.slow
def test_each_init_is_scored_with_its_own_members(ragged: tuple[Path, Entry]) -> None:
    """By every scorer, as if it were alone; and the CRPS is that of the fair formula.

    Ranks among different numbers of members have no mean: scorers that count them take the fewest.
    The CRPS differs from the formula by rounding alone: float32 statistics of values near 1.
    """
    folder, entry = ragged
    session = Session(Engine(Catalog(folder / "catalog"), Registry([folder / "island.py"])))
    law = session.catalog.get("forecast/island.reference.s1000000@1")
    dataset = session.catalog.get("dataset/island@1")
    scorers = [
        session.registry.scorer(n) for kind, n in session.registry.offers if kind == "scorer"
    ]
    scores = list(
        statistics(
            session.engine,
            session.engine.forecast(entry),
            scorers,
            session.engine.forecast(law),
            silent,
        )
    )
    context, truth = (
        session.engine.context(session.engine.dataset(dataset), scorers),
        session.engine.dataset(dataset).outcome(),
    )
    stored, draws = entry.load(), law.load()
    init, case = 3, {"init_time": [3]}  # with four members: neither the fewest nor the most
    for ranked in (False, True):
        own = [s for s in scorers if (s.name in RANKED) == ranked]
        count = int(COUNTS.min() if ranked else COUNTS[init])
        members = stored.isel(case).isel(member=slice(count))
        given = (members, truth.isel(case), context)
        alone = scoring.statistics(own, *given, block=1, law=draws.isel(case))
        for scorer, wanted in zip(own, alone, strict=True):
            found = scores[scorers.index(scorer)].isel(case)
            for name in wanted.data_vars:
                told = f"{scorer.name}: {name}"
                np.testing.assert_allclose(
                    found[name], wanted[name], rtol=1e-6, atol=1e-9, err_msg=told
                )
    crps = session.score(entry, session.registry.scorer("crps")).load()
    sea, seen = context.sea.to_numpy(), truth["u"].to_numpy()
    for init in (0, 1, 3):
        count = int(COUNTS[init])
        x = stored["u"].to_numpy()[init, 0, :count][:, sea].astype(float)
        y = seen[init, 0][sea].astype(float)
        between = abs(x[:, None] - x[None]).sum((0, 1)) / (2 * count * (count - 1))
        fair = (abs(x - y).mean(0) - between).mean()
        value = crps["crps"].to_numpy()[init, 0].mean()
        np.testing.assert_allclose(value, fair, rtol=1e-5)


@pytest.mark.slow
def test_a_board_says_how_many_members_there_are(ragged: tuple[Path, Entry]) -> None:
    folder, entry = ragged
    page = folder / "page.html"
    words = (folder / "study.yaml", "--with", entry.reference)
    board = _geobench(folder, "leaderboard", *words, "--html", page)
    assert board.exit_code == 0, board.output
    assert "2–6 members" in page.read_text("utf-8")
    shown = _geobench(folder, "leaderboard", *words)
    assert shown.exit_code == 0, shown.output
    assert "ragged has 2–6 members, by init" in " ".join(shown.output.split())
    built = _geobench(folder, "leaderboard", "build", folder / "study.yaml", "--out", folder / "s")
    assert built.exit_code == 0, built.output


@pytest.mark.parametrize("command", ["events", "test", "plan"])
def test_what_needs_equal_numbers_of_members_says_so(
    ragged: tuple[Path, Entry], command: str
) -> None:
    folder, entry = ragged
    law = ("--law", "forecast/island.reference.s1000000@1") if command != "events" else ()
    result = _geobench(folder, command, entry.reference, *law)
    assert result.exit_code == 2
    told = f"has 2 to 6 members, by init, and geobench {command} needs as many at each"
    assert told in result.stderr
