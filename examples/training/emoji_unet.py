"""The UNet stage of `emoji-mini`: velocity prediction and the text encoder, on cached latents of moved pictures."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import emoji_vae
import torch
from diffusers import AutoencoderKL
from emoji_data import Picture, caption, chosen, load, move, vocabulary
from emoji_keep import Keeper, autocast, descend, part, update, written
from emoji_models import TOKENS, make_scheduler, make_text_encoder, make_tokenizer, make_unet
from emoji_sheets import sheet
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module
from transformers import CLIPTokenizer

GAMMA = 5.0


def latents(work: Path, device: torch.device, options: argparse.Namespace) -> tuple[Tensor, list[int]]:
    """Latents of moved copies, pictures x copies x 4 x 16 x 16 in fp16, and which pictures they show; cached."""
    images, pictures = load(work)
    indices = chosen(pictures, options.subjects)
    cache = work / "latents.safetensors"
    kept = load_file(cache) if cache.exists() else {}
    wanted = torch.tensor(indices)
    model, began = emoji_vae.trained(work).to(device), time.monotonic()
    version = torch.tensor(written(work / "vae.safetensors"))
    same = bool(kept) and torch.equal(kept["indices"], wanted) and torch.equal(kept["vae"], version)
    rounds = [*kept["z"].unbind(1)][: options.copies] if same else []
    for copy in range(len(rounds), options.copies):
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + copy)
        batches = [emoji_vae.encode(model, move(images[k].to(device), generator)) for k in wanted.split(128)]
        rounds.append(torch.cat(batches).half().cpu())
        print(f"latents: copy {copy + 1} of {options.copies}, {time.monotonic() - began:.0f} s", flush=True)
        if (copy + 1) % 4 == 0 or copy + 1 == options.copies:
            save_file({"z": torch.stack(rounds, 1), "indices": wanted, "vae": version}, cache.with_suffix(".part"))
            cache.with_suffix(".part").replace(cache)
    return torch.stack(rounds, 1), indices


class Captions:
    """Token ids of captions, each tokenised once."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer, self.known = tokenizer, dict[str, Tensor]()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Ids of several captions, padded."""
        for text in {*texts} - {*self.known}:
            options: dict[str, Any] = {"padding": "max_length", "max_length": TOKENS, "truncation": True}
            self.known[text] = self.tokenizer(text, return_tensors="pt", **options).input_ids[0]
        return torch.stack([self.known[text] for text in texts])


