"""Objectives: against naive forms, exact solutions and what each is meant to see."""

import itertools
import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from geobench import GeobenchError, Noise
from geobench_plugins.networks import ensemble_scores as scores
from geobench_plugins.networks.objectives import (
    CRPS,
    Energy,
    MeanSquare,
    MultiScale,
    Objective,
    Setting,
    Spectral,
    ThresholdWeighted,
    Variogram,
)

BANDS = MultiScale(windows=(1, 3, 5), weights=(1, 2, 3), bands=True)
JOINT = [Energy(), Energy(patch=3), Variogram(), MultiScale(), BANDS, Spectral()]
EVERY = [CRPS(), CRPS(alpha=0.95), *JOINT, ThresholdWeighted(), MeanSquare()]


def _ids(objective: object) -> str:
    return repr(objective)


def _normal(*shape: int, stream: str = "x") -> Tensor:
    return Noise.rows(0, stream, 1).normal(*shape, dtype=torch.float64)[0]


def _setting(target: Tensor, *periodic: bool) -> Setting:
    """Changes from the mean climate, in its standard deviations; a periodic grid."""
    std = torch.ones(target.shape[-1], dtype=target.dtype)
    return Setting(torch.zeros_like(target), std, periodic or (True,) * (target.ndim - 2))


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
    spreads = [factor + step / 100 for step in (-12, -6, 0, 6, 12)]
    losses = torch.stack([scores.crps(s * ensemble, target, alpha) for s in spreads])
    # The minimum of the parabola through the losses.
    powers = torch.tensor([[1.0, s, s * s] for s in spreads], dtype=torch.float64)
    _, linear, square = torch.linalg.lstsq(powers, losses[:, None]).solution[:, 0]
    assert float(-linear / (2 * square)) == pytest.approx(factor, abs=0.03)


@pytest.mark.parametrize("objective", [CRPS(), CRPS(alpha=0.5)], ids=_ids)
def test_the_crps_of_equal_members_is_the_absolute_error(objective: CRPS) -> None:
    one, target = _normal(50, 1, 6, 1), _normal(50, 6, 1, stream="y")
    found = objective.loss(one.expand(50, 4, 6, 1), target, _setting(target))
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
    power = scores._magnitudes(field, 1, (True,)) ** 2
    assert torch.allclose(power[:, 0] + 2 * power[:, 1:].sum(1), (field**2).sum(1))


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
def test_shapes_that_would_broadcast_are_refused(objective: CRPS) -> None:
    ensemble = torch.zeros(4, 2, 8, 1)
    for shape in ((4, 1, 8), (4, 8), (4, 1, 1), (1, 8, 1), (4, 2, 8, 1)):
        target = torch.zeros(shape)
        with pytest.raises(ValueError, match="the ensemble is"):
            objective.loss(ensemble, target, Setting(torch.zeros(4, 8, 1), torch.ones(1), (True,)))


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
def test_states_and_their_changes_have_the_same_loss(objective: CRPS) -> None:
    """A shift by what is known changes nothing; where it is not linear `setting` makes up."""
    ensemble, target = _normal(20, 3, 9, 2), _normal(20, 9, 2, stream="y")
    shift = 3 * _normal(20, 9, 2, stream="shift")
    if isinstance(objective, (Spectral, Variogram)):
        shift = torch.zeros_like(shift)  # magnitudes and increments are of what is given
    std = torch.ones(2, dtype=torch.float64)
    changes = objective.loss(ensemble, target, Setting(shift, std, (True,)))
    states = objective.loss(
        ensemble + shift[:, None], target + shift, Setting(torch.zeros_like(shift), std, (True,))
    )
    assert torch.allclose(changes, states, rtol=1e-6)


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
@pytest.mark.parametrize("spread", [0.0, 1e-8])
def test_gradients_are_finite_where_members_are_equal(objective: CRPS, spread: float) -> None:
    one = _normal(8, 1, 9, 2).float()
    ensemble = (one + spread * _normal(8, 4, 9, 2, stream="z").float()).requires_grad_()
    target = _normal(8, 9, 2, stream="y").float()
    objective.loss(ensemble, target, _setting(target)).backward()
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
        objective.loss(shuffled[i : i + 100], target[i : i + 100], _setting(target[i : i + 100]))
        - objective.loss(ensemble[i : i + 100], target[i : i + 100], _setting(target[i : i + 100]))
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
            objective.loss(e, t, _setting(t))
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
        assert float(objective.loss(ensemble, target, _setting(target))) == pytest.approx(
            0.25 * away
        )
    # In standard deviations of the climate: here 2.5 units of a change.
    setting = Setting(torch.full((5, 4, 1), 2.0), torch.tensor([2.5]), (True,))
    high = torch.full((5, 2, 4, 1), 1.0)  # 3.0 in all: 0.5 above the threshold
    found = objective.loss(high, torch.zeros(5, 4, 1), setting)
    assert float(found) == pytest.approx(0.75 * 0.5 + 0.25 * 1.0)


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
@pytest.mark.parametrize("periodic", [(True, True), (False, True), (False, False)])
def test_two_dimensions_are_scored_alike(objective: CRPS, periodic: tuple[bool, bool]) -> None:
    ensemble, target = _normal(6, 3, 9, 11, 2), _normal(6, 9, 11, 2, stream="y")
    found = objective.loss(ensemble, target, _setting(target, *periodic))
    turned = target.transpose(1, 2)
    again = objective.loss(ensemble.transpose(2, 3), turned, _setting(turned, *periodic[::-1]))
    if not (isinstance(objective, Spectral) and all(periodic)):  # its half of the waves is another
        assert torch.allclose(found, again)
    assert found.isfinite()


