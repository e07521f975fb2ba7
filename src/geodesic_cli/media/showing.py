"""One frame of a film as it is meant to be seen: its colours, its ground, its shape and its direction.

Colours: the matrix and the range are those of the frame's tags. Where there is none, the primaries or the size decide,
as in players: BT.709 above 576 lines or from 1280 columns on, BT.601 below; the narrow range of television unless the
format is a full one. Other transfers and primaries than the screen's are `colours`. A transparent frame is composited
on the ground, as images are. Pixels that are not square are made so by another width. Then the display matrix turns and
mirrors by quarter turns.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.media import colours
from geodesic_cli.media.formats import MOST_BYTES_OF_ONE, too_large
from geodesic_cli.media.sizes import stretch
from geodesic_cli.media.stills import ON_WHITE, Ground, Still

MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""What swscale calls a matrix of H.273, and the one that goes with primaries of H.273."""
OTHER_MATRICES = {8: "YCgCo", 10: "BT.2020 of constant luminance", 11: "YDzDx", 13: "constant luminance",
                  14: "ICtCp", 15: "ICtCp of Dolby Vision", 16: "YCgCo-R", 17: "YCgCo-R"}  # fmt: skip
NARROW, FULL = 1, 2
IN_MEMORY_EACH = 20
"""Bytes of memory for a pixel of a frame while it is shown."""


class Screen:
    """Shows the frames of one film.

    Args:
        path: of the film, for messages.
        aspect: width of a pixel through its height.
        opaque: whether the fourth channel has no meaning.
        ground: what is seen through a transparent frame.
        warn: told, once each, of what is lost on the way to the screen.
    """

    def __init__(
        self, path: Path, aspect: float, opaque: bool, warn: Callable[[str], None], ground: Ground = ON_WHITE
    ) -> None:
        self.path, self.aspect, self.opaque, self._warn = path, aspect, opaque, warn
        self._ground = np.array(ground, np.float32)
        self._said: set[str] = set()

    def show(self, frame: Any) -> Still:
        """A frame, in eight bits where it has no more."""
        image = torch.from_numpy(self._coloured(frame)).movedim(-1, 0)
        height, width = image.shape[-2:]
        wide = max(1, round(width * self.aspect))
        image = image if wide == width else stretch(image, height, wide)
        return Still.of(self._turned(image, frame).contiguous())

    def _coloured(self, frame: Any) -> np.ndarray:
        """Bytes (h, w, 3) of sRGB, or values in [0, 1], on the ground."""
        from av.video.reformatter import Interpolation

        if frame.width * frame.height * IN_MEMORY_EACH > MOST_BYTES_OF_ONE:
            raise too_large(self.path, MOST_BYTES_OF_ONE // IN_MEMORY_EACH)
        # By default swscale rounds down on the way to RGB, which darkens by a level.
        exact = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
        transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
        if transfer in colours.HDR and primaries not in colours.PRIMARIES:
            primaries = 9
        alpha = not self.opaque and any(part.is_alpha for part in frame.format.components)
        deep = colours.alters(primaries, transfer)
        layout = {(False, False): "rgb24", (True, False): "rgba", (False, True): "rgb48le", (True, True): "rgba64le"}
        array = frame.to_ndarray(
            format=layout[alpha, deep],
            src_colorspace=self._matrix(frame, primaries, transfer),
            src_color_range=_range(frame),
            dst_color_range=FULL,
            interpolation=exact,
        )
        if transfer in colours.HDR:
            self._say(
                f"{self.path} is a film of high dynamic range (HDR, {colours.HDR[transfer]}): light up to the white of "
                "paper is kept, and what is brighter is pressed together."
            )
        if transfer in colours.UNKNOWN_TRANSFERS:
            self._say(
                f"The colours of {self.path} have a transfer that is {colours.UNKNOWN_TRANSFERS[transfer]}; it is not "
                "applied, and they look flat."
            )
        if not alpha and not deep:
            return np.asarray(array)
        values = array.astype(np.float32) / np.float32(65535 if deep else 255)
        rgb = colours.to_srgb(values[..., :3], primaries, transfer) if deep else values[..., :3]
        return rgb if not alpha else values[..., 3:] * rgb + (1 - values[..., 3:]) * self._ground

    def _matrix(self, frame: Any, primaries: int, transfer: int) -> int:
        """The matrix from luma and chroma to RGB, as swscale counts them."""
        tag = int(frame.colorspace)
        if tag in OTHER_MATRICES and not frame.format.is_rgb:
            raise InputError(
                f"A film in the colours of television is needed, and {self.path} is coded in {OTHER_MATRICES[tag]}.",
                "Convert it with ffmpeg -i IN -vf format=yuv420p -colorspace bt709 OUT.mp4.",
            )
        large = frame.height > 576 or frame.width >= 1280
        by_size = 9 if transfer in colours.HDR else 1 if large else 5
        return MATRICES.get(tag, MATRICES.get(primaries, by_size))

    def _turned(self, image: Tensor, frame: Any) -> Tensor:
        """Turned and mirrored as the display matrix says: p' = a p + c q, q' = b p + d q."""
        from av.sidedata.sidedata import Type

        found = frame.side_data.get(Type.DISPLAYMATRIX)
        if found is None or len(bytes(found)) != 36:
            return image
        (a, b, _), (c, d, _), _ = np.frombuffer(bytes(found), np.int32).reshape(3, 3).astype(float)
        straight, across = abs(a) + abs(d), abs(b) + abs(c)
        if min(straight, across) > 0.01 * max(straight, across):
            self._say(f"{self.path} is to be shown askew; it is turned by the nearest quarter turn.")
        if across > straight:
            image, flips = image.transpose(-2, -1), (b, c)
        else:
            flips = (d, a)
        return image.flip([axis for axis, value in zip((-2, -1), flips, strict=True) if value < 0])

    def _say(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._warn(message)


def _range(frame: Any) -> int:
    """Whether values go from 16 to 235 or from 0 to 255."""
    tag, name = int(frame.color_range), str(frame.format.name)
    if tag in (NARROW, FULL):
        return tag
    return FULL if name.startswith(("yuvj", "gray", "ya")) or frame.format.is_rgb else NARROW
