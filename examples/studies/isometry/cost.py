"""What a training step costs with the isometry loss: the surrogate and the exact route against plain denoising.

python examples/studies/isometry/cost.py [--device cuda] [--repeats 7] [--full]

One step is forward and backward for a batch, without the optimiser. The exact route is two backward passes that are
differentiated once more, with attention and LayerNorm made twice differentiable; both give the same gradient (the
error in float32 against float64 is printed). Times are medians, taken in turns in one process. "As trained" is what
`geodesic finetune` does: forward differences from the bottleneck of the denoising pass. The published recipe, with
gamma 0.5, regularises half of the rows.
"""

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from torch import Tensor, nn

from geodesic_cli.diffusion import load
from geodesic_cli.diffusion.tuning.features import Bottleneck, tapped, twice_differentiable
from geodesic_cli.distortion.exact import exact_loss
from geodesic_cli.distortion.loss import Visit, gaussian, gradient_scalar, linearise


def networks(full: bool) -> dict[str, tuple[nn.Module, tuple[int, ...], int]]:
    """Name -> network, shape of a batch, width of the text if any."""
    torch.manual_seed(0)
    pixel = UNet2DModel(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        block_out_channels=(128, 256, 256, 256) if full else (32, 64, 64, 64),
        layers_per_block=2,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )
    text = UNet2DConditionModel(
        sample_size=64 if full else 16,
        block_out_channels=(320, 640, 1280, 1280) if full else (32, 64, 128, 128),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=768 if full else 64,
    )
    many = 16
    small = UNet2DModel(
        sample_size=32,
        block_out_channels=(32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        add_attention=False,
    )
    return {
        "UNet2DModel, convolutions, two levels": (small, (many, 3, 32, 32), 0),
        "UNet2DModel, as DDPM on CIFAR": (pixel, (many, 3, 32, 32), 0),
        "UNet2DConditionModel, as Stable Diffusion": (
            text,
            (4, 4, 64, 64) if full else (16, 4, 16, 16),
            768 if full else 64,
        ),
        "clevr-mini": (load("clevr-mini", "cpu", "fp32").predict.unet.requires_grad_(True), (16, 4, 8, 8), 64),
    }


Ways = dict[str, Callable[[], None]]


def ways_of(unet: nn.Module, shape: tuple[int, ...], width: int) -> tuple[Ways, Callable[[Tensor], Bottleneck], Tensor]:
    """What a step consists of, the encoder for some rows, and the points."""
    device = next(unet.parameters()).device
    chance = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(shape, generator=chance).to(device) for _ in range(2))
    timestep = torch.randint(500, 1000, (shape[0],), generator=chance).to(device)
    words = {"encoder_hidden_states": torch.randn(shape[0], 16, width, generator=chance).to(device)} if width else {}

    def encoder(rows: Tensor) -> Bottleneck:
        n = len(rows)
        return Bottleneck(unet, timestep[:n], {name: value[:n] for name, value in words.items()})

    def denoise() -> None:
        (unet(x, timestep, **words).sample - noise).square().mean().backward()

    def central() -> None:
        denoise()
        by_gradient_scalar(encoder(x), x)

    def forward(rows: int) -> None:
        leaf = x.clone().requires_grad_(True)
        with tapped(unet) as seen:
            loss = (unet(leaf, timestep, **words).sample - noise).square().mean()
        some = torch.arange(rows, device=x.device)
        on_the_way(encoder(x[:rows]), x[:rows], Visit(leaf, seen[0][some], some), loss).backward()

    def exact() -> None:
        denoise()
        with twice_differentiable(unet):
            exact_loss(encoder(x), x, seeded()).backward()

    many = shape[0]
    ways = {
        "denoising alone": denoise,
        "as trained, every row": lambda: forward(many),
        "as trained, half of the rows": lambda: forward(many // 2),
        "central differences, every row": central,
        "exact, every row": exact,
    }
    return ways, encoder, x


def seeded() -> Callable[[Tensor], Tensor]:
    """The same directions for all."""
    return gaussian(torch.Generator().manual_seed(1))


def by_gradient_scalar(f: Bottleneck, x: Tensor) -> None:
    """One micro-batch: the graph of the first phase is kept."""
    probe = linearise(f, x, seeded(), keep_graph=True)
    gradient_scalar(f, probe, probe.totals).backward()


def on_the_way(f: Bottleneck, x: Tensor, visit: Visit, loss: Tensor | float = 0.0) -> Tensor:
    """A training's step: differences begin at the bottleneck that the denoising pass has computed."""
    probe = linearise(f, x, seeded(), keep_graph=True, differences="forward", visit=visit)
    return loss + gradient_scalar(f, probe, probe.totals)


def gradient(unet: nn.Module) -> Tensor:
    """All of it, in float64; where a parameter has no part in it, zeros."""
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten().double() for p in unet.parameters()]
    )


def errors(unet: nn.Module, encoder: Callable[[Tensor], Bottleneck], x: Tensor) -> dict[str, float]:
    """Of the surrogate's gradient in float32 against the exact one in float64, on two rows."""
    rows, twin = x[:2], copy.deepcopy(unet).double()
    f = replace(encoder(rows), unet=twin)
    twin.zero_grad()
    with twice_differentiable(twin):
        exact_loss(f, rows.double(), seeded()).backward()
    expected, found = gradient(twin), {}
    unet.zero_grad()
    by_gradient_scalar(encoder(rows), rows)
    found["central differences, every row"] = gradient(unet)
    unet.zero_grad()
    leaf = rows.clone().requires_grad_(True)
    on_the_way(encoder(rows), rows, Visit(leaf, encoder(rows)(leaf))).backward()
    found["as trained, every row"] = gradient(unet)
    return {way: float((one - expected).norm() / expected.norm()) for way, one in found.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--full", action="store_true", help="networks of full size; wants a GPU")
    options = parser.parse_args()
    print("| network | step | seconds | times denoising | peak MB |\n|---|---|---|---|---|")
    for name, (unet, shape, width) in networks(options.full).items():
        unet.to(options.device).eval()
        ways, encoder, x = ways_of(unet, shape, width)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        peaks = dict.fromkeys(ways, 0)
        for repeat in range(options.repeats + 1):
            for way, step in ways.items():
                unet.zero_grad()
                if options.device == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                began = time.perf_counter()
                step()
                if options.device == "cuda":
                    torch.cuda.synchronize()
                    peaks[way] = torch.cuda.max_memory_allocated() // 2**20
                if repeat:  # the first round warms up
                    taken[way].append(time.perf_counter() - began)
        plain = median(taken["denoising alone"])
        off = errors(unet, encoder, x)
        for way, times in taken.items():
            told = f" (gradient off by {off[way]:.0e})" if way in off else ""
            print(f"| {name} | {way}{told} | {median(times):.3f} | {median(times) / plain:.2f} | {peaks[way] or ''} |")


if __name__ == "__main__":
    main()
