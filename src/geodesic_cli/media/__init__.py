"""Images, films and sequences at the border of the program: files on one side, tensors in [0, 1] on the other.

`images` and `sizes` are about one image (with `decoding`, `profiles` and `colours` for what a screen shows of it),
`sheets` and `films` write many, `sequences` reads many (with `clips` and `showing` for films, `animations` for GIFs,
`folders` and `formats` for folders), and `files` is how anything is written, whole or not at all, and texts are read.
"""

from geodesic_cli.media.files import cannot_write, read_text, replacing
from geodesic_cli.media.films import write_gif, write_mp4
from geodesic_cli.media.folders import natural_key
from geodesic_cli.media.formats import image_files
from geodesic_cli.media.images import read_image, read_metadata, write_png
from geodesic_cli.media.sequences import Clip, Frame, parse_position, read_frames, read_sequence, stream_sequence
from geodesic_cli.media.sheets import SheetMarks, sheet
from geodesic_cli.media.sizes import parse_size, resize, same_size

__all__ = [
    "Clip",
    "Frame",
    "SheetMarks",
    "cannot_write",
    "image_files",
    "natural_key",
    "parse_position",
    "parse_size",
    "read_frames",
    "read_image",
    "read_metadata",
    "read_sequence",
    "read_text",
    "replacing",
    "resize",
    "same_size",
    "sheet",
    "stream_sequence",
    "write_gif",
    "write_mp4",
    "write_png",
]
