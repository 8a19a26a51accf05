"""How sure: intervals under dependence, ranks and sets of many entries, seeds, a whole board."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from click.testing import CliRunner

from geobench.cli import main
from geobench.statistics import confidence_set, pairs
from geobench.statistics.estimates import estimate
from geobench.statistics.rank_ranges import rank_ranges
from geobench.statistics.resampling import Resampling, block_length, fitting, overlap
from geobench.statistics.seeds import (
    Mean,
    joined,
    means,
    moderated,
    summaries,
    summary,
    upper_limit,
    widened,
)

Array = npt.NDArray[np.float64]


def _generator(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def _draws(resampling: Resampling, cases: Array) -> Array:
    """Widened draws `(…, draw)` of the means of cases `(…, init)`."""
    return resampling.spread(resampling.weights @ cases.T).T


def _overlapping(generator: np.random.Generator, inits: int, leads: int) -> Array:
    """Errors of one long series, each case the mean over the valid times of its lead times."""
    from scipy.signal import lfilter

    noise = generator.standard_normal(200 + inits + leads)
    errors = lfilter([1.0], [1.0, -0.5], noise)[200:]  # first-order autoregressive, mean zero
    return np.convolve(errors, np.ones(leads) / leads, "valid")[1:]


@cache
def _resampling(inits: int, block: int | None) -> Resampling:
    one = np.arange(inits) if block is None else np.zeros(inits, int)
    return Resampling(one, draws=400, block=block)


def test_blocks_cover_where_cases_drawn_one_by_one_fail() -> None:
    """One series of 300 inits, lead times 1 to 5, that overlap: 300 times.

    Cases one by one cover 51 % of the time, blocks 94 % (as printed by this test). The standard
    error of the latter is 1.4 %: below 88.5 % is by chance 2e-4 at 94 %; above 65 % of the former
    below 1e-5 at 51 %.
    """
    generator, inits, leads = _generator(5), 300, 5
    one, place = np.zeros(inits, int), np.arange(inits)
    covered = {"blocks": 0, "one by one": 0}
    for _ in range(300):
        cases = _overlapping(generator, inits, leads)
        block = max(overlap(one, place, leads), block_length(cases[None]))
        for name, own in (("blocks", block), ("one by one", None)):
            interval = estimate(_draws(_resampling(inits, own), cases))
            covered[name] += interval.low < 0 < interval.high
    print({name: count / 300 for name, count in covered.items()})
    assert 0.885 < covered["blocks"] / 300 < 0.99
    assert covered["one by one"] / 300 < 0.65


@pytest.mark.parametrize("count", [3, 6, 12, 60])
def test_intervals_of_independent_trajectories_cover_however_few(count: int) -> None:
    """1000 samples of normal means of trajectories: 95 %, and as few as three.

    A standard error is 0.7 %: outside 92.5 to 97.5 % is by chance 3e-4 for each count at 95 %.
    """
    samples = _generator(count).standard_normal((1000, count))
    draws = _draws(Resampling(np.arange(count)), samples)
    found = [estimate(own) for own in draws]
    share = np.mean([own.low < 0 < own.high for own in found])
    print(count, share)
    assert 0.925 < share < 0.975


def test_inits_that_overlap_in_valid_time_stay_together() -> None:
    # Two trajectories of 41 inits, two output steps apart, forecast 7 steps: of inits at 0, 2, 4, 6
    # and 8 the last shares no valid time with the first (1 to 7, and 9 to 15).
    trajectory, position = np.repeat([0, 1], 41), np.tile(2 * np.arange(41), 2)
    assert overlap(trajectory, position, 7) == 4
    assert overlap(trajectory, position, 8) == 4
    assert overlap(trajectory, position, 9) == 5
    white = _generator(1).standard_normal((1, 82))
    assert block_length(white) < 4
    resampling = fitting(trajectory, position, 7, lambda: white)
    assert resampling.block == 4
    assert resampling.blocks == 82 / 4
    # The draws' weights are sums of blocks of four, that go round within a trajectory.
    chosen = np.rint(resampling.weights[1:] * 80).reshape(-1, 2, 41)
    shifts = np.fft.ifft(np.fft.fft(chosen) / np.fft.fft(np.ones(4), 41), axis=-1)
    np.testing.assert_allclose(shifts.real, np.rint(shifts.real), atol=1e-6)
    assert shifts.real.min() > -1e-6


def test_whole_trajectories_are_drawn_where_there_are_many_or_nothing_to_cut() -> None:
    def never() -> Array:
        raise AssertionError

    many = np.repeat(np.arange(20), 30)
    assert fitting(many, np.tile(np.arange(30), 20), 5, never).block is None
    short = np.repeat(np.arange(4), 5)  # every init of a trajectory overlaps with every other
    assert fitting(short, np.tile(np.arange(5), 4), 5, never).blocks == 4
    alone = np.arange(12)
    assert fitting(alone, np.ones(12, int), 5, never).blocks == 12


def test_a_block_as_long_as_a_trajectory_is_the_trajectory() -> None:
    trajectory = np.repeat(np.arange(5), 8)
    values = xr.Dataset({"s": ("init_time", _generator(2).standard_normal(40))})
    spread = [
        Resampling(trajectory, 20_000, block=block).means([values])["s"][1:].std().item()
        for block in (None, 8)
    ]
    assert spread[0] == pytest.approx(spread[1], rel=0.03)
    exact = Resampling(trajectory).variance(values["s"].to_numpy())
    own = values["s"].to_numpy().reshape(5, 8).mean(1)
    assert exact == pytest.approx(own.var(ddof=1) / 5)
    assert spread[0] ** 2 * 5 / 4 == pytest.approx(exact, rel=0.06)


def test_the_exact_variance_is_what_resamples_give() -> None:
    cases = _overlapping(_generator(3), 120, 5)
    resampling = Resampling(np.zeros(120, int), 20_000, block=10)
    drawn = float((resampling.weights[1:] @ cases).var())
    assert resampling.variance(cases) == pytest.approx(drawn * 12 / 11, rel=0.06)


def test_one_block_says_nothing_of_how_sure() -> None:
    resampling = Resampling(np.zeros(10, int))
    draws = _draws(resampling, np.arange(10.0))
    assert draws[0] == 4.5
    assert np.isnan(draws[1:]).all()
    assert np.isnan(resampling.variance(np.arange(10.0)))


def _equal_models(count: int, repeats: int, cases: int = 40) -> Iterator[Array]:
    """Losses of equal models `(model, case)`: what is hard is hard for all, the rest is its own."""
    generator = _generator(7)
    for _ in range(repeats):
        hard = generator.standard_normal((1, cases))
        yield hard + generator.standard_normal((count, cases))


def _means(draws: Array) -> list[Mean]:
    return [Mean(own, own) for own in draws]


def _any_different(own: list[Mean], degrees: float) -> bool:
    return bool(pairs.significantly_worse(pairs.differences(own, degrees)).any())


def test_equal_models_differ_significantly_on_one_board_in_twenty() -> None:
    """300 boards of eight equal models over 40 cases.

    Any pair at all is called different on some 5 % of many boards; outside 1.7 to 9 % of 300 is by
    chance 4e-3. Pair by pair, at 95 % each, it is half of the boards (as printed): below 35 % 1e-6.
    """
    resampling = Resampling(np.arange(40), draws=400)
    families, singles = 0, 0
    for losses in _equal_models(8, 300):
        found = pairs.differences(_means(_draws(resampling, losses)), resampling.degrees)
        families += bool(pairs.significantly_worse(found).any())
        singles += bool(abs(found.scores).max() > 1.96)
    print("step-down", families / 300, "pair by pair", singles / 300)
    assert 0.017 <= families / 300 < 0.09
    assert singles / 300 > 0.35


def test_p_values_of_two_entries_are_those_of_students_test() -> None:
    # One pair is no family: its p is that of the paired t-test. 4,000 draws of the null and 20,000
    # resamples have a standard error of 0.004 at p = 0.07.
    from scipy import stats

    losses = _generator(20).standard_normal((2, 30)) + np.array([[0.0], [0.8]])
    resampling = Resampling(np.arange(30), 20_000)
    found = pairs.differences(_means(_draws(resampling, losses)), resampling.degrees)
    expected = float(stats.ttest_rel(*losses).pvalue)
    assert 0.02 < expected < 0.2
    assert pairs.p_values(found)[0, 1] == pytest.approx(expected, abs=0.015)


def test_step_down_p_values_are_those_of_their_definition() -> None:
    """By brute force: of each pair, the largest null score of it and all closer pairs."""
    losses = _generator(21).standard_normal((4, 50)) + np.array([0, 0.2, 0.5, 0.8])[:, None]
    resampling = Resampling(np.arange(50), 500)
    found = pairs.differences(_means(_draws(resampling, losses)), resampling.degrees)
    every = [(i, j) for i in range(4) for j in range(i)]
    every.sort(key=lambda pair: -abs(found.scores[pair]))
    null = {
        (i, j): abs(found.null[:, i] - found.null[:, j]) / found.variances[i, j] ** 0.5
        for i, j in every
    }
    reached = 0.0
    for place, pair in enumerate(every):
        largest = np.max([null[own] for own in every[place:]], 0)
        beyond = int((largest >= abs(found.scores[pair])).sum())
        reached = max(reached, (1 + beyond) / (1 + len(largest)))
        assert pairs.p_values(found)[pair] == pytest.approx(reached)
    assert reached > 0.001


def test_pairs_that_are_clear_do_not_hide_a_close_one() -> None:
    # Ten entries that are far apart, and one 3.2 standard errors from another: its p of 0.0014 does
    # not pass Bonferroni's 0.05 / 55; after 54 clear pairs have left it is judged alone.
    resampling = Resampling(np.arange(400))
    generator = _generator(8)
    shared = generator.standard_normal(400)
    losses = [shared + 100 * place for place in range(10)]
    noise = generator.standard_normal(400)
    noise = (noise - noise.mean()) / noise.std()
    losses.append(shared + noise + 3.2 / 20)
    own = _means(_draws(resampling, np.stack(losses)))
    found = rank_ranges(own, [False] * 11, resampling.degrees)
    assert [each and each.number for each in found] == [1, *range(3, 12), 2]
    assert all(each and each.low == each.high for each in found)


def test_the_set_keeps_the_best_and_drops_a_model_that_is_clearly_worse() -> None:
    """200 boards of five equal models and one worse by a standard deviation, over 60 cases.

    All five are the best, and they stay on 95 % of the boards (as printed; fewer than 89 % is by
    chance 3e-4). The bad one is 5.5 standard errors away: kept on one of 200, by chance, 1e-2 in
    all, and the seed is fixed.
    """
    generator, resampling = _generator(9), Resampling(np.arange(60), draws=400)
    whole, dropped = 0, 0
    for _ in range(200):
        losses = generator.standard_normal((1, 60)) + generator.standard_normal((6, 60))
        losses[5] += 1
        found = pairs.differences(_means(_draws(resampling, losses)), resampling.degrees)
        p = confidence_set.p_values(found)
        whole += min(p[:5]) > 0.05
        dropped += p[5] <= 0.05
        assert max(p) == 1
    print("best kept", whole / 200, "worse dropped", dropped / 200)
    assert whole / 200 > 0.89
    assert dropped == 200


def test_the_set_is_that_of_another_implementation() -> None:
    """arch's, whose p-values come from its own resamples: standard errors of both are 0.013."""
    from arch.bootstrap import MCS

    generator = _generator(10)
    losses = generator.standard_normal((5, 100)) + np.array([0, 0.1, 0.2, 0.4, 1.0])[:, None]
    other = MCS(losses.T, size=0.05, reps=2000, block_size=1, bootstrap="circular", seed=1)
    other.compute()
    expected = other.pvalues["Pvalue"].sort_index().to_numpy()
    draws = _draws(Resampling(np.arange(100), 2000), losses)
    own = confidence_set.p_values(pairs.differences(_means(draws), 99))
    assert own == pytest.approx(expected, abs=0.06)
    assert 0.05 < sorted(own)[2] < 0.95  # and it is no matter of zeros and ones


