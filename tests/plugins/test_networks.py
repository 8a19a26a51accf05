"""The backbones: shapes, symmetries, reach, precision."""

import itertools
import math
from typing import Any

import pytest
import torch
from small_networks import (
    RESNET,
    SMALL,
    UNET,
    VIT,
    Small,
    draws,
    grid,
    grid_of,
    inputs,
    largest,
    network,
)

from geobench import Dimension, GeobenchError, Noise, StateSpec, Variable
from geobench_plugins.networks import geography
from geobench_plugins.networks.backbones import ResNet, UNet, ViT, default_backbone
from geobench_plugins.networks.conditioned import Conditioned, initialise
from geobench_plugins.networks.conditioning import Conditioning
from geobench_plugins.networks.convolutions import LineConvolution, PlaneConvolution
from geobench_plugins.networks.linear import Linear
from geobench_plugins.networks.unet import repeated
from geobench_plugins.networks.vit import cells, patches

BACKBONES = pytest.mark.parametrize("backbone", SMALL, ids=lambda each: each.kind)


def _without_places(backbone: Small) -> Small:
    return type(backbone).model_validate({**dict(backbone), "coordinates": False})


# --------------------------------------------------------------------------------------- symmetry


def test_the_ring_has_no_special_site_without_coordinates() -> None:
    spec = grid(20)
    made = network(spec, _without_places(RESNET)).double()
    x, z = inputs(spec).double(), draws(made)[0].double()
    assert torch.allclose(made(x.roll(7, 1), (z,)), made(x, (z,)).roll(7, 1), atol=1e-12)


def test_with_coordinates_sites_differ() -> None:
    spec = grid(20)
    made = network(spec, RESNET)
    found = made(torch.zeros(1, 20, 2), draws(made, rows=1))
    assert largest(found - found.roll(1, 1)) > 1e-4


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_a_site_of_the_ring_sees_two_sites_a_block_and_no_more(blocks: int) -> None:
    spec = grid(40)
    made = network(spec, ResNet(width=8, blocks=blocks))
    x, z = inputs(spec), draws(made)
    changed = x.clone()
    changed[:, 0] += 1
    differs = (made(changed, z) != made(x, z)).any(0).any(-1)
    reach = 2 * (blocks + 1)
    assert differs.nonzero().flatten().tolist() == [*range(reach + 1), *range(40 - reach, 40)]


def test_nothing_goes_through_a_wall() -> None:
    spec = grid(40, walls=True)
    made = network(spec, RESNET)
    x, z = inputs(spec), draws(made)
    changed = x.clone()
    changed[:, 0] += 1
    differs = (made(changed, z) != made(x, z)).any(0).any(-1)
    assert differs.nonzero().flatten().tolist() == list(range(7))


def test_a_plane_without_coordinates_is_equivariant_to_shifts_by_the_stride() -> None:
    spec = grid(16, 24)
    made = network(spec, UNet(widths=(8, 8, 16), coordinates=False)).double()
    x, z = inputs(spec).double(), draws(made)[0].double()
    whole = made(x, (z,))
    moved = made(x.roll((4, -8), (1, 2)), (z,))
    assert torch.allclose(moved, whole.roll((4, -8), (1, 2)), atol=1e-12)
    # Steps down take every other cell: by less than the stride it is not.
    assert largest(made(x.roll(1, 1), (z,)) - whole.roll(1, 1)) > 1e-4


def test_walls_break_the_symmetry_of_a_plane() -> None:
    spec = grid(16, 24, walls=True)
    made = network(spec, _without_places(UNET))
    x, z = inputs(spec), draws(made)
    assert largest(made(x.roll(4, 1), z) - made(x, z).roll(4, 1)) > 1e-4


