"""The settings of `geodesic interpolate`."""

import math
from dataclasses import dataclass, fields

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, resume_of_a_folder, seed_in_range
from geodesic_cli.settings.model import prompt_option

METHODS = ("geodesic", "slerp", "lerp", "global")
PACINGS = ("path", "even", "features", "lpips", "perceptual")
LOCAL_TAU, GLOBAL_TAU, GLOBAL_ALPHA, BEND = 0.4, 0.1, 0.02, 4.0
SEARCHED = ("clevr-mini",)
"""Models on which 50 pairs were compared and the search was the better way to interpolate."""
LOCAL_ONLY = ("bend", "solver", "nodes", "tol", "max_steps")
"""Options of the local solver: who asks for one of them asks for that solver."""
SEARCHABLE = ("conditional", "guided")
"""Densities that a search takes."""
PATH_SOLVERS = ("surrogate", "relaxation")
MODEL_DENSITIES = ("conditional", "unconditional", "guided", "negative", "paper")
TEXT_INVERSIONS = ("none", "quick", "published")
STEPS = 16
"""Steps from one keyframe to the next where neither the frames nor those between are given."""


@dataclass(frozen=True)
class InterpolateSettings:
    """`geodesic interpolate`.

    Attributes:
        images: two or more image files in their order, or one folder, film or GIF whose frames are the keyframes.
        prompt: no prompt, one for all images, or one for each.
        invert_text: textual inversion of each image's embedding from its prompt: `none`, `quick`, or `published` (500
            steps). Kept by the content of image, prompt and model.
        method: `geodesic`, or `slerp` or `lerp` in the same latent space, with the same inversion and decoder; or
            `global`, a search over samples of the model for the path on which things move, at low noise. None is
            `global` between images for the embedded `clevr-mini`, unless something is asked for that only the local
            solver has, and `geodesic` otherwise and in a clip.
        compare: draw lerp, slerp and the geodesic, too, on the contact sheet and in the plot.
        frames: exact number of frames, the keyframes included. None is 16 new steps from each keyframe to the next.
        between: new frames between neighbouring keyframes, in place of `frames`.
        timing: of the legs between keyframes: `even` gives each the same share of the frames, `length` shares in
            proportion to the length of its path, and numbers such as `2,1,1` set them.
        loop: whether the path goes on from the last image to the first; the frame that closes it is not repeated.
        bend: bending number Be = alpha x length x median |tangential score| of the first path; alpha follows from it.
            None is 4, or for `global` its alpha; there 15 to 25 shows motion.
        alpha: the density exponent itself; overrides `bend`. None is 0.02 for `global` without a bend.
        tau: noise level at which the path lives, a fraction of the schedule in (0, 1]. None is 0.4; 0.1 for `global`.
        pool_size: samples of the model that a global search begins with.
        budget: of a global search after its pool, for each leg: network evaluations, or seconds as `60s`; growth stops
            where it runs out. Seconds make the result depend on the machine.
        nodes: nodes of the first path, ends included, and of the path itself under the solver `relaxation`.
        solver: `surrogate`, or `relaxation`, which needs several times the evaluations and no model of the score.
        pacing: `path` takes frames at equal steps along the path, `even` at equal steps in the autoencoder's latents,
            `features` in those of the network's middle block, `lpips` of LPIPS (its package and weights are needed),
            `perceptual` of LPIPS where it is at hand and of the features otherwise.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        size: `N` or `WIDTHxHEIGHT` in pixels, or `same` for that of the images; None is the model's own size. What is
            no multiple of the model's step is padded, and the frames are cropped again.
        steps: network evaluations to carry an image up to tau, and about as many to come back.
        density: whose geodesic it is, see `diffusion.densities`: `conditional` p(x|c), `unconditional` p(x), `guided`
            p(x|c)^g p(x)^(1-g), which also guides the decoder, `negative` p(x|c)^(1+g) / p(x|n)^g, or `paper`, the
            published direction p(x|c) / p(x|n) with its exponent, unless `alpha` is given; `bend` is not used there.
            None is `conditional`, or `guided` with a guidance.
        guidance: g of the densities `guided` and `negative`; 1 is none for the first.
        negative_prompt: n of the densities `negative` and `paper`; None describes the defects of a bad morph.
        noise_bank: noise levels in a band about tau over which the score is averaged, with noise drawn once; 1 is none.
        noise_band: half-width of the band, a fraction of the schedule.
        tol: relative residual of the geodesic equation at which the path counts as solved.
        max_steps: most steps of the solver; each costs 4 score evaluations (with `relaxation` one a node).
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`. The geometry computes in float64 where there is one.
        low_memory: keep on the device only the network that is at work, and tile the autoencoder.
        compile: compile the network; it pays on CUDA, from some hundred evaluations on.
        seed: of the bump of a thousandth of the length that keeps a symmetric start off a saddle.
        fps: frames a second of the films.
        out: the folder of the run; None takes the first free `runs/A-to-B`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    images: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    invert_text: str = "none"
    method: str = None  # type: ignore[assignment]  # filled in below
    compare: bool = False
    frames: int = None  # type: ignore[assignment]  # filled in below
    between: int | None = None
    timing: str = "even"
    loop: bool = False
    bend: float | None = None
    alpha: float | None = None
    tau: float = None  # type: ignore[assignment]  # filled in below
    pool_size: int = 96
    budget: str = "3000"
    nodes: int = 17
    solver: str = "surrogate"
    pacing: str = "even"
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    size: str | None = None
    steps: int = 12
    density: str = None  # type: ignore[assignment]  # filled in below
    guidance: float = 1.0
    negative_prompt: str | None = None
    noise_bank: int = 1
    noise_band: float = 0.1
    tol: float = 0.03
    max_steps: int = 40
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    seed: int = 0
    fps: float = 8.0
    out: str | None = None
    resume: bool = False
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        if self.invert_text != "none":
            return prompt_option(*self.prompt) or ("invert-text", self.invert_text)
        two = self.density in ("guided", "negative", "paper")
        return prompt_option(*self.prompt) or (("density", self.density) if two else None)

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError("An interpolation needs two images; got none.", "Pass the first and the last one.")
        if len(self.prompt) > 2 and len(self.prompt) != len(self.images) and len(self.images) > 1:
            raise InputError(
                f"A path through {len(self.images)} images takes one prompt or {len(self.images)}; "
                f"got {len(self.prompt)}.",
                "Pass --prompt once for all images, or once for each, in their order.",
            )
        one_of("invert-text", self.invert_text, TEXT_INVERSIONS)
        # What a run used is what its manifest shows, so the defaults that depend on others are filled in here.
        if self.method is None:
            object.__setattr__(self, "method", self._best_method())
        one_of("method", self.method, METHODS)
        searched = self.method == "global"
        if self.bend is None and not searched:
            object.__setattr__(self, "bend", BEND)
        if self.bend is None and self.alpha is None:
            object.__setattr__(self, "alpha", GLOBAL_ALPHA)
        if self.tau is None:
            object.__setattr__(self, "tau", GLOBAL_TAU if searched else LOCAL_TAU)
        if self.frames is None and self.between is None and len(self.images) > 1:
            object.__setattr__(self, "frames", STEPS * len(self.images) + (0 if self.loop else 1 - STEPS))
        if self.density is None:
            object.__setattr__(self, "density", "conditional" if self.guidance == 1 else "guided")
        self._check_density()
        at_least("pool-size", self.pool_size, 3, "96 is a good start.")
        parse_budget(self.budget)
        parse_timing(self.timing)
        one_of("pacing", self.pacing, PACINGS)
        one_of("solver", self.solver, PATH_SOLVERS)
        if self.frames is not None:
            at_least("frames", self.frames, 2, "The first and the last image are the first and the last frame.")
            if self.between is not None:
                raise InputError("Either --frames or --between is needed, not both.", "Pass one of them.")
        if self.between is not None:
            at_least("between", self.between, 0, "7 new frames between two keyframes are a good start.")
        at_least("nodes", self.nodes, 5, "17 is enough for most paths.")
        at_least("steps", self.steps, 1, "12 keeps an image to a fraction of a gray level.")
        at_least("max-steps", self.max_steps, 1, "40 is enough up to a bend of about 4.")
        if self.bend is not None:
            between("bend", self.bend, 0, 1000, "0 is slerp; 1 to 4 is useful.")
        if self.alpha is not None:
            between("alpha", self.alpha, 0, 1e6, "0 is slerp; or pass --bend, which needs no knowledge of the model.")
        between("tau", self.tau, 0, 1, "0.4 is a good start.", open_below=True)
        between("tol", self.tol, 0, 1, "0.03 is a good start.", open_below=True)
        between("guidance", self.guidance, 0, 100, "1 is the plain conditional density.")
        between("fps", self.fps, 0.1, 240, "8 shows each frame for an eighth of a second.")
        seed_in_range(self.seed)
        resume_of_a_folder(self.resume, self.out)

    def legs(self, keyframes: int) -> int:
        """How many legs there are between so many images."""
        return keyframes if self.loop else keyframes - 1

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods to find paths by: those to compare with, and the one that is drawn."""
        return tuple(dict.fromkeys([*(("lerp", "slerp", "geodesic") if self.compare else ()), self.method]))

    @property
    def transport_guidance(self) -> float:
        """The classifier-free scale with which images are carried to tau and back."""
        return self.guidance if self.density == "guided" else 1.0

    def _best_method(self) -> str:
        asked = any(getattr(self, field.name) != field.default for field in fields(self) if field.name in LOCAL_ONLY)
        able = self.noise_bank == 1 and self.density in (None, *SEARCHABLE)
        far = len(self.images) > 1  # neighbours in a clip are near, and there may be hundreds
        return "global" if self.model in SEARCHED and far and able and not asked else "geodesic"

    def _check_density(self) -> None:
        one_of("density", self.density, MODEL_DENSITIES)
        if self.guidance != 1 and self.density not in ("guided", "negative"):
            raise InputError(
                f"The density {self.density} has no guidance; got --guidance {self.guidance:g}.",
                "Pass --density guided or negative, or leave out --guidance.",
            )
        if self.negative_prompt is not None and self.density not in ("negative", "paper"):
            raise InputError(
                f"The density {self.density} has no negative prompt; got {self.negative_prompt!r}.",
                "Pass --density negative, or leave out --negative-prompt.",
            )
        at_least("noise-bank", self.noise_bank, 1, "1 is no averaging; 4 is a good start.")
        between("noise-band", self.noise_band, 0, 0.5, "0.1 is the published one.")
        if self.noise_bank > 1 and not self.noise_band < min(self.tau, 1 - self.tau):
            raise InputError(
                f"The noise levels of a bank lie above 0 and below 1; tau {self.tau:g} and --noise-band "
                f"{self.noise_band:g} leave that.",
                f"Pass --noise-band below {min(self.tau, 1 - self.tau):g}.",
            )
        if self.method == "global" and (self.noise_bank > 1 or self.density not in SEARCHABLE):
            raise InputError(
                "A global search takes the densities conditional and guided without a noise bank; got "
                f"--density {self.density} --noise-bank {self.noise_bank}.",
                "Pass --method geodesic for the others.",
            )


def parse_budget(text: str) -> tuple[int | None, float | None]:
    """The evaluations and the seconds of a budget such as `3000` or `60s`; one of them is None.

    Raises:
        InputError: neither a whole number of evaluations nor a number of seconds, at least 0.
    """
    number, seconds = (text[:-1], True) if text.endswith("s") else (text, False)
    try:
        value = float(number) if seconds else int(number)
    except ValueError:
        value = -1
    if not 0 <= value < math.inf:
        raise InputError(
            f"--budget takes a number of network evaluations, or of seconds with an s; got {text!r}.",
            "3000 is a good start, or 60s; 0 lets nothing grow.",
        )
    return (None, value) if seconds else (int(value), None)


def parse_timing(text: str) -> tuple[float, ...] | None:
    """The shares of a timing such as `2,1,1`; None for `even` and `length`.

    Raises:
        InputError: neither of the words nor positive numbers.
    """
    if text in ("even", "length"):
        return None
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if not shares or not all(0 < share < math.inf for share in shares):
        raise InputError(
            f"--timing is even, length, or one positive number for each leg such as 2,1,1; got {text!r}.",
            "A leg goes from one image to the next.",
        )
    return shares
