"""The settings of `geodesic latent slerp` and `geodesic latent direction`."""

import math
from dataclasses import dataclass

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, resume_of_a_folder, seed_in_range
from geodesic_cli.settings.invert import SCHEMES
from geodesic_cli.settings.model import prompt_option

JOINS = ("slerp", "lerp")
ESTIMATES = ("mean", "svm")


@dataclass(frozen=True)
class SlerpSettings:
    """`geodesic latent slerp`.

    Attributes:
        images: none, or the two image files whose noises are the ends.
        prompt: no prompt, one for the whole path, or one for each end.
        pairs: random pairs of noises, where no images are given.
        method: `slerp`, the great circle, or `lerp`, the straight line.
        compare: draw and measure both.
        frames: exact number of frames, the two ends included.
        tau: noise level at which the ends are joined; 1 is pure noise, and all there is without images.
        steps: network evaluations from noise to a frame, and from an image to noise.
        scheme: `adams`, this program's transport of second order, or `ddim`, uniform steps as published.
        guidance: classifier-free scale of both ways; 1 is the plain conditional density.
        fit: judge every frame by the rendered scene that explains it best. None is true for clevr-mini.
        lpips: measure with LPIPS; needs the extra `metrics` and trained weights.
        metric_weights: folder with the weights of LPIPS; None is the cache of torch.
        size: `N` or `WIDTHxHEIGHT` in pixels; None is the model's own size.
        seed: of the noises.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`.
        low_memory: keep on the device only the network that is at work, and tile the autoencoder.
        compile: compile the network.
        fps: frames a second of the film.
        out: the folder of the run; None takes the first free `runs/slerp`.
        overwrite: replace the run in `out`.
    """

    images: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()
    pairs: int = 4
    method: str = "slerp"
    compare: bool = False
    frames: int = 11
    tau: float = 1.0
    steps: int = 24
    scheme: str = "adams"
    guidance: float = 1.0
    fit: bool = None  # type: ignore[assignment]  # filled in below
    lpips: bool = False
    metric_weights: str | None = None
    size: str | None = None
    seed: int = 0
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    fps: float = 8.0
    out: str | None = None
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        return prompt_option(*self.prompt)

    def __post_init__(self) -> None:
        if self.fit is None:
            object.__setattr__(self, "fit", self.model == "clevr-mini")
        if len(self.images) not in (0, 2):
            raise InputError(
                f"A path in noise joins two images, or noises where none are given; got {len(self.images)}.",
                "Pass the first and the last image, or none and --pairs N.",
            )
        if len(self.prompt) > 2:
            raise InputError(
                f"A path takes at most two prompts; got {len(self.prompt)}.",
                "Pass --prompt once for all of it, or twice, for its ends.",
            )
        if not self.images and self.tau != 1:
            raise InputError(
                f"Random ends are pure noise, which is at tau 1; got {self.tau:g}.", "Pass two images, or --tau 1."
            )
        at_least("pairs", self.pairs, 1, "4 fill a sheet.")
        one_of("method", self.method, JOINS)
        at_least("frames", self.frames, 2, "The two ends are the first and the last frame.")
        between("fps", self.fps, 0.1, 240, "8 shows each frame for an eighth of a second.")
        _check_common(self.tau, self.steps, self.scheme, self.guidance, self.seed)
        if self.metric_weights is not None and not self.lpips:
            raise InputError("--metric-weights are those of LPIPS, which is not asked for.", "Pass --lpips, too.")


@dataclass(frozen=True)
class DirectionSettings:
    """`geodesic latent direction`.

    Attributes:
        source: the label to start from, such as `red`, `cube`, `left`; or one of the labels of `labels`.
        target: the label to go to, such as `blue`, `sphere`, `right`.
        labels: a CSV file with the columns image and label; None renders scenes, which know their labels.
        prompt: what all images show; none as a rule, because the prompt would hold on to what is to change.
        pairs: pairs of scenes, alike but for the label, to find the direction with.
        held_out: images with the first label that the direction is tried on and was not found with.
        strengths: how far to go, in units of the mean distance between the labels along the direction; `A,B,...`.
        estimate: `mean`, the difference of the means, or `svm`, the normal of a linear support vector machine.
        tau: noise level at which the arithmetic is done; 1 is pure noise.
        steps: network evaluations on the way up, and about as many down.
        scheme: `adams`, this program's transport of second order, or `ddim`, uniform steps as published.
        guidance: classifier-free scale of both ways; 1 is the plain conditional density.
        seed: of the scenes, of the choice of held-out images, and of the random directions to compare with.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`.
        low_memory: keep on the device only the network that is at work, and tile the autoencoder.
        compile: compile the network.
        out: the folder of the run; None takes the first free `runs/SOURCE-to-TARGET`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    source: str
    target: str
    labels: str | None = None
    prompt: str = ""
    pairs: int = 64
    held_out: int = 24
    strengths: str = "0.5,1,1.5,2"
    estimate: str = "mean"
    tau: float = 1.0
    steps: int = 24
    scheme: str = "adams"
    guidance: float = 1.0
    seed: int = 0
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    out: str | None = None
    resume: bool = False
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        return prompt_option(self.prompt)

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise InputError(
                f"A direction goes from one label to another; both are {self.source!r}.", "Pass two labels: red blue."
            )
        at_least("pairs", self.pairs, 2, "64 give a steady direction.")
        at_least("held-out", self.held_out, 1, "24 give shares to a few per cent.")
        parse_strengths(self.strengths)
        one_of("estimate", self.estimate, ESTIMATES)
        _check_common(self.tau, self.steps, self.scheme, self.guidance, self.seed)
        resume_of_a_folder(self.resume, self.out)


def parse_strengths(text: str) -> tuple[float, ...]:
    """The strengths of `--strengths A,B,...`.

    Raises:
        InputError: not numbers, or none of them.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(math.isfinite(value) and abs(value) <= 100 for value in values):
        raise InputError(
            f"--strengths takes numbers from -100 to 100 with commas between them; got {text!r}.",
            "Pass --strengths 0,0.5,1,2 for instance.",
        )
    return values


def _check_common(tau: float, steps: int, scheme: str, guidance: float, seed: int) -> None:
    between("tau", tau, 0, 1, "1 is pure noise.", open_below=True)
    at_least("steps", steps, 1, "24 are enough for most images.")
    one_of("scheme", scheme, SCHEMES)
    between("guidance", guidance, 0, 100, "1 is the plain conditional density.")
    seed_in_range(seed)
