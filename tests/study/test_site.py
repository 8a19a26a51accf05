"""The site, in a browser: it fetches nothing, sorts, filters, and can be read by everybody."""

import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench.nodes import processes
from geobench.site import changes
from geobench.site.build import SCRIPTS
from geobench_catalog import Catalog

LONG = "a-very-long-name-" * 3
STUDY = f"""
title: "<script>alert(1)</script> مرحبا \\U0001F30A & {"long" * 40}"
experiments:
  tiny:
    use: lorenz95
    title: "A <b>twin</b> \\u202Ereversed"
    spin_up: 5
    train: {{trajectories: 20, steps: 20}}
    validation: {{trajectories: 4, steps: 10}}
    test: {{trajectories: 20}}
    leads: 3
models:
  oracle: {{use: oracle}}
  climatology: {{use: climatology}}
  persistence: {{use: persistence}}
  {LONG}: {{use: analog, neighbours: 3}}
seeds: [0, 1]
members: 6
scorers: [crps, spread-skill, rank-histogram, reliability, tail-crps, law-brier, spectrum]
reference: {{members: 12}}
"""
TWIN = """experiments:
  other:
    use: lorenz95
    title: Another one
    spin_up: 5
    train: {trajectories: 20, steps: 20}
    validation: {trajectories: 4, steps: 10}
    test: {trajectories: 20}
    leads: 2"""
SEA = """
title: An ocean
experiments:
  sw:
    use: shallow-water
    simulator: {n: 16}
    spin_up: 2
    train: {trajectories: 4, steps: 6}
    validation: {trajectories: 2, steps: 4}
    test: {trajectories: 20}
    leads: 2
models:
  oracle: {use: oracle}
  climatology: {use: climatology}
  persistence: {use: persistence}
members: 4
scorers: [crps, reliability]
reference: {members: 8}
"""


def _geobench(catalog: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["-q", "--catalog", str(catalog), *map(str, words)])


def _told(catalog: Path, *words: object) -> str:
    result = _geobench(catalog, *words)
    # 3: the stranger's forecast is that of persistence, whose members are copies.
    assert result.exit_code in (0, 3), result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of two experiments, a stranger's forecast among them, and the site of it."""
    folder = tmp_path_factory.mktemp("site")
    studies = [folder / "study.yaml", folder / "sea.yaml"]
    for study, text in zip(studies, (STUDY, SEA), strict=True):
        study.write_text(text, "utf-8")
        _told(folder / "catalog", "run", study)
    catalog = Catalog(folder / "catalog")
    theirs = catalog.get("forecast/tiny.persistence.s0@1").load().drop_encoding()
    theirs.to_netcdf(folder / "theirs.nc")
    _told(
        folder / "catalog", "catalog", "import-forecast", folder / "theirs.nc",
        "--dataset", "dataset/tiny@1", "--model", "persistence",
    )  # fmt: skip
    build = ("--processes", 1, "leaderboard", "build")
    _told(folder / "catalog", *build, *studies, "--out", folder / "s")
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Path:
    return folder / "s"


# -- without a browser


def test_pages_hold_names_as_text_and_files_have_safe_names(site: Path) -> None:
    for path in site.rglob("*"):
        assert re.fullmatch(r"[a-z0-9_.-]{1,120}", path.name), path.name
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert "<script>alert" not in text
        assert "<b>twin</b>" not in text
        for target in re.findall(r'(?:src|href)="([^"#]+)"', text):
            assert target == "data:," or (page.parent / target).exists(), (page, target)
    index = (site / "index.html").read_text("utf-8")
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt; مرحبا" in index


def _headings(text: str) -> list[tuple[str, str]]:
    """Where each heading of a column leads, and its text."""
    heads = re.findall(r'<th scope="col".*?</th>', text, re.S)
    assert len(heads) == sum(
        len(re.findall("<th ", row)) for row in re.findall("<thead>.*?</thead>", text, re.S)
    )
    links = [re.findall(r'<a href="(.*?)">(.*?)</a>', head) for head in heads]
    assert all(len(found) == 1 for found in links), heads
    return [found[0] for found in links]


