"""The order in which pictures with captions come, as a function of the seed and the place in the training alone."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor


def generator(seed: int, *about: str | int) -> torch.Generator:
    """A CPU generator for one purpose: other words or numbers, other and unrelated draws."""
    digest = hashlib.sha256(" ".join(map(str, (seed, *about))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@dataclass(frozen=True)
class Example:
    """What an example shows.

    Args:
        index: the number of the picture.
        turned: whether it is mirrored.
        caption: what is said of it.
    """

    index: int
    turned: bool
    caption: str

    @property
    def key(self) -> tuple[int, bool]:
        """What decides the picture."""
        return self.index, self.turned


@dataclass(frozen=True)
class Deck:
    """In which order pictures with captions come, which are mirrored, and which captions are left out.

    Args:
        captions: one for each picture.
        seed: of all that.
        flip: mirror every second picture at random.
        empty: share of captions that are left out.
    """

    captions: tuple[str, ...]
    seed: int
    flip: bool = False
    empty: float = 0.1

    def batch(
        self, step: int, total: int, places: Sequence[int], read: Callable[[int], Tensor]
    ) -> tuple[Tensor, list[str]]:
        """Examples of a step, see `Data`; ``read`` gives a picture (3, h, w) by its number, in threads."""
        drawn = self.drawn(step, total, places)
        return torch.stack(self.pictures(drawn, read)), [one.caption for one in drawn]

    def drawn(self, step: int, total: int, places: Sequence[int]) -> list[Example]:
        """Which pictures the examples of a step are, and what they are called."""
        chance = torch.rand(total, 2, generator=generator(self.seed, "folder", step), dtype=torch.float64).tolist()
        found = []
        for k in places:
            index, (turn, said) = self._index(step * total + k), chance[k]
            found.append(Example(index, self.flip and turn < 0.5, self.captions[index] if said >= self.empty else ""))
        return found

    def pictures(self, drawn: Sequence[Example], read: Callable[[int], Tensor]) -> list[Tensor]:
        """The pictures (3, h, w) of examples, read in threads."""
        if not drawn:
            return []
        with ThreadPoolExecutor(min(8, len(drawn))) as pool:
            images = list(pool.map(read, [one.index for one in drawn]))
        return [image.flip(-1) if one.turned else image for one, image in zip(drawn, images, strict=True)]

    def prompts(self, count: int) -> list[str]:
        """Captions for previews, see `Data`."""
        order = _order(self.seed, 0, len(self.captions))
        return [self.captions[order[k % len(order)]] for k in range(count)]

    def some(self, count: int) -> list[int]:
        """The numbers of so many pictures, drawn with the seed, in their order."""
        drawn = torch.randperm(len(self.captions), generator=generator(self.seed, "some"))[:count]
        return sorted(drawn.tolist())

    def only(self, which: Sequence[int]) -> "Deck":
        """Some of the pictures, by their numbers."""
        return replace(self, captions=tuple(self.captions[k] for k in which))

    def _index(self, place: int) -> int:
        epoch, within = divmod(place, len(self.captions))
        return _order(self.seed, epoch, len(self.captions))[within]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=generator(seed, "epoch", epoch)).tolist()
    return order
