"""A latent diffusion model as the geometry sees it: images to points x at noise level tau, the score there, and back.

images --encode--> z --invert--> x = z_tau, flattened (n, d) --denoise--> z --decode--> images
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from geodesic_cli.diffusion.attention import mixing
from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.diffusion.latents import LatentCodec
from geodesic_cli.diffusion.prompts import PromptEncoder
from geodesic_cli.diffusion.score import DiffusionScore, NoisePredictor, guided
from geodesic_cli.diffusion.transport import to_clean, to_held, to_noise
from geodesic_cli.errors import ModelError


@dataclass(frozen=True, eq=False)
class LatentDiffusion:
    """The parts of a Stable-Diffusion-type pipeline, wired for geometry. `load` makes one.

    Args:
        codec: images to latents and back.
        prompts: text to conditioning.
        predict: the network as a noise predictor, with its schedule.
        image_size: the side of the square images that it was trained on, in pixels.
        name: what the user called it; for messages and manifests.
        folder: the folder or file that it was read from; None where it was built in memory.
        replaced: names of the parts that are no longer those of the folder.
    """

    codec: LatentCodec
    prompts: PromptEncoder
    predict: NoisePredictor
    image_size: int
    name: str
    folder: Path | None = None
    replaced: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the network lives."""
        return self.predict.place[0]

    @property
    def fingerprint(self) -> str:
        """A digest of what decides its output: weights (a sample of each tensor), dtype and kind of device.

        It tells two models of one name apart, at the cost of milliseconds even for billions of weights.
        """
        digest = hashlib.sha256(f"{self.device.type} {self.predict.prediction}".encode())
        digest.update(self.predict.schedule.content)
        digest.update("".join(map(repr, (*self.codec.statistics, *filter(None, [self.predict.hold])))).encode())
        for part in (self.codec.vae, *self.prompts.encoders, self.predict.unet):
            for name, tensor in part.state_dict().items():
                some = tensor.detach().flatten()[:: max(1, tensor.numel() // 64)].double().cpu()
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode() + some.numpy().tobytes())
        for word, vectors in self.prompts.words:
            digest.update(word.encode() + vectors.detach().double().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(C, H, W) of the latents of an image size in pixels."""
        return self.codec.latent_shape(height, width)

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) in [0, 1] to clean points (n, d).

        Raises:
            ModelError: the autoencoder gives NaN or infinity.
        """
        z = self.codec.encode(images).flatten(1)
        if not bool(torch.isfinite(z).all()):
            raise ModelError(f"The autoencoder of {self.name} gives NaN or infinity.", "Pass --dtype fp32.")
        return z

    def decode(self, z: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Clean points (n, d) to images."""
        return self.codec.decode(z.reshape(-1, *shape))

    def ridge(self, z: Tensor, tau: float) -> Tensor:
        """Clean points z (n, d) where the density at noise level tau puts them without noise: x = a z, (n, d)."""
        return z * self.predict.schedule.level(tau)[0]

    def from_ridge(self, x: Tensor, tau: float) -> Tensor:
        """Points x (n, d) on the ridge of noise level tau back to clean points: z = x / a, (n, d)."""
        return x / self.predict.schedule.level(tau)[0]

    def lift(
        self,
        z: Tensor,
        shape: tuple[int, int, int],
        condition: Embedding,
        tau: float,
        steps: int,
        guidance: float = 1.0,
    ) -> Tensor:
        """Carry clean points z (n, d) to noise level tau by the probability flow: x (n, d); ``steps`` evaluations.

        With the guidance that `drop` will use, or the way down does not lead back.
        """
        return self._transport(to_noise, z, shape, self._guided(condition, guidance), tau, steps)

    def drop(
        self,
        x: Tensor,
        shape: tuple[int, int, int],
        condition: Embedding,
        tau: float,
        steps: int,
        guidance: float = 1.0,
    ) -> Tensor:
        """Carry points x (n, d) at noise level tau to clean points (n, d); ``steps`` + 1 evaluations.

        This is the flow alone, which `lift` inverts; what is drawn from fresh noise comes by `generate`.
        """
        return self._transport(to_clean, x, shape, self._guided(condition, guidance), tau, steps)

    def drop_mixed(
        self,
        ends: Tensor,
        x: Tensor,
        u: Tensor,
        shape: tuple[int, int, int],
        conditioning: Conditioning,
        tau: float,
        steps: int,
        guidance: float = 1.0,
    ) -> Tensor:
        """The same of points x (m, d) at shares u (m,) of the way between two ends (2, d), whose attention is mixed in.

        ``steps`` + 1 evaluations for each point and for each end. See `attention`.

        Raises:
            ModelError: the network has no attention that could be mixed.
        """
        condition, null = conditioning(torch.cat([u.new_tensor([0.0, 1.0]), u])), self._null(guidance)
        with mixing(self.predict, u) as noise:

            def predict(z: Tensor, timestep: float) -> Tensor:
                with_prompt = noise(z, timestep, condition)
                if null is None:
                    return with_prompt
                without = noise(z, timestep, null.expand(len(z)))
                return without + guidance * (with_prompt - without)

            return self._transport(to_clean, torch.cat([ends, x.to(ends)]), shape, predict, tau, steps)[2:]

    def generate(
        self, noise: Tensor, shape: tuple[int, int, int], condition: Embedding, steps: int, guidance: float = 1.0
    ) -> Tensor:
        """Carry fresh noise (n, d), at level 1, to clean points (n, d), held where the model's own sampler holds them.

        ``steps`` + 1 evaluations. Without a rule to hold (`holding`) this is `drop`.
        """
        hold = self.predict.hold
        carry = to_clean if hold is None else partial(to_held, hold=hold)
        return self._transport(carry, noise, shape, self._guided(condition, guidance), 1.0, steps)

    def _guided(self, condition: Embedding, guidance: float) -> Callable[[Tensor, float], Tensor]:
        return guided(self.predict, condition, self._null(guidance), guidance)

    def _null(self, guidance: float) -> Embedding | None:
        """The embedding of no prompt, where guidance needs it."""
        return None if guidance == 1 else self.prompts.null()

    def _transport(
        self,
        carry: Callable[..., Tensor],
        points: Tensor,
        shape: tuple[int, int, int],
        predict: Callable[[Tensor, float], Tensor],
        tau: float,
        steps: int,
    ) -> Tensor:
        start = points.to(self.device, torch.float32).reshape(-1, *shape)
        carried = carry(predict, start, tau, self.predict.schedule, steps).flatten(1)
        if not bool(torch.isfinite(carried).all()):
            raise ModelError(
                f"The noise predicted by {self.name} is not finite (NaN or infinity).",
                "Pass --dtype fp32; if it stays so, the weights are damaged.",
            )
        return carried

    def score(
        self, shape: tuple[int, int, int], tau: float, conditioning: Conditioning, guidance: float = 1.0
    ) -> DiffusionScore:
        """The score at noise level tau along a conditioning; see `DiffusionScore`."""
        return DiffusionScore(self.predict, shape, tau, conditioning, self._null(guidance), guidance)

    def sample(self, prompts: list[str], generator: torch.Generator, steps: int = 30, guidance: float = 2.0) -> Tensor:
        """Generate one image (n, 3, h, w) for each prompt, from noise drawn on the CPU with ``generator``."""
        shape = self.latent_shape(self.image_size, self.image_size)
        noise = torch.randn(len(prompts), *shape, generator=generator).flatten(1)
        condition = Embedding.cat([self.prompts.embed(prompt) for prompt in prompts])
        return self.decode(self.generate(noise, shape, condition, steps, guidance), shape)
