"""Protocols: which numbers belong together, and how they are made. A number without its protocol means nothing.

A protocol fixes the side at which frames are compared, how many frames a sequence has, which numbers are reported and
what its FID is of. Its name and its digest stand in every table; two tables with one digest were made by one rule.
What a paper leaves open is said in the notes, and so is what was read elsewhere than in the paper itself.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

_PATH = ("path", "pdv_var", "pdv_std", "jump_mean", "jump_ends", "ends", "triangle")
PYRAMID_NUMBERS = tuple(f"{key}_pyramid" for key in _PATH)
LPIPS_NUMBERS = ("path_lpips", "ppl_scaled_lpips", *(f"{key}_lpips" for key in _PATH[1:]))
PIXEL_NUMBERS = ("flicker", "smoothness_neighbours")
INPUT_NUMBERS = ("re_mse", "re_psnr", "re_ssim", "re_pyramid")
EVALUATIONS = "evaluations"
DENSITY_NUMBERS = ("density_mean", "density_min")
TRUTH_NUMBERS = ("fit_error", "fit_unexplained", "fit_jump", "fit_off")
INCEPTION_NUMBERS = ("fid_diffmorpher", "fid_pooled", "fid_mid", "fid_clean", "kid")
LITE_NUMBERS = ("frechet_efficientnet_lite0", "kernel_efficientnet_lite0")
TOPIQ_NUMBERS = ("topiq_mean", "topiq_min")
OFFLINE = (*PYRAMID_NUMBERS, *INPUT_NUMBERS, *PIXEL_NUMBERS, *DENSITY_NUMBERS, EVALUATIONS)


@dataclass(frozen=True)
class Protocol:
    """What is measured, and how.

    Args:
        title: whose it is.
        numbers: keys of the catalogue, in the order of the table.
        frames: that a sequence has, where the protocol says so.
        side: in pixels, to which frames are squashed for perceptual distances; None leaves them as they are.
        notes: what is left open or second-hand.
    """

    title: str
    numbers: tuple[str, ...]
    frames: int | None = None
    side: int | None = None
    notes: str = ""

    @property
    def digest(self) -> str:
        """Twelve digits that tell this protocol from every other, and from a later version of itself."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


PROTOCOLS: Mapping[str, Protocol] = {
    "everything": Protocol(
        "every number that can be had",
        (*OFFLINE, *LPIPS_NUMBERS, "re_lpips", *TOPIQ_NUMBERS, *INCEPTION_NUMBERS, *LITE_NUMBERS),
    ),
    "offline": Protocol("what needs no trained network", OFFLINE),
    "scenes": Protocol("rendered scenes, whose truth is known", (*TRUTH_NUMBERS, *OFFLINE)),
    "diffmorpher": Protocol(
        "DiffMorpher (Zhang et al., CVPR 2024), Stable Diffusion 2.1-base",
        ("fid_diffmorpher", "ppl_scaled_lpips", "pdv_var_lpips", "path_lpips", "kid"),
        frames=17,
        side=512,
        notes="LPIPS of AlexNet at 512 x 512 and pytorch-fid are what the authors say in their repository. That their "
        "PPL is the scaled sum is inferred from its size. That FID takes two random frames a sequence, ten times, "
        "is second-hand. Their prompts are not public.",
    ),
    "freemorph": Protocol(
        "FreeMorph (2025)",
        ("path_lpips", "fid_pooled", "kid"),
        frames=7,
        side=768,
        notes="Second-hand. Its PPL is 25 times its LPIPS column in the table, so it says nothing more. Whether that "
        "column is a sum over pairs or a mean is left open: compare rankings, not numbers.",
    ),
    "pdg": Protocol(
        "Probability density geodesics (Yu et al., CVPR 2025)",
        ("path_lpips", "pdv_std_lpips", "topiq_mean", "fid_pooled", "kid"),
        side=512,
        notes="Which frames its FID is of is second-hand.",
    ),
    "saito": Protocol(
        "Saito and Matsubara (2025), Stable Diffusion 2.1-base, T 50, tau 0.6",
        ("fid_pooled", "path_lpips", "pdv_std_lpips", "re_mse", "re_psnr", "re_ssim", "re_lpips", "kid"),
        frames=11,
        side=512,
        notes="Nine inner frames. Its FID is of 900 images against 200.",
    ),
    "vbench": Protocol(
        "VBench (Huang et al., CVPR 2024), what of it needs no network",
        PIXEL_NUMBERS,
        notes="Subject and background consistency and the motion smoothness of AMT are not measured.",
    ),
    "isodiff": Protocol(
        "Isometric representation learning (Hahm et al., ICML 2024), its distance of samples from the data",
        ("fid_pooled", "kid", *LITE_NUMBERS),
        notes="For --samples and --real: the FID is of 10,000 samples. How many images of the data it is against, and "
        "how they are resized, is left open. PPL, mRTL, MCN, VoR and LS are those of geodesic isometry.",
    ),
}
"""By name."""
