"""The settings of `geodesic isometry`."""

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.option import AtLeast, above, checked, choice_opt, opt, record

JACOBIANS = ("auto", "exact", "projected")
OWN_SAMPLES, SCENES_DATA = "samples", "scenes"
tau_check = above(0, 1, "0.5,1 are two noise levels.")
ENCODER, IMAGES = "Encoder", "Images"


@record(metric_weights="revision variant lora vae text_embedding against_lora device seed")
class IsometrySettings(shared.PlainModelOptions, shared.FolderOptions):
    """`geodesic isometry`.

    The networks run in fp32, and their derivatives in float64 where the device has it; there is no choice of precision.
    """

    model: str = opt(
        "clevr-mini", "An alias, a folder in diffusers' layout, or a Hub id; with text or without.", argument=True
    )
    against: str | None = shared.against_opt(help="A second model, measured at the same points.")
    data: str | None = opt(
        None, "scenes, samples (of the model) or a folder of images. Default: scenes for clevr-mini, or samples."
    )
    prompt: tuple[str, ...] = opt((), "For points that are no scenes; several take turns.", text=bool)
    taus: str = opt("0.5,0.75,1", "Noise levels, 0 (clean) to 1 (noise).", metavar="A,B,...")
    points: int = opt(8, "Points at each noise level.", check=AtLeast(2, "8 show the variation; a variance needs two."))
    # auto: exact where it takes at most 30 000 evaluations of the encoder and fits into memory.
    jacobian: str = choice_opt("auto", JACOBIANS, "; auto takes whole Jacobians where they are affordable.", ENCODER)
    directions: int = opt(
        64,
        "Random directions, where the Jacobian is projected.",
        ENCODER,
        AtLeast(2, "A condition number needs two; 64 are a good start."),
    )
    probes: int = opt(
        8, "Random directions a point for L, where it is projected.", ENCODER, AtLeast(1, "8 are a good start.")
    )
    published: bool = opt(
        False, "MCN and VoR as the authors' code has them, too: pooled by 2, at pure noise, minutes more.", ENCODER
    )
    pairs: int = opt(16, "Trajectories for mRTL at each noise level.", ENCODER, AtLeast(1, "16 are a good start."))
    segments: int = opt(
        16,
        "Segments of a trajectory.",
        ENCODER,
        AtLeast(2, "A trajectory of one segment is straight; 16 are a good start."),
    )
    ppl_pairs: int = opt(
        64, "Pairs of images for PPL; 0 leaves it out.", IMAGES, AtLeast(0, "0 leaves the perceptual path length out.")
    )
    ppl_eps: float = opt(1e-3, "Step of PPL along the great circle.", IMAGES, above(0, 0.5, "1e-3 is a good start."))
    labels: str | None = opt(
        None,
        "Other images for LS: a CSV with the columns image and label, or a folder with a folder a label.",
        IMAGES,
        metavar="FILE|FOLDER",
    )
    labelled: int = opt(
        300, "Images for LS at most; 0 leaves it out.", IMAGES, AtLeast(0, "0 leaves linear separability out.")
    )
    steps: int = opt(
        12, "Network evaluations between clean data and noise.", IMAGES, AtLeast(1, "12 are a good start.")
    )
    lpips: bool = opt(False, f"PPL with LPIPS. {shared.LPIPS_EXTRA}", IMAGES)
    metric_weights: str | None = shared.metric_weights_opt(panel=IMAGES)
    against_lora: tuple[str, ...] = shared.against_lora_opt()
    seed: int = shared.seed_opt("Of points, noise, directions and pairs.")

    def __post_init__(self) -> None:
        for tau in self.levels:
            tau_check("taus", tau)
        checked(self)
        shared.weights_of_lpips(self.lpips, self.metric_weights)
        shared.lora_of_a_second(self.against, self.against_lora)

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
