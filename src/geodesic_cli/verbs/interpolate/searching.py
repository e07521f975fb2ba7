"""`geodesic interpolate --method global`: the search, what is kept of it for a resumed run, and what is told of it.

The search itself is `global_path`; its samples are in the cache, and its result is in the checkpoint of the run.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import plots
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.frames.keyframes import Ends
from geodesic_cli.frames.paths import ImagePath, Problem
from geodesic_cli.geometry import Curve, Euclidean
from geodesic_cli.runs.cache import told_cache
from geodesic_cli.runs.folder import RunDirectory
from geodesic_cli.runs.job import Job
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.search.candidates import at_frames
from geodesic_cli.search.outcome import GlobalPath
from geodesic_cli.search.pool import POOLS, evaluations_to_fill
from geodesic_cli.search.search import SearchChoice, global_path
from geodesic_cli.settings import InterpolateSettings, parse_budget
from geodesic_cli.settings.vocabulary import PATH_NAMES, fared, path_name

STAGE_WORDS = {
    "pool": "drawing samples",
    "search": "searching among them",
    "local": "local path found",
    "refine": "path shortened",
    "grow": "samples added",
    "finish": "path made a geodesic",
}
"""What the progress display says of a stage of the search."""
UNTIMED = 600
"""About how many evaluations a search takes; for the progress bar where the budget is in seconds."""
METHOD_OF = {"local": "geodesic"}
"""What the settings call a path of the search, where that is another name."""
ALIKE = "The two images are the same: there is nothing to search for."


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Args:
        path: the path, in flat space.
        doubtful: whether it is improbable at each of equal steps of u, (m,).
        metrics: its part of metrics.json, as JSON holds it.
    """

    path: ImagePath
    doubtful: Tensor
    metrics: dict[str, Any]

    @property
    def evaluations(self) -> int:
        """Network evaluations that the search made."""
        return sum(self.metrics["evaluations"].values())

    @property
    def status(self) -> str:
        """A sentence on which path won."""
        return self.metrics["status"]

    @property
    def certain(self) -> bool:
        """Whether the path keeps to probable regions."""
        return not bool(self.doubtful.any())

    def marked(self, u: Tensor) -> list[int]:
        """Which of the frames at positions u (m,) lie where the path is improbable."""
        return at_frames(self.doubtful, u).nonzero()[:, 0].tolist()


def search(
    job: Job[InterpolateSettings], model: LatentDiffusion, problem: Problem, checkpoint: str, draws: bool
) -> Found:
    """Search between two images, or take up what an earlier session of the run has found.

    Args:
        job: with the folder where the result is kept, if anywhere.
        model: whose samples are searched.
        problem: the images and the metric.
        checkpoint: the name of the result there.
        draws: whether graph.png is written.
    """
    s, directory, ends, alpha, bend = job.settings, job.directory, problem.ends, problem.metric.alpha, problem.bend
    evaluations, seconds = parse_budget(s.budget)
    if directory is not None and directory.has(checkpoint):
        tensors, about = directory.read_tensors(checkpoint)
        curve = Curve(tensors["x"].to(ends.x.device), Euclidean())
        metrics = json.loads(about["metrics"])
        return Found(ImagePath("global", curve, None, None, alpha, bend), tensors["doubtful"].bool(), metrics)
    if torch.equal(ends.x[0], ends.x[1]):
        return _nothing(ends, alpha)
    job.observer.stage("Searching", evaluations_to_fill(s.pool_size, s.guidance) + (evaluations or UNTIMED))
    told = 0

    def tell(stage: str, spent: int) -> None:
        nonlocal told
        job.observer.advance(spent - told, STAGE_WORDS[stage])
        told = spent

    choice = SearchChoice(alpha, s.pool_size, evaluations, seconds, tol=s.tol, guidance=s.guidance, seed=s.seed)
    found = global_path(model, ends, choice, cache=told_cache(cache_folder(POOLS), job.observer.warn), on_stage=tell)
    metrics = _search_metrics(found, bend)
    if directory is not None:
        if draws:
            draw(found, directory, s.tol)
        kept = {"x": found.path.curve.x, "doubtful": found.doubtful.to(torch.uint8), "way_points": found.way_points}
        directory.write_tensors(checkpoint, kept, {"metrics": json.dumps(metrics)})
    return Found(ImagePath("global", found.path.curve, None, None, alpha, bend), found.doubtful.cpu(), metrics)


def _search_metrics(found: GlobalPath, bend: float) -> dict[str, Any]:
    """What metrics.json holds of a search, as a resumed run will read it from the checkpoint."""
    metrics: dict[str, Any] = {
        "winner": found.path.method,
        "status": found.status,
        "log_lengths": found.lengths,
        "density_changes": found.changes,
        "too_long": found.too_long,
        "comparable_to": found.comparable_to,
        "evaluations": found.evaluations,
        "graph": found.graph,
        "history": list(found.history),
        "way_positions": found.way_positions.tolist(),
        "bend": bend,
    }
    plain: dict[str, Any] = json.loads(json.dumps(metrics))
    return plain


def _nothing(ends: Ends, alpha: float) -> Found:
    nothing = {
        "evaluations": {},
        "log_lengths": {},
        "density_changes": {},
        "too_long": {},
        "comparable_to": 0.0,
        "graph": {},
        "history": [],
        "way_positions": [0.0, 1.0],
    }
    here = ImagePath("global", Curve(ends.x, Euclidean()), None, None, alpha, 0.0)
    return Found(here, torch.zeros(2, dtype=torch.bool), nothing | {"winner": "none", "status": ALIKE, "bend": 0.0})


def draw(found: GlobalPath, directory: RunDirectory, tol: float) -> None:
    """The graph and the paths over it in the plane of the largest variance of the points, as graph.png.

    Args:
        found: by a search.
        directory: of the run.
        tol: the relative residual up to which a path is called a geodesic.
    """
    centre = found.points.mean(dim=0)
    axes = torch.linalg.svd(found.points - centre, full_matrices=False)[2][:2]
    # The sign of a singular vector is arbitrary: let the last image lie to the right and above.
    axes = axes * torch.sign(axes @ (found.points[1] - found.points[0]))[:, None]

    def flat(x: Tensor) -> list[list[float]]:
        return ((x - centre) @ axes.T).cpu().tolist()

    paths = {_named(name, found, tol): (name, flat(x.x)) for name, x in found.curves.items() if name != "graph"}
    plots.graph_in_plane(
        flat(found.points),
        found.links.cpu().tolist(),
        found.densities.cpu().tolist(),
        flat(found.way_points),
        paths,
        directory.path("graph.png"),
    )


def _named(name: str, found: GlobalPath, tol: float) -> str:
    """What the legend calls a path of the search: its name, whether it converged, and how it fared."""
    method, solution = METHOD_OF.get(name, name), found.solutions.get(name)
    # The residual here is the solver's own, that of the tables is measured on more points: one number is enough.
    own = (
        path_name(method, solution.residual, tol, solution.converged, number=False) if solution else PATH_NAMES[method]
    )
    lengths = [value for key, value in found.lengths.items() if key != "graph" and not math.isnan(value)]
    longer = not found.lengths[name] <= min(lengths, default=math.inf) + found.comparable_to  # no number lost, too
    return own + fared(name == found.path.method, longer)
