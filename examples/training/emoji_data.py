"""The pictures behind `emoji-mini`: three sets of emoji from ordinary packages, their names, and moved copies of them.

    npm install --prefix FOLDER @lobehub/fluent-emoji-3d emoji-datasource-google emoji-datasource-twitter

fetches them; `emoji_mini.py data --pictures FOLDER/node_modules` reads them.
Nothing of them is kept in this repository.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

SIDE = 64
CANVAS = 128  # pictures are kept at twice the side, so that a moved copy is still sharp
STYLES = ("3d", "noto", "twemoji")
LEFT_OUT = ("Flags", "Symbols", "Component", "emotion")  # flags, keycaps, signs, skin tones, balloons and the like
VULGAR = ("shit",)
TURN, SHIFT, SMALLEST, LARGEST = 0.2, 0.12, 0.77, 1.05  # of moved copies: radians, half sides, scales


@dataclass(frozen=True)
class Picture:
    """One picture of the sets: what it is called, how it is drawn and where it belongs."""

    code: str
    names: tuple[str, ...]
    style: str
    category: str
    subcategory: str

    @property
    def prompt(self) -> str:
        """What asks for it: its first name and its style."""
        return f"{self.names[0]}, {self.style}"


def words_of(text: str) -> str:
    """Lower case letters and digits with single blanks: the spelling of all captions."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("’", "").replace("'", "")))


def candidates(entry: dict) -> list[str]:
    """The names that one entry of emoji.json may go by, the best first."""
    name = words_of(entry["name"] or entry["short_name"])
    found = [name, *(words_of(short) for short in entry["short_names"])]
    if entry["subcategory"].startswith("animal") or entry["name"] == "ROBOT FACE":
        found.append(name.removesuffix(" face"))
    kept = [n for n in found[1:] if n and not any(c.isdigit() for c in n) and n not in VULGAR]
    return list(dict.fromkeys([name, *kept]))


def catalogue(folder: Path) -> list[Picture]:
    """All pictures that are there in ``folder`` (a node_modules), in the order of emoji.json, style by style."""
    listing = folder / "emoji-datasource-google" / "emoji.json"
    entries = [e for e in json.loads(listing.read_text()) if not {e["category"], e["subcategory"]} & {*LEFT_OUT}]
    entries.sort(key=lambda e: e["sort_order"])
    names = [candidates(e) for e in entries]
    first = {n[0] for n in names}
    uses = Counter(name for n in names for name in n)
    pictures = []
    for style in STYLES:
        for entry, own in zip(entries, names, strict=True):
            if find(folder, entry, style) is not None:
                # A second name counts only where it means one thing: "cat" is the cat, not the cat's face.
                clear = tuple(n for n in own[1:] if uses[n] == 1 and n not in first)
                code = entry["unified"].lower()
                pictures.append(Picture(code, (own[0], *clear), style, entry["category"], entry["subcategory"]))
    return pictures


def find(folder: Path, entry: dict, style: str) -> Path | None:
    """The file of an entry in one style: the packages differ in how they write code points."""
    code = entry["unified"].lower()
    if style == "3d":
        stems = (code, (entry["non_qualified"] or code).lower(), code.replace("-fe0f", ""), code + "-fe0f")
        paths = [folder / "@lobehub" / "fluent-emoji-3d" / "assets" / f"{stem}.webp" for stem in stems]
    else:
        vendor = {"noto": "google", "twemoji": "twitter"}[style]
        paths = [folder / f"emoji-datasource-{vendor}" / "img" / vendor / "64" / entry["image"]]
    return next((path for path in paths if path.exists()), None)


def on_white(path: Path) -> Tensor:
    """A picture on white, 3 x 128 x 128, 8 bits."""
    with Image.open(path) as image:
        picture = image.convert("RGBA")
    sheet = Image.new("RGBA", picture.size, "white")
    sheet.alpha_composite(picture)
    small = sheet.convert("RGB").resize((CANVAS, CANVAS), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)


