"""Objectives: against naive forms, exact solutions and what each is meant to see."""

import itertools
import math

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from geobench import Noise
from geobench_plugins.networks import ensemble_scores as scores
from geobench_plugins.networks.objectives import (
    CRPS,
    Energy,
    MeanSquare,
    MultiScale,
    Objective,
    Spectral,
    Start,
    ThresholdWeighted,
    Variogram,
)

EVERY = [
    CRPS(), CRPS(alpha=0.95), Energy(), Energy(patch=3), Variogram(), MultiScale(), Spectral(),
    ThresholdWeighted(), MeanSquare(),
]  # fmt: skip
JOINT = [Energy(), Energy(patch=3), Variogram(), MultiScale(), Spectral()]


def _ids(objective: object) -> str:
    return repr(objective)


def _normal(*shape: int, stream: str = "x") -> Tensor:
    return Noise.rows(0, stream, 1).normal(*shape, dtype=torch.float64)[0]


def _start(target: Tensor) -> Start:
    return Start(torch.zeros_like(target), torch.ones(target.shape[-1], dtype=target.dtype))


def _naive(ensemble: Tensor, target: Tensor, alpha: float) -> Tensor:
    """The definition: alpha fair + (1 - alpha) plain."""
    members = ensemble.shape[1]
    far = (ensemble - target[:, None]).abs().mean(1)
    near = (ensemble[:, :, None] - ensemble[:, None]).abs().sum((1, 2))
    fair = far - near / (2 * members * (members - 1))
    plain = far - near / (2 * members**2)
    return (alpha * fair + (1 - alpha) * plain).mean()


@pytest.mark.parametrize("members", [2, 3, 4, 8])
@pytest.mark.parametrize("alpha", [1.0, 0.95, 0.5, 0.0])
def test_crps_in_all_positive_form_is_the_definition(members: int, alpha: float) -> None:
    ensemble, target = _normal(40, members, 6, 2), _normal(40, 6, 2, stream="y")
    ensemble[0, 1] = ensemble[0, 0]  # equal members
    ensemble[1, 0] = target[1]
    found = scores.crps(ensemble, target, alpha)
    assert torch.allclose(found, _naive(ensemble, target, alpha), rtol=1e-13)
    wanted = _naive(x := ensemble.clone().requires_grad_(), target, alpha)
    (there,) = torch.autograd.grad(wanted, x)
    (here,) = torch.autograd.grad(
        scores.crps(y := ensemble.clone().requires_grad_(), target, alpha), y
    )
    assert torch.allclose(here[2:], there[2:], atol=1e-15)  # (at ties the derivative is a choice)


def test_the_fair_crps_of_two_is_the_distance_to_the_interval() -> None:
    ensemble, target = _normal(1000, 2, 5, 1), _normal(1000, 5, 1, stream="y")
    low, high = ensemble.amin(1), ensemble.amax(1)
    distance = (low - target).clamp(min=0) + (target - high).clamp(min=0)
    assert torch.allclose(scores.crps(ensemble, target), distance.mean(), rtol=1e-14)


@pytest.mark.parametrize(
    ("alpha", "members", "factor"),
    [(1, 2, 1.0), (1, 8, 1.0), (0.95, 2, 0.952), (0.95, 4, 0.976), (0.9, 2, 0.907), (0, 2, 0.378),
     (0, 4, 0.626), (0, 16, 0.885)],
)  # fmt: skip
def test_the_best_spread_is_that_of_theory(alpha: float, members: int, factor: float) -> None:
    """s² = (1-ε)² / (2 - (1-ε)²), ε = (1-alpha)/M, for Gaussian truth and members of std s.

    The loss of 60,000 draws is least within 0.03 of it (its error there is some 0.007).
    """
    rest = 1 - (1 - alpha) / members
    assert math.sqrt(rest**2 / (2 - rest**2)) == pytest.approx(factor, abs=6e-4)
    ensemble, target = _normal(60_000, members, 1), _normal(60_000, 1, stream="y")
    spreads = [factor + step / 100 for step in range(-12, 13)]
    losses = torch.stack([scores.crps(s * ensemble, target, alpha) for s in spreads])
    # The minimum of the parabola through the losses.
    powers = torch.tensor([[1.0, s, s * s] for s in spreads], dtype=torch.float64)
    _, linear, square = torch.linalg.lstsq(powers, losses[:, None]).solution[:, 0]
    assert float(-linear / (2 * square)) == pytest.approx(factor, abs=0.03)


