"""Scales of charts: round numbers at their places."""

import pytest

from geobench.plots.scales import Scale, labels, limits, ticks


def test_numbers_are_at_their_places() -> None:
    assert Scale(2, 4, 100, 0).at(2.5) == pytest.approx(75)
    assert Scale(0.01, 100, 0, 8, log=True).at(10) == pytest.approx(6)
    assert Scale(0.01, 100, 0, 8, log=True).at(-1) == 0


def test_an_axis_holds_all_numbers_that_it_can() -> None:
    assert limits([1, 3], log=False, margin=0.5) == pytest.approx((0, 4))
    assert limits([-1, 0.1, 10], log=True, margin=0.5) == pytest.approx((0.01, 100))
    low, high = limits([5, 5], log=False, margin=0)
    assert low < 5 < high
    assert limits([], log=True, margin=0) == pytest.approx((1, 10))


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (-0.03, 1.04, False, "0 0.2 0.4 0.6 0.8 1"),
        (-2.2, 9, False, "−2 0 2 4 6 8"),
        (0.0009, 20, True, "0.001 0.01 0.1 1 10"),
        (1e-9, 1.5, True, "10⁻⁹ 10⁻⁷ 10⁻⁵ 0.001 0.1"),
        (0.15, 0.7, True, "0.2 0.5"),
        (0.31, 0.39, True, "0.32 0.34 0.36 0.38"),
        (0, 3e7, False, "0 5·10⁶ 10⁷ 1.5·10⁷ 2·10⁷ 2.5·10⁷ 3·10⁷"),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, expected: str) -> None:
    assert " ".join(labels(ticks(low, high, log=log))) == expected