def test_entries_that_are_alike_in_every_case_stay_together() -> None:
    losses = _generator(11).standard_normal(50)
    draws = _draws(Resampling(np.arange(50)), np.stack([losses, losses, losses + 1]))
    found = pairs.differences(_means(draws))
    assert confidence_set.p_values(found) == [1, 1, 1 / 4097]
    ranks = rank_ranges(_means(draws), [False] * 3)
    assert ranks == [(1, 1, 2), (2, 1, 2), (3, 3, 3)]
    assert rank_ranges([], []) == []
    assert confidence_set.p_values(pairs.differences(_means(draws[2:]))) == [1]


@pytest.mark.parametrize(("between", "own"), [(0.0, 1.0), (0.1, 0.5), (1.0, 0.2)])
def test_the_interval_over_seeds_covers_what_further_trainings_would_give(
    between: float, own: float
) -> None:
    """Four seeds on 50 cases, 300 times: seeds that do nothing, something, or all.

    It covers 95, 95 and 96 % of the time (as printed); a standard error is 1.3 %: below 90.5 % is
    by chance 3e-4 for each at 95 %. The interval of the cases alone covers 94, 93 and 45 %: it
    fails where seeds matter.
    """
    generator, resampling = _generator(12), Resampling(np.arange(50), draws=400)
    covered, cases_alone, by_draws, sd = 0, 0, 0, []
    for _ in range(300):
        losses = (
            between * generator.standard_normal((4, 1))
            + generator.standard_normal((1, 50))
            + own * generator.standard_normal((4, 50))
        )
        draws = _draws(resampling, losses)
        (mean,) = means([draws], resampling.degrees)
        found = summary("m", range(4), mean)
        one = estimate(joined(draws, resampling.degrees, 0))
        assert one.value == pytest.approx(found.excess.value)
        by_draws += one.low < 0 < one.high
        covered += found.excess.low < 0 < found.excess.high
        cases_alone += found.over_cases.low < 0 < found.over_cases.high
        sd.append(float(mean.between - mean.within))
    shares = [each / 300 for each in (covered, by_draws, cases_alone)]
    print(between, own, *shares, np.mean(sd) ** 0.5)
    assert min(shares[:2]) > 0.905
    if between:
        assert cases_alone < covered
    if between == 1:
        assert cases_alone / 300 < 0.6
    # Without what the cases add: the variance between seeds, before it is cut off at zero.
    assert np.mean(sd) == pytest.approx(between**2, rel=0.15, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "between"), [(8, 0.0), (3, 0.2), (8, 1.0)])
