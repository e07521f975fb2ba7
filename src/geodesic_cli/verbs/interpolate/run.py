"""`geodesic interpolate`: images, the geodesic through them, and everything that a person wants to see of it.

    read -> embed (encode, invert to tau) -> solve each leg -> round the corners -> frames -> films, plots, numbers

The run can be stopped at any moment and resumed: the encoded images, every step of the solver and every frame are on
disk as soon as they exist, and the resumed run gives the same bytes.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.diffusion.tuning.textual_inversion import DESCENTS
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, Picture, fit, image_names, read_images
from geodesic_cli.frames.keyframes import Keyframes, conditions_for, embed_all, prompt_of_each
from geodesic_cli.frames.pacing import frame_numbers, pacer
from geodesic_cli.frames.path_report import PathReport, joined
from geodesic_cli.frames.paths import ImagePath
from geodesic_cli.frames.text_inversion import TEXTS, inverted_conditioning
from geodesic_cli.runs.cache import cache_folder
from geodesic_cli.runs.folder import require_same
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.room import frame_bytes, node_bytes, require_room
from geodesic_cli.settings import STEPS, InterpolateSettings, parse_timing
from geodesic_cli.verbs.interpolate.drawing import Drawer
from geodesic_cli.verbs.interpolate.legs import LegSolver, rounded_legs
from geodesic_cli.verbs.interpolate.metrics import path_metrics
from geodesic_cli.verbs.interpolate.plan import Plan, plan
from geodesic_cli.verbs.interpolate.searching import Found

ENDS = "checkpoint/ends.safetensors"
FAITHFUL = 20.0
"""dB. An image that comes back from the autoencoder worse than this is not one that the model can draw."""


@dataclass(frozen=True, eq=False)
class Interpolation(RunResult):
    """The result of an interpolation. Its status says how the solver ended; of several legs, the worst.

    Args:
        frames: (n, 3, h, w) in [0, 1]; the keyframes among them are the images as the autoencoder encodes them.
        u: positions of the frames along the path, (n,); the legs between keyframes have equal shares of [0, 1].
        legs: the path of each leg at noise level tau, in its own u.
        report: the density, length, speed and residual of all of it.
        found: what the searches of the method `global` found, leg by leg; empty for other methods.
    """

    frames: Tensor
    u: Tensor
    legs: tuple[ImagePath, ...]
    report: PathReport
    found: tuple[Found, ...] = ()

    @property
    def path(self) -> ImagePath:
        """The path of the first leg; between two images the only one."""
        return self.legs[0]

    @property
    def converged(self) -> bool:
        """Whether the path satisfies the geodesic equation to the tolerance; true for slerp and lerp.

        For a global search, whether its path keeps to probable regions.
        """
        if self.found:
            return all(found.certain for found in self.found)
        return all(path.solution is None or path.solution.converged for path in self.legs)


def interpolate(
    *images: Picture, model: AnyModel = "clevr-mini", observer: Observer | None = None, **options: Any
) -> Interpolation:
    """Interpolate through images in memory; nothing is written.

    Args:
        images: two or more, each a file or a tensor (3, h, w) in [0, 1]; or one film, GIF or folder of frames.
        options: any setting of `settings.InterpolateSettings` but images, out, resume and overwrite.
    """
    job = in_memory(InterpolateSettings, "interpolate", model, options, observer, images=image_names(images))
    return run(job, images)


def _read(images: Sequence[Picture], observer: Observer) -> tuple[list[Tensor], tuple[str, ...]]:
    """The keyframes and their names: images as they are, or the frames of the one film or folder."""
    if len(images) > 1:
        return read_images(images, observer), image_names(images)
    source = images[0]
    if isinstance(source, Tensor):
        raise InputError("An interpolation needs two images; got one.", "Pass the first and the last one.")
    frames = media.read_frames(source, observer.warn)
    if len(frames) < 2:
        raise InputError(
            f"An interpolation needs two images; {source} holds {len(frames)}.",
            "Pass a second image, or a film, a GIF or a folder of at least two.",
        )
    return [frame.image for frame in frames], tuple(frame.name for frame in frames)


def run(job: Job[InterpolateSettings], given: Sequence[Picture] = ()) -> Interpolation:
    """Interpolate through the files of the settings, or the images given in their place. See the module's text."""
    model, images, canvas, names = _ready(job, given)  # all that may be refused comes before the folder is touched
    with job.in_folder(stem(job.settings)) as job:
        return _Work(**vars(job)).run(model, images, canvas, names)