@pytest.mark.parametrize("objective", [CRPS(), CRPS(alpha=0.5)], ids=_ids)
def test_the_crps_of_equal_members_is_the_absolute_error(objective: CRPS) -> None:
    one, target = _normal(50, 1, 6, 1), _normal(50, 6, 1, stream="y")
    found = objective.loss(one.expand(50, 4, 6, 1), target, _start(target))
    assert torch.allclose(found, (one[:, 0] - target).abs().mean())


def test_the_energy_score_is_its_definition() -> None:
    ensemble, target = _normal(9, 3, 5, 2), _normal(9, 5, 2, stream="y")
    total = 0.0
    for row in range(9):
        far = [float((ensemble[row, j] - target[row]).norm()) for j in range(3)]
        near = [
            float((ensemble[row, j] - ensemble[row, k]).norm())
            for j, k in itertools.permutations(range(3), 2)
        ]
        total += sum(far) / 3 - sum(near) / (2 * 3 * 2)
    assert float(scores.energy(ensemble, target)) == pytest.approx(total / 9 / math.sqrt(10))
    # A window as wide as the ring is the whole field, wherever it starts.
    assert torch.allclose(scores.energy(ensemble, target, 5), scores.energy(ensemble, target))


def test_magnitudes_keep_the_power() -> None:
    """Parseval: on an odd ring each coefficient but the mean stands for two."""
    field = _normal(3, 9, 1)
    power = scores._magnitudes(field, 1) ** 2
    assert torch.allclose(power[:, 0] + 2 * power[:, 1:].sum(1), (field**2).sum(1))


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
def test_shapes_that_would_broadcast_are_refused(objective: CRPS) -> None:
    ensemble = torch.zeros(4, 2, 8, 1)
    for shape in ((4, 1, 8), (4, 8), (4, 1, 1), (1, 8, 1), (4, 2, 8, 1)):
        target = torch.zeros(shape)
        with pytest.raises(ValueError, match="the ensemble is"):
            objective.loss(ensemble, target, Start(torch.zeros(4, 8, 1), torch.ones(1)))


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
def test_states_and_their_changes_have_the_same_loss(objective: CRPS) -> None:
    """A shift by what is known changes nothing: where it is not linear, `start` makes up for it."""
    ensemble, target = _normal(20, 3, 9, 2), _normal(20, 9, 2, stream="y")
    shift = 3 * _normal(20, 9, 2, stream="shift")
    if isinstance(objective, (Spectral, Variogram)):
        shift = torch.zeros_like(shift)  # magnitudes and increments are of what is given
    std = torch.ones(2, dtype=torch.float64)
    changes = objective.loss(ensemble, target, Start(shift, std))
    states = objective.loss(
        ensemble + shift[:, None], target + shift, Start(torch.zeros_like(shift), std)
    )
    assert torch.allclose(changes, states, rtol=1e-6)


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
@pytest.mark.parametrize("spread", [0.0, 1e-8])
def test_gradients_are_finite_where_members_are_equal(objective: CRPS, spread: float) -> None:
    one = _normal(8, 1, 9, 2).float()
    ensemble = (one + spread * _normal(8, 4, 9, 2, stream="z").float()).requires_grad_()
    target = _normal(8, 9, 2, stream="y").float()
    objective.loss(ensemble, target, _start(target)).backward()
    assert ensemble.grad is not None
    assert ensemble.grad.isfinite().all()
    assert ensemble.grad.abs().max() > 0


def _correlated(rows: int, stream: str) -> Tensor:
    """Normal fields of variance one, neighbours correlated by 0.9."""
    white = _normal(rows, 20, 1, stream=stream)
    kernel = torch.tensor([0.5 ** abs(k) for k in range(-6, 7)], dtype=torch.float64)
    field = sum(w * white.roll(k, 1) for k, w in enumerate(kernel))
    return field / kernel.norm()  # type: ignore[no-any-return]


