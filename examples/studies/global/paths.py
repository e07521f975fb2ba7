"""Global geodesics over pairs of rendered scenes: does the object move, and what does it cost.

    python examples/studies/global/paths.py [--pairs 50] [--tau 0.1] [--alpha 0.02] [--pool-size 96] [--out global]

The pairs are those of `shared.py`. Rows of a sheet: slerp at the published noise level 0.6 and at the usual 0.4;
at the low noise level slerp, the local geodesic from slerp, and the path over samples, refined; and, where one object
moved, the motion itself: rendered, encoded and decoded, which is what no path can better.

Frames are evenly spaced in the autoencoder's latents. A jump is the largest step between two of them as a share of the
distance between the ends, in the latents, in the features of the network's middle block and in the root of the pyramid
of MSE and SSIM. `monotone` is whether the fitted object advances from A to B in every step, to 0.05 units; `looks kept`
the share of the inner frames whose object has shape and colour of one of the two. Every pair is on disk when it is
done.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch.nn.functional import pad

from geodesic_cli.diffusion import LatentDiffusion, load
from geodesic_cli.evaluation import Pyramid
from geodesic_cli.frames import paths
from geodesic_cli.frames.keyframes import Ends, embed
from geodesic_cli.frames.pacing import Features, at_equal_parts, even_positions
from geodesic_cli.geometry import DensityMetric
from geodesic_cli.media import read_image, sheet, write_png
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.scenes import Scene, fit_all, render
from geodesic_cli.search.search import SearchChoice, global_path

sys.path.append(str(Path(__file__).parents[1]))  # where shared.py is
from shared import kept, make_pairs

SLACK, FINE = 0.05, 97
PUBLISHED, USUAL = "slerp 0.6", "slerp 0.4"
MOTION = "motion"
CALLED = {
    PUBLISHED: "great circle,\ntau 0.6",
    USUAL: "great circle,\ntau 0.4",
    "slerp": "great circle",
    MOTION: "true motion",
}
CALLED |= {"local": "local path", "global": "global path"}
"""What the sheet calls a row."""
JUMPS = ("latents", "features", "pyramid")


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of points (m, d) from points (m, d), (m,)."""
    return (a - b).norm(dim=1)


def even_latents(
    model: LatentDiffusion, ends: Ends, path: paths.ImagePath, frames: int = 17, steps: int = 12
) -> torch.Tensor:
    """Clean latents (frames, d) along a path, evenly spaced in the latents."""
    u = even_positions(model, ends, path, frames, steps, 1.0)
    return paths.clean_latents(model, ends, path, u, steps, 1.0)


def jumps(model: LatentDiffusion, shape: tuple[int, int, int], z: torch.Tensor, frames: torch.Tensor) -> dict:
    """The largest step between neighbouring frames as a share of the distance between the ends, by measure."""
    pyramid = Pyramid()

    def share(points: torch.Tensor, apart: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = distance) -> float:
        return float(apart(points[1:], points[:-1]).max() / apart(points[-1:], points[:1]))

    return {
        "latents": share(z),
        "features": share(Features(model, shape)(z)),
        "pyramid": share(frames, lambda a, b: pyramid(a, b).clamp(min=0).sqrt()),
    }


def fine_residual(model: LatentDiffusion, ends: Ends, path: paths.ImagePath, alpha: float) -> float:
    """The relative residual of the geodesic equation at FINE points of a path."""
    curve = path.curve.at_constant_speed(FINE)
    return DensityMetric(model.score(ends.shape, ends.tau, ends.conditioning, 1.0), alpha).residual(curve).relative


def judge(pair: tuple[Scene, Scene], frames: torch.Tensor) -> dict:
    """Fit errors of inner frames, the motion of the fitted object, and how often it looks like one of the two."""
    fits = fit_all(frames)
    a, b = pair[0].solids[0], pair[1].solids[0]
    axis = (b.x - a.x, b.y - a.y)
    far = math.hypot(*axis) or 1.0
    along = [((s.x - a.x) * axis[0] + (s.y - a.y) * axis[1]) / far for f in fits for s in f.scene.solids[:1]]
    steps = [q - p for p, q in pairwise(along)]
    solids = [f.scene.solids[0] if f.scene.solids else None for f in fits[1:-1]]
    return {
        "fit": [f.error for f in fits[1:-1]],
        "kept": statistics.mean(
            s is not None and (s.shape, s.colour) in [(e.shape, e.colour) for e in (a, b)] for s in solids
        ),
        "step": max(map(abs, steps)) / far,
        "monotone": min(steps) > -SLACK,
        "along": along,
    }


