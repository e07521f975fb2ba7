"""What a network is told beside a noisy latent and its time, and how that goes along a path: c(u).

Every network reads token embeddings; SDXL, SD3 and Flux read a pooled embedding of the whole prompt as well. Size
conditioning (SDXL, Podell et al., 2023, section 2.2) is no part of this: it follows from the latent's own size.

A long prompt has more tokens than a short one. Where both go together the short one is said again until they are of one
length: attention over tokens that stand there twice is attention over them once, so that no answer changes. What is
said again may also be no prompt at all.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Embedding:
    """The embeddings of n prompts, one a row; a value with the operations that a batch needs.

    Args:
        tokens: (n, tokens, width), what cross-attention reads.
        pooled: (n, width), one vector for each whole prompt; None for networks that read none.
    """

    tokens: Tensor
    pooled: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: int | slice | Tensor) -> "Embedding":
        """Some of the rows, always with a row axis: an integer gives an embedding of one row."""
        if isinstance(rows, int):
            rows = slice(rows, rows + 1 or None)
        return Embedding(self.tokens[rows], None if self.pooled is None else self.pooled[rows])

    def expand(self, n: int) -> "Embedding":
        """The one row, n times, without a copy; n rows stay as they are.

        Raises:
            RuntimeError: neither one row nor n.
        """
        pooled = None if self.pooled is None else self.pooled.expand(n, -1)
        return Embedding(self.tokens.expand(n, -1, -1), pooled)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Embedding":
        """On another device, and in another dtype where one is given."""
        pooled = None if self.pooled is None else self.pooled.to(device, dtype or self.pooled.dtype)
        return Embedding(self.tokens.to(device, dtype or self.tokens.dtype), pooled)

    def split(self, rows: int) -> list["Embedding"]:
        """Parts of at most so many rows, in order."""
        return [self[first : first + rows] for first in range(0, len(self), rows)]

    def lerp(self, other: "Embedding", weight: Tensor) -> "Embedding":
        """(1 - w) self + w other for weights w (n,); each side has one row or n."""
        n = len(weight)
        w = weight.to(self.tokens.device, self.tokens.dtype)
        a, b = (one.expand(n) for one in _of_one_length([self, other]))
        pooled = None
        if a.pooled is not None and b.pooled is not None:
            pooled = torch.lerp(a.pooled, b.pooled, w.to(a.pooled.dtype)[:, None])
        return Embedding(torch.lerp(a.tokens, b.tokens, w[:, None, None]), pooled)

    def equal(self, other: "Embedding") -> bool:
        """Whether every number is the same."""
        same = torch.equal(self.tokens, other.tokens)
        if self.pooled is None or other.pooled is None:
            return same and self.pooled is other.pooled
        return same and torch.equal(self.pooled, other.pooled)

    @property
    def content(self) -> bytes:
        """All numbers as bytes, the same on every device: for the keys of caches."""
        parts = [self.tokens, *([] if self.pooled is None else [self.pooled])]
        return b"".join(part.detach().double().cpu().contiguous().numpy().tobytes() for part in parts)

    @staticmethod
    def cat(parts: Iterable["Embedding"]) -> "Embedding":
        """The rows of several embeddings, one after the other."""
        several = _of_one_length(list(parts))
        pooled = [part.pooled for part in several if part.pooled is not None]
        return Embedding(torch.cat([part.tokens for part in several]), torch.cat(pooled) if pooled else None)


def _of_one_length(parts: list[Embedding]) -> list[Embedding]:
    """The same, those with fewer tokens said again."""
    length = math.lcm(*(part.tokens.shape[1] for part in parts))
    again = [length // part.tokens.shape[1] for part in parts]
    return [
        part if times == 1 else replace(part, tokens=part.tokens.repeat(1, times, 1))
        for part, times in zip(parts, again, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Conditioning:
    """c(u) = (1 - u) start + u end, the published choice (Yu et al., CVPR 2025): linear in the text embedding.

    Args:
        start: one row, the embedding at u = 0.
        end: one row, the embedding at u = 1; the same where one prompt serves the whole path.
    """

    start: Embedding
    end: Embedding

    def __call__(self, u: Tensor) -> Embedding:
        """The conditioning at positions u (n,), n rows."""
        return self.start.lerp(self.end, u)
