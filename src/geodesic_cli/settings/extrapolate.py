"""The settings of `geodesic extrapolate`."""

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.option import AtLeast, Between, OneOf, above, checked, opt, record

STEPPERS = ("leapfrog", "rk4", "adams-bashforth", "dormand-prince")
PLACES = ("ridge", "flow")
DROP = 0.4
"""Nats a dimension by which log p may fall before a ray is ended, unless --max-drop says otherwise."""
DRIFT = 0.25
"""The drift from which a frame is marked, of the colours or of the shapes, whichever is larger (`evaluation.drift`). In
the study of clips (16 clips, by 3 methods) all 14 frames whose colour `scenes.fit` found changed had 0.31 to 1.18, the
58 that were whole and kept shape and colour 0 to 0.22, and the true next frames 0 to 0.04."""
CLIP, RAY = "Clip", "Ray"


@record(
    source="start stop stride max_frames",
    compare="model revision variant lora vae text_embedding size steps guidance device dtype low_memory compile fps",
)
class ExtrapolateSettings(shared.ClipOptions, shared.ModelOptions, shared.RunOptions):
    """`geodesic extrapolate`."""

    source: tuple[str, ...] = opt(
        ..., "A video, a GIF, a folder of frames, or images in their order.", argument=True, metavar="CLIP"
    )
    frames: int = opt(4, "New frames, at the clip's own speed.", check=AtLeast(1, "4 new frames are a good start."))
    backward: bool = opt(False, "As many before the first frame, too.")
    context: int = opt(3, "Frames that give the velocity.", RAY, AtLeast(2, "One frame alone has no direction."))
    order: int = opt(
        2,
        "Degree of the polynomial fitted to them; --context - 1 is exact, less smooths.",
        RAY,
        AtLeast(1, "1 is a straight line through the context."),
    )
    text_embedding: tuple[str, ...] = shared.text_embedding_opt(flags=("--text-embedding",))
    embedding: str = opt(
        "ridge",
        "Frames as they are, or carried to tau by the probability flow.",
        RAY,
        OneOf(PLACES),
        metavar="|".join(PLACES),
    )
    tau: float = opt(
        0.1, "Noise level whose density guides, above 0 (clean) to 1 (noise).", RAY, above(0, 1, "0.1 is a good start.")
    )
    # The square of the angle in radians by which the ray swings about a ridge of the density over a distance of
    # sqrt(d), the typical norm of a clean latent. alpha = -guide sigma² / d follows.
    guide: float = opt(
        30.0,
        "How strongly new frames are drawn to high density; 0: a straight line, negative: driven away.",
        RAY,
        Between(-1e6, 1e6, "30 is a good start; 0 is a straight line."),
    )
    alpha: float | None = opt(
        None,
        "The exponent in ds = p^(-alpha) |dx| itself; overrides --guide. Positive bends away.",
        RAY,
        Between(-1e6, 1e6, "Or pass --guide, which needs no knowledge of the model."),
    )
    stepper: str = opt("leapfrog", f"How to integrate: one of {', '.join(STEPPERS)}.", RAY, OneOf(STEPPERS))
    substeps: int = opt(
        8,
        "Steps from frame to frame; 0 chooses them as the ray needs.",
        RAY,
        AtLeast(0, "8 is a good start; 0 chooses them as the ray bends."),
    )
    max_drop: float | None = opt(
        None,
        f"Nats of log p that may be lost before the ray is ended. Default: {DROP} a dimension.",
        RAY,
        above(0, 1e9, "0.4 nats a dimension are a good start."),
    )
    # In units of the spread of the last known frame's own colours or edges: without dimension; see `evaluation.drift`.
    max_drift: float | None = opt(
        None,
        f"End before the first frame whose colours or shapes drift by more. Default: mark at {DRIFT}.",
        RAY,
        above(0, 1e6, "0.25 ends before colours change or shapes melt."),
    )
    prompt: str | None = opt(
        None, "What the frames show; keeps things what they are. Default: nothing.", text=bool, variable=False
    )
    target_prompt: str | None = opt(None, "What the last new frame shows. Default: --prompt.", CLIP, variable=False)
    compare: bool = opt(False, "Draw the last step repeated, and the last frame, on the sheet, too.")
    size: str | None = shared.size_opt()
    steps: int = shared.steps_opt(12, "Network evaluations of --embedding flow, each way.", RAY)
    guidance: float = shared.guidance_opt(panel=RAY)
    fps: float | None = shared.fps_opt(None, help="Frames a second of the films. Default: the clip's own.", panel=CLIP)

    def __post_init__(self) -> None:
        if not self.source:
            raise InputError("A sequence is needed; got none.", "Name a video, a folder of frames, or several images.")
        checked(self)
        if self.order >= self.context:
            raise InputError(
                f"--order {self.order} needs at least {self.order + 1} frames; got --context {self.context}.",
                f"Pass --context {self.order + 1}, or --order {self.context - 1}.",
            )
        if self.target_prompt is not None and self.prompt is None:
            raise InputError("--target-prompt needs to know where it starts.", "Pass --prompt, too.")
        shared.resume_of_a_folder(self)
