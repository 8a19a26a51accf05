"""Observation networks and the cycle of forecast and analysis, on systems with known answers."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from geobench import (
    Dimension,
    Filter,
    GeobenchError,
    Network,
    Noise,
    Observation,
    StateSpec,
    Variable,
)
from geobench.testing import Decay
from geobench.twin.assimilating import Cycle, Skill, cycles, first_guess, measure, near_truth
from geobench.twin.observing import network
from geobench.twin.simulating import trajectories
from geobench_plugins.assimilations.enkf import EnKF
from geobench_plugins.assimilations.etkf import ETKF
from geobench_plugins.assimilations.letkf import LETKF
from geobench_plugins.assimilations.variational import Variational

PLANE = StateSpec(
    variables=(Variable(name="u"), Variable(name="v"), Variable(name="height")),
    dims=(Dimension(name="y", size=4), Dimension(name="x", size=5)),
    land=(2, 3),
)


class Trust(Filter):
    """Puts every observation in the place of what all members say."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def analyse(self, forecast: Tensor, observed: Tensor, noise: Noise) -> Tensor:
        result = forecast.flatten(2).clone()
        result[..., self.network.places] = observed[:, None].to(forecast.dtype)
        return result.view_as(forecast)


class Broken(Filter):
    def analyse(self, forecast: Tensor, observed: Tensor, noise: Noise) -> Tensor:
        return forecast.where(torch.arange(len(forecast)).view(-1, 1, 1, 1) != 1, math.nan)


def _climate(simulator: Decay) -> Tensor:
    return simulator.initial(Noise.rows(0, "climate", 500))


def _cycles(
    filter: Filter, seen: Network, rows: list[int], times: int = 6, every: int = 1
) -> Iterator[Cycle]:
    simulator = Decay()
    which = torch.tensor(rows)
    noise = Noise(0, "truth", which, torch.zeros_like(which))
    truth = trajectories(simulator, noise, spin_up=5, steps=times)
    climate = _climate(simulator)
    return cycles(simulator, filter, seen, truth, climate, noise, members=4, every=every)


