"""Options that several verbs share: one name, one kind, one sentence of help. Each verb gives its own default."""

from functools import partial
from typing import Annotated

import typer

option = partial(typer.Option, show_envvar=False)

Prompt = Annotated[
    list[str] | None,
    option(
        help="What the images show; once for all, or once for each, in their order. Default: nothing.",
        allow_from_autoenv=False,  # a variable would be split at its blanks
    ),
]
Model = Annotated[
    str, option(help="An alias (see geodesic models), a folder in diffusers' layout, a .safetensors file, or a Hub id.")
]
Revision = Annotated[str | None, option(help="Branch, tag or commit of a Hub id.")]
Variant = Annotated[str | None, option(help="Of the weight files, such as fp16.")]
Lora = Annotated[
    list[str] | None,
    option(help="An adapter, PATH or PATH:WEIGHT; may be given several times.", allow_from_autoenv=False),
]
Device = Annotated[str, option(help="auto, cpu, cuda, cuda:1 or mps.")]
Dtype = Annotated[str, option(help="Of the networks: auto, fp32, fp16 or bf16.")]
LowMemory = Annotated[
    bool, option("--low-memory", help="Keep only the network at work on the device; tile the autoencoder.")
]
Compile = Annotated[bool, option("--compile", help="Compile the network; pays on CUDA for long runs.")]
Size = Annotated[str | None, option(help="N or WIDTHxHEIGHT in pixels. Default: the model's own size.")]
Fps = Annotated[float, option(help="Frames a second of the films.")]
Out = Annotated[str | None, option(help="Folder for the results. Default: a free one below runs/.")]
Resume = Annotated[bool, option("--resume", help="Go on with the run in --out.")]
Overwrite = Annotated[bool, option("--overwrite", help="Replace the run in --out; other files there stay.")]
AsJson = Annotated[bool, option("--json", help="Print one JSON object instead of a table.")]
Start = Annotated[str | None, option(metavar="N|Ns", help="Where in the clip to begin: a frame, 12, or a time, 1.5s.")]
Stop = Annotated[str | None, option(metavar="N|Ns", help="Where in the clip to end, this frame or time left out.")]
Stride = Annotated[int, option(help="Take every n-th frame of the clip.")]
MaxFrames = Annotated[int | None, option(help="Take so many frames of the clip at most.")]
