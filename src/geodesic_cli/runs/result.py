"""What a verb gives back to Python: its numbers, its pictures, and how it shows itself in a notebook."""

import base64
import html
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from torch import Tensor

from geodesic_cli import media
from geodesic_cli.errors import InputError, OutputError
from geodesic_cli.runs.folder import RunDirectory

if TYPE_CHECKING:
    from PIL.Image import Image

SLOW = 8.0
"""Frames a second of the films of a result whose settings have no rate."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RunResult:
    """What every verb gives back, beside what its own class has.

    Args:
        metrics: what metrics.json holds.
        status: a sentence on what came out.
        folder: the run directory, or None where nothing was written.
        settings: what was asked for, with every default filled in.
    """

    metrics: dict[str, Any]
    status: str
    folder: Path | None = None
    settings: Any = None

    @property
    def pictures(self) -> Tensor | None:
        """What was drawn, (n, 3, h, w) in [0, 1], in the order of time where there is one; None where nothing was."""
        return None

    def to_pil(self) -> "list[Image]":
        """The pictures as PIL images; none where nothing was drawn."""
        return [] if self.pictures is None else media.to_pil(self.pictures)

    def sheet(self) -> "Image":
        """Everything that can be seen, on one page.

        Raises:
            InputError: there is nothing to see.
        """
        return media.to_pil(self._page()[None])[0]

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write frames/, sheet.png, films where frames follow one another, metrics.json and the settings.

        Args:
            folder: where; it is made if need be.
            overwrite: replace what an earlier `save` or run has written there; other files stay.

        Returns:
            The folder.

        Raises:
            OutputError: it cannot be written, or is not empty.
        """
        if not overwrite and Path(folder).is_dir() and any(Path(folder).iterdir()):
            raise OutputError(
                f"{folder} is not empty.", "Pass overwrite=True to replace an earlier result, or another folder."
            )
        stored = ({} if self.settings is None else asdict(self.settings)) | {"out": str(folder)}
        command = f"{type(self).__name__}.save"
        with RunDirectory.open(folder, stored, command=command, overwrite=overwrite) as directory:
            self._write_into(directory)
            directory.finish(self.status, self.metrics)
        return directory.folder

    def _write_into(self, directory: RunDirectory) -> None:
        """What `save` writes beside the numbers and the settings."""
        for index, picture in enumerate(() if self.pictures is None else self.pictures):
            directory.write_png(f"frames/{index:05d}.png", picture)
        rate = getattr(self.settings, "fps", None) or SLOW
        if self._moves and self.pictures is not None and len(self.pictures) > 1:
            media.write_gif(self.pictures, directory.path("video.gif"), rate)
            media.write_mp4(self.pictures, directory.path("video.mp4"), rate)
        if self._shows:
            directory.write_png("sheet.png", self._page())

    @property
    def _moves(self) -> bool:
        """Whether the pictures are a film."""
        return False

    @property
    def _shows(self) -> bool:
        """Whether there is a page."""
        return self.pictures is not None or hasattr(self, "draw")

    def _page(self) -> Tensor:
        """The page (3, H, W) of `sheet`."""
        if hasattr(self, "draw"):
            with TemporaryDirectory() as folder:
                self.draw(Path(folder, "page.png"))
                return media.read_image(Path(folder, "page.png"))
        if self.pictures is None:
            raise InputError(f"{type(self).__name__} holds no pictures; its numbers are in `metrics`.")
        return media.sheet([self.pictures])

    def __repr__(self) -> str:
        seen = ""
        if self.pictures is not None:
            count, height, width = len(self.pictures), *self.pictures.shape[-2:]
            seen = f" {count} picture{'s' * (count != 1)} of {width}x{height}."
        return f"<{type(self).__name__}:{seen} {self.status}>"

    def _repr_png_(self) -> bytes | None:
        """The page, for a notebook."""
        return media.png_bytes(self._page()) if self._shows else None

    def _repr_html_(self) -> str:
        """The sentence and the page, for a notebook."""
        lines = [f"<p>{html.escape(self.status)}</p>"]
        if self._shows:
            data = base64.b64encode(media.png_bytes(self._page())).decode()
            lines.append(f'<img src="data:image/png;base64,{data}" alt="{type(self).__name__}" style="max-width:100%">')
        return f"<div>{''.join(lines)}</div>"
