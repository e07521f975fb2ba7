"""Contact sheets: frames side by side, one row a method, with labels, marks and a legend of the marks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from geodesic_cli.media.sizes import enlarge

PER_LINE = 17  # frames in one line of a contact sheet
MOST_PIXELS = 20_000_000
"""Pixels of the frames on a sheet that shows more than one line of each row; beyond, a part of the frames is shown."""
LEAST_SIDE = 96
"""Pixels that the short side of a frame has at least."""
_GIVEN = (0.0, 0.447, 0.698)
_DOUBTFUL = (0.835, 0.369, 0.0)
_WRITTEN = (0.0, 0.0, 0.0)
"""The colours of marks. They stay apart for every kind of colour vision, and dashes tell the doubtful frames again."""


@dataclass(frozen=True)
class SheetMarks:
    """What is marked on a sheet; a legend below says what each mark means. Nothing is marked that is empty.

    Args:
        written: the rows whose frames are the result; a bar stands beside each.
        given: numbers of the frames that are images as they were given, in every row; they have a frame of blue.
        doubtful: numbers of frames that are improbable, in a written row or the only one; they have a dashed frame of
            orange.
        given_words: what the frame of blue means.
        doubtful_words: what the dashed frame of orange means.
    """

    written: tuple[int, ...] = ()
    given: tuple[int, ...] = ()
    doubtful: tuple[int, ...] = ()
    given_words: str = "an image that was given"
    doubtful_words: str = "doubtful: the model hardly ever draws such a picture"

    @property
    def legend(self) -> list[tuple[tuple[float, float, float], bool, str]]:
        """Colour, whether it is dashed, and meaning of each mark that is used."""
        used = [(_GIVEN, False, self.given_words)] if self.given else []
        used += [(_DOUBTFUL, True, self.doubtful_words)] if self.doubtful else []
        words = "the row in frames/ and the films" if len(self.written) == 1 else "rows in frames/ and the films"
        return used + ([(_WRITTEN, False, words)] if self.written else [])


def sheet(rows: Sequence[Tensor], labels: Sequence[str] | None = None, marks: SheetMarks | None = None) -> Tensor:
    """A contact sheet (3, H, W): one row per method, each row (m, 3, h, w), with its label in the left margin.

    Frames below LEAST_SIDE pixels are enlarged by a whole factor. A row of more than 17 frames goes on in further
    lines of about equal length.
    """
    if not rows or any(row.ndim != 4 or not len(row) or row.shape[1:] != rows[0].shape[1:] for row in rows):
        raise ValueError(f"a sheet takes rows (m, 3, h, w) of one frame size, not {[tuple(row.shape) for row in rows]}")
    if labels is not None and len(labels) != len(rows):
        raise ValueError(f"a sheet of {len(rows)} rows takes as many labels, not {len(labels)}")
    marks = marks or SheetMarks()
    tiles = [enlarge(row, LEAST_SIDE) for row in rows]
    h, w = tiles[0].shape[-2:]
    # Between frames and lines; three times as much between methods and around. Marks are drawn there.
    gap = max(4, min(h, w) // 24) if marks.given or marks.doubtful else max(2, min(h, w) // 48)
    lines = [tile.split(math.ceil(len(tile) / math.ceil(len(tile) / PER_LINE))) for tile in tiles]
    columns = max(len(row[0]) for row in lines)
    texts = [_text(label, max(12, h // 7)) for label in labels or []]
    legend = _legend(marks, max(12, h // 8))
    left = 3 * gap + max((text.shape[1] + 3 * gap for text in texts), default=0)
    heights = [len(row) * (h + gap) - gap for row in lines]
    heights = [max(pair) for pair in zip(heights, (text.shape[0] for text in texts), strict=True)] if texts else heights
    height = 3 * gap + sum(block + 3 * gap for block in heights)
    width = max(left + columns * (w + gap) + 2 * gap, legend.shape[2] + 6 * gap if legend.numel() else 0)
    canvas = torch.ones(3, height + (legend.shape[1] + 2 * gap if legend.numel() else 0), width)
    top = 3 * gap
    for index, (row, block) in enumerate(zip(lines, heights, strict=True)):
        if texts:
            text = texts[index]
            y = top + (block - text.shape[0]) // 2
            canvas[:, y : y + text.shape[0], 3 * gap : 3 * gap + text.shape[1]] *= 1 - text
        if index in marks.written:
            _paint(canvas, _WRITTEN, slice(top, top + block), slice(gap // 2, gap // 2 + 2 * gap))
        main = index in marks.written or len(rows) == 1
        _place(canvas, row, (top, left), gap, marks if main else SheetMarks(given=marks.given))
        top += block + 3 * gap
    if legend.numel():
        canvas[:, top : top + legend.shape[1], 3 * gap : 3 * gap + legend.shape[2]] = legend
    return canvas.clamp_(0, 1)


def numbers_shown(frames: int, rows: int, height: int, width: int, keep: Sequence[int] = ()) -> list[int]:
    """The numbers of the frames to show on a sheet of so many rows: all of them, or evenly chosen ones of a long film.

    A sheet of 1,000 frames of 512 x 512 would be a picture of 262 million pixels for each method.

    Args:
        frames: in each row.
        rows: on the sheet.
        height: of a frame.
        width: of a frame.
        keep: numbers that are shown in any case, as long as they are not more than a line.
    """
    scale = math.ceil(LEAST_SIDE / min(height, width))
    most = max(PER_LINE, MOST_PIXELS // (rows * height * width * scale**2))
    if frames <= most:
        return list(range(frames))
    even = {round(k * (frames - 1) / (most - 1)) for k in range(most)}
    return sorted(even | set(keep if len(keep) <= PER_LINE else ()))


def _place(canvas: Tensor, lines: Sequence[Tensor], corner: tuple[int, int], gap: int, marks: SheetMarks) -> None:
    """The frames of one row, line by line, with the marks around them, from the upper left corner on."""
    number, (top, left) = 0, corner
    for line in lines:
        h, w = line.shape[-2:]
        for column, frame in enumerate(line):
            x = left + column * (w + gap)
            if number in marks.doubtful:
                _border(canvas, _DOUBTFUL, (top, x, h, w), gap, dashed=True)
            elif number in marks.given:
                _border(canvas, _GIVEN, (top, x, h, w), gap, dashed=False)
            canvas[:, top : top + h, x : x + w] = frame
            number += 1
        top += h + gap


def _border(
    canvas: Tensor, colour: tuple[float, float, float], box: tuple[int, int, int, int], gap: int, dashed: bool
) -> None:
    """A frame around a box (top, left, height, width), as wide as the gap but for a pixel of white."""
    top, left, h, w = box
    wide = max(2, gap - 1)
    ink = torch.ones(h + 2 * wide, w + 2 * wide)
    if dashed:
        down, across = torch.arange(len(ink)), torch.arange(ink.shape[1])
        ink *= ((down[:, None] + across) // (3 * wide) % 2 == 0).float()
    rows, columns = slice(top - wide, top + h + wide), slice(left - wide, left + w + wide)
    paint = torch.tensor(colour)[:, None, None]
    canvas[:, rows, columns] = canvas[:, rows, columns] * (1 - ink) + paint * ink


def _paint(canvas: Tensor, colour: tuple[float, float, float], rows: slice, columns: slice) -> None:
    canvas[:, rows, columns] = torch.tensor(colour)[:, None, None]


def _legend(marks: SheetMarks, size: int) -> Tensor:
    """What the marks mean, a line each (3, h, w): a swatch and words; nothing (3, 0, 0) where nothing is marked."""
    lines = []
    for colour, dashed, words in marks.legend:
        ink = _text(words, size)
        line = torch.ones(3, max(ink.shape[0], size) + size // 3, 2 * size + ink.shape[1])
        line[:, : ink.shape[0], 2 * size :] -= ink
        swatch = torch.tensor(colour)[:, None, None].expand(3, size - 2, size + size // 3).clone()
        if dashed:
            swatch[:, :, (torch.arange(swatch.shape[2]) // max(2, size // 4)) % 2 == 1] = 1.0
        line[:, : swatch.shape[1], : swatch.shape[2]] = swatch
        lines.append(line)
    width = max((line.shape[2] for line in lines), default=0)
    padded = [torch.nn.functional.pad(line, (0, width - line.shape[2]), value=1.0) for line in lines]
    return torch.cat(padded, 1) if padded else torch.ones(3, 0, 0)


def _text(text: str, size: int) -> Tensor:
    """How much ink (h, w) in [0, 1] covers each pixel of a label."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    image = Image.new("L", (math.ceil(right - left) + 1, math.ceil(bottom - top) + 1))
    ImageDraw.Draw(image).multiline_text((-left, -top), text, fill=255, font=font)
    return torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
