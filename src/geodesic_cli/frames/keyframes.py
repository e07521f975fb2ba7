"""Images at noise level tau: what a path goes through, and what is needed to draw what lies between.

The ends keep their own norms: see `paths`.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, Embedding, LatentDiffusion
from geodesic_cli.evaluation import psnr
from geodesic_cli.geometry import RadialProfile
from geodesic_cli.settings.shared import prompts_for

LATENT_ERROR = 0.09
"""What drawing may add to a latent, as a share of its size, times the steps on the way up. At 12 steps it is 0.75%,
which is 60 to 70 dB in pictures of `clevr-mini`, where the autoencoder itself loses 41."""
PROBED = 8
"""Images at most that are carried down in few steps, to see how exact these are."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Images on their way to the geometry.

    Args:
        z: (n, d), clean latents.
        x: (n, d), the same carried to a noise level.
        shape: (C, H, W) of a latent.
    """

    z: Tensor
    x: Tensor
    shape: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Coded:
    """Images through the autoencoder alone.

    Args:
        z: (n, d), clean latents.
        psnr: how well each image comes back from its latent, dB.
    """

    z: Tensor
    psnr: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _AtLevel(Encoded):
    """Images at noise level tau; `psnr` is how well the autoencoder alone brings each of them back, dB."""

    tau: float
    psnr: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Ends(_AtLevel):
    """Two images at noise level tau, with the conditioning c(u) of what lies between them."""

    conditioning: Conditioning

    @property
    def profile(self) -> RadialProfile:
        """The norm along a path between these ends."""
        return RadialProfile(float(self.x[0].norm()), float(self.x[1].norm()))

    @property
    def reversed(self) -> "Ends":
        """The same two images, the second one first."""
        swapped = Conditioning(self.conditioning.end, self.conditioning.start)
        return replace(self, z=self.z.flip(0), x=self.x.flip(0), psnr=self.psnr[::-1], conditioning=swapped)

    @property
    def in_order(self) -> bool:
        """Whether the images come in the order that a search takes them in, which the points decide and no one else."""
        change = self.x[1] - self.x[0]
        return bool(change[change.abs().argmax()] >= 0)


@dataclass(frozen=True, eq=False)
class Keyframes(_AtLevel):
    """Two or more images at noise level tau, each with its condition: the ends of a path's legs, in its order."""

    conditions: tuple[Embedding, ...]

    def leg(self, k: int) -> Ends:
        """The images k and k + 1; the last is followed by the first."""
        pair = [k, (k + 1) % len(self.x)]
        conditioning = Conditioning(self.conditions[pair[0]], self.conditions[pair[1]])
        quality = self.psnr[pair[0]], self.psnr[pair[1]]
        return Ends(self.z[pair], self.x[pair], self.shape, self.tau, quality, conditioning)


def embed(
    model: LatentDiffusion, images: Tensor, prompts: tuple[str, ...], tau: float, steps: int, guidance: float = 1.0
) -> Ends:
    """Carry two images (2, 3, h, w) to noise level tau, each under its own prompt; 2 x ``steps`` evaluations.

    The guidance is the one that frames will be drawn with; see `LatentDiffusion.lift`.
    """
    return embed_all(model, images, conditions_for(model, prompts, 2), tau, steps, guidance).leg(0)


def prompt_of_each(prompts: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The prompt of each of ``count`` images: none, one for all, or its own.

    Raises:
        InputError: another number of prompts.
    """
    prompts_for(count, prompts)
    return prompts if len(prompts) == count else (prompts or ("",)) * count


def conditions_for(model: LatentDiffusion, prompts: tuple[str, ...], count: int) -> tuple[Embedding, ...]:
    """The conditioning of each of ``count`` images: without a prompt, under one for all, or each under its own.

    Raises:
        InputError: another number of prompts.
    """
    each = prompt_of_each(prompts, count)
    made = {prompt: model.prompts.embed(prompt) for prompt in dict.fromkeys(each)}
    return tuple(made[prompt] for prompt in each)


def embed_all(
    model: LatentDiffusion,
    images: Tensor,
    conditions: tuple[Embedding, ...],
    tau: float,
    steps: int,
    guidance: float,
    known: Coded | None = None,
) -> Keyframes:
    """Carry images (n, 3, h, w) to noise level tau, each under its own conditioning; n x ``steps`` evaluations.

    Args:
        known: their latents, where they have been through the autoencoder already.
    """
    shape = model.latent_shape(*images.shape[2:])
    of = coded(model, images) if known is None else known
    x = model.lift(of.z, shape, Embedding.cat(conditions), tau, steps, guidance)
    return Keyframes(of.z.to(x.device), widest(x), shape, tau, of.psnr, conditions)


def to_know_steps_down(steps: int, images: int) -> int:
    """Network evaluations of `steps_down` at guidance 1."""
    count, few = _probe(steps, images)
    return count * (few + 1)


def _probe(steps: int, images: int) -> tuple[int, int]:
    """How many of the images `steps_down` carries down, and in how many steps."""
    return min(images, PROBED), max(1, steps // 4)


def steps_down(model: LatentDiffusion, images: Keyframes, steps: int, guidance: float) -> int:
    """In how many steps frames are drawn: from a third of those on the way up to all of them, as the images need.

    The images are carried down in a quarter of the steps; their clean latents are known, and the error falls at least
    in proportion to the steps. On a path between the images it is 1 to 3 times as large, and more where a path, as the
    great circle often does, crosses what the model never draws.
    """
    count, few = _probe(steps, len(images.x))
    rows = torch.linspace(0, len(images.x) - 1, count).round().long()
    condition = Embedding.cat([images.conditions[k] for k in rows.tolist()])
    z = images.z[rows.to(images.z.device)].double().cpu()
    back = model.drop(images.x[rows.to(images.x.device)], images.shape, condition, images.tau, few, guidance)
    error = float(((back.double().cpu() - z).norm(dim=1) / z.norm(dim=1).clamp(min=1e-12)).max())
    wanted = few * error * steps / LATENT_ERROR
    return min(steps, max(math.ceil(steps / 3), math.ceil(wanted)))


def coded(model: LatentDiffusion, images: Tensor) -> Coded:
    """Images (n, 3, h, w) through the autoencoder and back, each once."""
    z, shape = model.encode(images), model.latent_shape(*images.shape[2:])
    back = [model.decode(z[k : k + 1], shape)[0].to(images.device) for k in range(len(z))]
    return Coded(z, tuple(psnr(images.double(), torch.stack(back).double()).tolist()))


def widest(x: Tensor) -> Tensor:
    """Geometry in float64, except on MPS, which has none."""
    return x if x.device.type == "mps" else x.double()
