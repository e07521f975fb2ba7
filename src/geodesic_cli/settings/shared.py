"""What several verbs have: the groups that are the same in all of them, and single options."""

import re
from dataclasses import fields
from functools import partial
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.settings.option import ANY, MODEL, RUN, AtLeast, Between, choice_opt, opt, option_of, record

text_embedding_opt = partial(opt, (), "A word's vectors: FILE, FILE:WORD.", MODEL)
GROUNDS = {"white": "#ffffff", "black": "#000000"}
CROP, PAD = FITS = ("crop", "pad")
"""How images of another shape come to that of the frames."""
BEND = 4.0
"""How far paths leave straight lines, unless somebody says otherwise: the same in any dimension."""


@record()
class DeviceOptions:
    """Where it computes."""

    device: str = opt("auto", "auto, cpu, cuda, cuda:1 or mps.", MODEL)


@record()
class PlainModelOptions(DeviceOptions):
    """Which model, and where it computes; in full precision."""

    model: str = opt("clevr-mini", "An alias (see geodesic models), folder, .safetensors file or Hub id.")
    revision: str | None = opt(None, "Branch, tag or commit of a Hub id.", MODEL)
    variant: str | None = opt(None, "Of the weight files, such as fp16.", MODEL)
    lora: tuple[str, ...] = opt((), "An adapter, PATH or PATH:WEIGHT.", MODEL)
    vae: str | None = opt(None, "Other autoencoder: PATH or Hub id.", MODEL)
    text_embedding: tuple[str, ...] = text_embedding_opt(flags=("--embedding",))

    @property
    def text_option(self) -> tuple[str, str] | None:
        """Name and value of the first option that is set and means nothing to a model without text."""
        for each in fields(self):
            value, of_text = getattr(self, each.name), option_of(each).text
            for one in value if isinstance(value, tuple) else (value,):
                if of_text is not None and of_text(one):
                    return each.name.replace("_", "-"), one
        return None

    @property
    def dtype(self) -> str:
        """Of the networks."""
        return "fp32"

    @property
    def low_memory(self) -> bool:
        """Whether only the network at work is on the device."""
        return False

    @property
    def compile(self) -> bool:
        """Whether the network is compiled."""
        return False


@record(model="revision variant lora vae text_embedding device dtype low_memory compile")
class ModelOptions(PlainModelOptions):
    """Which model, and how it computes."""

    dtype: str = opt("auto", "auto, fp32, fp16 or bf16.", MODEL)
    low_memory: bool = opt(False, "Offload idle networks; tile the autoencoder.", MODEL)
    compile: bool = opt(False, "Compile the network; pays on CUDA for long runs.", MODEL)


@record()
class FolderOptions:
    """The folder of a run."""

    out: str | None = opt(None, "Folder of the run. Default: a free one in runs/.")
    overwrite: bool = opt(False, "Replace the run in --out; other files there stay.", RUN)


@record(out="resume")
class RunOptions(FolderOptions):
    """The folder of a run that can go on where it was interrupted."""

    resume: bool = opt(False, "Go on with a run: --resume FOLDER.", RUN)


def position(name: str, value: str) -> None:
    """Refuse what is neither the number of a frame nor a time in seconds: `12` or `1.5s`."""
    if re.fullmatch(r"\s*([0-9]{1,9}|([0-9]*\.?[0-9]+|[0-9]+\.)\s*s)\s*", value) is None:
        raise InputError(
            f"--{name} takes the number of a frame or a time in seconds; got {value!r}.", "Write 12 or 1.5s."
        )


def ground_of(text: str) -> tuple[float, float, float]:
    """The red, green and blue in [0, 1] of a background such as `black` or `#20a0ff`.

    Raises:
        InputError: neither `white`, `black` nor a colour of six or three digits.
    """
    digits = GROUNDS.get(text.strip().lower(), text.strip()).removeprefix("#")
    if re.fullmatch(r"(?:[0-9a-fA-F]{3}){1,2}", digits) is None:
        raise InputError(
            f"--background takes white, black or a colour such as #20a0ff; got {text!r}.",
            "The digits are red, green and blue, from 00 to ff.",
        )
    pairs = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    red, green, blue = (int(pairs[k : k + 2], 16) / 255 for k in (0, 2, 4))
    return red, green, blue