def motion(model: LatentDiffusion, pair: tuple[Scene, Scene], frames: int) -> torch.Tensor:
    """Clean latents (frames, d) of an object on its straight way from A to B, evenly spaced in the latents."""
    a, b = pair[0].solids[0], pair[1].solids[0]
    turn = math.remainder(b.rotation - a.rotation, math.pi / 2)  # the shorter way round, for a cube

    def at(v: float) -> Scene:
        return Scene((replace(a, x=a.x + v * (b.x - a.x), y=a.y + v * (b.y - a.y), rotation=a.rotation + v * turn),))

    def seen(u: torch.Tensor) -> torch.Tensor:
        return model.encode(render([at(v) for v in u.tolist()]))

    dense = paths.positions(4 * (frames - 1) + 1)
    z = seen(dense)
    return seen(at_equal_parts(dense, distance(z[1:], z[:-1]), frames))


def study(model: LatentDiffusion, pair: tuple[Scene, Scene], options: argparse.Namespace, picture: Path) -> dict:
    """One pair."""
    images, prompts = render(list(pair)), tuple(scene.caption for scene in pair)
    ends = embed(model, images, prompts, options.tau, options.steps)
    began = time.monotonic()
    choice = SearchChoice(alpha=options.alpha, pool_size=options.pool_size, budget=options.budget)
    found = global_path(model, ends, choice, cache=options.cache)
    seconds = time.monotonic() - began
    rows: dict[str, tuple[Ends, paths.ImagePath]] = {}
    for name, tau in ((PUBLISHED, 0.6), (USUAL, 0.4)):
        there = embed(model, images, prompts, tau, options.steps)
        problem = paths.Problem.between(model, there, bend=0, alpha=None, nodes=17, guidance=1.0, seed=0)
        rows[name] = (there, problem.slerp())
    rows |= {
        name: (ends, paths.ImagePath(name, curve, None, None, 0, 0))
        for name, curve in found.curves.items()
        if name != "graph"
    }
    result: dict = {
        "captions": prompts,
        "ends": [f.error for f in fit_all(model.decode(ends.z, ends.shape).cpu())],
        "best": found.path.method,
        "status": found.status,
        "lengths": found.lengths,
        "evaluations": found.evaluations,
        "graph": found.graph,
        "history": found.history,
        "statuses": {name: solution.status.name for name, solution in found.solutions.items()},
        "residuals": {name: solution.residual for name, solution in found.solutions.items()},
        "seconds": seconds,
        "residual": fine_residual(model, ends, found.path, options.alpha),
        "methods": {},
    }
    clean = {name: even_latents(model, *one, options.frames, options.steps) for name, one in rows.items()}
    a, b = pair[0].solids[0], pair[1].solids[0]
    if replace(b, x=a.x, y=a.y, rotation=a.rotation) == a:  # one object that moved
        clean[MOTION] = motion(model, pair, options.frames)
    pictures = {name: model.decode(z, ends.shape).cpu() for name, z in clean.items()}
    for name, z in clean.items():
        result["methods"][name] = judge(pair, pictures[name]) | {"jumps": jumps(model, ends.shape, z, pictures[name])}
    write_png(sheet(list(pictures.values()), [CALLED[name] for name in pictures]), picture)
    return result