def dry_run(job: Job[InterpolateSettings]) -> Plan:
    """What the run will cost, with everything refused that the run would refuse; nothing is written."""
    model, images, canvas, _ = _ready(job, ())
    return plan(job.settings, model, len(images), *canvas.padded)


def stem(settings: InterpolateSettings) -> str:
    """What the folder of a run is called below runs/."""
    images = settings.images
    return "-to-".join(Path(image).stem for image in (images[:1] + images[-1:] if len(images) > 1 else images))


def _ready(
    job: Job[InterpolateSettings], given: Sequence[Picture]
) -> tuple[LatentDiffusion, Tensor, Canvas, tuple[str, ...]]:
    """The model, the images as it sees them, (n, 3, h, w), the canvas that crops frames, and the images' names."""
    settings = job.settings
    read, names = _read(given or settings.images, job.observer)
    model = job.load_model()
    images, canvas = fit(read, names, settings.size, model, job.observer, alike=True)
    _require_room(settings, canvas, len(images), model)
    prompt_of_each(settings.prompt, len(images))
    _numbers(settings, [1.0] * settings.legs(len(images)))
    if len(read) == 2 and torch.equal(read[0], read[1]):
        job.observer.warn("The two images are the same; the path between them is one point.")
    return model, canvas.pad(images), canvas, names


def _require_room(s: InterpolateSettings, canvas: Canvas, images: int, model: LatentDiffusion) -> None:
    """Refuse more frames, nodes or samples than memory holds."""
    frame, node = frame_bytes(canvas.height, canvas.width), node_bytes(math.prod(model.latent_shape(*canvas.padded)))
    require_room(
        {
            "frames": (s.frames, frame * len(s.methods)),
            "between": (s.between, frame * len(s.methods) * s.legs(images)),
            "nodes": (s.nodes, node * s.noise_bank),
            "pool_size": (s.pool_size if "global" in s.methods else None, node),
        }
    )


def _numbers(settings: InterpolateSettings, lengths: list[float]) -> tuple[int, ...]:
    """The numbers of the frames that are keyframes; the last is one past the last frame where the path is closed."""
    s, legs = settings, len(lengths)
    shares = list(parse_timing(s.timing) or (lengths if s.timing == "length" else [1.0] * legs))
    if len(shares) != legs:
        raise InputError(
            f"--timing needs one number for each of the {legs} stretches from image to image; got {len(shares)}.",
            f"Pass --timing {','.join(['1'] * legs)}, even or length.",
        )
    steps = s.frames - (not s.loop) if s.frames is not None else legs * (STEPS if s.between is None else s.between + 1)
    return frame_numbers(shares, steps + (not s.loop), s.loop)


