"""The settings of every verb: the one place of each default, and the checks that need nothing but the values.

A field is called like the option, like the key in a config file and like the entry in the manifest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_type_hints

from geodesic_cli.errors import InputError

METHODS = ("geodesic", "slerp", "lerp", "global")
PACINGS = ("path", "even")
LOCAL_TAU, GLOBAL_TAU, GLOBAL_ALPHA = 0.4, 0.1, 0.02
PATH_SOLVERS = ("surrogate", "relaxation")
DENSITIES = ("ring", "banana", "moons")
PROBLEMS = ("closed", "mixture", "high", "noisy", "clevr")
SOLVERS = ("surrogate", "relaxation", "gradient-flow", "gradient-flow-tuned", "scipy")

Kind = TypeVar("Kind")
"""The settings of one verb."""


@dataclass(frozen=True)
class InterpolateSettings:
    """`geodesic interpolate`.

    Attributes:
        images: the two image files.
        prompt: no prompt, one for both images, or one for each.
        method: `geodesic`, or `slerp` or `lerp` in the same latent space, with the same inversion and decoder; or
            `global`, a search over samples of the model for the path on which things move, at low noise.
        compare: draw all three methods on the contact sheet and in the plot.
        frames: exact number of frames, the two ends included.
        bend: bending number Be = alpha x length x median |tangential score| of the first path; alpha follows from it.
        alpha: the density exponent itself; overrides `bend`. None is 0.02 for `global`, which takes no bend.
        tau: noise level at which the path lives, a fraction of the schedule in (0, 1]. None is 0.4; 0.1 for `global`.
        pool_size: samples of the model that a global search begins with.
        budget: network evaluations of a global search after its pool; growth stops where they run out.
        nodes: nodes of the first path, ends included, and of the path itself under the solver `relaxation`.
        solver: `surrogate`, or `relaxation`, which needs several times the evaluations and no model of the score.
        pacing: `path` takes frames at equal steps along the path, `even` at equal steps in the autoencoder's latents.
        model: alias, folder in diffusers' layout, or Hub id.
        size: `N` or `WIDTHxHEIGHT` in pixels; None is the model's own size.
        steps: network evaluations to carry an image up to tau, and about as many to come back.
        guidance: classifier-free scale of the density and of the decoder; 1 is the plain conditional density.
        tol: relative residual of the geodesic equation at which the path counts as solved.
        max_steps: most steps of the solver; each costs 4 score evaluations (with `relaxation` one a node).
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`. The geometry computes in float64 where there is one.
        seed: of the bump of a thousandth of the length that keeps a symmetric start off a saddle.
        fps: frames a second of the films.
        out: the folder of the run; None takes the first free `runs/A-to-B`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    images: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    method: str = "geodesic"
    compare: bool = False
    frames: int = 17
    bend: float = 4.0
    alpha: float | None = None
    tau: float = None  # type: ignore[assignment]  # filled in below
    pool_size: int = 96
    budget: int = 3000
    nodes: int = 17
    solver: str = "surrogate"
    pacing: str = "even"
    model: str = "clevr-mini"
    size: str | None = None
    steps: int = 12
    guidance: float = 1.0
    tol: float = 0.03
    max_steps: int = 40
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    fps: float = 8.0
    out: str | None = None
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if len(self.images) != 2:
            raise InputError(
                f"An interpolation needs two images; got {len(self.images)}.", "Pass the first and the last one."
            )
        if len(self.prompt) > 2:
            raise InputError(
                f"A path between two images takes at most two prompts; got {len(self.prompt)}.",
                "Pass --prompt once for both images, or twice, in their order.",
            )
        _one_of("method", self.method, METHODS)
        searched = self.method == "global"
        # What a run used is what its manifest shows, so the defaults that depend on the method are filled in here.
        if self.tau is None:
            object.__setattr__(self, "tau", GLOBAL_TAU if searched else LOCAL_TAU)
        if searched and self.alpha is None:
            object.__setattr__(self, "alpha", GLOBAL_ALPHA)
        _at_least("pool-size", self.pool_size, 3, "96 is a good start.")
        _at_least("budget", self.budget, 0, "3000 is a good start; 0 lets nothing grow.")
        _one_of("pacing", self.pacing, PACINGS)
        _one_of("solver", self.solver, PATH_SOLVERS)
        _at_least("frames", self.frames, 2, "The two images are the first and the last frame.")
        _at_least("nodes", self.nodes, 5, "17 is enough for most paths.")
        _at_least("steps", self.steps, 1, "12 keeps an image to a fraction of a gray level.")
        _at_least("max-steps", self.max_steps, 1, "40 is enough up to a bend of about 4.")
        _between("bend", self.bend, 0, 1000, "0 is slerp; 1 to 4 is useful.")
        if self.alpha is not None:
            _between("alpha", self.alpha, 0, 1e6, "0 is slerp; or pass --bend, which needs no knowledge of the model.")
        _between("tau", self.tau, 0, 1, "0.4 is a good start.", open_below=True)
        _between("tol", self.tol, 0, 1, "0.03 is a good start.", open_below=True)
        _between("guidance", self.guidance, 0, 100, "1 is the plain conditional density.")
        _between("fps", self.fps, 0.1, 240, "8 shows each frame for an eighth of a second.")
        _between("seed", self.seed, 0, 2**63 - 1, "Any whole number in this range is as good as any other.")
        if self.resume and self.out is None:
            raise InputError("--resume needs the folder of the run to go on with.", "Pass --out FOLDER.")


@dataclass(frozen=True)
class ToySettings:
    """`geodesic toy`.

    Attributes:
        density: a density in the plane by its name.
        points: a file of points whose fitted density takes the place of the named one.
        a: where the path begins, `X,Y`; None is the density's own choice.
        b: where it ends.
        bend: bending number Be = alpha x length x median |normal score| of the straight line; alpha follows from it.
        alpha: the density exponent itself; overrides `bend`.
        nodes: nodes of the path, ends included.
        tol: relative residual of the geodesic equation at which the path counts as solved.
        max_steps: most steps of the solver.
        rays: how many geodesics to shoot from A, in a fan about the direction in which the path leaves.
        components: most Gaussians in the mixture that is fitted to points; how many it takes is chosen by BIC.
        seed: of the bump that keeps a symmetric start off a saddle, and of the fit to points.
        gif: draw the film, too.
        out: the folder of the run; None takes the first free `runs/toy-NAME`.
        overwrite: replace the run in `out`.
    """

    density: str = "ring"
    points: str | None = None
    a: str | None = None
    b: str | None = None
    bend: float = 4.0
    alpha: float | None = None
    nodes: int = 33
    tol: float = 0.01
    max_steps: int = 60
    rays: int = 11
    components: int = 24
    seed: int = 0
    gif: bool = True
    out: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.density not in DENSITIES:
            near = get_close_matches(self.density, DENSITIES, n=1)
            raise InputError(
                f"The densities are {', '.join(DENSITIES)}; got {self.density!r}.",
                f"Did you mean {near[0]!r}?" if near else "For a density of your own pass --points FILE.",
            )
        for name, text in (("a", self.a), ("b", self.b)):
            if text is not None:
                parse_point(name, text)
        _between("bend", self.bend, 0, 1000, "0 is the straight line; 2 to 10 is useful.")
        if self.alpha is not None:
            _between("alpha", self.alpha, 0, 100, "0 is the straight line; 1 is ds = |dx| / p.")
        _at_least("nodes", self.nodes, 5, "33 is enough for most paths.")
        _between("tol", self.tol, 0, 1, "0.01 is a good start.", open_below=True)
        _at_least("max-steps", self.max_steps, 1, "60 is enough for most paths.")
        _between("rays", self.rays, 0, 200, "0 draws none.")
        _between("components", self.components, 1, 100, "24 is enough for most shapes.")
        _between("seed", self.seed, 0, 2**63 - 1, "Any whole number in this range is as good as any other.")


@dataclass(frozen=True)
class BenchSettings:
    """`geodesic bench solver`.

    Attributes:
        problems: groups of problems.
        solvers: names of solvers.
        tol: relative residual at which a solver may stop.
        seed: of the noise, and of the scenes.
        model: of the group clevr: alias, folder in diffusers' layout, or Hub id.
        pairs: of rendered scenes in the group clevr.
        out: a folder for the table and the JSON; None writes nothing.
        overwrite: replace the run in `out`.
    """

    problems: tuple[str, ...] = ("closed", "mixture", "high", "noisy")
    solvers: tuple[str, ...] = SOLVERS
    tol: float = 0.03
    seed: int = 0
    model: str = "clevr-mini"
    pairs: int = 3
    out: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for option, values, allowed in (("problems", self.problems, PROBLEMS), ("solvers", self.solvers, SOLVERS)):
            if not values:
                raise InputError(f"--{option} needs at least one of {', '.join(allowed)}; got none.", "Name one.")
            for value in values:
                _one_of(option, value, allowed)
        _between("tol", self.tol, 0, 1, "0.03 is a good start.", open_below=True)
        _between("seed", self.seed, 0, 2**63 - 1, "Any whole number in this range is as good as any other.")
        _at_least("pairs", self.pairs, 1, "3 take a few minutes.")


def parse_point(name: str, text: str) -> tuple[float, float]:
    """The point of `--a X,Y` or `--b X,Y`.

    Raises:
        InputError: not two finite numbers.
    """
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(f"--{name} takes two numbers X,Y; got {text!r}.", f"Pass --{name} 1.5,-2 for instance.")
    return x, y


def from_mapping(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """The settings of a verb, given their class, from a mapping such as a parsed config file.

    Raises:
        InputError: a key that no option has, with the nearest one that exists; a value of the wrong kind.
    """
    types = get_type_hints(kind)
    for key in values:
        if key not in types:
            near = get_close_matches(key, types, n=1)
            raise InputError(
                f"There is no setting {key!r}.",
                f"Did you mean {near[0]!r}?" if near else f"The settings are {', '.join(sorted(types))}.",
            )
    return kind(**{key: _converted(key, types[key], value) for key, value in values.items()})


def from_options(kind: type[Kind], verb: str, options: Mapping[str, Any], fixed: Mapping[str, Any]) -> Kind:
    """The settings of a verb called as a function: what it was given under ``options``, and what is ``fixed``.

    Raises:
        InputError: an option that the function does not have.
    """
    free = set(get_type_hints(kind)) - {"out", "resume", "overwrite"} - set(fixed)
    unknown = sorted(set(options) - free)
    if unknown:
        raise InputError(f"{verb}() has no option {unknown[0]!r}.", f"Its options are {', '.join(sorted(free))}.")
    return kind(**options, **fixed)


def _converted(key: str, kind: Any, value: Any) -> Any:
    """A value of a config file as its field holds it: one text is a list of one, a whole number is a number."""
    if kind == tuple[str, ...]:
        texts = (value,) if isinstance(value, str) else value
        if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    elif isinstance(value, bool) == (kind is bool):
        if isinstance(value, kind):
            return value
        if isinstance(value, int) and kind in (float, float | None):
            return float(value)
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    wanted = next((text for plain, text in words.items() if plain == kind or kind == (plain | None)), "a list of texts")
    raise InputError(f"The setting {key} is {wanted}; got {value!r}.")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = get_close_matches(value, allowed, n=1)
        raise InputError(
            f"--{name} is one of {', '.join(allowed)}; got {value!r}.", f"Did you mean {near[0]!r}?" if near else ""
        )


def _at_least(name: str, value: int, least: int, hint: str) -> None:
    if value < least:
        raise InputError(f"--{name} needs at least {least}; got {value}.", hint)


def _between(name: str, value: float, low: float, high: float, hint: str, open_below: bool = False) -> None:
    inside = math.isfinite(value) and (low < value if open_below else low <= value) and value <= high
    if not inside:
        bound = f"above {low:g} and up to {high:g}" if open_below else f"from {low:g} to {high:g}"
        raise InputError(f"--{name} takes numbers {bound}; got {value:g}.", hint)