def test_windows_between_walls_lie_inside() -> None:
    ensemble, target = _normal(9, 3, 7, 5, 2), _normal(9, 7, 5, 2, stream="y")
    # Walls along the first dim, a ring along the second.
    drawn, seen = (
        torch.stack([
            torch.stack([
                torch.cat([field.roll(-x, lead + 1).narrow(lead + 1, 0, 3)], lead + 1)
                .narrow(lead, y, 3).mean((lead, lead + 1))
                for x in range(5)
            ], lead) for y in range(5)
        ], lead)
        for field, lead in ((ensemble, 2), (target, 1))
    )  # fmt: skip
    found = scores.multi_scale(ensemble, target, (3,), periodic=(False, True))
    assert torch.allclose(found, scores.crps(drawn, seen), rtol=1e-12)
    # The only window as large as a basin is the basin; around a ring there are as many as cells.
    whole = scores.energy(ensemble, target, 5, periodic=(False, False))
    parts = [scores.energy(ensemble[:, :, y : y + 5], target[:, y : y + 5]) for y in range(3)]
    assert torch.allclose(whole, torch.stack(parts).mean(), rtol=1e-12)


def test_pairs_between_walls_lie_inside() -> None:
    ensemble, target = _normal(9, 3, 6, 1), _normal(9, 6, 1, stream="y")
    found = scores.variogram(ensemble, target, 1.0, 2, periodic=(False,))
    terms = []
    for step in (1, 2):
        pairs = [(i, i + step) for i in range(6 - step)]
        drawn = torch.stack([(ensemble[:, :, j] - ensemble[:, :, i]).abs() for i, j in pairs], 2)
        seen = torch.stack([(target[:, j] - target[:, i]).abs() for i, j in pairs], 1)
        terms.append(((seen - drawn.mean(1)) ** 2 - drawn.var(1) / 3).mean())
    assert torch.allclose(found, torch.stack(terms).mean(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(8,), (7,), (6, 5)])
def test_waves_between_walls_are_those_of_the_mirrored_field(shape: tuple[int, ...]) -> None:
    """The even extension, `[x, x reversed]`, transformed by Fourier: equal but for its scale."""
    field = _normal(3, *shape, 2)
    wide = field
    for dim in range(1, 1 + len(shape)):
        wide = torch.cat([wide, wide.flip(dim)], dim)
    dims = tuple(range(1, 1 + len(shape)))
    waves = torch.fft.fftn(wide, dim=dims, norm="ortho").abs()
    for dim, size in zip(dims, shape, strict=True):
        waves = waves.narrow(dim, 0, size)
        scale = torch.ones(size, dtype=torch.float64)
        scale[0] = 0.5**0.5  # the mean of the extension stands once, other waves stand twice
        waves = waves * scale.view(-1, *[1] * (waves.ndim - 1 - dim))
    found = scores._magnitudes(field, 1, (False,) * len(shape))
    assert torch.allclose(found, waves, atol=1e-5)
    assert torch.allclose((found**2).sum(dims), (field**2).sum(dims))


def test_a_ramp_has_no_small_scales_between_walls() -> None:
    ramp = torch.linspace(-1, 1, 64, dtype=torch.float64)[None, :, None]
    walled = scores._magnitudes(ramp, 1, (False,))
    around = scores._magnitudes(ramp, 1, (True,))
    assert float(walled[0, 32:].square().sum()) < 1e-4 * float(ramp.square().sum())
    assert float(around[0, 16:].square().sum()) > 1e-2 * float(ramp.square().sum())


