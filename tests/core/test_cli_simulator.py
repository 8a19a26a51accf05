"""geobench simulator describe, and simulate --animate: what is printed, written and refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner, Result
from matplotlib import animation
from matplotlib.figure import Figure
from PIL import Image

from geobench import Dimension, GeobenchError, Law, Noise, StateSpec, Variable
from geobench.cli import main
from geobench.contracts.model import unwatched
from geobench.describe import effort, film, measuring, pages, report, terminal
from geobench.describe.section import section
from geobench.plots import drawing
from geobench.plots.fields import norm_of
from geobench.registry import Registry
from geobench.statistics.intervals import Interval
from geobench.tables.numbers import in_fitting_digits, with_interval
from geobench.testing import Decay

EDDIES = """
from datetime import timedelta

import torch

from geobench import Dimension, Simulator, StateSpec, Variable, hookimpl


class Eddies(Simulator):
    '''Red noise in two variables on a square with an island.'''

    name = "eddies"

    n: int = 8

    @property
    def spec(self):
        height = Variable(name="h", units="m", long_name="layer thickness")
        dims = [Dimension(name=d, size=self.n, spacing=3e4, units="m") for d in ("y", "x")]
        return StateSpec(
            variables=(height, Variable(name="u", units="m s-1")), dims=tuple(dims), land=(0, 1, 8)
        )

    @property
    def output_step(self):
        return timedelta(days=5)

    def initial(self, noise):
        return self.advance(torch.zeros(len(noise), *self.spec.shape), 1, noise.use("initial"))

    def advance(self, state, steps, noise):
        sea = torch.from_numpy(self.spec.sea)
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*self.spec.shape, dtype=state.dtype)
            kick = kick + kick.roll(1, -1)
            state = (0.8 * state + kick) * sea
        return state

    def diagnostics(self, state):
        energy = state[:, 1].square()
        return {**super().diagnostics(state), "energy": energy, "mean-energy": energy.mean((1, 2))}


@hookimpl
def geobench_simulators():
    return [Eddies]
"""
EXPERIMENT = """
title: Eddies | a test
simulator: {use: eddies}
spin_up: 5
train: {trajectories: 2, steps: 5}
validation: {trajectories: 2, steps: 5}
test: {trajectories: 2, inits: 2, every: 2}
leads: 3
events:
  - name: low-corner
    of: h
    reduce: min
    side: below
    region: [[0.5, 1], [0, 1]]
    quantiles: [0.9]
  - {name: burst, of: mean-energy, quantiles: [0.9]}
