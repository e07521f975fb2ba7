"""A model as a training sees it: the weights to train, the denoising loss, the bottleneck map, and the folder to save.

Clean latents z are noised to x = a z + sigma eps at an integer timestep, and the network answers in its own terms,

    epsilon: eps        v_prediction: a eps - sigma z        sample: z        (Salimans & Ho, ICLR 2022)

The loss is the mean squared error of that answer, the one that the model was trained with. There is no dropout: the
regularisers take differences of two passes, which must be passes of the same function.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.diffusion import families
from geodesic_cli.diffusion.conditioning import Embedding
from geodesic_cli.diffusion.holding import Hold
from geodesic_cli.diffusion.loading import lora
from geodesic_cli.diffusion.loading.aliases import ALIASES
from geodesic_cli.diffusion.model import LatentDiffusion
from geodesic_cli.diffusion.schedule import NoiseSchedule
from geodesic_cli.diffusion.tuning.features import Bottleneck, tapped
from geodesic_cli.distortion.loss import Visit
from geodesic_cli.errors import ModelError
from geodesic_cli.filing import fresh, permit

PIPELINES: dict[families.Ask, str] = {
    families.unet: "StableDiffusionPipeline",
    families.unet_with_size: "StableDiffusionXLPipeline",
}
"""How a network is called -> the pipeline of diffusers that calls it so."""


@dataclass(frozen=True, eq=False)
class Trainee:
    """A model with the weights that are trained. `prepare` makes one.

    Args:
        model: it holds the network, in fp32 and evaluation mode.
        weights: what is trained, by name: all weights of the network, or those of its adapter.
        adapter: whether they are those of an adapter.
        call: the network as the denoising loss calls it; compiled, or the network itself.
    """

    model: LatentDiffusion
    weights: Mapping[str, torch.nn.Parameter]
    adapter: bool
    call: Any

    @property
    def timesteps(self) -> int:
        """T, how many there are."""
        return len(self._schedule.alpha_bar)

    @property
    def _schedule(self) -> NoiseSchedule:
        schedule = self.model.predict.schedule
        assert isinstance(schedule, NoiseSchedule)  # `prepare` has seen to it
        return schedule

    @property
    def reads_text(self) -> bool:
        """Whether captions mean anything to the model."""
        return bool(self.model.prompts.encoders)

    @torch.no_grad()
    def latents(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) in [0, 1] to clean latents (n, C, H, W) on the model's device, float32."""
        z: Tensor = self.model.codec.encode(images)
        return z.to(self.model.device, torch.float32)

    def embed(self, captions: list[str]) -> Embedding:
        """The embeddings of captions, one row each; a model without text reads none of them."""
        known = {text: self.model.prompts.embed(text if self.reads_text else "") for text in set(captions)}
        return Embedding.cat([known[text] for text in captions]).to(self.model.device)

    def noised(self, z: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x = a z + sigma eps, rows at the timesteps (n,)."""
        a, sigma = self._levels(timestep, z)
        return a * z + sigma * noise

    def errors(self, x: Tensor, z: Tensor, noise: Tensor, timestep: Tensor, condition: Embedding) -> Tensor:
        """The squared error of the network's answer, its mean for each row (n,), with graph."""
        answer = self.model.predict.ask(self.call, x, timestep.to(x.device), condition).float()
        kind = self.model.predict.prediction
        target = noise if kind == "epsilon" else z
        if kind == "v_prediction":
            a, sigma = self._levels(timestep, z)
            target = a * noise - sigma * z
        return (answer - target).square().flatten(1).mean(1)

    def snr_weights(self, timestep: Tensor, most: float) -> Tensor:
        """Weights (n,) of the errors at timesteps (n,): signal-to-noise ratios r count for at most `most` (min-SNR).

        For a predicted noise that is min(r, most) / r, for v min(r, most) / (r + 1), for the clean sample min(r, most)
        (Hang et al., ICCV 2023).
        """
        alpha_bar = self._schedule.alpha_bar.double()[timestep.cpu()]
        ratio = alpha_bar / (1 - alpha_bar)
        kind = self.model.predict.prediction
        if kind == "epsilon":
            return (most / ratio).clamp(max=1.0)
        return ratio.clamp(max=most) / (ratio + 1 if kind == "v_prediction" else 1.0)

    @property
    def can_be_watched(self) -> bool:
        """Whether the bottleneck can be had from the denoising pass itself; not out of a compiled network."""
        return self.call is self.model.predict.unet

    def errors_and_visit(
        self, x: Tensor, z: Tensor, noise: Tensor, timestep: Tensor, condition: Embedding, rows: Tensor
    ) -> tuple[Tensor, Visit]:
        """`errors`, and the bottleneck at some rows (indices) as the same pass computed it."""
        x = x.detach().requires_grad_(True)
        with tapped(self.model.predict.unet) as seen:
            errors = self.errors(x, z, noise, timestep, condition)
        (h,) = seen
        return errors, Visit(x, h[rows], rows)

    def bottleneck(self, x: Tensor, timestep: Tensor, condition: Embedding) -> Bottleneck:
        """The map x -> h for noisy latents of the size of x, at timesteps (n,) and conditions of n rows."""
        ask = self.model.predict.ask
        if isinstance(ask, families.Preconditioned | families.ScoreModel):
            raise ModelError(
                f"The network of {self.model.name} reads its points at another scale, and its bottleneck is not read.",
                "Pass a model of the kind of Stable Diffusion 1, 2 or XL, a pixel DDPM or a latent diffusion model.",
            )
        conditions: dict[str, Any] = {}
        if ask in PIPELINES:
            conditions["encoder_hidden_states"] = condition.tokens
        if ask is families.unet_with_size:
            size = [families.LATENT_PIXEL * side for side in x.shape[2:]]
            time_ids = torch.tensor([*size, 0, 0, *size], dtype=torch.float32).expand(len(timestep), -1)
            conditions["added_cond_kwargs"] = {"text_embeds": condition.pooled, "time_ids": time_ids}
        return Bottleneck(self.model.predict.unet, timestep, conditions)

    def save(self, folder: Path) -> None:
        """Write the model with its present weights: `pytorch_lora_weights.safetensors`, or a folder of diffusers.

        A model that came from a folder keeps the layout and all other files of that folder.
        """
        unet = self.model.predict.unet
        if self.adapter:
            lora.save(unet, folder)
            return
        source = self.model.folder or Path(ALIASES.get(self.model.name, self.model.name))
        flat = source.is_dir() and not (source / "unet").is_dir()
        if source.is_dir():
            _copy_all_but_network(source, folder, flat)
            for name in self.model.replaced:
                shutil.rmtree(folder / name, ignore_errors=True)
                self._part(name).save_pretrained(folder / name)
        else:
            self._save_parts(folder)
        unet.save_pretrained(folder if flat else folder / "unet", safe_serialization=True)
        probe = folder / ".probe.tmp"
        mode = fresh(probe)
        probe.unlink()
        for file in folder.rglob("*.safetensors"):
            permit(file, mode)

    def _part(self, name: str) -> Any:
        """The autoencoder, or a text encoder by its name in a pipeline."""
        if name == "vae":
            return self.model.codec.vae
        return self.model.prompts.encoders[int(name.removeprefix("text_encoder").strip("_") or 1) - 1]

    def _save_parts(self, folder: Path) -> None:
        """All parts but the network, for a model that came from the Hub or a single file."""
        from diffusers import DDIMScheduler

        vae = self.model.codec.vae
        pixels = not hasattr(vae, "vqvae") and not hasattr(vae, "save_pretrained")
        alpha_bar = self._schedule.alpha_bar.double()
        betas = 1 - alpha_bar / torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        scheduler = DDIMScheduler(
            num_train_timesteps=len(betas),
            trained_betas=betas.tolist(),
            prediction_type=self.model.predict.prediction,
            **_held(self.model.predict.hold),
            set_alpha_to_one=not self.reads_text,
            steps_offset=int(self.reads_text),
        )
        parts = {"scheduler": scheduler}
        if not pixels:
            # diffusers' latent model without text calls its autoencoder vqvae, whichever kind it is.
            parts["vae" if self.reads_text else "vqvae"] = getattr(vae, "vqvae", vae)
        for number, reader in enumerate(self.model.prompts.readers, 1):
            end = "" if number == 1 else f"_{number}"
            parts |= {f"tokenizer{end}": reader.tokenizer, f"text_encoder{end}": reader.encoder}
        index: dict[str, Any] = {"_class_name": PIPELINES.get(self.model.predict.ask, "DDPMPipeline")}
        if "vqvae" in parts:
            index["_class_name"] = "LDMPipeline"
        for name, part in {**parts, "unet": self.model.predict.unet}.items():
            index[name] = [type(part).__module__.partition(".")[0], type(part).__name__]
        if self.model.predict.ask is families.unet:
            index |= {"safety_checker": [None, None], "feature_extractor": [None, None]}
        for name, part in parts.items():
            part.save_pretrained(folder / name)
        (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")

    def _levels(self, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """(a, sigma) at timesteps (n,), each (n, 1, 1, 1)."""
        alpha_bar = self._schedule.alpha_bar.double()[timestep.cpu()].reshape(-1, 1, 1, 1)
        a, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        return a.to(like.device, like.dtype), sigma.to(like.device, like.dtype)


def prepare(
    model: LatentDiffusion,
    *,
    rank: int = 0,
    alpha: float | None = None,
    checkpointing: bool = False,
    compile: bool = False,
) -> Trainee:
    """Make a model ready for training, in place.

    Args:
        model: with its network in fp32. Adapters that it has are merged into its weights.
        rank: of a fresh adapter, which alone is trained; 0 trains all weights of the network.
        alpha: the adapter's scale; see `lora.attach`.
        checkpointing: recompute activations in the backward pass.
        compile: compile the network for the denoising loss.

    Raises:
        ModelError: the model is of a kind that cannot be trained here.
        InputError: the network has no layer that an adapter could change.
    """
    unet = model.predict.unet
    if not isinstance(model.predict.schedule, NoiseSchedule) or getattr(unet, "mid_block", None) is None:
        raise ModelError(
            f"A UNet with a variance-preserving schedule is needed for fine-tuning; {model.name} has none.",
            "Pass a model of the kind of Stable Diffusion 1, 2 or XL, a pixel DDPM or a latent diffusion model.",
        )
    if unet.dtype != torch.float32:
        raise ModelError(f"Weights are trained in fp32; those of {model.name} are {unet.dtype}.", "Pass --dtype fp32.")
    lora.merge(unet, model.prompts.encoders)
    unet.eval()
    if rank:
        lora.attach(unet, rank, alpha)
    else:
        unet.requires_grad_(True)
    if checkpointing:
        unet.enable_gradient_checkpointing()
    weights = {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}
    return Trainee(model, weights, bool(rank), torch.compile(unet) if compile else unet)


def _held(hold: Hold | None) -> dict[str, Any]:
    """Where a sampler holds clean data, in the words of a scheduler of diffusers."""
    if hold is None or hold.quantile is None:
        return {"clip_sample": hold is not None, "clip_sample_range": 1.0 if hold is None else hold.bound}
    told = {"dynamic_thresholding_ratio": hold.quantile, "sample_max_value": hold.most}
    return {"clip_sample": False, "thresholding": True, **told}


def _copy_all_but_network(source: Path, folder: Path, flat: bool) -> None:
    """Every file of a model's folder, except the network's own and what other runs left in it."""
    index = source / "model_index.json"
    parts: set[str] | None = None
    if index.is_file():
        named = json.loads(index.read_text("utf-8-sig"))
        parts = {name for name, value in named.items() if isinstance(value, list)}
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        top = place.parts[0]
        network_file = len(place.parts) == 1 and place.name.startswith(("config.json", "diffusion_pytorch_model"))
        if not path.is_file() or top == "unet" or (flat and network_file):
            continue
        wanted = place.suffix == ".json" if len(place.parts) == 1 else (parts is None or top in parts)
        if len(place.parts) == 1 and place.name in ("manifest.json", "metrics.json"):
            wanted = False
        if wanted:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)
