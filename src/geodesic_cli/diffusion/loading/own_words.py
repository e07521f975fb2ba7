"""Words of one's own in a text encoder: files of textual inversion (Gal et al., ICLR 2023).

A word is one vector or several, of the width of the encoder's tokens. Every trainer has its own spelling of a file:

    emb_params                  one tensor, of Stable Diffusion 1 and 2
    string_to_param.*           the same, as it was in the pickles of the first front end; also `*` alone
    <the word>                  the same, as diffusers writes it: the key is the word
    clip_l, clip_g              two tensors, one for each text encoder of Stable Diffusion XL

The word is what the user says (`FILE:WORD`), else diffusers' key, else what the header calls it, else the file's name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from geodesic_cli.diffusion.loading.accounts import counted
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.errors import ModelError

ONE = r"emb_params|string_to_param([./].*)?|\*"
"""Keys of the one tensor, where they say nothing else."""
OF_ENCODERS = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}
"""Keys of Stable Diffusion XL's two tensors -> the encoders."""
PASSED = r"string_to_token([./].*)?|step|sd_checkpoint.*"
"""Keys that stand beside them and are no vectors."""
CALLED = ("token", "trigger_word", "name")
"""What a header may call the word."""
CONVERT = (
    'Convert it once: python -c "import sys, torch, safetensors.torch as files; '
    "held = torch.load(sys.argv[1], map_location='cpu', weights_only=True); "
    "held = held.get('string_to_param', held); "
    "held = {{k: v.detach().contiguous() for k, v in held.items() if hasattr(v, 'detach')}}; "
    "open(sys.argv[1].rsplit('.', 1)[0] + '.safetensors', 'wb').write(files.save(held))\" {}"
)


@dataclass(frozen=True, eq=False)
class OwnWord:
    """A word and its vectors.

    Args:
        word: as it stands in a prompt.
        vectors: (k, width) by the names of the encoders.
    """

    word: str
    vectors: Mapping[str, Tensor]


def read_word(text: str, widths: Mapping[str, int]) -> OwnWord:
    """The word of `FILE` or `FILE:WORD`.

    Args:
        text: it.
        widths: of the model's text encoders, by their names.

    Raises:
        ModelError: there is no such file, it is no embedding, or one for another kind of model.
    """
    path, word = _parsed(text)
    if path.suffix.lower() in (".pt", ".bin", ".ckpt", ".pth"):
        raise ModelError(
            f"The embedding {path} is a pickle, which can run code, and only .safetensors files are read.",
            CONVERT.format(path),
        )
    if not path.is_file() or path.suffix.lower() != ".safetensors":
        what = "is no .safetensors file" if path.exists() else "is not there"
        raise ModelError(f"The embedding {path} {what}.", "Pass --embedding FILE.safetensors or FILE.safetensors:WORD.")
    with reading(f"The embedding {path} could not be read", "Fetch it again."):
        held, header = _held(path)
    vectors, key = _vectors(held, path, widths)
    found = word or key or next((header[name] for name in CALLED if header.get(name, "").strip()), path.stem)
    return OwnWord(found.strip(), vectors)


def _parsed(text: str) -> tuple[Path, str]:
    path, colon, word = text.rpartition(":")
    if not colon or not path or not word.strip() or "/" in word or "\\" in word or Path(text).expanduser().is_file():
        return Path(text.removesuffix(":")).expanduser(), ""  # a colon of the path itself
    return Path(path).expanduser(), word.strip()


def _held(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, "pt") as file:
        header = dict(file.metadata() or {})
    held = {key: tensor for key, tensor in load_file(path).items() if not re.fullmatch(PASSED, key)}
    return {key: tensor[None] if tensor.ndim == 1 else tensor for key, tensor in held.items()}, header


def _vectors(held: Mapping[str, Tensor], path: Path, widths: Mapping[str, int]) -> tuple[dict[str, Tensor], str]:
    """Of each encoder, and diffusers' word."""
    kind = f"{len(widths)} text encoder{'s' if len(widths) > 1 else ''} of width {', '.join(map(str, widths.values()))}"
    advice = "Pass an embedding that was trained on a model of its kind."
    if held and held.keys() <= OF_ENCODERS.keys():
        found, key = {OF_ENCODERS[name]: tensor for name, tensor in held.items()}, ""
    elif len(held) == 1:
        ((key, tensor),) = held.items()
        found, key = {"text_encoder": tensor}, "" if re.fullmatch(ONE, key) else key
    else:
        raise ModelError(
            f"The file {path} is no embedding that is known: {counted(sorted(held), 'tensor')} in it.",
            "Pass one of Stable Diffusion 1, 2 or XL; an adapter is passed to --lora.",
        )
    if found.keys() != widths.keys():
        raise ModelError(
            f"The embedding {path} holds vectors for {' and '.join(sorted(found))}, and this model has {kind}.",
            advice,
        )
    for name, tensor in found.items():
        if tensor.ndim != 2 or not tensor.is_floating_point() or not len(tensor):
            raise ModelError(f"The embedding {path} is no row of vectors: {tuple(tensor.shape)}.", advice)
        if tensor.shape[1] != widths[name]:
            raise ModelError(
                f"The embedding {path} has vectors of width {tensor.shape[1]}, and this model has {kind}.", advice
            )
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"The embedding {path} holds NaN or infinity.", "Fetch it again.")
    if len({len(tensor) for tensor in found.values()}) > 1:
        raise ModelError(f"The embedding {path} has another number of vectors for each text encoder.", advice)
    return found, key
