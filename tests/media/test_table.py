"""The table of formats in the guide: every entry is read here, and has the right colours within two levels."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import Interpolation
from PIL import Image, ImageCms, features

from geodesic_cli import media

GUIDE = Path(__file__).parents[2] / "examples" / "guides" / "media.md"
RED, GRAY, SIDE = (200, 50, 30), 90, 32
EXACT = int(Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)


@dataclass(frozen=True)
class Entry:
    """One way to write a file.

    Args:
        container: the suffix, as the table shows it.
        coding: what is in it.
        kind: colours and bits, as the table shows them.
        write: writes the file: the left half is opaque, the right half may be transparent.
        colour: of the left half.
        clear: how opaque the right half is; None where there is no alpha.
        by: levels of tolerance.
    """

    container: str
    coding: str
    kind: str
    write: Callable[[Path], None]
    colour: tuple[int, ...] = RED
    clear: float | None = None
    by: float = 2.0


def pixels(alpha: float | None = None) -> np.ndarray:
    """Red, of which the right half is that opaque, (h, w, 4)."""
    array = np.full((SIDE, SIDE, 4), (*RED, 255), np.uint8)
    if alpha is not None:
        array[:, SIDE // 2 :, 3] = round(255 * alpha)
    return array


def of_mode(mode: str, **how: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        if mode == "LAB":
            pair = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
            image = ImageCms.applyTransform(
                Image.fromarray(pixels()[..., :3]), ImageCms.buildTransform(*pair, "RGB", "LAB")
            )
        elif mode in ("1", "L", "LA"):
            image = Image.new("L", (SIDE, SIDE), 255 if mode == "1" else GRAY).convert(mode)
            if mode == "LA":
                image.putalpha(Image.fromarray(pixels(0.0)[..., 3]))
        elif mode in ("I;16", "I", "F"):
            level = {"I;16": np.uint16(GRAY * 257), "I": np.int32(GRAY * 8_421_504), "F": np.float32(GRAY / 255)}[mode]
            image = Image.fromarray(np.full((SIDE, SIDE), level))
        elif mode == "PA":
            image = Image.fromarray(pixels(0.0)).convert("P")
        else:
            image = Image.fromarray(pixels(0.0 if mode == "RGBA" else None)).convert(mode)
        image.save(path, **how)

    return write


def deep_ppm(path: Path) -> None:
    header = f"P6 {SIDE} {SIDE} 65535\n".encode()
    path.write_bytes(header + (pixels()[..., :3].astype(">u2") * 257).tobytes())


def deep_png(layout: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        values = pixels(0.0 if "a" in layout else None).astype(np.uint16) * 257
        frame = av.VideoFrame.from_ndarray(values if "a" in layout else values[..., :3].copy(), format=layout)
        codec = av.CodecContext.create("png", "w")
        codec.width, codec.height, codec.pix_fmt = SIDE, SIDE, layout.replace("le", "be")
        codec.time_base = Fraction(1, 10)
        frame = frame.reformat(format=codec.pix_fmt)
        path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))

    return write


def moving(mode: str, **how: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        images = [Image.fromarray(pixels(0.0 if mode == "RGBA" else None)).convert(mode) for _ in range(3)]
        for k, image in enumerate(images):  # frames that are alike would be one
            image.putpixel((0, 0), (8 * k, 0, 0, 255)[: len(mode)])
        images[0].save(path, save_all=True, append_images=images[1:], duration=100, **how)

    return write


def film(codec: str, layout: str, tag: int = 1, alpha: float | None = None, **options: str) -> Callable[[Path], None]:
    """A film of three frames; a tag of H.273 says the matrix."""

    def write(path: Path) -> None:
        if codec not in av.codecs_available:
            pytest.skip(f"no encoder {codec} here")
        with av.open(str(path), "w") as made:
            stream = made.add_stream(codec, rate=10, options=options)
            size = 96 if codec == "flv" else 64
            stream.width = stream.height = size
            stream.pix_fmt = layout
            if alpha is not None and codec.startswith("libvpx"):
                stream.metadata["alpha_mode"] = "1"
            full = 2 if layout.startswith("yuvj") else 1
            yuv = layout.startswith("yuv")
            if yuv:
                stream.codec_context.colorspace, stream.codec_context.color_range = tag, full
            scale = size // SIDE
            array = pixels(alpha).repeat(scale, 0).repeat(scale, 1)
            for k in range(3):
                frame = av.VideoFrame.from_ndarray(array, format="rgba")
                matrix = {"dst_colorspace": {1: 1, 5: 5, 9: 9}[tag], "dst_color_range": full} if yuv else {}
                frame = frame.reformat(format=layout, interpolation=EXACT, **matrix)
                frame.pts, frame.time_base = k, Fraction(1, 10)
                made.mux(stream.encode(frame))
            made.mux(stream.encode())

    return write


EIGHT = {
    "RGB": "RGB 8",
    "RGBA": "RGBA 8",
    "L": "gray 8",
    "LA": "gray+alpha 8",
    "1": "black and white",
    "P": "palette 8",
    "PA": "palette 8+alpha",
    "CMYK": "CMYK 8",
    "LAB": "Lab 8",
    "YCbCr": "YCbCr 8",
    "I;16": "gray 16",
    "I": "gray 32",
    "F": "gray float",
}


def stills(container: str, coding: str, modes: str, by: float = 2.0, **how: Any) -> list[Entry]:
    made = []
    for mode in modes.split():
        colour = (255,) * 3 if mode == "1" else (GRAY,) * 3 if mode in ("L", "LA", "I;16", "I", "F") else RED
        clear = 0.0 if mode in ("RGBA", "LA", "PA") else None
        made.append(Entry(container, coding, EIGHT[mode], of_mode(mode, **how), colour, clear, by))
    return made


STILLS = [
    *stills("png", "PNG", "1 L LA P PA RGB RGBA I;16"),
    Entry("png", "PNG", "RGB 16", deep_png("rgb48le")),
    Entry("png", "PNG", "RGBA 16", deep_png("rgba64le"), clear=0.0),
    *stills("jpg", "JPEG", "L RGB CMYK", quality=98, subsampling=0),
    *stills("webp", "WebP", "RGB RGBA", lossless=True, exact=True),
    *stills("webp", "WebP, lossy", "RGB RGBA", quality=100),
    *stills("avif", "AVIF", "RGB RGBA", quality=100, subsampling="4:4:4"),
    *stills("jp2", "JPEG 2000", "L LA RGB RGBA I;16"),
    *stills("tif", "TIFF", "1 L LA P RGB RGBA CMYK LAB I;16 I F"),
    *stills("tif", "TIFF, LZW", "L RGB RGBA I;16 F", compression="tiff_lzw"),
    *stills("gif", "GIF", "L P"),
    Entry("gif", "GIF", "palette 8+alpha", of_mode("RGBA"), clear=0.0),
    *stills("bmp", "BMP", "1 L P RGB"),
    *stills("tga", "TGA", "L LA P RGB RGBA"),
    *stills("pgm", "PNM", "L I;16"),
    *stills("ppm", "PNM", "RGB"),
    Entry("ppm", "PNM", "RGB 16", deep_ppm),
    *stills("qoi", "QOI", "RGB RGBA"),
    *stills("dds", "DDS", "L LA RGB RGBA"),
    *stills("ico", "ICO", "RGBA", sizes=[(SIDE, SIDE)]),
    *stills("pcx", "PCX", "1 L P RGB"),
    *stills("sgi", "SGI", "L RGB RGBA"),
]
QUIET, HALF = {"x265-params": "log-level=none"}, {"clear": 0.5}
GOOD = {"crf": "4", "b": "2M"}
MOVING = [
    Entry("gif", "GIF", "palette 8+alpha", moving("RGBA", disposal=2), clear=0.0, by=3),
    Entry("apng", "APNG", "RGB 8", moving("RGB")),
    Entry("apng", "APNG", "RGBA 8", moving("RGBA", disposal=1), clear=0.0),
    Entry("webp", "WebP", "RGB 8", moving("RGB", lossless=True)),
    Entry("webp", "WebP", "RGBA 8", moving("RGBA", lossless=True), clear=0.0),
    Entry("avif", "AVIF", "RGB 8", moving("RGB", quality=100, subsampling="4:4:4")),
    Entry("avif", "AVIF", "RGBA 8", moving("RGBA", quality=100, subsampling="4:4:4"), clear=0.0),
    Entry("mp4", "H.264", "4:2:0 8, BT.709", film("libx264", "yuv420p", crf="1")),
    Entry("mp4", "H.264", "4:4:4 8, BT.601", film("libx264", "yuv444p", 5, crf="1")),
    Entry("mp4", "H.264", "4:2:0 10, BT.709", film("libx264", "yuv420p10le", crf="1")),
    Entry("mp4", "H.265", "4:2:0 8, BT.709", film("libx265", "yuv420p", crf="1", **QUIET)),
    Entry("mp4", "H.265", "4:2:0 10, BT.2020", film("libx265", "yuv420p10le", 9, crf="1", **QUIET)),
    Entry("mp4", "AV1", "4:2:0 10, BT.709", film("libsvtav1", "yuv420p10le", crf="5"), by=3),
    Entry("mp4", "MPEG-4", "4:2:0 8, BT.601", film("mpeg4", "yuv420p", 5, qmin="1", qmax="1")),
    Entry("ts", "H.264", "4:2:0 8, BT.709", film("libx264", "yuv420p", crf="1")),
    Entry("mkv", "FFV1", "4:2:0 8, BT.601", film("ffv1", "yuv420p", 5)),
    Entry("mkv", "FFV1", "4:2:2 10, BT.709", film("ffv1", "yuv422p10le")),
    Entry("mkv", "FFV1", "4:4:4 16, BT.2020", film("ffv1", "yuv444p16le", 9)),
    Entry("mkv", "FFV1", "4:4:4 8+alpha, BT.709", film("ffv1", "yuva444p", alpha=0.5), **HALF),
    Entry("mkv", "FFV1", "RGBA 8", film("ffv1", "bgra", alpha=0.5), **HALF),
    Entry("mkv", "FFV1", "RGB 10", film("ffv1", "gbrp10le")),
    Entry("avi", "HuffYUV", "4:2:2 8, BT.601", film("huffyuv", "yuv422p", 5)),
    Entry("mov", "ProRes 422", "4:2:2 10, BT.709", film("prores_ks", "yuv422p10le", profile="3")),
    Entry(
        "mov", "ProRes 4444", "4:4:4 10+alpha, BT.709", film("prores_ks", "yuva444p10le", 1, 0.5, profile="4"), **HALF
    ),
    Entry("mov", "QuickTime Animation", "RGB 8", film("qtrle", "rgb24")),
    Entry("mov", "QuickTime Animation", "RGBA 8", film("qtrle", "argb", alpha=0.5), **HALF),
    Entry("mov", "PNG", "RGBA 8", film("png", "rgba", alpha=0.5), **HALF),
    Entry("mov", "PNG", "RGB 16", film("png", "rgb48be")),
    Entry("webm", "VP8", "4:2:0 8, BT.601", film("libvpx", "yuv420p", 5, **GOOD)),
    Entry(
        "webm",
        "VP8",
        "4:2:0 8+alpha, BT.601",
        film("libvpx", "yuva420p", 5, 0.5, **GOOD | {"auto-alt-ref": "0"}),
        **HALF,
        by=3,
    ),
    Entry("webm", "VP9", "4:2:0 8, BT.709", film("libvpx-vp9", "yuv420p", **GOOD)),
    Entry("webm", "VP9", "4:2:0 8+alpha, BT.709", film("libvpx-vp9", "yuva420p", alpha=0.5, **GOOD), **HALF, by=3),
    Entry("avi", "raw", "RGB 8", film("rawvideo", "bgr24")),
    Entry("avi", "MJPEG", "4:4:4 8, BT.601, full range", film("mjpeg", "yuvj444p", 5, qmin="1", qmax="1")),
    Entry("mpg", "MPEG-2", "4:2:0 8, BT.601", film("mpeg2video", "yuv420p", 5, qmin="1", qmax="1")),
    Entry("flv", "FLV", "4:2:0 8, BT.601", film("flv", "yuv420p", 5, qmin="1", qmax="1")),
]


def names(entries: list[Entry]) -> list[str]:
    return [f"{one.container}-{one.coding}-{one.kind}" for one in entries]


def judge(image: torch.Tensor, entry: Entry) -> None:
    """Compare the middles of the two halves with what was written, on white."""
    width = image.shape[2]
    right = (
        entry.colour if entry.clear is None else tuple(entry.clear * c + (1 - entry.clear) * 255 for c in entry.colour)
    )
    for half, colour in (
        (slice(width // 8, 3 * width // 8), entry.colour),
        (slice(5 * width // 8, 7 * width // 8), right),
    ):
        found = 255 * image[:, image.shape[1] // 4 : -image.shape[1] // 4, half].mean((1, 2))
        assert (found - torch.tensor(colour, dtype=torch.float32)).abs().max() <= entry.by, (found, colour)


@pytest.mark.parametrize("entry", STILLS, ids=names(STILLS))
def test_a_still_of_the_table_has_its_colours(tmp_path: Path, entry: Entry) -> None:
    if entry.container == "avif" and not features.check("avif"):
        pytest.skip("no AVIF here")
    entry.write(tmp_path / f"a.{entry.container}")
    told: list[str] = []
    judge(media.read_image(tmp_path / f"a.{entry.container}", told.append), entry)
    assert told == []


@pytest.mark.parametrize("entry", MOVING, ids=names(MOVING))
def test_a_film_of_the_table_has_its_colours(tmp_path: Path, entry: Entry) -> None:
    entry.write(tmp_path / f"a.{entry.container}")
    clip = media.read_sequence(tmp_path / f"a.{entry.container}")
    assert len(clip.frames) == 3 and clip.warnings == ()
    for frame in clip.frames:
        judge(frame, entry)


def rows(entries: list[Entry]) -> list[str]:
    """The lines of a table, one for each container and coding."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for one in entries:
        kinds.setdefault((one.container, one.coding), []).append(one.kind)
    return [f"| .{container} | {coding} | {' · '.join(found)} |" for (container, coding), found in kinds.items()]


@pytest.mark.parametrize(("head", "entries"), [("still", STILLS), ("film or animation", MOVING)])
def test_the_table_of_the_guide_is_what_is_tried_here(head: str, entries: list[Entry]) -> None:
    table = "\n".join([f"| {head} | coding | colours and bits |", "|---|---|---|", *rows(entries)])
    assert f"\n\n{table}\n\n" in GUIDE.read_text("utf-8"), f"The guide should hold:\n{table}"
