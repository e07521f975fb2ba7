"""Train the embedded model `clevr-mini`: a Stable-Diffusion-type pipeline on rendered scenes, in four stages.

    python examples/training/clevr_mini.py data vae unet export --work .work

Each stage reads what the one before it left in the work folder, saves its weights (safetensors) once a minute and
starts there again after an interruption. Without a GPU the whole takes about an hour and a half on two cores.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import l1_loss, mse_loss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from geodesic_cli.scenes import COLOURS, MATERIALS, SHAPES, render, sample

IMAGE, TOKENS = 64, 16
WORDS = ("a", "and", "object", *COLOURS, *MATERIALS, *SHAPES)


def data(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Render the training scenes (8-bit) and their labels; the last 1,000 are held out."""
    scenes = sample(options.scenes, torch.Generator().manual_seed(options.seed))
    images = torch.cat([(render(scenes[k : k + 256]) * 255).round().byte() for k in range(0, len(scenes), 256)])
    labels = [(s.colour, s.material, s.shape) for scene in scenes for s in scene.solids]
    save_file({"images": images}, work / "data.safetensors")
    (work / "labels.json").write_text(json.dumps(labels))


def make_vae() -> AutoencoderKL:
    """Downsampling 8, four latent channels, one million parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=IMAGE,
    )


def make_unet() -> UNet2DConditionModel:
    """Latent 4 x 8 x 8, cross-attention on both resolutions."""
    return UNet2DConditionModel(
        sample_size=IMAGE // 8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(64, 128),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def make_tokenizer(work: Path) -> CLIPTokenizer:
    """CLIP's byte-level BPE with one merge path for each known word; any other text falls back to its bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + k) for k in range(len(rest))]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            if (pieces[0], pieces[1]) not in merges:
                merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    vocabulary = [*letters, *(letter + "</w>" for letter in letters), *(a + b for a, b in merges)]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    (work / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(vocabulary)}))
    (work / "merges.txt").write_text("#version: 0.2\n" + "\n".join(f"{a} {b}" for a, b in merges) + "\n")
    return CLIPTokenizer(str(work / "vocab.json"), str(work / "merges.txt"), model_max_length=TOKENS)


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Two layers of width 64, trained together with the UNet."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            projection_dim=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def rate(step: int, steps: int, peak: float, warm: int = 200) -> float:
    """Learning rate: linear warm-up, then a cosine down to 1% of the peak."""
    return peak * min(1.0, (step + 1) / warm) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


class Keeper:
    """Saves modules, optimiser moments and the step once a minute; restores them at the start."""

    def __init__(self, path: Path, modules: dict[str, Module], optimiser: torch.optim.Optimizer) -> None:
        self.path, self.modules, self.optimiser, self.saved = path, modules, optimiser, time.monotonic()

    def restore(self) -> int:
        """Load what an earlier session saved; returns its step, or 0."""
        if not self.path.exists():
            return 0
        tensors = load_file(self.path)
        for name, module in self.modules.items():
            own = {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}
            module.load_state_dict(own)
        state = self.optimiser.state_dict()
        count = len(state["param_groups"][0]["params"])
        state["state"] = {
            k: {key: tensors[f"optimiser.{k}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")} for k in range(count)
        }
        self.optimiser.load_state_dict(state)
        return int(tensors["step"])

    def save(self, step: int, force: bool = False) -> None:
        """Save if a minute has gone by or ``force`` says so."""
        if not force and time.monotonic() - self.saved < 60:
            return
        tensors = {f"{n}.{k}": v.contiguous() for n, m in self.modules.items() for k, v in m.state_dict().items()}
        for k, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{k}.{key}": moments[key] for key in ("step", "exp_avg", "exp_avg_sq")}
        save_file(tensors | {"step": torch.tensor(step)}, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)
        self.saved = time.monotonic()


def autocast(device: torch.device) -> torch.autocast:
    """bf16 where it pays: it roughly halves a step on CPUs with bf16 units and on GPUs."""
    return torch.autocast(device.type, torch.bfloat16)