def test_equal_models_of_three_seeds_differ_significantly_on_one_board_in_twenty(
    count: int, between: float
) -> None:
    """200 boards of equal models, whose seeds do nothing, something, or all, over 50 cases.

    Any pair at all is called different on some 5 %: more than 10.5 % of 200 is by chance 1e-3, and
    less than 1 % 4e-4. By the cases alone it is most of the boards where seeds do all.
    """
    generator, resampling = _generator(14), Resampling(np.arange(50), draws=400)
    wrong, cases_alone = 0, 0
    for _ in range(200):
        losses = (
            between * generator.standard_normal((count, 3, 1))
            + 0.5 * generator.standard_normal((count, 1, 50))
            + 0.5 * generator.standard_normal((count, 3, 50))
        )
        own = means([_draws(resampling, each) for each in losses], resampling.degrees)
        wrong += _any_different(own, resampling.degrees)
        if between == 1:
            alone = [Mean(each.over_cases, each.over_cases) for each in own]
            cases_alone += _any_different(alone, resampling.degrees)
    print(count, between, wrong / 200, cases_alone / 200)
    assert 0.01 <= wrong / 200 < 0.105
    if between == 1:
        assert cases_alone / 200 > 0.5


def test_seeds_that_differ_no_more_than_the_cases_make_them_have_a_limit_and_no_zero() -> None:
    """Five seeds that do nothing, over 60 cases, 200 times: the estimate is cut off for half.

    The limit is above the true deviation, zero, always, and never zero itself. With seeds that
    differ by 0.2 it is above that in 95 % of 200; fewer than 89 % is by chance 1e-3.
    """
    generator, resampling = _generator(22), Resampling(np.arange(60), draws=400)
    cut, above = 0, 0
    for between in (0.0, 0.2):
        for _ in range(200):
            losses = generator.standard_normal((5, 60)) + between * generator.standard_normal(
                (5, 1)
            )
            (mean,) = means([_draws(resampling, losses)], resampling.degrees)
            found = summary("m", range(5), mean)
            assert found.seed_sd_below > 0
            assert found.seed_sd != 0
            if between == 0:
                cut += found.seed_sd is None
            above += between > 0 and found.seed_sd_below > between
    print(cut / 200, above / 200)
    assert 0.3 < cut / 200 < 0.7
    assert above / 200 > 0.89


