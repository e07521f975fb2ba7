"""Pictures as text within a page: all frames of a film alike, and small enough for a page that can be sent.

Frames that are small together stay as they are, in PNG. Others become JPEG: the first rung of a ladder, from fine and
large to coarse and small, on which they keep to the bytes that they may take.
"""

import base64
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

UNREADABLE = (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning, SyntaxError, ValueError)
"""What reading raises for a file that is missing, cut short, no picture, or too large for a page."""
LOSSLESS = 3_000_000
"""Bytes of PNG that frames may take together; above, they become JPEG."""
LADDER = (
    (1536, 90), (1024, 88), (768, 88), (640, 85), (512, 85), (512, 75), (448, 72), (384, 70), (320, 70), (256, 65),
    (192, 60), (128, 55), (96, 45), (64, 40), (48, 40), (32, 40),
)  # fmt: skip
"""Longest side in pixels and quality of JPEG."""
SAMPLED = 9
"""Frames that are tried on a rung before all are."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SEEN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The parts of a PNG that are the picture; the others may tell of places on the machine that made it."""


@dataclass(frozen=True)
class Shot:
    """A picture, which is opened when it is needed, so that a long film is not held in memory.

    Args:
        path: where it lies.
        image: the picture itself, where it lies nowhere.
    """

    path: Path | None = None
    image: Image.Image | None = None

    def open(self) -> Image.Image:
        """The picture; one of `UNREADABLE` where it cannot be read."""
        if self.image is not None or self.path is None:
            return self.image or Image.new("RGB", (1, 1))
        with self._opened(self.path) as image:
            most = (LADDER[0][0],) * 2
            image.draft("RGB", most)  # a photograph is read no larger than need be
            if image.format != "PNG":
                image.thumbnail(most, Image.Resampling.LANCZOS)
            return ImageOps.exif_transpose(image).convert("RGB")

    def check(self) -> None:
        """Raise one of `UNREADABLE` where the picture cannot be read."""
        if self.path is not None and self.path.suffix == ".png":
            with self._opened(self.path) as image:
                image.verify()  # without unpacking it
        else:
            self.open()

    @staticmethod
    @contextmanager
    def _opened(path: Path) -> Iterator[Image.Image]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image

    def png(self) -> bytes:
        """The picture without loss and without what else a file may tell."""
        data = self.path.read_bytes() if self.path is not None else b""
        if data.startswith(SIGNATURE):
            return _bare(data)
        file = BytesIO()
        self.open().save(file, "PNG")
        return file.getvalue()

    def jpeg(self, side: int, quality: int) -> bytes:
        """The picture at no more than so many pixels on its longer side."""
        file, small = BytesIO(), self.open().copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.save(file, "JPEG", quality=quality, subsampling=0 if quality > 80 else 2)
        return file.getvalue()


def as_uris(shots: Sequence[Shot], budget: int) -> tuple[str, ...]:
    """Pictures as data URIs, all in one format and at most of one size, of no more bytes than the budget in all.

    Args:
        shots: the pictures, which can be read.
        budget: bytes before base64, which adds a third.
    """
    count = len(shots)
    chosen = [shots[k] for k in sorted({j * (count - 1) // (SAMPLED - 1) for j in range(SAMPLED)})] if shots else []
    lossless = min(budget, LOSSLESS)
    if sum(len(shot.png()) for shot in chosen) * count <= lossless * len(chosen):
        made = [shot.png() for shot in shots]
        if sum(map(len, made)) <= lossless:
            return tuple(_uri("png", data) for data in made)
    for rung in LADDER:
        last = rung == LADDER[-1]
        if not last and sum(len(shot.jpeg(*rung)) for shot in chosen) * count > budget * len(chosen):
            continue
        made = [shot.jpeg(*rung) for shot in shots]
        if last or sum(map(len, made)) <= budget:
            break
    return tuple(_uri("jpeg", data) for data in made)


def as_it_is(data: bytes, kind: str) -> str:
    """A file that browsers show, as a data URI."""
    return _uri(kind, data)


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _bare(data: bytes) -> bytes:
    """A PNG with the parts that are the picture alone."""
    at, parts = len(SIGNATURE), [SIGNATURE]
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in SEEN:
            parts.append(data[at:end])
        at = end
    return b"".join(parts)
