"""The board: intervals that cover, rank ranges, skill that reads 0 and 1; and its page."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench import scoring
from geobench.board import model, notes, placing, sampling, score_columns
from geobench.board.ranking import ranking
from geobench.contracts import scorer
from geobench.contracts.scorer import Orientation
from geobench.plots import figures
from geobench.plots.chart import Axis, Chart, Figure, Series
from geobench.registry import Registry
from geobench.site import ranking_tables
from geobench.site.board_pages import Shown, board_pages
from geobench.site.one_file import one_file
from geobench.statistics import resampling
from geobench.statistics.estimates import Estimate, estimate, estimates
from geobench.statistics.rank_ranges import rank_ranges
from geobench.statistics.resampling import Resampling
from geobench.statistics.seeds import Mean
from geobench.tables import terminal
from geobench.tables.numbers import number


def test_the_interval_covers_as_often_as_it_says() -> None:
    # 400 samples of 60 cases, truth 0. Outside 91.5 to 98 % is by chance below 0.002 at 95 %.
    generator = np.random.Generator(np.random.Philox(key=1))
    resampling = Resampling(np.arange(60))
    covered = 0
    for _ in range(400):
        found = xr.Dataset({"s": ("init_time", generator.standard_normal(60))})
        interval = estimate(resampling.spread(resampling.means([found])["s"].values))
        covered += interval.low < 0 < interval.high
    assert 0.915 < covered / 400 < 0.98


def test_dependent_inits_are_resampled_together() -> None:
    # 20 trajectories with 10 equal inits each: 20 cases, not 200.
    values = np.random.Generator(np.random.Philox(key=2)).standard_normal(20)
    cases = xr.Dataset({"s": ("init_time", np.repeat(values, 10))})
    together = Resampling(np.repeat(np.arange(20), 10)).means([cases])["s"].values[1:].std()
    apart = Resampling(np.arange(200)).means([cases])["s"].values[1:].std()
    alone = Resampling(np.arange(20)).means([xr.Dataset({"s": ("init_time", values)})])["s"].values
    assert together == pytest.approx(alone[1:].std(), rel=0.1)
    assert apart < together / 2


def test_blocks_suit_the_excess_of_each_case(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is asked for by the outcome, and by the law form where all entries have one."""
    scorer, form = (registry.scorer(name) for name in ("crps", "law-crps"))
    values = np.random.Generator(np.random.Philox(key=4)).standard_normal((3, 2, 12, 2))

    def run(by_outcome: np.ndarray, by_law: np.ndarray, *, lawful: bool = True) -> Any:
        def statistics(index: int, like: Any, *, against_law: bool = False) -> xr.Dataset:
            name, cases = ("excess", by_law) if against_law else ("crps", by_outcome)
            array = (("init_time", "lead_time", "variable"), cases[..., None])
            return xr.Dataset({name: array}, {"variable": ["q"]})

        own = SimpleNamespace(statistics=statistics, against_law={0: None} if lawful else {})
        own.runs = [own]
        return own

    law, *others = (run(*each) for each in values)
    inits = xr.Dataset({key: ("init_time", np.arange(12)) for key in ("trajectory", "position")})
    record = SimpleNamespace(recipe={"leads": 2})
    dataset: Any = SimpleNamespace(load=lambda _: inits, record=record)
    monkeypatch.setattr(resampling, "fitting", lambda *words: words)

    def series(*entries: Any, **words: Any) -> np.ndarray:
        fitted: Any = sampling.resampled(dataset, scorer, [law, *entries], **words)
        return np.asarray(fitted[-1]())

    by_outcome, by_law = values[:, 0].mean(-1), values[:, 1].mean(-1)
    expected = by_outcome[1:] - by_outcome[0]
    np.testing.assert_allclose(series(*others), expected, atol=1e-12)
    both = np.concatenate([expected, by_law[1:]])
    np.testing.assert_allclose(series(*others, form=form), both, atol=1e-12)
    np.testing.assert_allclose(series(*others, form=form, cases=[7, 2]), both[:, [7, 2]])
    others[1] = run(*values[2], lawful=False)
    np.testing.assert_allclose(series(*others, form=form), expected, atol=1e-12)