def test_the_limit_is_that_of_chi_square() -> None:
    from scipy import stats

    low = stats.chi2.ppf(0.05, 2) / 2
    assert upper_limit(4.0, 1.0, 2) == pytest.approx((4 / low - 1) ** 0.5)
    assert upper_limit(0.1, 1.0, 2) == pytest.approx((1 / low - 1) ** 0.5)
    assert upper_limit(0.0, 0.0, 2) == 0


def test_one_variance_between_seeds_serves_all_lead_times() -> None:
    # Three seeds: what they add at a lead time is the same share of what cases add, however the
    # seeds happen to lie there. Lead time 2 has seeds that are all but equal.
    generator, resampling = _generator(23), Resampling(np.arange(50), draws=400)
    cases = np.array([1.0, 2.0, 4.0]) * generator.standard_normal((3, 50, 3))
    cases -= cases.mean(1, keepdims=True)
    cases += np.array([[0.3, 0.01, 1.0], [-0.3, 0.0, 1.5], [0.1, -0.01, -3.0]])[:, None]
    draws = np.stack([resampling.spread(resampling.weights @ seed) for seed in cases])
    (mean,) = means([draws], resampling.degrees)
    shares = mean.between / np.var(draws[:, 1:], axis=1).mean(0)
    assert shares == pytest.approx([shares[0]] * 3)
    own = draws[:, 0].var(0, ddof=1) / np.var(draws[:, 1:], axis=1).mean(0)
    assert own.max() / own.min() > 100
    assert shares[0] == pytest.approx(own.mean())
    widths = [np.ptp(np.quantile(mean.draws[1:, lead], [0.025, 0.975])) for lead in range(3)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.25)
    assert widths[2] == pytest.approx(2 * widths[1], rel=0.25)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 16.0])
