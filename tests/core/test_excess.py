"""The excess of a score over the law's, by which scores are better."""

import numpy as np
import pytest

from geobench.contracts.scorer import Orientation, excess


@pytest.mark.parametrize(
    ("better", "value", "law", "expected"),
    [
        ("lower", 3.0, 2.0, 1.0),
        ("lower", 1.5, 2.0, -0.5),
        ("higher", 3.0, 2.0, -1.0),
        ("higher", 0.5, 2.0, 1.5),
        ("one", 0.5, 1.0, 0.5),  # too small is as far off as too large
        ("one", 1.5, 1.0, 0.5),
        ("one", 1.25, 0.5, -0.25),  # nearer to the ideal than the law's own score
        ("zero", -0.25, 0.125, 0.125),
        ("zero", 0.25, -0.125, 0.125),
    ],
)
def test_the_excess_grows_as_a_score_gets_worse(
    better: Orientation, value: float, law: float, expected: float
) -> None:
    assert excess(better, value, law) == expected
    arrays = excess(better, np.full((2, 3), value), np.full(3, law))
    np.testing.assert_array_equal(arrays, np.full((2, 3), expected))
