"""The settings of `geodesic interpolate`."""

import math
from dataclasses import fields
from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.kinship import kin_of
from geodesic_cli.settings.methods import COMPARED_WITH, METHODS, NO_METHODS, SEARCHED, method_called, methods_called
from geodesic_cli.settings.option import (
    ANY,
    RUN,
    AtLeast,
    Between,
    OneOf,
    above,
    checked,
    choice_opt,
    did_you_mean,
    opt,
    record,
)

PACINGS = ("path", "even", "features", "lpips", "perceptual")
LOCAL_TAU, GLOBAL_TAU = 0.4, 0.1
AUTHORS_TAU = 0.6
"""The noise level of the authors of density geodesics, for `published`."""
LOCAL_ONLY = ("bend", "solver", "nodes", "tol", "max_steps")
"""Options of the local solver: who asks for one of them asks for that solver."""
SEARCHABLE = ("conditional", "guided")
"""Densities that a search takes."""
PATH_SOLVERS = ("surrogate", "relaxation", "published")
MODEL_DENSITIES = ("conditional", "unconditional", "guided", "negative", "paper")
TEXT_INVERSIONS = ("none", "quick", "published")
FILMS = ("mp4", "gif", "webm", "webp", "apng")
EASE = "ease"
STEPS = 16
"""Steps from one keyframe to the next where neither the frames nor those between are given."""
PATH, DENSITY, SEARCH, SOLVER = "Path", "Density", "Search (--method global)", "Solver (--method geodesic)"


def _method(given: Any) -> str:
    default = {field.name: field.default for field in fields(InterpolateSettings)}
    asked = any(getattr(given, name) != default[name] for name in LOCAL_ONLY)
    able = given.noise_bank == 1 and given.density in (None, *SEARCHABLE)
    far = len(given.images) > 1  # neighbours in a clip are near, and there may be hundreds
    return "global" if kin_of(given.model) in SEARCHED and far and able and not asked else "geodesic"


def _density(given: Any) -> str:
    if given.guidance != 1:
        return "guided"
    return "paper" if "published" in (given.solver, given.method) else "conditional"


def _tau(given: Any) -> float:
    return {"global": GLOBAL_TAU, "published": AUTHORS_TAU}.get(given.method, LOCAL_TAU)


def _frames(given: Any) -> int | None:
    if given.between is not None or len(given.images) < 2:
        return None
    return STEPS * len(given.images) + (0 if given.loop else 1 - STEPS)