def prepare(folder: Path, work: Path) -> None:
    """Read every picture of the packages into data.safetensors and its names into pictures.json."""
    listing = folder / "emoji-datasource-google" / "emoji.json"
    entries = {e["unified"].lower(): e for e in json.loads(listing.read_text())}
    pictures = catalogue(folder)
    images = torch.stack([on_white(path) for p in pictures if (path := find(folder, entries[p.code], p.style))])
    save_file({"images": images}, work / "data.safetensors")
    (work / "pictures.json").write_text(json.dumps([asdict(p) for p in pictures]))
    for style in STYLES:
        counts = Counter(p.category for p in pictures if p.style == style)
        print(f"{style}: {sum(counts.values())} pictures", dict(counts), flush=True)


def load(work: Path) -> tuple[Tensor, list[Picture]]:
    """What the data stage left: images and their pictures."""
    records = json.loads((work / "pictures.json").read_text())
    pictures = [Picture(**{**record, "names": tuple(record["names"])}) for record in records]
    return load_file(work / "data.safetensors")["images"], pictures


def chosen(pictures: Sequence[Picture], subjects: Sequence[str]) -> list[int]:
    """Indices of the pictures whose category, subcategory or first name is asked for."""
    wanted = {*subjects}
    return [k for k, p in enumerate(pictures) if {p.category, p.subcategory, p.names[0]} & wanted]


def move(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turned (0.2 rad), shifted (0.12 of half a side), scaled (0.77 to 1.05) and mirrored copies; 64 px, in [-1, 1]."""
    count = len(images)
    draw = torch.rand(count, 5, generator=generator)
    angle, scale = TURN * (2 * draw[:, 0] - 1), SMALLEST + (LARGEST - SMALLEST) * draw[:, 1]
    shift, side = SHIFT * (2 * draw[:, 2:4] - 1), torch.where(draw[:, 4] < 0.5, 1.0, -1.0)
    return place(images, maps(angle, scale, shift, side))


def maps(angle: Tensor, scale: Tensor, shift: Tensor, side: Tensor) -> Tensor:
    """Affine maps of the sampling grid, (n, 2, 3), that turn by an angle (n,), scale, shift by (n, 2) half sides, and
    mirror where the side (n,) is -1."""
    cos, sin = angle.cos() / scale, angle.sin() / scale
    rows = torch.stack([torch.stack([cos * side, -sin * side], 1), torch.stack([sin, cos], 1)], 1)
    return torch.cat([rows, -rows @ shift[:, :, None]], 2)


def upright(images: Tensor) -> Tensor:
    """The pictures where they were drawn, a little smaller so that none touches the edge; 64 px, in [-1, 1]."""
    return place(images, torch.tensor([[1 / 0.9, 0, 0], [0, 1 / 0.9, 0]]).expand(len(images), 2, 3))


def place(images: Tensor, theta: Tensor) -> Tensor:
    """Pictures under affine maps (of the sampling grid), on white."""
    theta = theta.to(images.device)
    ink = 1 - images.float() / 255
    grid = affine_grid(theta, [len(images), 3, CANVAS, CANVAS], align_corners=False)
    return 1 - 2 * avg_pool2d(grid_sample(ink, grid, padding_mode="zeros", align_corners=False), CANVAS // SIDE)


def caption(picture: Picture, draw: Sequence[float]) -> str:
    """One of the captions that a user may type, picked by three numbers in [0, 1); 10% are empty, for guidance."""
    if draw[0] < 0.1:
        return ""
    others = len(picture.names) - 1
    name = picture.names[0]
    if others and draw[1] >= 0.6:
        name = picture.names[1 + math.floor((draw[1] - 0.6) / 0.4 * others)]
    if draw[2] < 0.5:
        name = ("an " if name[0] in "aeiou" else "a ") + name
    return name if draw[0] < 0.35 else f"{name}, {picture.style}"


def vocabulary(pictures: Sequence[Picture]) -> list[str]:
    """Every word of every caption."""
    return sorted({"a", "an", "d", *STYLES[1:], *(w for p in pictures for n in p.names for w in n.split())})