@pytest.mark.parametrize("objective", JOINT, ids=_ids)
def test_joint_objectives_notice_members_that_are_shuffled_at_every_site(objective: CRPS) -> None:
    """The law itself scores better than its marginals without dependence; the CRPS cannot tell.

    4,000 rows, seed fixed; the difference is over 5 standard errors of 40 batches for each.
    """
    ensemble = torch.stack([_correlated(4000, f"m{k}") for k in range(4)], 1)
    target = _correlated(4000, "y")
    order = _normal(4000, 4, 20, 1, stream="order").argsort(1)
    shuffled = ensemble.gather(1, order)
    assert torch.allclose(scores.crps(shuffled, target), scores.crps(ensemble, target), rtol=1e-12)
    gaps = torch.stack([
        objective.loss(shuffled[i : i + 100], target[i : i + 100], _start(target[i : i + 100]))
        - objective.loss(ensemble[i : i + 100], target[i : i + 100], _start(target[i : i + 100]))
        for i in range(0, 4000, 100)
    ])  # fmt: skip
    assert float(gaps.mean()) > 5 * float(gaps.std()) / math.sqrt(40)


@pytest.mark.parametrize("objective", [CRPS(), *JOINT, ThresholdWeighted()], ids=_ids)
def test_fair_objectives_expect_the_same_of_any_number_of_members(objective: CRPS) -> None:
    """Means over 8,000 rows with 2 and with 8 members agree within 5 standard errors of both."""
    target = _correlated(8000, "y")
    many = torch.stack([_correlated(8000, f"m{k}") for k in range(10)], 1)
    found = []
    for ensemble in (many[:, :2], many[:, 2:]):
        parts = torch.stack([
            objective.loss(e, t, _start(t))
            for e, t in zip(ensemble.split(200), target.split(200), strict=True)
        ])  # fmt: skip
        found.append((float(parts.mean()), float(parts.std()) / math.sqrt(len(parts))))
    (two, its_error), (eight, other_error) = found
    assert abs(two - eight) < 5 * math.hypot(its_error, other_error)


def test_what_lies_below_the_threshold_does_not_count_above() -> None:
    objective = ThresholdWeighted(threshold=1.0, crps_share=0.25)
    target = torch.full((5, 4, 1), -1.0)
    low, lower = torch.full((5, 2, 4, 1), -2.0), torch.full((5, 2, 4, 1), -3.0)
    for ensemble, away in ((low, 1.0), (lower, 2.0)):
        assert float(objective.loss(ensemble, target, _start(target))) == pytest.approx(0.25 * away)
    # In standard deviations of the climate: here 2.5 units of a change.
    start = Start(torch.full((5, 4, 1), 2.0), torch.tensor([2.5]))
    high = torch.full((5, 2, 4, 1), 1.0)  # 3.0 in all: 0.5 above the threshold
    found = objective.loss(high, torch.zeros(5, 4, 1), start)
    assert float(found) == pytest.approx(0.75 * 0.5 + 0.25 * 1.0)


def test_two_dimensions_are_scored_alike() -> None:
    ensemble, target = _normal(6, 3, 8, 5, 2), _normal(6, 8, 5, 2, stream="y")
    for objective in EVERY:
        if isinstance(objective, (Variogram, MultiScale)):
            objective = type(objective)(**({"reach": 2} if isinstance(objective, Variogram) else
                                           {"windows": (1, 2)}))  # fmt: skip
        found = objective.loss(ensemble, target, _start(target))
        turned = objective.loss(
            ensemble.transpose(2, 3), target.transpose(1, 2), _start(target.transpose(1, 2))
        )
        if not isinstance(objective, Spectral):  # whose half of the coefficients is another
            assert torch.allclose(found, turned)
        assert found.isfinite()


def test_a_window_wider_than_the_grid_is_told() -> None:
    with pytest.raises(ValueError, match="a window of 9 cells, and the grid has 8"):
        scores.multi_scale(torch.zeros(2, 2, 8, 1), torch.zeros(2, 8, 1), (9,))


def test_objectives_are_named_in_yaml() -> None:
    adapter = TypeAdapter(Objective)
    for objective in EVERY:
        assert adapter.validate_python(objective.model_dump(mode="json")) == objective


def test_members_that_differ_by_little_are_told_apart() -> None:
    """A new network's members differ by 1e-8: in single precision x - y is the same for both."""
    target = torch.full((1, 4, 1), 3.0)
    ensemble = torch.full((1, 2, 4, 1), 1e-7)
    ensemble[:, 1] += 1e-9
    assert bool((ensemble[:, 0] - target == ensemble[:, 1] - target).all())
    scores.crps(ensemble.requires_grad_(), target).backward()
    assert ensemble.grad is not None
    # Both lie below y: only the nearer one, the second, is the end of the interval.
    assert torch.equal(ensemble.grad[0, :, 0, 0], torch.tensor([0.0, -0.25]))
