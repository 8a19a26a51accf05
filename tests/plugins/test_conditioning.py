"""How noise and flow time enter networks: each choice does what it says."""

import itertools
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from small_networks import (
    RESNET,
    SMALL,
    UNET,
    Small,
    draws,
    grid,
    grid_of,
    inputs,
    largest,
    least_apart,
    network,
)
from torch import Tensor

from geobench import GeobenchError, Noise
from geobench_plugins.networks.backbones import ResNet, ViT
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.norms import Condition, Norm

NOISES = ("global", "local", "smoothed", "both")
SECTIONS = ("encoder", "processor", "decoder", "all")
INTO_NORMS = ("scale-shift", "shift", "scale", "add", "gated")
BACKBONES = pytest.mark.parametrize("backbone", SMALL, ids=lambda each: each.kind)


def _combinations() -> list[dict[str, str]]:
    into = [
        {"noise": noise, "how": how, "where": where}
        for noise, how, where in itertools.product(NOISES, INTO_NORMS, SECTIONS)
    ]
    return [
        *into,
        *({"noise": noise, "how": "input"} for noise in NOISES),
        {"noise": "none", "how": "dropout"},
    ]


@BACKBONES
@pytest.mark.parametrize("choice", _combinations(), ids=lambda each: "-".join(each.values()))
def test_every_allowed_combination_makes_the_output_depend_on_the_draw(
    backbone: Small, choice: dict[str, Any]
) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, **choice)
    x = inputs(spec)
    one, other = made(x, draws(made)), made(x, draws(made, seed=1))
    assert one.shape == x.shape
    assert bool(one.isfinite().all())
    assert least_apart(one, other) > 1e-4
    assert torch.equal(one, made(x, draws(made)))


@BACKBONES
@pytest.mark.parametrize("encoder", ["linear", "mlp", "mlp-norm"])
@pytest.mark.parametrize("normaliser", ["layer", "rms", "group", "none"])
def test_every_encoder_and_normaliser_lets_the_noise_through(
    backbone: Small, encoder: Any, normaliser: Any
) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, noise="both", encoder=encoder, normaliser=normaliser, groups=4)
    x = inputs(spec)
    assert largest(made(x, draws(made)) - made(x, draws(made, seed=1))) > 1e-4


@BACKBONES
@pytest.mark.parametrize("how", [*INTO_NORMS, "input"])
@pytest.mark.parametrize("noise", ["none", "both"])
def test_an_embedding_enters_as_noise_does(backbone: Small, how: Any, noise: Any) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, noise=noise, how=how, embedding=5)
    x, drawn = inputs(spec), draws(made)
    early, late = (Noise.rows(0, name, 3).normal(5) for name in ("early", "late"))
    assert least_apart(made(x, drawn, early), made(x, drawn, late)) > 1e-4


# Norms of the small networks, by section.
_NORMS = {
    "resnet": {
        "encoder": {"blocks.blocks.0.norm"},
        "processor": {"blocks.blocks.1.norm"},
        "decoder": {"norm"},
    },
    "unet": {
        "encoder": {"chains.0.blocks.0.norm"},
        "processor": {"chains.1.blocks.0.norm", "chains.2.blocks.0.norm"},
        "decoder": {"chains.3.blocks.0.norm", "norm"},
    },
    "vit": {
        "encoder": {"blocks.blocks.0.norm", "blocks.blocks.1.norm"},
        "processor": {"blocks.blocks.2.norm", "blocks.blocks.3.norm"},
        "decoder": {"norm"},
    },
}


@BACKBONES
@pytest.mark.parametrize("where", SECTIONS)
def test_only_the_norms_of_the_section_are_conditioned(backbone: Small, where: Any) -> None:
    made = network(grid_of(backbone), backbone, where=where)
    norms = _NORMS[backbone.kind]
    conditioned = {
        name
        for name, module in made.body.named_modules()
        if isinstance(module, Norm) and module.projection is not None
    }
    assert conditioned == (set.union(*norms.values()) if where == "all" else norms[where])


@BACKBONES
@pytest.mark.parametrize("how", ["scale-shift", "shift", "scale", "add", "gated"])
def test_members_are_equal_at_first_where_weights_start_at_zero_and_learn_to_differ(
    backbone: Small, how: Any
) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, how=how, init_std=0.0, awake=False)
    x = inputs(spec)
    found = made(x, draws(made))
    assert torch.equal(found, made(x, draws(made, seed=1)))
    (found - inputs(spec, stream="target")).abs().mean().backward()
    gradient = made.body.get_parameter("norm.projection.vector.weight").grad
    assert gradient is not None
    assert largest(gradient) > 1e-6


