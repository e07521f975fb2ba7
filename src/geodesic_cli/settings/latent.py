"""The settings of `geodesic latent`: slerp, direction, line and combine."""

import math

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.invert import MEASURING, scheme_opt
from geodesic_cli.settings.kinship import kin_of
from geodesic_cli.settings.option import AtLeast, above, checked, choice_opt, opt, record

JOINS = ("slerp", "lerp")
ESTIMATES = ("mean", "svm")
NOISE_TAU = above(0, 1, "1 is pure noise.")
STEPS_OF_LATENT = AtLeast(1, "24 are enough for most images.")
STEPS_HELP = "Network evaluations from an image to noise, and back."
BOTH_WAYS = "Classifier-free guidance, both ways; 1 is none."
WAY = "Way to noise and back"
AGAINST = "A second model, beside the first one on the sheet."
SPECTRUM, RANDOM = ("spectrum", "random")


@record(seed="model revision variant lora vae text_embedding against_lora device dtype low_memory compile fps")
class SlerpSettings(shared.ModelOptions, shared.FolderOptions):
    """`geodesic latent slerp`."""

    images: tuple[str, ...] = opt(
        (), "Two images whose noises are joined. Default: random noises.", argument=True, metavar="[A B]"
    )
    prompt: tuple[str, ...] = shared.prompt_opt(help="What the images show; or twice, for the ends. Default: nothing.")
    against: str | None = shared.against_opt(help=AGAINST)
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
    background: str = shared.background_opt()
    seed: int = shared.seed_opt("Of the noises.")
    fps: float = shared.fps_opt(8.0, panel=MEASURING)
    against_lora: tuple[str, ...] = shared.against_lora_opt()

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
        shared.lora_of_a_second(self.against, self.against_lora)
        shared.weights_of_lpips(self.lpips, self.metric_weights)


@record()
class DirectionSettings(shared.ModelOptions, shared.RunOptions):
    """`geodesic latent direction`."""

    source: str = opt(..., "The label to start from: red, cube, left, ...", argument=True, metavar="SOURCE")
    target: str = opt(..., "The label to go to: blue, sphere, right, ...", argument=True, metavar="TARGET")
    labels: str | None = opt(
        None,
        "A CSV with the columns image and label, or a folder with a folder a label. Default: rendered scenes.",
        metavar="FILE|FOLDER",
    )
    against: str | None = shared.against_opt(help=AGAINST)
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
    against_lora: tuple[str, ...] = shared.against_lora_opt()

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise InputError(
                f"A direction goes from one label to another; both are {self.source!r}.", "Pass two labels: red blue."
            )
        checked(self)
        shared.lora_of_a_second(self.against, self.against_lora)
        parse_strengths(self.strengths)
        shared.resume_of_a_folder(self)


@record()
class LineSettings(shared.ModelOptions, shared.FolderOptions):
    """`geodesic latent line`."""

    images: tuple[str, ...] = opt(
        (), "Images whose noises the lines go through. Default: random noises.", argument=True, metavar="[IMAGE...]"
    )
    prompt: tuple[str, ...] = shared.prompt_opt()
    along: str = opt(
        SPECTRUM,
        "spectrum: where the model's bottleneck changes most; random; or a direction.safetensors.",
        metavar="spectrum|random|FILE",
    )
    directions: int = opt(3, "How many, of the spectrum or random.", check=AtLeast(1, "3 fill a sheet."))
    reach: float = opt(
        2.0,
        "How far to both sides, in lengths of the noise; of a FILE, in its own length.",
        check=above(0, 100, "2 goes far enough to see another picture."),
    )
    frames: int = opt(9, "Pictures along a line, the noise itself in the middle.", check=AtLeast(3, "9 fill a sheet."))
    noises: int = opt(1, "Random noises, where no images are given.", check=AtLeast(1, "1 shows what a line does."))
    against: str | None = shared.against_opt(help=AGAINST)
    tau: float = opt(1.0, "Noise level of the lines; 1 is pure noise.", WAY, NOISE_TAU)
    steps: int = opt(24, STEPS_HELP, WAY, STEPS_OF_LATENT)
    scheme: str = scheme_opt(panel=WAY)
    guidance: float = shared.guidance_opt(help=BOTH_WAYS, panel=WAY)
    size: str | None = shared.size_opt()
    background: str = shared.background_opt()
    seed: int = shared.seed_opt("Of the noises and the random directions.")
    against_lora: tuple[str, ...] = shared.against_lora_opt()

    def __post_init__(self) -> None:
        checked(self)
        _pure_noise(self.images, self.tau)
        if self.frames % 2 == 0:
            raise InputError(
                f"The noise itself is the middle one of an odd number of --frames; got {self.frames}.",
                f"Pass {self.frames + 1}.",
            )
        shared.prompts_for(len(self.images) or self.noises, self.prompt)
        shared.lora_of_a_second(self.against, self.against_lora)


@record()
class CombineSettings(shared.ModelOptions, shared.FolderOptions):
    """`geodesic latent combine`."""

    images: tuple[str, ...] = opt(
        (), "Images whose noises are added up. Default: random noises.", argument=True, metavar="[A B C...]"
    )
    weights: str = opt("1,1,-1", "One for each: 1,1,-1 is A + B - C.", metavar="X,Y,...")
    prompt: str = opt("", "What all images show; none lets the noise decide.", text=bool)
    against: str | None = shared.against_opt(help=AGAINST)
    fit: bool = opt(
        None,
        "Judge the result by the scene that explains it. Default: for clevr-mini.",
        MEASURING,
        flags=("--fit/--no-fit",),
        by=lambda given: kin_of(given.model) == "clevr-mini",
    )
    tau: float = opt(1.0, "Noise level of the arithmetic; 1 is pure noise.", WAY, NOISE_TAU)
    steps: int = opt(24, STEPS_HELP, WAY, STEPS_OF_LATENT)
    scheme: str = scheme_opt(panel=WAY)
    guidance: float = shared.guidance_opt(help=BOTH_WAYS, panel=WAY)
    size: str | None = shared.size_opt()
    background: str = shared.background_opt()
    seed: int = shared.seed_opt("Of the noises.")
    against_lora: tuple[str, ...] = shared.against_lora_opt()

    def __post_init__(self) -> None:
        checked(self)
        _pure_noise(self.images, self.tau)
        weights = parse_strengths(self.weights, "weights")
        if len(weights) < 2 or not any(weights):
            raise InputError(
                f"A sum has two or more weights, and not all of them 0; got {self.weights!r}.",
                "Pass --weights=1,1,-1 for A + B - C.",
            )
        if self.images and len(self.images) != len(weights):
            raise InputError(
                f"Each image has a weight; images: {len(self.images)}, weights: {len(weights)}.",
                "Pass as many --weights as images, such as --weights=1,1,-1 for three.",
            )
        shared.lora_of_a_second(self.against, self.against_lora)


def _pure_noise(images: tuple[str, ...], tau: float) -> None:
    """Refuse random noises at a level that is not pure noise."""
    if not images and tau != 1:
        raise InputError(f"Random noises are pure noise, which is at tau 1; got {tau:g}.", "Pass images, or --tau 1.")


def parse_strengths(text: str, name: str = "strengths") -> tuple[float, ...]:
    """The strengths of `--strengths A,B,...`, or the numbers of another option.

    Raises:
        InputError: not numbers, or none of them.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(math.isfinite(value) and abs(value) <= 100 for value in values):
        raise InputError(
            f"--{name} takes numbers from -100 to 100 with commas between them; got {text!r}.",
            f"Pass --{name}=0,0.5,1,2 for instance.",
        )
    return values
