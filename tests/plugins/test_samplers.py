"""Samplers on laws whose denoiser is known in closed form."""

import itertools
import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from geobench import Noise
from geobench_plugins.models.archesweather_gen import ArchesWeatherGen
from geobench_plugins.models.flow_matching import FlowMatching
from geobench_plugins.models.gencast import GenCast
from geobench_plugins.networks import samplers
from geobench_plugins.networks.sampling import Sampler

STRAIGHT, EDM = samplers.Path(straight=True), samplers.Path(straight=False)


def denoiser(mean: Tensor, covariance: Tensor, path: samplers.Path) -> samplers.Denoise:
    """E[r | a r + t e = x] for r ~ N(mean, covariance), by regression."""

    def denoise(x: Tensor, t: float) -> Tensor:
        a = path.signal(t)
        seen = a**2 * covariance + t**2 * torch.eye(len(mean), dtype=x.dtype)
        return mean + (x - a * mean) @ torch.linalg.solve(seen, a * covariance)

    return denoise


def spread(c: float, sampler: Sampler, path: samplers.Path) -> float:
    """Standard deviation that N(0, 1) ends with on N(0, c²); without churn the map is linear."""
    one = torch.ones(1, 1, dtype=torch.float64)
    drawn = samplers.draw(
        denoiser(one[0, :1] * 0, one * c**2, path),
        one * sampler.highest * sampler.noise_scale,
        sampler,
        path,
        Noise.rows(0, "none", 1),
    )
    return float(drawn)


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("heun", 2), ("midpoint", 2), ("dpm-solver++2s", 2)]
)
@pytest.mark.parametrize("path", [STRAIGHT, EDM], ids=["straight", "edm"])
def test_samplers_converge_at_their_order(method: str, order: int, path: samplers.Path) -> None:
    c, errors = 0.4, []
    ends = {} if path.straight else {"highest": 80.0, "lowest": 1e-4, "spacing": 7.0}
    for steps in (32, 64, 128):
        evaluations = steps if method == "euler" else 2 * steps - (method != "midpoint")
        sampler = Sampler.model_validate({"method": method, "evaluations": evaluations, **ends})
        assert sampler.steps == steps
        errors.append(abs(spread(c, sampler, path) - c))
    orders = [math.log2(one / two) for one, two in itertools.pairwise(errors)]
    # Where second-order terms cancel over the path, as they may on a Gaussian, the order is higher.
    assert all(order - 0.2 < found < order + 1.3 for found in orders), (errors, orders)


@pytest.mark.parametrize("c", [1.0, 0.5, 0.25, 0.14, 0.1])
def test_the_default_flow_keeps_the_spread_of_narrow_and_wide_laws(c: float) -> None:
    # The noise of one-day Lorenz95 is 0.14 of a day's change.
    assert spread(c, FlowMatching().sampler, STRAIGHT) == pytest.approx(c, rel=0.01)


@pytest.mark.parametrize("scale", [1.0, 1.05])
def test_a_larger_initial_noise_is_a_larger_spread(scale: float) -> None:
    # The exact flow is linear: c grows by the scale. 200 steps of Euler are within 1 % of it.
    sampler = Sampler(method="euler", evaluations=200, spacing=2.0, noise_scale=scale)
    assert spread(0.3, sampler, STRAIGHT) == pytest.approx(0.3 * scale, rel=0.01)


@pytest.mark.parametrize(
    ("sampler", "path"),
    [
        (Sampler(evaluations=32), STRAIGHT),
        (Sampler(evaluations=64, churn=8.0), STRAIGHT),
        (Sampler(method="heun", evaluations=79, churn=8.0), STRAIGHT),
        (GenCast().sampler.model_copy(update={"evaluations": 79, "churn_noise": 1.0}), EDM),
    ],
    ids=["midpoint", "midpoint with churn", "heun with churn", "gencast"],
)
def test_samplers_draw_the_covariance(sampler: Sampler, path: samplers.Path) -> None:
    mean = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
    root = torch.tensor([[0.6, 0, 0], [0.3, 0.5, 0], [-0.2, 0.4, 0.7]], dtype=torch.float64)
    covariance, count = root @ root.T, 40_000
    noise = Noise.rows(0, "draws", count)
    start = sampler.highest * noise.use("start").normal(3, dtype=torch.float64)
    drawn = samplers.draw(denoiser(mean, covariance, path), start, sampler, path, noise)
    error = torch.cov(drawn.T) - covariance
    # Standard errors of 6 covariances are below 0.8 % of the largest variance, 0.69; 5 of them are
    # 0.027 (false alarm 4e-6), and 0.01 is allowed for the steps.
    assert float(error.abs().max()) < 0.027 + 0.01
    assert float((drawn.mean(0) - mean).abs().max()) < 5 * 0.83 / math.sqrt(count) + 0.01


def test_churn_that_is_too_large_is_seen_in_the_spread() -> None:
    noise, law = Noise.rows(0, "churn", 100_000), torch.eye(1, dtype=torch.float64)
    found = {}
    for size in (1.0, 1.05):
        sampler = GenCast().sampler.model_copy(update={"evaluations": 79, "churn_noise": size})
        start = sampler.highest * noise.use("start").normal(1, dtype=torch.float64)
        denoise = denoiser(torch.zeros(1, dtype=torch.float64), law, EDM)
        found[size] = float(samplers.draw(denoise, start, sampler, EDM, noise).std())
    # Of 100,000 draws a standard deviation has an error of 0.22 %: five are 1.1 %.
    assert found[1.0] == pytest.approx(1.0, abs=0.015)
    assert found[1.05] > found[1.0] + 0.005


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 16, 31, 32])
@pytest.mark.parametrize("method", ["euler", "heun", "midpoint", "dpm-solver++2s"])
def test_no_sampler_evaluates_more_often_than_it_is_told(method: str, count: int) -> None:
    sampler, calls = Sampler.model_validate({"method": method, "evaluations": count}), []

    def denoise(x: Tensor, t: float) -> Tensor:
        calls.append(t)
        return 0 * x

    samplers.draw(denoise, torch.ones(2, 1), sampler, STRAIGHT, Noise.rows(0, "n", 2))
    assert count - 1 <= len(calls) <= count
    assert min(calls) > 0


def test_twenty_levels_of_gencast_are_39_evaluations_and_ten_are_19() -> None:
    assert GenCast().sampler.evaluations == 19
    times = GenCast().sampler.times()
    assert len(times) == 11
    assert times[0] == pytest.approx(80)
    assert times[-2] == pytest.approx(0.03)
    assert times[-1] == 0
    assert GenCast(sampler={"evaluations": 39}).sampler.steps == 20
    assert ArchesWeatherGen().sampler.times()[:2] == pytest.approx([1.0, 0.96])


def test_the_same_noise_draws_the_same_whoever_else_is_drawn() -> None:
    sampler = GenCast().sampler
    denoise = denoiser(torch.zeros(2), torch.eye(2), EDM)

    def drawn(rows: int) -> Tensor:
        noise = Noise.rows(0, "rows", rows)
        start = sampler.highest * noise.use("start").normal(2)
        return samplers.draw(denoise, start, sampler, EDM, noise)

    assert torch.equal(drawn(8), drawn(8))
    assert torch.allclose(drawn(8)[:3], drawn(3), atol=1e-6)
    assert float(drawn(8).std(0).min()) > 0


def test_times_that_do_not_descend_are_told() -> None:
    with pytest.raises(ValidationError, match="is not below highest"):
        Sampler(lowest=2.0)