def test_the_default_starts_a_little_off_equal_members() -> None:
    # In double precision: the difference is of the order of 1e-8, and of the head's 0.02.
    spec = grid(12)
    made = network(spec, RESNET, awake=False).double()
    x = inputs(spec).double()
    one, other = (made(x, (draws(made, seed=seed)[0].double(),)) for seed in (0, 1))
    assert 1e-12 < largest(one - other) < 1e-6


@BACKBONES
def test_gated_blocks_start_as_the_identity_and_their_gates_learn(backbone: Small) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, how="gated", init_std=0.02, awake=False)
    first = "chains.0.blocks.0" if backbone.kind == "unet" else "blocks.blocks.0"
    block = made.body.get_submodule(first)
    width = len(block.get_parameter("norm.gain"))
    h = Noise.rows(0, "features", 3).normal(*made.body.levels[0], width)
    condition = Condition(Noise.rows(0, "vector", 3).normal(32))
    assert torch.equal(block(h, condition, None), h)
    assert largest(block.get_parameter("last.weight")) > 0
    made(inputs(spec), draws(made)).square().mean().backward()
    gradient = block.get_parameter("norm.gate.vector.weight").grad
    assert gradient is not None
    assert largest(gradient) > 1e-6


@BACKBONES
def test_blocks_without_gates_start_as_the_identity_too(backbone: Small) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, noise="none", awake=False)
    last = [value for name, value in made.named_parameters() if name.endswith("last.weight")]
    assert last
    assert all(largest(each) == 0 for each in last)


# ------------------------------------------------------------------------------------------ norms


def _norm(**conditioning: Any) -> tuple[Norm, Condition]:
    """Of 8 channels, with weights of 0.5, and a condition of 3 numbers for 2 rows."""
    made = Norm(8, Conditioning(**conditioning), 3, 0, gated=conditioning.get("how") == "gated")
    for index, parameter in enumerate(made.parameters()):
        parameter.data = Noise.rows(index, "norm", 1).normal(*parameter.shape)[0]
    return made, Condition(Noise.rows(0, "c", 2).normal(3))


def _projected(made: Norm, condition: Condition) -> Tensor:
    assert condition.vector is not None
    return (condition.vector @ made.get_parameter("projection.vector.weight").T)[:, None]


