"""Prompts read from the images: for each image the likeliest of given captions, asked of the model once.

Between images without prompts a path wanders over everything that the model draws: the object changes its look on the
way and back. With a prompt for each image it keeps the look of one of the two.
"""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.tuning.likeliest import evaluations_to_choose, likeliest
from geodesic_cli.errors import InputError
from geodesic_cli.runs.cache import remember_tensors, remembered_tensors
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.settings.kinship import ASSETS, kin_of

OWN, OWN_FILE = "own", "captions.txt"
"""The word for the captions that a model brings along, and the file in its folder that holds them."""
MOST_CAPTIONS = 10_000


def captions_in(named: str, model: str) -> tuple[str, ...]:
    """The captions of a file, one a line, each once; or, for OWN, those of a model, or of the one it was made from.

    Raises:
        InputError: there are none, or more than MOST_CAPTIONS.
    """
    if named == OWN:
        places = (Path(model).expanduser() / OWN_FILE, ASSETS / kin_of(model) / OWN_FILE)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise InputError(
                f"{model} brings no captions along.", "Pass --captions FILE with a caption on each line, or --prompt."
            )
    else:
        path = Path(named).expanduser()
    try:
        text = media.read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{named} cannot be read as a text of captions: {getattr(error, 'strerror', None) or error}.",
            f"Pass a text file with a caption on each line, or {OWN}.",
        ) from error
    lines = dict.fromkeys(line.strip() for line in text.splitlines())
    lines.pop("", None)
    if not 0 < len(lines) <= MOST_CAPTIONS:
        raise InputError(
            f"A file of captions needs 1 to {MOST_CAPTIONS:,} lines; {path.name} has {len(lines):,}.",
            "Write one caption a line.",
        )
    return tuple(lines)


def prompts_read(
    model: LatentDiffusion,
    images: Tensor,
    captions: tuple[str, ...],
    *,
    seed: int = 0,
    folder: Path | None = None,
    observer: Observer | None = None,
) -> tuple[str, ...]:
    """The likeliest caption of each image.

    Args:
        images: (n, 3, h, w) in [0, 1], at the size of the run.
        captions: to choose from.
        seed: of the noise under which they are compared.
        folder: where choices are kept, for example `cache_folder(TEXTS)`; None keeps nothing.
        observer: told of every image.
    """
    watch, each = observer or Silent(), evaluations_to_choose(len(captions))
    watch.stage("Reading captions", each * len(images))
    about = f"captions 1 {model.fingerprint} {tuple(images.shape[1:])} {seed}\n".encode() + "\n".join(captions).encode()
    chosen: list[str] = []
    embedded: list[Embedding] = []
    for image, z in zip(images, model.codec.encode(images), strict=True):
        pixels = image.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
        path = None if folder is None else folder / f"{hashlib.sha256(about + pixels).hexdigest()}.safetensors"
        kept = (remembered_tensors(path) or {}).get("caption")
        number = -1 if kept is None or kept.numel() != 1 else int(kept)
        if not 0 <= number < len(captions):
            embedded = embedded or [model.prompts.embed(one) for one in captions]
            number = likeliest(model.predict, z, embedded, seed=seed)
            remember_tensors(path, {"caption": torch.tensor(number)})
        chosen.append(captions[number])
        watch.advance(each, chosen[-1])
    return tuple(chosen)