def update(average: Module, model: Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights with a short warm-up."""
    weight = min(decay, (step + 1) / (step + 10))
    with torch.no_grad():
        for a, b in zip(average.parameters(), model.parameters(), strict=True):
            a.lerp_(b, 1 - weight)


def vae(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Train the autoencoder: squared error, a little absolute error, and a weak KL term (noise of 2% of the range)."""
    torch.manual_seed(options.seed)
    images = load_file(work / "data.safetensors")["images"]
    held_out, images = images[-1000:], images[:-1000]
    model, average = make_vae().to(device), make_vae().to(device)
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)
    keeper = Keeper(work / "vae.safetensors", {"model": model, "average": average}, optimiser)
    start, began = keeper.restore(), time.monotonic()
    for step in range(start, options.vae_steps):
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        pick = torch.randint(len(images), (options.vae_batch,), generator=generator)
        x = images[pick].to(device).float() / 127.5 - 1
        for group in optimiser.param_groups:
            group["lr"] = rate(step, options.vae_steps, 2e-3)
        with autocast(device):
            posterior = model.encode(x).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
            y = model.decode((posterior.mean + posterior.std * noise).to(x.dtype)).sample
        y, mean, logvar = y.float(), posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        loss = mse_loss(y, x) + 0.02 * l1_loss(y, x) + 2e-5 * kl
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        update(average, model, step, 0.998)
        if (step + 1) % 100 == 0:
            seconds = (time.monotonic() - began) / (step + 1 - start)
            print(f"vae {step + 1}: loss {loss:.5f} kl {kl:.2f}, {seconds:.3f} s a step", flush=True)
        if (step + 1) % 500 == 0:
            print(f"vae {step + 1}: held-out PSNR {reconstruction(average, held_out[:200]):.2f} dB", flush=True)
        keeper.save(step + 1, force=step + 1 == options.vae_steps)


@torch.no_grad()
def reconstruction(model: AutoencoderKL, images: Tensor) -> float:
    """Mean PSNR of the posterior mean's reconstruction of 8-bit images, in dB."""
    device = next(model.parameters()).device
    values = []
    for batch in images.split(50):
        x = batch.to(device).float() / 255
        y = model.decode(model.encode(2 * x - 1).latent_dist.mean).sample / 2 + 0.5
        values += [-10 * mse_loss(b, a).log10() for a, b in zip(x, y.clamp(0, 1), strict=True)]
    return float(torch.stack(values).mean())