def _plain(x: Tensor) -> Tensor:
    """Layer norm by hand."""
    apart = x - x.mean(-1, keepdim=True)
    return apart / (apart.square().mean(-1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("how", INTO_NORMS)
def test_a_condition_enters_a_norm_as_its_formula_says(how: Any) -> None:
    made, condition = _norm(how=how)
    x = Noise.rows(0, "x", 2).normal(5, 8)
    projected = _projected(made, condition)
    features, inner, gate = made(x, condition)
    gain, bias = made.gain, made.bias
    if how == "add":
        assert torch.allclose(features, x + projected, atol=1e-6)
        assert torch.allclose(inner, _plain(x + projected) * gain + bias, atol=1e-5)
        return
    scale = gain + (projected[..., :8] if how != "shift" else 0)
    shift = bias + (projected[..., -8:] if how != "scale" else 0)
    assert torch.equal(features, x)
    assert torch.allclose(inner, _plain(x) * scale + shift, atol=1e-5)
    if how == "gated":
        assert made.gate_bias is not None
        assert condition.vector is not None
        by_hand = condition.vector @ made.get_parameter("gate.vector.weight").T + made.gate_bias
        assert torch.allclose(gate, by_hand[:, None], atol=1e-6)
    else:
        assert gate is None


# Dims of (row, y, x, group, channel of the group) that each takes mean and variance over.
@pytest.mark.parametrize(
    ("normaliser", "groups", "over"),
    [("layer", 1, (4,)), ("rms", 1, (4,)), ("group", 2, (1, 2, 4)), ("instance", 8, (1, 2, 4))],
)
def test_normalisers_are_over_what_they_say(
    normaliser: Any, groups: int, over: tuple[int, ...]
) -> None:
    made = Norm(8, Conditioning(normaliser=normaliser, groups=2)).double()
    x = 3 + 2 * Noise.rows(0, "x", 4).normal(6, 5, 8, dtype=torch.float64)
    parts = made(x, Condition()).inner.detach().unflatten(-1, (groups, 8 // groups))
    # The epsilon beside the variance is 1e-5.
    assert largest(parts.square().mean(over) - 1) < 1e-4
    if normaliser == "rms":
        assert float(parts.mean(over).min()) > 0.1
    else:
        assert largest(parts.mean(over)) < 1e-12


def test_no_normaliser_is_none() -> None:
    made = Norm(8, Conditioning(normaliser="none"))
    x = Noise.rows(0, "x", 4).normal(6, 8)
    assert torch.equal(made(x, Condition()).inner, x)


def _seen_through(normaliser: str) -> float:
    """Largest gradient by z of a one-block ring where W z is added to the features.

    Only norms stand between them and the output: what each keeps of a constant is what is seen.
    """
    spec = grid(12)
    ring = ResNet(width=16, blocks=1, coordinates=False)
    made = network(spec, ring, how="add", where="encoder", normaliser=normaliser).double()
    z = draws(made)[0].double().requires_grad_()
    weights = Noise.rows(0, "outputs", 3).normal(*spec.grid, 2).double()
    (made(inputs(spec).double(), (z,)) * weights).sum().backward()
    assert z.grad is not None
    return largest(z.grad)


@pytest.mark.parametrize("normaliser", ["layer", "rms", "group", "none"])
def test_global_noise_survives_norms_over_channels(normaliser: str) -> None:
    assert _seen_through(normaliser) > 1e-2


def test_the_instance_norm_cancels_global_noise() -> None:
    assert _seen_through("instance") < 1e-12


# ------------------------------------------------------------------------------------------ draws


@pytest.mark.parametrize("noise", ["local", "both", "smoothed"])
def test_noise_has_variance_one_at_every_level_and_levels_are_independent(noise: Any) -> None:
    # 4,000 rows of one site; 4 x 3 variances and 12 correlations at 5 standard errors: false
    # alarm 2e-5.
    spec = grid(16, 24)
    made = network(spec, UNET.model_copy(update={"widths": (8, 8, 8)}), noise=noise)
    fields = made.draw(Noise.rows(3, "levels", 4000))[noise == "both" :]
    assert [field.shape[1:] for field in fields] == [(16, 24, 4), (8, 12, 4), (4, 6, 4)]
    sites = torch.cat([field[:, 1, 2] for field in fields], -1)
    assert float((sites.var(0) - 1).abs().max()) < 5 * math.sqrt(2 / 4000)
    others = sites.T.corrcoef() - torch.eye(12)
    assert float(others.abs().max()) < 5 / math.sqrt(4000)


@pytest.mark.parametrize("walls", [False, True])
def test_smoothed_noise_has_variance_one_everywhere_and_the_stated_length(walls: bool) -> None:
    # Exact: the law of the filter is that of its matrix, got from unit impulses.
    spec = grid(40, walls=walls)
    made = network(spec, RESNET, noise="smoothed", smoothing=3.0)
    impulses = torch.eye(40)[:, :, None]
    response = made.smoothers[0](impulses)[..., 0]
    covariance = response.T @ response
    assert torch.allclose(covariance.diagonal(), torch.ones(40), atol=1e-5)
    middle = covariance[20]
    expected = [math.exp(-((distance / 6) ** 2)) for distance in range(-8, 9)]
    assert torch.allclose(middle[12:29], torch.tensor(expected), atol=1e-3)
    # Around the ring the ends are neighbours; between walls they are strangers.
    assert float(covariance[0, 39]) == pytest.approx(0 if walls else math.exp(-1 / 36), abs=1e-3)


def test_smoothed_noise_has_the_same_length_at_coarse_levels_in_units_of_the_grid() -> None:
    made = network(grid(16, 32), UNET, noise="smoothed", smoothing=2.0)
    impulses = torch.eye(16).view(16, 1, 16, 1).expand(16, 8, 16, 1).clone()
    impulses[:, 1:] = 0
    response = made.smoothers[1](impulses)[:, 0, :, 0]
    neighbours = (response[:, 8] * response[:, 9]).sum() / response[:, 8].square().sum()
    assert float(neighbours) == pytest.approx(math.exp(-((2 / 4) ** 2)), abs=1e-3)


@BACKBONES
@pytest.mark.parametrize("noise", NOISES)
def test_draws_follow_from_the_noise_and_differ_between_members_leads_and_streams(
    backbone: Small, noise: Any
) -> None:
    made = network(grid_of(backbone), backbone, noise=noise)
    rows = Noise.rows(0, "draw", 2)
    first = made.draw(rows)
    assert all(torch.equal(a, b) for a, b in zip(first, made.draw(rows), strict=True))
    others = [made.draw(rows.at(1)), made.draw(rows.use("more")), made.draw(rows.members(2))[:2]]
    for one, other in zip(first, others[0], strict=True):
        assert not bool((one == other).any())
    for one, other in zip(first, others[1], strict=True):
        assert not bool((one == other).any())
    for each in made.draw(rows.members(2)):
        assert not bool((each[0] == each[1]).any())


@BACKBONES
def test_dropout_masks_drop_their_share_and_keep_the_mean(backbone: Small) -> None:
    # At least 400 rows x 96 features a mask: the share of 0.3 at 5 standard errors is 0.012.
    made = network(grid_of(backbone), backbone, noise="none", how="dropout", dropout=0.3)
    masks = made.draw(Noise.rows(0, "masks", 400))
    assert len(masks) == len(made.body.hidden)
    for mask in masks:
        assert mask.unique().tolist() == pytest.approx([0, 1 / 0.7])
        dropped = float((mask == 0).float().mean())
        assert abs(dropped - 0.3) < 5 * math.sqrt(0.21 / mask.numel())
        assert abs(float(mask.mean()) - 1) < 5 * math.sqrt(0.21 / mask.numel()) / 0.7
    assert all(
        a.shape != b.shape or not torch.equal(a, b) for a, b in itertools.combinations(masks, 2)
    )


def test_the_mean_over_masks_is_the_block_without_dropout() -> None:
    # The branch is linear in the mask: its mean over 20,000 masks, at 5 standard errors of each of
    # 96 numbers, false alarm 6e-5.
    made = network(grid(12), RESNET, noise="none", how="dropout", dropout=0.3)
    block = made.body.get_submodule("blocks.blocks.0")
    h = Noise.rows(0, "features", 1).normal(12, 8).expand(20_000, -1, -1)
    masks = made.draw(Noise.rows(0, "masks", 20_000))
    with torch.no_grad():
        drawn = block(h, Condition(), masks[0])
        whole = block(h[:1], Condition(), None)[0]
    error = drawn.std(0) / math.sqrt(20_000)
    assert float(error.min()) > 0
    assert float(((drawn.mean(0) - whole) / error).abs().max()) < 5


def test_a_deterministic_network_draws_nothing() -> None:
    assert Conditioning(noise="none").deterministic
    assert not Conditioning(noise="none", how="dropout").deterministic
    assert not Conditioning().deterministic
    assert network(grid(12), RESNET, noise="none").draw(Noise.rows(0, "draw", 3)) == ()


# ----------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"how": "dropout"}, "use noise: none"),
        ({"how": "dropout", "noise": "none", "where": "decoder"}, "leave out where"),
        ({"how": "input", "where": "encoder"}, "leave out where"),
        ({"encoder": "mlp-norm", "dimension": 1}, "larger dimension"),
        ({"encoder": "mlp-norm", "noise": "local", "local_dimension": 1}, "larger local_dimension"),
    ],
)
def test_choices_that_contradict_each_other_are_told(choice: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Conditioning(**choice)


def test_groups_that_do_not_divide_the_width_are_told() -> None:
    with pytest.raises(GeobenchError, match="groups = 3 does not divide a width of 8"):
        network(grid(12), RESNET, normaliser="group", groups=3)


def test_an_embedding_that_dropout_would_ignore_is_told() -> None:
    with pytest.raises(GeobenchError, match="nothing is conditioned"):
        network(grid(12), RESNET, noise="none", how="dropout", embedding=4)


def test_a_forgotten_embedding_is_told() -> None:
    made = network(grid(12), RESNET, noise="local", embedding=4)
    with pytest.raises(ValueError, match="an embedding of 4 numbers"):
        made(inputs(grid(12)), draws(made))


@pytest.mark.parametrize("backbone", [ResNet(blocks=1), ViT(layers=1)])
def test_a_network_without_a_processor_cannot_condition_it(backbone: Small) -> None:
    with pytest.raises(GeobenchError, match="no processor to condition"):
        network(grid_of(backbone), backbone, where="processor")
