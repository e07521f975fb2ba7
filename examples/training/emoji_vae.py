"""The autoencoder stage of `emoji-mini`: trained on all pictures of the three sets, whatever the UNet is to draw."""

import argparse
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from emoji_data import chosen, load, move
from emoji_keep import Keeper, autocast, descend, part, update
from emoji_models import make_vae, whiten
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

HELD_OUT = 987_654_321  # the seed of moved copies that no training step draws


def train(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Squared error, a little absolute error, and a weak KL term on freshly moved copies; averaged weights are kept."""
    torch.manual_seed(options.seed)
    images, pictures = load(work)
    images = images.to(device)
    trial = held_out(images, chosen(pictures, options.subjects))
    model, average = (make_vae().to(device) for _ in range(2))
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)
    keeper = Keeper(work / "vae.safetensors", {"model": model, "average": average}, optimiser)
    start, began = keeper.restore(), time.monotonic()
    for step in range(start, options.vae_steps):
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        pick = torch.randint(len(images), (options.vae_batch,), generator=generator)
        x = move(images[pick.to(device)], generator)
        noise = torch.randn(len(x), 4, 16, 16, generator=generator).to(device)
        with autocast(device):
            loss = objective(model, x, noise)
        descend(loss, optimiser, step, options.vae_steps, options.vae_rate)
        update(average, model, step, 0.998)
        if (step + 1) % 100 == 0:
            seconds = (time.monotonic() - began) / (step + 1 - start)
            print(f"vae {step + 1}: loss {loss.item():.5f}, {seconds:.3f} s a step", flush=True)
        if (step + 1) % 250 == 0:
            print(f"vae {step + 1}: held-out PSNR {reconstruction(average, trial):.2f} dB", flush=True)
        keeper.save(step + 1, force=step + 1 == options.vae_steps)


def objective(model: AutoencoderKL, x: Tensor, noise: Tensor) -> Tensor:
    """The loss of one batch: reconstruction from a noised latent, and the KL term."""
    posterior = model.encode(x).latent_dist
    y = model.decode((posterior.mean + posterior.std * noise).to(x.dtype)).sample.float()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return mse_loss(y, x) + 0.02 * l1_loss(y, x) + 2e-5 * kl


def held_out(images: Tensor, indices: list[int], count: int = 200) -> Tensor:
    """Moved copies that no step trains on, of pictures spread over the chosen ones."""
    generator = torch.Generator().manual_seed(HELD_OUT)
    pick = torch.tensor(indices)[torch.randperm(len(indices), generator=generator)[:count]]
    return move(images[pick.to(images.device)], generator)


@torch.no_grad()
def reconstruction(model: AutoencoderKL, images: Tensor) -> float:
    """Mean PSNR of the posterior mean's reconstruction of images in [-1, 1], in dB."""
    values = []
    for x in images.split(50):
        y = model.decode(model.encode(x).latent_dist.mean).sample
        values += [-10 * (mse_loss(b, a) / 4).log10() for a, b in zip(x, y.clamp(-1, 1), strict=True)]
    return float(torch.stack(values).mean())


@torch.no_grad()
def encode(model: AutoencoderKL, images: Tensor) -> Tensor:
    """Posterior means of images in [-1, 1]."""
    with autocast(images.device):
        return model.encode(images).latent_dist.mean.float().contiguous()


def trained(work: Path) -> AutoencoderKL:
    """The averaged autoencoder, its latents brought to zero mean and unit variance."""
    model = make_vae()
    model.load_state_dict(part(work / "vae.safetensors", "average"))
    images, _ = load(work)
    generator = torch.Generator().manual_seed(HELD_OUT)
    pick = torch.randperm(len(images), generator=generator)[:1000]
    whiten(model, torch.cat([encode(model, move(images[k], generator)) for k in pick.split(100)]))
    return model.eval()
