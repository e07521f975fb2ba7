"""The examples of a training as clean latents, read beside it by a thread, and encoded once for each picture.

    pictures of step s + 1 --thread--> read          step s: --this thread--> encoded, remembered --> z

Pictures of a folder or a table are encoded one by one, whether or not their latents are kept, because the last digit of
a convolution may depend on how many go through it together. So a training makes the same bytes with and without this.

Latents are kept in memory, up to a quarter of what is free, or on disk, in the cache below the user's home, under a
digest of the picture as it was read and of the autoencoder: what has changed since is encoded anew. Scenes are drawn
afresh for every step, so there is nothing to keep.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion.batching import free_memory
from geodesic_cli.diffusion.tuning.trainee import Trainee
from geodesic_cli.runs.cache import kept, remembered_tensors
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.settings.finetune import DISK, MEMORY
from geodesic_cli.verbs.finetune.data import Data, ImageFolder
from geodesic_cli.verbs.finetune.deck import Example
from geodesic_cli.verbs.finetune.tables import ImageTable

KIND = "latents"
"""The folder of the cache."""
SHARE_OF_MEMORY = 4
"""One part in so many of the free memory may be filled with latents."""

Wanted = tuple[int, int, tuple[int, ...]]
"""A batch: the step, how many examples that has in all, and the places of the batch among them."""


@dataclass(frozen=True, eq=False)
class Readings:
    """A batch as the thread has read it.

    Args:
        captions: of its rows.
        pictures: (n, 3, h, w); None where there are rows that know their latents.
        rows: for pictures of a deck, what each row shows, and what is known of it: a picture, or its latent.
    """

    captions: list[str]
    pictures: Tensor | None
    rows: tuple[tuple[Example, Tensor | None, Tensor | None], ...] = ()


class Reader:
    """Gives the batches of a training, in whatever order they are asked for.

    Args:
        trainee: has the autoencoder.
        data: what is trained on.
        keep: `memory`, `disk` or `no`: where latents are kept.
    """

    def __init__(self, trainee: Trainee, data: Data, keep: str) -> None:
        self._trainee, self._data, self._keep = trainee, data, keep
        self._ahead: dict[Wanted, Future[Readings]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._known: dict[tuple[int, bool], Tensor] = {}
        self._names: dict[tuple[int, bool], str] = {}
        self._left = free_memory(torch.device("cpu")) // SHARE_OF_MEMORY if keep == MEMORY else 0
        self._folder = _folder(trainee) if keep == DISK else None
        self.encoded = 0
        """How many pictures of a deck went through the autoencoder."""

    def batch(self, step: int, total: int, places: Sequence[int], then: Wanted | None) -> tuple[Tensor, list[str]]:
        """Clean latents (n, C, H, W) and captions of a batch; the one that comes next is read meanwhile.

        Raises:
            GeodesicError: a picture cannot be read.
        """
        wanted = (step, total, tuple(places))
        begun = self._ahead.pop(wanted, None)
        read = self._read(wanted) if begun is None else begun.result()
        self._ahead.clear()
        if then is not None:
            self._thread = self._thread or ThreadPoolExecutor(1, "reading")
            self._ahead[then] = self._thread.submit(self._read, then)
        if read.pictures is not None:
            return self._trainee.latents(read.pictures), read.captions
        latents = [self._latent(*row) for row in read.rows]
        return torch.cat([z.to(self._trainee.model.device) for z in latents]), read.captions

    def close(self) -> None:
        """End the thread; what it reads is not waited for."""
        self._ahead.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    def _read(self, wanted: Wanted) -> Readings:
        step, total, places = wanted
        data = self._data
        if not isinstance(data, ImageFolder | ImageTable):
            pictures, captions = data.batch(step, total, places)
            return Readings(captions, pictures)
        drawn = data.deck.drawn(step, total, places)
        known = [self._remembered(one) for one in drawn]
        missing = [one for one, z in zip(drawn, known, strict=True) if z is None]
        read = iter(data.deck.pictures(missing, data.read))
        rows = tuple((one, None if z is not None else next(read), z) for one, z in zip(drawn, known, strict=True))
        return Readings([one.caption for one in drawn], None, rows)

    def _remembered(self, one: Example) -> Tensor | None:
        """The latent (1, C, H, W) of a picture; None where it is not kept."""
        found = self._known.get(one.key)
        if found is None and self._folder is not None and one.key in self._names:
            found = (remembered_tensors(self._folder / f"{self._names[one.key]}.safetensors") or {}).get("it")
        return found

    def _latent(self, one: Example, picture: Tensor | None, known: Tensor | None) -> Tensor:
        known = self._remembered(one) if known is None else known  # another row may have shown it since it was read
        if known is not None:
            return known
        assert picture is not None  # what is not known has been read

        def encoded() -> Tensor:
            self.encoded += 1
            return self._trainee.latents(picture[None]).cpu()

        if self._folder is None:
            z = encoded()
        else:
            self._names[one.key] = hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()
            z = kept(self._folder, self._names[one.key], encoded)
        size = z.numel() * z.element_size()
        if self._keep == MEMORY and size <= self._left and one.key not in self._known:
            self._known[one.key] = z
            self._left -= size
        return z


def _folder(trainee: Trainee) -> Path | None:
    """Where the latents of an autoencoder are: under a digest of its weights, its statistics and where it computes."""
    codec = trainee.model.codec
    digest = hashlib.sha256(f"{trainee.model.device.type} {codec.statistics!r}".encode())
    config = getattr(codec.vae, "config", {})
    digest.update(repr(sorted((key, str(value)) for key, value in dict(config).items())).encode())
    for name, tensor in codec.vae.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    place = cache_folder(KIND)
    return None if place is None else place / digest.hexdigest()[:32]