def test_many_statistics_are_resampled_in_parts_to_the_same_scores(
    monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    generator = np.random.Generator(np.random.Philox(key=4))
    dims = ("init_time", "lead_time", "variable", "quantile", "above", "happened")
    found = [
        xr.Dataset({"table": (dims, generator.uniform(size=(40, 3, 1, 2, 5, 2)) / 10)})
        for _ in range(3)
    ]
    resampling, scorer = Resampling(np.arange(40)), registry.scorer("economic-value")
    whole = scoring.scores(scorer, found, resampling)
    assert len(whole) == 4
    for most in (2**20, 2**17):  # one after another; each in parts
        monkeypatch.setattr("geobench.scoring.by_column._BATCH", most)
        parts = scoring.scores(scorer, found, resampling)
        for name, values in whole.items():
            np.testing.assert_allclose(parts[name], values, rtol=1e-9, atol=1e-12)


def _excesses(*values: float, error: float = 1.0) -> list[np.ndarray]:
    generator = np.random.Generator(np.random.Philox(key=3))
    return [
        np.concatenate([[value], value + error * generator.standard_normal(1000)])
        for value in values
    ]


def _ranges(excesses: list[np.ndarray], failed: list[bool] | None = None) -> list[object]:
    found = rank_ranges([Mean(each, each) for each in excesses], failed or [False] * len(excesses))
    return [each and tuple(each) for each in found]


def test_a_rank_range_counts_the_significantly_better_and_worse_ones() -> None:
    # Numbered by excess; those 0.5 or 0.2 errors apart may change places.
    found = _ranges(_excesses(0, 0.5, 10, 10.2, 30))
    assert found == [(1, 1, 2), (2, 1, 2), (3, 3, 4), (4, 3, 4), (5, 5, 5)]
    assert _ranges(_excesses(30, 0, 10)) == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]


def test_an_uncertain_entry_has_a_wide_range_and_the_number_of_its_excess() -> None:
    best, good = _excesses(0, 10)
    (unsure,) = _excesses(12, error=20)
    assert _ranges([best, unsure]) == [(1, 1, 2), (2, 1, 2)]
    assert _ranges([unsure, good, best]) == [(3, 1, 3), (2, 2, 3), (1, 1, 2)]


def test_failed_entries_rank_below_all_that_finish() -> None:
    assert _ranges(_excesses(np.nan, 1, 0.5), [True, False, False]) == [
        (3, 3, 3),
        (2, 1, 2),
        (1, 1, 2),
    ]
    # Also when the failure left the score finite: an event score can be blind to it.
    assert _ranges(_excesses(0, 1, 10), [True, False, False]) == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]


def test_what_knows_the_law_has_no_rank_and_is_not_counted() -> None:
    own = [Mean(each, each) for each in _excesses(0, 10, 20)]
    found = rank_ranges(own, [False] * 3, counted=[False, True, True])
    assert found == [None, (1, 1, 1), (2, 2, 2)]


def test_several_columns_rank_relative_to_the_baselines_excess() -> None:
    # (row, draw, lead): the law, then the baseline, then a model half as bad in one column and a
    # quarter as bad in another, whose units are 100 times larger.
    first = np.array([0.0, 4.0, 2.0])[:, None, None] * np.ones((3, 5, 2))
    second = np.array([0.0, 400.0, 100.0])[:, None, None] * np.ones((3, 5, 2))
    baseline, model = placing.averaged([first, second], base=1)
    assert baseline[0] == pytest.approx(1)
    assert model[0] == pytest.approx((0.5 + 0.25) / 2)
    assert placing.averaged([first], base=1)[1][0] == pytest.approx(2)


def test_better_than_the_law_beyond_chance_is_flagged() -> None:
    leak, chance, law = (np.stack(_excesses(value, value)).T[None] for value in (-9, -2, 0))
    flags = score_columns.better_than_law(np.concatenate([leak, chance, law]), 5.0)
    assert flags.tolist() == [[True, True], [False, False], [False, False]]


