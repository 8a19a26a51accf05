"""Counter-based noise: published vectors, exactness, independence, and what it must not depend on.

The statistical tests use fixed seeds, so they cannot flake; the stated false-alarm rate is the
chance that a right generator would have failed with a seed chosen at random.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from geobench import LANES, Noise, normal_lanes
from geobench.contracts.compiled_noise import normal_from_words
from geobench.contracts.philox import normal_from_word, philox


# Salmon et al. (2011), Random123 distribution, kat_vectors: philox4x32, 10 rounds.
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF, 0xFFFFFFFF),
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_vectors(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    words = philox([torch.tensor([each]) for each in counter], key)
    assert tuple(int(word) for word in words) == expected


def test_the_compiled_form_has_the_same_bits() -> None:
    init, member = torch.arange(2 * LANES) * 7 - 3, torch.arange(2 * LANES) % 5
    noise = Noise(3, "stream", init, member, lead=9)
    words = noise.words_by_torch(3, 47)
    assert torch.equal(noise.words(3, 47), words)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(noise.normal(3, 47, dtype=dtype), normal_from_word(words).to(dtype))


def test_lanes_are_rows_side_by_side() -> None:
    noise = Noise.rows(3, "stream", LANES, lead=2)
    whole = noise.normal(40)
    for first, count in itertools.product(range(9), (1, 2, 5, 21)):
        out = np.empty(count * LANES, np.float32)
        normal_lanes(out, first, *noise.words32())
        expected = whole[:, first : first + count].T.flatten()
        assert torch.equal(torch.from_numpy(out), expected), (first, count)


def test_the_compiled_form_is_right_on_every_word_that_is_rare() -> None:
    # Ends of octaves and of pieces, where the exponent or the piece changes.
    edges = torch.tensor([2**e + d for e in range(31) for d in (-2, -1, 0, 1)])
    pieces = torch.tensor([2**30 + p * 2**24 + d for p in range(64) for d in (-1, 0, 1)])
    word = torch.cat([edges, pieces]).clamp(min=0)
    word = torch.cat([word, word + 2**31])
    out = np.empty(len(word), np.float64)
    normal_from_words(word.numpy().astype(np.uint32), out)
    assert torch.equal(torch.from_numpy(out), normal_from_word(word))


def test_normal_is_the_inverse_of_the_normal_distribution() -> None:
    ends = torch.tensor([0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 1])
    word = torch.cat([ends, Noise.rows(0, "words", 1).words(200_000)[0]])
    exact = torch.special.ndtri(((word & 0x7FFFFFFF).double() + 0.5) / 2**32)
    assert torch.allclose(normal_from_word(word).abs(), exact.abs(), atol=1e-9, rtol=0)
    assert torch.equal(normal_from_word(word) > 0, word >= 2**31)


def test_numbers_depend_on_nothing_but_their_key() -> None:
    init, member = torch.tensor([5, 2, 9, 2]), torch.tensor([0, 7, 3, 8])
    noise = Noise(1, "stream", init, member, lead=4)
    whole = noise.normal(3, 7)
    for row in range(4):
        alone = Noise(1, "stream", init[row : row + 1], member[row : row + 1], lead=4)
        assert torch.equal(alone.normal(3, 7)[0], whole[row])
    backwards = Noise(1, "stream", init.flip(0), member.flip(0), lead=4)
    assert torch.equal(backwards.normal(3, 7), whole.flip(0))
    assert torch.equal(noise.normal(40)[:, :21], whole.flatten(1)), "a longer draw begins the same"


def test_every_part_of_the_key_matters() -> None:
    noise = Noise.rows(1, "stream", 3)
    others = [
        Noise.rows(2, "stream", 3),
        Noise.rows(1, "other", 3),
        noise.at(1),
        noise.use("sub"),
        Noise(1, "stream", noise.init, noise.member + 1),
        Noise(1, "stream", noise.init + 3, noise.member),
    ]
    draws = [each.words(50) for each in (noise, *others)]
    pooled = torch.cat(draws).flatten()
    # 1,050 words of 32 bits: two agree by chance in one seed of 8,000.
    assert len(pooled.unique()) == len(pooled)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    Noise.rows(0, "stream", 10).normal(10)
    assert torch.equal(torch.get_rng_state(), before)


def _chi_square(counts: Tensor) -> float:
    """Standardised chi-square of equal expected counts: about N(0, 1)."""
    expected = counts.sum() / counts.numel()
    free = counts.numel() - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return (statistic - free) / math.sqrt(2 * free)


def test_words_are_uniform_in_every_byte() -> None:
    words = Noise.rows(3, "uniform", 1000).words(500).flatten()
    for byte in range(4):
        counts = torch.bincount(words >> (8 * byte) & 255, minlength=256).double()
        assert abs(_chi_square(counts)) < 5  # false alarm: 2e-6 (4 bytes, two-sided)


def test_normal_numbers_have_the_right_law() -> None:
    draws = Noise.rows(4, "law", 1000).normal(1000, dtype=torch.float64).flatten()
    count = len(draws)
    ordered = torch.special.ndtr(draws.sort().values)
    distance = (ordered - (torch.arange(count) + 0.5) / count).abs().max()
    assert float(distance) * math.sqrt(count) < 2.5  # Kolmogorov-Smirnov, false alarm 8e-6
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = float((draws**power).mean()) - mean
        assert abs(error) < 5 * math.sqrt(variance / count)  # false alarm 6e-7 each
    beyond = int((draws > 4).sum())
    expected = count * 0.5 * math.erfc(4 / math.sqrt(2))
    assert abs(beyond - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("other", ["member", "init", "lead", "stream", "place"])
def test_neighbouring_keys_are_independent(other: str) -> None:
    noise = Noise.rows(5, "independence", 500)
    first = noise.normal(400)
    second = {
        "member": Noise(5, "independence", noise.init, noise.member + 1).normal(400),
        "init": Noise(5, "independence", noise.init + 1, noise.member).normal(400),
        "lead": noise.at(1).normal(400),
        "stream": noise.use("x").normal(400),
        "place": first.roll(1, 1),
    }[other]
    count = first.numel()
    for power in (1, 2):
        mean, variance = (0, 1) if power == 1 else (1, 2)
        a, b = first**power - mean, second**power - mean
        correlation = float((a * b).mean()) / variance
        assert abs(correlation) * math.sqrt(count) < 5  # false alarm 6e-7 each


def test_integers_cover_their_range_evenly() -> None:
    draws = Noise.rows(6, "integers", 1000).integers(7, 300)
    counts = torch.bincount(draws.flatten(), minlength=7).double()
    assert counts.shape == (7,)
    assert abs(_chi_square(counts)) < 6


def test_uniform_never_reaches_its_ends() -> None:
    draws = Noise.rows(7, "uniform", 2000).uniform(2000)
    assert float(draws.min()) > 0
    assert float(draws.max()) < 1