class Batches:
    """Batches that depend on seed and step alone; one picture comes in several positions at several noise levels."""

    def __init__(self, z: Tensor, pictures: Sequence[Picture], captions: Captions, device: torch.device) -> None:
        self.z, self.pictures, self.captions, self.device = z, pictures, captions, device
        self.alpha_bar = make_scheduler().alphas_cumprod

    def draw(self, seed: int, size: int, repeat: int = 2) -> dict[str, Tensor]:
        """Noisy latents, timesteps, tokens, velocities and weights of one batch."""
        generator = torch.Generator().manual_seed(seed)
        pick = torch.randint(len(self.z), (size // repeat,), generator=generator)
        draws = torch.rand(len(pick), 3, generator=generator).tolist()
        texts = [caption(self.pictures[k], draw) for k, draw in zip(pick.tolist(), draws, strict=True)]
        copy = torch.randint(self.z.shape[1], (repeat * len(pick),), generator=generator)
        clean = self.z[pick.repeat(repeat), copy].float()
        # Stratified timesteps halve the variance of the loss over a small batch.
        spread = (torch.arange(len(copy)) + torch.rand(len(copy), generator=generator)) / len(copy)
        timestep = (spread * 1000).long().clamp(max=999)[torch.randperm(len(copy), generator=generator)]
        noise = torch.randn(clean.shape, generator=generator)
        level = self.alpha_bar[timestep][:, None, None, None]
        batch = {
            "noisy": level.sqrt() * clean + (1 - level).sqrt() * noise,
            "velocity": level.sqrt() * noise - (1 - level).sqrt() * clean,
            # Min-SNR weights for velocities: an error of the clean picture counts min(SNR + 1, gamma + 1) times.
            "weight": ((GAMMA + 1) * (1 - level)).clamp(max=1.0),
            "timestep": timestep,
            "tokens": self.captions(texts),
        }
        return {name: tensor.to(self.device) for name, tensor in batch.items()}


def error(model: Module, text: Module, batch: dict[str, Tensor]) -> Tensor:
    """Weighted squared error of the velocity; each caption is encoded once."""
    with autocast(batch["noisy"].device):
        states = text(batch["tokens"]).last_hidden_state
        states = states.repeat(len(batch["noisy"]) // len(states), 1, 1)
        prediction = model(batch["noisy"], batch["timestep"], states).sample
    return (batch["weight"] * (prediction.float() - batch["velocity"]).square()).mean()


def train(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Train UNet and text encoder; log a loss on fixed noise of copies that no step saw, draw a sheet now and then."""
    z, indices = latents(work, device, options)
    every = load(work)[1]
    pictures, tokenizer = [every[k] for k in indices], make_tokenizer(work, vocabulary(every))
    torch.manual_seed(options.seed)
    model, text = make_unet().to(device), make_text_encoder(tokenizer).to(device)
    average, text_average = make_unet().to(device), make_text_encoder(tokenizer).to(device)
    average.load_state_dict(model.state_dict())
    text_average.load_state_dict(text.state_dict())
    weights = [*model.parameters(), *text.parameters()]
    optimiser = torch.optim.AdamW(weights, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    modules = {"model": model, "average": average, "text": text, "text_average": text_average}
    keeper = Keeper(work / "unet.safetensors", modules, optimiser)
    autoencoder = emoji_vae.trained(work).to(device)
    captions = Captions(tokenizer)
    batches = Batches(z, pictures, captions, device)
    trial = fixed(work, autoencoder, indices, captions)
    recent: list[float] = []
    start, began, spent = keeper.restore(), time.monotonic(), time.process_time()
    for step in range(start, options.unet_steps):
        loss = error(model, text, batches.draw(options.seed * 1_000_003 + step, options.unet_batch))
        descend(loss, optimiser, step, options.unet_steps, options.unet_rate)
        update(average, model, step, 0.9995)
        update(text_average, text, step, 0.9995)
        recent = [*recent[-199:], loss.item()]
        if (step + 1) % 100 == 0:
            count, known = step + 1 - start, validate(average, text_average, trial)
            wall, work_time = (time.monotonic() - began) / count, (time.process_time() - spent) / count
            line = f"unet {step + 1}: loss {sum(recent) / len(recent):.4f}, on fixed noise {known:.4f}"
            print(f"{line}, {wall:.2f} s a step ({work_time:.2f} s of CPU)", flush=True)
        keeper.save(step + 1, force=step + 1 == options.unet_steps)
        if (step + 1) % options.sheet == 0:
            sheet(work / "samples" / f"{step + 1:06d}.png", average, text_average, autoencoder, (captions, pictures))


def fixed(work: Path, autoencoder: AutoencoderKL, indices: list[int], captions: Captions) -> Batches:
    """One moved copy, which no step trains on, of each of 256 pictures."""
    device = next(autoencoder.parameters()).device
    images, every = load(work)
    generator = torch.Generator().manual_seed(emoji_vae.HELD_OUT)
    pick = torch.tensor(indices)[torch.randperm(len(indices), generator=generator)[:256]]
    z = torch.cat([emoji_vae.encode(autoencoder, move(images[k].to(device), generator)) for k in pick.split(64)])
    return Batches(z[:, None].cpu(), [every[k] for k in pick.tolist()], captions, device)


@torch.no_grad()
def validate(model: Module, text: Module, trial: Batches) -> float:
    """The error of the averaged weights on a fixed batch: the same pictures, noise and captions each time."""
    return float(error(model, text, trial.draw(emoji_vae.HELD_OUT, 128)))


def trained(work: Path, tokenizer: CLIPTokenizer) -> tuple[Module, Module]:
    """The averaged UNet and text encoder."""
    network, text = make_unet(), make_text_encoder(tokenizer)
    network.load_state_dict(part(work / "unet.safetensors", "average"))
    text.load_state_dict(part(work / "unet.safetensors", "text_average"))
    return network.eval(), text.eval()