def test_a_network_observes_every_nth_sea_cell_of_the_variables_named() -> None:
    asked = Observation(variables=("height", "u"), stride=2, error={"u": 0.1, "height": 3})
    found = network(asked, PLANE)
    cells = [0, 4, 10, 12, 14]  # rows 0 and 2, columns 0, 2 and 4, without cell 2, which is land
    assert found.places.tolist() == [40 + c for c in cells] + cells
    assert found.error.tolist() == [3.0] * 5 + [0.1] * 5
    assert len(network(Observation(), PLANE)) == 3 * 18
    with pytest.raises(GeobenchError, match="stride = 4 leaves one cell along y, which has 4"):
        network(Observation(stride=4), PLANE)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"variables": ("hight",)}, "'hight', which is no variable. Did you mean 'height'?"),
        ({"variables": ("q",)}, r"There are: u, v, height\."),
        ({"variables": ()}, "observation.variables is empty: nothing is observed"),
        ({"variables": ("u", "u")}, "names one twice: u, u"),
        ({"error": 0}, "observation.error of 'u' is 0; a standard deviation is above 0"),
        ({"error": {"u": 1, "v": 1}}, "'height' is observed, but observation.error has no entry"),
        ({"error": {"w": 1}}, "observation.error names 'w', which is no variable"),
        ({"variables": ("v",), "error": {"v": -2}}, "observation.error of 'v' is -2"),
    ],
)
def test_an_impossible_network_is_told_on_one_line(fields: dict[str, object], told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        network(Observation.model_validate(fields), PLANE)
    assert "\n" not in str(error.value)


def test_a_network_on_land_is_told() -> None:
    island = PLANE.model_copy(update={"land": (0, 3, 15, 18)})
    with pytest.raises(GeobenchError, match=r"with observation.stride = 3 all 4 chosen"):
        network(Observation(stride=3), StateSpec(**island.model_dump()))


def test_observations_have_their_errors() -> None:
    seen = Network(torch.tensor([3, 0]), torch.tensor([0.5, 2.0]))
    state = Noise.rows(0, "state", 4000).normal(1, 8)
    error = seen.observe(state, Noise.rows(0, "error", 4000)) - state[:, 0, [3, 0]]
    for k, size in enumerate((0.5, 2.0)):  # 5 sigma: false alarm 2e-6 in all
        assert abs(float(error[:, k].mean())) < 5 * size / math.sqrt(4000)
        assert abs(float(error[:, k].std()) / size - 1) < 5 / math.sqrt(2 * 4000)


def test_between_observations_the_ensemble_is_forecast() -> None:
    seen = network(Observation(error=0.1), Decay().spec)
    found = list(_cycles(Trust(seen), seen, [0, 1], times=6, every=2))
    assert [cycle.observed for cycle in found] == [True, False] * 3
    for cycle in found:
        spread = cycle.ensemble.std(1)
        # At observation times all members say the same; a forecast adds sqrt(1 - .64) N(0, 1).
        assert bool((spread == 0).all()) == cycle.observed
        assert torch.allclose(cycle.estimate, cycle.ensemble.mean(1))
    kicks = found[1].ensemble - 0.8 * found[0].ensemble
    truth = trajectories(Decay(), Noise.rows(0, "truth", 2), spin_up=5, steps=6)
    true_kick = truth[:, 1] - 0.8 * truth[:, 0]
    assert len(kicks.flatten().unique()) == kicks.numel(), "members share their noise"
    assert not bool(torch.isclose(kicks, true_kick[:, None], atol=1e-6).any())


def test_another_filter_may_make_the_first_analysis() -> None:
    simulator, noise = Decay(), Noise.rows(0, "truth", 2)
    truth = trajectories(simulator, noise, spin_up=5, steps=3)
    seen = network(Observation(error=0.1), simulator.spec)
    filter = Variational().filter(seen, simulator.spec, _climate(simulator))
    arguments = (simulator, filter, seen, truth, _climate(simulator), noise)
    found = list(cycles(*arguments, members=3, first=Trust(seen)))
    spreads = [float(cycle.ensemble.std(1).max()) for cycle in found]
    assert spreads[0] == 0
    assert min(spreads[1:]) > 0


def test_experiments_do_not_depend_on_one_another() -> None:
    seen = network(Observation(stride=2), Decay().spec)
    filter = ETKF().filter(seen, Decay().spec, _climate(Decay()))
    whole = list(_cycles(filter, seen, [0, 1, 2, 3]))
    part = list(_cycles(filter, seen, [2, 0]))
    for a, b in zip(whole, part, strict=True):
        assert torch.allclose(a.ensemble[[2, 0]], b.ensemble, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["etkf", "letkf", "enkf"])
def test_a_linear_system_is_followed_as_well_as_kalman_can(kind: str) -> None:
    # Each site: x' = m x + sqrt(1 - m²) N(0, 1), observed with error 1. Riccati: the forecast
    # variance is f = m² a + 1 - m², the analysis variance a = f / (f + 1).
    memory, a = 0.8, 1.0
    for _ in range(100):
        f = memory**2 * a + 1 - memory**2
        a = f / (f + 1)
    recipe = {
        "etkf": ETKF(members=200, inflation=1, rotation=False),
        "letkf": LETKF(members=60, inflation=1, radius=0.2),
        "enkf": EnKF(members=200, inflation=1),
    }[kind]
    simulator, rows, times = Decay(), 50, 50
    climate = _climate(simulator)
    truth = trajectories(simulator, Noise.rows(0, "truth", rows), spin_up=5, steps=times)
    seen = network(Observation(), simulator.spec)
    found = cycles(
        simulator,
        recipe.filter(seen, simulator.spec, climate),
        seen,
        truth,
        climate,
        Noise.rows(0, "assimilation", rows),
        members=recipe.members,
    )
    moments = [measure(cycle, truth[:, t], simulator.spec) for t, cycle in enumerate(found)]
    skill = Skill.of(moments[10:], climate, simulator.spec)
    # 50 x 40 x 8 squared errors, correlated over two steps: 1.5 % is one sigma; an ensemble of 200
    # that sees 8 numbers is off by some 8 / 200, one of 60 that sees one number by 1 / 60.
    assert float(skill.rmse.square().mean()) == pytest.approx(a, rel=0.06)
    assert float(skill.spread.square().mean()) == pytest.approx(a, rel=0.06)
    assert not bool(skill.diverged.any())


def test_the_first_guess_is_of_different_climate_states() -> None:
    climate = torch.arange(10.0).view(10, 1, 1)
    drawn = first_guess(climate, Noise.rows(0, "noise", 2000), 4)[..., 0, 0]
    assert all(len(row.unique()) == 4 for row in drawn)
    counts = torch.bincount(drawn.long().flatten(), minlength=10)  # 800 each, 22 sigma = 1
    assert float((counts - 800).abs().max()) < 5 * 22
    with pytest.raises(GeobenchError, match="11 members are to start from different states"):
        first_guess(climate, Noise.rows(0, "noise", 1), 11)


def test_a_start_near_the_truth_has_its_size() -> None:
    climate = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).view(2, 1, 2)  # the second number is land
    truth = torch.zeros(3000, 1, 2)
    near = near_truth(truth, climate, Noise.rows(0, "noise", 3000), 5, 0.1)[:, :, 0]
    size = 0.1 * math.sqrt(2)
    assert bool((near[..., 1] == 0).all())
    # The mean of m members is sqrt(1 + 1/m) sizes away. 5 sigma: false alarm 1e-6.
    assert float(near[..., 0].std(1).square().mean().sqrt()) == pytest.approx(
        size, rel=5 / math.sqrt(2 * 4 * 3000)
    )
    assert float(near[..., 0].mean(1).std()) == pytest.approx(
        size * math.sqrt(1.2), rel=5 / math.sqrt(2 * 3000)
    )