@pytest.mark.parametrize("periodic", [True, False])
def test_the_line_convolution_is_that_of_the_textbook(periodic: bool) -> None:
    made = LineConvolution(3, 2, reach=2, periodic=periodic)
    initialise(made, Noise.rows(0, "weights", 1))
    x = Noise.rows(0, "x", 4).normal(9, 3)
    weight = made.mix.weight.view(2, 5, 3)
    for row, site, out in itertools.product(range(4), range(9), range(2)):
        total = 0.0
        for tap in range(5):
            source = site - (tap - 2)
            if periodic or 0 <= source < 9:
                total += float((weight[out, tap] * x[row, source % 9]).sum().detach())
        assert float(made(x)[row, site, out].detach()) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("periodic", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("stride", [1, 2])
def test_the_plane_convolution_is_that_of_the_textbook(
    periodic: tuple[bool, bool], stride: int
) -> None:
    made = PlaneConvolution(2, 1, periodic=periodic, stride=stride)
    initialise(made, Noise.rows(0, "weights", 1))
    x = Noise.rows(0, "x", 1).normal(4, 6, 2)
    found = made(x)[0, ..., 0].detach()
    assert found.shape == (4 // stride, 6 // stride)
    for b, a in itertools.product(range(4 // stride), range(6 // stride)):
        total = 0.0
        for i, j in itertools.product(range(3), repeat=2):
            y, z = stride * b + i - 1, stride * a + j - 1
            if (periodic[0] or 0 <= y < 4) and (periodic[1] or 0 <= z < 6):
                total += float((made.weight[0, :, i, j] * x[0, y % 4, z % 6]).sum().detach())
        assert float(found[b, a]) == pytest.approx(total, abs=1e-5)


def test_repeated_cells_and_patches() -> None:
    x = torch.arange(24.0).view(1, 4, 6, 1)
    assert repeated(x)[0, 5, 8, 0] == x[0, 2, 4, 0]
    assert patches(x, 2)[0, 1, 2].tolist() == [16, 17, 22, 23]
    assert torch.equal(cells(patches(x, 2), 2), x)


# ------------------------------------------------------------------------------------------- rows


@BACKBONES
def test_rows_know_nothing_of_each_other(backbone: Small) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, noise="both")
    x, z = inputs(spec), draws(made)
    changed = x.clone()
    changed[1] += 1
    before, after = made(x, z), made(changed, z)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert largest(before[1] - after[1]) > 1e-3


@BACKBONES
@pytest.mark.parametrize("walls", [False, True])
def test_outputs_have_the_grid_of_the_inputs(backbone: Small, walls: bool) -> None:
    spec = grid_of(backbone, walls=walls)
    made = Conditioned(spec, backbone, Conditioning(), inputs=5, outputs=3)
    x = Noise.rows(0, "x", 4).normal(*spec.grid, 5)
    assert made(x, draws(made, 4)).shape == (4, *spec.grid, 3)


# --------------------------------------------------------------------------------------- geography


@BACKBONES
def test_land_is_zero_in_the_output_and_unseen_in_the_input(backbone: Small) -> None:
    land = (0, 5, 11) if backbone.kind == "resnet" else (0, 5, 30, 95)
    spec = grid(*grid_of(backbone).grid, walls=True, land=land)
    made = network(spec, backbone)
    x, z = inputs(spec), draws(made)
    found = made(x, z)
    on_land = ~torch.from_numpy(spec.sea)
    assert largest(found[:, on_land]) == 0
    assert float(found[:, ~on_land].detach().abs().amax(-1).min()) > 0
    changed = x.clone()
    changed[:, on_land] += 5
    assert torch.equal(made(changed, z), found)


def test_places_are_waves_around_a_ring_and_lines_between_walls() -> None:
    dims = (Dimension(name="a", size=5), Dimension(name="b", size=8, periodic=True))
    spec = StateSpec(variables=(Variable(name="u"),), dims=dims, land=(3,))
    places = geography.features(spec, coordinates=True)
    assert places.shape == (5, 8, 6)
    assert places[:, 3, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    for site in range(8):
        angle = 2 * math.pi * site / 8
        expected = [f(k * angle) for k in (1, 2) for f in (math.sin, math.cos)]
        assert places[2, site, 1:5].tolist() == pytest.approx(expected, abs=1e-6)
    assert int(places[..., 5].sum()) == 39
    assert float(places[0, 3, 5]) == 0
    assert geography.features(spec, coordinates=False).shape == (5, 8, 1)
    assert geography.features(grid(6), coordinates=False).shape == (6, 0)


# -------------------------------------------------------------------------------------- precision


@BACKBONES
@pytest.mark.parametrize("noise", ["both", "none"])
def test_half_precision_is_near_single_precision(backbone: Small, noise: Any) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, noise=noise)
    x, z = inputs(spec), draws(made)
    exact = made(x, z)
    with torch.autocast("cpu", torch.bfloat16):
        rough = made(x, z)
    assert rough.dtype == torch.float32  # not rounded: small differences of members are the point
    # bfloat16 rounds by 2^-9; a dozen layers add up to a few per cent.
    error = (rough - exact).detach().square().mean().sqrt() / exact.detach().square().mean().sqrt()
    assert 0 < float(error) < 0.05
    rough.square().mean().backward()
    gradients = [each.grad for each in made.parameters()]
    assert all(each is not None and bool(each.isfinite().all()) for each in gradients)


# Every backbone, and one of them with every choice.
@pytest.mark.parametrize(
    ("backbone", "choice"),
    [
        pytest.param(RESNET, {"noise": "both", "how": "gated"}, marks=pytest.mark.slow),
        pytest.param(UNET, {"noise": "both", "how": "gated"}, marks=pytest.mark.slow),
        pytest.param(VIT, {"noise": "both", "how": "gated"}, marks=pytest.mark.slow),
        pytest.param(RESNET, {"noise": "none", "how": "dropout"}, marks=pytest.mark.slow),
        (RESNET, {"how": "input"}),
    ],
    ids=["resnet-gated", "unet-gated", "vit-gated", "resnet-dropout", "resnet-input"],
)
def test_a_compiled_network_is_the_same(backbone: Small, choice: dict[str, Any]) -> None:
    spec = grid_of(backbone)
    made = network(spec, backbone, **choice)
    x, z = inputs(spec), draws(made)
    torch.compiler.reset()
    compiled = torch.compile(made, backend="aot_eager", fullgraph=True)
    weights = Noise.rows(0, "outputs", 3).normal(*spec.grid, 2)
    found = []
    for each in (made, compiled):
        made.zero_grad()
        out = each(x, z)
        (out * weights).sum().backward()
        found.append([out.detach(), *(p.grad for p in made.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1])
    for eager, other in zip(*found, strict=True):
        assert torch.allclose(eager, other, atol=1e-4, rtol=1e-3)


@BACKBONES
def test_the_same_inputs_give_the_same_bits_and_gradients(backbone: Small) -> None:
    spec = grid_of(backbone)
    found = []
    for _ in range(2):
        made = network(spec, backbone)
        made(inputs(spec), draws(made)).square().mean().backward()
        found.append([each.grad for each in made.parameters()])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


# ---------------------------------------------------------------------------------------- weights


@BACKBONES
def test_weights_follow_from_the_noise_and_the_global_generator_is_left_alone(
    backbone: Small,
) -> None:
    before = torch.get_rng_state()
    spec = grid_of(backbone)
    one, same = (network(spec, backbone, noise="both", encoder="mlp-norm") for _ in range(2))
    one(inputs(spec), draws(one))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    initialise(same, Noise.rows(1, "weights", 1))
    drawn = [(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True) if a.ndim > 1]
    assert drawn
    assert not any(torch.equal(a, b) for a, b in drawn)


def test_initial_weights_have_the_variance_they_state() -> None:
    # 40,000 numbers: 5 standard errors of the variance are 3.5 %; false alarm 6e-7.
    layer = Linear(200, 200)
    initialise(layer, Noise.rows(0, "weights", 1))
    assert float(layer.weight.detach().var()) == pytest.approx(1 / 200, rel=0.035)


@pytest.mark.parametrize(
    ("backbone", "sizes", "frames", "thousands"),
    [(ResNet(), (40,), 2, 150), (UNet(), (64, 64), 6, 355), (ViT(), (64, 64), 6, 1355)],
)
def test_default_networks_have_the_sizes_that_are_said(
    backbone: Small, sizes: tuple[int, ...], frames: int, thousands: int
) -> None:
    spec = grid(*sizes, walls=len(sizes) > 1)
    made = Conditioned(spec, backbone, Conditioning(), inputs=frames, outputs=frames // 2)
    count = sum(each.numel() for each in made.parameters())
    assert count == pytest.approx(1000 * thousands, rel=0.03)


# ----------------------------------------------------------------------------------------- errors


def test_the_grid_chooses_the_backbone() -> None:
    assert default_backbone(grid(12)) == ResNet()
    assert default_backbone(grid(8, 8)) == UNet()
    dims = tuple(Dimension(name=name, size=4) for name in "abc")
    solid = StateSpec(variables=(Variable(name="u"),), dims=dims)
    with pytest.raises(GeobenchError, match="one or two grid dims"):
        default_backbone(solid)


@pytest.mark.parametrize(
    ("backbone", "sizes", "told"),
    [
        (UNet(), (64, 30), r"3 levels halve .* 64 \(a\) x 30 \(b\) is not divisible by 4\. Use"),
        (ViT(patch=4), (64, 30), r"64 \(a\) x 30 \(b\) is not divisible by patch = 4\. Use"),
        (UNet(), (64,), r"unet: it is for 2 grid dims, and this grid has 64 \(a\)\. Use kind"),
        (ViT(), (64,), "vit: it is for 2 grid dims"),
        (ResNet(), (8, 8), "resnet: it is for 1 grid dim, and"),
    ],
)
def test_a_backbone_that_does_not_fit_the_grid_is_told(
    backbone: Small, sizes: tuple[int, ...], told: str
) -> None:
    with pytest.raises(GeobenchError, match=told):
        network(grid(*sizes), backbone)


def test_fields_that_cannot_be_are_told() -> None:
    with pytest.raises(ValueError, match="3 heads need a multiple of 3"):
        ViT(width=16, heads=3)
    with pytest.raises(ValueError, match="must be positive"):
        UNet(widths=(8, 0))
