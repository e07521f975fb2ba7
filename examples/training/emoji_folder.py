"""The pictures of `emoji-mini`'s subjects as a folder with captions, for `geodesic finetune --data` and the studies.

    python examples/training/emoji_folder.py --work .work --out emoji-pictures

needs the work folder of `emoji_mini.py`, where its data stage left the pictures. Each is 64 x 64, upright on white;
metadata.jsonl has the captions. Nothing of it belongs into this repository.
"""

import argparse
import json
from pathlib import Path

from emoji_data import chosen, load, upright
from emoji_names import NAMES

from geodesic_cli.media import write_png


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".work"), help="where the data stage left the pictures")
    parser.add_argument("--out", type=Path, default=Path("emoji-pictures"))
    asked = parser.parse_args()
    images, pictures = load(asked.work)
    index = chosen(pictures, NAMES)
    asked.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for image, k in zip(upright(images[index]) / 2 + 0.5, index, strict=True):
        caption = pictures[k].prompt
        name = f"{caption.replace(', ', '-').replace(' ', '-')}.png"
        write_png(image, asked.out / name)
        rows.append(json.dumps({"file_name": name, "text": caption}))
    (asked.out / "metadata.jsonl").write_text("\n".join(rows) + "\n")
    print(f"{len(rows)} pictures in {asked.out}")


if __name__ == "__main__":
    main()