def test_bands_are_what_each_window_adds() -> None:
    ensemble, target = _normal(20, 2, 8, 1), _normal(20, 8, 1, stream="y")
    for around, count in ((True, 8), (False, 5)):
        drawn, seen = (
            scores._pooled(field, 4, lead, (around,))
            for field, lead in ((ensemble, 2), (target, 1))
        )
        assert seen.shape[1] == count
        rest = scores.crps(ensemble[:, :, :count] - drawn, target[:, :count] - seen)
        found = scores.multi_scale(
            ensemble, target, (1, 4), periodic=(around,), weights=(3, 1), bands=True
        )
        assert torch.allclose(found, 0.75 * rest + 0.25 * scores.crps(drawn, seen), rtol=1e-12)


def test_weights_of_windows_are_shares() -> None:
    ensemble, target = _normal(20, 2, 8, 1), _normal(20, 8, 1, stream="y")
    setting = _setting(target)
    one, other, both = (
        MultiScale(windows=(1, 4), weights=weights).loss(ensemble, target, setting)
        for weights in ((1, 0), (0, 1), (2, 6))
    )
    assert torch.allclose(both, 0.25 * one + 0.75 * other, rtol=1e-12)
    equal = MultiScale(windows=(1, 4)).loss(ensemble, target, setting)
    assert torch.allclose(equal, (one + other) / 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"weights": (1, 2)}, "2 of them for 4 windows"),
        ({"windows": (1, 2), "weights": (1, -1)}, "must not be negative"),
        ({"windows": (1, 2), "weights": (0, 0)}, "nor all zero"),
        ({"windows": (4, 2), "bands": True}, "growing where bands are scored"),
        ({"windows": (0, 2)}, "must be positive"),
    ],
)
def test_windows_that_make_no_sense_are_told(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MultiScale.model_validate(fields)


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
def test_no_spread_on_land_can_be_bought(objective: CRPS) -> None:
    """Whatever a network draws on land: its output is masked, so no loss and no slope is there."""
    sea = torch.ones(9, 11, 1, dtype=torch.float64)
    sea[2:5, 3:8] = 0
    target = _normal(6, 9, 11, 2, stream="y") * sea
    setting = _setting(target, False, True)
    raw = _normal(6, 3, 9, 11, 2).requires_grad_()
    loss = objective.loss(raw * sea, target, setting)
    (slope,) = torch.autograd.grad(loss, raw)
    assert bool((slope[:, :, 2:5, 3:8] == 0).all())
    assert bool((slope.abs().amax((0, 1, 4)) > 0)[sea[..., 0] > 0].all())
    wild = torch.where(sea > 0, raw, 1e3 * raw)
    assert torch.equal(objective.loss(wild * sea, target, setting), loss)
    # And land alone is worth nothing.
    nothing = objective.loss(0 * raw.detach(), 0 * target, setting)
    assert float(nothing) == pytest.approx(0, abs=1e-6)


def test_what_does_not_fit_the_grid_is_told() -> None:
    ensemble, target = torch.zeros(2, 2, 8, 1), torch.zeros(2, 8, 1)
    for periodic in ((True,), (False,)):
        with pytest.raises(GeobenchError, match="a window of 9 cells, and the grid has room for 8"):
            scores.multi_scale(ensemble, target, (9,), periodic=periodic)
        with pytest.raises(GeobenchError, match="a reach of 8 cells, and the grid has room for 7"):
            scores.variogram(ensemble, target, 0.5, 8, periodic=periodic)
    with pytest.raises(ValueError, match="2 grid dims, and there are 1"):
        scores.spectral(ensemble, target, periodic=(True, False))


@pytest.mark.parametrize("objective", EVERY, ids=_ids)
def test_scores_are_not_rounded_to_half_precision(objective: CRPS) -> None:
    """Networks may run in bfloat16; what scores them must not, or members fall together."""
    ensemble = _normal(8, 3, 9, 2).float().requires_grad_()
    target = _normal(8, 9, 2, stream="y").float()
    setting = _setting(target, False)
    whole = objective.loss(ensemble, target, setting)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = objective.loss(ensemble, target, setting)
    assert torch.equal(mixed, whole)
    slopes = [torch.autograd.grad(loss, ensemble)[0] for loss in (mixed, whole)]
    assert torch.equal(*slopes)


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
