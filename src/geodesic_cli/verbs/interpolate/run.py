"""`geodesic interpolate`: images, the geodesic through them, and everything that a person wants to see of it.

    read -> embed (encode, invert to tau) -> solve each leg -> round the corners -> frames -> films, plots, numbers

The run can be stopped at any moment and resumed: the encoded images, every step of the solver and every frame are on
disk as soon as they exist, and the resumed run gives the same bytes.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import torch
from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.diffusion.tuning.textual_inversion import DESCENTS
from geodesic_cli.errors import InputError
from geodesic_cli.frames.canvas import Canvas, fit
from geodesic_cli.frames.keyframes import Keyframes, conditions_for, embed_all, prompt_of_each
from geodesic_cli.frames.pacing import pacer
from geodesic_cli.frames.paths import Path, PathReport, joined
from geodesic_cli.frames.pictures import image_names, read_images
from geodesic_cli.frames.text_inversion import TEXTS, inverted_conditioning
from geodesic_cli.frames.timing import frame_numbers
from geodesic_cli.runs.cache import cache_folder
from geodesic_cli.runs.folder import RunDirectory, first_free, require_same
from geodesic_cli.runs.observer import Observer, Silent
from geodesic_cli.runs.opening import open_model, open_run
from geodesic_cli.settings import STEPS, InterpolateSettings, from_options, parse_timing
from geodesic_cli.verbs.interpolate.drawing import Drawer, Drawn
from geodesic_cli.verbs.interpolate.legs import Leg, LegSolver, rounded_legs
from geodesic_cli.verbs.interpolate.plan import Plan, plan
from geodesic_cli.verbs.interpolate.searching import Found

FAITHFUL = 20.0
"""dB. An image that comes back from the autoencoder worse than this is not one that the model can draw."""


@dataclass(frozen=True, eq=False)
class Interpolation:
    """The result of an interpolation.

    Args:
        frames: (n, 3, h, w) in [0, 1]; the keyframes among them are the images as the autoencoder encodes them.
        u: positions of the frames along the path, (n,); the legs between keyframes have equal shares of [0, 1].
        legs: the path of each leg at noise level tau, in its own u.
        report: the density, length, speed and residual of all of it.
        metrics: what metrics.json holds.
        status: a sentence on how the solver ended; of several legs, the worst.
        folder: the run directory, or None where nothing was written.
        found: what the searches of the method `global` found, leg by leg; empty for other methods.
    """

    frames: Tensor
    u: Tensor
    legs: tuple[Path, ...]
    report: PathReport
    metrics: dict[str, Any]
    status: str
    folder: FilePath | None
    found: tuple[Found, ...] = ()

    @property
    def path(self) -> Path:
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
    *images: str | FilePath | Tensor,
    model: str | LatentDiffusion = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> Interpolation:
    """Interpolate through images in memory; nothing is written.

    Args:
        images: two or more, each a file or a tensor (3, h, w) in [0, 1]; or one film, GIF or folder of frames.
        model: a name, or a model that is loaded already.
        observer: told of the progress.
        options: any setting of `settings.InterpolateSettings` but images, out, resume and overwrite.

    Raises:
        GeodesicError: an input that cannot be used, with what to do about it.
    """
    names = image_names(images)
    named = model if isinstance(model, str) else model.name
    settings = from_options(InterpolateSettings, "interpolate", options, {"images": names, "model": named})
    pictures, names = _read(images)
    loaded = open_model(settings) if isinstance(model, str) else model
    watch = observer or Silent()
    return _Work(settings, watch, None).run(loaded, *_fit(settings, watch, loaded, pictures, names), names)


def _read(images: Sequence[str | FilePath | Tensor]) -> tuple[list[Tensor], tuple[str, ...]]:
    """The keyframes and their names: images as they are, or the frames of the one film or folder."""
    if len(images) > 1:
        return read_images(images), image_names(images)
    if isinstance(images[0], Tensor):
        raise InputError("An interpolation needs two images; got one.", "Pass the first and the last one.")
    sequence = media.read_sequence(images[0])
    if len(sequence.frames) < 2:
        raise InputError(
            f"An interpolation needs two images; {images[0]} holds {len(sequence.frames)}.",
            "Pass a second image, or a film, a GIF or a folder of at least two.",
        )
    return list(sequence.frames), tuple(sequence.names)


def run(settings: InterpolateSettings, observer: Observer, command: str) -> Interpolation:
    """Interpolate and write the run directory. See the module's text and `InterpolateSettings`."""
    pictures, names = _read(settings.images)
    model = open_model(settings, observer)
    # All that may be refused comes before the folder is touched.
    images, canvas = _fit(settings, observer, model, pictures, names)
    folder = settings.out or free_folder(settings.images)
    with open_run(settings, folder, observer, command) as directory:
        return _Work(settings, observer, directory).run(model, images, canvas, names)


