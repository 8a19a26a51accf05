"""Distances of all pairs of two sets of fields, and means over pairs within a set."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


_CASES = 16  # at once: all pairs of them stay in the cache


def of_cases(of: "Callable[..., Array]", *fields: "Array") -> "Array":
    """Apply a function of fields `(case, member, point)` to a few cases at a time: `(case,)`."""
    import numpy as np

    count = len(fields[0])
    parts = [
        of(*(each[first : first + _CASES] for each in fields)) for first in range(0, count, _CASES)
    ]
    return np.concatenate(parts)


def squared_distances(one: "Array", other: "Array") -> "Array":
    """|x - y|² of fields `(case, m, point)` and `(case, k, point)`: `(case, m, k)`.

    By products of differences from the mean field of the case, so that an offset costs nothing.
    """
    import numpy as np

    middle = other.mean(1, keepdims=True)
    x, y = one - middle, other - middle
    sizes = [(each**2).sum(-1) for each in (x, y)]
    found = sizes[0][..., None] + sizes[1][:, None] - 2 * x @ y.swapaxes(1, 2)
    squared: Array = np.maximum(found, 0.0)
    return squared


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
    """E|x - y| - E|x - x'| / 2 - E|y - y'| / 2 of each case, by all pairs: unbiased."""
    return of_cases(_excess_energy, one, other)


def _excess_energy(one: "Array", other: "Array") -> "Array":
    import numpy as np

    apart = [np.sqrt(squared_distances(*each)) for each in ((one, other), (one, one), (other,) * 2)]
    excess: Array = apart[0].mean((1, 2)) - among(apart[1]) / 2 - among(apart[2]) / 2
    return excess
