"""`geodesic interpolate`: images, the geodesic through them, and everything that a person wants to see of it.

    read -> embed (encode, invert to tau) -> solve each leg -> round the corners -> frames -> films, plots, numbers

The run can be stopped at any moment and resumed: the encoded images, every step of the solver and every frame are on
disk as soon as they exist, and the resumed run gives the same bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from geodesic_cli import media
from geodesic_cli.diffusion import Embedding, LatentDiffusion
from geodesic_cli.diffusion.attention import require_attention
from geodesic_cli.diffusion.loading.devices import pick_device, pick_dtype
from geodesic_cli.diffusion.loading.load import require_text
from geodesic_cli.diffusion.loading.outline import outline
from geodesic_cli.diffusion.score import guided_evaluations
from geodesic_cli.diffusion.tuning.textual_inversion import DESCENTS
from geodesic_cli.frames.canvas import image_names
from geodesic_cli.frames.captioning import captions_in, prompts_read
from geodesic_cli.frames.keyframes import Keyframes, conditions_for, embed_all, steps_down, to_know_steps_down
from geodesic_cli.frames.pacing import Pacer, pacer
from geodesic_cli.frames.path_report import PathReport, joined
from geodesic_cli.frames.paths import ATTENTION, ImagePath
from geodesic_cli.frames.text_inversion import TEXTS, inverted_conditioning
from geodesic_cli.runs.cache import told_cache
from geodesic_cli.runs.calling import called_from_python
from geodesic_cli.runs.job import Job, RunResult, in_memory
from geodesic_cli.runs.manifest import require_same
from geodesic_cli.runs.meter import RunMeter
from geodesic_cli.runs.observer import Observer
from geodesic_cli.runs.opening import AnyModel
from geodesic_cli.runs.places import cache_folder
from geodesic_cli.settings import InterpolateSettings
from geodesic_cli.settings.interpolate import EASE
from geodesic_cli.verbs.interpolate.drawing import Drawer
from geodesic_cli.verbs.interpolate.legs import LegSolver, rounded_legs
from geodesic_cli.verbs.interpolate.metrics import path_metrics
from geodesic_cli.verbs.interpolate.plan import Plan, plan, plan_without_weights
from geodesic_cli.verbs.interpolate.reading import ENDS, FAITHFUL, Ready, keyframe_numbers, ready, unfaithful
from geodesic_cli.verbs.interpolate.searching import Found
from geodesic_cli.verbs.interpolate.stages import text_evaluations
from geodesic_cli.verbs.interpolate.telling import spacing


@dataclass(frozen=True, eq=False, repr=False)
class Interpolation(RunResult):
    """The result of an interpolation. Its status says how the solver ended; of several legs, the worst.

    Args:
        drawn: the frames, in memory or, of a run in a folder, in its files.
        u: positions of the frames along the path, (n,); the legs between keyframes have equal shares of [0, 1].
        legs: the path of each leg at noise level tau, in its own u.
        report: the density, length, speed and residual of all of it.
        found: what the searches of the method `global` found, leg by leg; empty for other methods.
    """

    drawn: media.FrameSource
    u: Tensor
    legs: tuple[ImagePath, ...]
    report: PathReport
    found: tuple[Found, ...] = ()

    @property
    def frames(self) -> Tensor:
        """(n, 3, h, w) in [0, 1]; the keyframes among them are the images as the autoencoder encodes them."""
        return media.chosen_of(self.drawn, range(len(self.drawn)))

    @property
    def pictures(self) -> Tensor:
        """The frames."""
        return self.frames

    @property
    def _moves(self) -> bool:
        return True

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


@called_from_python(InterpolateSettings, compare=bool | str | Sequence[str])
def interpolate(
    *images: media.Picture | Sequence[media.Picture],
    model: AnyModel = "clevr-mini",
    observer: Observer | None = None,
    **options: Any,
) -> Interpolation:
    """Interpolate through images in memory; nothing is written.

    Args:
        images: two or more, each a file, a PIL image, a numpy array (h, w, 3) or a tensor (3, h, w), with
            floating-point values in [0, 1] or whole numbers; or a batch of them, or one film, GIF or folder of frames.
        options: any setting of `settings.InterpolateSettings` but images, out, resume and overwrite.
    """
    given = media.pictures(images)
    job = in_memory(InterpolateSettings, "interpolate", model, options, observer, images=image_names(given))
    return run(job, given)


def run(job: Job[InterpolateSettings], given: Sequence[str | Path | Tensor] = (), plots: bool = True) -> Interpolation:
    """Interpolate through the files of the settings, or the images given in their place. See the module's text.

    Args:
        job: what is asked.
        given: images that take the place of the settings' files.
        plots: whether density.png and convergence.png are drawn.
    """
    begun = ready(job, given)  # all that may be refused comes before the folder is touched
    model, canvas = begun.model, begun.canvas
    if ATTENTION in job.settings.methods:
        require_attention(model.predict.unet, model.name)
    pacing, shape = job.settings.pacing, model.latent_shape(*canvas.padded)
    pace = None if pacing == "path" else pacer(pacing, model, shape, crop=canvas.crop)  # LPIPS may not be here
    with job.in_folder(stem(job.settings)) as job:
        return _Work(**vars(job)).run(begun, pace, plots)


def dry_run(job: Job[InterpolateSettings]) -> Plan:
    """What the run will cost, with everything refused that the run would refuse; nothing is written.

    Of a large model no weights are needed.
    """
    s = job.settings
    if s.text_option is not None:
        require_text(s.model, *s.text_option)
    device = pick_device(s.device)
    outlined = outline(s.model, pick_dtype(s.dtype, device), s.revision, s.variant)
    if outlined is not None:
        begun = ready(replace(job, given=outlined.model), ())
        return plan_without_weights(s, outlined, device, len(begun.images), *begun.canvas.padded)
    begun = ready(job, ())
    return plan(job.settings, begun.model, len(begun.images), *begun.canvas.padded)


def stem(settings: InterpolateSettings) -> str:
    """What the folder of a run is called below runs/."""
    images = settings.images
    return "-to-".join(Path(image).stem for image in (images[:1] + images[-1:] if len(images) > 1 else images))


@dataclass(frozen=True, eq=False)
class _Work(Job[InterpolateSettings]):
    @property
    def branches(self) -> int:
        """Network evaluations for one step of the transport: guidance calls the network with and without the prompt."""
        return guided_evaluations(self.settings.transport_guidance)

    def run(self, begun: Ready, pace: Pacer | None, plots: bool) -> Interpolation:
        model, images, canvas = begun.model, begun.images, begun.canvas
        meter = RunMeter(model.device)
        s = self.settings
        wanted = s.methods
        prompts = self._prompts(begun)
        keyframes = self._keyframes(begun, prompts)
        self._warn_if_unfaithful(model, keyframes, begun.names)
        count = s.legs(len(images))
        solver = LegSolver(**vars(self), model=model, legs=count, methods=wanted)
        problems = solver.problems([keyframes.leg(k) for k in range(count)])
        legs = rounded_legs([solver.solve(k, problem) for k, problem in enumerate(problems)], s.loop)
        numbers = keyframe_numbers(s, [leg.reports[s.method].euclidean_length or 1e-9 for leg in legs])
        down = steps_down(model, keyframes, s.steps, s.transport_guidance)
        drawer = Drawer(**vars(self), model=model, canvas=canvas, name=solver.name, pacer=pace, steps=down, plots=plots)
        drawn = {name: drawer.draw(legs, name, numbers) for name in (*(w for w in wanted if w != s.method), s.method)}
        reports = {name: joined([leg.reports[name] for leg in legs], legs[0].paths[name].alpha) for name in wanted}
        metrics, status = path_metrics(s, legs, reports, drawn[s.method], keyframes, numbers)
        decoded = sum(one.decoded for one in drawn.values()) * self.branches
        paced = sum(one.paced for one in drawn.values())
        carried = s.steps * len(images) + to_know_steps_down(s.steps, len(images))
        spent = sum(leg.evaluations for leg in legs) + self.branches * carried
        text = len(images) * sum(text_evaluations(s))
        metrics |= {
            "films": [f"video.{kind}" for kind in s.kinds] if self.directory is not None else [],
            "model_folder": None if model.folder is None else str(model.folder),
            "pacing": spacing(pace, s.timing == EASE, count),
            "evaluations": {"path": spent, "pacing": paced, "frames": decoded} | ({"text": text} if text else {}),
            "prompts": list(prompts),
            "steps_down": down,
            "seconds": meter.seconds,
            "peak_gb": meter.peak_gb,
        }
        path = tuple(leg.paths[s.method] for leg in legs)
        found = tuple(leg.found for leg in legs if leg.found is not None)
        main = drawn[s.method]
        result = Interpolation(main.frames, main.u, path, reports[s.method], found, metrics=metrics, status=status)
        if self.directory is not None:
            drawer.write(legs, path, keyframes, reports, {name: drawn[name] for name in wanted}, metrics)
        return self.done(result, spent + paced + decoded + text)

    def _prompts(self, begun: Ready) -> tuple[str, ...]:
        """Those given, or those read from the images."""
        s = self.settings
        if s.captions is None:
            return s.prompt
        captions, folder = captions_in(s.captions, s.model), told_cache(cache_folder(TEXTS), self.observer.warn)
        return prompts_read(begun.model, begun.images, captions, folder=folder, observer=self.observer)

    def _keyframes(self, begun: Ready, prompts: tuple[str, ...]) -> Keyframes:
        """The images at noise level tau, from the checkpoint where there is one for these very images."""
        s, model, images = self.settings, begun.model, begun.images
        conditions = self._conditions(model, images, prompts)
        about = self.begun_with(images, model, None if s.captions is None else prompts)
        if self.directory is not None and self.directory.has(ENDS):
            tensors, saved = self.directory.read_tensors(ENDS)
            require_same(saved, about)
            x, z = (tensors[name].to(model.device) for name in ("x", "z"))
            shape = model.latent_shape(*images.shape[2:])
            return Keyframes(z, x, shape, s.tau, tuple(json.loads(saved["psnr"])), conditions)
        spent = self.branches * s.steps * len(images)
        self.observer.stage("Encoding", spent)
        made = embed_all(model, images, conditions, s.tau, s.steps, s.transport_guidance, begun.known)
        self.observer.advance(spent)
        if self.directory is not None:
            about["psnr"] = json.dumps(list(made.psnr))
            self.directory.write_tensors(ENDS, {"z": made.z, "x": made.x}, about)
        return made

    def _conditions(self, model: LatentDiffusion, images: Tensor, prompts: tuple[str, ...]) -> tuple[Embedding, ...]:
        """The embedding of each image's prompt, fitted to the image where that is asked for."""
        s = self.settings
        if s.invert_text == "none":
            return conditions_for(model, prompts, len(images))
        descent, folder = DESCENTS[s.invert_text], told_cache(cache_folder(TEXTS), self.observer.warn)
        return inverted_conditioning(
            model, images, prompts, descent=descent, seed=s.seed, folder=folder, observer=self.observer
        )

    def _warn_if_unfaithful(self, model: LatentDiffusion, keyframes: Keyframes, names: tuple[str, ...]) -> None:
        for name, psnr in zip(names, keyframes.psnr, strict=True):
            if psnr < FAITHFUL:
                self.observer.warn(unfaithful(name, model.name, psnr))
