"""Lorenz95 against its equations, its invariants, the order of its scheme and published values."""

import itertools
import math

import pytest
import torch

from geobench import GeobenchError, Noise
from geobench.testing import SimulatorConformance
from geobench.twin.simulating import trajectories
from geobench_plugins.simulators.lorenz95 import Lorenz95


class TestLorenz95(SimulatorConformance):
    def simulator(self) -> Lorenz95:
        return Lorenz95()


def _climate(rows: int = 64, steps: int = 200, **fields: float) -> torch.Tensor:
    return trajectories(Lorenz95(**fields), Noise.rows(0, "test", rows), spin_up=60, steps=steps)


def test_tendency_is_the_equation_site_by_site() -> None:
    x = Noise.rows(0, "state", 2).normal(1, 7, dtype=torch.float64)
    tendency = Lorenz95(sites=7, forcing=5).tendency(x)
    for i in range(7):
        left, far, right = x[..., i - 1], x[..., i - 2], x[..., (i + 1) % 7]
        assert torch.allclose(tendency[..., i], (right - far) * left - x[..., i] + 5)


def test_advection_conserves_the_sum_of_squares() -> None:
    x = 5 * Noise.rows(0, "state", 100).normal(1, 40, dtype=torch.float64)
    advection = Lorenz95(forcing=0).tendency(x) + x
    assert float((x * advection).sum(-1).abs().max()) < 1e-10 * float((x**2).sum(-1).max())


def test_the_scheme_is_of_fourth_order() -> None:
    start = _climate(8, 2)[:, -1].double()

    def after_a_day(dt: float) -> torch.Tensor:
        return Lorenz95(amplitude=0, dt=dt).advance(start, 1, Noise.rows(0, "none", 8))

    exact = after_a_day(0.2 / 256)
    errors = [float((after_a_day(dt) - exact).norm()) for dt in (0.05, 0.025, 0.0125)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(3.7 < order < 4.3 for order in orders), orders


def test_the_climate_is_the_published_one() -> None:
    # F = 8, 40 sites, no noise: mean 2.34, standard deviation 3.64 (variance 13.2) in the
    # literature. 64 x 200 days leave sampling errors of .01 and .01, measured between seeds.
    states = _climate(amplitude=0)
    assert float(states.mean()) == pytest.approx(2.34, abs=0.04)
    assert float(states.std()) == pytest.approx(3.64, abs=0.04)


def test_noise_has_its_amplitude() -> None:
    # Two runs from one state: after one RK4 step (here, a whole output step) they differ by
    # sigma sqrt(dt) N(0, 1) exactly. False alarm 6e-7 (5 sigma).
    simulator = Lorenz95(amplitude=0.7, output_hours=6)
    state = torch.full((500, 1, 40), 3.0, dtype=torch.float64)
    noisy = simulator.advance(state, 1, Noise.rows(0, "noise", 500))
    quiet = Lorenz95(amplitude=0, output_hours=6).advance(state, 1, Noise.rows(0, "noise", 500))
    kicks = (noisy - quiet).flatten() / (0.7 * math.sqrt(0.05))
    count = len(kicks)
    assert abs(float(kicks.mean())) < 5 / math.sqrt(count)
    assert abs(float((kicks**2).mean()) - 1) < 5 * math.sqrt(2 / count)


def test_one_day_change_has_the_known_size() -> None:
    # 3.39 with noise of 1: read off an independent implementation over 512 x 200 days.
    states = _climate()
    assert float((states[:, 1:] - states[:, :-1]).std()) == pytest.approx(3.39, abs=0.03)


# Every kind of noise, some of them together.
KINDS: list[dict[str, object]] = [
    {},
    {"amplitude": 0},
    {"rank": 4},
    {"rank": 11, "correlation": 2.0},
    {"multiplicative": 0.7},
    {"tails": 0.1},
    {"threshold": 3.0},
    {"sites": 37, "rank": 6, "tails": 0.3, "multiplicative": 1.0, "threshold": 0.0, "forcing": 6},
]


@pytest.mark.parametrize("fields", KINDS, ids=str)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 2e-5), (torch.float64, 1e-13)])
def test_both_backends_are_one_equation(
    fields: dict[str, object], dtype: torch.dtype, close: float
) -> None:
    # Two days, eight steps: rounding (6e-8 or 1e-16 of 10) grows by at most some e^(2 x 1.7 x 0.4).
    noise = Noise.rows(0, "noise", 45, lead=3)
    compiled = Lorenz95.configured({**fields, "backend": "numba"})
    eager = Lorenz95.configured({**fields, "backend": "torch"})
    state = (2 + 3 * Noise.rows(0, "state", 45).normal(1, compiled.sites)).to(dtype)
    difference = compiled.advance(state, 2, noise) - eager.advance(state, 2, noise)
    assert float(difference.abs().max()) < close


def test_rows_do_not_depend_on_blocks_or_threads() -> None:
    simulator = Lorenz95(rank=5, multiplicative=0.5)
    noise = Noise.rows(0, "noise", 200)
    state = 3 * Noise.rows(0, "state", 200).normal(1, 40)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = simulator.advance(state, 2, noise)
        torch.set_num_threads(3)
        together = simulator.advance(state, 2, noise)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(alone, together)
    part = Noise(0, "noise", noise.init[70:75], noise.member[70:75])
    assert torch.equal(simulator.advance(state[70:75], 2, part), alone[70:75])