def test_intervals_over_seeds_are_students_where_seeds_do_all(degrees: float) -> None:
    from scipy import special, stats

    def extra(chance: Array) -> Array:
        return np.asarray(3.0 * degrees / special.chdtri(degrees, chance)).reshape(-1, 1)

    wide = widened(np.zeros(1), 1.0, extra) * stats.norm.ppf(0.975)
    assert wide == pytest.approx(3**0.5 * stats.t.ppf(0.975, degrees), rel=2e-3)


def test_variances_of_models_are_shrunk_only_as_far_as_they_are_alike() -> None:
    # As published (Smyth, 2004): the prior's degrees d0 solve var(log s²) = ψ'(d/2) + ψ'(d0/2).
    from scipy import special

    alike = moderated([(1.0, 4.0), (1.1, 4.0), (0.9, 4.0), (1.05, 4.0)])
    assert alike == [(pytest.approx(4.05 / 4), 16.0)] * 4
    own = np.array([0.01, 0.3, 2.0, 50.0, 400.0])
    found = moderated([(each, 2.0) for each in own])
    logs = np.log(own) - special.psi(1.0)
    prior = found[0][1] - 2
    expected = special.polygamma(1, 1.0) + special.polygamma(1, prior / 2)
    assert logs.var(ddof=1) == pytest.approx(expected)
    assert prior < 1
    middle = np.exp(logs.mean() + special.psi(prior / 2) - np.log(prior / 2))
    for (shrunk, degrees), alone in zip(found, own, strict=True):
        assert degrees == pytest.approx(2 + prior)
        assert shrunk == pytest.approx((prior * middle + 2 * alone) / (prior + 2))
    assert moderated([(1.0, 2.0), (9.0, 2.0)]) == [(1.0, 2.0), (9.0, 2.0)]


def test_models_of_one_seed_have_no_summary_and_a_failed_seed_spoils_it() -> None:
    draws = list(_draws(Resampling(np.arange(30)), _generator(13).standard_normal((6, 30))))
    draws[4] = np.full_like(draws[4], np.nan)
    labels = ["once", "bad", "good", "good", "bad", "good"]
    found = summaries(labels, [0, 0, 0, 1, 1, 2], draws, 29)
    assert [each.label for each in found] == ["good", "bad"]
    assert found[0].seeds == [0, 1, 2]
    assert found[0].excess.value == pytest.approx(np.mean([draws[i][0] for i in (2, 3, 5)]))
    assert found[0].excess.low <= found[0].over_cases.low
    assert np.isnan(found[1].excess.value)
    assert np.isnan(found[1].seed_sd)