"""


@pytest.fixture
def eddies(tmp_path: Path) -> Path:
    (tmp_path / "plugin.py").write_text(EDDIES)
    (tmp_path / "eddies.yaml").write_text(EXPERIMENT)
    return tmp_path


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geobench.describe.effort._NUMBERS", dict.fromkeys(
        ("quick", "normal", "long"), 1e5
    ))  # fmt: skip
    monkeypatch.setattr("geobench.describe.effort._RESAMPLES", dict.fromkeys(
        ("quick", "normal", "long"), 5
    ))  # fmt: skip


def _run(folder: Path, *words: object) -> Result:
    options = ["--plugin", str(folder / "plugin.py")] if (folder / "plugin.py").exists() else []
    start = ["-q", "--catalog", str(folder / "catalog"), *options]
    return CliRunner().invoke(main, [*start, *map(str, words)])


def test_a_report_of_an_experiment(tmp_path: Path) -> None:
    done = _run(tmp_path, "simulator", "describe", "lorenz95", "--unit-days", 5)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Lorenz95, 40 sites")
    for heading in ("Climate", "Predictability", "Lyapunov exponents", "Difficulty", "Events"):
        assert f"\n{heading}\n" in done.stdout
    assert "per 5 days" in done.stdout
    assert "energy-burst" in done.stdout
    assert "nan" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
    bare = _run(tmp_path, "simulator", "describe", "lorenz95", "--set", "events=[]")
    assert "The experiment names no events" in bare.stdout


@pytest.mark.slow
def test_a_report_is_the_same_again(eddies: Path) -> None:
    first, again = (_run(eddies, "simulator", "describe", "eddies") for _ in range(2))
    assert first.stdout == again.stdout != ""


def test_a_page_and_a_picture_of_a_file_with_its_own_events(
    eddies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def spy(chart: Any, *looks: Any, **options: Any) -> Any:
        drawn.append(options["title"])
        return draw(chart, *looks, **options)

    draw = drawing.draw  # which figures for papers are drawn with, too
    monkeypatch.setattr(drawing, "draw", spy)
    page, picture = eddies / "page.md", eddies / "picture.png"
    words = ("simulator", "describe", eddies / "eddies.yaml", "--set", "leads=2")
    html = eddies / "page.html"
    done = _run(eddies, *words, "--plot", picture, "--markdown", page, "--html", html)
    assert done.exit_code == 0, done.output
    assert drawn[:2] == ["Climatological density", "Autocorrelation"]
    text = page.read_text()
    assert text.startswith("# Eddies | a test\n")
    told_of = f"{eddies}/plugin.py simulator describe {eddies}/eddies.yaml --set leads=2 --plot"
    assert f"\ngeobench --plugin {told_of}" in text
    assert "](picture.png)" in text
    assert "<h2>Difficulty</h2>" in html.read_text()
    assert 'src="data:image/png;base64,iVBOR' in html.read_text()
    assert "| h m |" in text
    assert "| low-corner | 90 % (low tail) |" in text
    assert "Return levels: burst" in text
    assert "The experiment names no events" not in text
    for line in text.splitlines():
        if line.startswith("|"):  # a bar in a title must not split a cell
            assert line.count("|") - line.count(r"\|") >= 3
    with Image.open(picture) as image:
        assert min(image.size) > 800


@pytest.mark.slow
def test_numbers_as_json(eddies: Path) -> None:
    done = _run(eddies, "simulator", "describe", "eddies", "--json", "--exponents", 3)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["simulator"]["use"] == "eddies"
    assert found["variables"] == ["h", "u"]
    # A linear system: each exponent is the damping, ln .8 in 5 days.
    assert found["exponents_per_day"]["values"] == pytest.approx([np.log(0.8) / 5] * 3, abs=1e-6)
    assert found["growth"] is None
    assert [each["lead"] for each in found["cards"]] == [1, 3, 10]
    assert [each["event"]["name"] for each in found["extremes"]] == [
        "high-at-a-cell",
        "domain-maximum",
    ]


def test_bare_means_the_simulator(tmp_path: Path) -> None:
    options = ("--bare", "--spin-up", 30, "--set", "amplitude=0", "--json")
    done = _run(tmp_path, "simulator", "describe", "lorenz95", *options)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["title"] == "The simulator lorenz95"
    assert found["spin_up"] == 30
    assert found["simulator"]["amplitude"] == 0
    # Deterministic: the law is a single state.
    assert found["noise_to_increment"][0][0] == 0
    assert found["cards"][0]["oracle"]["crps"] == 0
    assert found["verdicts"][0].startswith("is deterministic")


@pytest.mark.parametrize(
    ("words", "told_of"),
    [
        (("describe", "lorentz95"), "no simulator is called 'lorentz95'. Did you mean 'lorenz95'?"),
        (("describe", "none.yaml"), "there is no file none.yaml"),
        (("describe", "lorenz95", "--markdown", "no/where.md"), "there is no folder no for where"),
        (("describe", "lorenz95", "--plot", "a.doc"), "a.doc: pictures end in .png, .svg, .pdf"),
        (("describe", "lorenz95", "--set", "shown=[z]"), "there is no variable 'z'. There are: q."),
    ],
)
def test_mistakes_are_told_on_one_line(
    tmp_path: Path, words: tuple[str, ...], told_of: str
) -> None:
    done = _run(tmp_path, "simulator", *words)
    assert done.exit_code == 2
    assert told_of in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_hidden_variables_are_left_out(eddies: Path, registry: Registry) -> None:
    with_plugin = Registry([eddies / "plugin.py"])
    fields = {"simulator": {"use": "eddies"}, "spin_up": 2, "leads": 2, "shown": ["u"]} | {
        split: {"trajectories": 2, "steps": 4} for split in ("train", "validation")
    }
    fields["test"] = {"trajectories": 2}
    experiment = with_plugin.experiment(fields, "test")
    simulator = with_plugin.simulator(experiment.simulator)
    found = measuring.describe(
        "hidden",
        experiment,
        simulator,
        effort.Effort.of("quick", simulator.spec, 2),
        watch=unwatched,
    )
    assert [variable.name for variable in found.spec.variables] == ["u"]
    assert found.sample.shape[1] == len(found.moments) == 1
    assert found.given_less
    assert "models are given less" in " ".join(report.sections(found)[5].notes)


@pytest.mark.slow
def test_a_law_that_knows_less_is_wider(registry: Registry) -> None:
    # Decay from its exact state: standard deviation .6 after a step. From eight samples of the
    # climate, N(mean, covariance) of them: sqrt(.36 + .64 v), v their variance, 1 on average.
    simulator = Decay()
    experiment = registry.experiment({"use": "lorenz95", "leads": 1, "events": []}, "test")
    given = simulator.initial(Noise.rows(1, "start", 6))
    samples = Noise.rows(2, "samples", 6).normal(8, 1, 8)
    size = effort.Effort.of("quick", simulator.spec, 1)
    exact, less = (
        measuring.describe("decay", experiment, simulator, size, watch=unwatched, known=known)
        for known in (None, (Law(simulator, states=samples), given))
    )
    crps = [found.cards[0].oracle["crps"] for found in (exact, less)]
    spread = float(samples.var(1).mean())
    assert crps[0] == pytest.approx(0.6 / np.sqrt(np.pi), rel=0.1)
    assert crps[1] / crps[0] == pytest.approx(np.sqrt(0.36 + 0.64 * spread) / 0.6, rel=0.1)


# -- numbers and tables


def test_numbers_are_written_with_what_is_known() -> None:
    assert with_interval(Interval(1.23456, 1.2, float("inf"))) == "1.235 [1.200, …]"
    assert with_interval(Interval(-1.0, -2.0, -0.5), 1, 100) == "−100.0 [−200.0, −50.0]"
    assert with_interval(None) == with_interval(Interval(float("nan"), 0, 0)) == "–"
    assert in_fitting_digits(Interval(500.123, 497.0, 503.0)) == "500.1 [497.0, 503.0]"


def test_tables_in_terminal_and_page() -> None:
    part = section("Heading", ("a", "b"), [("x|y", "1 [0, 2]")], ["A note."])
    printed = terminal.report("Title", [part])
    assert printed.splitlines()[0] == "Title"
    assert "x|y" in printed
    page = pages.markdown("Title", [part], "geobench describe")
    assert "| a | b |\n| :-- | --: |\n| x\\|y | 1 \\[0, 2\\] |" in page


# -- films


def _gif(path: Path) -> tuple[int, tuple[int, int]]:
    with Image.open(path) as image:
        return getattr(image, "n_frames", 1), image.size


@pytest.mark.slow
@pytest.mark.parametrize("name", ["film.gif", "strip.png"])
def test_simulate_draws_the_first_test_trajectory(eddies: Path, name: str) -> None:
    path = eddies / name
    done = _run(eddies, "simulate", eddies / "eddies.yaml", "--animate", path)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["dataset/eddies@1", path.as_uri()]
    frames, size = _gif(path)
    assert frames == (2 + 2 + 3 if name == "film.gif" else 1)  # history, inits, leads
    assert min(size) > 300


def test_a_film_of_a_line(tmp_path: Path) -> None:
    fields = np.random.default_rng(0).standard_normal((5, 1, 8)).astype("float32")
    shown = film.Shots(fields, Decay().spec, days=1.0, title="Decay")
    film.save(shown, tmp_path / "line.gif")
    assert _gif(tmp_path / "line.gif")[0] == 5
    film.save(shown, tmp_path / "line.png")
    assert _gif(tmp_path / "line.png")[0] == 1


def test_long_films_leave_frames_out(tmp_path: Path) -> None:
    fields = np.random.default_rng(0).standard_normal((9, 1, 8)).astype("float32")
    film.save(film.Shots(fields, Decay().spec, 1.0, "Decay", frames=3), tmp_path / "a.gif")
    assert _gif(tmp_path / "a.gif")[0] == 3


def test_fields_among_the_diagnostics_are_shown(
    eddies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[film.Shots, Path]] = []
    monkeypatch.setattr(film, "save", lambda *words: drawn.append(words))
    path = eddies / "film.gif"
    done = _run(eddies, "simulate", eddies / "eddies.yaml", "--animate", path)
    assert done.stdout.splitlines() == ["dataset/eddies@1", path.as_uri()]
    from geobench_catalog import Catalog

    test = Catalog(eddies / "catalog").get("dataset/eddies@1").load("test")
    simulator = Registry([eddies / "plugin.py"]).simulator("eddies")
    shown = film.shots(test, simulator, "Eddies")
    assert [variable.name for variable in shown.spec.variables] == ["h", "u", "energy"]
    assert shown.days == 5
    states = torch.from_numpy(shown.fields[:, :2])
    assert np.array_equal(shown.fields[:, 2], simulator.diagnostics(states)["energy"].numpy())
    ((first, where),) = drawn
    assert (first.title, where) == ("dataset/eddies@1", path)
    assert np.array_equal(first.fields, shown.fields)


class Doubled(Decay):
    """Red noise whose diagnostics are its state in other units, and the square of it."""

    name = "doubled"

    def diagnostics(self, state: torch.Tensor) -> dict[str, torch.Tensor]:
        """Two fields of the state."""
        field = state[:, 0]
        return {"negative": 3 - 2 * field, "square": field.square()}


def test_a_diagnostic_that_is_a_variable_in_other_units_is_not_shown() -> None:
    simulator = Doubled()
    values = np.random.default_rng(0).standard_normal((1, 4, simulator.spec.grid[0]))
    time = np.arange(4) * np.timedelta64(12, "h")
    (name,), (dim,) = ([each.name for each in part] for part in (
        simulator.spec.variables, simulator.spec.dims
    ))  # fmt: skip
    fields = {name: (("trajectory", "time", dim), values.astype("f4"))}
    shown = film.shots(xr.Dataset(fields, {"time": time}), simulator, "Doubled")
    assert [variable.name for variable in shown.spec.variables] == [name, "square"]
    assert shown.days == 0.5


def _square(times: int) -> film.Shots:
    """Two variables on a square of four cells, of which one is land; other numbers each time."""
    dims = [Dimension(name=name, size=2, spacing=5e4, units="m") for name in "yx"]
    variables = (Variable(name="h", units="m", long_name="thickness"), Variable(name="u"))
    spec = StateSpec(variables=variables, dims=tuple(dims), land=(3,))
    fields = np.arange(8.0 * times, dtype="f4").reshape(times, 2, 2, 2)
    return film.Shots(fields, spec, days=2.0, title="A square")


def _images(figure: Figure) -> list[np.ma.MaskedArray]:  # type: ignore[type-arg]
    """What the maps of a figure show, its colour bars left out."""
    return [image.get_array() for axes in figure.axes for image in axes.get_images()]


def test_a_strip_of_maps_has_variables_down_and_times_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, _: figures.append(figure))
    shown = _square(11)
    film.save(shown, tmp_path / "strip.png")
    (figure,) = figures
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    days = [
        f"({name}) day {day}" for name, day in zip("abcdef", (0, 4, 8, 12, 16, 20), strict=True)
    ]
    assert titles == [*days, *(f"({name})" for name in "ghijkl")]
    times = [(time, channel) for channel in range(2) for time in (0, 2, 4, 6, 8, 10)]
    for image, place in zip(_images(figure), times, strict=True):
        assert np.array_equal(image.compressed(), shown.fields[place].ravel()[:3])  # not the land
    bars = [bar.get_ylabel() for axes in figure.axes for bar in axes.child_axes]
    assert bars == ["thickness (h), m", "u"]


def test_a_film_of_maps_shows_every_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []
    shown = _square(3)

    def grab(writer: Any, **_: object) -> None:
        frames.append([image.compressed() for image in _images(writer.fig)])

    monkeypatch.setattr(animation.PillowWriter, "grab_frame", grab)
    monkeypatch.setattr(animation.PillowWriter, "finish", lambda _: None)
    film.save(shown, tmp_path / "film.gif")
    assert len(frames) == 3
    for time, images in enumerate(frames):
        assert np.array_equal(images, shown.fields[time].reshape(2, 4)[:, :3])


def test_colours_are_symmetric_about_zero_or_the_middle() -> None:
    signed, positive = norm_of([-1.0, 0.0, 1.0, 3.0]), norm_of([498.0, 500.0, 500.0, 506.0])
    assert signed.vmin == -signed.vmax
    assert (positive.vmin + positive.vmax) / 2 == pytest.approx(500)


@pytest.mark.parametrize(("name", "told_of"), [("a.txt", "end in .gif"), ("a.mp4", "ffmpeg")])
def test_films_that_cannot_be_made_are_refused_before_work(
    tmp_path: Path, name: str, told_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = _run(tmp_path, "simulate", "lorenz95", "--animate", tmp_path / name)
    assert done.exit_code == 2
    assert told_of in done.stderr
    assert not (tmp_path / "catalog").exists()


def test_three_grid_dims_cannot_be_drawn(tmp_path: Path) -> None:
    dims = tuple(Dimension(name=name, size=2) for name in "xyz")
    spec = StateSpec(variables=(Variable(name="q"),), dims=dims)
    shown = film.Shots(np.zeros((2, 1, 2, 2, 2), "f4"), spec, 1.0, "")
    with pytest.raises(GeobenchError, match="3 grid dims cannot be drawn"):
        film.save(shown, tmp_path / "a.png")


@pytest.mark.slow
def test_an_observed_twin_is_measured_from_what_is_known(tmp_path: Path) -> None:
    observed = tmp_path / "observed.yaml"
    observed.write_text(
        "simulator: {use: lorenz95, sites: 8}\n"
        "spin_up: 10\nfilter_spin_up: 10\nleads: 2\n"
        "train: {trajectories: 4, steps: 10}\nvalidation: {trajectories: 2, steps: 10}\n"
        "test: {trajectories: 6}\ngiven: analysis\n"
        "observation: {}\nassimilation: {use: etkf, members: 12}\n"
    )
    words = ["-q", "--catalog", str(tmp_path / "catalog")]
    describe = [*words, "simulator", "describe", str(observed), "--effort", "quick"]
    before = CliRunner().invoke(main, describe)
    assert before.exit_code == 0, before.output
    assert "These draws start from the exact state" in before.stdout
    assert "Simulate it first." in before.stderr
    made = CliRunner().invoke(main, [*words, "simulate", str(observed)])
    assert made.exit_code == 0, made.output
    after = CliRunner().invoke(main, describe)
    assert after.exit_code == 0, after.output
    assert "These draws start from the exact state" not in after.stdout
    assert "Simulate it first." not in after.stderr