def test_few_trajectories_are_warned_of() -> None:
    (told,) = notes.few_blocks(Resampling(np.arange(12)))
    assert "12 independent test trajectories: so few (below 20)" in told
    assert notes.few_blocks(Resampling(np.arange(20))) == []
    (told,) = notes.few_blocks(Resampling(np.repeat(np.arange(2), 100), block=5))
    assert told == (
        "Intervals come from blocks of 5 consecutive inits of 2 test trajectories, worth 40 "
        "independent ones."
    )
    (told,) = notes.few_blocks(Resampling(np.repeat(np.arange(2), 100), block=20))
    assert "worth 10 independent ones: so few" in told


def test_what_all_find_hard_does_not_blur_a_rank() -> None:
    # Both go up and down together by 10; one is worse by 0.1 in every draw: paired, that is clear.
    shared = _excesses(0, error=10)[0]
    assert _ranges([shared, shared + 0.1]) == [(1, 1, 1), (2, 2, 2)]


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_the_skill_is_0_for_the_baseline_and_1_for_the_law(better: Orientation) -> None:
    sign = 1 if better == "lower" else -1
    law, base = (sign * np.stack(_excesses(value, value, error=0.1)).T for value in (1.0, 5.0))
    for values, share, expected in ((law, 1, 0), (base, 0, 4), ((law + base) / 2, 0.5, 2)):
        excess, gap = (scorer.excess(better, each, law) for each in (values, base))
        for cell in score_columns.cells(better, values[None], excess[None], gap)[0]:
            assert cell.skill is not None
            assert cell.skill.value == pytest.approx(share, abs=1e-12)
            assert cell.excess.value == pytest.approx(expected, abs=1e-12)


def test_intervals_of_scores_that_chance_makes_larger_hold_their_estimate() -> None:
    # Squares of the means of ten numbers around 0: those of resamples are twice as large.
    generator = np.random.Generator(np.random.Philox(key=3))
    cases = generator.normal(size=(10, 500))
    weights = generator.multinomial(10, np.full(10, 0.1), 1000) / 10
    draws = np.concatenate([cases.mean(0)[None], weights @ cases]) ** 2
    score = np.stack([draws[:, :250].mean(1), draws[:, 250:].mean(1)], 1)
    loose, centred = (estimates(score, centred=each) for each in (False, True))
    assert all(each.low > each.value for each in loose)
    assert all(each.low < each.value < each.high for each in centred)
    assert [e.high - e.low for e in centred] == pytest.approx([e.high - e.low for e in loose])


def test_intervals_end_at_numpys_quantiles() -> None:
    draws = np.random.Generator(np.random.Philox(key=4)).normal(size=(1001, 7))
    draws[300, 3] = np.nan
    found = estimates(draws)
    low, high = np.quantile(draws[1:], [0.025, 0.975], axis=0)
    np.testing.assert_allclose([each.low for each in found], low, 1e-12)
    np.testing.assert_allclose([each.high for each in found], high, 1e-12)


def test_there_is_no_skill_where_climatology_has_no_excess() -> None:
    law = np.ones((1001, 1))
    unclear, clear = (law + np.stack(_excesses(gap, error=1.0)).T for gap in (0.5, 5.0))
    none = 0 * law[None]
    assert score_columns.cells("lower", law[None], none, unclear - law)[0][0].skill is None
    assert score_columns.cells("lower", law[None], none, clear - law)[0][0].skill is not None


@pytest.mark.parametrize(
    ("value", "written"),
    [(1234.5, "1,234.500"), (-0.5, "−0.500"), (-0.0001, "0.000"), (float("nan"), "–")],
)
def test_numbers_are_written_for_people(value: float, written: str) -> None:
    assert number(value) == written


def _board(label: str = "fgn", *, failed: int = 0, suspicious: bool = False) -> model.Board:
    value = Estimate(0.02, 0.01, 0.03)
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    rows = [
        model.Row(
            label=name,
            seed=0,
            rank=rank,
            rank_range=(rank, 2),
            excess=nothing if bad else value,
            failed=bad,
            knows_law=False,
            suspicious=suspicious,
            parameters=10,
            sample_passes=100,
            training_seconds=1.0,
            evaluations=1.0,
            seconds_per_member=0.1,
            members=5,
            entries={"forecaster": "forecaster/a@1", "forecast": "forecast/a@1"},
        )
        for name, rank, bad in ((label, 1, 0), ("other", 2, failed))
    ]
    columns = [
        model.ScoreColumn("CRPS", "crps", "1", "lower", True, "1"),
        model.ScoreColumn("spread/skill", "spread-skill", "1", "one", True, "1"),
    ]
    for column in columns:
        skill = value if column.better == "lower" else None
        column.cells = [
            [model.ScoreCell(score, score, skill)] * 3
            for score in (value, nothing if failed else value)
        ]
    return model.Board(
        name="tiny",
        title="A twin",
        dataset="dataset/tiny@1",
        reference="forecast/tiny.reference@1",
        baseline="climatology",
        ranked_by="mean excess CRPS over the oracle",
        cases=10,
        lead_hours=[24.0, 48.0, 72.0],
        rows=rows,
        columns=columns,
        notes=[],
    )


