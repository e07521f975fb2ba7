"""The settings of `geodesic video-analyze`."""

from dataclasses import dataclass

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, position, resume_of_a_folder, seed_in_range
from geodesic_cli.settings.model import prompt_option

EMBEDDINGS = ("ridge", "flow")
CLIP_TAU = 0.1


@dataclass(frozen=True)
class VideoAnalyzeSettings:
    """`geodesic video-analyze`.

    Attributes:
        clip: a video, an animation, a folder of frames, or several images.
        start: the first frame, a number from 0, or a time such as `1.5s`.
        stop: the frame before which to end, or a time.
        stride: every so many frames are used.
        max_frames: at most so many frames are used.
        prompt: no prompt, one for the clip, or one for its first and one for its last frame.
        embedding: `ridge` takes a frame's own encoding, scaled to where noise level tau has it; `flow` carries it there
            by the probability flow, to a point with the noise that the model sees in the frame.
        tau: noise level whose density is asked, a fraction of the schedule in (0, 1].
        alpha: the density exponent. None makes the two terms of the geodesic equation equally large along the clip,
            as they are on a geodesic: median |curvature| / median |tangential score|.
        denoise: width in frames of a moving mean that the clip's path is taken through before all else; it blurs jumps.
        window: frames of a window; the optimised, perturbed, smoothed and straight paths are those of a window.
        overlap: frames that neighbouring windows share.
        noise: size of the perturbation, root mean square in mean steps from frame to frame.
        waves: half waves of the perturbation; None is as many as there are inner frames, white noise.
        draws: perturbed paths of a window.
        smoothing: width in frames of the moving mean that makes the smoothed path.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        size: `N` or `WIDTHxHEIGHT` in pixels; None is the model's own size.
        steps: network evaluations to carry a frame up to tau, with the embedding `flow`.
        guidance: classifier-free scale of the density; 1 is the plain conditional density.
        tol: relative residual of the geodesic equation at which the optimised path counts as solved.
        max_steps: most steps of the solver; each costs one score evaluation an inner frame.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`. The geometry computes in float64 where there is one.
        low_memory: keep on the device only the network that is at work, and tile the autoencoder.
        compile: compile the network.
        seed: of the perturbations and of the random orders.
        out: the folder of the run; None takes the first free `runs/analysis-of-CLIP`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    clip: tuple[str, ...]
    start: str | None = None
    stop: str | None = None
    stride: int = 1
    max_frames: int | None = None
    prompt: tuple[str, ...] = ()
    embedding: str = "ridge"
    tau: float = CLIP_TAU
    alpha: float | None = None
    denoise: float = 0.0
    window: int = 17
    overlap: int = 5
    noise: float = 0.5
    waves: int | None = None
    draws: int = 8
    smoothing: float = 2.0
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    size: str | None = None
    steps: int = 12
    guidance: float = 1.0
    tol: float = 0.03
    max_steps: int = 40
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    seed: int = 0
    out: str | None = None
    resume: bool = False
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        return prompt_option(*self.prompt)

    def __post_init__(self) -> None:
        if not self.clip:
            raise InputError("A clip is needed; got none.", "Name a video, a folder of frames, or several images.")
        if len(self.prompt) > 2:
            raise InputError(
                f"A clip takes at most two prompts; got {len(self.prompt)}.",
                "Pass --prompt once for the clip, or twice, for its first and its last frame.",
            )
        one_of("embedding", self.embedding, EMBEDDINGS)
        position("start", self.start)
        position("stop", self.stop)
        at_least("stride", self.stride, 1, "1 uses every frame.")
        if self.max_frames is not None:
            at_least("max-frames", self.max_frames, 3, "A path that can bend has at least three points.")
        at_least("window", self.window, 5, "17 is a good start.")
        at_least("overlap", self.overlap, 2, "With less, frames between two windows would belong to none.")
        if self.overlap > self.window - 2:
            raise InputError(
                f"--overlap must leave at least two new frames of a window of {self.window}; got {self.overlap}.",
                "5 is a good start.",
            )
        between("tau", self.tau, 0, 1, "0.1 is a good start.", open_below=True)
        if self.alpha is not None:
            between("alpha", self.alpha, 0, 1e6, "Leave it out, and it follows from the clip.")
        between("denoise", self.denoise, 0, 1000, "1 takes the noise of a codec out; 0 takes the frames as they are.")
        between("noise", self.noise, 0, 100, "0.5 is half of the distance from frame to frame.", open_below=True)
        if self.waves is not None:
            at_least("waves", self.waves, 1, "Few waves make smooth bumps.")
        at_least("draws", self.draws, 1, "8 tell enough.")
        between("smoothing", self.smoothing, 0, 1000, "2 is a good start.", open_below=True)
        at_least("steps", self.steps, 1, "12 keeps an image to a fraction of a gray level.")
        at_least("max-steps", self.max_steps, 1, "40 is enough for most windows.")
        between("guidance", self.guidance, 0, 100, "1 is the plain conditional density.")
        between("tol", self.tol, 0, 1, "0.03 is a good start.", open_below=True)
        seed_in_range(self.seed)
        resume_of_a_folder(self.resume, self.out)
