"""The settings of `geodesic isometry`."""

from dataclasses import dataclass

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, seed_in_range
from geodesic_cli.settings.model import prompt_option

JACOBIANS = ("auto", "exact", "projected")
OWN_SAMPLES, SCENES_DATA = "samples", "scenes"


@dataclass(frozen=True)
class IsometrySettings:
    """`geodesic isometry`.

    The networks run in fp32, and their derivatives in float64 where the device has it; there is no choice of precision.

    Attributes:
        model: alias, folder in diffusers' layout, or Hub id; with text or without.
        against: a second model to measure beside it at the same points.
        data: where points come from: `scenes`, `samples` of the (first) model, or a folder of images; None is `scenes`
            for the embedded models and `samples` for others.
        prompt: for points that are not scenes: none, or several that take turns.
        taus: noise levels in (0, 1], separated by commas.
        points: N, points at each noise level.
        jacobian: `exact`, `projected` (random directions), or `auto`: exact where it takes at most 100 000 evaluations
            of the encoder and fits into memory.
        directions: k, of the projection.
        probes: random directions for the loss at each point, where the Jacobian is projected.
        pairs: of points, for the relative trajectory length.
        segments: K, of each trajectory.
        ppl_pairs: for the perceptual path length; 0 leaves it out.
        ppl_eps: distance of the latents of a pair, as a fraction of their great circle.
        labelled: scenes for linear separability; 0 leaves it out, as do points that are no scenes.
        steps: network evaluations from clean data to noise, and about as many back.
        lpips: LPIPS in the perceptual path length; needs the extra `metrics` and trained weights.
        metric_weights: folder with the weights of LPIPS; None is the cache of torch.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters of the model, each `PATH` or `PATH:WEIGHT`.
        against_lora: adapters of the second model.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        seed: of points, noise, directions and pairs.
        out: the folder of the run; None takes the first free `runs/isometry-NAME`.
        overwrite: replace the run in `out`.
    """

    model: str = "clevr-mini"
    against: str | None = None
    data: str | None = None
    prompt: tuple[str, ...] = ()
    taus: str = "0.5,0.75,1"
    points: int = 8
    jacobian: str = "auto"
    directions: int = 64
    probes: int = 8
    pairs: int = 16
    segments: int = 16
    ppl_pairs: int = 64
    ppl_eps: float = 1e-3
    labelled: int = 300
    steps: int = 12
    lpips: bool = False
    metric_weights: str | None = None
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    against_lora: tuple[str, ...] = ()
    device: str = "auto"
    seed: int = 0
    out: str | None = None
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        return prompt_option(*self.prompt)

    def __post_init__(self) -> None:
        for tau in self.levels:
            between("taus", tau, 0, 1, "0.5,1 are two noise levels.", open_below=True)
        at_least("points", self.points, 2, "8 show the variation; a variance needs two.")
        one_of("jacobian", self.jacobian, JACOBIANS)
        at_least("directions", self.directions, 2, "A condition number needs two; 64 are a good start.")
        at_least("probes", self.probes, 1, "8 are a good start.")
        at_least("pairs", self.pairs, 1, "16 are a good start.")
        at_least("segments", self.segments, 2, "A trajectory of one segment is straight; 16 are a good start.")
        at_least("ppl-pairs", self.ppl_pairs, 0, "0 leaves the perceptual path length out.")
        between("ppl-eps", self.ppl_eps, 0, 0.5, "1e-3 is a good start.", open_below=True)
        at_least("labelled", self.labelled, 0, "0 leaves linear separability out.")
        at_least("steps", self.steps, 1, "12 are a good start.")
        seed_in_range(self.seed)
        if self.metric_weights is not None and not self.lpips:
            raise InputError("--metric-weights are those of LPIPS, which is not asked for.", "Pass --lpips, too.")
        if self.against is None and self.against_lora:
            raise InputError(
                "--against-lora needs the model that it adapts.", "Pass --against MODEL, which may be the first one."
            )

    @property
    def levels(self) -> tuple[float, ...]:
        """The noise levels as numbers."""
        try:
            found = tuple(float(word) for word in self.taus.split(",") if word.strip())
        except ValueError:
            found = ()
        if not found:
            raise InputError(f"--taus takes noise levels separated by commas; got {self.taus!r}.", "Pass --taus 0.5,1.")
        return found

    @property
    def dtype(self) -> str:
        """Of the networks."""
        return "fp32"

    @property
    def low_memory(self) -> bool:
        """Derivatives need the network in one place."""
        return False

    @property
    def compile(self) -> bool:
        """Derivatives need the network as it is."""
        return False