def test_skill_is_as_computed_by_hand() -> None:
    spec = StateSpec(
        variables=(Variable(name="a"), Variable(name="b")),
        dims=(Dimension(name="x", size=3),),
        land=(2,),
    )
    climate = torch.tensor([[[1.0, 1, 0], [2, 2, 0]], [[-1, -1, 0], [-2, -2, 0]]])
    truth = torch.zeros(1, 2, 3)
    ensemble = torch.tensor([[[[1.0, 3, 99], [0, 0, 0]], [[1, 1, 99], [0, 4, 0]]]])
    rmse, spread = measure(Cycle(ensemble, ensemble.mean(1), True), truth, spec)
    assert torch.allclose(rmse, torch.tensor([[math.sqrt((1 + 4) / 2), math.sqrt(4 / 2)]]).double())
    assert torch.allclose(spread, torch.tensor([[math.sqrt(2 / 2), math.sqrt(8 / 2)]]).double())
    skill = Skill.of([(rmse, spread)], climate, spec)
    assert skill.climate.tolist() == [1.0, 2.0]
    assert float(skill.relative) == pytest.approx(math.sqrt((2.5 + 0.5) / 2))
    assert bool(skill.diverged)
    alone = Cycle(ensemble[:, :1], ensemble[:, 0], True)
    assert bool((measure(alone, truth, spec)[1] == 0).all()), "one member has no spread"


def test_an_experiment_that_is_lost_for_a_while_is_told() -> None:
    rmse = torch.full((6, 20, 1), 0.4)
    spread = rmse / 2
    rmse[1, 4:6] = 2.1  # no better than the climate, which has a standard deviation of 2
    rmse[2, 4], spread[2] = 2.1, 1.0  # for one time only
    rmse[3, 9] = math.nan
    spread[4, 6:8] = 0.07  # a spread that is proud of itself
    spread[5] = 0  # one member
    skill = Skill(rmse, spread, torch.tensor([2.0]))
    constant = torch.zeros(6, 20, 1)  # a variable that never varies tells nothing
    both = [torch.cat([each, constant], 2) for each in (rmse, spread)]
    assert torch.equal(Skill(*both, torch.tensor([2.0, 0.0])).diverged, skill.diverged)
    assert skill.diverged.tolist() == [False, True, False, True, True, False]


def test_what_is_not_finite_is_told_on_one_line() -> None:
    seen = network(Observation(), Decay().spec)
    told = "the filter diverged: the analysis of 1 of 3 experiments is not finite after 0 output"
    with pytest.raises(GeobenchError, match=told) as error:
        list(_cycles(Broken(), seen, [0, 1, 2]))
    assert "\n" not in str(error.value)


class Singular(Filter):
    def analyse(self, forecast: Tensor, observed: Tensor, noise: Noise) -> Tensor:
        torch.linalg.cholesky(torch.zeros(2, 2))
        return forecast


def test_linear_algebra_that_fails_is_told_on_one_line() -> None:
    seen = network(Observation(), Decay().spec)
    told = r"the filter diverged: its linear algebra failed after 0 output steps \(linalg.cholesky"
    with pytest.raises(GeobenchError, match=told) as error:
        list(_cycles(Singular(), seen, [0, 1, 2]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("seen", "every", "told"),
    [
        (Network(torch.tensor([8]), torch.ones(1)), 1, "outside the 8 of a state"),
        (Network(torch.tensor([]).long(), torch.ones(0)), 1, "the network observes no number"),
        (Network(torch.tensor([0]), torch.ones(1)), 0, "observations every 0 steps: use 1 or more"),
    ],
)
def test_cycles_that_cannot_run_are_told(seen: Network, every: int, told: str) -> None:
    with pytest.raises(GeobenchError, match=told):
        list(_cycles(Trust(seen), seen, [0], every=every))
