"""Counter-based noise: a number depends on (seed, stream, init, member, lead) and nothing else.

`philox` makes the bits, and of these the normal numbers: the same on every device. The key is a
hash of seed and stream, the counter is (block, lead, member, init).
"""

import hashlib
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from geobench.contracts.philox import WORD, normal_from_word, philox

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Noise:
    """The random numbers of some rows; a row is one member of one init.

    The same key gives the same numbers, however often it is asked: two uses need two streams
    (`noise.use("latent")`, `noise.use("sampler")`), two times need two leads (`noise.at(3)`).
    """

    seed: int
    stream: str
    init: Tensor
    member: Tensor
    lead: int = 0

    @classmethod
    def rows(cls, seed: int, stream: str, count: int, *, lead: int = 0) -> Self:
        """Noise for `count` rows that are inits 0, 1, … with one member each."""
        init = torch.arange(count)
        return cls(seed, stream, init, torch.zeros_like(init), lead)

    def __len__(self) -> int:
        return len(self.init)

    def at(self, lead: int) -> Self:
        """Return the same rows at another lead (a whole number of output steps)."""
        return replace(self, lead=lead)

    def use(self, stream: str) -> Self:
        """Return an independent stream for the same rows."""
        return replace(self, stream=f"{self.stream}/{stream}")

    def to(self, device: torch.device | str) -> Self:
        """Return the same noise, made on another device; the bits are the same."""
        return replace(self, init=self.init.to(device), member=self.member.to(device))

    def members(self, count: int) -> Self:
        """Return `count` members of each row, as rows: all of row 0, then all of row 1, and so on.

        They are members 0..count-1 of the rows' inits, whatever member the rows were.
        """
        member = torch.arange(count, device=self.init.device).repeat(len(self))
        return replace(self, init=self.init.repeat_interleave(count), member=member)

    def select(self, rows: Tensor) -> Self:
        """Return some of the rows, by their places."""
        return replace(self, init=self.init[rows], member=self.member[rows])

    @property
    def key(self) -> tuple[int, int]:
        """The key of the generator: a hash of seed and stream, as two 32-bit words."""
        digest = hashlib.sha256(f"{self.seed}\0{self.stream}".encode()).digest()
        return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")

    def words32(self) -> "tuple[np.ndarray[tuple[int], np.dtype[np.uint32]] | np.uint32, ...]":
        """What compiled code needs: init and member `(row,)`, lead and the two words of the key.

        All uint32; these are the last five arguments of `normal_lanes`.
        """
        import numpy as np

        rows = (
            (numbers.cpu() & WORD).numpy().astype(np.uint32) for numbers in (self.init, self.member)
        )
        return (*rows, np.uint32(self.lead & WORD), *(np.uint32(word) for word in self.key))

    def words(self, *shape: int) -> Tensor:
        """Random 32-bit words `(row, *shape)`, int64."""
        if self.init.device.type == "cpu":
            words = torch.from_numpy(self._compiled_words(prod(shape)))
            return words.long().reshape(len(self), *shape)
        return self.words_by_torch(*shape)

    def words_by_torch(self, *shape: int) -> Tensor:
        """`words` on any device."""
        count = prod(shape)
        key = self.key
        block = torch.arange(-(-count // 4), device=self.init.device)
        lead = torch.full_like(block, self.lead & WORD)
        counter = (block, lead, self.member[:, None] & WORD, self.init[:, None] & WORD)
        words: Tensor = torch.stack(philox(counter, key), -1).flatten(1)
        return words[:, :count].reshape(len(self), *shape)

    def _compiled_words(self, count: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint32]]":
        import numpy as np

        from geobench.contracts.compiled_noise import fill_words

        words = np.empty((len(self), count), np.uint32)
        fill_words(words, *self.words32())
        return words

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Independent standard normal numbers `(row, *shape)`."""
        if self.init.device.type == "cpu" and dtype in (torch.float32, torch.float64):
            from geobench.contracts.compiled_noise import fill_normal

            drawn = torch.empty(len(self), prod(shape), dtype=dtype)
            fill_normal(drawn.numpy(), *self.words32())
            return drawn.view(len(self), *shape)
        return normal_from_word(self.words(*shape)).to(dtype)

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Independent numbers, uniform in the open interval (0, 1), `(row, *shape)`."""
        # 23 bits survive the rounding to float32 without ever reaching 0 or 1.
        bits, shift = (23, 9) if dtype == torch.float32 else (32, 0)
        places: Tensor = (self.words(*shape) >> shift).double() + 0.5
        return (places / float(1 << bits)).to(dtype)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Independent whole numbers in 0..high-1 `(row, *shape)`, `high` at most 2^31.

        The chance of a number is off by at most 2^-32.
        """
        products: Tensor = self.words(*shape) * high
        return products >> 32