@record(
    pacing="model revision variant lora size fit background steps density guidance negative_prompt noise_bank "
    "noise_band",
    noise_band="tol max_steps",
    max_steps="device dtype low_memory compile seed fps formats force",
    lora="vae text_embedding",
)
class InterpolateSettings(shared.ModelOptions, shared.RunOptions):
    """`geodesic interpolate`."""

    images: tuple[str, ...] = opt(
        (), "Two or more images, or one film, GIF or folder.", argument=True, metavar="A B..."
    )
    prompt: tuple[str, ...] = shared.prompt_opt()
    invert_text: str = opt(
        "none",
        f"Fit each image's text embedding to it: {', '.join(TEXT_INVERSIONS)}.",
        PATH,
        OneOf(TEXT_INVERSIONS),
        text=lambda value: value != "none",
    )
    captions: str | None = shared.captions_opt(PATH)
    method: str = choice_opt(
        None,
        METHODS,
        ". Default: geodesic; for clevr-mini global, but in a clip or with --bend.",
        by=_method,
        read=method_called,
        text=lambda value: value == "published",
    )
    compare: str = opt(
        NO_METHODS,
        f"Methods to draw beside it, as a,b; alone {COMPARED_WITH}.",
        alone=COMPARED_WITH,
        read=methods_called,
        text=lambda value: "published" in value.split(","),
    )
    frames: int | None = opt(
        None,
        f"Exact number. Default: {STEPS} steps from image to image.",
        check=AtLeast(2, "The first and the last image are the first and the last frame."),
        by=_frames,
    )
    between: int | None = opt(
        None,
        "New frames between images, in place of --frames.",
        PATH,
        AtLeast(0, "7 new frames between two keyframes are a good start."),
    )
    timing: str = opt("even", "Shares of frames: even, length, ease (slow in and out), or as 2,1,1.", PATH)
    loop: bool = opt(False, "Go on from the last image to the first.")
    # The bending number Be = alpha x length x median |tangential score| of the first path; alpha follows from it.
    bend: float | None = opt(
        None,
        "How far the path leaves the great circle: 0 not at all, 1 to 4 useful, 15 to 25 for global. Default: 4.",
        PATH,
        Between(0, 1000, "0 is the great circle; 1 to 4 is useful."),
        by=lambda given: None if given.method == "global" else shared.BEND,
    )
    alpha: float | None = opt(
        None,
        "The exponent in ds = p^(-alpha) |dx|; overrides --bend. Default for global: 5.12 / dimension.",
        PATH,
        Between(0, 1e6, "0 is the great circle; or pass --bend, which needs no knowledge of the model."),
    )
    tau: float = opt(
        None,
        f"Noise level, 0 (clean) to 1 (noise). Default: {LOCAL_TAU}; global {GLOBAL_TAU}, published {AUTHORS_TAU}.",
        PATH,
        above(0, 1, "0.4 is a good start."),
        by=_tau,
    )
    pool_size: int = opt(96, "Samples of the model to begin with.", SEARCH, AtLeast(3, "96 is a good start."))
    # Growth stops where it runs out. Seconds make the result depend on the machine.
    budget: str = opt("3000", "Evaluations after them, or seconds: 60s.", SEARCH)
    nodes: int = opt(17, "Nodes of the first path.", SOLVER, AtLeast(5, "17 is enough for most paths."))
    # Relaxation needs several times the evaluations and no model of the score. `published` is that of the authors, with
    # their direction, exponent and learning rate, all converted to a score.
    solver: str = choice_opt("surrogate", PATH_SOLVERS, "; the last with --density paper.", panel=SOLVER)
    # Equal steps along the path; in the autoencoder's latents (even); in the features of the network's middle block; of
    # LPIPS, whose package and weights are needed; of LPIPS where it is at hand and of the features otherwise.
    pacing: str = opt("even", f"Equal steps of: {', '.join(PACINGS)}.", PATH, OneOf(PACINGS))
    # What is no multiple of the model's step is padded, and the frames are cropped again.
    size: str | None = shared.size_opt(
        help="N, WIDTHxHEIGHT, same or native. Default: the images' shape, the model's area."
    )
    fit: str = shared.fit_opt()
    background: str = shared.background_opt()
    force: bool = opt(False, "Go on with images that the model cannot draw.", RUN)
    steps: int = shared.steps_opt(12, "Evaluations to tau; fewer back.", PATH)
    # See `diffusion.densities`; `paper` is the published direction with its exponent, unless alpha is given.
    density: str = opt(
        None,
        f"Whose geodesic: one of {', '.join(MODEL_DENSITIES)}. Default: conditional; guided with --guidance.",
        DENSITY,
        OneOf(MODEL_DENSITIES),
        text=lambda value: value in ("guided", "negative", "paper"),
        by=_density,
    )
    guidance: float = shared.guidance_opt(help="Of the densities guided and negative; 1 is none.", panel=DENSITY)
    negative_prompt: str | None = opt(
        None, "Of the densities negative and paper. Default: the defects of a bad morph.", DENSITY
    )
    noise_bank: int = opt(
        1, "Noise levels in the score's mean.", DENSITY, AtLeast(1, "1 is no averaging; 4 is a good start.")
    )
    noise_band: float = opt(0.1, "Half-width of their band.", DENSITY, Between(0, 0.5, "0.1 is the published one."))
    tol: float = opt(0.03, "Relative residual to solve to.", SOLVER, above(0, 1, "0.03 is a good start."))
    # Each step costs 4 score evaluations, with `relaxation` one a node.
    max_steps: int = opt(40, "Most steps of the solver.", SOLVER, AtLeast(1, "40 is enough up to a bend of about 4."))
    formats: str = opt("mp4,gif", f"Films to write, of {', '.join(FILMS)}.", PATH)
    seed: int = shared.seed_opt("Of the small bump that the first path gets.")
    fps: float = shared.fps_opt(8.0, panel=PATH)

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError("An interpolation needs two images; got none.", "Pass the first and the last one.")
        if len(self.prompt) > 2 and len(self.prompt) != len(self.images) and len(self.images) > 1:
            raise InputError(
                f"A path through {len(self.images)} images takes one prompt or {len(self.images)}; "
                f"got {len(self.prompt)}.",
                "Pass --prompt once for all images, or once for each, in their order.",
            )
        shared.prompts_or_captions(self.prompt, self.captions)
        checked(self)
        self._check_density()
        parse_budget(self.budget)
        parse_timing(self.timing)
        parse_formats(self.formats)
        if self.frames is not None and self.between is not None:
            raise InputError("Either --frames or --between is needed, not both.", "Pass one of them.")
        shared.resume_of_a_folder(self)

    def legs(self, keyframes: int) -> int:
        """How many legs there are between so many images."""
        return keyframes if self.loop else keyframes - 1

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods to find paths by, each once: those to compare with, and the one that is drawn."""
        return tuple(dict.fromkeys([*(() if self.compare == NO_METHODS else self.compare.split(",")), self.method]))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of films that are written."""
        return parse_formats(self.formats)

    @property
    def transport_guidance(self) -> float:
        """The classifier-free scale with which images are carried to tau and back."""
        return self.guidance if self.density == "guided" else 1.0

    def _check_density(self) -> None:
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
        if self.noise_bank > 1 and not self.noise_band < min(self.tau, 1 - self.tau):
            raise InputError(
                f"The noise levels of a bank lie above 0 and below 1; tau {self.tau:g} and --noise-band "
                f"{self.noise_band:g} leave that.",
                f"Pass --noise-band below {min(self.tau, 1 - self.tau):g}.",
            )
        if "global" in self.methods and (self.noise_bank > 1 or self.density not in SEARCHABLE):
            raise InputError(
                "A global search takes the densities conditional and guided without a noise bank; got "
                f"--density {self.density} --noise-bank {self.noise_bank}.",
                "Pass --method geodesic for the others, and leave global out of --compare.",
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
    if not 0 <= value <= ANY:
        raise InputError(
            f"--budget takes up to {ANY} network evaluations, or as many seconds with an s; got {text!r}.",
            "3000 is a good start, or 60s; 0 lets nothing grow.",
        )
    return (None, value) if seconds else (int(value), None)


def parse_formats(text: str) -> tuple[str, ...]:
    """The kinds of films of a text such as `mp4,webm`, each once; of `none` nothing.

    Raises:
        InputError: a kind that is not written.
    """
    kinds = tuple(dict.fromkeys(word.strip().lower().removeprefix(".") for word in text.split(",")))
    if kinds == ("none",):
        return ()
    for kind in kinds:
        if kind not in FILMS:
            raise InputError(
                f"--formats takes kinds of films of {', '.join(FILMS)} with commas between, or none; got {text!r}.",
                did_you_mean(kind, FILMS, "mp4,gif is what is written without it."),
            )
    return kinds


def parse_timing(text: str) -> tuple[float, ...] | None:
    """The shares of a timing such as `2,1,1`; None for `even`, `length` and `ease`.

    Raises:
        InputError: neither of the words nor positive numbers.
    """
    if text in ("even", "length", EASE):
        return None
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if not shares or not all(0 < share < math.inf for share in shares):
        raise InputError(
            f"--timing is even, length, ease, or a number for each stretch between images, as 2,1,1; got {text!r}.",
            "Three images have two stretches: --timing 2,1 for instance.",
        )
    return shares
