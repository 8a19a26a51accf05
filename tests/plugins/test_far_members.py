"""Members far away, as runaways and fill values are: every score against exact arithmetic.

Definitions are written out with decimal numbers of 250 digits, of which nothing cancels.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geobench import Context, Scorer
from geobench.registry import Registry
from geobench_plugins.kernels import ensembles, fields_torch, marginals_torch
from geobench_plugins.kernels.law_marginals import merging

Exact = Any  # arrays of decimals
Score = Callable[[Exact, Exact, Exact], Exact]

REGISTRY = Registry()
FAR = [-9999.0, 1e6, 1e8, 1e10, 1e15, 1e20, 9.969209968386869e36]
MEMBERS, DRAWS, SITES, INITS, LEADS = 6, 7, 4, 2, 2
LIMIT, STD = 0.5, 2.0
SOME = (0, 1), (0, 1)  # inits and lead times of the cases that are computed exactly
DIGITS = {np.float32: 1e-6, np.float64: 1e-11}


def _near(dtype: Any, offset: float, size: float) -> tuple[Exact, Exact, Exact]:
    """Members, outcomes and draws of the law, `(init, lead, member, variable, site)`."""
    random = np.random.Generator(np.random.Philox(key=11))
    shape = INITS, LEADS, MEMBERS + 1 + DRAWS, 1, SITES
    values = (offset + size * random.standard_normal(shape)).astype(dtype)
    return values[:, :, :MEMBERS], values[:, :, MEMBERS], values[:, :, MEMBERS + 1 :]


def _far(where: str, value: float, members: Exact, draws: Exact) -> None:
    """Put far values where they are."""
    if where == "cell":
        members[:, :, 2, 0, 1] = value
    elif where == "member":
        members[:, :, 0] = value
    elif where == "two":
        members[:, :, 0], members[:, :, 4, 0, 1] = value, value * 0.75
    elif where == "opposite":
        members[:, :, 1, 0, 1], members[:, :, 3, 0, 1] = value, -value
    elif where == "draw":
        draws[:, :, 3] = value
    elif where == "both":
        members[:, :, 5, 0, 2], draws[:, :, 0, 0, 2] = value, value * 0.5
    elif where == "most":
        members[:, :, 1:] = value


WHERE = ["cell", "member", "two", "opposite", "draw", "both", "most"]


def _half_of_them(where: str, dtype: Any) -> list[float]:
    """Every other far value: wherever it is, the other precision has the rest."""
    return FAR[(WHERE.index(where) + (dtype is np.float64)) % 2 :: 2]


def _labelled(
    members: Exact, outcome: Exact, draws: Exact
) -> tuple[xr.DataArray, xr.DataArray, Context]:
    dims = ("init_time", "lead_time", "member", "variable", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(INITS) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(LEADS)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    forecast, law = (
        xr.DataArray(each, coords | {"member": np.arange(each.shape[2])}, dims)
        for each in (members, draws)
    )
    truth = xr.DataArray(outcome, coords, tuple(dim for dim in dims if dim != "member"))
    sea = xr.DataArray(np.ones(SITES, bool), dims="x")
    std = xr.DataArray(np.full((1, SITES), np.float32(STD)), {"variable": ["q"]}, ("variable", "x"))
    limits = xr.full_like(std, LIMIT).expand_dims(quantile=[0.9])
    return forecast, truth, Context(limits, sea, std, law, periodic=("x",))


def _decimals(values: Exact) -> Exact:
    return np.vectorize(Decimal, otypes=[object])(values.astype(float))


def _root(values: Exact) -> Exact:
    return np.vectorize(lambda each: each.sqrt(), otypes=[object])(values)


def _pairs(x: Exact) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(len(x)), 2))


# -- definitions, of one case: members `(member, site)`, outcome `(site,)`, draws `(draw, site)`


def _half(x: Exact, size: Callable[[Exact], Exact] = abs) -> Exact:
    return sum(size(x[j] - x[k]) for j, k in _pairs(x)) / len(_pairs(x)) / 2


def _norm(x: Exact) -> Exact:
    return (sum(x * x) / SITES).sqrt() / Decimal(STD)


def _crps(x: Exact, y: Exact, _: Exact) -> Exact:
    return (abs(x - y).mean(0) - _half(x)).mean()


def _cut(values: Exact) -> Exact:
    return np.maximum(values, Decimal(LIMIT))


def _tail_crps(x: Exact, y: Exact, law: Exact) -> Exact:
    return _crps(_cut(x), _cut(y), law)


def _energy(x: Exact, y: Exact, _: Exact) -> Exact:
    return np.mean([_norm(each - y) for each in x]) - _half(x, _norm)


def _between(x: Exact, y: Exact, size: Callable[[Exact], Exact]) -> Exact:
    return sum(size(one - other) for one in x for other in y) / len(x) / len(y)


def _law_crps(x: Exact, _: Exact, law: Exact) -> Exact:
    return (_between(x, law, abs) - _half(x) - _half(law)).mean()


def _law_tail(x: Exact, y: Exact, law: Exact) -> Exact:
    return _law_crps(_cut(x), y, _cut(law))


def _law_energy(x: Exact, _: Exact, law: Exact) -> Exact:
    return _between(x, law, _norm) - _half(x, _norm) - _half(law, _norm)


def _variance(x: Exact) -> Exact:
    return ((x - x.mean(0)) ** 2).sum(0) / (len(x) - 1)


def _bias(x: Exact, y: Exact, _: Exact) -> Exact:
    return (x.mean(0) - y).mean()


def _debiased(x: Exact, y: Exact, _: Exact) -> Exact:
    return ((x.mean(0) - y) ** 2 - _variance(x) / len(x)).mean()


def _law_mean(x: Exact, _: Exact, law: Exact) -> Exact:
    noise = _variance(x) / len(x) + _variance(law) / len(law)
    return ((x.mean(0) - law.mean(0)) ** 2 - noise).mean() / Decimal(STD) ** 2


def _variogram(x: Exact, y: Exact, _: Exact) -> Exact:
    one, other = np.triu_indices(SITES, 1)
    drawn, seen = (_root(abs(each[..., one] - each[..., other])) for each in (x, y))
    squared = (seen - drawn.mean(0)) ** 2 - _variance(drawn) / len(x)
    return squared.mean() / Decimal(STD)


def _kernel(x: Exact) -> Exact:
    squared = _norm(x) ** 2
    widths = [Decimal("0.1"), Decimal("0.3"), Decimal(1)]
    exponents = [-squared / (2 * width * width) for width in widths]
    with localcontext() as context:
        context.prec = 40  # of the exponential: nothing small is the difference of large ones
        return sum(each.exp() for each in exponents) / 3


def _kernel_score(x: Exact, y: Exact, _: Exact) -> Exact:
    return Decimal("0.5") + _half(x, _kernel) - np.mean([_kernel(each - y) for each in x])


def _mmd(x: Exact, _: Exact, law: Exact) -> Exact:
    return 2 * (_half(x, _kernel) + _half(law, _kernel) - _between(x, law, _kernel))


def _pooled(x: Exact, y: Exact, law: Exact) -> Exact:
    return _crps(*(each.reshape(*each.shape[:-1], 2, 2).mean(-1) for each in (x, y)), law)


def _steps(x: Exact) -> Exact:
    return ((x - np.roll(x, 1, -1)) ** 2).mean()


OF_A_CASE: dict[str, tuple[dict[str, object], Score]] = {
    "CRPS": ({"use": "crps"}, _crps),
    "twCRPS": ({"use": "tail-crps"}, _tail_crps),
    "bias": ({"use": "bias"}, _bias),
    "energy score": ({"use": "energy"}, _energy),
    "variogram score": ({"use": "variogram"}, _variogram),
    "kernel score": ({"use": "kernel-score"}, _kernel_score),
    "CRPS of mean over 2": ({"use": "pooled-crps", "window": 2}, _pooled),
    "excess CRPS": ({"use": "law-crps"}, _law_crps),
    "excess energy score": ({"use": "law-energy"}, _law_energy),
    "squared MMD": ({"use": "law-mmd"}, _mmd),
    "squared error of the mean": ({"use": "law-mean"}, _law_mean),
}
SIGNED = {"bias", "excess CRPS", "excess energy score", "squared MMD", "squared error of the mean"}


def _each_case(score: Score, members: Exact, outcome: Exact, draws: Exact) -> Exact:
    """Of the first case at the first lead time, and of the second at the second."""
    found = np.zeros(len(SOME[0]))
    for place, case in enumerate(zip(*SOME, strict=True)):
        given = (each[case].reshape(-1, SITES).squeeze() for each in (members, outcome, draws))
        found[place] = float(score(*(_decimals(each) for each in given)))
    return found


def _found(scorer: Scorer, case: tuple[Any, Any, Context]) -> xr.Dataset:
    return scorer.metric(scorer.statistics(*case))


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", OF_A_CASE)
def test_far_members_cost_no_digits(name: str, where: str, dtype: Any) -> None:
    recipe, score = OF_A_CASE[name]
    scorer = REGISTRY.scorer(recipe)
    if where in ("draw", "both") and not scorer.needs_law:
        pytest.skip("it reads no draws")
    for value in _half_of_them(where, dtype):
        members, outcome, draws = _near(dtype, 0.0, 1.0)
        _far(where, value, members, draws)
        found = _found(scorer, _labelled(members, outcome, draws))[name].squeeze().to_numpy()[SOME]
        with localcontext() as context:
            context.prec = 250
            expected = _each_case(score, members, outcome, draws)
        # Of what has both signs, relative to the scores of ordinary members at least.
        floor = 1.0 if name in SIGNED else 1e-9
        error = np.abs(found - expected) / np.maximum(np.abs(expected), floor)
        assert error.max() <= DIGITS[dtype], (value, found, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-8)])
@pytest.mark.parametrize("name", OF_A_CASE)
def test_neither_does_an_offset(name: str, dtype: Any, tolerance: float) -> None:
    """Of 100,000 beside a spread of 0.1: of single precision 13 values are left within it."""
    recipe, score = OF_A_CASE[name]
    near = _near(dtype, 1e5, 0.1)
    found = _found(REGISTRY.scorer(recipe), _labelled(*near))[name].squeeze().to_numpy()[SOME]
    with localcontext() as context:
        context.prec = 250
        expected = _each_case(score, *near)
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def _over_cases(name: str, members: Exact, outcome: Exact, draws: Exact) -> Exact:
    """Scores that are functions of means over cases, of one lead time; all cases alike."""
    x, y, law = (
        [_decimals(own.reshape(-1, SITES).squeeze()) for own in each[:, 0]]
        for each in (members, outcome, draws)
    )
    cases = list(zip(x, y, law, strict=True))
    count = Decimal(MEMBERS)
    if name == "RMSE":
        return max(Decimal(0), np.mean([_debiased(*case) for case in cases])).sqrt()
    if name == "spread/skill":
        squared = np.mean([((x.mean(0) - y) ** 2).mean() for x, y, _ in cases])
        variance = np.mean([_variance(x).mean() for x in x])
        return ((count + 1) / count * variance / squared).sqrt()
    if name == "spread over the law's":
        one, other = (np.mean([_variance(e).mean() for e in each]) for each in (x, law))
        return one.sqrt() - other.sqrt()
    if name == "structure":
        one, other = np.mean([_steps(e) for e in x]), np.mean([_steps(e) for e in y])
        return one / other
    if name == "power":
        one, other = np.mean([_wave(e) for e in x]), np.mean([_wave(e) for e in y])
        return one / other
    if name == "error of the covariance":
        return _covariance(x, law)
    return sum(_hersbach(x, y)) if name == "plain CRPS" else _hersbach(x, y)[1]


def _wave(x: Exact) -> Exact:
    """Power of the longest wave around the four sites."""
    squares = (x[..., 0] - x[..., 2]) ** 2 + (x[..., 1] - x[..., 3]) ** 2
    return np.mean(squares) / 8


def _covariance(x: list[Exact], law: list[Exact]) -> Exact:
    def square(x: Exact) -> Exact:
        apart = {(a, b): x[a] - x[b] for a, b in _pairs(x)}
        of_four = [  # the other 7 orders of four members have the same square
            sum(apart[one] * apart[other]) / SITES / 4
            for one, other in itertools.combinations(apart, 2)
            if not {*one} & {*other}
        ]
        return np.mean([each**2 for each in of_four]) / 4

    def across(x: Exact, y: Exact) -> Exact:
        x, y = x - x.mean(0), y - y.mean(0)
        total = sum((sum(one * other) / SITES / 4) ** 2 for one in x for other in y)
        return total / (len(x) - 1) / (len(y) - 1)

    members, of_law = np.mean([square(e) for e in x]), np.mean([square(e) for e in law])
    both = np.mean([across(*each) for each in zip(x, law, strict=True)])
    return (members + of_law - 2 * both) / of_law


def _hersbach(x: list[Exact], y: list[Exact]) -> tuple[Exact, Exact]:
    """Reliability and potential CRPS (Hersbach, 2000, eqs. 26 to 36)."""
    ordered = np.sort(np.stack(x).transpose(1, 0, 2).reshape(MEMBERS, -1), 0)
    seen = np.stack(y).reshape(-1)
    reliability = potential = Decimal(0)
    for gap in range(MEMBERS + 1):
        p = Decimal(gap) / MEMBERS
        if 0 < gap < MEMBERS:
            within = np.clip(seen, ordered[gap - 1], ordered[gap])
            above, below = (within - ordered[gap - 1]).mean(), (ordered[gap] - within).mean()
            if not above + below:  # equal members
                continue
            width, share = above + below, below / (above + below)
        else:
            edge = ordered[0] if gap == 0 else ordered[-1]
            out = seen < edge if gap == 0 else seen > edge
            often = Decimal(int(out.sum())) / len(seen)
            if not often:
                continue
            width = abs(np.where(out, seen - edge, Decimal(0))).mean() / often
            share = often if gap == 0 else 1 - often
        reliability += width * (share - p) ** 2
        potential += width * share * (1 - share)
    return reliability, potential


OF_MEANS = {
    "RMSE": {"use": "rmse"},
    "spread/skill": {"use": "spread-skill"},
    "spread over the law's": {"use": "law-spread"},
    "structure": {"use": "structure", "distances": [1]},
    "power": {"use": "spectrum"},
    "error of the covariance": {"use": "law-covariance"},
    "potential CRPS": {"use": "crps-parts"},
    "plain CRPS": {"use": "crps-parts"},
}


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", OF_MEANS)
def test_nor_from_functions_of_means(name: str, where: str, dtype: Any) -> None:
    scorer = REGISTRY.scorer(OF_MEANS[name])
    if where in ("draw", "both") and not scorer.needs_law:
        pytest.skip("it reads no draws")
    for value in _half_of_them(where, dtype):
        members, outcome, draws = _near(dtype, 0.0, 1.0)
        _far(where, value, members, draws)
        case = _labelled(members, outcome, draws)
        found = scorer.metric(scorer.statistics(*case).mean("init_time")).isel(lead_time=0)
        if name == "plain CRPS":
            own = found["CRPS reliability"] + found["potential CRPS"]
        else:
            own = found[name] if name != "power" else found[name].isel(band=0)
        with localcontext() as context:
            context.prec = 250
            expected = float(_over_cases(name, members, outcome, draws))
        floor = 1.0 if name == "spread over the law's" else 0.0
        assert abs(own.item() - expected) <= DIGITS[dtype] * max(abs(expected), floor), value


@pytest.mark.parametrize("of", ["change", "mean", "maximum"])
@pytest.mark.parametrize("value", FAR)
def test_paths_may_run_away(of: str, value: float) -> None:
    members, outcome, draws = _near(np.float32, 0.0, 1.0)
    members[:, 1, 3, 0, 2] = value
    scorer = REGISTRY.scorer({"use": "path-crps", "of": of})
    (found,) = _found(scorer, _labelled(members, outcome, draws)).data_vars.values()
    found = found.squeeze()

    def taken(values: Exact) -> Exact:
        one, two = values
        return {"change": two - one, "mean": (one + two) / 2, "maximum": np.maximum(one, two)}[of]

    for init in range(INITS):
        x, y = (_decimals(each[init]).squeeze() for each in (members, outcome))
        with localcontext() as context:
            context.prec = 250
            expected = float(_crps(taken(x), taken(y), None))
        assert float(found.isel(init_time=init, lead_time=1)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("value", FAR)
def test_excess_above_thresholds(where: str, value: float) -> None:
    members, outcome, draws = _near(np.float32, 0.0, 1.0)
    _far(where, value, members, draws)
    forecast, _, known = _labelled(members, outcome, draws)
    found = ensembles.law_marginals(forecast, known)["tail_excess"].squeeze().to_numpy()[SOME]
    with localcontext() as context:
        context.prec = 250
        expected = _each_case(_law_tail, members, outcome, draws)
    assert (np.abs(found - expected) <= 1e-6 * np.maximum(np.abs(expected), 1)).all()


@pytest.mark.parametrize("value", FAR)
@pytest.mark.parametrize("where", ["cell", "member", "two", "opposite", "most"])
def test_kernels_for_accelerators_keep_their_digits_too(where: str, value: float) -> None:
    members, outcome, draws = (each[:, 0, ..., 0, :] for each in _near(np.float32, 0.0, 1.0))
    _far(where, value, members[:, None, :, None], draws[:, None, :, None])
    weights, limits = np.ones((1, SITES)), np.full((1, SITES), np.float32(LIMIT))
    found = marginals_torch.marginals(members, outcome, weights, limits, np.arange(INITS), "cpu")
    of_norm = np.full(SITES, 1 / STD / SITES**0.5)
    pairs = np.stack(np.triu_indices(SITES, 1), -1)
    share = np.full(len(pairs), 1 / len(pairs) / STD)
    given = {
        "crps": (found.crps[:, 0], _crps, 0),
        "bias": (found.bias[:, 0], _bias, 1),
        "debiased": (found.debiased[:, 0], _debiased, 1),
        "tail_crps": (found.tail_crps[:, 0, 0], _tail_crps, 0),
        "energy": (fields_torch.energy_score(members, outcome, of_norm, "cpu"), _energy, 0),
        "variogram": (
            fields_torch.variogram(members, outcome, pairs, share, 0.5, "cpu")[1], _variogram, 0
        ),
    }  # fmt: skip
    for name, (own, score, floor) in given.items():
        with localcontext() as context:
            context.prec = 250
            expected = [
                float(score(_decimals(x), _decimals(y), None))
                for x, y in zip(members, outcome, strict=True)
            ]
        for one, other in zip(own, expected, strict=True):
            assert abs(one - other) <= 1e-6 * max(abs(other), floor), name


@pytest.mark.parametrize("value", FAR)
@pytest.mark.parametrize("by", ["energy", "reference"])
def test_ranks_of_fields_see_the_order_of_the_near_ones(by: str, value: float) -> None:
    members, outcome, draws = _near(np.float64, 0.0, 1.0)
    members[:, :, 2, 0, 1] = value
    scorer = REGISTRY.scorer({"use": "multivariate-ranks", "by": by})
    case = _labelled(members, outcome, draws)
    ranks = scorer.statistics(*case)["ranks"].argmax("rank").to_numpy()
    keys = ensembles.case_keys(case[0]).reshape(INITS, LEADS)
    for init, lead in itertools.product(range(INITS), range(LEADS)):
        every = np.concatenate([outcome[init, lead], members[init, lead, :, 0]])
        x = _decimals(every)
        with localcontext() as context:
            context.prec = 250
            if by == "energy":
                number = [sum(_norm(one - other) for other in x) for one in x]
            else:
                key = [int(keys[init, lead]) % 2**63, 1]
                noise = np.random.Generator(np.random.Philox(key=key)).standard_normal(SITES)
                deviation = _root(((x - x.mean(0)) ** 2).mean(0))
                reference = x.mean(0) + deviation * _decimals(noise)
                number = [_norm(one - reference) for one in x]
        assert ranks[init, lead] == sum(each < number[0] for each in number[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_runaways_at_many_sites_neither_overflow_nor_are_free(dtype: Any) -> None:
    """40 sites of 9.97e36 are more than single precision holds, and so are differences of 3e38."""
    random = np.random.Generator(np.random.Philox(key=5))
    values = random.standard_normal((3, 17, 40)).astype(dtype)
    values[:, 1:9], values[0, 9:13], values[0, 13:] = FAR[-1], 3e38, -3e38
    from geobench_plugins.kernels.marginals import marginals

    no_limits = np.empty((0, 40), dtype)
    found = marginals(values[:, 1:], values[:, 0], np.ones((1, 40)), no_limits, np.arange(3))
    for case in range(3):
        expected = float(_crps(*_decimals_of(values[case, 1:], values[case, 0]), None))
        assert found.crps[case, 0] == pytest.approx(expected, rel=1e-6)


def _decimals_of(*each: Exact) -> tuple[Exact, ...]:
    return tuple(_decimals(one) for one in each)


def test_the_runaway_of_the_report() -> None:
    """One of 16 members at a fill value, the others 5 too high: it was a perfect score."""
    random = np.random.Generator(np.random.Philox(key=2))
    drawn = random.standard_normal((400, 17, 8)).astype(np.float32)
    members, outcome = drawn[:, 1:] + np.float32(5), drawn[:, 0]
    members[:, 3] = np.float32(9.969209968386869e36)
    from geobench_plugins.kernels.marginals import marginals

    no_limits = np.empty((0, 8), np.float32)
    found = marginals(members, outcome, np.ones((1, 8)), no_limits, np.arange(400)).crps.mean()
    x, y = np.sort(members.astype(float), 1), outcome.astype(float)
    points = np.sort(np.concatenate([x, y[:, None]], 1), 1)
    expected = 0.0
    for gap in range(16):  # non-negative gaps with whole weights
        low = points[:, gap]
        n, h = (x <= low[:, None]).sum(1), y <= low
        weight = (n - 16 * h) ** 2 * 15 - n * (16 - n)
        width = np.where(weight == 0, 0.0, points[:, gap + 1] - low)
        expected += (weight * width).mean() / (16 * 16 * 15)
    assert found == pytest.approx(expected, rel=1e-6)
    assert 4 < found < 6


@pytest.mark.parametrize("deviation", [1.8e19, 1e25, 9e36])
@pytest.mark.parametrize("use", ["energy", "variogram", "kernel-score", "law-energy", "law-mean"])
def test_units_may_be_large(use: str, deviation: float) -> None:
    """A deviation in single precision whose square is beyond it: scores without units are equal."""
    near = _near(np.float32, 0.0, 1.0)
    scorer = REGISTRY.scorer(use)
    forecast, truth, context = _labelled(*near)
    size = np.float32(deviation)
    large = _labelled(*(each * size for each in near))
    own = replace(large[2], std=context.std * size)
    expected = _found(scorer, (forecast, truth, context)).to_dataarray("score").to_numpy()
    found = _found(scorer, (*large[:2], own)).to_dataarray("score").to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("one", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("other", [1, 2, 5, 8, 64])
def test_the_network_merges(one: int, other: int) -> None:
    """All pairs of sorted runs of zeros and ones, which suffice: one sorted, so are all (Knuth)."""
    pairs, order = (each // 64 for each in merging(one, other))
    for i, j in itertools.product(range(one + 1), range(other + 1)):
        row = np.concatenate([np.arange(one) >= i, np.arange(other) >= j]).astype(int)
        for first, second in pairs:
            row[first], row[second] = min(row[first], row[second]), max(row[first], row[second])
        assert (np.diff(row[order]) >= 0).all()
        assert sorted(order) == list(range(one + other))
