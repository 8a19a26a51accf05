"""Assimilations against the Kalman filter, their invariants and published errors on Lorenz95."""

import math

import pytest
import torch
from torch import Tensor

from geobench import (
    Assimilation,
    Dimension,
    GeobenchError,
    Network,
    Noise,
    Observation,
    StateSpec,
    Variable,
)
from geobench.testing import AssimilationConformance
from geobench.twin.assimilating import Skill, cycles, measure, near_truth
from geobench.twin.observing import network
from geobench.twin.simulating import trajectories
from geobench_plugins.assimilations.coarse_grid import CoarseGrid
from geobench_plugins.assimilations.enkf import EnKF
from geobench_plugins.assimilations.ensemble_space import rotation
from geobench_plugins.assimilations.etkf import ETKF
from geobench_plugins.assimilations.letkf import LETKF
from geobench_plugins.assimilations.localisation import distances, gaspari_cohn
from geobench_plugins.assimilations.optimal_interpolation import OptimalInterpolation
from geobench_plugins.assimilations.variational import Variational
from geobench_plugins.simulators.lorenz95 import Lorenz95


class TestETKF(AssimilationConformance):
    def assimilation(self) -> Assimilation:
        return ETKF()


class TestLETKF(AssimilationConformance):
    def assimilation(self) -> Assimilation:
        return LETKF(radius=1.5)


class TestInterpolatedLETKF(AssimilationConformance):
    def assimilation(self) -> Assimilation:
        return LETKF(radius=1.5, step=2, relaxation=0.5, single=True)


class TestEnKF(AssimilationConformance):
    def assimilation(self) -> Assimilation:
        return EnKF()


class TestVariational(AssimilationConformance):
    def assimilation(self) -> Assimilation:
        return Variational(members=3)


class TestOptimalInterpolation(AssimilationConformance):
    def assimilation(self) -> Assimilation:
        return OptimalInterpolation(members=3)


BASIN = StateSpec(  # two variables, one closed and one periodic dim, three cells of land
    variables=(Variable(name="u"), Variable(name="h")),
    dims=(Dimension(name="y", size=4), Dimension(name="x", size=6, periodic=True)),
    land=(7, 8, 9),
)
EVERY: list[Assimilation] = [
    ETKF(),
    ETKF(rotation=False),
    LETKF(radius=1.5),
    LETKF(radius=1.5, step=2, relaxation=0.5),
    LETKF(radius=1.5, single=True),
    EnKF(),
    Variational(),
    Variational(radius=2),
    OptimalInterpolation(),
]


