"""Where large arrays are kept: in memory, or in files that the system reads when they are used."""

import math
import mmap
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_CLUSTER = 2**19  # bytes that the system may read in beside those that are used
_KEPT = 2**25  # bytes read into memory before `forget` is called


class Room:
    """Makes tensors; those of more than `most` bytes lie in a file without a name in `folder`.

    Such a tensor is used as any other; what has been read stays in memory until `forget`. A process
    that is killed leaves nothing behind.
    """

    def __init__(self, most: float = math.inf, folder: Path | None = None) -> None:
        self._most, self._folder = most, folder
        self._files: list[mmap.mmap] = []
        self._brought = 0

    def empty(self, *shape: int) -> "Tensor":
        """Return a new tensor, float32, to be filled."""
        import torch

        size = 4 * math.prod(shape)
        if size <= self._most:
            return torch.empty(shape)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.truncate(size)
            mapped = mmap.mmap(file.fileno(), size)
        self._files.append(mapped)
        return torch.frombuffer(mapped, dtype=torch.float32).view(shape)

    def used(self, times: int, size: int) -> None:
        """Count that `size` bytes in a row were read or written, so many times."""
        if self._files:
            self._brought += times * (size + _CLUSTER)
            if self._brought > _KEPT:
                self.forget()

    def forget(self) -> None:
        """Let what was read from files go; it is read again when it is used."""
        self._brought = 0
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._files:
                mapped.madvise(mmap.MADV_DONTNEED)