def test_every_heading_of_a_table_leads_to_its_definition(site: Path) -> None:
    text = (site / "glossary.html").read_text("utf-8")
    assert "<script defer" not in text
    leading = {}
    for page in site.rglob("*.html"):
        assert 'glossary.html"' in page.read_text("utf-8")  # the menu
        for link, heading in _headings(page.read_text("utf-8")):
            path, anchor = link.split("#")
            assert (page.parent / path).resolve() == site / "glossary.html"
            assert f'<dt id="{anchor}">' in text, link
            leading[heading] = anchor
    assert leading["Rank range"] == "rank-range"
    assert leading["day 1"] == "lead-time"
    assert leading["CRPS"] == "score-crps"
    assert "Scorer: <code>crps</code>" in text


def test_the_site_is_small(site: Path) -> None:
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 15e6


def test_a_strangers_forecast_is_on_the_board_and_marked(folder: Path) -> None:
    told = json.loads((folder / "s" / "board.json").read_text("utf-8"))
    (board,) = [each for each in told["boards"] if each["name"] == "tiny"]
    (theirs,) = [row for row in board["rows"] if row["imported"]]
    assert theirs["label"] == "persistence (guest)"
    # It is the study's own forecast under another name, so it scores the same.
    (own,) = [r for r in board["rows"] if (r["label"], r["seed"]) == ("persistence", 0)]
    assert theirs["excess"] == own["excess"]
    page = next((folder / "s" / "entries").glob("*guest*")).read_text("utf-8")
    assert "imported" in page
    assert "geobench reproduce score/tiny.persistence.crps@1" in page
    assert "geobench reproduce forecast/tiny.persistence@1" not in page
    # In a terminal, where it is asked for.
    words = ("leaderboard", folder / "study.yaml", "--with", "forecast/tiny.persistence@1")
    assert "persistence (guest) – imported" in _told(folder / "catalog", *words)
    assert "guest" not in _told(folder / "catalog", "leaderboard", folder / "study.yaml")


def test_every_command_of_an_entry_names_what_is_there(folder: Path) -> None:
    catalog = Catalog(folder / "catalog")
    page = next((folder / "s" / "entries").glob("*oracle-s0*")).read_text("utf-8")
    named = re.findall(r"<code>geobench reproduce (\S+)</code>", page)
    # Seven scores, the law forms of CRPS and of tails, and what they are of.
    assert len(named) == 7 + 2 + 3
    assert "Fresh draws of the true conditional law" in page
    for reference in named:
        assert catalog.get(reference).id