def test_a_gradient_passes_through() -> None:
    simulator = Lorenz95(output_hours=6)
    noise = Noise.rows(0, "noise", 2)
    state = Noise.rows(0, "state", 2).normal(1, 40, dtype=torch.float64).requires_grad_()
    push = Noise.rows(0, "push", 2).normal(1, 40, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(simulator.advance(state, 1, noise).sum(), state)
    with torch.no_grad():
        up, down = (simulator.advance(state + s * 1e-6 * push, 1, noise) for s in (1, -1))
    slope = float((up - down).sum()) / 2e-6
    assert float((gradient * push).sum()) == pytest.approx(slope, rel=1e-6)


def _kicks(count: int, **fields: float) -> torch.Tensor:
    """Kicks of one step, in units of sqrt(dt), `(row, site)`, on states that are 5 everywhere."""
    state = torch.full((count, 1, 40), 5.0, dtype=torch.float64)
    noise = Noise.rows(0, "noise", count)
    noisy = Lorenz95(output_hours=6, **fields).advance(state, 1, noise)
    quiet = Lorenz95(output_hours=6, amplitude=0).advance(state, 1, noise)
    return (noisy - quiet)[:, 0] / math.sqrt(0.05)


@pytest.mark.parametrize("rank", [1, 4, 7, 40])
def test_noise_has_its_rank_and_variance(rank: int) -> None:
    kicks = _kicks(3000, rank=rank)
    assert int(torch.linalg.matrix_rank(kicks, rtol=1e-9)) == rank
    # The variance has mean 1 over sites; its estimate has a standard error of at most
    # sqrt(2 / 3000) (rank 1). False alarm 6e-7 (5 sigma).
    assert abs(float((kicks**2).mean()) - 1) < 5 * math.sqrt(2 / 3000)


def test_noise_has_its_correlation() -> None:
    kicks = _kicks(4000, correlation=2.0)
    found = kicks.T @ kicks / 4000
    distance = torch.arange(40).minimum(40 - torch.arange(40)).double()
    exact = torch.exp(-0.5 * (distance / 2.0) ** 2)
    # A covariance of 4,000 draws has errors of at most sqrt(2 / 4000); of 1,600 numbers none
    # exceeds 6 sigma but once in 3e5 seeds.
    for site in range(40):
        error = found[site] - exact[(torch.arange(40) - site) % 40]
        assert float(error.abs().max()) < 6 * math.sqrt(2 / 4000)


def test_heavy_tails_have_their_kurtosis() -> None:
    # g(z) = (z + c z³) / norm: E g² = 1 and, by the moments 3, 15, 105, 945, 10395 of z,
    # E g⁴ = (3 + 60 c + 630 c² + 3780 c³ + 10395 c⁴) / norm⁴. Its estimate from 120,000 kicks has
    # a standard error of .31 (measured over 40 seeds): 5 of them.
    c = 0.1
    kicks = _kicks(3000, tails=c).flatten()
    norm = 1 + 6 * c + 15 * c**2
    fourth = (3 + 60 * c + 630 * c**2 + 3780 * c**3 + 10395 * c**4) / norm**2
    assert fourth - 3 == pytest.approx(3.6, abs=0.05)  # as the field's description says
    assert abs(float((kicks**2).mean()) - 1) < 5 * math.sqrt((fourth - 1) / len(kicks))
    assert float((kicks**4).mean()) == pytest.approx(fourth, abs=1.5)


def test_noise_follows_the_state() -> None:
    # On states of 5 before the step, X after a quiet step is the same at every site.
    state = torch.full((2000, 1, 40), 5.0, dtype=torch.float64)
    quiet = Lorenz95(output_hours=6, amplitude=0).advance(state[:1], 1, Noise.rows(0, "", 1))
    here = float(quiet.mean())
    kicks = _kicks(2000, multiplicative=0.6)
    size = 0.4 + 0.6 * here / 4.33
    # 80,000 kicks: a relative error of sqrt(1 / 160,000). False alarm 6e-7 (5 sigma).
    assert float(kicks.std()) == pytest.approx(size, rel=5 / math.sqrt(160_000))
    assert float(_kicks(5, threshold=here + 0.01).abs().max()) == 0
    assert float(_kicks(5, threshold=here - 0.01).abs().min()) > 0


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"rank": 41}, "rank = 41 is more than the 40 sites; use rank <= 40"),
        ({"dt": 0.2}, "dt = 0.2 is unstable at F = 8; use dt <= 0.125"),
        ({"forcing": 16, "dt": 0.1, "output_hours": 12}, "unstable at F = 16; use dt <= 0.0625"),
        ({"output_hours": 7}, r"output_hours = 7 is 1.167 steps of dt = 0.05 \(6 h\)"),
        ({"sites": 3}, "sites = 3: Input should be greater than or equal to 4"),
        ({"forcng": 8}, "there is no key 'forcng'. Did you mean 'forcing'?"),
        ({"forcing": "strong"}, "forcing = 'strong': write a number"),
        ({"amplitude": float("nan")}, "amplitude = nan"),
    ],
)
def test_bad_fields_are_told_on_one_line(fields: dict[str, object], told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        Lorenz95.configured(fields)
    assert "\n" not in str(error.value)


def test_a_blow_up_is_told() -> None:
    with pytest.raises(GeobenchError, match=r"lorenz95 blew up: .* not finite after"):
        _climate(4, 20, amplitude=60)
