"""How much memory a picture takes: photographs of 16 and 100 megapixels in each format, and files that swell.

    python examples/studies/trust/memory.py

Each file is read as `interpolate` reads it, brought to 512 pixels, in a process forked for it. What is told is the
largest memory of that process over what it had, in MB, or why the file is refused. Linux only.
"""

import os
import tempfile
import zlib
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import torch
from PIL import Image

from geodesic_cli import media
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, read_images
from geodesic_cli.runs.observer import Silent

STATUS = Path("/proc/self/status")
PHOTOGRAPHS = {"16 megapixels": (4608, 3456), "100 megapixels": (11_600, 8640)}
KINDS = ("jpg", "progressive.jpg", "png", "tif", "bmp", "sixteen-bits.png", "clear.png", "webp")


def most() -> float:
    """The largest memory of this process since it was last set back, in MB."""
    return int(next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def read(path: Path) -> None:
    """Read a picture as a verb does."""
    Canvas(512, 512, 8).fit(read_images([path], Silent()))


def measured(path: Path) -> str:
    """What reading a file takes, in a process of its own."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        Path("/proc/self/clear_refs").write_text("5")
        before = most()
        try:
            read(path)
            told = f"{most() - before:.0f} MB"
        except InputError as error:
            told = f"{most() - before:.0f} MB, refused: {str(error).replace(str(path), path.name)}"
        os.write(writes, told.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as found:
        told = found.read()
    os.waitpid(child, 0)
    return told or "killed"


def photograph(kind: str, width: int, height: int, path: Path) -> None:
    """A picture of this kind, written in a process of its own."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    across, down = np.arange(width) % 256, (np.arange(height) % 256)[:, None]
    if kind == "sixteen-bits.png":
        image = Image.fromarray(np.broadcast_to(np.arange(width, dtype=np.uint16), (height, width)).copy())
    elif kind == "clear.png":
        image = Image.new("RGBA", (width, height), (1, 2, 3, 99))
    else:
        parts = [np.broadcast_to(part, (height, width)).astype(np.uint8) for part in (across, down, across // 2)]
        image = Image.fromarray(np.stack(parts, -1))
    how: dict[str, Any] = {"progressive": True} if kind.startswith("progressive") else {}
    image.save(path, **how)
    os._exit(0)


def chunk(name: bytes, data: bytes) -> bytes:
    """One of a PNG's parts."""
    return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))


def swelling(folder: Path) -> dict[str, Path]:
    """Small files that could become large ones."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    pixels = zlib.compress(b"\0" * (64 * 3 + 1) * 64)
    body, zeros = chunk(b"IDAT", pixels), zlib.compress(bytes(2**28), 9)
    parts = {
        "one bit, 13,000 x 13,600": b"",
        "a text of 256 MB, packed": head + chunk(b"zTXt", b"a\0\0" + zeros) + body + chunk(b"IEND", b""),
        "1,000 such texts": head + chunk(b"zTXt", b"a\0\0" + zeros) * 1000 + body + chunk(b"IEND", b""),
        "100,000 texts": head
        + b"".join(chunk(b"tEXt", b"k%d\0x" % k) for k in range(100_000))
        + body
        + chunk(b"IEND", b""),
        "a colour profile of 256 MB, packed": head + chunk(b"iCCP", b"a\0\0" + zeros) + body + chunk(b"IEND", b""),
        "its pixels in parts of one byte": head
        + b"".join(chunk(b"IDAT", pixels[k : k + 1]) for k in range(len(pixels)))
        + chunk(b"IEND", b""),
        "256 MB of pixels for 64 x 64": head + chunk(b"IDAT", zeros) + chunk(b"IEND", b""),
    }
    found = {}
    for k, (what, data) in enumerate(parts.items()):
        found[what] = folder / f"{k}.png"
        if data:
            found[what].write_bytes(data)
        else:
            Image.new("1", (13_000, 13_600)).save(found[what])
    return found


def main() -> None:
    """Two tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        media.write_png(torch.zeros(3, 16, 16), folder / "small.png")
        read(folder / "small.png")  # what is loaded once is no cost of a picture
        for what, (width, height) in PHOTOGRAPHS.items():
            for kind in KINDS:
                path = folder / f"a.{kind}"
                photograph(kind, width, height, path)
                print(f"| {what} | {kind} | {path.stat().st_size / 1e6:.1f} MB | {measured(path)} |", flush=True)
                path.unlink()
        for what, path in swelling(folder).items():
            print(f"| PNG | {what} | {path.stat().st_size / 1e3:.0f} kB | {measured(path)} |", flush=True)


if __name__ == "__main__":
    main()
