"""Distances of all pairs of two sets of fields, and means over pairs within a set."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


_CASES = 16  # at once: all pairs of them stay in the cache
_NEAR = 1e-6  # times the squares from the middle: nearer fields are subtracted themselves
_PART = 2**20  # numbers of differences at once


def of_cases(of: "Callable[..., Array]", *fields: "Array") -> "Array":
    """Apply a function of fields `(case, member, point)` to a few cases at a time: `(case,)`."""
    import numpy as np

    count = len(fields[0])
    parts = [
        of(*(field[first : first + _CASES] for field in fields))
        for first in range(0, count, _CASES)
    ]
    return np.concatenate(parts)


def squared_distances(one: "Array", other: "Array") -> "Array":
    """|x - y|² of fields `(case, m, point)` and `(case, k, point)`: `(case, m, k)`.

    By products of differences from one of the fields, so that an offset costs nothing; those of
    fields that are much nearer to one another than to it are taken again, by differences.
    """
    import numpy as np

    middle = np.take_along_axis(other, middle_of(other)[:, None, None], 1)
    x, y = one - middle, other - middle
    sizes = [(field**2).sum(-1) for field in (x, y)]
    total = sizes[0][..., None] + sizes[1][:, None]
    with np.errstate(invalid="ignore"):  # a failed member
        squares: Array = np.maximum(total - 2 * x @ y.swapaxes(1, 2), 0.0)
        case, first, second = np.nonzero(squares < _NEAR * total)
    step = max(1, _PART // one.shape[-1])
    for at in range(0, len(case), step):
        part = slice(at, at + step)
        apart = one[case[part], first[part]] - other[case[part], second[part]]
        squares[case[part], first[part], second[part]] = (apart**2).sum(-1)
    return squares


def middle_of(fields: "Array") -> "np.ndarray[tuple[int, ...], np.dtype[np.intp]]":
    """Which field of a case is of median size `(case,)`: few fields far away do not move it."""
    import numpy as np

    sizes = (fields**2).sum(-1)
    return np.asarray(sizes.argsort(1)[:, (sizes.shape[1] - 1) // 2])


def among(pairs: "Array") -> "Array":
    """Mean over pairs of two different members `(case, m, m)`: `(case,)`; NaN for a single one."""
    import numpy as np

    count = pairs.shape[-1]
    diagonal = np.einsum("cmm->c", pairs)
    between = count * (count - 1)
    total: Array = pairs.sum((1, 2)) - diagonal
    return total / between if between else total * np.nan


def half_apart(fields: "Array") -> "Array":
    """Half the mean |x - x'| of each case: what the energy score of their law is."""
    import numpy as np

    return among(np.sqrt(squared_distances(fields, fields))) / 2


def excess_energy(one: "Array", other: "Array") -> "Array":
    """E|x - y| - E|x - x'| / 2 - E|y - y'| / 2 of each case, by all pairs: unbiased.

    Fields are less the outcome, or another field that is not far from most of them.
    """
    return of_cases(_excess_energy, one, other)


def _excess_energy(one: "Array", other: "Array") -> "Array":
    """By means of |u| + |v| - |u - v|, which fields far away do not make large."""
    apart = [_saved(*pair) for pair in ((one, other), (one, one), (other,) * 2)]
    excess: Array = among(apart[1]) / 2 + among(apart[2]) / 2 - apart[0].mean((1, 2))
    return excess


def _saved(one: "Array", other: "Array") -> "Array":
    """|x| + |y| - |x - y|: with |x| the larger, |y| + y · (2 x - y) / (|x| + |x - y|)."""
    import numpy as np

    x, y = (np.sqrt((field**2).sum(-1)) for field in (one, other))
    large, small = np.maximum(x[..., None], y[:, None]), np.minimum(x[..., None], y[:, None])
    products = 2 * one @ other.swapaxes(1, 2) - small**2
    sides = large + np.sqrt(squared_distances(one, other))
    saved: Array = small + products / np.where(sides > 0, sides, 1.0)
    return saved
