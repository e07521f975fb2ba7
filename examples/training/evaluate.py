"""How good the embedded model is, on scenes it has never seen; no network judges it, `scenes.fit` does.

python examples/training/evaluate.py [--model FOLDER] [--samples 200] [--out evaluation]
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from geodesic_cli.diffusion import Embedding, load
from geodesic_cli.evaluation import psnr
from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import fit_all, render, sample

sys.path.append(str(Path(__file__).parents[1] / "studies"))  # where shared.py is
from shared import HELD_OUT


def main() -> None:
    """Reconstruction, inversion to tau 0.6 and back, and samples from prompts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clevr-mini")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("evaluation"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load(options.model)
    scenes = sample(options.samples, torch.Generator().manual_seed(HELD_OUT))
    images = render(scenes)
    shape = model.latent_shape(64, 64)

    z = model.encode(images)
    back = model.decode(z, shape).cpu()
    condition = Embedding.cat([model.prompts.embed(scene.caption) for scene in scenes])
    tripped = model.decode(model.drop(model.lift(z, shape, condition, 0.6, 12), shape, condition, 0.6, 12), shape).cpu()
    drawn = model.sample([s.caption for s in scenes], torch.Generator().manual_seed(0), steps=30, guidance=2.0).cpu()

    fits, reconstructed = fit_all(drawn), fit_all(back)
    found, wanted = [f.scene.solids[0] for f in fits], [s.solids[0] for s in scenes]
    errors = {"sampled": [f.error for f in fits], "reconstructed": [f.error for f in reconstructed]}
    share = {
        name: sum(getattr(a, name) == getattr(b, name) for a, b in zip(found, wanted, strict=True)) / len(found)
        for name in ("colour", "shape", "material")
    }
    result = {
        "scenes": len(scenes),
        "reconstruction_psnr": float(psnr(images, back).mean()),
        "round_trip_psnr_to_reconstruction": float(psnr(back, tripped).mean()),
        "round_trip_psnr_to_image": float(psnr(images, tripped).mean()),
        "samples_with_the_prompted": share,
        "fit_error_median": {name: float(torch.tensor(values).median()) for name, values in errors.items()},
        "fit_error_worst": {name: max(values) for name, values in errors.items()},
    }
    print(json.dumps(result, indent=2))
    (options.out / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    for name, pictures in (("samples", drawn), ("reconstructions", back), ("scenes", images)):
        write_png(sheet(list(pictures[:64].split(16))), options.out / f"{name}.png")


if __name__ == "__main__":
    main()
