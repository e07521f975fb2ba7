"""The settings of `geodesic video-analyze`."""

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.option import ANY, AtLeast, Between, above, checked, choice_opt, opt, record

EMBEDDINGS = ("ridge", "flow")
CLIP_TAU = 0.1
DENSITY, PATHS, SOLVER = "Density", "Paths to compare with", "Solver"


@record(
    clip="start stop stride max_frames",
    smoothing="model revision variant lora size steps guidance tol max_steps device dtype low_memory compile seed",
    lora="vae text_embedding",
)
class VideoAnalyzeSettings(shared.ClipOptions, shared.ModelOptions, shared.RunOptions):
    """`geodesic video-analyze`."""

    clip: tuple[str, ...] = opt(..., "A video, a folder of frames, or several images.", argument=True, metavar="CLIP")
    max_frames: int | None = opt(
        None, "Most frames to take.", "Clip", AtLeast(3, "A path that can bend has at least three points.", ANY)
    )
    prompt: tuple[str, ...] = shared.prompt_opt(help="What the clip shows; or twice, for its ends. Default: nothing.")
    text_embedding: tuple[str, ...] = shared.text_embedding_opt(flags=("--text-embedding",))
    embedding: str = choice_opt(
        "ridge", EMBEDDINGS, ": the frames' own encodings, or carried to tau, where no clip is a geodesic.", DENSITY
    )
    tau: float = opt(
        CLIP_TAU,
        "Noise level whose density is asked, 0 (clean) to 1 (noise).",
        DENSITY,
        above(0, 1, "0.1 is a good start."),
    )
    # Where there is none, it makes the two terms of the geodesic equation equally large along the clip, as they are on
    # a geodesic: median |curvature| / median |tangential score|.
    alpha: float | None = opt(
        None,
        "The exponent in ds = p^(-alpha) |dx|. Default: what makes curvature and score equally large.",
        DENSITY,
        Between(0, 1e6, "Leave it out, and it follows from the clip."),
    )
    denoise: float = opt(
        0.0,
        "Width in frames of a moving mean before all else: less noise, blurred jumps.",
        check=Between(0, 1000, "1 takes the noise of a codec out; 0 takes the frames as they are."),
    )
    window: int = opt(17, "Frames of a window.", PATHS, AtLeast(5, "17 is a good start."))
    overlap: int = opt(
        5,
        "Frames that neighbouring windows share.",
        PATHS,
        AtLeast(2, "With less, frames between two windows would belong to none."),
    )
    noise: float = opt(
        0.5,
        "Size of the perturbation, in steps from frame to frame.",
        PATHS,
        above(0, 100, "0.5 is half of the distance from frame to frame."),
    )
    waves: int | None = opt(
        None,
        "Half waves of the perturbation; few are smooth. Default: white noise.",
        PATHS,
        AtLeast(1, "Few waves make smooth bumps."),
    )
    draws: int = opt(8, "Perturbed paths of a window.", PATHS, AtLeast(1, "8 tell enough."))
    smoothing: float = opt(
        2.0,
        "Width in frames of the moving mean that makes the smoothed path.",
        PATHS,
        above(0, 1000, "2 is a good start."),
    )
    size: str | None = shared.size_opt()
    steps: int = shared.steps_opt(12, "Network evaluations a frame, with the embedding flow.", DENSITY)
    guidance: float = shared.guidance_opt(panel=DENSITY)
    tol: float = opt(
        0.03, "Relative residual at which the optimised path is solved.", SOLVER, above(0, 1, "0.03 is a good start.")
    )
    max_steps: int = opt(
        40,
        "Most steps of each of two attempts at it, in each window.",
        SOLVER,
        AtLeast(1, "40 is enough for most windows."),
    )
    seed: int = shared.seed_opt("Of the perturbations and the random orders.")

    def __post_init__(self) -> None:
        if not self.clip:
            raise InputError("A clip is needed; got none.", "Name a video, a folder of frames, or several images.")
        if len(self.prompt) > 2:
            raise InputError(
                f"A clip takes at most two prompts; got {len(self.prompt)}.",
                "Pass --prompt once for the clip, or twice, for its first and its last frame.",
            )
        checked(self)
        if self.overlap > self.window - 2:
            raise InputError(
                f"--overlap must leave at least two new frames of a window of {self.window}; got {self.overlap}.",
                "5 is a good start.",
            )
        shared.resume_of_a_folder(self)