def background(name: str, value: str) -> None:
    """Refuse what is no background."""
    ground_of(value)


fit_opt = partial(choice_opt, "crop", FITS, rest=" (whole, on the background).", panel=MODEL)
background_opt = partial(
    opt, "white", help="Behind what is transparent: white, black, #rrggbb.", panel=MODEL, check=background
)
place_opt = partial(opt, None, panel="Clip", check=position, metavar="N|Ns")


@record()
class ClipOptions:
    """Which frames of a clip are used."""

    start: str | None = place_opt("First frame, 12 or 1.5s.")
    stop: str | None = place_opt("Frame or time before which to end.")
    stride: int = opt(1, "Take every n-th frame.", "Clip", AtLeast(1, "1 uses every frame.", ANY))
    max_frames: int | None = opt(
        None, "Most frames to take.", "Clip", AtLeast(2, "One frame alone has no direction.", ANY)
    )
    background: str = background_opt(panel="Clip")


prompt_opt = partial(opt, (), help="What the images show; once for all or for each.", text=bool)
size_opt = partial(opt, None, help="N or WIDTHxHEIGHT in pixels. Default: the model's own.", panel=MODEL)
seed_opt = partial(
    opt, 0, panel=RUN, check=Between(0, 2**63 - 1, "Any whole number in this range is as good as any other.")
)
steps_opt = partial(opt, check=AtLeast(1, "12 keeps an image to a fraction of a gray level."))
guidance_opt = partial(
    opt, 1.0, help="Classifier-free guidance; 1 is none.", check=Between(0, 100, "1 is the plain conditional density.")
)
fps_opt = partial(
    opt, help="Frames a second of the films.", check=Between(0.1, 240, "8 shows each frame for an eighth of a second.")
)

against_opt = partial(opt, None, metavar="MODEL")
against_lora_opt = partial(opt, (), "An adapter of the second model; may be repeated.", MODEL)

LPIPS_EXTRA = "Needs pip install 'geodesic-cli[metrics]' and trained weights."
metric_weights_opt = partial(
    opt, None, help="Folder with the weights of LPIPS. Default: the cache of torch.", metavar="FOLDER"
)


def resume_of_a_folder(run: RunOptions) -> None:
    """Refuse to go on with a run that is not named."""
    if run.resume and run.out is None:
        raise InputError("--resume needs the folder of the run to go on with.", "Pass --resume FOLDER.")


def weights_of_lpips(lpips: bool, folder: str | None) -> None:
    """Refuse weights for a measure that is not asked for."""
    if folder is not None and not lpips:
        raise InputError("--metric-weights are those of LPIPS, which is not asked for.", "Pass --lpips, too.")


def lora_of_a_second(against: str | None, against_lora: tuple[str, ...]) -> None:
    """Refuse an adapter of a second model where there is none."""
    if against is None and against_lora:
        raise InputError(
            "--against-lora needs the model that it adapts.", "Pass --against MODEL, which may be the first one."
        )


def captions_opt(panel: str) -> Any:
    """The list that prompts are read from."""
    help_ = "Prompts: the likeliest lines of FILE, or own."
    return opt(None, help_, panel, text=lambda value: value is not None)


def prompts_or_captions(prompts: tuple[str, ...], captions: str | None) -> None:
    """Refuse prompts beside a list that they would be read from."""
    if captions is not None and prompts:
        raise InputError(
            "Either --prompt or --captions is needed, not both.", "Leave --captions out where you know the prompts."
        )


def prompts_for(images: int, prompts: tuple[str, ...]) -> None:
    """Refuse a number of prompts that is not none, one for all images, or one for each."""
    if len(prompts) not in (0, 1, images):
        takes = "1 image takes no prompt or one" if images == 1 else f"{images} images take no prompt, one, or {images}"
        raise InputError(
            f"{takes}; got {len(prompts)}.", "Pass --prompt once for all images, or once for each, in their order."
        )
