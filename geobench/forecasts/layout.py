"""Shapes of chunks: trajectories in blocks, every init of one lead for scores, room for growth.

A chunk is read and decoded whole, so it holds what is used together, in some 2 MB: less costs time
per chunk, more is read in vain. Members are never apart, as every score needs them all, except
where those of one field alone are many chunks.
"""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import xarray as xr

CHUNK = 2**21  # bytes
_SMALL = 2**18  # bytes of a chunk inside a shard
_SHARD = 2**26  # bytes of a file, which is put together in memory
_WINDOW = 64  # steps that a chunk of a long trajectory holds at least


class Layout(NamedTuple):
    """Lengths of chunks along each dim, and of the files (shards) that hold many of them."""

    chunks: dict[str, int]
    shards: dict[str, int] | None = None


def of_trajectories(dataset: "xr.Dataset", along: str) -> Layout:
    """Of `(along, time, …)`: whole trajectories, or spans of a long one, for random windows."""
    sizes = {str(dim): size for dim, size in dataset.sizes.items()}
    one = max(variable.nbytes // max(1, sizes[along]) for variable in dataset.data_vars.values())
    if one <= CHUNK or "time" not in sizes:
        return Layout({along: max(1, min(sizes[along], CHUNK // max(1, one)))})
    step = one // sizes["time"]
    return Layout({along: 1, "time": min(sizes["time"], max(_WINDOW, CHUNK // step))})


def of_forecast(sizes: Mapping[str, int], item: int, most: int | None = None) -> Layout:
    """Of `(init_time, lead_time, member, *grid)`, `item` bytes a number.

    Small fields: several inits with all leads in a chunk. Large ones: a chunk for each init and
    lead, all leads of an init in one file, so that one lead of all inits is read without the
    others, and further inits are further files. `most`: members that can be written at once.
    """
    leads, members = sizes["lead_time"], sizes["member"]
    cell = item * prod(size for dim, size in sizes.items() if dim not in _CASES)
    together = min(members, most or members, max(1, 4 * CHUNK // cell))
    together = members if together == members else power(together)
    if leads * together * cell <= CHUNK:
        inits = min(sizes["init_time"], power(CHUNK // (leads * together * cell)))
        return Layout({"init_time": inits, "lead_time": leads, "member": together})
    lead = max(1, min(leads, _SMALL // (together * cell)))
    chunks = {"init_time": 1, "lead_time": lead, "member": together}
    whole = -(-leads // lead) * lead  # a file holds whole chunks
    held = min(whole, max(lead, _SHARD // (together * cell) // lead * lead))
    return Layout(chunks, chunks | {"lead_time": held})


_CASES = ("init_time", "lead_time", "member")


def power(most: int) -> int:
    """Largest power of two up to `most`."""
    return 1 << max(0, most.bit_length() - 1)
