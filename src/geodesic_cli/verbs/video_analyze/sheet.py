"""The contact sheet of a clip: thumbnails of frames at even distances, and the worst segment in a frame of its own."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from geodesic_cli import media
from geodesic_cli.verbs.video_analyze.report import Event

SIDE = 96
"""Pixels on the longer side of a thumbnail, at most."""
SHOWN, AROUND = 17, 3
"""Frames in the row of the whole clip, and frames on either side of the worst segment."""
RED = (0.835, 0.369, 0.0)


@dataclass
class Strip:
    """Thumbnails of all frames, in bytes, so that a long clip fits in memory: 28 kB for 96 x 96 pixels."""

    rows: list[Tensor] = field(default_factory=list)

    def add(self, pictures: Tensor) -> None:
        """Keep frames (n, 3, h, w) in [0, 1] as thumbnails."""
        h, w = pictures.shape[-2:]
        if max(h, w) > SIDE:
            size = max(1, round(h * SIDE / max(h, w))), max(1, round(w * SIDE / max(h, w)))
            pictures = interpolate(pictures, size, mode="bilinear", antialias=True)
        self.rows.append(pictures.mul(255).round().clamp(0, 255).to(torch.uint8))

    @property
    def spread(self) -> int:
        """By how many of 255 levels a pixel of any thumbnail differs from the first one's, at most."""
        first = self.rows[0][:1].short()
        return max(int((part.short() - first).abs().max()) for part in self.rows)

    def sheet(self, event: Event | None) -> Tensor:
        """The sheet (3, H, W): the clip at even distances, and, where there is an event, the frames around it."""
        frames = torch.cat(self.rows)
        chosen = torch.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().long()
        if event is None:
            return media.sheet([_bordered(frames[chosen], set())], ["clip"])
        marked = {event.frame} if event.kind == "turn back" else {event.first, event.last}
        near = torch.arange(max(0, event.first - AROUND), min(len(frames), event.last + AROUND + 1))
        rows = [
            _bordered(frames[which], {k for k, frame in enumerate(which.tolist()) if frame in marked})
            for which in (chosen, near)
        ]
        return media.sheet(rows, ["clip", f"frames\n{int(near[0])} to {int(near[-1])}"])


def _bordered(frames: Tensor, marked: set[int]) -> Tensor:
    """Frames with a border, which is red around the marked ones."""
    pictures = pad(frames.float() / 255, (3, 3, 3, 3), value=1.0)
    edge = pad(torch.zeros_like(frames[:1, :1]).float(), (3, 3, 3, 3), value=1.0)[0, 0] > 0
    for k in marked:
        pictures[k][:, edge] = torch.tensor(RED)[:, None]
    return pictures
