"""Contact sheets: frames side by side, one row a method, with labels."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from geodesic_cli.media.sizes import enlarge

PER_LINE = 17  # frames in one line of a contact sheet


def sheet(rows: Sequence[Tensor], labels: Sequence[str] | None = None) -> Tensor:
    """A contact sheet (3, H, W): one row per method, each row (m, 3, h, w), with its label in the left margin.

    Frames below 96 pixels are enlarged by a whole factor. A row of more than 17 frames goes on in further lines of
    about equal length.
    """
    if not rows or any(row.ndim != 4 or not len(row) or row.shape[1:] != rows[0].shape[1:] for row in rows):
        raise ValueError(f"a sheet takes rows (m, 3, h, w) of one frame size, not {[tuple(row.shape) for row in rows]}")
    tiles = [enlarge(row, 96) for row in rows]
    h, w = tiles[0].shape[-2:]
    gap = max(2, min(h, w) // 48)  # between frames and lines; three times as much between methods and around
    lines = [tile.split(math.ceil(len(tile) / math.ceil(len(tile) / PER_LINE))) for tile in tiles]
    columns = max(len(row[0]) for row in lines)
    texts = [_text(label, max(12, h // 7)) for label in labels or []]
    if labels is not None and len(texts) != len(rows):
        raise ValueError(f"a sheet of {len(rows)} rows takes as many labels, not {len(texts)}")
    left = 3 * gap + max((text.shape[1] + 3 * gap for text in texts), default=0)
    height = 3 * gap + sum(len(row) * (h + gap) + 2 * gap for row in lines)
    canvas = torch.ones(3, height, left + columns * (w + gap) + 2 * gap)
    top = 3 * gap
    for index, row in enumerate(lines):
        block = len(row) * (h + gap) - gap
        if texts:
            text = texts[index]
            y = max(0, min(top + (block - text.shape[0]) // 2, height - text.shape[0]))
            canvas[:, y : y + text.shape[0], 3 * gap : 3 * gap + text.shape[1]] *= 1 - text[:height]
        for line in row:
            for column, frame in enumerate(line):
                x = left + column * (w + gap)
                canvas[:, top : top + h, x : x + w] = frame
            top += h + gap
        top += 2 * gap
    return canvas.clamp(0, 1)


def _text(text: str, size: int) -> Tensor:
    """How much ink (h, w) in [0, 1] covers each pixel of a label."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    image = Image.new("L", (math.ceil(right - left) + 1, math.ceil(bottom - top) + 1))
    ImageDraw.Draw(image).multiline_text((-left, -top), text, fill=255, font=font)
    return torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
