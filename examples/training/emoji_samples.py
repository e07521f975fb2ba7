"""Make the sample pictures for `emoji-mini`, examples/images/emoji, from the packages that it was trained on.

    python examples/training/emoji_samples.py --pictures FOLDER/node_modules

Each is 256 x 256 on white, with the margin that the model knows. Noto's and Twemoji's pictures have 64 pixels in their
packages, and are enlarged. What each shows is in its metadata, and its licence in CREDITS.md beside it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from emoji_data import catalogue, find
from PIL import Image

from geodesic_cli.media import write_png

SIDE, MARGIN = 256, 0.9
PAIRS = (
    ("cat face, 3d", "dog face, 3d"),
    ("full moon with face, 3d", "grinning face, 3d"),
    ("red apple, 3d", "pear, 3d"),
    ("bus, 3d", "automobile, 3d"),
    ("slightly smiling face, 3d", "crying face, 3d"),
    ("hamburger, 3d", "hamburger, noto"),
    ("tulip, 3d", "rose, 3d"),
    ("panda face, 3d", "bear face, 3d"),
    ("soccer ball, 3d", "basketball and hoop, 3d"),
    ("evergreen tree, 3d", "christmas tree, 3d"),
    ("blue heart, 3d", "heavy black heart, 3d"),
    ("penguin, 3d", "penguin, twemoji"),
)


def on_white(path: Path) -> torch.Tensor:
    """A picture on white with its margin, (3, SIDE, SIDE) in [0, 1]."""
    inner = round(SIDE * MARGIN)
    with Image.open(path) as image:
        small = image.convert("RGBA").resize((inner, inner), Image.Resampling.LANCZOS)
    sheet = Image.new("RGBA", (SIDE, SIDE), "white")
    sheet.alpha_composite(small, ((SIDE - inner) // 2,) * 2)
    return torch.from_numpy(np.asarray(sheet.convert("RGB")).copy()).permute(2, 0, 1) / 255


def main() -> None:
    """Write one PNG for each picture of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, default=Path("node_modules"), help="where npm put the packages")
    folder = parser.parse_args().pictures
    listing = folder / "emoji-datasource-google" / "emoji.json"
    entries = {e["unified"].lower(): e for e in json.loads(listing.read_text())}
    known = {p.prompt: p for p in catalogue(folder)}
    out = Path(__file__).parents[1] / "images" / "emoji"
    out.mkdir(exist_ok=True)
    for caption in dict.fromkeys(caption for pair in PAIRS for caption in pair):
        picture = known[caption]
        path = find(folder, entries[picture.code], picture.style)
        assert path is not None  # the catalogue lists what is there
        write_png(on_white(path), out / f"{caption.replace(', ', '-').replace(' ', '-')}.png", {"caption": caption})


if __name__ == "__main__":
    main()
