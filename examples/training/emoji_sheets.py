"""Sample sheets of `emoji-mini`, and how many samples show what was asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from emoji_data import STYLES, Picture
from emoji_models import make_scheduler
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import Module

Asked = tuple[Callable[[Sequence[str]], Tensor], Sequence[Picture]]  # how to tokenise, and the pictures trained on
PROMPTS = ("cat", "dog face", "grinning face", "crying face", "red apple", "hamburger", "tulip", "penguin")


@torch.no_grad()
def sample(
    model: Module, text: Module, autoencoder: AutoencoderKL, tokens: Tensor, empty: Tensor, **how: float
) -> Tensor:
    """Pictures in [0, 1] for token ids, by DDIM with guidance (``guidance``, ``steps``, ``seed`` in ``how``)."""
    device = next(model.parameters()).device
    scheduler, guidance = make_scheduler(), how.get("guidance", 2.5)
    scheduler.set_timesteps(int(how.get("steps", 25)))
    generator = torch.Generator().manual_seed(int(how.get("seed", 0)))
    z = torch.randn(len(tokens), 4, 16, 16, generator=generator).to(device)
    states = text(torch.cat([empty.expand_as(tokens), tokens]).to(device)).last_hidden_state
    for t in scheduler.timesteps:
        without, asked = model(torch.cat([z, z]), t, states).sample.chunk(2)
        z = scheduler.step(without + guidance * (asked - without), t, z).prev_sample
    return (autoencoder.decode(z / autoencoder.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1).cpu()


def grid(images: Tensor, titles: Sequence[str], columns: int) -> Image.Image:
    """Pictures side by side at twice their size, each under its title."""
    side, head = 2 * images.shape[-1], 14
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * side, rows * (side + head)), "white")
    for k, (image, title) in enumerate(zip(images, titles, strict=True)):
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        tile = Image.fromarray(np.asarray(pixels)).resize((side, side), Image.Resampling.BICUBIC)
        left, top = k % columns * side, k // columns * (side + head)
        page.paste(tile, (left, top + head))
        ImageDraw.Draw(page).text((left + 2, top + 1), title[: side // 6], fill="black")
    return page


def sheet(path: Path, model: Module, text: Module, autoencoder: AutoencoderKL, asked: Asked) -> None:
    """Fixed prompts in three styles and without a style, then some of the trained pictures' names."""
    captions, pictures = asked
    texts = [*(f"{p}, {style}" for style in STYLES for p in PROMPTS), *(f"a {p}" for p in PROMPTS)]
    texts += [p.prompt for p in spread(pictures, 32)]
    images = sample(model, text, autoencoder, captions(texts), captions([""]))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(images, texts, len(PROMPTS)).save(path)


def spread(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """Some pictures, evenly over the list."""
    return [pictures[(2 * k + 1) * len(pictures) // (2 * count)] for k in range(count)]