def _crps_of(label: str, board: dict[str, Any]) -> list[list[float]]:
    """CRPS by lead time of each row of a model."""
    rows = [place for place, row in enumerate(board["rows"]) if row["label"] == label]
    cells = board["columns"][0]["cells"]
    return [[cell["score"]["value"] for cell in cells[place]] for place in rows]


STUDY = """
experiments:
  few:
    use: lorenz95
    spin_up: 5
    train: {trajectories: 20, steps: 20}
    validation: {trajectories: 4, steps: 10}
    test: {trajectories: 2, inits: 30}
    leads: 3
models: {oracle: oracle, climatology: climatology, persistence: persistence}
seeds: [0, 1]
members: 4
scorers: [crps]
reference: {members: 8}
"""


@pytest.mark.slow
def test_a_board_of_a_few_long_trajectories_and_several_seeds(tmp_path: Path) -> None:
    study, page = tmp_path / "study.yaml", tmp_path / "page.html"
    study.write_text(STUDY)

    def geobench(*words: object) -> str:
        all_words = ["-q", "--catalog", str(tmp_path / "catalog"), *map(str, words)]
        done = CliRunner().invoke(main, all_words)
        assert done.exit_code == 0, done.output
        return done.stdout

    told = geobench("run", study)
    assert "consecutive inits of 2 test trajectories, worth" in " ".join(told.split())
    assert "Over seeds" in told
    (board,) = json.loads(geobench("leaderboard", study, "--json"))
    assert board["resampled"].startswith("blocks of ")
    assert [row["rank"] for row in board["rows"] if row["rank"]] == [1, 2, 3, 4]
    for row in board["rows"]:
        if row["label"] == "oracle":
            assert (row["set_p"], row["in_set"]) == (None, False)
            assert (row["rank"], row["rank_range"]) == (None, None)
        else:
            assert row["in_set"] == (row["label"] == "climatology") == (row["set_p"] > 0.05)
    assert [each["label"] for each in board["models"]] == ["oracle", "climatology", "persistence"]
    for each in board["models"]:
        assert each["seeds"] == [0, 1]
        assert each["excess"]["low"] <= each["over_cases"]["low"] <= each["excess"]["value"]
    (joined_board,) = json.loads(geobench("leaderboard", study, "--by-model", "--json"))
    assert [row["label"] for row in joined_board["rows"]] == [
        "oracle",
        "climatology",
        "persistence",
    ]
    for row, each in zip(joined_board["rows"], board["models"], strict=True):
        assert row["seeds"] == [0, 1]
        assert row["excess"]["value"] == pytest.approx(each["excess"]["value"])
        assert row["excess"]["high"] == pytest.approx(each["excess"]["high"], rel=0.2, abs=0.05)
        singles, (own,) = (_crps_of(row["label"], each) for each in (board, joined_board))
        assert own == pytest.approx(np.mean(singles, 0))
    geobench("leaderboard", study, "--html", page)
    assert "Models of several seeds" in page.read_text("utf-8")
    assert re.search(r'<td data-sort="1">1(–\d)? •</td>', page.read_text("utf-8"))

    law = "forecast/few.reference.s1000000@1"
    words = ("plan", "forecast/few.oracle.s0@1", "--law", law, "--members", "2,8", "--mde", "2%")
    assert "two-sided test at 0.05" in geobench(*words)
    (plan,) = json.loads(geobench(*words, "--json"))
    assert plan["aim"] == {"share": 0.02, "power": 0.8, "level": 0.05}
    assert [need["members"] for need in plan["needs"]] == [2, 8]
    assert plan["needs"][0]["cases"] > plan["needs"][1]["cases"] > 1


def test_suspicion_takes_more_where_blocks_are_few() -> None:
    # 4 standard errors of a normal law are as improbable as 17.4 of Student's with 4 degrees.
    from scipy import stats

    few, many = Resampling(np.arange(5)), Resampling(np.arange(500))
    widening = stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975)
    assert stats.t.sf(few.errors(4.0) * widening, 4) == pytest.approx(stats.norm.sf(4.0), rel=1e-4)
    assert many.errors(4.0) == pytest.approx(4, rel=0.02)
    assert Resampling(np.zeros(9, int)).errors(4.0) == float("inf")
