"""The settings of `geodesic invert`."""

from dataclasses import dataclass

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, prompts_for, resume_of_a_folder
from geodesic_cli.settings.model import prompt_option

SCHEMES = ("adams", "ddim")


@dataclass(frozen=True)
class InvertSettings:
    """`geodesic invert`.

    Attributes:
        images: the image files.
        prompt: no prompt, one for all images, or one for each.
        tau: noise level to carry them to, a fraction of the schedule in (0, 1]; 1 is pure noise.
        steps: network evaluations on the way up, and about as many down.
        scheme: `adams`, this program's transport of second order, or `ddim`, uniform steps as published.
        guidance: classifier-free scale of both ways; 1 is the plain conditional density.
        amplify: by how much the sheet multiplies the difference of image and reconstruction.
        lpips: measure LPIPS, too; needs the extra `metrics` and trained weights.
        metric_weights: folder with the weights of LPIPS; None is the cache of torch.
        size: `N` or `WIDTHxHEIGHT` in pixels; None is the model's own size.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`.
        low_memory: keep on the device only the network that is at work, and tile the autoencoder.
        compile: compile the network.
        out: the folder of the run; None takes the first free `runs/invert-NAME`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    images: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    tau: float = 1.0
    steps: int = 24
    scheme: str = "adams"
    guidance: float = 1.0
    amplify: float = 8.0
    lpips: bool = False
    metric_weights: str | None = None
    size: str | None = None
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    out: str | None = None
    resume: bool = False
    overwrite: bool = False

    @property
    def text_option(self) -> tuple[str, str] | None:
        """See `ModelChoice`."""
        return prompt_option(*self.prompt)

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError("An inversion needs at least one image; got none.", "Pass one file or more.")
        prompts_for(len(self.images), self.prompt)
        between("tau", self.tau, 0, 1, "1 is pure noise.", open_below=True)
        at_least("steps", self.steps, 1, "24 bring an image back well.")
        one_of("scheme", self.scheme, SCHEMES)
        between("guidance", self.guidance, 0, 100, "1 is the plain conditional density.")
        between("amplify", self.amplify, 0, 1000, "8 shows errors of a few gray levels.", open_below=True)
        if self.metric_weights is not None and not self.lpips:
            raise InputError("--metric-weights are those of LPIPS, which is not asked for.", "Pass --lpips, too.")
        resume_of_a_folder(self.resume, self.out)
