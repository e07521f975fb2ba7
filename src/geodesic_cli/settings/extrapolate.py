"""The settings of `geodesic extrapolate`."""

from dataclasses import dataclass

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, position, resume_of_a_folder
from geodesic_cli.settings.model import prompt_option

STEPPERS = ("leapfrog", "rk4", "adams-bashforth", "dormand-prince")
PLACES = ("ridge", "flow")
DROP = 0.4
"""Nats a dimension by which log p may fall before a ray is ended, unless --max-drop says otherwise."""


@dataclass(frozen=True)
class ExtrapolateSettings:
    """`geodesic extrapolate`.

    Attributes:
        source: a video, an animation, a folder of frames, or two or more images in their order.
        start: the first frame that is used, a number from 0, or a time such as `1.5s`.
        stop: the frame before which to end, or a time; the continuation begins there.
        stride: every so many frames are used.
        max_frames: at most so many frames are used.
        frames: new frames; fewer where the ray has to end.
        backward: make as many new frames before the first one, too.
        context: frames whose path gives the velocity, at most all.
        order: degree of the polynomial through the last frame that is fitted to the context; its slope there is the
            velocity. `context` - 1 is the one-sided difference of that order, less smooths.
        embedding: `ridge` takes a frame's own encoding, scaled to where noise level tau has it; `flow` carries it there
            by the probability flow, with the noise that the model sees in it.
        tau: noise level whose density guides the ray, a fraction of the schedule in (0, 1].
        guide: how strongly the ray is drawn towards high density: the square of the angle in radians by which it
            swings about a ridge of the density over a distance of sqrt(d), the typical norm of a clean latent.
            alpha = -guide sigma² / d follows. 0 is a straight line; negative bends away, as a geodesic of
            ds = p^(-alpha) |dx| does.
        alpha: the density exponent itself; overrides `guide`. Positive bends away from high density.
        stepper: `leapfrog`, `rk4`, `adams-bashforth` or `dormand-prince`.
        substeps: equal steps a frame; 0 chooses them by how fast the ray bends (`dormand-prince`: by its error).
        max_drop: nats; the ray ends before the first frame whose log density is lower than that of the last known one
            by more. None is 0.4 d.
        prompt: what the frames show; None is nothing.
        target_prompt: what the last new frame shows; the conditioning goes there evenly. None holds the prompt.
        compare: draw the last step repeated in the autoencoder's latents and the last frame repeated on the sheet, too.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        size: `N` or `WIDTHxHEIGHT` in pixels; None is the model's own size.
        steps: with the embedding `flow`, network evaluations to carry a frame up to tau, and about as many to come
            back.
        guidance: classifier-free scale of the density; 1 is the plain conditional density.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`. The geometry computes in float64 where there is one.
        low_memory: keep on the device only the network that is at work, and tile the autoencoder.
        compile: compile the network; it pays on CUDA, from some hundred evaluations on.
        fps: frames a second of the films; None is the sequence's own rate, 8 for images.
        out: the folder of the run; None takes the first free `runs/after-SOURCE`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    source: tuple[str, ...]
    start: str | None = None
    stop: str | None = None
    stride: int = 1
    max_frames: int | None = None
    frames: int = 4
    backward: bool = False
    context: int = 3
    order: int = 2
    embedding: str = "ridge"
    tau: float = 0.1
    guide: float = 30.0
    alpha: float | None = None
    stepper: str = "leapfrog"
    substeps: int = 8
    max_drop: float | None = None
    prompt: str | None = None
    target_prompt: str | None = None
    compare: bool = False
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    size: str | None = None
    steps: int = 12
    guidance: float = 1.0
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    fps: float | None = None
    out: str | None = None
    resume: bool = False
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        return prompt_option(self.prompt)

    def __post_init__(self) -> None:
        if not self.source:
            raise InputError("A sequence is needed; got none.", "Name a video, a folder of frames, or several images.")
        position("start", self.start)
        position("stop", self.stop)
        at_least("stride", self.stride, 1, "1 uses every frame.")
        if self.max_frames is not None:
            at_least("max-frames", self.max_frames, 2, "One frame alone has no direction.")
        at_least("frames", self.frames, 1, "4 new frames are a good start.")
        at_least("context", self.context, 2, "One frame alone has no direction.")
        at_least("order", self.order, 1, "1 is a straight line through the context.")
        if self.order >= self.context:
            raise InputError(
                f"--order {self.order} needs at least {self.order + 1} frames; got --context {self.context}.",
                f"Pass --context {self.order + 1}, or --order {self.context - 1}.",
            )
        one_of("embedding", self.embedding, PLACES)
        between("tau", self.tau, 0, 1, "0.1 is a good start.", open_below=True)
        between("guide", self.guide, -1e6, 1e6, "30 is a good start; 0 is a straight line.")
        if self.alpha is not None:
            between("alpha", self.alpha, -1e6, 1e6, "Or pass --guide, which needs no knowledge of the model.")
        one_of("stepper", self.stepper, STEPPERS)
        at_least("substeps", self.substeps, 0, "8 is a good start; 0 chooses them as the ray bends.")
        if self.max_drop is not None:
            between("max-drop", self.max_drop, 0, 1e9, "0.4 nats a dimension are a good start.", open_below=True)
        at_least("steps", self.steps, 1, "12 keeps an image to a fraction of a gray level.")
        between("guidance", self.guidance, 0, 100, "1 is the plain conditional density.")
        if self.fps is not None:
            between("fps", self.fps, 0.1, 240, "8 shows each frame for an eighth of a second.")
        if self.target_prompt is not None and self.prompt is None:
            raise InputError("--target-prompt needs to know where it starts.", "Pass --prompt, too.")
        resume_of_a_folder(self.resume, self.out)