@dataclass(frozen=True, eq=False)
class _Work(Job[InterpolateSettings]):
    @property
    def branches(self) -> int:
        """Network evaluations for one step of the transport: guidance calls the network with and without the prompt."""
        return guided_evaluations(self.settings.transport_guidance)

    def run(self, model: LatentDiffusion, images: Tensor, canvas: Canvas, names: tuple[str, ...]) -> Interpolation:
        began = time.monotonic()
        s = self.settings
        wanted = s.methods
        keyframes = self._keyframes(model, images)
        self._warn_if_unfaithful(model, keyframes, names)
        count = s.legs(len(images))
        solver = LegSolver(**vars(self), model=model, legs=count, methods=wanted)
        problems = solver.problems([keyframes.leg(k) for k in range(count)])
        legs = rounded_legs([solver.solve(k, problem) for k, problem in enumerate(problems)], s.loop)
        numbers = _numbers(s, [leg.reports[s.method].euclidean_length or 1e-9 for leg in legs])
        pace = None if s.pacing == "path" else pacer(s.pacing, model, keyframes.shape, crop=canvas.crop)
        drawer = Drawer(**vars(self), model=model, canvas=canvas, name=solver.name, pacer=pace)
        drawn = {name: drawer.draw(legs, name, numbers) for name in (*(w for w in wanted if w != s.method), s.method)}
        reports = {name: joined([leg.reports[name] for leg in legs], legs[0].paths[name].alpha) for name in wanted}
        metrics, status = path_metrics(s, legs, reports, drawn[s.method], keyframes, numbers)
        decoded = sum(one.decoded for one in drawn.values()) * self.branches
        paced = sum(one.paced for one in drawn.values()) * self.branches
        spent = sum(leg.evaluations for leg in legs) + self.branches * s.steps * len(images)
        text = 0 if s.invert_text == "none" else len(images) * DESCENTS[s.invert_text].evaluations
        metrics |= {
            "model_folder": None if model.folder is None else str(model.folder),
            "pacing": "Frames at equal steps along the path." if pace is None else pace.detail,
            "evaluations": {"path": spent, "pacing": paced, "frames": decoded} | ({"text": text} if text else {}),
            "seconds": round(time.monotonic() - began, 3),
        }
        path = tuple(leg.paths[s.method] for leg in legs)
        found = tuple(leg.found for leg in legs if leg.found is not None)
        main = drawn[s.method]
        result = Interpolation(main.frames, main.u, path, reports[s.method], found, metrics=metrics, status=status)
        if self.directory is not None:
            drawer.write(legs, path, keyframes, reports, {name: drawn[name] for name in wanted}, metrics)
        return self.done(result, spent + paced + decoded + text)

    def _keyframes(self, model: LatentDiffusion, images: Tensor) -> Keyframes:
        """The images at noise level tau, from the checkpoint where there is one for these very images."""
        s = self.settings
        conditions = self._conditions(model, images)
        about = self.begun_with(images, model)
        if self.directory is not None and self.directory.has(ENDS):
            tensors, saved = self.directory.read_tensors(ENDS)
            require_same(saved, about)
            x, z = (tensors[name].to(model.device) for name in ("x", "z"))
            shape = model.latent_shape(*images.shape[2:])
            return Keyframes(z, x, shape, s.tau, tuple(json.loads(saved["psnr"])), conditions)
        spent = self.branches * s.steps * len(images)
        self.observer.stage("Encoding", spent)
        made = embed_all(model, images, conditions, s.tau, s.steps, s.transport_guidance)
        self.observer.advance(spent)
        if self.directory is not None:
            about["psnr"] = json.dumps(list(made.psnr))
            self.directory.write_tensors(ENDS, {"z": made.z, "x": made.x}, about)
        return made

    def _conditions(self, model: LatentDiffusion, images: Tensor) -> tuple[Embedding, ...]:
        """The embedding of each image's prompt, fitted to the image where that is asked for."""
        s = self.settings
        if s.invert_text == "none":
            return conditions_for(model, s.prompt, len(images))
        descent, folder = DESCENTS[s.invert_text], cache_folder(TEXTS)
        return inverted_conditioning(
            model, images, s.prompt, descent=descent, seed=s.seed, folder=folder, observer=self.observer
        )

    def _warn_if_unfaithful(self, model: LatentDiffusion, keyframes: Keyframes, names: tuple[str, ...]) -> None:
        other = " Pass a model of such pictures, for photographs --model sd15." if model.name == "clevr-mini" else ""
        for name, psnr in zip(names, keyframes.psnr, strict=True):
            if psnr < FAITHFUL:
                self.observer.warn(
                    f"{name} is not a picture that {model.name} can draw: its autoencoder brings it back at "
                    f"{psnr:.1f} dB, and {FAITHFUL:.0f} dB are needed for a likeness.{other}"
                )
