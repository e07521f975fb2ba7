"""Train `scenes-ddpm`: a small unconditional diffusion model of pixels, on rendered scenes of 32 x 32.

    python examples/training/scenes_ddpm.py --work .work/pixel --out .work/scenes-ddpm

The counterpart of the CIFAR model of the isometry paper (Hahm et al., ICML 2024): noise levels of Ho et al. (DDPM,
NeurIPS 2020), the noise predicted, and a bottleneck of 64 x 8 x 8 = 4096 numbers for images of 3072. The bottleneck
must not be the smaller one: an isometry of the sphere of noisy images, of dimension 3071, needs that much room.

One core takes about a quarter of an hour. The weights are saved once a minute, and the script goes on from there after
an interruption.
"""

import argparse
import time
from pathlib import Path

import torch
from clevr_mini import Keeper, autocast, rate, update
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import mse_loss

from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import render, sample

IMAGE = 32


def make_unet() -> UNet2DModel:
    """Three resolutions, attention in the middle; 1.06 million parameters."""
    return UNet2DModel(
        sample_size=IMAGE,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        attention_head_dim=16,
        norm_num_groups=8,
    )


def make_images(path: Path, count: int, seed: int) -> Tensor:
    """8-bit scenes (count, 3, 32, 32), rendered once and then read from the file."""
    if not path.exists():
        scenes = sample(count, torch.Generator().manual_seed(seed))
        parts = [(render(scenes[k : k + 512], IMAGE) * 255).round().byte() for k in range(0, count, 512)]
        save_file({"images": torch.cat(parts)}, path)
    return load_file(path)["images"]


def train(options: argparse.Namespace) -> UNet2DModel:
    """Least squares on the noise, averaged weights."""
    torch.manual_seed(options.seed)
    images = make_images(options.work / "images.safetensors", options.scenes, options.seed)
    device = torch.device(options.device)
    alpha_bar = DDPMScheduler().alphas_cumprod.to(device)
    model, average = (make_unet().to(device) for _ in range(2))
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)
    keeper = Keeper(options.work / "unet.safetensors", {"model": model, "average": average}, optimiser)
    recent: list[float] = []
    start, began = keeper.restore(), time.monotonic()
    for step in range(start, options.steps):
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        pick = torch.randint(len(images), (options.batch,), generator=generator)
        # Stratified timesteps halve the variance of the loss over a small batch.
        spread = (torch.arange(len(pick)) + torch.rand(len(pick), generator=generator)) / len(pick)
        timestep = (spread * len(alpha_bar)).long().clamp(max=len(alpha_bar) - 1).to(device)
        noise = torch.randn(len(pick), 3, IMAGE, IMAGE, generator=generator).to(device)
        level = alpha_bar[timestep][:, None, None, None]
        noisy = level.sqrt() * (images[pick].to(device) / 127.5 - 1) + (1 - level).sqrt() * noise
        for group in optimiser.param_groups:
            group["lr"] = rate(step, options.steps, 1.5e-3)
        with autocast(device):
            prediction = model(noisy, timestep).sample
        loss = mse_loss(prediction.float(), noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        update(average, model, step, 0.998)
        recent = [*recent[-199:], loss.item()]
        if (step + 1) % 100 == 0:
            seconds = (time.monotonic() - began) / (step + 1 - start)
            print(f"{step + 1}: loss {sum(recent) / len(recent):.4f}, {seconds:.3f} s a step", flush=True)
        keeper.save(step + 1, force=step + 1 == options.steps)
    return average.eval()


@torch.no_grad()
def draw(model: UNet2DModel, count: int, seed: int, steps: int = 50) -> Tensor:
    """Samples (count, 3, 32, 32) in [0, 1], DDIM without added noise."""
    x = torch.randn(count, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(seed)).to(model.device)
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        x = scheduler.step(model(x, timestep).sample, timestep, x).prev_sample
    return (x / 2 + 0.5).clamp(0, 1).cpu()


def main() -> None:
    """Train, export in diffusers' layout (fp16 safetensors), draw 64 samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".work/pixel"))
    parser.add_argument("--out", type=Path, default=Path(".work/scenes-ddpm"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=24_000)
    parser.add_argument("--steps", type=int, default=2_600)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    model = train(options)
    write_png(sheet(draw(model, 64, options.seed + 1).split(8)), options.work / "samples.png")
    pipeline = DDPMPipeline(unet=model, scheduler=DDPMScheduler())
    pipeline.to(dtype=torch.float16).save_pretrained(options.out, safe_serialization=True)
    print(f"{options.out}: {sum(f.stat().st_size for f in options.out.rglob('*') if f.is_file()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
