"""The settings of `geodesic latent slerp` and `geodesic latent direction`."""

import math

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.invert import MEASURING, scheme_opt
from geodesic_cli.settings.option import AtLeast, above, checked, choice_opt, opt, record

JOINS = ("slerp", "lerp")
ESTIMATES = ("mean", "svm")
NOISE_TAU = above(0, 1, "1 is pure noise.")
STEPS_OF_LATENT = AtLeast(1, "24 are enough for most images.")
STEPS_HELP = "Network evaluations from an image to noise, and back."
BOTH_WAYS = "Classifier-free guidance, both ways; 1 is none."
WAY = "Way to noise and back"


@record(seed="model revision variant lora vae text_embedding device dtype low_memory compile fps")
class SlerpSettings(shared.ModelOptions, shared.FolderOptions):
    """`geodesic latent slerp`."""

    images: tuple[str, ...] = opt(
        (), "Two images whose noises are joined. Default: random noises.", argument=True, metavar="[A B]"
    )
    prompt: tuple[str, ...] = shared.prompt_opt(help="What the images show; or twice, for the ends. Default: nothing.")
    pairs: int = opt(4, "Random pairs of noises, where no images are given.", check=AtLeast(1, "4 fill a sheet."))
    method: str = choice_opt("slerp", JOINS, ": great circle or straight line.")
    compare: bool = opt(False, "Draw and measure both paths.")
    frames: int = opt(
        11,
        "Exact number of frames, the ends included.",
        check=AtLeast(2, "The two ends are the first and the last frame."),
    )
    tau: float = opt(1.0, "Noise level at which images are joined; 1 is pure noise.", WAY, NOISE_TAU)
    steps: int = opt(24, STEPS_HELP, WAY, STEPS_OF_LATENT)
    scheme: str = scheme_opt(panel=WAY)
    guidance: float = shared.guidance_opt(help=BOTH_WAYS, panel=WAY)
    fit: bool = opt(
        None,
        "Judge frames by the scene that explains them. Default: for clevr-mini.",
        MEASURING,
        flags=("--fit/--no-fit",),
        by=lambda given: given.model == "clevr-mini",
    )
    lpips: bool = opt(False, f"Measure LPIPS, too. {shared.LPIPS_EXTRA}", MEASURING)
    metric_weights: str | None = shared.metric_weights_opt(panel=MEASURING)
    size: str | None = shared.size_opt()
    seed: int = shared.seed_opt("Of the noises.")
    fps: float = shared.fps_opt(8.0, panel=MEASURING)

    def __post_init__(self) -> None:
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
        checked(self)
        shared.weights_of_lpips(self.lpips, self.metric_weights)


@record()
class DirectionSettings(shared.ModelOptions, shared.RunOptions):
    """`geodesic latent direction`."""

    source: str = opt(..., "The label to start from: red, cube, left, ...", argument=True, metavar="SOURCE")
    target: str = opt(..., "The label to go to: blue, sphere, right, ...", argument=True, metavar="TARGET")
    labels: str | None = opt(None, "A CSV with the columns image and label. Default: rendered scenes.", metavar="FILE")
    # None as a rule, because the prompt would hold on to what is to change.
    prompt: str = opt("", "What all images show; none lets the noise decide.", text=bool)
    pairs: int = opt(64, "Pairs of scenes to find the direction with.", check=AtLeast(2, "64 give a steady direction."))
    held_out: int = opt(24, "Other images to try it on.", check=AtLeast(1, "24 give shares to a few per cent."))
    strengths: str = opt("0.5,1,1.5,2", "How far to go; 1 is from one label's mean to the other's.", metavar="A,B,...")
    estimate: str = choice_opt("mean", ESTIMATES, ": difference of means, or a hyperplane's normal.", WAY)
    tau: float = opt(1.0, "Noise level of the arithmetic; 1 is pure noise.", WAY, NOISE_TAU)
    steps: int = opt(24, STEPS_HELP, WAY, STEPS_OF_LATENT)
    scheme: str = scheme_opt(panel=WAY)
    guidance: float = shared.guidance_opt(help=BOTH_WAYS, panel=WAY)
    seed: int = shared.seed_opt("Of the scenes, the held-out images and the random directions.")

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise InputError(
                f"A direction goes from one label to another; both are {self.source!r}.", "Pass two labels: red blue."
            )
        checked(self)
        parse_strengths(self.strengths)
        shared.resume_of_a_folder(self)


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