def dry_run(settings: InterpolateSettings, observer: Observer) -> Plan:
    """What the run will cost, with everything refused that the run would refuse; nothing is written."""
    pictures, names = _read(settings.images)
    model = open_model(settings, observer)
    images, canvas = _fit(settings, observer, model, pictures, names)
    return plan(settings, model, len(images), *canvas.padded)


def free_folder(images: tuple[str, ...]) -> str:
    """The first of runs/A-to-B, runs/A-to-B-2, ... that does not exist."""
    ends = (images[0], images[-1]) if len(images) > 1 else images
    return first_free("runs/" + "-to-".join(FilePath(image).stem for image in ends))


def _fit(
    settings: InterpolateSettings,
    observer: Observer,
    model: LatentDiffusion,
    read: list[Tensor],
    names: tuple[str, ...],
) -> tuple[Tensor, Canvas]:
    """The images as the model sees them, (n, 3, h, w), and the canvas that crops frames; refuses what cannot be."""
    images, canvas = fit(read, names, settings.size, model, observer)
    prompt_of_each(settings.prompt, len(images))
    _numbers(settings, [1.0] * settings.legs(len(images)))
    if len(read) == 2 and torch.equal(read[0], read[1]):
        observer.warn("The two images are the same; the path between them is one point.")
    return images, canvas


def _numbers(settings: InterpolateSettings, lengths: list[float]) -> tuple[int, ...]:
    """The numbers of the frames that are keyframes; the last is one past the last frame where the path is closed."""
    s, legs = settings, len(lengths)
    shares = list(parse_timing(s.timing) or (lengths if s.timing == "length" else [1.0] * legs))
    if len(shares) != legs:
        raise InputError(
            f"--timing needs one number for each of the {legs} legs between images; got {len(shares)}.",
            f"Pass --timing {','.join(['1'] * legs)}, even or length.",
        )
    steps = s.frames - (not s.loop) if s.frames is not None else legs * (STEPS if s.between is None else s.between + 1)
    return frame_numbers(shares, steps + (not s.loop), s.loop)


