"""`geodesic interpolate`: two images, the geodesic between them, and everything that a person wants to see of it.

    read -> embed (encode, invert to tau) -> first path -> solve -> frames -> sheet, films, plots, numbers

The run can be stopped at any moment and resumed: the encoded ends, every step of the solver and every frame are on
disk as soon as they exist, and the resumed run gives the same bytes.
"""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media, plots
from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.errors import InputError
from geodesic_cli.geometry import Step
from geodesic_cli.settings import InterpolateSettings, from_options
from geodesic_cli.tasks.checkpoint import pack, unpack
from geodesic_cli.tasks.opening import open_model
from geodesic_cli.tasks.paths import (
    MEASURED,
    Ends,
    Path,
    PathReport,
    Problem,
    clean,
    embed,
    evaluations_to_pace,
    even_positions,
    positions,
)
from geodesic_cli.tasks.progress import Observer, Silent
from geodesic_cli.tasks.run import MANIFEST, RunDirectory, first_free
from geodesic_cli.tasks.search import Found, search

FAITHFUL = 20.0
"""dB. An image that comes back from the autoencoder worse than this is not one that the model can draw."""
DECODED_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Interpolation:
    """The result of an interpolation.

    Args:
        frames: (n, 3, h, w) in [0, 1]; the first and the last are the images as the autoencoder encodes them.
        u: positions of the frames along the path, (n,).
        path: the path at noise level tau.
        report: its density, length, speed and residual.
        metrics: what metrics.json holds.
        status: a sentence on how the solver ended.
        folder: the run directory, or None where nothing was written.
        found: what the search of the method `global` found.
    """

    frames: Tensor
    u: Tensor
    path: Path
    report: PathReport
    metrics: dict[str, Any]
    status: str
    folder: FilePath | None
    found: Found | None = None

    @property
    def converged(self) -> bool:
        """Whether the path satisfies the geodesic equation to the tolerance; true for slerp and lerp.

        For a global search, whether its path keeps to probable regions.
        """
        if self.found is not None:
            return self.found.certain
        return self.path.solution is None or self.path.solution.converged