def table(results: list[dict]) -> str:
    """Markdown, one row a method."""
    lines = [
        "| method | log length - global | fit: median | mean ± s.e. | > 0.95 | jump: "
        + " | ".join(JUMPS)
        + " | largest motion | monotone | looks kept |",
        "|---|" + "---|" * 10,
    ]
    names = dict.fromkeys(name for result in results for name in result["methods"])
    for name in names:
        runs = [r["methods"][name] for r in results if name in r["methods"]]
        means = [statistics.mean(r["fit"]) for r in runs]
        errors = [e for r in runs for e in r["fit"]]
        more = [
            r["lengths"][name] - r["lengths"]["global"]
            for r in results
            if name in r["lengths"] and "global" in r["lengths"]
        ]
        spread = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0
        lines.append(
            f"| {name} | {f'{statistics.median(more):.2f}' if more else '-'} | {statistics.median(errors):.3f} "
            f"| {statistics.mean(means):.3f} ± {spread:.3f} | {sum(e > 0.95 for e in errors)} | "
            + " | ".join(f"{statistics.mean(r['jumps'][kind] for r in runs):.3f}" for kind in JUMPS)
            + f" | {statistics.mean(r['step'] for r in runs):.2f} "
            f"| {100 * statistics.mean(r['monotone'] for r in runs):.0f}% "
            f"| {100 * statistics.mean(r['kept'] for r in runs):.0f}% |"
        )
    best = [r["methods"][r["best"]] for r in results]
    fits, slerps, ends = (
        [statistics.mean(m["fit"]) for m in best],
        [statistics.mean(r["methods"][USUAL]["fit"]) for r in results],
        [statistics.mean(r["ends"]) for r in results],
    )
    from scipy.stats import wilcoxon

    less = float(wilcoxon(fits, slerps, alternative="less").pvalue) if len(results) > 5 else float("nan")
    ratios = [math.exp(r["lengths"][r["best"]] - r["lengths"]["slerp"]) for r in results]
    lines += [
        "",
        "What is taken, the shorter of local and global: length over slerp's, "
        f"median {statistics.median(ratios):.2f}, below it in {100 * statistics.mean(r < 1 for r in ratios):.0f}%; "
        f"mean fit error {statistics.mean(fits):.3f}, "
        f"{statistics.mean(fits) / statistics.mean(ends):.2f} times that of reconstructions, below slerp's at 0.4 with "
        f"p = {less:.1e} (Wilcoxon); frames above 0.95: {sum(e > 0.95 for m in best for e in m['fit'])}; "
        f"monotone {100 * statistics.mean(m['monotone'] for m in best):.0f}%.",
        "",
        "Its largest step over that of others, as the ratio of means and (median of ratios):",
    ]
    for other in names:
        pairs = [(m, r["methods"][other]) for m, r in zip(best, results, strict=True) if other in r["methods"]]
        parts = [f"{kind} {_ratio([(m['jumps'][kind], o['jumps'][kind]) for m, o in pairs])}" for kind in JUMPS]
        parts.append(f"the object's {_ratio([(m['step'], o['step']) for m, o in pairs])}")
        lines.append(f"- {other}: {', '.join(parts)}")
    residuals = [r["residual"] for r in results]
    won = statistics.mean(r["best"] == "global" for r in results)
    kinds = ("search", "local", "refine", "grow", "finish", "measure")
    cost = {k: round(statistics.mean(r["evaluations"].get(k, 0) for r in results)) for k in kinds}
    warm = [sum(r["evaluations"].get(k, 0) for k in kinds) for r in results]
    lines += [
        "",
        f"{len(results)} pairs; the global path is taken in {100 * won:.0f}%; mean evaluations {cost}, "
        f"in all {statistics.mean(warm):.0f} with a warm pool (at most {max(warm)}) and "
        f"{statistics.mean(w + r['graph'].get('pool', 0) for w, r in zip(warm, results, strict=True)):.0f} with a cold "
        f"one; {statistics.mean(r['seconds'] for r in results):.1f} s a search, as it was.",
        f"Relative residual of what is taken, at {FINE} points: median {statistics.median(residuals):.3f}, at most "
        f"{max(residuals):.3f}, at most 0.05 in {sum(r <= 0.05 for r in residuals)}.",
    ]
    return "\n".join(lines) + "\n"


def _ratio(pairs: Sequence[tuple[float, float]]) -> str:
    whole = statistics.mean(a for a, _ in pairs) / statistics.mean(b for _, b in pairs)
    return f"{whole:.2f} ({statistics.median(a / b for a, b in pairs):.2f})"


def main() -> None:
    """Study the pairs that are not done yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--tau", type=float, default=0.1)
    parser.add_argument("--alpha", type=float, default=0.02)
    parser.add_argument("--pool-size", type=int, default=96)
    parser.add_argument("--budget", type=int, default=3000)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--cache", type=Path, default=cache_folder("pools"))
    parser.add_argument("--out", type=Path, default=Path("global"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, pairs = load("clevr-mini"), make_pairs(50)
    files = {k: options.out / f"pair-{k:03d}.json" for k in range(options.first, options.pairs, options.stride)}
    results = {
        k: kept(file, partial(study, model, pairs[k], options, file.with_suffix(".png"))) for k, file in files.items()
    }
    for title, rests in (("One object moved", {0}), ("Different objects", {1}), ("All", {0, 1})):
        some = [result for k, result in results.items() if k % 2 in rests]
        if some:
            print(f"{title}\n\n{table(some)}")
    order = sorted(results, key=lambda k: statistics.mean(results[k]["methods"][results[k]["best"]]["fit"]))
    for name, chosen in (("best", order[:10]), ("worst", order[-10:])):
        pictures = [read_image(files[k].with_suffix(".png")) for k in chosen]
        height, width = (max(p.shape[side] for p in pictures) for side in (1, 2))
        padded = [pad(p, (0, width - p.shape[2], 0, height - p.shape[1]), value=1.0) for p in pictures]
        write_png(torch.cat(padded, dim=1), options.out / f"{name}.png")


if __name__ == "__main__":
    main()