def _case(
    members: int = 6, rows: int = 3, observed: int = 40
) -> tuple[Network, Tensor, Tensor, Tensor]:
    """Network, forecasts with zeros on land, observations, climate."""
    sea = torch.from_numpy(BASIN.sea)
    noise = Noise.rows(0, "case", rows)
    forecast = 2 * noise.use("forecast").normal(members, *BASIN.shape, dtype=torch.float64)
    forecast = (forecast + noise.use("mean").normal(1, *BASIN.shape, dtype=torch.float64)) * sea
    places = sea.expand(BASIN.shape).flatten().nonzero()[:, 0]
    places = places[torch.arange(observed) * len(places) // observed]
    error = 0.5 + Noise.rows(0, "error", 1).uniform(observed, dtype=torch.float64)[0]
    observations = noise.use("observations").normal(observed, dtype=torch.float64)
    climate = Noise.rows(0, "climate", 100).normal(*BASIN.shape, dtype=torch.float64) * sea
    return Network(places, error), forecast, observations, climate


def _kalman(
    mean: Tensor, covariance: Tensor, network: Network, observed: Tensor, precision: Tensor
) -> tuple[Tensor, Tensor]:
    """Kalman's analysis of one row, in information form with the inverse error variances given."""
    number = len(mean)
    operator = torch.eye(number, dtype=torch.float64)[network.places]
    information = operator.T @ (precision[:, None] * operator)
    posterior = torch.linalg.solve(
        torch.eye(number, dtype=torch.float64) + covariance @ information, covariance
    )
    return mean + posterior @ operator.T @ (
        precision * (observed - mean[network.places])
    ), posterior


def _moments(ensemble: Tensor) -> tuple[Tensor, Tensor]:
    flat = ensemble.flatten(1)
    return flat.mean(0), flat.T.cov()


@pytest.mark.parametrize("observed", [3, 40], ids=["few observations", "many"])
@pytest.mark.parametrize("rotated", [False, True])
def test_etkf_is_the_kalman_filter_of_its_own_covariance(observed: int, rotated: bool) -> None:
    network, forecast, observations, climate = _case(observed=observed)
    filter = ETKF(inflation=1, rotation=rotated).filter(network, BASIN, climate)
    analysis = filter.analyse(forecast, observations, Noise.rows(0, "filter", 3))
    for row in range(3):
        exact = _kalman(*_moments(forecast[row]), network, observations[row], network.error**-2)
        for found, wanted in zip(_moments(analysis[row]), exact, strict=True):
            assert torch.allclose(found, wanted, rtol=0, atol=1e-11)
    assert torch.allclose(filter.estimate(analysis), analysis.mean(1))


@pytest.mark.parametrize("observed", [3, 40], ids=["few observations", "many"])
def test_etkf_without_rotation_takes_the_symmetric_root(observed: int) -> None:
    from scipy.linalg import sqrtm

    network, forecast, observations, climate = _case(observed=observed, rows=1)
    filter = ETKF(inflation=1.3, rotation=False).filter(network, BASIN, climate)
    analysis = filter.analyse(forecast, observations, Noise.rows(0, "filter", 1))[0].flatten(1)
    anomalies = (forecast - forecast.mean(1, keepdim=True))[0].flatten(1)
    scaled = anomalies[:, network.places] / network.error
    inverse = torch.linalg.inv(torch.eye(6, dtype=torch.float64) + scaled @ scaled.T / 5)
    root = torch.from_numpy(sqrtm(inverse.numpy()).real)
    assert torch.allclose(analysis - analysis.mean(0), 1.3 * root @ anomalies, rtol=0, atol=1e-11)


def test_rotation_is_orthogonal_and_keeps_the_mean() -> None:
    turned = rotation(Noise.rows(0, "rotation", 2000), 5)
    assert torch.allclose(turned @ turned.mT, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.allclose(turned.sum(2), torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)
    # Uniform rotations of the 4 other directions: entries are 1/5 + e, e of mean 0 and mean square
    # (4/5)² / 4. 25 entries each at 5 sigma: false alarm 3e-5.
    rest = turned - 0.2
    size = math.sqrt((4 / 5) ** 2 / 4)
    assert float(rest.mean(0).abs().max()) < 5 * size / math.sqrt(2000)
    spread = rest.square().std(0) / math.sqrt(2000)
    assert bool(((rest.square().mean(0) - size**2).abs() < 5 * spread).all())


def test_letkf_without_localisation_is_the_etkf() -> None:
    network, forecast, observations, climate = _case()
    noise = Noise.rows(0, "filter", 3)
    whole = ETKF(inflation=1.1).filter(network, BASIN, climate)
    exact = whole.analyse(forecast, observations, noise)
    for step in (1, 2, 3):
        local = LETKF(inflation=1.1, radius=None, step=step).filter(network, BASIN, climate)
        assert torch.allclose(
            local.analyse(forecast, observations, noise), exact, rtol=0, atol=1e-11
        )


def test_letkf_is_a_kalman_filter_of_the_near_observations_at_every_cell() -> None:
    network, forecast, observations, climate = _case(rows=1)
    filter = LETKF(inflation=1, rotation=False, radius=0.8).filter(network, BASIN, climate)
    analysis = filter.analyse(forecast, observations, Noise.rows(0, "filter", 1))[0]
    for y, x in ((0, 0), (1, 0), (3, 5), (2, 3)):
        # Distances by hand: y is closed, x is a ring of 6.
        seen_y, seen_x = network.places % 24 // 6, network.places % 6
        around = (seen_x - x).abs()
        distance = ((seen_y - y) ** 2 + torch.minimum(around, 6 - around) ** 2).double().sqrt()
        taper = gaspari_cohn(distance, 0.8)
        taper[taper <= 1e-3] = 0
        moments = _moments(forecast[0])
        mean, covariance = _kalman(*moments, network, observations[0], taper / network.error**2)
        mine = [y * 6 + x, 24 + y * 6 + x]
        found = _moments(analysis[:, :, y, x])
        assert torch.allclose(found[0], mean[mine], rtol=0, atol=1e-11)
        assert torch.allclose(found[1], covariance[mine][:, mine], rtol=0, atol=1e-11)


def test_letkf_leaves_land_and_far_cells_alone() -> None:
    _, forecast, observations, climate = _case()
    corner = Network(torch.tensor([0]), torch.tensor([0.1]).double())
    filter = LETKF(inflation=2, rotation=False, radius=0.5).filter(corner, BASIN, climate)
    analysis = filter.analyse(forecast, observations[:, :1], Noise.rows(0, "filter", 3))
    moved = (analysis != forecast).any(0).any(0).any(0)
    far = distances(torch.arange(24), torch.tensor([0]), BASIN.dims).view(4, 6) > 3.7 * 0.5
    assert bool(moved[0, 0])
    assert not bool(moved[1, 1:4].any()), "land moved"
    assert torch.allclose(analysis[..., far], forecast[..., far], rtol=0, atol=1e-12)


def test_relaxation_gives_the_spread_back() -> None:
    network, forecast, observations, climate = _case()
    for share in (0.0, 0.4, 1.0):
        filter = LETKF(radius=1.5, inflation=1, relaxation=share).filter(network, BASIN, climate)
        analysis = filter.analyse(forecast, observations, Noise.rows(0, "filter", 3))
        if not share:
            lowest = analysis.std(1)
        wanted = lowest + share * (forecast.std(1) - lowest)
        assert torch.allclose(analysis.std(1), wanted, rtol=0, atol=1e-10)


def test_taper_has_the_published_form() -> None:
    support = 2 * math.sqrt(10 / 3)
    distance = torch.tensor([0, support / 2, support, 99], dtype=torch.float64)
    wanted = torch.tensor([1, 5 / 24, 0, 0], dtype=torch.float64)
    assert torch.allclose(gaspari_cohn(distance, 1.0), wanted, rtol=0, atol=1e-12)
    # A radius has the meaning of a normal curve's: within .04 of it everywhere.
    distance = torch.linspace(0, 20, 1000).double()
    assert float((gaspari_cohn(distance, 3) - torch.exp(-(distance**2) / 18)).abs().max()) < 0.04
    ring = distances(torch.arange(40), torch.arange(40), Lorenz95().spec.dims)
    assert float(torch.linalg.eigvalsh(gaspari_cohn(ring, 3)).min()) > -1e-12, "no covariance"


def test_interpolation_from_a_coarse_grid_is_linear() -> None:
    grid = CoarseGrid.of(BASIN.dims, 3)
    assert grid.cells.tolist() == [0, 3, 18, 21]  # rows 0 and 3 (closed), columns 0 and 3 of a ring
    height = (grid.cells // 6).double()[None, :, None]
    found = grid.interpolate(height, slice(0, 24))
    assert torch.allclose(found[0, :, 0], (torch.arange(24) // 6).double())
    bump = (grid.cells % 6 == 3).double()[None, :, None]
    around = torch.tensor([0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]).double()
    assert torch.allclose(grid.interpolate(bump, slice(6, 12))[0, :, 0], around)
    unequal = CoarseGrid.of((Dimension(name="x", size=6),), 4)
    assert unequal.cells.tolist() == [0, 4, 5]
    assert torch.allclose(unequal.shares.sum(1), torch.ones(6).double())


def test_enkf_moves_the_mean_as_kalman_and_on_average_the_covariance() -> None:
    rows = 3000
    network, forecast, observations, climate = _case(rows=1, observed=4)
    filter = EnKF(inflation=1).filter(network, BASIN, climate)
    many = forecast.expand(rows, *forecast.shape[1:])
    given = observations.expand(rows, -1)
    analysis = filter.analyse(many, given, Noise.rows(0, "filter", rows)).flatten(2)
    mean, covariance = _kalman(*_moments(forecast[0]), network, observations[0], network.error**-2)
    assert torch.allclose(analysis.mean(1), mean.expand(rows, -1), rtol=0, atol=1e-11)
    # 48 variances at 5 sigma: false alarm 3e-5.
    variance = analysis.var(1)
    error = variance.mean(0) - covariance.diagonal()
    assert bool((error.abs() <= 5 * variance.std(0) / math.sqrt(rows) + 1e-12).all())


def _blue(background: Tensor, climate: Tensor, network: Network, scale: float) -> Tensor:
    """K = B Hᵀ (H B Hᵀ + R)^-1 with B written out."""
    covariance = scale * climate.flatten(1).T.cov()
    operator = torch.eye(48, dtype=torch.float64)[network.places]
    total = operator @ covariance @ operator.T + torch.diag(network.error**2)
    return covariance @ operator.T @ torch.linalg.inv(total)


def test_3dvar_is_the_best_linear_estimate() -> None:
    network, forecast, observations, climate = _case(members=1)
    filter = Variational(scale=0.3).filter(network, BASIN, climate)
    analysis = filter.analyse(forecast, observations, Noise.rows(0, "filter", 3)).flatten(1)
    background = forecast.flatten(1)
    gain = _blue(background, climate, network, 0.3)
    wanted = background + (observations - background[:, network.places]) @ gain.T
    assert torch.allclose(analysis, wanted, rtol=0, atol=1e-11)


def test_optimal_interpolation_starts_from_the_climate() -> None:
    network, forecast, observations, climate = _case(members=1)
    filter = OptimalInterpolation().filter(network, BASIN, climate)
    analysis = filter.analyse(forecast, observations, Noise.rows(0, "filter", 3)).flatten(1)
    mean = climate.flatten(1).mean(0)
    gain = _blue(mean, climate, network, 1)
    wanted = mean + (observations - mean[network.places]) @ gain.T
    assert torch.allclose(analysis, wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", [Variational, OptimalInterpolation])
def test_several_members_are_a_control_and_perturbed_analyses(kind: type[Assimilation]) -> None:
    members = 4000
    network, forecast, observations, climate = _case(members=1, rows=1, observed=6)
    filter = kind().filter(network, BASIN, climate)
    alone = filter.analyse(forecast, observations, Noise.rows(0, "filter", 1))
    many = forecast.expand(1, members, *BASIN.shape)
    analysis = filter.analyse(many, observations, Noise.rows(0, "filter", 1))
    assert torch.allclose(filter.estimate(analysis), alone[:, 0], rtol=0, atol=1e-12)
    gain = _blue(forecast, climate, network, 0.02 if kind is Variational else 1)
    covariance = gain @ torch.diag(network.error**2) @ gain.T
    if kind is OptimalInterpolation:  # and the background is drawn from the climate
        rest = torch.eye(48, dtype=torch.float64)
        rest[:, network.places] -= gain
        covariance += rest @ climate.flatten(1).T.cov() @ rest.T
    found = (analysis - alone)[0, 1:].flatten(1).square().mean(0)
    # Mean squares of normal numbers, 48 at 5 sigma: false alarm 3e-5.
    wanted = covariance.diagonal()
    assert bool(((found - wanted).abs() <= 5 * wanted * math.sqrt(2 / members) + 1e-12).all())


@pytest.mark.parametrize("assimilation", EVERY, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_independent_and_batches_change_nothing(
    assimilation: Assimilation, dtype: torch.dtype
) -> None:
    network, forecast, observations, climate = _case(rows=9)
    forecast, noise = forecast.to(dtype), Noise.rows(0, "filter", 9)
    filter = assimilation.filter(network, BASIN, climate.to(dtype))
    whole = filter.analyse(forecast, observations, noise)
    assert whole.dtype == dtype
    # To rounding: a matrix library's last bits depend on where a matrix lies.
    single = dtype == torch.float32 or getattr(assimilation, "single", False)
    for some in ([5, 0, 7], [5]):
        part = Noise(0, "filter", noise.init[some], noise.member[some])
        found = filter.analyse(forecast[some], observations[some], part)
        assert torch.allclose(found, whole[some], rtol=0, atol=1e-5 if single else 1e-12)


def test_exact_observations_are_believed() -> None:
    # Spread 2, errors of 1e-4: eigenvalues to 1e9. float32 would lose the small ones.
    network, forecast, _, climate = _case(members=10)
    sharp = Network(network.places[:5], torch.full((5,), 1e-4).double())
    given = sharp.pick(forecast[:, 0].flatten(1))
    for assimilation in (ETKF(inflation=1), EnKF(inflation=1), LETKF(inflation=1, radius=None)):
        filter = assimilation.filter(sharp, BASIN, climate)
        analysis = filter.analyse(forecast.float(), given, Noise.rows(0, "filter", 3))
        assert float((sharp.pick(analysis.flatten(2)) - given[:, None]).abs().max()) < 1e-3
        _, exact = _kalman(*_moments(forecast[0]), sharp, given[0], sharp.error**-2)
        if not isinstance(assimilation, EnKF):
            assert torch.allclose(_moments(analysis[0].double())[1], exact, rtol=0, atol=1e-4)


LORENZ = Lorenz95(amplitude=0, output_hours=6)


def _skill(
    assimilation: Assimilation, rows: int = 32, steps: int = 300, start: str = "near"
) -> Skill:
    """Skill after 100 cycles on Lorenz95 without noise, every site observed each 6 h, error 1."""
    climate = trajectories(LORENZ, Noise.rows(0, "climate", 64), spin_up=100, steps=50)
    climate = climate.flatten(0, 1)
    truth = trajectories(LORENZ, Noise.rows(0, "truth", rows), spin_up=100, steps=steps)
    everything, noise = network(Observation(), LORENZ.spec), Noise.rows(0, "assimilation", rows)
    members = assimilation.members
    first = near_truth(truth[:, 0], climate, noise, members, 0.01) if start == "near" else None
    found = cycles(
        LORENZ,
        assimilation.filter(everything, LORENZ.spec, climate),
        everything,
        truth,
        climate,
        noise,
        members=members,
        start=first,
    )
    moments = [measure(cycle, truth[:, step], LORENZ.spec) for step, cycle in enumerate(found)]
    return Skill.of(moments[100:], climate, LORENZ.spec)


@pytest.mark.slow
# Sakov and Oke (2008) and DAPPER's table, two digits. Means over 32 x 200 cycles have a standard
# error of .002 (ensembles, 3D-Var) and .001 (OI) between rows; five of them and the rounding.
@pytest.mark.parametrize(
    ("assimilation", "published", "margin"),
    [
        (ETKF(members=20, inflation=1.04), 0.20, 0.015),
        (EnKF(members=40, inflation=1.06), 0.22, 0.015),
        (LETKF(members=7, inflation=1.04, radius=4), 0.22, 0.015),
        (Variational(scale=0.02), 0.41, 0.015),
        (OptimalInterpolation(), 0.95, 0.01),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_published_errors_on_lorenz95(
    assimilation: Assimilation, published: float, margin: float
) -> None:
    start = "climate" if isinstance(assimilation, (Variational, OptimalInterpolation)) else "near"
    skill = _skill(assimilation, start=start)
    assert float(skill.rmse.mean()) == pytest.approx(published, abs=margin)
    assert not bool(skill.diverged.any())


@pytest.mark.slow
def test_fewer_local_analyses_cost_little() -> None:
    # Weights vary over the radius, 4 sites: every other site is nearly as good as each.
    errors = [float(_skill(LETKF(step=step), rows=16, steps=200).rmse.mean()) for step in (1, 2)]
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


def test_a_filter_that_loses_the_truth_is_told() -> None:
    # Five members cannot span 13 growing directions, and nothing inflates them.
    skill = _skill(ETKF(members=5, inflation=1), rows=8, steps=250)
    assert bool(skill.diverged.all())
    assert float(skill.spread.mean()) < 0.1 * float(skill.rmse.mean())


def test_observations_that_reach_no_analysed_cell_change_nothing() -> None:
    _, forecast, observations, climate = _case()
    between = Network(torch.tensor([1]), torch.tensor([0.1]).double())
    filter = LETKF(rotation=False, radius=0.1, step=3).filter(between, BASIN, climate)
    analysis = filter.analyse(forecast, observations[:, :1], Noise.rows(0, "filter", 3))
    assert torch.allclose(analysis, forecast, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [ETKF, EnKF, LETKF])
def test_one_member_has_no_covariance(kind: type[Assimilation]) -> None:
    network, forecast, observations, climate = _case(members=1)
    filter = kind().filter(network, BASIN, climate)
    with pytest.raises(GeobenchError, match=f"{kind.name}: an ensemble of 1 member has no spread"):
        filter.analyse(forecast, observations, Noise.rows(0, "filter", 3))


def test_a_covariance_needs_two_states() -> None:
    network, _, _, climate = _case()
    with pytest.raises(GeobenchError, match=r"needs 2 or more states of the climate; got 1\."):
        Variational().filter(network, BASIN, climate[:1])


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (ETKF, {"members": 1}, "etkf: members = 1: Input should be greater than or equal to 2"),
        (ETKF, {"inflaton": 1.1}, "there is no key 'inflaton'. Did you mean 'inflation'?"),
        (LETKF, {"radius": 0}, "letkf: radius = 0: Input should be greater than 0"),
        (LETKF, {"radius": float("inf")}, "letkf: radius = inf"),
        (LETKF, {"step": 0}, "letkf: step = 0"),
        (EnKF, {"inflation": -1}, "enkf: inflation = -1"),
        (Variational, {"scale": 0}, "3dvar: scale = 0"),
    ],
)
def test_bad_fields_are_told_on_one_line(
    kind: type[Assimilation], fields: dict[str, object], told: str
) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        kind.configured(fields)
    assert "\n" not in str(error.value)