def interpolate(
    a: str | FilePath | Tensor,
    b: str | FilePath | Tensor,
    *,
    model: str | LatentDiffusion = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> Interpolation:
    """Interpolate between two images in memory; nothing is written.

    Args:
        a: the first image, a file or a tensor (3, h, w) in [0, 1].
        b: the last image.
        model: a name, or a model that is loaded already.
        observer: told of the progress.
        options: any setting of `settings.InterpolateSettings` but images, out, resume and overwrite.

    Raises:
        GeodesicError: an input that cannot be used, with what to do about it.
    """
    names = tuple(str(image) if not isinstance(image, Tensor) else f"image {k}" for k, image in enumerate((a, b), 1))
    named = model if isinstance(model, str) else model.name
    prompt = options.get("prompt") or ()
    options["prompt"] = (prompt,) if isinstance(prompt, str) else tuple(prompt)
    settings = from_options(InterpolateSettings, "interpolate", options, {"images": names, "model": named})
    read = [_checked(image) if isinstance(image, Tensor) else media.read_image(image) for image in (a, b)]
    loaded = open_model(settings) if isinstance(model, str) else model
    watch = observer or Silent()
    return _Work(settings, watch, None).run(loaded, _fit(settings, watch, loaded, read))


def _checked(image: Tensor) -> Tensor:
    inside = image.is_floating_point() and bool(((image >= 0) & (image <= 1)).all())
    if image.ndim != 3 or image.shape[0] != 3 or not inside:
        raise InputError(
            f"An image is a floating-point tensor (3, h, w) in [0, 1]; got {image.dtype} of shape {tuple(image.shape)}."
        )
    return image.detach().to("cpu", torch.float32)


def run(settings: InterpolateSettings, observer: Observer, command: str) -> Interpolation:
    """Interpolate and write the run directory. See the module's text and `InterpolateSettings`."""
    images = [media.read_image(path) for path in settings.images]
    model = open_model(settings)
    fitted = _fit(settings, observer, model, images)  # all that may be refused comes before the folder is touched
    folder = settings.out or free_folder(settings.images)
    if settings.resume and not FilePath(folder, MANIFEST).is_file():
        observer.warn(f"There is no run in {folder} to go on with: starting one.")
    stored = asdict(settings) | {"out": folder}
    with RunDirectory.open(
        folder, stored, command=command, resume=settings.resume, overwrite=settings.overwrite
    ) as directory:
        return _Work(settings, observer, directory).run(model, fitted)


def free_folder(images: tuple[str, ...]) -> str:
    """The first of runs/A-to-B, runs/A-to-B-2, ... that does not exist."""
    return first_free("runs/" + "-to-".join(FilePath(image).stem for image in images))


def _fit(settings: InterpolateSettings, observer: Observer, model: LatentDiffusion, read: list[Tensor]) -> Tensor:
    """Both images at the size of the run, (2, 3, h, w)."""
    if settings.size is None:
        media.same_size(read, settings.images, suggest=str(model.image_size))
        height = width = model.image_size
    else:
        height, width = media.parse_size(settings.size)
    model.latent_shape(height, width)
    for name, image in zip(settings.images, read, strict=True):
        h, w = image.shape[1:]
        if abs(h / w - height / width) > 0.01:
            hint = " Pass --size WIDTHxHEIGHT for another shape." if settings.size is None else ""
            observer.warn(f"{name} is {w}x{h}; its middle is used at {width}x{height}.{hint}")
    times = height * width / model.image_size**2
    if times > 4:
        observer.warn(
            f"{width}x{height} is {times:.0f} times the area that {model.name} was made for: expect repetition in the "
            f"pictures and a long time. Its own size is --size {model.image_size}."
        )
    if torch.equal(read[0], read[1]):
        observer.warn("The two images are the same; the path between them is one point.")
    return torch.stack([media.resize(image, height, width) for image in read])


@dataclass(frozen=True, eq=False)
class _Work:
    """One interpolation: what was asked for, who watches, and where it is written, if anywhere."""

    settings: InterpolateSettings
    observer: Observer
    directory: RunDirectory | None

    @property
    def branches(self) -> int:
        """Network evaluations for one of a score: guidance calls the network with and without the prompt."""
        return 2 if self.settings.guidance != 1 else 1

    def run(self, model: LatentDiffusion, images: Tensor) -> Interpolation:
        began = time.monotonic()
        s = self.settings
        ends, spent = self._ends(model, images)
        self._warn_if_unfaithful(model, ends)
        problem = Problem.between(
            model, ends, bend=s.bend, alpha=s.alpha, nodes=s.nodes, guidance=s.guidance, seed=s.seed
        )
        spent += self.branches * s.nodes
        history: list[tuple[int, float, float]] = []  # score evaluations, residual, log length of every step
        made: dict[str, Path] = {}
        wanted = tuple(dict.fromkeys([*(("lerp", "slerp", "geodesic") if s.compare else ()), s.method]))
        found = search(model, ends, s, self.observer, self.directory) if "global" in wanted else None
        if "geodesic" in wanted:
            made["geodesic"] = self._solve(problem, history)
        made |= {name: getattr(problem, name)() for name in wanted if name in ("lerp", "slerp")}
        if found is not None:
            made["global"] = found.path
            spent += found.evaluations
        path = made[s.method]
        reports = {name: problem.measure(made[name]) for name in wanted}
        spent += self.branches * MEASURED * len(wanted)
        spent += self.branches * sum(one.solution.score_calls for one in made.values() if one.solution)
        rows: dict[str, Tensor] = {}
        u = positions(s.frames)
        for name in (*(other for other in wanted if other != s.method), s.method):
            if s.pacing == "even":
                u = self._even(model, ends, made[name])
            rows[name] = self._frames(model, ends, made[name], u, main=name == s.method)
        decoded = self.branches * len(wanted) * (s.frames - 2) * (s.steps + 1)
        paced = self.branches * len(wanted) * evaluations_to_pace(s.frames, s.steps) if s.pacing == "even" else 0
        status = path.solution.status.value if path.solution else f"{s.method} needs no solving."
        if found is not None:
            status = found.status
        metrics = {
            "method": s.method,
            "status": path.solution.status.name if path.solution else "NOT_NEEDED",
            "alpha": path.alpha,
            "bend": path.bend,
            "tau": s.tau,
            "dimension": ends.x.shape[1],
            "frames": s.frames,
            "positions": u.tolist(),
            "reconstruction_psnr": list(ends.psnr),
            "steps": path.solution.steps if path.solution else 0,
            "score_evaluations": path.solution.score_calls if path.solution else 0,
            "evaluations": {"path": spent, "pacing": paced, "frames": decoded},
            "paths": {name: asdict(report) for name, report in reports.items()},
            "seconds": round(time.monotonic() - began, 3),
        }
        if found is not None:
            metrics |= {"status": "SEARCHED", "score_evaluations": found.evaluations}
            metrics["global"] = found.metrics | {"marked_frames": found.marked(u)}
        result = Interpolation(rows[s.method], u, path, reports[s.method], metrics, status, None, found)
        if self.directory is None:
            return result
        self._write(self.directory, ends, result, reports, {name: rows[name] for name in wanted}, history)
        self.directory.finish(status, metrics, evaluations=spent + paced + decoded)
        return replace(result, folder=self.directory.folder)

    def _ends(self, model: LatentDiffusion, images: Tensor) -> tuple[Ends, int]:
        """The ends at noise level tau, from the checkpoint where there is one for these very images."""
        s = self.settings
        spent = 2 * s.steps * self.branches
        about: dict[str, str] = {}
        if self.directory is not None:
            digest = hashlib.sha256(images.numpy().tobytes()).hexdigest()
            about = {"images": digest, "model": model.fingerprint}
            if self.directory.has("checkpoint/ends.safetensors"):
                return self._saved_ends(self.directory, model, images, about), spent
        self.observer.stage("Encoding", spent)
        ends = embed(model, images, s.prompt, s.tau, s.steps, s.guidance)
        self.observer.advance(spent)
        if self.directory is not None:
            about["psnr"] = json.dumps(list(ends.psnr))
            self.directory.write_tensors("checkpoint/ends.safetensors", {"z": ends.z, "x": ends.x}, about)
        return ends, spent

    def _saved_ends(
        self, directory: RunDirectory, model: LatentDiffusion, images: Tensor, about: dict[str, str]
    ) -> Ends:
        s = self.settings
        tensors, saved = directory.read_tensors("checkpoint/ends.safetensors")
        for what, words in (("images", "images are"), ("model", "model's weights, dtype or kind of device are")):
            if saved[what] != about[what]:
                raise InputError(
                    f"The {words} not those that this run was begun with.", "Pass another --out, or --overwrite."
                )
        conditioning = model.prompts.along(s.prompt)
        x, z = (tensors[name].to(model.device) for name in ("x", "z"))
        psnr = json.loads(saved["psnr"])
        return Ends(z, x, model.latent_shape(*images.shape[2:]), conditioning, s.tau, (psnr[0], psnr[1]))

    def _warn_if_unfaithful(self, model: LatentDiffusion, ends: Ends) -> None:
        other = " Pass a model of such pictures, for photographs --model sd15." if model.name == "clevr-mini" else ""
        for name, psnr in zip(self.settings.images, ends.psnr, strict=True):
            if psnr < FAITHFUL:
                self.observer.warn(
                    f"{name} is not a picture that {model.name} can draw: its autoencoder brings it back at "
                    f"{psnr:.1f} dB, and {FAITHFUL:.0f} dB are needed for a likeness.{other}"
                )

    def _solve(self, problem: Problem, history: list[tuple[int, float, float]]) -> Path:
        s = self.settings
        start = self._last_step(problem, history)

        def watch(step: Step) -> None:
            history.append((step.score_calls, step.residual, step.log_length))
            if self.directory is not None:
                tensors, tree = pack(step)
                about = {"step": json.dumps(tree), "history": json.dumps(history)}
                self.directory.write_tensors("checkpoint/step.safetensors", tensors, about)
            self.observer.advance(step.score_calls - spent[0], f"residual {step.residual:.4f}")
            spent[0] = step.score_calls

        self.observer.stage("Solving", problem.most_evaluations(s.solver, s.max_steps))
        spent = [0]
        if start is not None:
            self.observer.advance(start.score_calls)
            spent = [start.score_calls]
        return problem.geodesic(s.solver, s.tol, s.max_steps, watch, start)

    def _last_step(self, problem: Problem, history: list[tuple[int, float, float]]) -> Step | None:
        """The step that an earlier session reached, and into ``history`` what led to it."""
        if self.directory is None or not self.directory.has("checkpoint/step.safetensors"):
            return None
        tensors, about = self.directory.read_tensors("checkpoint/step.safetensors")
        history += [(calls, residual, length) for calls, residual, length in json.loads(about["history"])]
        return unpack(tensors, json.loads(about["step"]), problem.guess.x.device)

    def _even(self, model: LatentDiffusion, ends: Ends, path: Path) -> Tensor:
        """Positions of evenly paced frames, from the checkpoint where an earlier session has found them."""
        s = self.settings
        name = f"checkpoint/positions-{path.method}.safetensors"
        if self.directory is not None and self.directory.has(name):
            return self.directory.read_tensors(name)[0]["u"]
        self.observer.stage(f"Pacing {path.method}", evaluations_to_pace(s.frames, s.steps))
        u = even_positions(model, ends, path, s.frames, s.steps, s.guidance)
        self.observer.advance(evaluations_to_pace(s.frames, s.steps))
        if self.directory is not None:
            self.directory.write_tensors(name, {"u": u})
        return u

    def _frames(self, model: LatentDiffusion, ends: Ends, path: Path, u: Tensor, main: bool) -> Tensor:
        """Decode a path; the frames of the main one are written as they come, and kept if they are there already."""
        s = self.settings
        frames: list[Tensor] = []
        self.observer.stage(f"Drawing {path.method}", len(u), "frames")
        for first in range(0, len(u), DECODED_AT_ONCE):
            part = u[first : first + DECODED_AT_ONCE]
            names = [f"frames/{first + k:05d}.png" for k in range(len(part))]
            if main and self.directory is not None and all(self.directory.has(name) for name in names):
                frames += [media.read_image(self.directory.folder / name) for name in names]
            else:
                pictures = model.decode(clean(model, ends, path, part, s.steps, s.guidance), ends.shape).cpu()
                if main and self.directory is not None:
                    for name, picture, position in zip(names, pictures, part.tolist(), strict=True):
                        self.directory.write_png(name, picture, {"u": position})
                frames += list(pictures)
            self.observer.advance(len(part))
        return torch.stack(frames)

    def _write(
        self,
        directory: RunDirectory,
        ends: Ends,
        result: Interpolation,
        reports: dict[str, PathReport],
        rows: dict[str, Tensor],
        history: list[tuple[int, float, float]],
    ) -> None:
        s = self.settings
        self.observer.stage("Writing", 5, "files")
        labels = list(rows) if len(rows) > 1 else None
        directory.write_png("sheet.png", media.sheet(list(rows.values()), labels))
        self.observer.advance(1)
        media.write_gif(result.frames, directory.path("video.gif"), s.fps)
        self.observer.advance(1)
        media.write_mp4(result.frames, directory.path("video.mp4"), s.fps)
        self.observer.advance(1)
        plots.density_and_speed(
            {name: asdict(report) for name, report in reports.items()}, directory.path("density.png")
        )
        if history:
            plots.length_history(
                {
                    "geodesic": {
                        "score_calls": [float(calls) for calls, _, _ in history],
                        "residual": [residual for _, residual, _ in history],
                        "length": [math.exp(min(length, 700.0)) for _, _, length in history],
                    }
                },
                directory.path("convergence.png"),
            )
        self.observer.advance(1)
        nodes = result.path.curve.u
        directory.write_tensors(
            "path.safetensors",
            {"x": result.path(nodes), "u": nodes, "z_ends": ends.z, "x_ends": ends.x, "frame_u": result.u},
            {"method": s.method, "tau": str(s.tau), "shape": json.dumps(list(ends.shape)), "model": s.model},
        )
        self.observer.advance(1)