class _Page(HTMLParser):
    VOID = ("meta", "br", "link", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _file(*boards: model.Board, title: str = "t", notes: tuple[str, ...] = ()) -> str:
    """The pages of boards in one file, as of boards of some of the cases: without entries."""
    pages = [
        board_pages(Shown(f"page-{number}", "a study", board, in_file=True))
        for number, board in enumerate(boards)
    ]
    return one_file(pages, title=title, notes=notes)


def _without_scripts(text: str) -> str:
    return re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.S)


def test_pages_in_one_file_stand_alone_and_escape_what_they_show() -> None:
    evil = "<script>alert(1)</script>"
    text = _file(_board(evil), _board(), title=evil, notes=(evil,))
    parsed = _Page(text)
    assert parsed.open == []
    assert evil not in text
    # In the heading, the note, the tables and the figures of the board.
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in parsed.tags:
        for key in ("src", "href", "xlink:href", "action"):
            target = attributes.get(key) or "#"
            assert target.startswith(("#", "data:")), f"<{tag}> fetches {target}"
            assert not target.startswith("#") or target[1:] in ["", *ids]
    assert not re.search(r"@import|url\((?!#)", _without_scripts(text))


def test_every_number_and_its_source_is_in_the_file() -> None:
    text = _file(_board())
    assert "0.0200<small>0.0100 to 0.0300<br>0.02000<br>0.020</small>" in text
    assert "forecaster/a@1" in text
    assert "dataset/tiny@1" in text


def test_a_figure_of_a_board_needs_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def members(board: model.Board) -> Figure:
        rows = [Series(row.label, i, [1], [row.members]) for i, row in enumerate(board.rows)]
        chart = Chart(Axis("ensemble"), Axis("members"), rows, kind="bars")
        return Figure("members", "Members", "How many there are.", [("all", chart)], figures.COST)

    assert 'data-figure="members"' not in _file(_board())
    monkeypatch.setattr(figures, "_FIGURES", (*figures._FIGURES, members))
    assert 'data-figure="members"' in _file(_board())
    assert figures.figures(_board())[-1].key == "members"  # those for papers, too


def test_equal_boards_make_equal_pages() -> None:
    assert _file(_board()) == _file(_board())


def test_exact_tests_are_a_table_of_those_that_were_tested() -> None:
    board = _board()
    board.rows[1].entries = {"forecast": "forecast/b@1"}
    tests = [("CRPS", 0.5, 0.4, 0.002, 0.01), ("energy", 0.7, 0.71, 0.4, 0.8)]
    table = ranking_tables.exact_tests(board, {"forecast/b@1": tests})
    assert [column.heading for column in table.columns] == ["Model", "CRPS", "energy"]
    ((label, crps, energy),) = (row.cells for row in table.rows)
    assert (label.text, crps.value, energy.value) == ("other", 0.002, 0.4)
    assert ([*crps.marks], [*energy.marks]) == (["significant"], [])  # q, not p, tells
    assert [*crps.small] == ["q 0.010"]


def test_failed_and_suspicious_entries_are_marked_on_the_page_and_in_the_terminal() -> None:
    board = _board(failed=3, suspicious=True)
    text = _file(board)
    assert "3 members failed" in text
    assert "better than the true distribution: a leak or a bug" in text
    assert "nan" not in _without_scripts(text).lower()
    printed = terminal.text(ranking(board), piped=400)
    assert "fgn – better than the true distribution: a leak or a bug" in printed
    assert "other – 3 members failed" in printed
