"""Lerp, slerp and the geodesic over many pairs of rendered scenes: the table of this folder's README.

    python examples/studies/paths/compare.py [--pairs 50] [--tau 0.4] [--bends 1 2 4] [--out comparison]

Half of the pairs are one object moved, half are different objects. All methods share one inversion and one decoder.
`scenes.fit` judges the inner frames; jumps are steps between frames in the autoencoder's latents, as a share of the
distance between the ends. Every pair is on disk when it is done, and a run that was stopped goes on.
"""

import argparse
import json
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.frames.keyframes import embed
from geodesic_cli.frames.pacing import even_positions
from geodesic_cli.frames.paths import Problem, clean_latents, positions
from geodesic_cli.media import sheet, write_png
from geodesic_cli.scenes import Scene, fit_all, render

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], options: argparse.Namespace, picture: Path) -> dict:
    """All methods on one pair, in both pacings."""
    images = render(list(pair))
    prompts = tuple(scene.caption for scene in pair)
    ends = embed(model, images, prompts, options.tau, options.steps)
    problems = {
        f"geodesic {bend:g}": Problem.between(model, ends, bend=bend, alpha=None, nodes=17, guidance=1.0, seed=0)
        for bend in options.bends
    }
    first = next(iter(problems.values()))
    paths = {"lerp": (first, first.lerp()), "slerp": (first, first.slerp())}
    paths |= {
        name: (problem, problem.geodesic("surrogate", tol=0.03, max_steps=40)) for name, problem in problems.items()
    }
    bounds = fit_all(model.decode(ends.z, ends.shape).cpu())
    result: dict = {"captions": prompts, "ends": [f.error for f in bounds], "methods": {}}
    rows = []

    def judge(z: torch.Tensor) -> tuple[dict, torch.Tensor]:
        frames = model.decode(z, ends.shape).cpu()
        chord = float((ends.z[1] - ends.z[0]).norm())
        jump = float((z[1:] - z[:-1]).norm(dim=1).max()) / chord
        return {"fit": [f.error for f in fit_all(frames[1:-1])], "jump": jump}, frames

    blend = torch.lerp(ends.z[0], ends.z[1], positions(options.frames).to(ends.z)[:, None])
    blended, frames = judge(blend)  # its steps are even as they are
    result["methods"]["blend of clean latents"] = {"path": blended, "even": blended}
    rows.append(frames)
    for name, (problem, path) in paths.items():
        report = problem.measure(path)
        solved = path.solution
        entry: dict[str, Any] = {
            "score_evaluations": solved.score_calls if solved else 0,
            "status": solved.status.name if solved else None,
            "residual": report.relative_residual,
            "min_excess": report.min_excess,
            "mean_excess": report.mean_excess,
            "end_log_density": report.log_density[-1],
            "euclidean_length": report.euclidean_length,
            "alpha": path.alpha,
        }
        for pacing in ("path", "even"):
            u = positions(options.frames)
            if pacing == "even":
                u = even_positions(model, ends, path, options.frames, options.steps, 1.0)
            entry[pacing], frames = judge(clean_latents(model, ends, path, u, options.steps, 1.0))
        rows.append(frames)
        result["methods"][name] = entry
    write_png(sheet(rows, list(result["methods"])), picture)
    return result


def table(results: list[dict]) -> str:
    """Markdown: one row a method and pacing, over all pairs."""
    worst = max(max(r["ends"]) for r in results)
    middle = statistics.median(e for r in results for e in r["ends"])
    lines = [
        f"{len(results)} pairs; fit error of the ends' reconstructions: median {middle:.2f}, worst {worst:.2f}.",
        "",
        "| method | pacing | fit error: median | mean ± s.e. | above worst reconstruction | unexplained | largest jump "
        "| min excess log p | mean excess log p | length | score evaluations |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for pacing in ("path", "even"):
        for name in results[0]["methods"]:
            runs = [r["methods"][name] for r in results]
            errors = [e for r in runs for e in r[pacing]["fit"]]
            means = [statistics.mean(r[pacing]["fit"]) for r in runs]
            spread = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0
            above = sum(e > worst for e in errors) / len(errors)
            unexplained = sum(e > 0.95 for e in errors) / len(errors)
            columns = [
                f"{statistics.median(errors):.2f}",
                f"{statistics.mean(means):.2f} ± {spread:.2f}",
                f"{100 * above:.0f}%",
                f"{100 * unexplained:.0f}%",
                f"{statistics.mean(r[pacing]['jump'] for r in runs):.2f}",
                *(
                    f"{statistics.mean(r[key] for r in runs):.1f}" if key in runs[0] else "-"
                    for key in ("min_excess", "mean_excess", "euclidean_length", "score_evaluations")
                ),
            ]
            lines.append(f"| {name} | {pacing} | " + " | ".join(columns) + " |")
    lines += [
        "",
        "| geodesic | converged | most evaluations | worst residual | denser than slerp: min | mean | both |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (n for n in results[0]["methods"] if n.startswith("geodesic")):
        runs = [(r["methods"][name], r["methods"]["slerp"]) for r in results]
        better = [(g["min_excess"] >= s["min_excess"], g["mean_excess"] > s["mean_excess"]) for g, s in runs]
        shares = [sum(b[0] for b in better), sum(b[1] for b in better), sum(all(b) for b in better)]
        lines.append(
            f"| {name} | {100 * sum(g['status'] == 'CONVERGED' for g, _ in runs) / len(runs):.0f}% "
            f"| {max(g['score_evaluations'] for g, _ in runs)} | {max(g['residual'] for g, _ in runs):.3f} | "
            + " | ".join(f"{100 * share / len(runs):.0f}%" for share in shares)
            + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Study the pairs that are not done yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="clevr-mini")
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="with --stride: share the pairs among processes")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--tau", type=float, default=0.4)
    parser.add_argument("--bends", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("comparison"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = load(options.model)
    what = {name: getattr(options, name) for name in ("tau", "bends", "frames", "steps")} | {"model": model.fingerprint}
    pairs = make_pairs(options.pairs)
    files = [options.out / f"pair-{k:03d}.json" for k in range(options.pairs)]

    def made(k: int) -> dict:
        return study(model, pairs[k], options, files[k].with_suffix(".png")) | {"options": what}

    for k in range(options.first, options.pairs, options.stride):
        kept(files[k], partial(made, k))
    results = [json.loads(path.read_text()) for path in files if path.exists()]
    if any(result["options"] != what for result in results):
        raise SystemExit(f"{options.out} holds pairs of another model or of other options. Pass another --out.")
    text = table(results)
    (options.out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