@dataclass(frozen=True, eq=False)
class _Work:
    """One interpolation: what was asked for, who watches, and where it is written, if anywhere."""

    settings: InterpolateSettings
    observer: Observer
    directory: RunDirectory | None

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
        solver = LegSolver(model, s, self.observer, self.directory, count, wanted)
        problems = solver.problems([keyframes.leg(k) for k in range(count)])
        legs = rounded_legs([solver.solve(k, problem) for k, problem in enumerate(problems)], s.loop)
        numbers = _numbers(s, [leg.reports[s.method].euclidean_length or 1e-9 for leg in legs])
        pace = None if s.pacing == "path" else pacer(s.pacing, model, keyframes.shape, crop=canvas.crop)
        drawer = Drawer(model, s, canvas, self.observer, self.directory, solver.name, pace)
        drawn = {name: drawer.draw(legs, name, numbers) for name in (*(w for w in wanted if w != s.method), s.method)}
        reports = {name: joined([leg.reports[name] for leg in legs], legs[0].paths[name].alpha) for name in wanted}
        result = self._result(legs, reports, drawn, keyframes, numbers)
        decoded = sum(one.decoded for one in drawn.values()) * self.branches
        paced = sum(one.paced for one in drawn.values()) * self.branches
        spent = sum(leg.evaluations for leg in legs) + self.branches * s.steps * len(images)
        text = 0 if s.invert_text == "none" else len(images) * DESCENTS[s.invert_text].evaluations
        metrics = result.metrics | {
            "model_folder": None if model.folder is None else str(model.folder),
            "pacing": "Frames at equal steps along the path." if pace is None else pace.detail,
            "evaluations": {"path": spent, "pacing": paced, "frames": decoded} | ({"text": text} if text else {}),
            "seconds": round(time.monotonic() - began, 3),
        }
        result = replace(result, metrics=metrics)
        if self.directory is None:
            return result
        drawer.write(legs, result.legs, keyframes, reports, {name: drawn[name] for name in wanted})
        self.directory.finish(result.status, metrics, evaluations=spent + paced + decoded + text)
        return replace(result, folder=self.directory.folder)

    def _result(
        self,
        legs: tuple[Leg, ...],
        reports: dict[str, PathReport],
        drawn: dict[str, Drawn],
        keyframes: Keyframes,
        numbers: tuple[int, ...],
    ) -> Interpolation:
        s = self.settings
        main = drawn[s.method]
        each = [self._of_leg(leg) for leg in legs]
        # The worst: a leg that is not solved before one that is, and the largest residual among equals.
        order = [(leg["converged"], -leg["relative_residual"]) for leg in each]
        worst = each[order.index(min(order))]
        metrics: dict[str, Any] = {
            "method": s.method,
            "status": worst["status"],
            "alpha": legs[0].paths[s.method].alpha,
            "bend": max(leg.paths[s.method].bend for leg in legs),
            "tau": s.tau,
            "dimension": keyframes.x.shape[1],
            "frames": len(main.frames),
            "keyframes": [number for number in numbers if number < len(main.frames)],
            "positions": main.u.tolist(),
            "reconstruction_psnr": list(keyframes.psnr),
            "steps": sum(leg["steps"] for leg in each),
            "score_evaluations": sum(leg["score_evaluations"] for leg in each),
            "paths": {name: asdict(report) for name, report in reports.items()},
        }
        found = tuple(leg.found for leg in legs if leg.found is not None)
        if found:
            marked = []
            for k, one in enumerate(found):
                inside = main.of_leg(k)
                marked += [int(inside[j]) for j in one.marked(main.u[inside] * len(legs) - k)]
            metrics["global"] = found[0].metrics if len(found) == 1 else {"legs": [one.metrics for one in found]}
            metrics["global"] |= {"marked_frames": sorted(set(marked))}
        if len(legs) > 1:
            metrics["legs"] = each
        path = tuple(leg.paths[s.method] for leg in legs)
        return Interpolation(main.frames, main.u, path, reports[s.method], metrics, worst["sentence"], None, found)

    def _of_leg(self, leg: Leg) -> dict[str, Any]:
        """How one leg ended, as metrics.json holds it."""
        s = self.settings
        path, report, found = leg.paths[s.method], leg.reports[s.method], leg.found
        solution = path.solution
        made = {
            "status": solution.status.name if solution else "NOT_NEEDED",
            "sentence": solution.status.value if solution else f"{s.method} needs no solving.",
            "converged": solution is None or solution.converged,
            "steps": solution.steps if solution else 0,
            "score_evaluations": solution.score_calls if solution else 0,
            "relative_residual": report.relative_residual,
            "log_length": report.log_length,
            "euclidean_length": report.euclidean_length,
        }
        if found is not None:
            made |= {"status": "SEARCHED", "sentence": found.status, "converged": found.certain}
            made |= {"score_evaluations": found.evaluations}
        return made

    def _keyframes(self, model: LatentDiffusion, images: Tensor) -> Keyframes:
        """The images at noise level tau, from the checkpoint where there is one for these very images."""
        s = self.settings
        conditions = self._conditions(model, images)
        about: dict[str, str] = {}
        if self.directory is not None:
            digest = hashlib.sha256(images.numpy().tobytes()).hexdigest()
            about = {"images": digest, "model": model.fingerprint}
            if self.directory.has("checkpoint/ends.safetensors"):
                tensors, saved = self.directory.read_tensors("checkpoint/ends.safetensors")
                require_same(saved, about)
                x, z = (tensors[name].to(model.device) for name in ("x", "z"))
                shape = model.latent_shape(*images.shape[2:])
                return Keyframes(z, x, shape, conditions, s.tau, tuple(json.loads(saved["psnr"])))
        spent = self.branches * s.steps * len(images)
        self.observer.stage("Encoding", spent)
        made = embed_all(model, images, conditions, s.tau, s.steps, s.transport_guidance)
        self.observer.advance(spent)
        if self.directory is not None:
            about["psnr"] = json.dumps(list(made.psnr))
            self.directory.write_tensors("checkpoint/ends.safetensors", {"z": made.z, "x": made.x}, about)
        return made

    def _conditions(self, model: LatentDiffusion, images: Tensor) -> tuple[Embedding, ...]:
        """The embedding of each image's prompt, fitted to the image where that is asked for."""
        s = self.settings
        if s.invert_text == "none":
            return conditions_for(model, s.prompt, len(images))
        return inverted_conditioning(
            model,
            images,
            s.prompt,
            descent=DESCENTS[s.invert_text],
            seed=s.seed,
            folder=cache_folder(TEXTS),
            observer=self.observer,
        )

    def _warn_if_unfaithful(self, model: LatentDiffusion, keyframes: Keyframes, names: tuple[str, ...]) -> None:
        other = " Pass a model of such pictures, for photographs --model sd15." if model.name == "clevr-mini" else ""
        for name, psnr in zip(names, keyframes.psnr, strict=True):
            if psnr < FAITHFUL:
                self.observer.warn(
                    f"{name} is not a picture that {model.name} can draw: its autoencoder brings it back at "
                    f"{psnr:.1f} dB, and {FAITHFUL:.0f} dB are needed for a likeness.{other}"
                )
