"""Train `emoji-mini`, a Stable-Diffusion-type pipeline on three openly licensed sets of emoji, in four stages.

    npm install --prefix FOLDER @lobehub/fluent-emoji-3d emoji-datasource-google emoji-datasource-twitter
    python examples/training/emoji_mini.py data vae unet export --pictures FOLDER/node_modules --work .work

Each stage reads what the one before it left in the work folder, saves its state every minute and a half and goes on
there when it is called again. On one CPU core the whole takes half a day of its time;
`--device cuda --vae-batch 128 --unet-batch 512` trains on a GPU.
"""

import argparse
from pathlib import Path

import emoji_unet
import emoji_vae
import torch
from diffusers import StableDiffusionPipeline
from emoji_data import load, prepare, vocabulary
from emoji_keep import written
from emoji_models import make_scheduler, make_tokenizer
from emoji_names import NAMES


def data(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Read the pictures of the three packages."""
    prepare(options.pictures, work)


def export(work: Path, device: torch.device, options: argparse.Namespace) -> None:
    """Write the pipeline in diffusers' layout (fp16 safetensors, averaged weights) with its model card."""
    tokenizer = make_tokenizer(work, vocabulary(load(work)[1]))
    network, text = emoji_unet.trained(work, tokenizer)
    pipeline = StableDiffusionPipeline(
        vae=emoji_vae.trained(work),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=network,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(options.out, safe_serialization=True)
    steps = written(work / "vae.safetensors"), written(work / "unet.safetensors")
    card = (Path(__file__).parent / "emoji_card.md").read_text()
    card = card.replace("@VAE_STEPS@", f"{steps[0]:,}").replace("@UNET_STEPS@", f"{steps[1]:,}")
    (options.out / "README.md").write_text(card.replace("@SUBJECTS@", ", ".join(options.subjects)))
    size = sum(f.stat().st_size for f in options.out.rglob("*") if f.is_file()) / 1e6
    print(f"{options.out}: {size:.1f} MB after {steps[0]} and {steps[1]} steps")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="+", choices=("data", "vae", "unet", "export"))
    parser.add_argument("--pictures", type=Path, default=Path("node_modules"), help="where npm put the three packages")
    parser.add_argument("--work", type=Path, default=Path(".work"))
    parser.add_argument("--out", type=Path, default=Path(".work/emoji-mini"))
    parser.add_argument("--subjects", nargs="+", default=NAMES, help="names or (sub)categories that the UNet draws")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vae-steps", type=int, default=3_000)
    parser.add_argument("--vae-batch", type=int, default=16)
    parser.add_argument("--vae-rate", type=float, default=2e-3)
    parser.add_argument("--copies", type=int, default=32, help="moved copies of each picture whose latents are kept")
    parser.add_argument("--unet-steps", type=int, default=18_000)
    parser.add_argument("--unet-batch", type=int, default=32)
    parser.add_argument("--unet-rate", type=float, default=6e-4)
    parser.add_argument("--sheet", type=int, default=1_000, help="steps from one sample sheet to the next")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves PyTorch's choice")
    return parser.parse_args()


def main() -> None:
    """Run the stages named on the command line, in that order."""
    options = parse()
    stages = {"data": data, "vae": emoji_vae.train, "unet": emoji_unet.train, "export": export}
    if options.threads:
        torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    for stage in options.stages:
        stages[stage](options.work, torch.device(options.device), options)


if __name__ == "__main__":
    main()
