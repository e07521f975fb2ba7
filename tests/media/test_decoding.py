"""Images come as a screen shows them: profiles, code points, depths, grounds and directions of every format."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, TiffImagePlugin

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.media import formats

RED = (200, 50, 30)


def read(path: Path) -> tuple[torch.Tensor, list[str]]:
    told: list[str] = []
    return media.read_image(path, told.append), told


def levels(image: torch.Tensor) -> list[int]:
    return [round(255 * float(value)) for value in image.mean((1, 2))]


def near(found: list[int], expected: tuple[float, ...], by: float = 2) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= by


# --- profiles, made by hand


def profile(space: str, tags: dict[str, bytes], kind: str = "mntr", pcs: str = "XYZ ") -> bytes:
    """An ICC profile of version 2."""
    table, data, place = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        body += b"\0" * (-len(body) % 4)
        table += name.encode() + struct.pack(">II", place + len(data), len(body))
        data += body
    head = struct.pack(
        ">I4sI4s4s4s", place + len(data), b"test", 0x02400000, kind.encode(), space.encode(), pcs.encode()
    )
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + data


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(65536 * value)) for value in values)


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * value))


TEXTS = {"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(80), "cprt": b"text\0\0\0\0x\0"}
WHITE = {"wtpt": xyz(0.9642, 1, 0.8249)}
P3 = {"rXYZ": xyz(0.5151, 0.2412, -0.0011), "gXYZ": xyz(0.2920, 0.6922, 0.0419), "bXYZ": xyz(0.1571, 0.0666, 0.7841)}
SRGB = {"rXYZ": xyz(0.4361, 0.2225, 0.0139), "gXYZ": xyz(0.3851, 0.7169, 0.0971), "bXYZ": xyz(0.1431, 0.0606, 0.7141)}
CURVES = ("rTRC", "gTRC", "bTRC")
DISPLAY_P3 = profile("RGB ", {**TEXTS, **WHITE, **P3, **dict.fromkeys(CURVES, gamma(2.2))})
SRGB_LIKE = profile("RGB ", {**TEXTS, **WHITE, **SRGB, **dict.fromkeys(CURVES, gamma(1.8))})
GRAY_18 = profile("GRAY", {**TEXTS, **WHITE, "kTRC": gamma(1.8)})


def in_p3(rgb: tuple[int, ...]) -> tuple[int, ...]:
    """A colour of sRGB in the profile above."""
    light = np.array([((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 255 / 12.92 for c in rgb])
    to_p3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
    return tuple(round(255 * v ** (1 / 2.2)) for v in to_p3 @ light)


SRGB_TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])  # of D50


def lab(rgb: tuple[int, ...]) -> list[float]:
    light = np.array([((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 255 / 12.92 for c in rgb])
    x, y, z = (
        v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in SRGB_TO_XYZ @ light / [0.9642, 1, 0.8249]
    )
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


def inked(c: int, m: int, y: int, k: int) -> tuple[int, ...]:
    """The colour in sRGB of solid inks of the profile below: pale ones, other than those of no profile."""
    return tuple(255 - 200 * ink - 55 * k * (1 - ink) * 3 for ink in (c, m, y))


def cmyk_profile() -> bytes:
    grid = []
    for index in range(16):
        light, a, b = lab(inked(*((index >> bit) & 1 for bit in (3, 2, 1, 0))))
        grid += [round(light * 652.8), round((a + 128) * 256), round((b + 128) * 256)]
    unit = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    body = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + struct.pack(">HH", 2, 2)
    ramp = [0, 65535]
    body += struct.pack(">8H", *ramp * 4) + struct.pack(f">{len(grid)}H", *grid) + struct.pack(">6H", *ramp * 3)
    return profile("CMYK", {**TEXTS, **WHITE, "A2B0": body}, kind="prtr", pcs="Lab ")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.avif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_photograph_of_display_p3_is_shown_in_srgb(tmp_path: Path, name: str, mode: str) -> None:
    if mode == "RGBA" and name == "a.jpg":
        pytest.skip("JPEG knows no transparency")
    image = Image.new("RGB", (32, 32), in_p3(RED)).convert(mode)
    if mode == "RGBA":
        image.paste((0, 0, 0, 0), (16, 0, 32, 32))
    image.save(tmp_path / name, icc_profile=DISPLAY_P3, quality=100, **({"lossless": True} if "webp" in name else {}))
    found, told = read(tmp_path / name)
    assert near(levels(found[:, 4:28, 4:12]), RED, 4) and told == []
    if mode == "RGBA":
        assert near(levels(found[:, 4:28, 20:28]), (255, 255, 255))


def test_a_palette_with_a_profile_is_shown_in_srgb(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), in_p3(RED)).quantize(4).save(tmp_path / "a.png", icc_profile=DISPLAY_P3)
    assert near(levels(read(tmp_path / "a.png")[0]), RED, 3)


def test_a_profile_that_is_srgb_changes_no_bit(tmp_path: Path) -> None:
    image = (torch.arange(256).reshape(1, 16, 16).expand(3, 16, 16) / 255).clone()
    array = image.mul(255).byte().movedim(0, -1).numpy()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(array).save(tmp_path / "a.png", icc_profile=srgb)
    assert torch.equal(read(tmp_path / "a.png")[0], image)


def gray_of(level: float, power: float) -> int:
    light = level**power
    return round(255 * (1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("kind", ["L", "LA", "1", "I;16", "F"])
def test_gray_with_a_profile_is_shown_in_srgb(tmp_path: Path, kind: str) -> None:
    if kind == "I;16":
        image = Image.fromarray(np.full((16, 16), 32768, np.uint16))
    elif kind == "F":
        image = Image.fromarray(np.full((16, 16), 0.5, np.float32))
    else:
        image = Image.new("L", (16, 16), 128).convert(kind, dither=Image.Dither.NONE)
    path = tmp_path / ("a.tif" if kind == "F" else "a.png")
    image.save(path, icc_profile=GRAY_18)
    expected = 255 if kind == "1" else gray_of(128 / 255, 1.8)
    found, told = read(path)
    assert near(levels(found), (expected,) * 3) and told == []


def test_gray_with_a_profile_of_three_colours_is_shown_in_srgb(tmp_path: Path) -> None:
    Image.new("L", (16, 16), 128).save(tmp_path / "a.png", icc_profile=SRGB_LIKE)
    assert near(levels(read(tmp_path / "a.png")[0]), (gray_of(128 / 255, 1.8),) * 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 1)])
def test_inks_with_a_profile_are_shown_in_srgb(tmp_path: Path, name: str, inks: tuple[int, ...]) -> None:
    Image.new("CMYK", (16, 16), tuple(255 * ink for ink in inks)).save(
        tmp_path / name, icc_profile=cmyk_profile(), quality=100
    )
    white, black = inked(0, 0, 0, 0), inked(0, 0, 0, 1)
    expected = tuple(min(max(c, 0), 255) for c in inked(*inks))
    found, told = read(tmp_path / name)
    assert near(levels(found), expected, 6) and told == []
    assert white == (255, 255, 255) and black[0] < 100


@pytest.mark.parametrize("bad", [b"no profile at all", DISPLAY_P3[:200], cmyk_profile()])
def test_a_profile_that_does_not_fit_is_told(tmp_path: Path, bad: bytes) -> None:
    Image.new("RGB", (16, 16), RED).save(tmp_path / "a.png", icc_profile=bad)
    found, told = read(tmp_path / "a.png")
    assert levels(found) == list(RED)
    assert len(told) == 1 and "profile" in told[0] and "sRGB" in told[0]


def test_lab_is_shown_in_srgb(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(Image.new("RGB", (16, 16), RED), to_lab).save(tmp_path / "a.tif")
    assert near(levels(read(tmp_path / "a.tif")[0]), RED, 3)


def test_a_camera_that_says_adobe_rgb_in_its_exif_alone_is_believed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    light = np.array([((c / 255 + 0.055) / 1.055) ** 2.4 for c in RED])
    adobe = np.array([[0.7152, 0.2848, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0412, 0.9588]]) @ light
    colour = tuple(round(255 * v ** (1 / 2.2)) for v in adobe)
    Image.new("RGB", (16, 16), colour).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    assert near(levels(read(tmp_path / "a.jpg")[0]), RED, 4)


def chunked(path: Path, name: bytes, body: bytes) -> None:
    """Put a chunk after the header of a PNG."""
    data = path.read_bytes()
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data[:33] + chunk + data[33:])


def test_the_gamma_of_a_png_is_applied(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (55, 55, 55)).save(tmp_path / "a.png")
    chunked(tmp_path / "a.png", b"gAMA", struct.pack(">I", 100_000))  # linear
    assert near(levels(read(tmp_path / "a.png")[0]), (gray_of(55 / 255, 1),) * 3)
    Image.new("RGB", (16, 16), (55, 55, 55)).save(tmp_path / "b.png")
    chunked(tmp_path / "b.png", b"gAMA", struct.pack(">I", 45_455))
    assert levels(read(tmp_path / "b.png")[0]) == [55] * 3


@pytest.mark.parametrize(("transfer", "signal", "name"), [(16, 148, "PQ"), (18, 191, "HLG")])
def test_a_still_of_high_dynamic_range_is_brought_to_that_of_a_screen(
    tmp_path: Path, transfer: int, signal: int, name: str
) -> None:
    Image.new("RGB", (16, 16), (signal,) * 3).save(tmp_path / "a.png")
    chunked(tmp_path / "a.png", b"cICP", bytes([9, transfer, 0, 1]))
    Image.new("RGB", (16, 16), (signal,) * 3).save(tmp_path / "a.avif", quality=100)
    data = (tmp_path / "a.avif").read_bytes()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(data[:place] + struct.pack(">HH", 9, transfer) + data[place + 4 :])
    for file in ("a.png", "a.avif"):
        found, told = read(tmp_path / file)
        assert all(235 <= level <= 250 for level in levels(found))
        assert len(told) == 1 and f"HDR, {name}" in told[0]


def chunk_of_primaries(*values: float) -> bytes:
    return struct.pack(">8I", *(round(100_000 * value) for value in values))


SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_POINTS = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


@pytest.mark.parametrize("gamma_too", [True, False])
def test_the_primaries_of_a_png_are_applied(tmp_path: Path, gamma_too: bool) -> None:
    light = np.array([((c / 255 + 0.055) / 1.055) ** 2.4 for c in RED])
    in_light = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]]) @ light
    power = 1 / 2.4 if gamma_too else None
    shown = in_light**power if power else 1.055 * in_light ** (1 / 2.4) - 0.055
    Image.new("RGB", (16, 16), tuple(round(255 * value) for value in shown)).save(tmp_path / "a.png")
    chunked(tmp_path / "a.png", b"cHRM", chunk_of_primaries(*P3_POINTS))
    if gamma_too:
        chunked(tmp_path / "a.png", b"gAMA", struct.pack(">I", round(100_000 / 2.4)))
    found, told = read(tmp_path / "a.png")
    assert near(levels(found), RED) and told == []


def test_primaries_that_are_those_of_srgb_change_no_bit_and_white_stays_white(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    array = np.stack([ramp, ramp[::-1], ramp.T], -1)
    Image.fromarray(array).save(tmp_path / "a.png")
    chunked(tmp_path / "a.png", b"cHRM", chunk_of_primaries(*SRGB_POINTS))
    assert torch.equal(read(tmp_path / "a.png")[0], torch.from_numpy(array.astype(np.float32) / 255).movedim(-1, 0))
    Image.new("RGB", (16, 16), (255, 255, 255)).save(tmp_path / "b.png")
    chunked(tmp_path / "b.png", b"cHRM", chunk_of_primaries(0.3457, 0.3585, *P3_POINTS[2:]))  # the white of paper
    assert levels(read(tmp_path / "b.png")[0]) == [255] * 3


@pytest.mark.parametrize("points", [(0.3127, 0, *SRGB_POINTS[2:]), (0.3, 0.3) * 4, (20_000.0,) * 8])
def test_primaries_that_are_impossible_are_told(tmp_path: Path, points: tuple[float, ...]) -> None:
    Image.new("RGB", (16, 16), RED).save(tmp_path / "a.png")
    chunked(tmp_path / "a.png", b"cHRM", chunk_of_primaries(*points))
    found, told = read(tmp_path / "a.png")
    assert levels(found) == list(RED) and len(told) == 1 and "cHRM" in told[0]


@pytest.mark.parametrize("other", [b"sRGB", b"iCCP", b"cICP"])
def test_what_comes_before_the_primaries_of_a_png_is_believed(tmp_path: Path, other: bytes) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (16, 16), RED).save(tmp_path / "a.png", icc_profile=srgb if other == b"iCCP" else None)
    chunked(tmp_path / "a.png", b"cHRM", chunk_of_primaries(*P3_POINTS))
    if other != b"iCCP":
        chunked(tmp_path / "a.png", other, b"\0" if other == b"sRGB" else bytes([1, 13, 0, 1]))
    assert levels(read(tmp_path / "a.png")[0]) == list(RED)


# --- depth


def tiff(path: Path, array: np.ndarray, **tags: object) -> Path:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[int(name.removeprefix("t"))] = value
    Image.fromarray(array).save(path, tiffinfo=directory)
    return path


@pytest.mark.parametrize(
    ("array", "tags", "expected", "words"),
    [
        (np.full((8, 8), 0.25, np.float32), {}, 0.25, None),
        (np.full((8, 8), 127.5, np.float32), {}, 0.5, "0 to 255"),
        (np.full((8, 8), 32767.5, np.float32), {}, 0.5, "0 to 65535"),
        (np.full((8, 8), 1.2, np.float32), {}, 1.0, "cut off"),
        (np.full((8, 8), 50.0, np.float32), {"t270": "ImageJ=1.53t\nmin=0.0\nmax=100.0\n"}, 0.5, None),
        (np.full((8, 8), 2048, np.uint16), {"t281": 4095}, 2048 / 4095, None),
        (np.full((8, 8), 2048, np.uint16), {}, 2048 / 65535, "nearly black"),
        (np.full((8, 8), 2**30, np.int32), {}, 2**30 / (2**31 - 1), None),
        (np.full((8, 8), 32768, np.int32), {}, 32768 / 65535, "0 to 65535"),
        (np.full((8, 8), 16384, np.uint16), {"t262": 0}, 1 - 16384 / 65535, None),
        (np.where(np.eye(8), np.nan, 0.5).astype(np.float32), {}, 0.5 * 56 / 64, None),
    ],
)
def test_deep_gray_has_the_range_that_its_file_says(
    tmp_path: Path, array: np.ndarray, tags: dict[str, object], expected: float, words: str | None
) -> None:
    found, told = read(tiff(tmp_path / "a.tif", array, **tags))
    assert float(found.mean()) == pytest.approx(expected, abs=1e-4)
    assert told == [] if words is None else len(told) == 1 and words in told[0]


@pytest.mark.parametrize("array", [np.linspace(-5, 5, 64, dtype=np.float32).reshape(8, 8),
                                   np.full((8, 8), 1e6, np.float32), np.full((8, 8), -3, np.int32)])  # fmt: skip
def test_gray_of_an_unknown_range_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"those of .*a\.tif go from"):
        media.read_image(tiff(tmp_path / "a.tif", array))


# --- ground and direction


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "P of bytes", "LA", "RGBA", "I;16", "RGBa"])
def test_what_is_transparent_is_white_in_every_mode(tmp_path: Path, mode: str) -> None:
    clear: object = 0
    if mode in ("1", "L", "RGB"):
        image = Image.new(mode, (16, 16), 1 if mode == "1" else 90 if mode == "L" else (90, 90, 90))
        image.paste(0, (0, 0, 8, 16))
        clear = (0, 0, 0) if mode == "RGB" else 0
    elif mode.startswith("P"):
        image = Image.new("P", (16, 16), 1)
        image.putpalette([0, 0, 0, 90, 90, 90])
        image.paste(0, (0, 0, 8, 16))
        clear = bytes([0, 255]) if "bytes" in mode else 0
    elif mode == "I;16":
        array = np.full((16, 16), 90 * 257, np.uint16)
        array[:, :8] = 0
        image = Image.fromarray(array)
    else:
        image = Image.new("LA" if mode == "LA" else "RGBA", (16, 16), (90, 255) if mode == "LA" else (90, 90, 90, 255))
        image.paste((0, 0) if mode == "LA" else (0, 0, 0, 0), (0, 0, 8, 16))
    path = tmp_path / ("a.tif" if mode == "RGBa" else "a.png")
    if mode == "RGBa":
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        directory[338] = 1  # multiplied already
        image.save(path, tiffinfo=directory)
    else:
        image.save(path, **({} if mode in ("LA", "RGBA") else {"transparency": clear}))
    found, told = read(path)
    assert bool((found[:, :, :8] == 1).all()) and told == []
    assert near(levels(found[:, :, 8:]), (255,) * 3 if mode == "1" else (90,) * 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "I;16"])
def test_what_is_transparent_is_seen_on_any_ground(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.where(np.arange(256).reshape(16, 16) % 16 < 8, 0, 90 * 257).astype(np.uint16))
    else:
        image = Image.new("RGBA", (16, 16), (90, 90, 90, 255))
        image.paste((0, 0, 0, 0), (0, 0, 8, 16))
        image = image.convert("RGB") if mode == "RGB" else image.convert(mode)
    clear = {"RGB": (0, 0, 0), "I;16": 0}.get(mode)
    image.save(tmp_path / "a.png", **({} if clear is None else {"transparency": clear}))
    found = media.read_image(tmp_path / "a.png", ground=(0.2, 0.4, 0.6))
    assert near(levels(found[:, :, :8]), (51, 102, 153)) and near(levels(found[:, :, 8:]), (90, 90, 90))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif"])
@pytest.mark.parametrize(
    ("orientation", "white"),
    list(enumerate([(0, 0), (0, 1), (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0)], 1)),
)
def test_a_photograph_stands_upright(tmp_path: Path, name: str, orientation: int, white: tuple[int, int]) -> None:
    image = Image.new("RGB", (32, 16), "black")
    image.paste((255, 255, 255), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / name, exif=exif)
    found, told = read(tmp_path / name)
    h, w = (16, 32) if orientation < 5 else (32, 16)
    assert found.shape == (3, h, w) and told == []
    quarters = [[float(found[:, i * h // 2 : (i + 1) * h // 2, j * w // 2 : (j + 1) * w // 2].mean()) for j in (0, 1)]
                for i in (0, 1)]  # fmt: skip
    assert np.unravel_index(np.argmax(quarters), (2, 2)) == white


# --- formats


@pytest.mark.parametrize(
    "name", ["png", "jpg", "JPG", "jfif", "jpe", "webp", "avif", "jp2", "tif", "bmp", "tga", "gif", "ppm", "qoi", "dds"]
)
def test_every_usual_format_is_read_and_its_suffix_known(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (16, 16), RED).save(tmp_path / f"a.{name}")
    assert near(levels(read(tmp_path / f"a.{name}")[0]), RED, 2)
    assert formats.image_files(tmp_path) == ([tmp_path / f"a.{name}"], [])


def test_a_file_of_several_pages_gives_its_first_with_a_word(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (16, 16), (60 * k, 0, 0)) for k in range(3)]
    pages[1].save(tmp_path / "a.tif", save_all=True, append_images=pages[2:])
    found, told = read(tmp_path / "a.tif")
    assert levels(found) == [60, 0, 0] and len(told) == 1 and "2 pictures" in told[0]
    pages[1].save(tmp_path / "a.mpo", save_all=True, append_images=pages[2:])
    assert read(tmp_path / "a.mpo")[1] == []


def test_heif_without_its_plugin_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tuple(name for name in formats.readable_formats() if name != "HEIF")
    monkeypatch.setattr(formats, "readable_formats", lambda: known)
    (tmp_path / "a.HEIC").write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(100))
    for reader in (media.read_image, media.read_sequence):
        with pytest.raises(InputError, match=r"pillow-heif"):
            reader(tmp_path / "a.HEIC")
