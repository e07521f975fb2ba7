"""From a name to a model: find its files, read its parts, wire them.

The embedded `clevr-mini` takes the same path as Stable Diffusion: it is a folder in diffusers' layout.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from geodesic_cli.diffusion import families
from geodesic_cli.diffusion.batching import Chunks
from geodesic_cli.diffusion.holding import Hold
from geodesic_cli.diffusion.latents import LOW_TILE, TILE, LatentCodec, tile_above
from geodesic_cli.diffusion.loading import lora as adapters
from geodesic_cli.diffusion.loading.accounts import first_call
from geodesic_cli.diffusion.loading.boundary import reading
from geodesic_cli.diffusion.loading.devices import compiled, pick_device, pick_dtype
from geodesic_cli.diffusion.loading.libraries import set_aside
from geodesic_cli.diffusion.loading.locate import family, find_model
from geodesic_cli.diffusion.loading.offload import Offloaded, Seat
from geodesic_cli.diffusion.loading.own_words import read_word
from geodesic_cli.diffusion.loading.parts import Parts, read_parts, require_supported
from geodesic_cli.diffusion.loading.single_file import read_file
from geodesic_cli.diffusion.loading.unconditional import kind_of, load_unconditional
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.prompts import (
    Join,
    PromptEncoder,
    ThreeEncoders,
    clip_and_t5,
    last_states,
    two_encoders,
)
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.diffusion.text_reader import TextReader
from geodesic_cli.errors import InputError, ModelError

LOW_BATCH = 4
"""Latents that go through the network at once, at most, where memory is low."""
TEXT_ONLY = {
    "vae": ("Another autoencoder is for models with text; {name} has none.", "Leave --vae out."),
    "embedding": ("Embeddings are words of a prompt; {name} takes none.", "Leave --embedding out."),
    "prompt": ("{name} takes no prompt; got {value!r}.", "Leave --prompt out."),
    "invert-text": ("{name} has no text to fit; got --invert-text {value}.", "Leave --invert-text out."),
    "method": ("The method {value} compares two prompts, and {name} takes none.", "Pass --method geodesic."),
    "compare": ("The method published compares two prompts, and {name} takes none.", "Leave it out of --compare."),
    "density": ("The density {value} compares two prompts, and {name} takes none.", "Pass --density conditional."),
}
"""Options that mean nothing to a model without text -> what is said of one that is set, and what to do."""
IN_PARTS = ("sd", "sdxl")
"""Families whose networks read text of any length, all of it by CLIP."""
ASK = {
    "sd": families.unet,
    "sdxl": families.unet_with_size,
    "sd3": families.transformer,
    "flux": families.packed_transformer,
}


@dataclass(frozen=True)
class ModelFiles:
    """What is read for a model.

    Args:
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`; parts without it are read from their plain weights.
        lora: adapters, `PATH` or `PATH:WEIGHT`; they are merged into the weights.
        vae: an autoencoder in the place of the model's own: a folder, a .safetensors file, or a Hub id.
        embedding: words of one's own, `FILE` or `FILE:WORD`.
    """

    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    vae: str | None = None
    embedding: tuple[str, ...] = ()


class FilesOfModel(TypedDict, total=False):
    """The same as keywords."""

    revision: str | None
    variant: str | None
    lora: tuple[str, ...]
    vae: str | None
    embedding: tuple[str, ...]


def load(
    name: str = "clevr-mini",
    device: str = "auto",
    dtype: str = "auto",
    *,
    low_memory: bool = False,
    compile: bool = False,
    **chosen: Unpack[FilesOfModel],
) -> LatentDiffusion:
    """Load a diffusion model, with text or without.

    Args:
        name: an alias of `aliases.ALIASES`, a folder in diffusers' layout, a single .safetensors file, or a Hub id.
        device: see `devices.pick_device`.
        dtype: see `devices.pick_dtype`.
        low_memory: keep only the part at work on the device, and tile the autoencoder earlier.
        compile: compile the network at its first call.
        chosen: which files are read: `revision`, `variant`, `lora`, `vae` and `embedding` of `ModelFiles`.

    Raises:
        ModelError: nothing of that name is here or reachable, a part is missing, or the kind is not supported.
        InputError: the device or dtype cannot be had, or an autoencoder or words are given and the model
            has no text.
    """
    with reading(f"The model {name!r} could not be read"):
        return _loaded(name, device, dtype, low_memory, compile, ModelFiles(**chosen))


def _loaded(name: str, device: str, dtype: str, low_memory: bool, compile: bool, files: ModelFiles) -> LatentDiffusion:
    set_aside()
    for option, value in (("vae", files.vae), ("embedding", files.embedding)):
        if value:
            require_text(name, option, value[0])
    changed = [adapters.parse(text) for text in files.lora]
    if not (files.vae or files.embedding) and kind_of(name) != "text":
        model = load_unconditional(name, device, dtype)
        for path, weight in changed:
            adapters.apply(model.predict.unet, path, weight)
        return model
    where = pick_device(device)
    place = find_model(name, files.revision, files.variant, spared=("vae",) if files.vae else ())
    single = place.path.is_file()
    precision = pick_dtype(dtype, where, "" if single else family(place.path))
    if single:
        parts = read_file(place.path, name, precision, vae=files.vae)
    else:
        parts = read_parts(place.path, name, precision, files.variant, files.vae)
    require_supported(parts, name)
    for path, weight in changed:
        adapters.apply(parts.network, path, weight, parts.encoders)
    model = wire(parts, name, where, precision, low_memory=low_memory, folder=place.path, embedding=files.embedding)
    replaced = (("vae",) if files.vae else ()) + (tuple(parts.encoders) if files.lora else ())
    model = replace(model, replaced=replaced)
    first_call(model)
    if not compile:
        return model
    return replace(model, predict=replace(model.predict, unet=compiled(model.predict.unet, where)))


def require_text(name: str, option: str, value: str) -> None:
    """Refuse an option of `TEXT_ONLY`, set to a value, where the model of that name has no text.

    Raises:
        InputError: it has none.
    """
    if kind_of(name) != "text":
        sentence, advice = TEXT_ONLY[option]
        raise InputError(sentence.format(name=name, value=value), advice)


def wire(
    parts: Parts,
    name: str,
    device: torch.device,
    precision: torch.dtype,
    *,
    low_memory: bool = False,
    folder: Path | None = None,
    embedding: tuple[str, ...] = (),
) -> LatentDiffusion:
    """Put the parts of a model on a device and together."""
    seat = Seat(device) if low_memory and device.type != "cpu" else None

    def placed(part: Any, dtype: torch.dtype) -> Any:
        part = part.to(dtype).eval().requires_grad_(False)
        if device.type == "cuda" and any(weight.ndim == 4 for weight in part.parameters()):
            part = part.to(memory_format=torch.channels_last)  # what convolutions in half precision are fastest in
        return part.to(device) if seat is None else Offloaded(part, seat)

    # The autoencoder of SDXL overflows in fp16; its authors say so in its configuration.
    fragile = parts.family == "sdxl" and precision == torch.float16 and parts.vae.config.get("force_upcast", True)
    network = placed(parts.network, precision)
    tile_above(parts.vae, LOW_TILE if low_memory else TILE)
    codec = LatentCodec(
        placed(parts.vae, torch.float32 if fragile else precision),
        pixels=LOW_TILE**2 if low_memory else 2**20,
        multiple=2 if parts.family in ("sd3", "flux") else 1,
        most=2 * int(parts.network.config.pos_embed_max_size) if parts.family == "sd3" else None,
    )
    words = _words(parts, embedding)
    readers = [
        TextReader(tokenizer, placed(encoder, precision), in_parts=parts.family in IN_PARTS, words=words.get(part, {}))
        for tokenizer, (part, encoder) in zip(parts.tokenizers, parts.encoders.items(), strict=True)
    ]
    return LatentDiffusion(
        codec=codec,
        prompts=PromptEncoder(_lengths(parts, readers), _join(parts), parts.zero_null),
        predict=NoisePredictor(
            network,
            parts.schedule,
            parts.prediction,
            Chunks(LOW_BATCH) if low_memory else Chunks(),
            parts.noise.around(ASK[parts.family]),
            _hold(parts),
        ),
        image_size=codec.downsampling * _side(parts),
        name=name,
        folder=folder,
    )


def _hold(parts: Parts) -> Hold | None:
    """Diffusers' own pipelines with text turn `clip_sample` off: latents lie in no fixed range."""
    hold = parts.noise.hold
    return None if hold is None or hold.quantile is None else hold


def _words(parts: Parts, embedding: tuple[str, ...]) -> dict[str, dict[str, Tensor]]:
    """Encoder -> word of one's own, in lower case -> its vectors."""
    if embedding and parts.family not in IN_PARTS:
        raise ModelError(
            f"Embeddings are read for Stable Diffusion 1, 2 and XL; this model is of the family {parts.family}.",
            "Leave --embedding out.",
        )
    widths = {name: int(encoder.get_input_embeddings().weight.shape[1]) for name, encoder in parts.encoders.items()}
    found: dict[str, dict[str, Tensor]] = {name: {} for name in parts.encoders}
    for text in embedding:
        read = read_word(text, widths)
        for name, vectors in read.vectors.items():
            if read.word.lower() in found[name]:
                raise InputError(
                    f"Two embeddings have the word {read.word!r}.", f"Pass --embedding {text}:ANOTHER_WORD."
                )
            found[name][read.word.lower()] = vectors
    return found


def _side(parts: Parts) -> int:
    size = parts.network.config.get("sample_size")
    if size is None:  # Flux does not say
        return 128
    return int(size if isinstance(size, int) else size[0])


def _join(parts: Parts) -> Join:
    if parts.family == "sd3":
        return ThreeEncoders(int(parts.network.config.joint_attention_dim))
    return {"sd": last_states, "sdxl": two_encoders, "flux": clip_and_t5}[parts.family]


def _lengths(parts: Parts, readers: list[TextReader]) -> tuple[TextReader, ...]:
    """How many tokens each reader reads: as many as its encoder has places for, and its tokenizer says.

    T5 takes prompts of any length; its networks were trained with these.
    """
    at = {"sd3": 2, "flux": 1}.get(parts.family)
    length = {"sd3": 256, "flux": 512}.get(parts.family)
    return tuple(replace(reader, length=length if k == at else _places(reader)) for k, reader in enumerate(readers))


def _places(reader: TextReader) -> int:
    """Many older tokenizers do not say their length, which transformers then takes for endless."""
    places = int(reader.encoder.config.max_position_embeddings)
    return min(places, reader.tokenizer.model_max_length)