def load_vae(work: Path) -> AutoencoderKL:
    """The averaged autoencoder with the scaling factor that gives its latents unit variance."""
    tensors = load_file(work / "vae.safetensors")
    model = make_vae()
    model.load_state_dict({k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")})
    latents = encode(model, load_file(work / "data.safetensors")["images"][:2000])
    model.register_to_config(scaling_factor=round(float(1 / latents.std()), 5))
    return model.eval()


@torch.no_grad()
def encode(model: AutoencoderKL, images: Tensor) -> Tensor:
    """Posterior means, unscaled."""
    device = next(model.parameters()).device
    return torch.cat(
        [model.encode(b.to(device).float() / 127.5 - 1).latent_dist.mean.cpu() for b in images.split(100)]
    ).contiguous()


def caption(label: tuple[str, str, str], choice: float) -> str:
    """A caption in one of the forms that a user may type; 10% are empty, for guidance."""
    colour, material, shape = label
    forms = (
        (0.10, ""),
        (0.50, f"a {colour} {material} {shape}"),
        (0.86, f"a {colour} {shape}"),
        (0.91, f"a {colour} object"),
        (0.96, f"a {shape}"),
        (1.01, f"a {material} {shape}"),
    )
    return next(text for bound, text in forms if choice < bound)


def unet(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Train the noise prediction and the text encoder on latents of the autoencoder."""
    torch.manual_seed(options.seed)
    autoencoder = load_vae(work).to(device)
    cache = work / "latents.safetensors"
    if not cache.exists():
        save_file({"z": encode(autoencoder, load_file(work / "data.safetensors")["images"][:-1000])}, cache)
    latents = load_file(cache)["z"] * autoencoder.config.scaling_factor
    labels = json.loads((work / "labels.json").read_text())
    tokenizer = make_tokenizer(work)
    texts = {"", *(caption(label, c) for label in map(tuple, labels) for c in (0.2, 0.6, 0.9, 0.95, 1.0))}
    ids = {
        text: tokenizer(text, padding="max_length", max_length=TOKENS, return_tensors="pt").input_ids[0]
        for text in sorted(texts)
    }
    alpha_bar = make_scheduler().alphas_cumprod.to(device)
    model, average = make_unet().to(device), make_unet().to(device)
    text, text_average = make_text_encoder(tokenizer).to(device), make_text_encoder(tokenizer).to(device)
    average.load_state_dict(model.state_dict())
    text_average.load_state_dict(text.state_dict())
    optimiser = torch.optim.AdamW([*model.parameters(), *text.parameters()], betas=(0.9, 0.99), weight_decay=1e-3)
    modules = {"model": model, "average": average, "text": text, "text_average": text_average}
    keeper = Keeper(work / "unet.safetensors", modules, optimiser)
    recent: list[float] = []
    start, began = keeper.restore(), time.monotonic()
    for step in range(start, options.unet_steps):
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        pick = torch.randint(len(latents), (options.unet_batch,), generator=generator)
        choice = torch.rand(len(pick), generator=generator).tolist()
        tokens = torch.stack([ids[caption(tuple(labels[i]), c)] for i, c in zip(pick.tolist(), choice, strict=True)])
        # Stratified timesteps halve the variance of the loss over a small batch.
        spread = (torch.arange(len(pick)) + torch.rand(len(pick), generator=generator)) / len(pick)
        timestep = (spread * 1000).long().clamp(max=999).to(device)
        noise = torch.randn(len(pick), *latents.shape[1:], generator=generator).to(device)
        level = alpha_bar[timestep][:, None, None, None]
        noisy = level.sqrt() * latents[pick].to(device) + (1 - level).sqrt() * noise
        for group in optimiser.param_groups:
            group["lr"] = rate(step, options.unet_steps, 1e-3)
        with autocast(device):
            prediction = model(noisy, timestep, text(tokens.to(device)).last_hidden_state).sample
        loss = mse_loss(prediction.float(), noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *text.parameters()], 1.0)
        optimiser.step()
        update(average, model, step, 0.999)
        update(text_average, text, step, 0.999)
        recent = [*recent[-199:], loss.item()]
        if (step + 1) % 100 == 0:
            seconds = (time.monotonic() - began) / (step + 1 - start)
            print(f"unet {step + 1}: loss {sum(recent) / len(recent):.4f}, {seconds:.3f} s a step", flush=True)
        keeper.save(step + 1, force=step + 1 == options.unet_steps)


def export(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Write the pipeline in diffusers' layout: fp16 safetensors, averaged weights."""
    tensors = load_file(work / "unet.safetensors")
    tokenizer = make_tokenizer(work)
    network, text = make_unet(), make_text_encoder(tokenizer)
    for name, module in (("average", network), ("text_average", text)):
        module.load_state_dict({k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")})
    pipeline = StableDiffusionPipeline(
        vae=load_vae(work),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=network,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(options.out, safe_serialization=True)
    print(f"{options.out}: {sum(f.stat().st_size for f in options.out.rglob('*') if f.is_file()) / 1e6:.1f} MB")


def main() -> None:
    """Run the stages named on the command line, in that order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    stages = {"data": data, "vae": vae, "unet": unet, "export": export}
    parser.add_argument("stages", nargs="+", choices=stages)
    parser.add_argument("--work", type=Path, default=Path(".work"))
    parser.add_argument("--out", type=Path, default=Path(".work/clevr-mini"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=24_000)
    parser.add_argument("--vae-steps", type=int, default=3_000)
    parser.add_argument("--vae-batch", type=int, default=16)
    parser.add_argument("--unet-steps", type=int, default=6_200)
    parser.add_argument("--unet-batch", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves PyTorch's choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    for stage in options.stages:
        stages[stage](options.work, torch.device(options.device), options)


if __name__ == "__main__":
    main()