@pytest.mark.slow
def test_a_further_build_tells_what_changed(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    shutil.copytree(folder / "s", out)
    studies = [folder / "study.yaml", folder / "sea.yaml"]
    build = ("leaderboard", "build", *studies, "--out", out)
    assert "no changes" in _told(folder / "catalog", *build)
    for page in (folder / "s").rglob("*.html"):
        if page.name != "index.html":  # equal boards make equal pages
            assert (out / page.relative_to(folder / "s")).read_bytes() == page.read_bytes()
    build = ("leaderboard", "build", folder / "study.yaml", "--out", out, "--no-imported")
    _told(folder / "catalog", *build)
    told = json.loads((out / "board.json").read_text("utf-8"))
    # The guest had taken a place among the others, whose rank ranges are narrower without it.
    entry, experiment = (each for each in told["changes"] if each["what"] != "other rank")
    assert (entry["what"], entry["entry"]) == ("entry removed", "persistence (guest) (seed 0)")
    assert (experiment["what"], experiment["experiment"]) == ("experiment removed", "sw")
    assert "entry removed" in (out / "index.html").read_text("utf-8")
    assert not list((out / "entries").glob("*guest*"))


def test_a_score_that_moved_is_told() -> None:
    from geobench.site.changes import compared

    def told(value: float, rank: int) -> dict[str, Any]:
        cell = [[value, value - 1, value + 1], [0.0, -1.0, 1.0], None]
        column = {"name": "CRPS", "scorer": "crps", "version": "2", "cells": [[cell, cell]]}
        row = {
            "label": "fgn",
            "seed": 0,
            "rank": rank,
            "rank_range": [1, rank],
            "entries": {"forecast": "forecast/a@1"},
        }
        board = {"page": "p", "name": "tiny", "rows": [row], "columns": [column]}
        return {"boards": [board]}

    at = {"experiment": "tiny", "entry": "fgn (seed 0)"}
    assert compared(told(1.0, 1), told(1.5, 2)) == [
        {"what": "other rank", **at, "then": "1 (1 to 1)", "now": "2 (1 to 2)"},
        {"what": "other score", **at, "score": "CRPS (crps 2)", "then": 1.0, "now": 1.5},
    ]
    assert compared(told(1.0, 1), told(1.0 + 1e-9, 1)) == []


def _build(**rows: tuple[int | None, float | None]) -> dict[str, Any]:
    """A build with an experiment, whose entries have a rank and a score."""
    column = {
        "name": "CRPS",
        "scorer": "crps",
        "version": "2",
        "cells": [[[[score, None, None], None, None]] for _, score in rows.values()],
    }
    board = {
        "name": "tiny",
        "columns": [column],
        "rows": [
            {
                "label": label,
                "seed": 0,
                "rank": rank,
                "rank_range": None if rank is None else [rank, rank],
                "entries": {"forecast": f"forecast/{label}@1"},
            }
            for label, (rank, _) in rows.items()
        ],
    }
    return changes.document("Title", [("p", board)], None)


def _next(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    return changes.document("Title", [(board["page"], board) for board in now["boards"]], before)


def test_entries_that_come_and_go_are_told_with_their_ranks() -> None:
    first, second = _build(fgn=(1, 0.5), law=(None, 0.4)), _build(fgn=(1, 0.5), edm=(2, 0.6))
    assert (first["first"], first["changes"]) == (True, [])
    told = _next(first, second)["changes"]
    assert told == [
        {"what": "entry removed", "experiment": "tiny", "entry": "law (seed 0)", "then": None},
        {"what": "new entry", "experiment": "tiny", "entry": "edm (seed 0)", "now": "2 (2 to 2)"},
    ]
    table = changes.table(told, "Changes")
    texts = [[cell.text for cell in row.cells] for row in table.rows]
    assert texts == [
        ["entry removed", "tiny", "law (seed 0)", "", "–", "–"],
        ["new entry", "tiny", "edm (seed 0)", "", "–", "2 (2 to 2)"],
    ]
    moved = {"what": "other score", "score": "CRPS", "then": 0.5, "now": 1 / 3}
    (row,) = changes.table([moved], "Changes").rows
    assert [cell.text for cell in row.cells][-2:] == ["0.5", "0.33333"]
    assert len(changes.table([moved] * 100, "Changes").rows) == changes.SHOWN


def test_experiments_that_come_and_go_are_told() -> None:
    build = _build(fgn=(1, 0.5))
    none = build | {"boards": []}
    assert _next(none, build)["changes"] == [{"what": "new experiment", "experiment": "tiny"}]
    assert _next(build, none)["changes"] == [{"what": "experiment removed", "experiment": "tiny"}]


def test_a_score_that_is_missing_twice_has_not_changed() -> None:
    missing, there = _build(fgn=(1, None)), _build(fgn=(1, 0.5))
    assert _next(missing, missing)["changes"] == []
    (change,) = _next(missing, there)["changes"]
    assert (change["what"], change["now"]) == ("other score", 0.5)


def test_the_last_builds_that_changed_something_are_kept(tmp_path: Path) -> None:
    build = _build(fgn=(1, 0.0))
    for number in range(1, 25):
        (tmp_path / changes.NAME).write_text(json.dumps(build), "utf-8")
        last = changes.last_build(tmp_path)
        assert last == build
        build = _next(last, _build(fgn=(1, float(number))))
        assert not build["first"]
    again = _next(build, _build(fgn=(1, 24.0)))  # nothing changed: nothing is added
    assert (again["changes"], again["history"]) == ([], build["history"])
    assert [each["now"] for (each,) in again["history"]] == [float(n) for n in range(24, 4, -1)]


def test_a_folder_of_something_else_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    words = ("leaderboard", "build", folder / "study.yaml", "--out", tmp_path)
    result = _geobench(folder / "catalog", *words)
    assert result.exit_code == 2
    assert "holds no board.json" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_guest_of_another_dataset_is_refused(folder: Path) -> None:
    words = ("leaderboard", folder / "study.yaml", "--with", "forecast/sw.oracle.s0@1")
    result = _geobench(folder / "catalog", *words)
    assert result.exit_code == 2
    assert "is of dataset/sw@1, of which the study has no board" in result.stderr


def test_names_of_files_are_safe_and_apart() -> None:
    from geobench.board.slugs import slug

    names = ["fgn", "FGN", "../../etc/passwd", "", ".", "a/b", "a b", "\u202egnp", "🌊", "x" * 300]
    made = [slug(name) for name in names]
    assert made[0] == "fgn"
    assert len(set(made)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,80}", each) for each in made)


def _files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_two_processes_make_the_site_that_one_makes(folder: Path, tmp_path: Path) -> None:
    studies = [folder / "study.yaml", folder / "sea.yaml"]
    build = ("--processes", 2, "leaderboard", "build")
    _told(folder / "catalog", *build, *studies, "--out", tmp_path / "two")
    assert _files(tmp_path / "two") == _files(folder / "s")
    processes.close()
    assert multiprocessing.active_children() == []


def test_what_is_wrong_is_told_alike_by_other_processes(folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "more.yaml"
    study.write_text(
        STUDY.replace("experiments:", "experiments:\n  none: {use: lorenz95}"), "utf-8"
    )
    plugin = tmp_path / "plugin.py"
    plugin.write_text("raise ImportError('not today')")
    words = ("--plugin", plugin, "leaderboard", "build", study, "--out", tmp_path / "out")
    told = []
    for count in (1, 2):
        result = _geobench(folder / "catalog", "--processes", count, *words)
        assert result.exit_code == 2
        told.append(result.stderr)
    assert told[0] == told[1]
    assert told[0].count("is set aside: not today") == 1
    assert "no scores of the reference and the baseline of 'none'" in told[0]
    assert not (tmp_path / "out").exists()
    assert multiprocessing.active_children() == []


def test_by_model_a_row_is_a_model(folder: Path, tmp_path: Path) -> None:
    study, out = folder / "study.yaml", tmp_path / "out"
    words = ("leaderboard", "build", study, "--by-model", "--no-imported", "--out", out)
    _told(folder / "catalog", *words)
    (board,) = json.loads((out / "board.json").read_text("utf-8"))["boards"]
    labels = sorted(row["label"] for row in board["rows"])
    assert labels == sorted([LONG, "climatology", "oracle", "persistence"])
    assert all(row["seeds"] == [0, 1] for row in board["rows"])
    text = (out / "experiments" / "study-tiny.html").read_text("utf-8")
    assert "the mean of its seeds 0, 1;" in text
    assert text.count("members · 2 seeds") == 4
    entry = next((out / "entries").glob("*oracle*")).read_text("utf-8")
    named = re.findall(r"<code>geobench reproduce (\S+)</code>", entry)
    assert len(set(named)) == len(named) == 2 * (7 + 2 + 2) + 1


# -- other outputs


def test_the_ranking_as_markdown_latex_and_csv(folder: Path) -> None:
    def form(name: str) -> str:
        words = ("leaderboard", "--format", name, folder / "study.yaml")
        return _told(folder / "catalog", *words)

    markdown = form("markdown")
    assert "| rank | rank range | model | excess \\[95 %\\] |" in markdown
    assert "A \\<b\\>twin\\</b\\>" in markdown
    latex = form("latex")
    assert latex.count(r"\toprule") == latex.count(r"\end{tabular}") == 1
    assert r"\textbf{" in latex
    assert r"$\bullet$" in latex  # a model that may be the best
    assert "2,000 bootstrap draws of 20 independent test trajectories" in latex
    assert r"A \textless{}b\textgreater{}twin" in latex
    lines = form("csv").splitlines()
    assert lines[0].startswith("experiment,rank,rank_low,rank_high,model,seed")
    assert len({line.count(",") for line in lines if '"' not in line}) == 1
    (board,) = json.loads(form("json"))
    cells = sum(len(own) for column in board["columns"] for own in column["cells"])
    assert sum(line.startswith("tiny,") for line in lines) == cells


@pytest.mark.slow
def test_figures_for_papers(folder: Path, tmp_path: Path) -> None:
    words = ("leaderboard", folder / "sea.yaml", "--figures", tmp_path / "figures")
    _told(folder / "catalog", *words)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"sw-excess.svg", "sw-excess.pdf", "sw-reliability.pdf", "sw-pareto.svg"} <= names


def test_the_value_of_forecasts_is_that_of_the_scorer(registry: Any) -> None:
    # The curve and the score `economic-value` are two programs of one formula.
    import numpy as np
    import xarray as xr

    from geobench_plugins.scorers.curves_of_events import value_of

    generator = np.random.Generator(np.random.Philox(key=8))
    table = generator.random((9, 2)) ** 3
    table /= table.sum()
    scorer = registry.scorer({"use": "economic-value", "cost_loss": [0.05, 0.2, 0.6]})
    means = xr.Dataset({"table": (("lead_time", "above", "happened"), table[None])})
    (expected,) = scorer.metric(means)["economic value"].transpose("lead_time", ...).values
    assert value_of(table, np.array([0.05, 0.2, 0.6])) == pytest.approx(expected)


# -- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        assert "CI" not in os.environ, "chromium is not installed: apt-get install chromium"
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, and the pages are ours.
        running = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=600_000
        )
        yield running
        running.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page; afterwards it has said nothing on the console, and asked for files alone."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(600_000)  # ms; the machine may be busy
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def _open(page: Any, path: Path) -> None:
    page.goto(path.as_uri())


def _experiment(site: Path, name: str = "study-tiny") -> Path:
    return site / "experiments" / f"{name}.html"


def _column(page: Any, place: int) -> list[str]:
    cells = page.locator(f"table.ranking tbody tr:not([hidden]) > :nth-child({place})")
    return [text.split("\n")[0] for text in cells.all_inner_texts()]


def test_tables_sort_by_click_and_by_keyboard(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    head = page.locator("table.ranking thead th", has_text="Excess")
    assert head.get_attribute("aria-sort") is None
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = [float(text.replace("−", "-")) for text in _column(page, 4)]
    assert len(values) == 9
    assert values == sorted(values)
    page.keyboard.press("Enter")  # the button has the focus
    assert head.get_attribute("aria-sort") == "descending"
    values = [float(text.replace("−", "-")) for text in _column(page, 4)]
    assert values == sorted(values, reverse=True)


def test_the_keyboard_reaches_the_buttons_that_sort(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate("document.activeElement.ariaLabel ?? ''")
        if at == "Sort by Rank":
            break
    assert at == "Sort by Rank"
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width == "3px"  # and one sees where one is
    page.keyboard.press("Space")
    assert page.locator("table.ranking th[aria-sort]").count() == 1


def test_entries_are_filtered_by_name_model_and_seed(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    page.get_by_label("Find a model").fill("PERSIST")
    assert len(_column(page, 2)) == 3
    assert page.locator("#shown").inner_text() == "3 of 9 entries shown"
    page.get_by_label("Find a model").fill("")
    page.locator("#models summary").click()
    page.get_by_label("oracle", exact=True).uncheck()
    assert len(_column(page, 2)) == 7
    page.locator("input[name=seed][value='1']").uncheck()
    assert len(_column(page, 2)) == 4
    assert page.locator("#card-table tbody tr:not([hidden])").count() == 4


def test_scores_are_found_by_words_of_their_names(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    heads = page.locator("table[data-scores] thead th[data-score]")
    names = [head.get_attribute("data-score") for head in heads.all()]
    wanted = [name for name in names if name.startswith("CRPS")]
    assert 0 < len(wanted) < len(names)
    page.get_by_label("Find a score").fill(" crps ")
    seen = [head.get_attribute("data-score") for head in heads.all() if head.is_visible()]
    assert seen == wanted
    cells = page.locator("table[data-scores] tbody td").all()
    (board, *_) = json.loads((site / "board.json").read_text("utf-8"))["boards"]
    places = {int(str(cell.get_attribute("data-column"))) for cell in cells if cell.is_visible()}
    assert sorted(board["columns"][place]["name"] for place in places) == sorted(wanted)
    page.get_by_label("Find a score").fill("no such score")
    assert not page.locator("table[data-scores]").first.is_visible()
    page.get_by_label("Find a score").fill("")
    assert all(head.is_visible() for head in heads.all())


def test_tables_show_one_variable_until_all_are_asked_for(page: Any, site: Path) -> None:
    _open(page, next((site / "experiments").glob("sea-*[!s].html")))
    heads = page.locator("table[data-scores] thead th[data-variable]")

    def seen() -> set[str | None]:
        return {head.get_attribute("data-variable") for head in heads.all() if head.is_visible()}

    assert seen() == {"u"}
    page.get_by_label("Variable").select_option("eta")
    assert seen() == {"eta"}
    page.get_by_label("Variable").select_option("all")
    assert seen() == {"u", "v", "eta"}


def test_tables_show_another_lead_time_and_the_excess(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    document = json.loads((site / "board.json").read_text("utf-8"))
    assert document["cell"] == ["score", "excess", "skill"]
    assert document["estimate"] == ["value", "low", "high"]
    board = document["boards"][0]
    cell = page.locator("td[data-column='0']").first
    page.locator("#lead").select_option(label="day 3")
    told = float(cell.inner_text().split()[0].replace("−", "-"))
    score, excess, _ = board["columns"][0]["cells"][0][2]
    assert told == pytest.approx(score[0], abs=6e-4)
    page.get_by_label("Tables show").select_option(label="excess over the oracle")
    told = float(cell.inner_text().split()[0].replace("−", "-"))
    assert told == pytest.approx(excess[0], abs=6e-5)


def test_the_scorecard_takes_another_reference(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    page.get_by_label("Reference").select_option(label="climatology, seed 0")
    row = page.locator("#card-table tbody tr", has_text="climatology (seed 0)").first
    assert set(row.locator("td").all_inner_texts()[1:]) == {"0.0"}
    better = page.locator("#card-table tbody tr", has_text="oracle (seed 0)").first
    assert better.locator("td.better").count() == 3
    assert better.locator("td.better").first.inner_text().startswith("▲")


def test_figures_are_drawn_and_take_other_variants(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    figure = page.locator("#figure-reliability")
    figure.scroll_into_view_if_needed()
    figure.locator(".live svg").first.wait_for()
    figure.locator("select").select_option(label="above the 99 % quantile, day 1")
    assert "day 1" in figure.locator(".live").get_attribute("aria-label")
    assert not figure.locator(".still").is_visible()


def test_the_skill_is_a_heat_map_that_says_its_numbers(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    figure = page.locator("#figure-skill")
    figure.scroll_into_view_if_needed()
    figure.locator(".live svg").first.wait_for()
    board = json.loads((site / "board.json").read_text("utf-8"))["boards"][0]
    skills = [cell[2][0] for cells in board["columns"][0]["cells"] for cell in cells]
    assert 1 < max(map(abs, skills)) < 10  # so that four digits are three decimals
    shown = {*figure.locator(".live .textpoint").all_text_contents()}
    assert shown == {f"{skill:.3f}".replace("-", "−") for skill in skills}


@pytest.mark.parametrize("kind", ["lines", "bars"])
def test_the_script_draws_bars_and_bands(page: Any, tmp_path: Path, kind: Any) -> None:
    from geobench.plots import interactive
    from geobench.plots.chart import Axis, Chart, Series
    from geobench.plots.styles import styles
    from geobench.site.build import ASSETS
    from geobench.tables.json import in_page

    own = styles(["fgn"], [0], ["fgn"])
    x, y = Axis("day", ticks=[1, 2], names=["one", "two"]), Axis("score")
    series = Series("fgn", 0, [1, 2], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5], band=kind == "lines")
    chart = in_page(interactive.chart(Chart(x, y, [series], kind=kind), own))
    scripts = [f'<script src="{(ASSETS / n).as_uri()}"></script>' for n in SCRIPTS[:2]]
    (tmp_path / "page.html").write_text(
        f"""<!doctype html><html style="--ink: #000; --soft: #555; --line: #ddd"><body>
        <div id="live"></div>{"".join(scripts)}<script>const chart = {chart};
        const styles = {in_page([interactive.style(style) for style in own])};
        geobenchCharts.unpack(chart, styles);
        geobenchCharts.draw(document.getElementById("live"), chart, styles, () => true);
        </script></body></html>""",
        "utf-8",
    )
    _open(page, tmp_path / "page.html")
    page.locator("#live svg").first.wait_for()
    assert page.locator("#live .bars .point").count() == (2 if kind == "bars" else 0)
    assert page.locator("#live .scatterlayer .js-fill").count() == (1 if kind == "lines" else 0)
    assert {"one", "two"} <= {*page.locator("#live .xtick").all_text_contents()}


@pytest.mark.slow
def test_the_study_in_one_file_works_as_the_site_does(
    page: Any, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "one.html"
    study = tmp_path / "both.yaml"
    study.write_text(STUDY.replace("experiments:", TWIN, 1), "utf-8")
    _told(folder / "catalog", "run", study)
    _told(folder / "catalog", "leaderboard", study, "--html", file)
    _open(page, file)
    first, second = page.locator("[data-board]").all()
    first.get_by_label("Find a model").fill("PERSIST")
    assert first.locator("table.ranking tbody tr:not([hidden])").count() == 2
    assert second.locator("table.ranking tbody tr:not([hidden])").count() == 8
    figure = second.locator("[data-figure=excess]")
    figure.scroll_into_view_if_needed()
    figure.locator(".live svg").first.wait_for()
    # A name leads to what is said of it, which is in the file, too.
    second.locator("table.ranking th[scope=row] a").first.click()
    opened = page.locator(page.evaluate("location.hash"))
    assert "How to make it again" in opened.inner_text()
    assert page.locator("img[src^='data:image/png;base64,']").count() > 20
    # And so does a heading.
    page.go_back()
    second.locator("table.ranking thead a", has_text="Rank range").click()
    assert page.locator(page.evaluate("location.hash")).inner_text() == "rank range"
    for link, _ in _headings(file.read_text("utf-8")):
        assert f'<dt id="{link.removeprefix("#")}">' in file.read_text("utf-8"), link
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))


def test_one_goes_from_experiment_to_experiment(page: Any, site: Path) -> None:
    _open(page, site / "index.html")
    assert page.locator(".card").count() == 2
    page.locator("nav a", has_text="tiny").click()
    assert "reversed" in page.locator("h1").inner_text()
    page.locator("nav a", has_text="sw").click()
    page.wait_for_url("**/sea-sw.html")
    assert page.locator("img[src*='/sea-sw/']").count() > 20  # maps
    page.locator("table.ranking th[scope=row] a").first.click()
    assert "/entries/" in page.url
    # Two scores, the law form of one, and what they are of.
    assert page.locator("code", has_text="geobench reproduce").count() == 2 + 1 + 3


def _every_page(site: Path) -> list[Path]:
    entry = next((site / "entries").glob("*guest*"))
    scores = site / "experiments" / "sea-sw-scores.html"
    first = [site / "index.html", site / "glossary.html"]
    return [*first, _experiment(site), _experiment(site, "sea-sw"), scores, entry]


def test_nothing_is_wider_than_a_phone(page: Any, site: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for path in _every_page(site):
        _open(page, path)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name


_BROKEN = """async rules => {
    // What keeps a rule is counted, not told: to describe thousands of elements takes longest.
    const found = await axe.run({preload: false, resultTypes: ['violations'], ...rules});
    const broken = found.violations.map(
        each => [each.id, each.nodes.slice(0, 3).map(node => node.target)]);
    return [broken, found.passes.length];
}"""


def test_no_rule_of_accessibility_is_broken(page: Any, site: Path) -> None:
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    for path in _every_page(site):
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        _open(page, path)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        page.add_script_tag(path=axe)
        broken, kept = page.evaluate(_BROKEN, {})
        assert broken == [], path.name
        assert kept > 15
        # Other colours change contrasts, and nothing else that a rule looks at.
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        broken, kept = page.evaluate(_BROKEN, {"runOnly": ["color-contrast"]})
        assert broken == [], (path.name, "dark")
        assert kept > 0


def test_all_is_there_without_script(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    _open(page, _experiment(site))
    assert page.locator("table.ranking tbody tr").count() == 9
    assert page.locator(".still svg").count() >= 6
    assert page.locator(".script-only:visible").count() == 0
    assert page.locator("#scorecard ~ * table, #card-table").count() >= 1
    context.close()


def test_the_page_can_be_printed(page: Any, site: Path) -> None:
    _open(page, _experiment(site))
    page.locator("#figure-excess").scroll_into_view_if_needed()
    page.locator("#figure-excess .live svg").first.wait_for()
    page.emulate_media(media="print")
    assert page.locator("#figure-excess .still").is_visible()
    assert not page.locator(".tools").first.is_visible()
    assert page.pdf().startswith(b"%PDF")
