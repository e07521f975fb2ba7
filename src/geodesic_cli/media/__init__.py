"""Images, films and sequences at the border of the program: files on one side, tensors in [0, 1] on the other.

`images`, `stills` and `sizes` are about one image (with `decoding`, `depths`, `codings`, `profiles` and `colours` for
what a screen shows of it),
`sheets` and `films` write many, `sequences` reads many (with `clips` and `showing` for films, `animations` for GIFs,
`folders` and `formats` for folders), and `files` is how anything is written, whole or not at all, and texts are read.
"""

from geodesic_cli.media.arrays import Picture, Pixels, pictures, png_bytes, to_pil
from geodesic_cli.media.files import cannot_write, read_table, read_text, replacing
from geodesic_cli.media.films import VIDEOS, write_film, write_gif, write_mp4
from geodesic_cli.media.folders import natural_key
from geodesic_cli.media.formats import image_files
from geodesic_cli.media.images import read_image, read_metadata, read_still, require_image, write_png
from geodesic_cli.media.positions import parse_position
from geodesic_cli.media.sequences import Clip, Frame, read_frames, read_sequence, stream_sequence
from geodesic_cli.media.sheets import SheetMarks, numbers_shown, sheet
from geodesic_cli.media.sizes import parse_size, placed, resize, same_size, whole_within
from geodesic_cli.media.sounds import Sound, sound_of
from geodesic_cli.media.stills import ON_WHITE, Ground, Still
from geodesic_cli.media.stored import FrameSource, StoredFrames, chosen_of

__all__ = [
    "ON_WHITE",
    "VIDEOS",
    "Clip",
    "Frame",
    "FrameSource",
    "Ground",
    "SheetMarks",
    "Sound",
    "Still",
    "StoredFrames",
    "cannot_write",
    "chosen_of",
    "image_files",
    "natural_key",
    "numbers_shown",
    "parse_position",
    "parse_size",
    "placed",
    "read_frames",
    "read_image",
    "read_metadata",
    "read_sequence",
    "read_still",
    "read_table",
    "read_text",
    "replacing",
    "require_image",
    "resize",
    "same_size",
    "sheet",
    "sound_of",
    "stream_sequence",
    "whole_within",
    "write_film",
    "write_gif",
    "write_mp4",
    "write_png",
]
