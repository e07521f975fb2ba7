"""What a model descends from, as its own folder says: defaults that were measured on a model hold for tuned ones, too.

geodesic.json in the folder of a model names the embedded model that it was made from. `geodesic finetune` copies it.
"""

import json
from contextlib import suppress
from pathlib import Path

KINSHIP = "geodesic.json"
ASSETS = Path(__file__).parent.parent / "assets"


def kin_of(model: str) -> str:
    """The embedded model that a model is, or was made from; its own name where it says nothing."""
    for folder in (Path(model).expanduser(), ASSETS / model):
        with suppress(OSError, ValueError, AttributeError, RecursionError):
            found = json.loads((folder / KINSHIP).read_text("utf-8")).get("of")
            if isinstance(found, str):
                return found
    return model
