"""The settings of `geodesic invert`."""

from functools import partial

from geodesic_cli.errors import InputError
from geodesic_cli.settings import shared
from geodesic_cli.settings.option import AtLeast, above, checked, choice_opt, opt, record

SCHEMES = ("adams", "ddim")
MEASURING = "Measuring"

scheme_opt = partial(
    choice_opt, "adams", SCHEMES, ": ours, of second order, or uniform steps as published.", panel=MEASURING
)


@record()
class InvertSettings(shared.ModelOptions, shared.RunOptions):
    """`geodesic invert`."""

    images: tuple[str, ...] = opt(..., "Image files, of any sizes.", argument=True, metavar="IMAGE...")
    prompt: tuple[str, ...] = shared.prompt_opt()
    against: str | None = shared.against_opt(help="A second model, beside the first one on the sheet.")
    tau: float = opt(1.0, "Noise level to go to, 0 (clean) to 1 (noise).", check=above(0, 1, "1 is pure noise."))
    steps: int = opt(
        24, "Network evaluations up, and about as many down.", check=AtLeast(1, "24 bring an image back well.")
    )
    scheme: str = scheme_opt()
    guidance: float = shared.guidance_opt(help="Classifier-free guidance, both ways; 1 is none.")
    amplify: float = opt(
        8.0, "The sheet multiplies differences by this.", check=above(0, 1000, "8 shows errors of a few gray levels.")
    )
    lpips: bool = opt(False, f"Measure LPIPS, too. {shared.LPIPS_EXTRA}")
    metric_weights: str | None = shared.metric_weights_opt()
    size: str | None = shared.size_opt()
    fit: str = shared.fit_opt()
    background: str = shared.background_opt()
    against_lora: tuple[str, ...] = shared.against_lora_opt()

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError("An inversion needs at least one image; got none.", "Pass one file or more.")
        shared.prompts_for(len(self.images), self.prompt)
        checked(self)
        shared.weights_of_lpips(self.lpips, self.metric_weights)
        shared.lora_of_a_second(self.against, self.against_lora)
        shared.resume_of_a_folder(self)
