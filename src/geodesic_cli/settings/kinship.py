"""What a model descends from, as its own folder says: defaults that were measured on a model hold for tuned ones, too.

geodesic.json in the folder of a model names the embedded model that it was made from. `geodesic finetune` copies it.
"""

import json
from contextlib import suppress
from pathlib import Path

KINSHIP = "geodesic.json"
ASSETS = Path(__file__).parent.parent / "assets"
EMBEDDED = ("clevr-mini", "emoji-mini", "scenes-ddpm")
"""Models that are part of the package: they are small, and learn at a rate that would break a large one."""
OF_SCENES = ("clevr-mini", "scenes-ddpm")
"""Those that draw rendered scenes: they can be tuned and measured on new ones."""


def kin_of(model: str) -> str:
    """The embedded model that a model is, or was made from; its own name where it says nothing."""
    for folder in (Path(model).expanduser(), ASSETS / model):
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            found = json.loads((folder / KINSHIP).read_text("utf-8")).get("of")
            if isinstance(found, str):
                return found
    return model


def draws_scenes(model: str) -> bool:
    """Whether a model is one of rendered scenes, or was made from one."""
    return kin_of(model) in OF_SCENES
